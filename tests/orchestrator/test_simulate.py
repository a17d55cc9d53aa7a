"""A study on a virtual clock is repeatable, keeps its own time, and can be taken up again."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.events import Decided, Event, Reported, StudyResumed, TrialEnded, TrialProposed
from orchestrator.segment import TrialFailure
from orchestrator.simulate import simulate
from orchestrator.surfaces import History, LearningRateCurve
from search_spaces import SweepSpec
from tests.orchestrator.deciding import FINITE, sweep

SURFACE = LearningRateCurve(noise=0.01)
STUDIES: dict[str, SweepSpec] = {
    "grid": sweep("grid", parameters={**FINITE, "learning_rate": {"values": [1e-5, 1e-4]}}),
    "random": sweep("random", run_cap=7),
    "bayes": sweep("bayes", run_cap=7, sampler="tpe"),
    "asha": sweep("random", run_cap=12, epochs=9, early_terminate={"type": "asha"}),
    "hyperband": sweep("random", run_cap=12, epochs=9, early_terminate={"type": "hyperband"}),
    "pbt": sweep("pbt"),
    "asynchronous pbt": sweep("pbt", population={"size": 4, "synchronous": False}),
}


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("slots", [1, 3])
def test_the_same_study_gives_the_same_journal(name: str, slots: int) -> None:
    first = simulate(STUDIES[name], SURFACE, slots=slots, commit_s=0.2)
    assert first.state.state == "finished"
    assert first.events == simulate(STUDIES[name], SURFACE, slots=slots, commit_s=0.2).events


def test_the_clock_counts_training_over_the_slots() -> None:
    spec = sweep("random", run_cap=6)
    assert simulate(spec, SURFACE).seconds == pytest.approx(24)
    assert simulate(spec, SURFACE, slots=3).seconds == pytest.approx(8)
    assert simulate(spec, LearningRateCurve(seconds_per_boundary=10.0)).seconds == 240


def test_the_best_checkpoint_knows_the_configurations_that_made_it() -> None:
    study = simulate(sweep("pbt", population={"size": 8}), SURFACE, slots=2)
    assert study.best_history is not None
    assert study.state.best is not None
    assert SURFACE.value(study.best_history) == study.state.best.value
    assert study.best_history[-1] == study.state.best.config


def test_a_trial_that_fails_does_not_take_others_with_it() -> None:
    class Breaks(LearningRateCurve):
        def value(self, history: History) -> float | TrialFailure | None:
            if history[-1]["learning_rate"] > 1e-4:
                return TrialFailure(kind="code", message="boom")
            return super().value(history)

    study = simulate(sweep("random", run_cap=12), Breaks(), slots=2)
    states = [event.state for event in study.events if isinstance(event, TrialEnded)]
    assert study.state.state == "finished"
    assert set(states) == {"finished", "failed"}
    assert len(states) == 12


def test_a_learning_rate_that_diverges_is_never_best() -> None:
    surface = LearningRateCurve(best=1e-3, diverges_above=1e-4)
    study = simulate(sweep("random", run_cap=20), surface, slots=2)
    assert study.state.best is not None
    assert study.state.best.config["learning_rate"] <= 1e-4
    failures = {t.failure for t in study.state.with_state("failed")}
    assert failures == {"diverged"}


def results(events: tuple[Event, ...]) -> dict[Any, Any]:
    """What must not depend on an interruption: proposals, decisions, values."""
    found: dict[Any, Any] = {}
    for event in events:
        match event:
            case TrialProposed():
                found[event.trial] = (event.config, event.origin)
            case Decided():
                found[event.trial, event.boundary, "decided"] = (event.action, event.config)
            case Reported():
                found[event.trial, event.boundary] = event.value
    return found


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "asynchronous pbt"])
def test_a_study_cut_off_anywhere_goes_on_to_the_same_results(name: str) -> None:
    """One slot: the resumed study proposes, decides and measures what the whole one did."""
    whole = simulate(STUDIES[name], SURFACE)
    count = len(whole.events)
    for cut in range(1, count - 1, max(1, count // 12)):
        history = [*whole.events[:cut], StudyResumed()]
        resumed = simulate(STUDIES[name], SURFACE, history=history, histories=whole.histories)
        assert resumed.state.state == "finished"
        assert results(resumed.events) == results(whole.events)
