"""F3 and F16: SIGKILL of a worker in mid-step and in mid-save; a population killed at its exploits.

The workers' process ids stand in the journal, so a kill hits one worker of one study and nothing
else. F16 kills the driver, the moment an exploit stands in the journal or a little later: while
receivers load their donors' checkpoints and superseded ones are deleted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted, kill_until_done
from benchmarks.chaos.processes import (
    Driver,
    live_for,
    run_to_the_end,
    start_driver,
    wait_for,
)
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_spec, scripted_sweep, write_sweep
from orchestrator.errors import StudyUnreadable
from orchestrator.events import (
    CheckpointCommitted,
    Config,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    TrialInterrupted,
)
from orchestrator.journal import JOURNAL
from orchestrator.scripted import gain
from orchestrator.simulate import simulate
from orchestrator.state import StudyState
from orchestrator.surfaces import History
from search_spaces import SweepSpec

_KILLS = 5
_RETRIES = 20
_SAVE_S = 0.4
_POPULATION_BOUNDARIES = 12
_EXPLOIT = b'"action":"exploit"'


def run_workers(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill workers of one study, in mid-step or in mid-save, and judge the study."""
    name, seed = parts(case)
    rng = random.Random(case)
    sweep = scripted_sweep(
        "random", slots=2, seed=seed, trials=8, boundaries=8, name="study",
        failures={"max_retries": _RETRIES},
    )  # fmt: skip
    file = write_sweep(folder / "study.yaml", sweep)
    study = folder / "study"
    driver = start_driver(
        ["run", str(file), "--storage", str(folder), "--plain"],
        address=bench.address,
        seconds=0.5,
        save_seconds=_SAVE_S if name == "mid-save" else 0.0,
    )
    killed: list[tuple[str, int]] = []
    while len(killed) < _KILLS and not driver.has_ended:
        hit = _kill_one(study, driver, name, rng, {pid for _, pid in killed})
        if hit is None:
            break
        killed.append(hit)
    code, output = run_to_the_end(driver)
    said = [] if code == 0 else [f"exit {code}: {output[-400:]}"]
    if len(killed) < _KILLS:
        said.append(f"only {len(killed)} of {_KILLS} workers could be killed")
    if (study / JOURNAL).exists():
        said += judge.nothing_damaged(judge.events_of(study))
        said += _only_those_hit(judge.events_of(study), [trial for trial, _ in killed])
        said += [*judge.finished(study), *judge.best_loads(study)]
    return Outcome(said, count=len(killed))


def _kill_one(
    study: Path, driver: Driver, name: str, rng: random.Random, before: set[int]
) -> tuple[str, int] | None:
    """Kill a worker that trains; returns its trial and process id."""
    chosen: list[tuple[str, int]] = []

    def found() -> bool:
        chosen[:] = [(t, pid) for t, pid in _training(study) if pid not in before]
        return bool(chosen) or driver.has_ended

    wait_for(found, seconds=60)
    if not chosen:
        return None
    time.sleep(rng.uniform(0.2, 1.2))
    if name == "mid-save":
        pattern = "trials/*/checkpoints/.*.unfinished/ballast.bin"
        wait_for(lambda: any(study.glob(pattern)), seconds=10, poll_s=0.005)
        saving = {path.parts[-4] for path in study.glob(pattern)}
        now = [(t, pid) for t, pid in _training(study) if t in saving and pid not in before]
    else:
        now = [(t, pid) for t, pid in _training(study) if pid not in before]
    if not now:
        return _kill_one(study, driver, name, rng, before)
    trial, pid = rng.choice(now)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return trial, pid


def _training(study: Path) -> list[tuple[str, int]]:
    """Trials that train now, with the processes they train in."""
    try:
        events = judge.events_of(study)
    except StudyUnreadable:
        return []  # not begun yet
    at: dict[int, str] = {}
    for event in events:
        if isinstance(event, SegmentStarted):
            at[event.pid] = event.trial
        elif isinstance(event, TrialInterrupted):
            at = {pid: trial for pid, trial in at.items() if trial != event.trial}
    state = StudyState.of(events)
    return [
        (trial, pid)
        for pid, trial in at.items()
        if not state.trials[trial].ended and psutil.pid_exists(pid)
    ]


def _only_those_hit(events: Sequence[Event], killed: Sequence[str]) -> list[str]:
    said = judge.back_by_one(events)
    interrupted = [e.trial for e in events if isinstance(e, TrialInterrupted)]
    # A worker that went on to its next trial in the moment of the kill takes that one along.
    strangers = len(interrupted) - len(killed)
    if strangers > 0:
        said.append(f"{len(killed)} workers were killed, {len(interrupted)} trials interrupted")
    if len(interrupted) < len(killed) - 1:
        said.append(f"{len(killed)} kills, but only {len(interrupted)} were noticed")
    reports: dict[tuple[str, int], int] = {}
    for event in events:
        if isinstance(event, Reported):
            key = event.trial, event.boundary
            reports[key] = reports.get(key, 0) + 1
    again = {trial for (trial, _), times in reports.items() if times > 1}
    said += [f"trial {t} trained twice, nobody hit it" for t in sorted(again - set(interrupted))]
    said += judge.nothing_twice(events)
    return said


def run_population(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill the driver at exploits until the population is done; judge lineage and values."""
    whole, _, most = case.partition(" x")
    _, seed = parts(whole)
    goal = int(most or _KILLS)
    rng = random.Random(case)
    sweep, spec = _population(scripted_sweep, seed), _population(scripted_spec, seed)
    file = write_sweep(folder / "study.yaml", sweep)
    study = folder / "study"

    def moment(journal: Path, driver: Driver) -> None:
        known = counted(journal, _EXPLOIT)
        wait_for(
            lambda: driver.has_ended or counted(journal, _EXPLOIT) > known,
            seconds=120,
            poll_s=0.005,
        )
        live_for(driver, rng.uniform(0.0, 0.4))

    killed = kill_until_done(file, study, goal, moment, address=bench.address, seconds=0.1)
    said = list(killed.violations)
    if len(killed.copies) < goal:
        said.append(f"the driver could be killed {len(killed.copies)} times, not {goal}")
    events = judge.events_of(study)
    said += [
        *judge.finished(study, states=("finished",)),
        *judge.history_kept(study, killed.copies),
        *judge.nothing_twice(events),
        *judge.back_by_one(events),
        *judge.starts_exist(events),
        *judge.nothing_damaged(events),
        *judge.best_loads(study),
        *_lineage_whole(events, spec),
        *judge.same_study(events, simulated(spec)),
    ]
    return Outcome(said, count=len(killed.copies))


def _population(make: Callable[..., Any], seed: int) -> Any:
    return make(
        "pbt", slots=2, seed=seed, trials=4, boundaries=_POPULATION_BOUNDARIES, name="study"
    )


@dataclass(frozen=True)
class _Undisturbed:
    """What scripted trials report: the simulator's study is the one without faults."""

    def value(self, history: History) -> float:
        """As `ScriptedRank` works it out, number by number."""
        gained = 0.0
        for config in history:
            gained += gain(config)
        return math.exp(-gained)

    def seconds(self, config: Config) -> float:
        """All take as long."""
        return 1.0


def simulated(spec: SweepSpec) -> Sequence[Event]:
    """The events of the population without faults."""
    return simulate(spec, _Undisturbed(), slots=2).events


def _lineage_whole(events: Sequence[Event], spec: object) -> list[str]:
    """Each exploit copied a commit that stood, and its configuration lies inside the space."""
    said = []
    committed: set[tuple[str, int]] = set()
    for event in events:
        if isinstance(event, CheckpointCommitted):
            committed.add((event.trial, event.boundary))
        if isinstance(event, Decided) and event.action == "exploit":
            if (event.donor or "", event.boundary) not in committed:
                said.append(f"{event.trial} copied {event.donor} at {event.boundary}: no commit")
            if not spec.space.contains(event.config):  # type: ignore[attr-defined]
                said.append(f"{event.trial} at {event.boundary}: {json.dumps(event.config)}")
    return said


F3 = Row(
    id="F3",
    injected="SIGKILL of a worker in mid-step and in mid-save",
    holds="only that trial goes back, at most one boundary",
    target="50",
    cases=seeds(5, "mid-step", "mid-save"),
    few=(),
    run=run_workers,
    counted="kills",
    remark="the tests kill a worker of a real study (`tests/integration/test_workers.py`).",
)
F16 = Row(
    id="F16",
    injected="population of 4, killed during exploits, retention at its lowest",
    holds="no exploit from a deleted checkpoint, lineage whole, values inside bounds",
    target="0 in 50",
    cases=seeds(10, "pbt"),
    few=(),
    run=run_population,
    counted="kills",
    remark="the driver is killed within 0.4 s after an exploit stands in the journal; superseded"
    " checkpoints are always deleted as soon as nobody refers to them. A checkpoint that is found"
    " lost counts as a violation though the resume heals it, and proposals, decisions and values"
    " are compared with those of the study without faults. The tests:"
    " `tests/orchestrator/test_retention.py`, `tests/orchestrator/test_exploit_lost.py`.",
)
