"""A test split is looked at once, by a worker that is there, after the last trial has ended."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.commands import Evaluate
from orchestrator.events import (
    CheckpointLost,
    Evaluated,
    Event,
    Reported,
    StudyEnded,
    StudyResumed,
    TrialEnded,
    TrialProposed,
)
from orchestrator.segment import TrialFailure
from orchestrator.simulate import simulate
from orchestrator.state import StudyState
from orchestrator.surfaces import LearningRateCurve
from tests.orchestrator.world import World, population, sweep


def ended(spec: Any = None, **options: Any) -> World:
    """A study that came to its end with a test split of seven rows."""
    world = World(spec or sweep(), test_rows=7, **options)
    world.ready("a", "b")
    world.run("a", "b")
    return world


def test_the_selected_checkpoint_and_the_default_one_are_evaluated_once_before_the_end() -> None:
    world = ended()
    best, default = world.state.best, world.state.default
    assert best is not None and default is not None and default.best is not None
    looks = world.of(Evaluated)
    assert [look.checkpoint for look in looks] == [best.checkpoint, default.best.checkpoint]
    assert [look.trial for look in looks] == [best.trial, "0000"]
    assert (looks[0].value, looks[0].metrics) == (best.value - 0.1, {"accuracy": best.value - 0.1})
    assert (looks[0].rows, looks[0].split, looks[0].again) == (7, "test", False)
    kinds = [type(event) for event in world.journal]
    assert kinds.index(Evaluated) > max(i for i, k in enumerate(kinds) if k is TrialEnded)
    assert kinds[-1] is StudyEnded and world.state.state == "finished"


def test_the_default_configuration_that_is_the_best_is_looked_at_once() -> None:
    spec = sweep()
    world = ended(spec, value=lambda trial, config, boundary: boundary - 10 * int(trial))
    assert [look.trial for look in world.of(Evaluated)] == ["0000"]


def test_without_a_test_split_nothing_is_evaluated() -> None:
    world = World(sweep())
    world.ready("a")
    world.run("a")
    assert not world.of(Evaluated) and world.state.state == "finished"


def test_a_member_that_copied_another_is_no_default_row() -> None:
    world = ended(population(4), value=lambda t, c, b: b + int(t))
    assert world.state.trials["0000"].exploit is not None
    assert [look.trial for look in world.of(Evaluated)] == [world.state.selected.trial]  # type: ignore[union-attr]


def test_a_study_that_comes_to_nothing_evaluates_nothing() -> None:
    world = ended(value=lambda t, c, b: None)
    assert not world.of(Evaluated) and world.state.state == "failed"


def test_a_study_that_a_limit_ends_is_evaluated_and_one_that_a_person_stops_is_not() -> None:
    limited = World(sweep(budget={"gpu_hours": 0.001}), gpus=4.0, test_rows=7)
    limited.ready("a")
    limited.run("a")
    assert (limited.state.state, limited.state.reason[:16]) == ("stopped", "budget.gpu_hours")
    assert [look.checkpoint for look in limited.of(Evaluated)] == [limited.state.best.checkpoint]  # type: ignore[union-attr]
    by_hand = World(sweep(), test_rows=7)
    by_hand.ready("a")
    by_hand.take("a")
    by_hand.boundary("a")
    by_hand.dispatcher.stop("by `sweep stop`")
    by_hand.run("a")
    assert by_hand.state.state == "stopped" and not by_hand.of(Evaluated)


def test_a_study_that_is_stopped_before_its_look_is_not_finished() -> None:
    world = World(sweep(run_cap=1), test_rows=7)
    world.ready("a")
    while not isinstance(next(iter(world.commands["a"]), None), Evaluate):
        if world.take("a") is None:
            world.boundary("a")
    world.dispatcher.stop("by `sweep stop`")
    world.run("a")  # the look that is under way comes to its end
    assert len(world.of(Evaluated)) == 1 and world.state.state == "finished"


def looking(**keys: Any) -> World:
    """A study whose one worker is about to evaluate."""
    world = World(sweep(run_cap=1, **keys), test_rows=7)
    world.ready("a")
    while not world.looks:
        if world.take("a") is None:
            world.boundary("a")
    return world


def test_a_lost_worker_costs_the_look_nothing_but_time() -> None:
    world = looking()
    world.lose("a")
    world.ready("b")
    world.run("b")
    assert len(world.of(Evaluated)) == 1 and world.state.state == "finished"
    assert "evaluated again" in world.notices[0]


def test_a_look_that_cannot_be_had_is_given_up_and_the_study_is_finished() -> None:
    world = looking()
    world.looks.clear()
    world.dispatcher.not_evaluated("a", TrialFailure(kind="code", message="boom"))
    world.run("a")
    assert not world.of(Evaluated) and world.state.state == "finished"
    assert world.notices == [
        "trial 0000 on the test split could not be evaluated (code: boom); the study has no such"
        " figure. `sweep evaluate world` tries again."
    ]


def test_a_look_whose_workers_keep_dying_is_given_up() -> None:
    world = looking(failures={"max_retries": 1})
    for _ in range(2):
        world.lose("a")
        world.ready("a")
        world.take("a")
    assert world.state.state == "finished" and not world.of(Evaluated)


def test_a_worker_that_a_look_has_broken_is_given_nothing_more() -> None:
    world = looking()
    world.looks.clear()
    failure = TrialFailure(kind="infrastructure", message="the device is gone")
    world.dispatcher.not_evaluated("a", failure, usable=False)
    assert not world.commands["a"]
    world.ready("b")
    world.run("b")
    assert len(world.of(Evaluated)) == 1


def test_a_damaged_checkpoint_is_passed_over_and_the_next_best_is_looked_at() -> None:
    world = World(sweep(), test_rows=7)
    world.ready("a")
    while not world.looks:
        if world.take("a") is None:
            world.boundary("a")
    damaged = world.looks.pop("a").checkpoint
    world.dispatcher.not_evaluated("a", TrialFailure(kind="damaged", message="model is cut"))
    world.run("a")
    assert [lost.path for lost in world.of(CheckpointLost)] == [damaged]
    selected = world.state.selected
    assert selected is not None and selected.checkpoint != damaged
    assert world.of(Evaluated)[0].checkpoint == selected.checkpoint


def seen(events: tuple[Event, ...]) -> list[Any]:
    looks = [event for event in events if isinstance(event, Evaluated)]
    return [(look.trial, look.boundary, look.value, look.again) for look in looks]


@pytest.mark.parametrize("name", ["random", "pbt"])
def test_a_study_killed_anywhere_looks_once(name: str) -> None:
    spec = sweep() if name == "random" else population(3)
    whole = simulate(spec, LearningRateCurve(noise=0.01), test_rows=7)
    looks = seen(whole.events)
    assert looks
    for cut in range(1, len(whole.events)):
        history = [*whole.events[:cut], StudyResumed()]
        resumed = simulate(
            spec,
            LearningRateCurve(noise=0.01),
            history=history,
            histories=whole.histories,
            test_rows=7,
        )
        assert seen(resumed.events) == looks, cut
        assert resumed.state.state == "finished"


def extended(world: World, **after: Any) -> World:
    """The same study with room for three trials more, the first of which is far better."""
    more = world.spec.model_copy(update={"run_cap": 6})
    return World(
        more,
        value=lambda t, c, b: b + c["learning_rate"] + 10 * (t == "0003"),
        history=world.journal,
        disk=world.disk,
        test_rows=7,
        **after,
    )


def test_what_an_extended_study_selects_is_not_looked_at_by_itself() -> None:
    first = ended()
    world = extended(first)
    world.ready("a")
    world.run("a")
    assert world.state.selected is not None and world.state.selected.trial == "0003"
    assert world.of(Evaluated) == first.of(Evaluated)
    again = World(
        world.spec,
        value=world.value,
        history=world.journal,
        disk=world.disk,
        test_rows=7,
        again=True,
        trains=False,
        crowns=False,
        searching=False,
    )
    again.ready("a")
    again.run("a")
    look = again.of(Evaluated)[-1]
    assert (look.trial, look.again) == ("0003", True)
    assert again.state.state == "finished" and again.state.reason == world.state.reason
    assert len(again.of(Evaluated)) == len(first.of(Evaluated)) + 1


def test_a_stopped_study_that_is_evaluated_is_stopped_after_as_before() -> None:
    world = World(sweep(), test_rows=7)
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.dispatcher.stop("by `sweep stop`")
    world.run("a")
    before = len(world.of(Reported))
    asked = World(
        world.spec,
        history=world.journal,
        disk=world.disk,
        test_rows=7,
        trains=False,
        searching=False,
    )
    asked.ready("a", "b")
    asked.run("a", "b")
    assert len(asked.of(Evaluated)) == 1 and len(asked.of(Reported)) == before
    assert (asked.state.state, asked.state.reason) == ("stopped", "by `sweep stop`")
    resumed = World(sweep(), history=asked.journal, disk=asked.disk, test_rows=7)
    resumed.ready("a")
    resumed.run("a")
    assert resumed.state.state == "finished"
    assert [look.trial for look in resumed.of(Evaluated)] == ["0000"], "the look was had"


def test_a_simulated_study_gives_the_test_figure_too() -> None:
    study = simulate(sweep(), LearningRateCurve(), test_rows=5)
    look = next(event for event in study.events if isinstance(event, Evaluated))
    assert look.value == study.state.best.value  # type: ignore[union-attr]


def test_journals_without_evaluations_fold_as_before() -> None:
    world = World(sweep())
    world.ready("a")
    world.run("a")
    events: list[Event] = world.journal
    state = StudyState.of(events)
    assert state.evaluations == [] and state.selected == state.best
    assert state.searched == sum(isinstance(event, TrialProposed) for event in events)
