"""What a spec answers: settings, boundaries, limits, defaults, tasks, training arguments."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from search_spaces import MetricSpec, SweepSpec
from search_spaces.batch import halved, split_batch
from search_spaces.parts import Refusal, seconds
from tests.search_spaces.files import GRID, PBT, RANDOM, TASK, spec


@pytest.mark.parametrize("text", [RANDOM, PBT, GRID])
def test_a_spec_goes_through_json_and_pickle_unchanged(text: str, tmp_path: Path) -> None:
    first = spec(tmp_path, text, "task.dataset.splits.test={from: train, size: 10}")
    assert len(first.space) > 0
    again = SweepSpec.model_validate(json.loads(json.dumps(first.model_dump(mode="json"))))
    assert again == first
    assert pickle.loads(pickle.dumps(first)) == first
    assert dict(again.space) == dict(first.space)


def test_a_setting_is_the_configurations_else_the_constant_else_the_installed_default(
    tmp_path: Path,
) -> None:
    found = spec(tmp_path, RANDOM)
    assert found.setting({"num_train_epochs": 2}, "num_train_epochs") == 2
    assert found.setting({}, "num_train_epochs") == 3
    assert found.setting({}, "weight_decay") == 0.0
    assert found.setting({}, "seed") == 42
    assert found.setting({}, "task.max_length") == 128
    assert found.setting({}, "task.model_config.hidden_dropout_prob") == 0.1
    assert found.setting({}, "task.model_config.unknown") is None


@pytest.mark.parametrize(
    ("arguments", "steps_per_epoch", "boundaries"),
    [
        ("{num_train_epochs: 3}", None, 1),
        ("{num_train_epochs: 3, eval_strategy: 'no'}", None, 1),
        ("{num_train_epochs: 3, eval_strategy: epoch}", None, 3),
        ("{num_train_epochs: 2.5, eval_strategy: epoch}", None, 3),
        ("{num_train_epochs: 0.5, eval_strategy: epoch}", None, 1),
        ("{eval_strategy: steps, eval_steps: 0.25}", None, 4),
        ("{eval_strategy: steps, eval_steps: 0.3}", None, 4),
        ("{eval_strategy: steps, eval_steps: 0.3333}", None, 3),
        ("{eval_strategy: steps, eval_steps: 0.001}", None, 1000),
        ("{num_train_epochs: 2, eval_strategy: steps, eval_steps: 30}", 50, 4),
        ("{num_train_epochs: 2, eval_strategy: steps, logging_steps: 25}", 50, 4),
    ],
)
def test_boundaries_are_counted_from_the_evaluation_strategy(
    arguments: str, steps_per_epoch: float | None, boundaries: int, tmp_path: Path
) -> None:
    found = spec(tmp_path, RANDOM, f"training_arguments={arguments}")
    assert found.boundaries({}, steps_per_epoch) == boundaries


def test_a_step_count_without_the_steps_of_an_epoch_is_an_error(tmp_path: Path) -> None:
    found = spec(tmp_path, RANDOM, "training_arguments={eval_strategy: steps, eval_steps: 30}")
    with pytest.raises(ValueError, match="depends on the steps of an epoch"):
        found.boundaries({})


def test_searched_epochs_change_the_boundaries(tmp_path: Path) -> None:
    found = spec(tmp_path, RANDOM, "parameters.num_train_epochs={values: [1, 2]}")
    assert [found.boundaries({"num_train_epochs": n}) for n in (1, 2)] == [1, 2]
    assert found.epochs({"num_train_epochs": 1}) == 1.0


def test_the_trial_limit_is_the_methods(tmp_path: Path) -> None:
    assert spec(tmp_path, GRID).trial_limit == 6
    assert spec(tmp_path, PBT).trial_limit == 4
    assert spec(tmp_path, RANDOM).trial_limit == 4
    assert spec(tmp_path, RANDOM, "run_cap=null", "budget.epochs=9").trial_limit is None


def test_the_default_configuration_is_moved_into_the_space(tmp_path: Path) -> None:
    assert spec(tmp_path, PBT).default_config() == {
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "per_device_train_batch_size": 16,
    }
    moved = spec(tmp_path, PBT, "parameters.learning_rate.max=2e-5").default_config()
    assert moved["learning_rate"] == 2e-5


def test_a_constant_of_a_searched_name_is_its_default(tmp_path: Path) -> None:
    found = spec(tmp_path, PBT, "training_arguments.learning_rate=3e-5")
    assert found.default_config()["learning_rate"] == 3e-5


@pytest.mark.parametrize(
    ("name", "domain", "default"),
    [
        ("task.max_length", "{values: [64, 256]}", 64),
        ("task.model", "{values: [a/b, some/model]}", "some/model"),
        ("task.model", "{values: [a/b, c/d]}", "a/b"),
        ("task.model_config.hidden_dropout_prob", "{values: [0.0, 0.1, 0.2]}", 0.1),
        ("task.model_config.num_hidden_layers", "{min: 2, max: 6}", 4),
        ("task.options.alpha", "{values: [x, y]}", "x"),
        ("effective_batch_size", "{values: [8, 32]}", 8),
        ("lr_scheduler_type", "{values: [cosine, linear]}", "linear"),
        ("seed", "{values: [1, 2, 3]}", 3),
    ],
)
def test_every_searched_name_has_a_default(
    name: str, domain: str, default: Any, tmp_path: Path
) -> None:
    assert spec(tmp_path, RANDOM, f"parameters.{name}={domain}").default_config()[name] == default


def test_task_names_of_a_configuration_change_the_task(tmp_path: Path) -> None:
    found = spec(tmp_path, RANDOM, "task.model_config={hidden_dropout_prob: 0.1, a: 1}")
    task = found.task_for(
        {"learning_rate": 1e-5, "task.max_length": 64, "task.model_config.hidden_dropout_prob": 0.3}
    )
    assert (task.max_length, task.model) == (64, "some/model")
    assert task.model_config_overrides == {"hidden_dropout_prob": 0.3, "a": 1}
    assert found.task.max_length == 128
    assert found.task_for({}) == found.task


@pytest.mark.parametrize(
    "name",
    ["task.type", "task.trust_remote_code", "task.dataset.path", "task.model_config.auto_map"],
)
def test_a_configuration_does_not_change_what_is_constant_in_a_study(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        spec(tmp_path, RANDOM).task_for({"learning_rate": 1e-5, name: "evil.py:build"})


def test_training_arguments_are_constants_overlaid_with_the_configuration(tmp_path: Path) -> None:
    found = spec(tmp_path, PBT, "training_arguments.learning_rate=3e-5")
    config = {"learning_rate": 1e-5, "task.max_length": 64, "seed": 7}
    assert found.training_for(config) == {
        "seed": 7,
        "num_train_epochs": 4,
        "eval_strategy": "epoch",
        "learning_rate": 1e-5,
    }
    assert found.training_for({})["seed"] == 42


@pytest.mark.parametrize(
    ("effective", "world_size", "bound", "expected"),
    [
        (32, 1, None, (32, 1)),
        (64, 1, None, (32, 2)),
        (64, 2, 16, (16, 2)),
        (96, 1, 64, (48, 2)),
        (17, 1, 16, (1, 17)),
        (4, 4, 8, (1, 1)),
    ],
)
def test_an_effective_batch_is_split_exactly(
    effective: int, world_size: int, bound: int | None, expected: tuple[int, int]
) -> None:
    assert split_batch(effective, world_size, bound) == expected
    assert expected[0] * expected[1] * world_size == effective


def test_an_effective_batch_that_the_workers_cannot_share_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be a multiple of the workers"):
        split_batch(10, 4)


def test_an_effective_batch_becomes_the_trainers_two_numbers(tmp_path: Path) -> None:
    found = spec(
        tmp_path, RANDOM, "parameters.effective_batch_size={values: [32, 64]}",
        "training_arguments.per_device_train_batch_size=16",
    )  # fmt: skip
    values = found.training_for({"effective_batch_size": 64}, world_size=2)
    assert (values["per_device_train_batch_size"], values["gradient_accumulation_steps"]) == (16, 2)
    assert "effective_batch_size" not in values


def test_none_and_nan_are_never_better() -> None:
    nan = float("nan")
    for goal in ("maximize", "minimize"):
        metric = MetricSpec(name="eval_loss", goal=goal)
        assert not metric.better(None, 1.0)
        assert not metric.better(nan, None)
        assert not metric.better(1.0, 1.0)
        assert metric.better(1.0, None)
        assert metric.better(1.0, nan)
    assert MetricSpec(goal="maximize").better(2.0, 1.0)
    assert MetricSpec(goal="minimize").better(1.0, 2.0)
    assert (MetricSpec(goal="maximize").sign, MetricSpec(goal="minimize").sign) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1h 30min", 5400), ("45s", 45),
     ("1.5d", 129600), (60, 60), (0.5, 0.5)],
)  # fmt: skip
def test_durations(text: Any, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "12:30", "-1h", 0, -1, True, [1], "9" * 200])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(Refusal, match="duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("task", "metric", "metrics"),
    [
        ("", "eval_accuracy", ("accuracy",)),
        ("problem: regression", "eval_pearson", ("pearson",)),
        ("problem: multi_label", "eval_f1", ("f1",)),
        ("metrics: [f1, accuracy]", "eval_f1", ("f1", "accuracy")),
    ],
)
def test_a_metric_that_is_not_named_is_the_tasks_own(
    task: str, metric: str, metrics: tuple[str, ...], tmp_path: Path
) -> None:
    text = RANDOM.replace(TASK, TASK.rstrip() + f"\n  {task}\n")
    found = spec(tmp_path, text)
    assert (found.metric.name, found.metric.goal) == (metric, "maximize")
    assert found.task.metrics == metrics


@pytest.mark.parametrize(
    ("metric", "name", "goal", "metrics"),
    [
        ("accuracy", "eval_accuracy", "maximize", ("accuracy",)),
        ("eval/accuracy", "eval_accuracy", "maximize", ("accuracy",)),
        ("{name: loss}", "eval_loss", "minimize", ("accuracy",)),
        ("mse", "eval_mse", "minimize", ("mse",)),
        ("{name: eval_f1}", "eval_f1", "maximize", ("f1",)),
    ],
)
def test_a_named_metric_has_one_name_and_its_natural_goal(
    metric: str, name: str, goal: str, metrics: tuple[str, ...], tmp_path: Path
) -> None:
    found = spec(tmp_path, RANDOM, f"metric={metric}")
    assert (found.metric.name, found.metric.goal) == (name, goal)
    assert found.task.metrics == metrics


@pytest.mark.parametrize(
    ("before", "after"),
    [((16, 1), (8, 2)), ((8, 2), (4, 4)), ((15, 1), (5, 3)), ((7, 2), (2, 7)), ((1, 16), None)],
)
def test_a_batch_is_halved_such_that_an_optimizer_step_keeps_its_rows(
    before: tuple[int, int], after: tuple[int, int] | None
) -> None:
    assert halved(*before) == after


@pytest.mark.parametrize("searched", ["per_device_train_batch_size", "effective_batch_size"])
def test_a_pass_takes_no_more_rows_than_it_may_and_a_step_keeps_its_own(
    tmp_path: Path, searched: str
) -> None:
    found = spec(tmp_path, RANDOM)
    config = {searched: 32}
    assert found.batch_for(config) == (32, 1)
    assert found.batch_for(config, 8) == (8, 4)
    assert found.batch_for({searched: 4}, 8) == (4, 1)
    values = found.training_for(config, at_most=4)
    assert values["per_device_train_batch_size"] == 4
    assert values["gradient_accumulation_steps"] == 8
    assert values["per_device_eval_batch_size"] == 4
    assert found.training_for(config, at_most=64)["per_device_eval_batch_size"] == 8
