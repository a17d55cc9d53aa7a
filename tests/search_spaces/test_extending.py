"""What may change about a study that has begun, and how it is read."""

from __future__ import annotations

import re

import pytest

from search_spaces import SpecError, SweepSpec
from search_spaces.extending import changed, read_changes
from tests.orchestrator.world import population, sweep


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("run_cap=9", 9),
        ("budget.epochs=128", 128),
        ("budget.wall_clock=4h", "4h"),
        ("budget.gpu_hours=2.5", 2.5),
        ("failures.stop_after=7", 7),
        ("failures.on_oom=halve_batch", "halve_batch"),
        ("resources.max_concurrent=auto", "auto"),
    ],
)
def test_limits_may_change(override: str, value: object) -> None:
    key = override.partition("=")[0]
    spec = sweep(resources={"max_concurrent": 2})
    changes = read_changes(spec, [override])
    assert changes == {key: value}
    assert changed(spec, changes) != spec


def test_changes_are_put_over_one_another_and_null_takes_a_limit_away() -> None:
    spec = sweep(budget={"wall_clock": "1h", "epochs": 10})
    once = changed(spec, read_changes(spec, ["budget.wall_clock=2h", "budget.epochs=null"]))
    assert (once.budget.wall_clock_s, once.budget.epochs) == (7200.0, None)
    assert changed(spec, {}) == spec


def test_what_is_so_already_changes_nothing() -> None:
    assert read_changes(sweep(), ["run_cap=3"]) == {}
    assert read_changes(sweep(), []) == {}


@pytest.mark.parametrize(
    ("spec", "override", "words"),
    [
        (sweep(), "seed=2", r"--set seed=2: seed: cannot change: .*these can: run_cap"),
        (sweep(), "task.model=other", "cannot change"),
        (sweep(), "parameters.learning_rate.max=2", "cannot change"),
        (sweep(), "training_arguments.num_train_epochs=9", "cannot change"),
        (sweep(), "budget={epochs: 3}", "cannot change"),
        (sweep(), "run_cap=many", "run_cap: must be a whole number"),
        (sweep(), "budget.wall_clock=soon", "must be a duration above 0"),
        (sweep(), "run_cap", "must be a dotted key"),
        (sweep(), "run_cap=null", "for ever"),
        (population(4), "run_cap=9", "a population keeps its size"),
        (population(4), "training_arguments.num_train_epochs=4", "more than the 4 epochs"),
        (population(4), "training_arguments.num_train_epochs=x", "more than the 4 epochs"),
        (population(4), "training_arguments.num_train_epochs=5.5", "must stay where they are"),
    ],
)
def test_what_a_trial_is_may_not_change(spec: SweepSpec, override: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_changes(spec, [override])
    text = " ".join(caught.value.render().split())
    assert re.search(words, text), text
    assert caught.value.exit_code == 2


def test_a_grid_has_no_more_trials() -> None:
    grid = sweep(method="grid", parameters={"learning_rate": {"values": [0.1, 0.2]}})
    with pytest.raises(SpecError, match="a grid tries every point"):
        read_changes(grid, ["run_cap=9"])


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        read_changes(sweep(), ["seed=2", "name=x"])
    assert len(caught.value.faults) == 2


def test_more_epochs_of_a_population_are_more_boundaries() -> None:
    spec = population(4)
    longer = changed(spec, read_changes(spec, ["training_arguments.num_train_epochs=6"]))
    assert (spec.boundaries({}), longer.boundaries({})) == (4, 6)


def test_boundaries_that_are_fractions_stay_where_they_are() -> None:
    steps = {"num_train_epochs": 2, "eval_strategy": "steps", "eval_steps": 0.25}
    spec = sweep(method="pbt", population={"size": 4}, training=steps)
    longer = changed(spec, read_changes(spec, ["training_arguments.num_train_epochs=3"]))
    assert longer.boundaries({}) == 6
    with pytest.raises(SpecError, match="must stay where they are"):
        read_changes(spec, ["training_arguments.num_train_epochs=2.3"])
