"""What a method will train, worked out beforehand, and one budget for all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.simulate import simulate
from orchestrator.surfaces import LearningRateCurve
from search_spaces import SweepSpec, read_sweep
from sweeps.comparing.epochs import Planned, epochs_text, fitting_population, planned, unequal
from tests.comparing.files import write_file


def spec(folder: Path, method: str, *overrides: str) -> SweepSpec:
    return read_sweep(write_file(folder, method), overrides).spec


@pytest.mark.parametrize(
    ("method", "overrides", "epochs"),
    [
        ("grid", [], 8),
        ("grid", ["parameters.num_train_epochs={values: [1, 2, 6]}"], 36),
        ("bayes", [], 8),
        ("bayes", ["budget.epochs=7"], 6),
        ("random", ["run_cap=null", "budget.epochs=9"], 8),
        ("random", ["parameters.learning_rate={values: [0.001, 0.002]}"], 4),
        ("pbt", [], 8),
        ("pbt", ["population.size=6", "training_arguments.num_train_epochs=5"], 30),
        ("pbt", ["budget.epochs=5"], 5),
    ],
)
def test_the_epochs_of_each_method_are_known_beforehand(
    tmp_path: Path, method: str, overrides: list[str], epochs: float
) -> None:
    plan = planned(spec(tmp_path, method, *overrides))
    assert (plan.low, plan.high) == (epochs, epochs)


@pytest.mark.parametrize(
    ("method", "searched"),
    [(m, s) for m in ("grid", "random", "bayes", "pbt") for s in (False, True)][:-1],
)
def test_what_is_planned_is_what_the_engine_then_trains(
    tmp_path: Path, method: str, searched: bool
) -> None:
    overrides = ["parameters.num_train_epochs={values: [1, 2, 3]}"] if searched else []
    if method in ("random", "bayes"):
        overrides += ["run_cap=null", "budget.epochs=14"]
    given_spec = spec(tmp_path, method, *overrides)
    plan = planned(given_spec)
    state = simulate(given_spec, LearningRateCurve()).state
    trained = sum(t.epochs_done for t in state.trials.values() if t.in_search)
    assert plan.low <= trained <= plan.high
    if method != "bayes":
        assert plan.low == plan.high


def test_early_stopping_makes_it_an_upper_bound(tmp_path: Path) -> None:
    plan = planned(spec(tmp_path, "random", "early_terminate={type: asha, min_iter: 1}"))
    assert plan.at_most and epochs_text(plan) == "at most 8"


def test_a_budget_of_time_alone_is_without_limit(tmp_path: Path) -> None:
    plan = planned(spec(tmp_path, "random", "run_cap=null", "budget.wall_clock=1h"))
    assert plan.high == math.inf and epochs_text(plan) == "without limit"


@pytest.mark.parametrize(
    ("size", "epochs", "budget", "fits"),
    [
        (4, 4, 16, (4, 4)),
        (4, 8, 48, (6, 8)),
        (8, 2, 16, (8, 2)),
        (8, 3, 16, (8, 2)),
        (8, 3, 15.5, (5, 3)),
        (4, 8, 17, (2, 8)),
        (4, 8, 15, (3, 5)),
        (4, 8, 3, None),
    ],
)
def test_a_population_is_fitted_to_the_budget(
    tmp_path: Path, size: int, epochs: int, budget: float, fits: tuple[int, float] | None
) -> None:
    given_spec = spec(
        tmp_path, "pbt", f"population.size={size}", f"training_arguments.num_train_epochs={epochs}"
    )
    assert fitting_population(given_spec, budget) == fits


@settings(deadline=None)
@given(
    size=st.integers(2, 40),
    epochs=st.integers(2, 20),
    interval=st.integers(1, 3),
    budget=st.floats(1, 2000),
)
def test_a_fitted_population_never_costs_more_and_every_member_can_change(
    tmp_path_factory: pytest.TempPathFactory, size: int, epochs: int, interval: int, budget: float
) -> None:
    data = spec(tmp_path_factory.getbasetemp(), "pbt").model_dump(mode="json")
    data["population"] |= {"size": size, "interval": interval}
    data["training_arguments"]["num_train_epochs"] = epochs
    fitted = fitting_population(SweepSpec.model_validate(data), budget)
    if fitted is None:
        assert budget < 2 * max(epochs, interval + 1) or epochs <= interval
        return
    members, each = fitted
    assert members >= 2 and each > interval
    assert members * each <= budget * (1 + 1e-9)
    least = interval + 1
    if budget >= 40 * least:  # room enough for a choice
        assert members * each >= 0.95 * budget


def plan(epochs: float, high: float | None = None) -> Planned:
    return Planned(4, (2.0, 2.0), epochs, epochs if high is None else high)


def test_budgets_within_five_percent_are_equal_and_others_are_told() -> None:
    assert unequal({"grid search": plan(16), "population-based training": plan(15.3)}) is None
    told = unequal({"grid search": plan(16), "population-based training": plan(20)})
    assert told is not None and "differ by up to 20 %" in told
    assert "grid search 16, population-based training 20" in told
    assert unequal({"grid search": plan(16)}) is None


def test_a_budget_without_limit_or_with_wide_bounds_is_told() -> None:
    assert "without limit" in (unequal({"a": plan(16), "b": plan(math.inf)}) or "")
    assert "14 to 18" in (unequal({"a": plan(16), "b": plan(14, 18)}) or "")
