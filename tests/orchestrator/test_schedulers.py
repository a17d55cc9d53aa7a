"""What every scheduler must hold; ASHA against rungs worked out by hand; Hyperband's bands."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest

from orchestrator.events import Decided, Event
from orchestrator.schedulers import (
    NEVER,
    SCHEDULERS,
    Asha,
    Fifo,
    Scheduler,
    hyperband_bands,
    make_scheduler,
    rungs,
)
from orchestrator.simulate import Simulation, simulate
from orchestrator.surfaces import LearningRateCurve
from search_spaces import EarlyTerminateSpec, SweepSpec
from tests.orchestrator.deciding import ended, name, proposed, reported, settle, sweep

SURFACE = LearningRateCurve(noise=0.01, diverges_above=5e-4)


class SchedulerContract:
    """What every scheduler must hold. A suite says how to make a sweep that uses it."""

    def spec(self, **keys: Any) -> SweepSpec:
        raise NotImplementedError

    def study(self, slots: int = 2) -> Simulation:
        study = simulate(self.spec(), SURFACE, slots=slots, commit_s=0.1)
        assert study.state.state == "finished"
        return study

    def test_a_replayed_journal_gives_the_same_decisions(self) -> None:
        events = self.study().events
        scheduler = make_scheduler(self.spec())
        again: dict[tuple[str, int], Decided] = {}
        for event in events:
            if isinstance(event, Decided):
                assert again[event.trial, event.boundary] == event
            scheduler.observe(event)
            again |= {(d.trial, d.boundary): d for d in scheduler.due()}
        assert scheduler.due() == []

    def test_each_decision_is_made_once(self) -> None:
        decided = [(e.trial, e.boundary) for e in self.study().events if isinstance(e, Decided)]
        assert len(decided) == len(set(decided))

    def test_decisions_are_made_where_trials_were_told_to_wait(self) -> None:
        scheduler = make_scheduler(self.spec())
        for event in self.study().events:
            if isinstance(event, Decided):
                assert scheduler.until(event.trial, event.boundary - 1) == event.boundary
            scheduler.observe(event)

    def test_a_report_that_comes_again_changes_no_decision_already_made(self) -> None:
        scheduler = make_scheduler(self.spec())
        for event in self.study().events:
            scheduler.observe(event)
        scheduler.observe(reported(0, 1, 0.123))
        assert scheduler.due() == []

    def test_until_is_always_ahead(self) -> None:
        scheduler = make_scheduler(self.spec())
        scheduler.observe(proposed(0, boundaries=9))
        for boundary in range(9):
            assert scheduler.until(name(0), boundary) > boundary


class TestFifo(SchedulerContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep(run_cap=6, **keys)

    def test_nobody_ever_waits(self) -> None:
        scheduler = Fifo()
        assert settle(scheduler, proposed(0), reported(0, 1, math.nan)) == []
        assert scheduler.until(name(0), 0) == NEVER


class TestAsha(SchedulerContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep(run_cap=20, epochs=9, early_terminate={"type": "asha", "eta": 3}, **keys)


class TestHyperband(SchedulerContract):
    def spec(self, **keys: Any) -> SweepSpec:
        rule = {"type": "hyperband", "eta": 3}
        return sweep(run_cap=20, epochs=9, early_terminate=rule, **keys)


class TestPopulation(SchedulerContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("pbt", population={"size": 6}, **keys)


class TestAsynchronousPopulation(SchedulerContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("pbt", population={"size": 6, "synchronous": False}, **keys)


def actions(asha: Asha, *events: Event) -> list[str]:
    return [decision.action for decision in settle(asha, *events)]


def test_asha_decides_as_worked_out_by_hand() -> None:
    # eta 3, rung 1. Up to two values nobody can be outside the best third; from three on the
    # best floor(n / 3) of those that came so far go on.
    by_hand = [
        (0.50, "continue"),  # n = 1
        (0.60, "continue"),  # n = 2
        (0.55, "stop"),  # n = 3: one goes on, 0.60 is ahead
        (0.70, "continue"),  # n = 4: one goes on
        (0.65, "stop"),  # n = 5: one goes on, 0.70 is ahead
        (0.66, "continue"),  # n = 6: two go on: 0.70, 0.66
        (0.66, "continue"),  # n = 7: two go on; the third equals the second
        (0.40, "stop"),  # n = 8
        (0.67, "continue"),  # n = 9: three go on: 0.70, 0.67, 0.66
    ]
    asha = Asha(1.0, [1, 3], 3)
    for number, (value, action) in enumerate(by_hand):
        assert actions(asha, proposed(number, boundaries=9), reported(number, 1, value)) == [action]


def test_asha_compares_only_at_the_same_rung() -> None:
    asha = Asha(1.0, [1, 3], 2)
    settle(asha, *(proposed(n, boundaries=9) for n in range(3)))
    settle(asha, reported(0, 1, 0.5), reported(0, 3, 0.9))
    assert actions(asha, reported(1, 1, 0.6)) == ["continue"]
    assert actions(asha, reported(1, 2, 0.1)) == []
    assert actions(asha, reported(1, 3, 0.8)) == ["stop"]


def test_asha_goes_down_when_less_is_better() -> None:
    asha = Asha(-1.0, [1], 2)
    settle(asha, *(proposed(n) for n in range(2)))
    assert actions(asha, reported(0, 1, 0.2), reported(1, 1, 0.3)) == ["continue", "stop"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_the_worst_and_stops_even_the_first(
    value: float | None,
) -> None:
    asha = Asha(1.0, [1], 3)
    settle(asha, *(proposed(n) for n in range(3)))
    assert actions(asha, reported(0, 1, value)) == ["stop"]
    assert actions(asha, reported(1, 1, -5.0)) == ["continue"]
    assert actions(asha, reported(2, 1, -9.0)) == ["stop"]


def test_nobody_is_stopped_at_the_trial_s_own_end() -> None:
    asha = Asha(1.0, [1, 3, 9], 3)
    settle(asha, proposed(0, boundaries=3))
    assert asha.until(name(0), 0) == 1
    assert asha.until(name(0), 1) == NEVER
    assert actions(asha, reported(0, 3, 0.1)) == []


def test_a_report_lost_before_its_decision_is_replaced_by_the_newer() -> None:
    asha = Asha(1.0, [1], 2)
    for event in (proposed(0), proposed(1), reported(0, 1, 0.5), reported(1, 1, 0.1)):
        asha.observe(event)
    asha.observe(reported(1, 1, 0.9))
    assert [d.action for d in asha.due()] == ["continue", "continue"]


def test_the_decisions_of_a_trial_that_ended_are_dropped() -> None:
    asha = Asha(1.0, [1], 2)
    for event in (proposed(0), reported(0, 1, 0.5), ended(0, "failed", "code")):
        asha.observe(event)
    assert asha.due() == []


def test_asha_spends_at_most_half_of_what_full_training_costs() -> None:
    keys = {"run_cap": 32, "epochs": 9}
    full = simulate(sweep(**keys), SURFACE)
    short = simulate(sweep(**keys, early_terminate={"type": "asha"}), SURFACE)
    assert short.seconds < full.seconds / 2
    assert full.state.best is not None
    assert short.state.best is not None
    assert short.state.best.value == pytest.approx(full.state.best.value, abs=0.02)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"min_iter": 1, "eta": 3}, (1, 3, 9, 27)),
        ({"min_iter": 3, "eta": 3}, (3, 9, 27, 81)),
        ({"min_iter": 1, "eta": 3, "s": 2}, (1, 3)),
        ({"min_iter": 1, "eta": 3, "max_iter": 27}, (1, 3, 9)),
        ({"max_iter": 27, "s": 2, "eta": 3}, (3, 9)),  # W&B's own example
        ({"max_iter": 4, "s": 5, "eta": 2}, (1, 2)),
        ({"min_iter": 1, "eta": 2.5}, (1, 2, 6, 15)),
    ],
)
def test_rungs_follow_the_keys_of_wandb(keys: dict[str, Any], expected: tuple[int, ...]) -> None:
    rule = EarlyTerminateSpec.model_validate(
        {k: float(v) if k == "eta" else v for k, v in keys.items()}
    )
    found = rungs(min_iter=rule.min_iter, max_iter=rule.max_iter, s=rule.s, eta=rule.eta)
    assert found[: len(expected)] == expected
    assert len(found) == len(expected) or rule.s is rule.max_iter is None


def test_rungs_are_whole_also_for_large_eta() -> None:
    assert rungs(min_iter=1, max_iter=None, s=4, eta=100.0) == (1, 100, 10_000, 1_000_000)


def test_bands_keep_hyperband_s_proportions_for_any_number_of_trials() -> None:
    # Two rungs, eta 3: Hyperband's brackets hold 9, 5 and 3 trials.
    band_of = hyperband_bands(2, 3)
    dealt = [band_of(number) for number in range(34)]
    assert Counter(dealt[:17]) == {0: 9, 1: 5, 2: 3}
    assert dealt[17:] == dealt[:17]
    assert {0, 1, 2} == set(dealt[:5])


def test_a_band_skips_the_lowest_rungs() -> None:
    rule = {"type": "hyperband", "eta": 3, "min_iter": 1}
    scheduler = make_scheduler(sweep(early_terminate=rule))
    for number in range(17):
        scheduler.observe(proposed(number, boundaries=9))
    first = Counter(scheduler.until(name(number), 0) for number in range(17))
    assert first == {1: 9, 3: 5, NEVER: 3}


def test_asha_stays_cheap_with_ten_thousand_trials() -> None:
    asha = Asha(1.0, [1], 3)
    rng = random.Random(0)
    decisions = settle(
        asha, *(e for n in range(3000) for e in (proposed(n), reported(n, 1, rng.random())))
    )
    share = sum(d.action == "continue" for d in decisions) / len(decisions)
    assert share == pytest.approx(1 / 3, abs=0.03)


def test_every_kind_of_early_stopping_has_its_scheduler() -> None:
    kinds = set(EarlyTerminateSpec.model_fields["type"].annotation.__args__)
    assert kinds | {"fifo", "pbt"} == set(SCHEDULERS)
    assert isinstance(make_scheduler(sweep()).search, Fifo)
    for kind in kinds:
        assert isinstance(make_scheduler(sweep(early_terminate={"type": kind})).search, Asha)


def test_only_populations_advance_together() -> None:
    def together(spec: SweepSpec) -> bool:
        scheduler: Scheduler = make_scheduler(spec)
        return scheduler.collective

    assert together(sweep("pbt"))
    assert not together(sweep(early_terminate={"type": "asha"}))
