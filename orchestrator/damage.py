"""Which checkpoints that a study needs are damaged, before it goes on from them.

Deletes and writes nothing: the losses are events for whoever has the study. Looked at are those
that open trials stand on or may copy, and the ones that the study may hand over or evaluate at its
end.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.donors import possible_donors
from orchestrator.events import CheckpointCommitted, CheckpointLost
from orchestrator.manifest import CheckpointError, verify
from orchestrator.results import StudyResult
from orchestrator.state import StudyState


def damaged_checkpoints(
    study: StudyResult, state: StudyState | None = None
) -> list[CheckpointLost]:
    """Checkpoints that trials would go on from or may copy, or that are the best: the damaged ones.

    Args:
        study: as it was read.
        state: of the study, if more is known than was read; the losses are folded in.

    Raises:
        CheckpointUnreadable: whether one is damaged cannot be told.
    """
    history = [entry.event for entry in study.contents.entries]
    state = state or StudyState.of(history)
    lost: list[CheckpointLost] = []
    checked: set[str] = set()
    while True:
        wanted = {best.checkpoint for best in (state.best, state.selected) if best is not None}
        wanted |= {state.standing(trial).checkpoint or "" for trial in state.open_trials}
        wanted |= possible_donors(study.spec, [*history, *lost])
        wanted -= checked
        checked |= wanted
        commits = [
            commit
            for record in state.trials.values()
            for commit in record.checkpoints.values()
            if commit.path in wanted
        ]
        pool = ThreadPoolExecutor(os.cpu_count())  # summing leaves the interpreter free
        try:
            reasons = list(pool.map(functools.partial(_damage, study.folder), commits))
        finally:  # an interruption does not wait for the gigabytes that are left
            pool.shutdown(wait=False, cancel_futures=True)
        found = [
            CheckpointLost(
                trial=commit.trial, boundary=commit.boundary, path=commit.path, reason=reason
            )
            for commit, reason in zip(commits, reasons, strict=True)
            if reason is not None
        ]
        if not found:
            return lost
        for event in found:
            state.apply(event)
        for trial in state.open_trials:  # as the dispatcher will: what it stands on then, is read
            while (withdrawn := state.withdrawal(trial)) is not None:
                state.apply(withdrawn)
        lost += found


def _damage(folder: Path, commit: CheckpointCommitted) -> str | None:
    try:
        verify(folder / commit.path, commit.sha256)
    except CheckpointError as error:
        return error.rule
    return None
