"""Our own studies as a user runs them: `sweep run FILE` from command to exit, then read.

What a run did comes from what every study records anyway: the journal, and the notes that the
training thread writes into each trial's log.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.trials.jobs import Job, sweep_file
from benchmarks.trials.segments import Segment
from orchestrator.events import CheckpointCommitted, Decided, Reported, SegmentStarted
from orchestrator.results import StudyResult, read_study

METHODS = ("grid", "random", "bayes", "asha", "pbt")
_SEGMENT = re.compile(r"segment (\d+) from boundary")
_STAMP = len("2026-01-01 00:00:00.000")


def command(job: Job, method: str, folder: Path) -> list[str]:
    """Write the sweep file; return the command that a user would type."""
    file = folder / "sweep.yaml"
    file.write_text(sweep_file(job, method), "utf-8")
    return [sys.executable, "-m", "sweeps", "run", str(file), "--storage", str(folder / "studies")]


def study_of(folder: Path) -> StudyResult:
    """The study that the command left.

    Raises:
        FileNotFoundError: it left none.
    """
    for journal in (folder / "studies").glob("*/journal.jsonl"):
        return read_study(journal.parent)
    raise FileNotFoundError(f"{folder}: sweep run left no study")


def segments(study: StudyResult) -> list[Segment]:
    """The study's segments that came to their first step, in the order in which they started."""
    stepped = {trial: _first_steps(study.folder / "trials" / trial) for trial in study.state.trials}
    found: dict[tuple[str, int], Segment] = {}
    exploited: set[tuple[str, int]] = set()
    for entry in study.contents.entries:
        match entry.event:
            case Decided(action="exploit") as event:
                exploited.add((event.trial, event.boundary))
            case SegmentStarted() as event if event.segment in stepped[event.trial]:
                kind = "turn" if event.boundary else "trial"
                if (event.trial, event.boundary) in exploited:
                    kind = "perturbation"
                first_step = stepped[event.trial][event.segment]
                found[event.trial, event.segment] = Segment(first_step, event.pid, kind)
            case Reported() as event:
                found[event.trial, event.segment].boundaries.append(entry.time)
    return list(found.values())


def epochs(study: StudyResult) -> float:
    """Epochs trained, all trials together."""
    return sum(record.epochs_done for record in study.state.trials.values())


def workers(study: StudyResult) -> set[int]:
    """Process ids of those that trained."""
    return {
        entry.event.pid
        for entry in study.contents.entries
        if isinstance(entry.event, SegmentStarted)
    }


def _first_steps(trial: Path) -> dict[int, float]:
    """Segment -> when its first step was done, from the notes in the trial's log."""
    # Here: they import torch, of which whoever only starts and reads processes needs nothing.
    from orchestrator.boundaries import FIRST_STEP
    from orchestrator.trial_log import LOG

    found: dict[int, float] = {}
    segment = -1
    for line in (trial / LOG).read_text("utf-8").splitlines():
        note = line[_STAMP + 1 :]
        if started := _SEGMENT.match(note):
            segment = int(started[1])
        elif note == FIRST_STEP:
            found[segment] = datetime.fromisoformat(line[:_STAMP]).timestamp()
    return found


def result(study: StudyResult) -> dict[str, Any]:
    """What the study found, so that a fast run that learnt nothing is seen, and what it saved."""
    best = study.state.best
    events = (entry.event for entry in study.contents.entries)
    return {
        "best": None if best is None else best.value,
        "checkpoints": sum(isinstance(event, CheckpointCommitted) for event in events),
    }
