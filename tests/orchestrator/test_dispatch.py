"""The dispatcher: who trains what next, under every fault, on hand-driven workers."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.commands import GoOn, Leave, Release, Train
from orchestrator.events import (
    BatchHalved,
    CheckpointCommitted,
    Decided,
    Reported,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialInterrupted,
    TrialProposed,
)
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from tests.orchestrator.world import World, population, sweep


def test_every_trial_trains_to_its_end_once() -> None:
    world = World(sweep())
    world.ready("a", "b")
    world.run("a", "b")
    assert [t.state for t in world.state.trials.values()] == ["finished"] * 3
    assert [(r.trial, r.boundary) for r in sorted(world.of(Reported), key=lambda r: r.trial)] == [
        (trial, boundary) for trial in ("0000", "0001", "0002") for boundary in (1, 2, 3)
    ]
    assert world.state.state == "finished"
    assert len(world.of(StudyEnded)) == 1


def test_independent_trials_run_to_their_end_without_asking_back() -> None:
    world = World(sweep())
    world.ready("a")
    command = world.commands["a"][0]
    assert isinstance(command, Train) and command.until >= 3


def test_the_journal_folds_to_the_live_state() -> None:
    world = World(population(4, synchronous=True))
    world.ready("a", "b")
    world.run("a", "b")
    replayed = StudyState.of(world.journal)
    assert replayed.trials == world.state.trials
    assert replayed.best == world.state.best
    assert replayed.lineage() == world.state.lineage()


def test_a_trial_ends_only_after_all_it_had_to_write_is_written() -> None:
    world = World(sweep(run_cap=1))
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.boundary("a")
    segment = world.at["a"][0]
    world.report("a")
    assert isinstance(world.commands["a"][-1], Leave)
    assert not world.of(TrialEnded)
    world.commit("a", segment, 3)
    assert not world.of(TrialEnded)
    world.run("a")
    kinds = [type(event) for event in world.journal]
    assert kinds.index(TrialEnded) > max(i for i, k in enumerate(kinds) if k is CheckpointCommitted)


def test_a_lost_worker_sets_only_its_trial_back_to_its_last_commit() -> None:
    world = World(sweep())
    world.ready("a", "b")
    for worker in ("a", "b"):
        world.take(worker)
        world.boundary(worker)
    world.report("a")  # boundary 2, never committed
    world.lose("a")
    assert [event.trial for event in world.of(TrialInterrupted)] == ["0000"]
    world.ready("a")
    command = world.commands["a"][0]
    assert isinstance(command, Train)
    assert (command.segment.trial, command.segment.start) == ("0000", 1)
    assert command.segment.checkpoint == "trials/0000/checkpoints/0-1"
    world.run("a", "b")
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 3}


def test_a_worker_that_comes_back_unannounced_counts_as_lost() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.ready("a")
    assert [event.trial for event in world.of(TrialInterrupted)] == ["0000"]
    world.run("a")
    assert world.state.state == "finished"


def test_a_trial_that_loses_its_worker_too_often_fails_and_the_others_go_on() -> None:
    world = World(sweep(failures={"max_retries": 1}))
    for _ in range(2):
        world.ready("a")
        world.take("a")
        assert world.at["a"][0].trial == "0000"
        world.lose("a")
    world.ready("a")
    world.run("a")
    assert [t.state for t in world.state.trials.values()] == ["failed", "finished", "finished"]
    assert world.state.trials["0000"].failure == "infrastructure"


def test_a_failed_trial_frees_its_worker_and_takes_nobody_along() -> None:
    world = World(sweep())
    world.ready("a", "b")
    world.take("a")
    world.fail("a")
    world.run("a", "b")
    failed = world.state.trials["0000"]
    assert (failed.state, failed.failure, failed.log) == ("failed", "code", "log")
    assert world.state.state == "finished"


def test_a_diverged_trial_is_left_at_once() -> None:
    world = World(sweep(), value=lambda t, c, b: None if t == "0000" and b == 2 else 0.5)
    world.ready("a")
    world.run("a")
    assert world.state.trials["0000"].failure == "diverged"
    assert max(r.boundary for r in world.of(Reported) if r.trial == "0000") == 2


def test_what_a_trial_reached_before_it_diverged_counts_and_nothing_after() -> None:
    world = World(sweep(), value=lambda t, c, b: None if t == "0000" and b == 2 else 0.1 * b)
    world.value = lambda t, c, b: (0.9 if b == 1 else None) if t == "0000" else 0.1 * b
    world.ready("a")
    world.run("a")
    best = world.state.best
    assert best is not None and (best.trial, best.boundary, best.value) == ("0000", 1, 0.9)


def test_what_a_trial_is_not_to_blame_for_is_retried() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.fail("a", "infrastructure")
    assert [event.trial for event in world.of(TrialInterrupted)] == ["0000"]
    world.run("a")
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 3}


def test_a_worker_that_cannot_go_on_is_given_no_trial() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.fail("a", usable=False)
    assert not world.commands["a"]
    world.lose("a")
    world.ready("a")
    world.run("a")
    assert [t.retries for t in world.state.trials.values()] == [0, 0, 0]
    assert [t.state for t in world.state.trials.values()] == ["failed", "finished", "finished"]


def test_a_study_whose_every_trial_diverges_has_failed() -> None:
    world = World(sweep(), value=lambda t, c, b: None)
    world.ready("a")
    world.run("a")
    assert (world.state.state, world.state.best) == ("failed", None)


def test_a_worker_that_comes_up_after_the_end_is_released() -> None:
    world = World(sweep(run_cap=1))
    world.ready("a")
    world.run("a")
    world.ready("late")
    assert isinstance(world.commands["late"][0], Release)


def test_stop_lets_running_trials_come_to_their_next_boundary_and_leaves_them_resumable() -> None:
    world = World(sweep())
    world.ready("a", "b")
    for worker in ("a", "b"):
        world.take(worker)
    world.dispatcher.stop("budget.wall_clock")
    assert isinstance(world.commands["a"][0], GoOn)
    for worker in ("a", "b"):
        world.boundary(worker)
    world.run("a", "b")
    assert world.state.state == "stopped" and world.state.reason == "budget.wall_clock"
    assert not world.of(TrialEnded)
    assert [t.boundary for t in world.state.trials.values()] == [1, 1]


def test_a_worker_that_stop_reaches_too_late_is_told_to_leave_once() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.dispatcher.stop("enough")
    world.report("a")
    world.report("a")  # it was under way when the command came
    assert sum(isinstance(c, Leave) for c in world.commands["a"]) == 1


def test_too_many_failed_trials_stop_the_study() -> None:
    world = World(sweep(run_cap=9, failures={"stop_after": 2}))
    world.ready("a")
    for _ in range(2):
        world.take("a")
        world.fail("a")
    world.run("a")
    assert world.state.state == "stopped"
    assert len(world.state.trials) == 2


def test_no_trial_is_begun_that_the_budget_of_epochs_does_not_pay_for() -> None:
    world = World(sweep(run_cap=50, budget={"epochs": 10}))
    world.ready("a", "b")
    world.run("a", "b")
    assert len(world.state.trials) == 3
    assert sum(t.epochs_done for t in world.state.trials.values()) == 9


@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 6])
def test_a_population_finishes_with_any_number_of_workers(workers: int, synchronous: bool) -> None:
    names = [f"w{i}" for i in range(workers)]
    world = World(population(4, synchronous=synchronous))
    world.ready(*names)
    world.run(*names)
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 4}
    assert world.state.lineage() or not synchronous


def test_a_synchronous_population_has_one_lineage_whatever_the_slots() -> None:
    lineages = []
    for names in (("a",), ("a", "b"), ("a", "b", "c", "d")):
        world = World(population(4, synchronous=True))
        world.ready(*names)
        world.run(*names)
        lineages.append(world.state.lineage())
    assert lineages[0] == lineages[1] == lineages[2] != []


def test_an_exploit_starts_from_the_donors_committed_checkpoint_of_the_same_boundary() -> None:
    world = World(population(4, synchronous=True))
    world.ready("a", "b")
    world.run("a", "b")
    committed = {(c.trial, c.boundary): c for c in world.of(CheckpointCommitted)}
    exploits = {(d.trial, d.boundary): d for d in world.of(Decided) if d.action == "exploit"}
    started = [s for s in world.of(SegmentStarted) if s.start_trial not in (None, s.trial)]
    assert len(started) == len(exploits) > 0
    for start in started:
        decision = exploits[start.trial, start.boundary]
        assert start.start_trial == decision.donor
        assert start.config == decision.config
        assert start.start_checkpoint == committed[decision.donor, start.boundary].path


def test_members_that_fit_the_slots_stay_where_they_are() -> None:
    world = World(population(2, synchronous=True))
    world.ready("a", "b")
    world.run("a", "b")
    homes = {
        s.trial: {e.worker for e in world.of(SegmentStarted) if e.trial == s.trial}
        for s in world.of(SegmentStarted)
    }
    assert all(len(workers) == 1 for workers in homes.values())


def test_the_best_of_a_lineage_is_the_donors_until_it_is_beaten() -> None:
    values = {"0000": 0.1, "0001": 0.9}
    world = World(
        population(2, synchronous=True),
        value=lambda t, c, b: values[t] if b == 1 else 0.2,
    )
    world.ready("a", "b")
    world.run("a", "b")
    best = world.state.trials["0000"].best
    assert best is not None and best.value == 0.9
    assert best.checkpoint == "trials/0001/checkpoints/0-1"


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_member_that_fails_does_not_stall_its_population(synchronous: bool) -> None:
    world = World(population(4, synchronous=synchronous))
    world.ready("a", "b")
    world.take("a")
    world.fail("a")
    world.run("a", "b")
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 3, "failed": 1}


@pytest.mark.parametrize("cut", range(1, 60, 3))
@pytest.mark.parametrize("spec", [sweep(), population(4, synchronous=True)], ids=["random", "pbt"])
def test_a_study_cut_off_anywhere_ends_as_if_it_had_not_been(spec: SweepSpec, cut: int) -> None:
    whole = World(spec)
    whole.ready("a", "b")
    whole.run("a", "b")
    first = World(spec)
    first.ready("a", "b")
    first.run("a", "b")
    history = first.journal[: min(cut, len(first.journal) - 1)]
    resumed = World(spec, history=history)
    resumed.ready("a", "b")
    resumed.run("a", "b")
    assert resumed.state.state == "finished"
    configs = {p.trial: p.config for p in whole.of(TrialProposed)}
    assert {p.trial: p.config for p in resumed.of(TrialProposed)} == configs
    assert resumed.state.lineage() == whole.state.lineage()
    ended = [event.trial for event in resumed.of(TrialEnded)]
    assert sorted(ended) == sorted(set(ended)) == sorted(configs)
    finished_before = {event.trial for event in history if isinstance(event, TrialEnded)}
    again = {s.trial for s in resumed.journal[len(history) :] if isinstance(s, SegmentStarted)}
    assert not finished_before & again


def test_a_trial_that_hangs_is_tried_once_more_and_then_fails_with_its_stack() -> None:
    world = World(sweep(failures={"max_retries": 5}))
    for _ in range(2):
        world.ready("a")
        world.take("a")
        world.lose("a", "hung")
    world.ready("a")
    world.run("a")
    first = world.state.trials["0000"]
    assert (first.state, first.failure, first.log) == ("failed", "hung", "stacks")
    assert "given up after 1 retry" in first.message
    assert [event.failure for event in world.of(TrialInterrupted)] == ["hung"]
    assert world.of(TrialInterrupted)[0].log == "stacks"
    assert [t.state for t in world.state.trials.values()][1:] == ["finished", "finished"]


def test_hangs_and_lost_workers_are_counted_apart() -> None:
    world = World(sweep(run_cap=1, failures={"max_retries": 2}))
    for kind in ("infrastructure", "hung", "infrastructure"):
        world.ready("a")
        world.take("a")
        world.lose("a", kind)
    world.ready("a")
    world.run("a")
    assert world.state.trials["0000"].state == "finished"
    assert world.state.trials["0000"].retries == 3


def test_a_worker_is_told_how_long_it_may_make_no_progress() -> None:
    def told(spec: SweepSpec, seconds: float) -> float:
        world = World(spec, seconds=seconds)
        world.ready("a")
        world.run("a")
        world = World(spec, history=world.journal[:-1], seconds=seconds)
        world.dispatcher.proposed(9, {"learning_rate": 0.1})
        world.ready("a")
        command = world.commands["a"][0]
        assert isinstance(command, Train)
        return command.hung_after_s

    assert told(sweep(), 1.0) == 600.0
    assert told(sweep(), 100.0) == 1000.0
    assert told(sweep(failures={"hung_after": "90s"}), 100.0) == 90.0


HALVE = {"on_oom": "halve_batch"}


def test_a_trial_that_runs_out_of_memory_goes_on_with_half_its_batch_and_the_same_steps() -> None:
    spec = sweep(failures=HALVE, training={"per_device_train_batch_size": 16})
    world = World(spec)
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.fail("a", "out_of_memory")
    command = world.take("a")
    assert isinstance(command, Train)
    assert (command.segment.trial, command.segment.start) == ("0000", 1)
    assert command.segment.batch_at_most == 8
    assert command.segment.checkpoint == "trials/0000/checkpoints/0-1"
    world.fail("a", "out_of_memory")
    world.run("a")
    halvings = [(e.trial, e.per_device, e.accumulation) for e in world.of(BatchHalved)]
    assert halvings == [("0000", 8, 2), ("0000", 4, 4)]
    assert Counter(t.state for t in world.state.trials.values()) == {"finished": 3}
    assert [t.batch_at_most for t in world.state.trials.values()] == [4, None, None]
    assert StudyState.of(world.journal).trials == world.state.trials


def test_a_batch_of_one_row_cannot_be_halved() -> None:
    spec = sweep(failures=HALVE, training={"per_device_train_batch_size": 3})
    world = World(spec)
    world.ready("a")
    for _ in range(2):
        world.take("a")
        world.fail("a", "out_of_memory")
    world.run("a")
    assert [(e.per_device, e.accumulation) for e in world.of(BatchHalved)] == [(1, 3)]
    first = world.state.trials["0000"]
    assert (first.state, first.failure) == ("failed", "out_of_memory")


def test_without_halving_a_trial_that_runs_out_of_memory_has_failed_at_once() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.fail("a", "out_of_memory")
    world.run("a")
    assert not world.of(BatchHalved) and not world.of(TrialInterrupted)
    assert world.state.trials["0000"].failure == "out_of_memory"


@pytest.mark.parametrize("rule", ["skip", "halve_batch"])
def test_a_process_that_was_ended_for_memory_is_no_lost_worker(rule: str) -> None:
    world = World(sweep(failures={"on_oom": rule}))
    world.ready("a", "b")
    world.take("a")
    world.take("b")
    world.lose("a", "out_of_memory")
    world.ready("a")
    world.run("a", "b")
    assert not world.of(TrialInterrupted)
    states = [t.state for t in world.state.trials.values()]
    assert states == ["failed" if rule == "skip" else "finished", "finished", "finished"]
    assert len(world.of(BatchHalved)) == (rule == "halve_batch")


def test_a_member_that_ran_out_of_memory_keeps_its_small_batch_when_it_copies_a_donor() -> None:
    spec = population(4, synchronous=True)
    failures = spec.failures.model_copy(update=HALVE)
    world = World(spec.model_copy(update={"failures": failures}))
    world.ready("a")
    world.take("a")
    world.fail("a", "out_of_memory")
    world.run("a")
    assert world.state.state == "finished" and world.state.lineage()
    assert world.state.trials["0000"].batch_at_most == 4


def test_a_study_whose_every_trial_diverges_says_so() -> None:
    world = World(sweep(), value=lambda t, c, b: None)
    world.ready("a")
    world.run("a")
    assert world.state.state == "failed"
    assert world.state.reason.startswith("every trial diverged (3)")


def test_a_study_without_a_usable_result_says_how_its_trials_failed() -> None:
    world = World(sweep(run_cap=2), value=lambda t, c, b: None)
    world.ready("a")
    world.take("a")
    world.fail("a")
    world.run("a")
    assert world.state.reason == "no trial reached a usable result; failed: 1 code, 1 diverged"


def test_a_metric_that_nobody_computes_ends_the_study_at_its_first_boundary() -> None:
    world = World(sweep(run_cap=9))
    world.ready("a", "b")
    world.take("a")
    world.take("b")
    world.fail("a", "no_metric")
    world.fail("b", "no_metric")
    world.run("a", "b")
    assert (world.state.state, world.state.reason) == ("failed", "boom")
    assert [t.failure for t in world.state.trials.values()] == ["code", "code"]


def test_a_worker_that_dies_with_an_old_commit_does_not_hit_the_trial_that_another_trains() -> None:
    spec = population(2, synchronous=True)
    spec = spec.model_copy(update={"failures": spec.failures.model_copy(update={"max_retries": 0})})
    world = World(spec, value=lambda t, c, b: float(t))
    world.ready("w0")
    world.take("w0")
    world.report("w0")  # 0000 is to copy 0001, and its own commit of boundary 1 never comes
    first = world.at["w0"][0]
    assert first.trial == "0000"
    world.take("w0")
    assert world.at["w0"][0].trial == "0001"
    world.boundary("w0")
    world.ready("w1")
    for worker in ("w0", "w1"):
        while world.take(worker) is not None:
            pass
    holders = {segment.trial: worker for worker, (segment, _) in world.at.items()}
    assert holders["0000"] == "w1"
    world.lose("w0")
    assert world.state.trials["0000"].retries == 0
    assert world.state.trials["0000"].state == "running"
    world.run("w1")
    assert world.state.trials["0000"].state == "finished"


# Without workers --------------------------------------------------------------------------


def test_a_study_that_lost_its_workers_can_be_stopped() -> None:
    world = World(sweep())
    world.ready("a", "b")
    world.take("a")
    world.lose("a")
    world.lose("b")
    assert not world.dispatcher.over
    world.dispatcher.stop("by `sweep stop`")
    assert (world.state.state, world.state.reason) == ("stopped", "by `sweep stop`")


def test_a_study_whose_last_trial_ends_with_its_worker_is_over() -> None:
    world = World(sweep(run_cap=1))
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.fail("a", usable=False)
    assert world.state.state == "finished"


def test_a_study_that_lost_its_workers_waits_for_others_as_long_as_there_is_work() -> None:
    world = World(sweep())
    world.ready("a")
    world.take("a")
    world.boundary("a")
    world.lose("a")
    assert not world.dispatcher.over
    world.ready("a")
    world.run("a")
    assert world.state.state == "finished"


def test_a_study_that_is_stopped_between_a_question_and_its_answer_ends_after_the_answer() -> None:
    world = World(sweep())
    asked: list[int] = []
    world.dispatcher._propose = asked.append
    world.ready("a")
    world.lose("a")
    world.dispatcher.stop("by `sweep stop`")
    assert not world.dispatcher.over
    world.dispatcher.proposed(asked[0], {"learning_rate": 0.5})
    assert world.state.state == "stopped"
