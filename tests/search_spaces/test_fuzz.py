"""Whatever a sweep file holds, it is read or refused with a place: never a traceback (A1, A2)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from search_spaces import SpecError, SweepSpec, generator, read_sweep
from tests.search_spaces.mutants import mutants

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "spaces").glob("*.yaml"))
WORDS_OF_LIBRARIES = ("pydantic", "Traceback", "libyaml", "block mapping", "Input should", "\x1b")


def use(path: Path) -> bool:
    """Read a file and ask its spec everything; True when it was right, False when refused."""
    try:
        spec = read_sweep(path).spec
    except SpecError as error:
        check_refusal(error)
        return False
    assert SweepSpec.model_validate_json(spec.model_dump_json()) == spec
    config = spec.space.sample(generator(spec.seed))
    assert spec.space.contains(config)
    assert spec.space.contains(spec.default_config())
    spec.task_for(config)
    spec.training_for(config, spec.resources.workers)
    spec.shrunk().default_config()
    return True


def check_refusal(error: SpecError) -> None:
    assert error.faults
    shown = error.render()
    assert not any(word in shown for word in WORDS_OF_LIBRARIES)
    for fault in error.faults:
        assert fault.place.line >= 1
        assert fault.place.column >= 1
        assert fault.rule
        assert fault.mend


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_mutated_sweep_files_are_read_or_refused_with_a_place(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    target = tmp_path / "mutant.yaml"
    refused = 0
    for what, raw in mutants(text, 100, seed=4):
        target.write_bytes(raw)
        start = time.monotonic()
        try:
            refused += not use(target)
        except AssertionError as error:
            raise AssertionError(f"mutant {what} of {path.name}") from error
        assert time.monotonic() - start < 10.0, what
    assert refused > 70
    assert os.listdir(tmp_path) == ["mutant.yaml"]


def test_a_file_of_10_megabytes_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: [" + b"1, " * 3_500_000 + b"]")
    with pytest.raises(SpecError, match="1 MiB at most"):
        read_sweep(path)


@pytest.mark.parametrize(
    "text",
    [
        "learning_rate: !!python/object/apply:os.system ['touch {canary}']",
        "learning_rate: !!python/object/new:os.system ['touch {canary}']",
        "learning_rate: !!python/name:os.system",
        "learning_rate: !include /etc/passwd",
        "learning_rate: {{value: !!python/object/apply:pathlib.Path.touch ['{canary}']}}",
        "? !!python/object/apply:os.system ['touch {canary}']\n  : 1",
        "task.model: {{values: ['$(touch {canary})', '`touch {canary}`']}}\n  lr: {{value: 1}}",
        "__class__: {{value: 1}}",
        "learning_rate.__init__: {{value: 1}}",
    ],
)
def test_a_hostile_file_runs_nothing(text: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "hostile.yaml"
    path.write_text("method: random\nparameters:\n  " + text.format(canary=canary))
    with pytest.raises(SpecError):
        read_sweep(path)
    assert not canary.exists()


def test_variables_of_the_environment_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "method: random\nrun_cap: 1\ntask: {model: $HOME, dataset: {path: '${HOME}', text: t}}\n"
        "parameters: {seed: {values: [1, 2]}}\n"
    )
    spec = read_sweep(path).spec
    assert (spec.task.model, spec.task.dataset.path) == ("$HOME", "${HOME}")
