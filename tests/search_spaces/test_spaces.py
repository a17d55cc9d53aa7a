"""The ready sweep files: right, annotated, and usable on local data with nothing but --set."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from search_spaces import SplitFrom, SweepSpec, read_sweep

SPACES = Path(__file__).parents[2] / "spaces"
FILES = sorted(SPACES.glob("*.yaml"))
COMPARED = [f"{name}_{method}" for name in ("rte", "sst2") for method in ("grid", "bayes", "pbt")]
HUB_FILES = [SPACES / f"{name}.yaml" for name in (*COMPARED, "mrpc")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_ready_file_is_right_and_says_what_it_does_needs_and_takes(path: Path) -> None:
    sweep = read_sweep(path)
    opening = sweep.source.split("\nname:")[0].split("\nmethod:")[0]
    assert all(line.startswith("#") or not line for line in opening.splitlines())
    assert opening.startswith("# yaml-language-server: $schema=../search_spaces/sweep.schema.json")
    assert re.search(r"^# Needs[: ]", opening, re.MULTILINE)
    assert re.search(r"^# Takes[: ]", opening, re.MULTILINE)
    assert sweep.spec.boundaries(sweep.spec.default_config()) >= 2


@pytest.mark.parametrize("path", HUB_FILES, ids=lambda p: p.stem)
def test_the_command_for_local_data_in_a_ready_files_opening_works(path: Path) -> None:
    comment = [line[1:] for line in path.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(comment)
    command = text[text.index("sweep run spaces/") :].replace("\\\n", " ").split("\n\n")[0]
    words = shlex.split(command)
    assert words[2] == f"spaces/{path.name}"
    overrides = [after for word, after in pairwise(words) if word == "--set"]
    assert len(overrides) >= 4
    spec = read_sweep(path, overrides).spec
    assert (spec.task.dataset.path, spec.task.dataset.name) == ("json", None)
    assert spec.task.dataset.data_files["validation"] == ("validation.jsonl",)
    assert spec.task.rows == {"train": 600}


def spec_of(name: str) -> SweepSpec:
    return read_sweep(SPACES / f"{name}.yaml").spec


def test_rte_grid_is_the_published_grid() -> None:
    spec = spec_of("rte_grid")
    assert spec.trial_limit == 18
    assert {name: domain.grid() for name, domain in spec.space.items()} == {
        "learning_rate": (2e-5, 3e-5, 5e-5),
        "per_device_train_batch_size": (16, 32),
        "num_train_epochs": (2, 3, 4),
    }


def test_rte_pbt_is_the_published_population() -> None:
    spec = spec_of("rte_pbt")
    assert spec.population is not None
    assert spec.population.size == 8
    assert set(spec.space) == {
        "learning_rate", "weight_decay", "per_device_train_batch_size", "warmup_steps",
    }  # fmt: skip
    assert spec.space["per_device_train_batch_size"].grid() == (16, 32, 64)


@pytest.mark.parametrize("name", ["rte_grid", "rte_bayes", "rte_pbt"])
def test_rte_files_carve_a_test_split_from_train(name: str) -> None:
    spec = spec_of(name)
    assert spec.task.dataset.splits["test"] == SplitFrom(from_split="train", size=277)
    assert spec.task.model == "google-bert/bert-base-uncased"


def test_mrpc_searches_the_model_and_starts_from_run_glues_setting() -> None:
    spec = spec_of("mrpc")
    assert spec.default_config() == {
        "task.model": "google-bert/bert-base-uncased",
        "learning_rate": 2e-5,
        "per_device_train_batch_size": 32,
        "weight_decay": 0.0,
    }
    assert spec.default_first
