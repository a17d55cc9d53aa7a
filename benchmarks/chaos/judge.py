"""What a study's journal says about the promises: nothing lost, nothing twice, nothing far back.

Reads journals and folders; starts nothing. Every function returns sentences, one a violation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import StudyUnreadable
from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    StudyResumed,
    TrialEnded,
    TrialInterrupted,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.manifest import CheckpointError, verify
from orchestrator.results import read_study
from orchestrator.state import StudyState


def events_of(folder: Path) -> list[Event]:
    """All events of a study."""
    return [entry.event for entry in read_journal(folder / JOURNAL).entries]


def is_over(folder: Path) -> bool:
    """Whether the study has come to its end: a driver killed after that has nothing left to do."""
    try:
        return read_study(folder).status in ("finished", "failed")
    except StudyUnreadable:
        return False


def finished(folder: Path, *, states: Iterable[str] = ("finished", "stopped")) -> list[str]:
    """The study is at its end, every trial too, once."""
    study = read_study(folder)
    said = [] if study.status == "finished" else [f"the study is {study.status}"]
    if study.notes:
        said.append(f"notes: {'; '.join(study.notes)}")
    for record in study.state.trials.values():
        if record.state not in states:
            said.append(f"trial {record.id} is {record.state}: {record.message}")
    return said


def nothing_twice(events: Sequence[Event]) -> list[str]:
    """No trial ends twice or is touched after its end."""
    said, ended = [], set()
    for event in events:
        trial = getattr(event, "trial", None)
        if trial in ended and isinstance(event, SegmentStarted | Reported | TrialEnded):
            said.append(f"trial {trial} had ended, and then: {event.kind}")
        if isinstance(event, TrialEnded):
            ended.add(trial)
    return said


def history_kept(folder: Path, copies: Sequence[bytes]) -> list[str]:
    """What stood in the journal at each kill still stands there (a torn last line aside)."""
    final = (folder / JOURNAL).read_bytes()
    return [
        f"the journal no longer begins with what stood there at kill {number}"
        for number, copy in enumerate(copies)
        if not final.startswith(copy[: copy.rfind(b"\n") + 1])
    ]


def back_by_one(events: Sequence[Event]) -> list[str]:
    """After a resume or a lost worker a trial goes on at most one boundary before its last."""
    said: list[str] = []
    reached: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for event in events:
        match event:
            case StudyResumed():
                waiting = dict(reached)
            case TrialInterrupted(trial=trial):
                waiting[trial] = max(waiting.get(trial, 0), reached.get(trial, 0))
            case SegmentStarted(trial=trial, boundary=boundary):
                before = waiting.pop(trial, None)
                if before is not None and boundary < before - 1:
                    said.append(f"trial {trial} had come to {before} and went on from {boundary}")
                reached[trial] = boundary
            case Reported(trial=trial, boundary=boundary):
                reached[trial] = boundary
            case Decided(trial=trial, boundary=boundary, action="exploit"):
                reached[trial] = boundary
            case TrialEnded(trial=trial):
                reached.pop(trial, None)
                waiting.pop(trial, None)
    return said


def starts_exist(events: Sequence[Event]) -> list[str]:
    """Every segment goes on from a checkpoint that was committed before, of that boundary."""
    said: list[str] = []
    committed: dict[str, int] = {}
    for event in events:
        if isinstance(event, CheckpointCommitted):
            committed[event.path] = event.boundary
        if isinstance(event, SegmentStarted) and event.boundary:
            path = event.start_checkpoint or ""
            if committed.get(path) != event.boundary:
                said.append(
                    f"trial {event.trial} started at {event.boundary} from {path or 'nothing'}"
                )
    return said


def nothing_damaged(events: Sequence[Event]) -> list[str]:
    """No checkpoint was found lost or damaged: where nobody damages one, it was deleted wrongly.

    A resume heals such a thing by going back, so that the study ends as if nothing had been.
    """
    said: list[str] = []
    for event in events:
        match event:
            case CheckpointLost(path=path, reason=reason):
                said.append(f"{path} was lost: {reason}")
            case Decided(action="withdraw", trial=trial, boundary=boundary):
                said.append(f"the exploit of {trial} at {boundary} was withdrawn")
            case TrialInterrupted(failure="damaged", trial=trial, message=message):
                said.append(f"trial {trial} could not start: {message}")
    return said


def proposals(events: Sequence[Event]) -> list[tuple[str, dict[str, Any], str]]:
    """Who was proposed, in order."""
    return [(e.trial, e.config, e.origin) for e in events if isinstance(e, TrialProposed)]


def told(events: Sequence[Event]) -> dict[str, Any]:
    """All of a study that must not depend on faults: proposals, decisions, values, ends."""
    state = StudyState.of(events)
    return {
        record.id: {
            "config": record.first_config,
            "state": record.state,
            "decisions": {
                b: (d.action, d.donor, d.config) for b, d in sorted(record.decisions.items())
            },
            "values": {b: r.metrics for b, r in sorted(record.reports.items())},
        }
        for record in state.trials.values()
    }


def same_proposals(events: Sequence[Event], reference: Sequence[Event]) -> list[str]:
    """The same configurations in the same order."""
    mine, its = proposals(events), proposals(reference)
    if mine == its:
        return []
    differing = [i for i, (a, b) in enumerate(zip(mine, its, strict=False)) if a != b]
    first = differing[0] if differing else min(len(mine), len(its))
    return [f"other proposals than without faults, from number {first} on"]


def same_study(events: Sequence[Event], reference: Sequence[Event]) -> list[str]:
    """The same proposals, decisions, values and ends."""
    mine, its = told(events), told(reference)
    return [
        f"trial {trial}: {key} differ from those without faults:"
        f" {mine.get(trial, {}).get(key)} instead of {its.get(trial, {}).get(key)}"
        for trial in sorted(mine.keys() | its.keys())
        for key in ("config", "state", "decisions", "values")
        if mine.get(trial, {}).get(key) != its.get(trial, {}).get(key)
    ][:3]


def best_loads(folder: Path) -> list[str]:
    """The study's best is a checkpoint that verifies, and nothing unfinished lies about."""
    study = read_study(folder)
    best = study.state.best
    if best is None:
        return ["there is no best"]
    record = study.state.trials[best.trial]
    commit = record.checkpoints[best.boundary]
    try:
        verify(folder / best.checkpoint, commit.sha256)
    except CheckpointError as error:
        return [f"the best does not load: {error}"]
    return []
