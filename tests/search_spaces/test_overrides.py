"""`--set a.b.c=value`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search_spaces import SpecError
from tests.search_spaces.files import GRID, PBT, RANDOM, read, spec


def faults(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(folder, text, *overrides)
    return [f"{f.place.named('FILE')}: {f.message()}" for f in caught.value.faults]


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", "seed", 7),
        ("task.model=other/model", "task.model", "other/model"),
        ("task.revision='1'", "task.revision", "1"),
        ("budget.epochs=8", "budget.epochs", 8),
        ("budget.wall_clock=1h30m", "budget.wall_clock_s", 5400),
        ("task.dataset.name=null", "task.dataset.name", None),
        ("training_arguments.num_train_epochs=2", "training_arguments.num_train_epochs", 2),
        ("tracking.tags=[a, b]", "tracking.tags", ("a", "b")),
        ("task.rows={train: 600, validation: 50}", "task.rows", {"train": 600, "validation": 50}),
        ("parameters.learning_rate.min=1e-6", "parameters.learning_rate.min", 1e-6),
        ("description=", "description", ""),
    ],
)
def test_one_key_is_set_and_its_value_is_yaml(
    override: str, path: str, value: Any, tmp_path: Path
) -> None:
    found: Any = spec(tmp_path, RANDOM, override)
    for step in path.split("."):
        found = found[step] if isinstance(found, dict) else getattr(found, step)
    assert found == value


def test_a_whole_mapping_is_replaced(tmp_path: Path) -> None:
    data = spec(
        tmp_path,
        RANDOM,
        "task.dataset={path: json, data_files: {train: a.jsonl, validation: [b.jsonl, c.jsonl]}, "
        "text: [premise, hypothesis], label: gold}",
    ).task.dataset
    assert data.path == "json"
    assert data.name is None
    assert data.data_files == {"train": ("a.jsonl",), "validation": ("b.jsonl", "c.jsonl")}
    assert (data.text, data.label) == (("premise", "hypothesis"), "gold")
    assert data.splits == {"train": "train", "validation": "validation"}


def test_a_new_section_is_made_on_the_way(tmp_path: Path) -> None:
    assert spec(tmp_path, RANDOM, "tracking.backends=[wandb]").tracking.backends == ("wandb",)


def test_later_overrides_see_earlier_ones(tmp_path: Path) -> None:
    text = spec(tmp_path, RANDOM, "task.dataset={path: a, text: b}", "task.dataset.path=c").task
    assert (text.dataset.path, text.dataset.text) == ("c", ("b",))


def test_dotted_names_in_parameters_are_whole_names(tmp_path: Path) -> None:
    new = "parameters.task.model_config.hidden_dropout_prob={values: [0.0, 0.1]}"
    ends = ("parameters.task.max_length.min=32", "parameters.task.max_length.max=64")
    space = spec(tmp_path, RANDOM, new, *ends).space
    assert "task.model_config.hidden_dropout_prob" in space
    assert str(space["task.max_length"]) == "32 to 64, whole numbers"


def test_null_removes_a_key(tmp_path: Path) -> None:
    assert list(spec(tmp_path, PBT, "parameters.weight_decay=null").space) == [
        "learning_rate",
        "per_device_train_batch_size",
    ]
    assert spec(tmp_path, RANDOM, "training_arguments=null").training_arguments == {}


def test_items_of_a_list_are_counted_from_0(tmp_path: Path) -> None:
    text = RANDOM + "warm_start: [{learning_rate: 2e-5}]\n"
    starts = spec(
        tmp_path, text, "warm_start.0.learning_rate=3e-5", "warm_start.1.learning_rate=4e-5"
    ).warm_start
    assert starts == ({"learning_rate": 3e-5}, {"learning_rate": 4e-5})


def test_the_method_can_be_changed_and_what_it_leaves_unused_is_noted(tmp_path: Path) -> None:
    sweep = read(tmp_path, PBT, "method=random", "run_cap=4")
    assert sweep.spec.method == "random"
    assert "population is used by method pbt only, not by random" in sweep.notes


def test_a_fault_in_an_override_names_it_as_its_place(tmp_path: Path) -> None:
    assert faults(tmp_path, RANDOM, "seed=x", "run_cpa=3", "task.max_length='12'") == [
        "--set seed=x: seed: must be a whole number from 0 to 4294967295; got 'x'.",
        "--set run_cpa=3: run_cpa: unknown key.",
        "--set task.max_length='12': task.max_length: must be a whole number; got '12'.",
    ]


def test_a_fault_inside_an_overridden_mapping_keeps_its_path(tmp_path: Path) -> None:
    assert faults(tmp_path, RANDOM, "parameters.learning_rate={min: 1, max: 0}") == [
        "--set parameters.learning_rate={min: 1, max: 0}: parameters.learning_rate.min: "
        "must be below max; got min 1, max 0."
    ]


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("seed", "must be a dotted key, `=` and a value"),
        ("=3", "must be a dotted key"),
        ("a..b=3", "must be a dotted key"),
        ("seed.x=3", "seed: must be a whole number"),
        ("method.x=3", "method.x: method holds a value, not keys"),
        ("task.dataset.text.7=x", "is a list: its items are 0 to 2"),
        ("seed=[1", "not valid YAML"),
        ("seed=!!int 3", "tags are not allowed"),
        ("seed=1\n---\n2", "one document"),
        ("task.model={a: 1, a: 2}", "repeated key"),
    ],
)
def test_an_override_that_cannot_be_applied_is_a_fault(
    override: str, rule: str, tmp_path: Path
) -> None:
    found = faults(tmp_path, RANDOM, override)
    assert any(rule in fault for fault in found)
    assert all(f.startswith("--set ") for f in found)


def test_faults_of_the_file_and_of_overrides_come_together(tmp_path: Path) -> None:
    found = faults(tmp_path, GRID + "runcap: 3\n", "=", "seed=-1")
    assert [f.split(":")[0] for f in found] == ["FILE", "--set =", "--set seed=-1"]


def test_the_name_can_be_given_beside_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, RANDOM).spec.name == "a_sweep"
    assert read(tmp_path, RANDOM, name="other").spec.name == "other"
    with pytest.raises(SpecError, match=r"--name \.\./up: name: must begin with a letter"):
        read(tmp_path, RANDOM, name="../up")
