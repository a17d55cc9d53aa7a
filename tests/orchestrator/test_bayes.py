"""Bayesian search: what the sampler is told, what it proposes, and that a model pays."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.axes import axis_of, varies
from orchestrator.bayes import Bayes, softened, told_values
from orchestrator.events import Config, Event
from orchestrator.searchers import key_of, make_searcher
from orchestrator.simulate import simulate
from orchestrator.surfaces import History
from search_spaces import (
    Choice,
    Constant,
    Domain,
    IntUniform,
    LogUniform,
    Quantized,
    SweepSpec,
    Uniform,
)
from tests.orchestrator.deciding import FINITE, MIXED, ended, proposed, reported, sweep
from tests.orchestrator.test_searchers import GivenFirstContract, proposals

DOMAINS: list[Domain] = [
    Uniform(-1.0, 2.0),
    LogUniform(1e-6, 1e-3),
    IntUniform(-3, 5),
    IntUniform(1, 100_000),
    Quantized(0.05, 0.3, 0.1),
    Quantized(1, 4000, 2, log=True),
    Choice((32, 8, 16)),
    Choice(("linear", "cosine", None, True)),
]


# Axes: domains as a sampler sees them -------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    domain=st.sampled_from(DOMAINS), share=st.floats(0.0, 1.0, exclude_max=True), rng=st.randoms()
)
def test_coordinates_lead_back_to_the_value_and_never_out_of_the_domain(
    domain: Domain, share: float, rng: Any
) -> None:
    axis = axis_of(domain)
    for value in (domain.sample(rng), axis.at(share)):
        assert domain.contains(value)
        assert domain.contains(axis.decode(axis.encode(value)))
        assert axis.decode(axis.encode(value)) == pytest.approx(value) or value is None
        assert axis.distribution()._contains(
            axis.distribution().to_internal_repr(axis.encode(value))
        )
        assert axis.distance(value, value) == 0.0
        assert 0.0 <= axis.share(value) <= 1.0


def test_ordered_values_are_neighbours_by_size_and_others_are_not() -> None:
    batch = axis_of(Choice((32, 8, 16)))
    assert [batch.encode(v) for v in (8, 16, 32)] == [0, 1, 2]
    assert batch.distance(8, 16) < batch.distance(8, 32)
    kind = axis_of(Choice(("a", "b", "c")))
    assert kind.distance("a", "b") == kind.distance("a", "c") == 1.0


def test_what_has_one_value_is_not_searched() -> None:
    single: Sequence[Domain] = (Constant(3), Choice((1,)), Uniform(2.0, 2.0), IntUniform(1, 1))
    assert not any(varies(domain) for domain in (*single, Quantized(0.9, 1.1, 1.0)))
    assert all(varies(domain) for domain in DOMAINS)


# What the sampler is told --------------------------------------------------------------------


def told(*events: Event, **keys: Any) -> list[float]:
    searcher = Bayes(sweep("bayes", run_cap=20, **keys))
    for event in events:
        searcher.observe(event)
    return [value for _, value in told_values(searcher.trials.values(), searcher.spec.metric.sign)]


def life(
    number: int, *values: float | None, state: str = "finished", failure: Any = None
) -> list[Event]:
    reports = [reported(number, boundary, value) for boundary, value in enumerate(values, 1)]
    return [proposed(number), *reports, ended(number, state, failure)]


def test_a_finished_trial_counts_as_its_best_value() -> None:
    assert told(*life(0, 0.5, 0.8, 0.7)) == [0.8]


def test_less_is_told_as_more_when_the_goal_is_to_minimize() -> None:
    assert told(*life(0, 0.5, 0.2, 0.3), metric={"name": "loss", "goal": "minimize"}) == [-0.2]


def test_a_running_trial_has_no_value_yet() -> None:
    assert told(proposed(0), reported(0, 1, 0.9)) == []


def test_a_stopped_trial_is_compared_with_the_others_at_its_last_boundary() -> None:
    # At boundary 1 the stopped one was 0.1 behind the finished one, and so it is told.
    events = [*life(0, 0.6, 0.7, 0.9), *life(1, 0.5, state="stopped")]
    assert told(*events) == pytest.approx([0.9, 0.8])


def test_a_stopped_trial_counts_as_it_is_while_none_has_finished() -> None:
    assert told(*life(0, 0.6, 0.5, state="stopped")) == [0.6]


@pytest.mark.parametrize("failure", ["diverged", "code", "out_of_memory"])
def test_a_failed_trial_is_told_as_the_worst_finite_value(failure: str) -> None:
    events = [*life(0, 0.9), *life(1, 0.95, state="failed", failure=failure), *life(2, 0.4)]
    assert told(*events) == [0.9, 0.4, 0.4]


def test_a_trial_lost_to_the_machine_says_nothing_about_its_configuration() -> None:
    events = [*life(0, 0.9), *life(1, 0.5, state="failed", failure="infrastructure")]
    assert told(*events) == [0.9]


def test_nothing_is_told_while_nothing_is_finite() -> None:
    events = [*life(0, None, state="failed", failure="diverged"), *life(1, math.nan)]
    assert told(*events) == []


def test_the_gaussian_process_sees_the_same_order_with_the_far_end_squeezed() -> None:
    assert softened([0.5]) == softened([0.5, 0.5])[:1] == [0.0]
    losses = [-0.40, -0.41, -0.45, -0.42, -50.0, -1e300]
    soft = softened(losses)
    assert sorted(range(6), key=soft.__getitem__) == sorted(range(6), key=losses.__getitem__)
    assert soft[0] - soft[3] > (soft[3] - soft[4]) / 20


# What it proposes ----------------------------------------------------------------------------


class TestGaussianProcess(GivenFirstContract):
    count = 11

    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("bayes", **{"parameters": MIXED, "run_cap": 16, "sampler": "gp", **keys})


class TestTreeStructuredParzenEstimator(GivenFirstContract):
    count = 12

    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("bayes", **{"parameters": MIXED, "run_cap": 16, "sampler": "tpe", **keys})


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_finite_space_is_tried_once_through_and_then_exhausted(sampler: str) -> None:
    found = proposals(sweep("bayes", parameters=FINITE, run_cap=30, sampler=sampler), 30)
    assert len(found) == len({key_of(p.config) for p in found}) == 6


@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_trials_still_out_are_not_proposed_again(sampler: str) -> None:
    searcher = make_searcher(sweep("bayes", run_cap=30, sampler=sampler))
    configs = []
    for number in range(12):
        proposal = searcher.propose(number)
        assert proposal is not None
        configs.append(proposal.config["learning_rate"])
        searcher.observe(proposed(number, proposal.config, boundaries=1))
        if number < 8:
            value = -abs(math.log10(proposal.config["learning_rate"]) + 4.5)
            searcher.observe(reported(number, 1, value))
            searcher.observe(ended(number))
    decades = sorted(math.log10(rate) for rate in configs[8:])
    assert min(b - a for a, b in itertools.pairwise(decades)) > 1e-3


@pytest.mark.parametrize("value", [0.5, None])
def test_values_that_are_all_equal_or_missing_do_not_stop_the_search(value: float | None) -> None:
    searcher = make_searcher(sweep("bayes", run_cap=30, parameters=MIXED, sampler="gp"))
    for number in range(12):
        proposal = searcher.propose(number)
        assert proposal is not None
        searcher.observe(proposed(number, proposal.config, boundaries=1))
        searcher.observe(reported(number, 1, value))
        state = ("failed", "diverged") if value is None else ("finished", None)
        searcher.observe(ended(number, *state))


def test_nothing_to_search_is_one_trial() -> None:
    spec = sweep("bayes", run_cap=5, parameters={"optim": {"value": "adamw_torch"}})
    assert len(proposals(spec, 5)) == 1


@pytest.mark.parametrize(
    ("keys", "gp"),
    [
        ({"run_cap": 32}, True),
        ({"run_cap": 100}, False),
        ({"run_cap": 32, "early_terminate": {"type": "asha"}}, False),
        ({"run_cap": 32, "early_terminate": {"type": "asha"}, "sampler": "gp"}, True),
        ({"run_cap": 1000, "sampler": "gp"}, True),
        ({"run_cap": 32, "sampler": "tpe"}, False),
    ],
)
def test_auto_takes_the_gp_for_small_budgets_without_early_stopping(
    keys: dict[str, Any], gp: bool
) -> None:
    assert Bayes(sweep("bayes", **keys)).wants_gp(20) == gp


def test_auto_turns_to_tpe_when_a_study_without_a_limit_grows() -> None:
    searcher = Bayes(sweep("bayes"))
    assert searcher.wants_gp(99)
    assert not searcher.wants_gp(100)


class Ridge:
    """One boundary; a best learning rate that depends on the batch size, and a useless name."""

    def value(self, history: History) -> float | None:
        config: Config = history[-1]
        best = -4.9 + 0.3 * math.log2(config["per_device_train_batch_size"] / 8)
        return 0.9 - 0.1 * (math.log10(config["learning_rate"]) - best) ** 2

    def seconds(self, config: Config) -> float:
        return 1.0


def test_a_gaussian_process_beats_random_search_in_the_mean() -> None:
    space = {k: MIXED[k] for k in ("learning_rate", "per_device_train_batch_size", "weight_decay")}

    def regrets(method: str) -> list[float]:
        keys: dict[str, Any] = {"epochs": 1, "run_cap": 16, "default_first": False}
        studies = (
            simulate(sweep(method, seed=seed, parameters=space, **keys), Ridge(), slots=2)
            for seed in range(3)
        )
        return [0.9 - s.state.best.value for s in studies if s.state.best is not None]

    assert statistics.mean(regrets("bayes")) < statistics.mean(regrets("random")) / 2
