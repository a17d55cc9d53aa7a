"""Budgets: each ends a study where it should, says which it was, and can be extended."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.budgets import boundaries_of, no_more_trials, running_seconds, used_up
from orchestrator.errors import StudyError
from orchestrator.events import (
    CheckpointLost,
    Decided,
    Event,
    SegmentStarted,
    StudyEnded,
    StudyResumed,
    StudyStarted,
    TrialEnded,
    TrialExtended,
    TrialInterrupted,
    TrialProposed,
)
from orchestrator.extending import extended_trials, going_on
from orchestrator.journal import Contents, Entry
from orchestrator.results import StudyResult
from orchestrator.retention import Retention
from orchestrator.schedulers import make_scheduler
from orchestrator.state import StudyState
from search_spaces.extending import changed
from tests.orchestrator.world import World, population, sweep

MORE = {"training_arguments.num_train_epochs": 6}


def ended(world: World, *workers: str) -> World:
    world.ready(*workers)
    world.run(*workers)
    return world


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"run_cap": 2}, "run_cap of 2 is reached"),
        ({"run_cap": 50, "budget": {"epochs": 7}}, "budget.epochs of 7 is used up: 6 are spent"),
    ],
)
def test_a_study_that_may_begin_no_more_trials_is_finished_and_says_why(
    keys: dict[str, object], words: str
) -> None:
    world = ended(World(sweep(**keys)), "a", "b")
    assert world.state.state == "finished"
    assert words in world.state.reason
    assert len(world.state.trials) == 2


def test_a_study_goes_on_where_its_run_cap_ended_it_with_the_trials_it_would_have_had() -> None:
    whole = ended(World(sweep(run_cap=6)), "a")
    first = ended(World(sweep(run_cap=3)), "a")
    longer = changed(first.spec, {"run_cap": 6})
    world = ended(World(longer, history=first.journal), "a")
    assert world.state.state == "finished"
    assert {e.trial: e.config for e in world.of(TrialProposed)} == {
        e.trial: e.config for e in whole.of(TrialProposed)
    }
    assert Counter(e.trial for e in world.of(TrialEnded)) == dict.fromkeys(whole.state.trials, 1)


def test_gpu_hours_are_counted_and_stop_the_study_at_the_next_boundaries() -> None:
    spec = sweep(run_cap=9, budget={"gpu_hours": 1})
    world = World(spec, seconds=900.0, gpus=0.5)
    world.ready("a", "b")
    world.run("a", "b")
    assert world.state.state == "stopped"
    assert world.state.reason.startswith("budget.gpu_hours of 1 is used up")
    assert 3600 <= world.state.gpu_seconds <= 3600 + 2 * 450  # one boundary more on each
    assert world.state.open_trials
    assert used_up(spec, world.state) is not None
    assert used_up(changed(spec, {"budget.gpu_hours": 2}), world.state) is None


def test_without_gpus_no_gpu_hours_are_counted() -> None:
    world = ended(World(sweep(budget={"gpu_hours": 1e-6}), seconds=900.0), "a")
    assert (world.state.state, world.state.gpu_seconds) == ("finished", 0.0)


def test_a_populations_budget_of_epochs_stops_it_and_an_extended_one_lets_it_finish() -> None:
    spec = changed(population(4), {"budget.epochs": 8})
    world = ended(World(spec), "a", "b")
    assert (world.state.state, world.state.reason) == ("stopped", "budget.epochs of 8 is used up")
    longer = changed(spec, {"budget.epochs": 16})
    again = ended(World(longer, history=world.journal), "a", "b")
    assert again.state.state == "finished"
    assert again.state.lineage() == ended(World(population(4)), "a", "b").state.lineage()


def test_a_wall_clock_counts_every_sitting_and_no_pause_between() -> None:
    started = StudyStarted(name="n", method="grid", metric="m", goal="maximize", seed=1)
    stopped, resumed = StudyEnded(state="stopped"), StudyResumed()
    times: list[tuple[float, Event]] = [
        (100.0, started),
        (130.0, stopped),
        (9000.0, resumed),
        (9005.0, stopped),
        (20.0, resumed),  # a clock that was set back
        (21.0, stopped),
    ]
    entries = [Entry(n, time, event) for n, (time, event) in enumerate(times)]
    assert running_seconds(entries) == 36.0
    assert running_seconds([]) == 0.0
    spec = sweep(budget={"wall_clock": "36s"})
    assert used_up(spec, StudyState(), 36.0) == "budget.wall_clock of 36 s is used up"
    assert used_up(spec, StudyState(), 35.0) is None
    assert no_more_trials(spec, StudyState()) is None


def test_a_limit_that_is_reached_with_the_last_trial_does_not_make_a_study_unfinished() -> None:
    world = World(sweep(run_cap=1, budget={"gpu_hours": 1}), seconds=1200.0, gpus=1)
    assert ended(world, "a").state.state == "finished"


# A population that is extended --------------------------------------------------------------


def extended(world: World) -> list[Event]:
    ends = [TrialExtended(trial=t, boundaries=6, epochs=6.0) for t in world.state.trials]
    return [StudyResumed(changes=MORE), *ends]


@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("workers", [("a",), ("a", "b"), ("a", "b", "c", "d")])
def test_an_extended_population_goes_on_from_its_last_checkpoints(
    workers: tuple[str, ...], synchronous: bool
) -> None:
    spec = population(4, synchronous=synchronous)
    first = ended(World(spec), *workers)
    assert first.state.state == "finished"
    world = World(changed(spec, MORE), history=first.journal, resumed=extended(first))
    ended(world, *workers)
    assert world.state.state == "finished"
    assert [t.boundary for t in world.state.trials.values()] == [6] * 4
    later = [e for e in world.journal[len(first.journal) :] if isinstance(e, SegmentStarted)]
    assert min(e.boundary for e in later) == 4
    compared = {d.boundary for d in world.of(Decided)}
    assert compared == {1, 2, 3, 4, 5}
    assert StudyState.of(world.journal).trials == world.state.trials


@pytest.mark.parametrize("told", range(5))
def test_an_extension_of_which_a_kill_left_only_the_first_lines_is_completed_by_the_next_resume(
    told: int,
) -> None:
    spec = population(4, synchronous=True)
    longer = changed(spec, MORE)
    first = ended(World(spec), "a", "b")
    assert len(extended_trials(longer, first.state, rows=32)) == 4
    torn = [*first.journal, *extended(first)[: 1 + told]]
    missing = extended_trials(longer, StudyState.of(torn), rows=32)
    assert missing == extended(first)[1 + told :]
    world = World(longer, history=torn, resumed=[StudyResumed(), *missing])
    ended(world, "a", "b")
    assert world.state.state == "finished"
    assert [t.boundary for t in world.state.trials.values()] == [6] * 4
    assert world.state.lineage() == ended(World(longer), "a", "b").state.lineage()
    assert extended_trials(longer, world.state, rows=32) == []


def test_only_a_populations_members_are_extended_and_none_that_failed() -> None:
    spec = population(4, synchronous=True)
    first = World(spec)
    first.ready("a", "b")
    first.take("a")
    first.fail("a")
    first.run("a", "b")
    longer = extended_trials(changed(spec, MORE), first.state, rows=32)
    failed = [t for t, r in first.state.trials.items() if r.state == "failed"]
    assert {e.trial for e in longer} == set(first.state.trials) - set(failed)
    assert extended_trials(spec, first.state, rows=32) == []
    single = ended(World(sweep()), "a")
    more = changed(single.spec, MORE)
    assert extended_trials(more, single.state, rows=32) == []


def test_a_synchronous_population_extended_has_the_lineage_of_one_that_was_as_long() -> None:
    spec = population(4, synchronous=True)
    first = ended(World(spec), "a", "b")
    world = World(changed(spec, MORE), history=first.journal, resumed=extended(first))
    whole = ended(World(changed(spec, MORE)), "a", "b")
    assert ended(world, "a", "b").state.lineage() == whole.state.lineage()


def test_a_member_whose_last_checkpoint_is_lost_trains_its_last_boundary_again() -> None:
    spec = population(4, synchronous=True)
    first = ended(World(spec), "a", "b")
    standing = first.state.standing("0002")
    lost = CheckpointLost(
        trial=standing.trial,
        boundary=standing.boundary,
        path=standing.checkpoint or "",
        reason="gone",
    )
    resumed = [*extended(first), lost]
    world = ended(World(changed(spec, MORE), history=first.journal, resumed=resumed), "a", "b")
    assert world.state.state == "finished"
    later = [e for e in world.journal[len(first.journal) :] if isinstance(e, SegmentStarted)]
    assert min(e.boundary for e in later if e.trial == "0002") == 3
    assert min(e.boundary for e in later if e.trial != "0002") == 4


def test_a_member_that_failed_stays_so() -> None:
    spec = population(4, synchronous=True)
    first = World(spec)
    first.ready("a", "b")
    first.take("a")
    first.fail("a")
    first.run("a", "b")
    alive = [t for t, r in first.state.trials.items() if r.state != "failed"]
    resumed = [e for e in extended(first) if getattr(e, "trial", alive[0]) in alive]
    world = ended(World(changed(spec, MORE), history=first.journal, resumed=resumed), "a", "b")
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 3, "failed": 1}
    assert not world.of(TrialInterrupted)


def test_a_finished_members_last_checkpoint_is_kept_for_that() -> None:
    world = ended(World(population(4, synchronous=True)), "a", "b")
    state, scheduler = StudyState(), make_scheduler(world.spec)
    retention = Retention(state, scheduler)
    deleted: set[str] = set()
    for event in world.journal:
        state.apply(event)
        scheduler.observe(event)
        retention.observe(event)
        deleted |= {c.path for c in retention.unused()}
    assert deleted
    for trial in state.trials:
        assert state.standing(trial).boundary == 4
        assert state.standing(trial).checkpoint not in deleted


# Trials that fail ---------------------------------------------------------------------------


def test_a_study_that_stopped_after_too_many_failures_goes_on_only_with_a_higher_limit() -> None:
    spec = sweep(run_cap=9, failures={"stop_after": 2})
    world = World(spec)
    world.ready("a")
    for _ in range(2):
        world.take("a")
        world.fail("a")
    world.run("a")
    reason = "failures.stop_after of 2 is reached: 2 trials failed"
    assert (world.state.state, world.state.reason) == ("stopped", reason)
    entries = tuple(Entry(n, 0.0, event) for n, event in enumerate(world.journal))
    study = StudyResult(Path("s"), spec, world.state, Contents(entries, 0, 0), running=None)
    with pytest.raises(StudyError, match=r"--set failures\.stop_after=") as raised:
        going_on(study, [])
    assert reason in str(raised.value)
    assert going_on(study, ["failures.stop_after=3"])[1] == {"failures.stop_after": 3}


@pytest.mark.parametrize(
    "batch",
    [{"effective_batch_size": 8}, {"per_device_train_batch_size": 4}],
    ids=["whole", "each"],
)
def test_boundaries_that_are_counted_in_steps_count_those_of_all_workers(
    batch: dict[str, int],
) -> None:
    arguments = {"num_train_epochs": 2, "eval_strategy": "steps", "eval_steps": 5, **batch}
    spec = sweep(training_arguments=arguments, resources={"workers": 2})
    assert boundaries_of(spec, {}, rows=80) == 4  # 10 steps of 8 rows an epoch
