"""Real Ray, two processes a trial on two CPUs: warm, exploited, one killed and one stuck."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import Event, Reported, SegmentStarted, TrialInterrupted
from orchestrator.results import StudyResult
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import BoundaryReport
from orchestrator.state import StudyState
from orchestrator.study import run_study
from search_spaces import Sweep, SweepSpec
from tests.integration.conftest import Run, toy

TOGETHER = {"workers": 2, "max_concurrent": 1, "gpus_per_worker": 0}
_PROCESS = re.compile(r"segment (\d+) from boundary|rank 1 of 2, process (\d+)")


def second_ranks(folder: Path) -> dict[tuple[str, int], int]:
    """(trial, segment) -> the process id of the rank 1 that trained it."""
    found = {}
    for log in folder.glob("trials/*/rank-1/log.txt"):
        segment = 0
        for match in _PROCESS.finditer(log.read_text()):
            if match[1]:
                segment = int(match[1])
            else:
                found[log.parts[-3], segment] = int(match[2])
    return found


def population(**keys: Any) -> SweepSpec:
    ranges = {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1}}
    section = {"size": 2, "quantile_fraction": 0.5, "resample_probability": 0.0}
    return toy("pbt", 1, population=section, parameters=ranges, resources=TOGETHER, **keys)


Killed = tuple[StudyResult, list[Event], int]


@pytest.fixture(scope="module")
def killed(ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """A population whose rank 1 was killed in its second generation; its process id.

    One study for several tests: each start of two processes that import torch takes seconds.
    """
    storage = tmp_path_factory.mktemp("ranks")
    events: list[Event] = []
    victims: list[int] = []

    def watch(event: Event, state: StudyState) -> None:
        events.append(event)
        if isinstance(event, Reported) and event.boundary == 2 and not victims:
            victims.append(second_ranks(storage / "together")[event.trial, event.segment])
            os.kill(victims[0], signal.SIGKILL)

    sweep = Sweep(spec=population(name="together"), path=Path("test.yaml"), source="")
    result = run_study(sweep, storage=storage, address=ray_address, on_event=watch)
    return result, events, victims[0]


def test_a_killed_rank_costs_one_boundary_at_most_and_nobody_hangs(killed: Killed) -> None:
    result, events, pid = killed
    assert [t.state for t in result.state.trials.values()] == ["finished"] * 2
    lost = [e for e in events if isinstance(e, TrialInterrupted)]
    assert 1 <= len(lost) <= 2  # the one that trains, and one whose last checkpoint was on its way
    for interrupted in lost:
        assert interrupted.failure == "infrastructure"
        assert f"rank 1 (process {pid}" in interrupted.message
        after = events[events.index(interrupted) :]
        again = [e for e in after if isinstance(e, SegmentStarted)]
        assert next(e for e in again if e.trial == interrupted.trial).boundary >= 1


def test_both_ranks_stay_warm_through_trials_and_exploits_until_one_is_killed(
    killed: Killed,
) -> None:
    result, events, pid = killed
    assert result.state.lineage()
    assert {e.world_size for e in events if isinstance(e, SegmentStarted)} == {2}
    others = second_ranks(result.folder)
    at = next(i for i, event in enumerate(events) if isinstance(event, TrialInterrupted))
    before, after = (
        {
            (e.pid, others.get((e.trial, e.segment), pid))
            for e in part
            if isinstance(e, SegmentStarted)
        }
        for part in (events[:at], events[at:])
    )
    assert [second for _, second in before] == [pid]  # it may have died before its first line
    assert len(after) == 1
    assert not before & after


def test_the_learning_rate_after_an_exploit_is_the_receivers_own_on_two_ranks(
    killed: Killed,
) -> None:
    result, events, _ = killed
    exploited = 0
    for started in (e for e in events if isinstance(e, SegmentStarted)):
        history = result.folder / "trials" / started.trial / "history.jsonl"
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        mine = [x for x in lines if "loss" in x and x["segment"] == started.segment]
        rate = started.config["learning_rate"]
        expected = [rate * (1 - x["progress"]) for x in mine]  # the default schedule is linear
        assert [x["learning_rate"] for x in mine] == pytest.approx(expected)
        exploited += bool(mine) and started.start_trial not in (None, started.trial)
    assert exploited


class StuckRank(ScriptedRank):
    """Rank 1 hangs in the first segment's second boundary, with the interpreter's lock held; in
    the next segment rank 0 hangs, without it, and rank 1 waits."""

    def __init__(self, context: Any, log_line: Any, **options: Any) -> None:
        super().__init__(context, log_line, **options)
        self._number = context.member.rank

    def advance(self) -> BoundaryReport:
        segment = self._begun()
        if (self._number, segment.segment, self._boundary) == (1, 0, 1):
            ctypes.PyDLL(None).sleep(100)
        if segment.segment == 1:
            self.waits_for_ever()
        return super().advance()

    def waits_for_ever(self) -> None:
        time.sleep(100)


def test_a_rank_that_is_stuck_is_ended_and_its_trial_goes_on_from_its_checkpoint(run: Run) -> None:
    spec = toy("random", 1, run_cap=1, resources=TOGETHER, failures={"hung_after": 1})
    result, events = run(spec, make_rank=functools.partial(StuckRank, seconds=0.1))
    assert [t.state for t in result.state.trials.values()] == ["finished"]
    first, second = [e for e in events if isinstance(e, TrialInterrupted)]
    assert (first.failure, second.failure) == ("infrastructure", "infrastructure")
    assert re.search(r"rank 1 \(process .* made no progress and was ended", first.message)
    assert "in advance" in first.log
    assert "rank 0 made no progress" in second.message
    assert "in waits_for_ever" in second.log
    # Its checkpoint may not have been told when it was ended: one boundary at most.
    assert [e.boundary for e in events if isinstance(e, SegmentStarted)] in ([0, 1, 1], [0, 0, 0])
    assert not [*result.folder.glob("trials/*/*/hung-*")]
