"""Read a study's folder: no Ray, no torch, nothing written.

Everything comes from the journal and the specification beside it. A damaged folder raises; a
study that is still being written reads as far as it is sound.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import StudyUnreadable
from orchestrator.events import Evaluated, StudyResumed, StudyStarted
from orchestrator.journal import JOURNAL, Contents, read_journal
from orchestrator.lock import owner
from orchestrator.specification import SPECIFICATION, is_study, read_specification
from orchestrator.state import StudyState, TrialRecord
from search_spaces import SweepSpec
from search_spaces.extending import changed

SWEEP_FILE = "sweep.yaml"
JSON_VERSION = 1


@dataclass(frozen=True)
class StudyResult:
    """A study as its folder tells it.

    Attributes:
        spec: as the study began, with what was changed about it since.
        running: who writes to it now; None when nobody does.
        notes: what a reader should know about the folder (a torn last line, say).
        begun: the specification as the study began; None: nothing was changed about it.
    """

    folder: Path
    spec: SweepSpec
    state: StudyState
    contents: Contents
    running: str | None
    notes: tuple[str, ...] = ()
    begun: SweepSpec | None = None

    @property
    def status(self) -> str:
        """running, finished, stopped, failed, or interrupted (nobody is at it, and no end)."""
        if self.state.state == "running" and self.running is None:
            return "interrupted"
        return self.state.state

    @property
    def wall_seconds(self) -> float:
        """Seconds from the first to the last line of the journal."""
        entries = self.contents.entries
        return entries[-1].time - entries[0].time

    def as_json(self) -> dict[str, Any]:
        """The versioned object that `sweep show --json` prints."""
        state = self.state
        best, crown = state.selected, state.crowned
        data: dict[str, Any] = {
            "version": JSON_VERSION,
            "name": state.name,
            "folder": str(self.folder),
            "state": self.status,
            "reason": state.reason,
            "smoke": state.smoke,
            "method": state.method,
            "metric": {"name": state.metric, "goal": state.goal},
            "seed": state.seed,
            "wall_seconds": round(self.wall_seconds, 3),
            "trials": [_trial_json(record) for record in state.trials.values()],
            "best": None
            if best is None
            else {
                "trial": best.trial,
                "value": best.value,
                "epoch": _epoch(state.trials[best.trial], best.boundary),
                "config": best.config,
                "checkpoint": best.checkpoint,
                "test": _evaluation_json(state.test_of(best.checkpoint)),
            },
            "crowned": None
            if crown is None
            else {
                "repeats": crown.repeats,
                "mean": crown.mean,
                "values": list(crown.values),
                "trials": list(crown.trials),
                "failed": crown.failed,
            },
            "evaluations": [_evaluation_json(look) for look in state.evaluations],
            "notes": list(self.notes),
        }
        if state.method == "pbt":
            data["lineage"] = state.lineage()
        return data


def _epoch(record: TrialRecord, boundary: int) -> float:
    return record.epochs * boundary / record.boundaries


def _evaluation_json(look: Evaluated | None) -> dict[str, Any] | None:
    if look is None:
        return None
    data = look.as_dict()
    return {key: value for key, value in data.items() if key not in ("event", "gpus")}


def _trial_json(record: TrialRecord) -> dict[str, Any]:
    best = record.best
    failure = None
    if record.failure:
        failure = {"class": record.failure, "message": record.message, "log": record.log}
    return {
        "id": record.id,
        "number": record.number,
        "origin": record.origin,
        "state": record.state,
        "config": record.config,
        "seed": record.seed,
        "repeats": record.repeats,
        "schedule": [[boundary, config] for boundary, config in record.schedule],
        "best": None
        if best is None
        else {
            "value": best.value,
            "epoch": _epoch(record, best.boundary),
            "trial": best.trial,
        },
        "epochs": record.epochs,
        "epochs_done": record.epochs_done,
        "boundary": record.boundary,
        "boundaries": record.boundaries,
        "seconds": round(record.seconds, 3),
        "retries": record.retries,
        "batch": None
        if not record.halvings
        else {
            "per_device": record.halvings[-1].per_device,
            "accumulation": record.halvings[-1].accumulation,
        },
        "reports": [
            {"boundary": r.boundary, "epoch": r.epoch, "value": r.value, "metrics": r.metrics}
            for r in record.reports.values()
        ],
        "failure": failure,
    }


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """All that is read stays: Python's collector would walk it again and again, in vain.

    That takes a third of the time that a journal of 10,000 trials takes to read. What was read is
    frozen, else the collector's first round after it walks it after all; it holds no cycles, so
    it goes when its last reference does.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


@_uncollected()
def read_study(folder: Path) -> StudyResult:
    """Read a study's folder.

    Raises:
        StudyUnreadable: it is not a study, or its journal or specification is damaged.
    """
    contents = _contents(folder)
    first = contents.entries[0].event
    begun = spec = read_specification(
        folder, first.spec_sha256 if isinstance(first, StudyStarted) else None
    )
    try:
        for entry in contents.entries:
            if isinstance(entry.event, StudyResumed) and entry.event.changes:
                spec = changed(spec, entry.event.changes)
    except ValueError as error:
        raise StudyUnreadable(
            f"{folder / SPECIFICATION}: what the journal changed about it does not fit: {error}.",
            mend="nothing was changed; restore both files from a copy.",
        ) from error
    notes = []
    if contents.torn_bytes:
        notes.append(
            f"the last {contents.torn_bytes} bytes of the journal are half an event, as a kill in"
            " mid-write leaves; they do not count"
        )
    if contents.late:
        notes.append(
            f"{contents.late} lines of the journal do not count: their writer had lost the study"
            " to another process"
        )
    state = StudyState.of(entry.event for entry in contents.entries)
    return StudyResult(folder, spec, state, contents, owner(folder), tuple(notes), begun)


def _contents(folder: Path) -> Contents:
    try:
        return read_journal(folder / JOURNAL)
    except StudyUnreadable as error:
        if (folder / JOURNAL).exists() or not is_study(folder):
            raise
        raise StudyUnreadable(
            f"{folder / JOURNAL}: the journal of this study is gone.",
            mend="nothing was changed. Restore the file from a copy; without it nobody knows what"
            " the checkpoints under trials/ are.",
        ) from error


def list_studies(storage: Path) -> list[Path]:
    """Folders under `storage` that hold a study, the newest change first; [] without a folder.

    One whose journal is gone is among them: reading it says so.
    """
    if not storage.is_dir():
        return []
    return sorted((f for f in storage.iterdir() if is_study(f)), key=_changed, reverse=True)


def _changed(study: Path) -> float:
    """When it was last written to, in seconds since 1970."""
    journal = study / JOURNAL
    return (journal if journal.exists() else study).stat().st_mtime
