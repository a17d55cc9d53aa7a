"""Checkpoints that no line of a study's journal names: a kill's are deleted, a lost journal's not.

Reads nothing of what is in them. A kill between a checkpoint's rename and the journal's line
leaves one, and nobody will ever refer to it: a trial that is taken up has another segment, and so
other paths. But a journal that was restored from an older copy, or cut off, does not name what
came after it either, and there these are all that is left. A kill leaves about one a worker, next
to where its trial stood; what is more, or further on, is kept, and somebody is told.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.checkpoints import remove, unnamed
from orchestrator.events import CheckpointCommitted, Reported, SegmentStarted
from orchestrator.results import StudyResult

_AHEAD = 2
"""Boundaries: a worker commits one while it trains the next, and the driver may lag by one."""


def clear_orphans(study: StudyResult, on_notice: Callable[[str], None]) -> list[Path]:
    """Delete what a kill left; call it while nobody else should write.

    What a worker of a killed driver still commits later is found at the next resume. What cannot
    be deleted stays.

    Args:
        study: as it was read.
        on_notice: is told what was deleted, and what was kept and why.

    Returns:
        The folders deleted, relative to the study's folder.
    """
    named: set[str] = set()
    workers: set[str] = set()
    reached: dict[str, int] = {}
    for entry in study.contents.entries:
        match entry.event:
            case CheckpointCommitted(path=name):
                named.add(name)
            case SegmentStarted(worker=worker):
                workers.add(worker)
            case Reported(trial=trial, boundary=boundary):
                reached[trial] = max(boundary, reached.get(trial, 0))
    found = unnamed(study.folder, named)
    if not found:
        return []
    ahead = [path for path in found if _boundary(path) > reached.get(_trial(path), 0) + _AHEAD]
    if len(found) > max(1, len(workers)) or ahead:
        on_notice(
            f"{study.folder}: {_counted(found)} kept that the journal does not name, more than a"
            " kill leaves. Was the journal cut off, or restored from an older copy? Then they are"
            " what was trained after it: each can be loaded by from_pretrained, the study does not"
            f" go on from them. Delete what you do not need: {_listed(found)}."
        )
        return []
    deleted = []
    for path in found:
        try:
            remove(study.folder / path)
        except OSError:
            continue
        deleted.append(path)
    if deleted:
        on_notice(
            f"{study.folder}: {_counted(deleted)} deleted that the journal does not name, as a"
            f" kill leaves: {_listed(deleted)}."
        )
    return deleted


def _trial(path: Path) -> str:
    return path.parts[1]


def _boundary(path: Path) -> int:
    return int(path.name.split("-")[1])


def _counted(paths: list[Path]) -> str:
    return "1 checkpoint was" if len(paths) == 1 else f"{len(paths)} checkpoints were"


def _listed(paths: list[Path]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(map(str, paths[:3])) + more
