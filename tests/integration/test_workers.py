"""Real Ray, scripted ranks: workers stay warm, come back when killed, and take nobody along."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.errors import StudyError, Unfit, Unreachable
from orchestrator.events import Event, Reported, SegmentStarted, TrialInterrupted
from orchestrator.results import StudyResult
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import BoundaryReport
from orchestrator.state import StudyState
from orchestrator.study import run_study
from orchestrator.trial_failures import trial_error
from search_spaces import Sweep, SweepSpec
from tests.integration.conftest import Run, toy

SCRIPTED = {
    "make_rank": functools.partial(ScriptedRank, seconds=0.3),
}


def pids(events: list[Event]) -> dict[str, set[int]]:
    """Worker -> the process ids it had."""
    found: dict[str, set[int]] = {}
    for event in events:
        if isinstance(event, SegmentStarted):
            found.setdefault(event.worker, set()).add(event.pid)
    return found


def assert_warm(events: list[Event]) -> None:
    """Each worker had one process; a slow machine may end the study before both are up."""
    assert 1 <= len(pids(events)) <= 2
    assert all(len(processes) == 1 for processes in pids(events).values())


def population(size: int, *, synchronous: bool) -> SweepSpec:
    section = {"size": size, "synchronous": synchronous, "quantile_fraction": 0.5}
    ranges = {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1}}
    return toy("pbt", 2, population=section, parameters=ranges)


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
@pytest.mark.parametrize("size", [2, 4], ids=["as many as slots", "twice the slots"])
def test_worker_processes_stay_the_same_over_a_population(
    run: Run, size: int, synchronous: bool
) -> None:
    result, events = run(population(size, synchronous=synchronous), **SCRIPTED)
    assert Counter(t.state for t in result.state.trials.values()) == {"finished": size}
    assert_warm(events)
    if synchronous:  # who comes first decides what an asynchronous one does
        assert result.state.lineage()


def test_worker_processes_stay_the_same_over_a_grid_larger_than_the_slots(run: Run) -> None:
    result, events = run(toy("grid", 2), **SCRIPTED)
    assert Counter(t.state for t in result.state.trials.values()) == {"finished": 6}
    assert_warm(events)


def test_a_killed_worker_costs_its_own_trial_one_boundary_at_most(
    ray_address: str, tmp_path: Path
) -> None:
    killed: list[str] = []
    events: list[Event] = []

    def watch(event: Event, state: StudyState) -> None:
        events.append(event)
        if isinstance(event, Reported) and event.boundary == 2 and not killed:
            killed.append(event.trial)
            os.kill(state.trials[event.trial].segments[-1].pid, signal.SIGKILL)

    spec = toy("random", 2)
    result: StudyResult = run_study(
        Sweep(spec=spec, path=Path("test.yaml"), source=""),
        storage=tmp_path,
        address=ray_address,
        on_event=watch,
        make_rank=functools.partial(ScriptedRank, seconds=0.1),
    )
    assert Counter(t.state for t in result.state.trials.values()) == {"finished": 5}
    assert [e.trial for e in events if isinstance(e, TrialInterrupted)] == killed
    again = [e for e in events if isinstance(e, SegmentStarted) and e.segment > 0]
    assert [e.trial for e in again] == killed
    assert again[0].boundary >= 1
    reports = Counter((e.trial, e.boundary) for e in events if isinstance(e, Reported))
    assert {trial for (trial, _), times in reports.items() if times > 1} <= set(killed)


class FailingRank(ScriptedRank):
    """Trial 0001 hangs in its second boundary, with the interpreter's lock held; trial 0002 runs
    out of memory in its second boundary with more than 4 rows a pass."""

    def advance(self) -> BoundaryReport:
        segment = self._begun()
        if (segment.trial, self._boundary) == ("0001", 1):
            ctypes.PyDLL(None).sleep(100)
        if (segment.trial, self._boundary) == ("0002", 1) and (segment.batch_at_most or 99) > 4:
            raise trial_error(MemoryError("of 99 GiB"), "the log")
        return super().advance()


def test_trials_that_hang_or_run_out_of_memory_take_nobody_along(run: Run) -> None:
    spec = toy("random", 2, failures={"hung_after": 1, "on_oom": "halve_batch"})
    rank = functools.partial(FailingRank, seconds=0.1)
    result, events = run(spec, make_rank=rank)
    trials = result.state.trials
    hung, large = trials["0001"], trials["0002"]
    assert (hung.state, hung.failure, hung.interruptions) == ("failed", "hung", {"hung": 1})
    assert "in advance" in hung.log.splitlines()[-1]
    log = (result.folder / "trials" / "0001" / "log.txt").read_text()
    assert log.count("the process made no progress and was ended") == 2
    assert not [*result.folder.glob("trials/*/hung-*")]
    assert large.batch_at_most == 4
    assert all("MemoryError: of 99 GiB" in halving.message for halving in large.halvings)
    started = [(e.trial, e.boundary) for e in events if isinstance(e, SegmentStarted)]
    # Killed while it held the lock, so its checkpoint may not have been told: one boundary at most.
    assert [b for t, b in started if t == "0001"] in ([0, 1], [0, 0])
    assert [b for t, b in started if t == "0002"] == [0] + [1] * len(large.halvings)
    assert [t.state for t in trials.values() if t is not hung] == ["finished"] * 4
    assert not any(t.interruptions for t in trials.values() if t is not hung)


def test_superseded_checkpoints_are_deleted_and_the_best_is_kept(run: Run) -> None:
    result, _ = run(population(4, synchronous=True), **SCRIPTED)
    there = {
        path.relative_to(result.folder).as_posix()
        for path in result.folder.glob("trials/*/checkpoints/*")
    }
    bests = {t.best.checkpoint for t in result.state.trials.values() if t.best}
    assert bests <= there
    assert result.state.best is not None and result.state.best.checkpoint in there
    assert len(there) <= 2 * len(result.state.trials)


def no_rank(context: object, log_line: object) -> object:
    raise ImportError("no module named anything")


def test_a_worker_that_cannot_be_set_up_ends_the_study_with_its_reason(run: Run) -> None:
    with pytest.raises(StudyError, match="a worker cannot train: ImportError: no module named any"):
        run(toy("grid", 1), make_rank=no_rank)


def test_a_study_that_does_not_fit_leaves_nothing_behind_and_its_name_free(
    run: Run, tmp_path: Path
) -> None:
    large = toy("grid", 1, resources={"cpus_per_worker": 64})
    with pytest.raises(Unfit, match="one trial needs 64 CPUs") as caught:
        run(large, **SCRIPTED)
    assert caught.value.exit_code == 2
    assert not (tmp_path / large.name).exists()
    assert run(toy("grid", 1, name=large.name), **SCRIPTED)[0].status == "finished"


def test_an_address_where_nobody_answers_is_told_within_seconds(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1") as caught:
        run_study(
            Sweep(spec=toy("grid", 1), path=Path("test.yaml"), source=""),
            storage=tmp_path,
            address="127.0.0.1:1",
            **SCRIPTED,
        )
    assert caught.value.exit_code == 7
    assert not (tmp_path / "grid-1").exists()


def test_a_storage_that_is_a_file_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unfit, match="the storage folder cannot be used"):
        run_study(
            Sweep(spec=toy("grid", 1), path=Path("test.yaml"), source=""),
            storage=tmp_path / "file",
            **SCRIPTED,
        )
