"""`sweep sync`: send what a study's trackers missed, one study or all that stand together.

Starts no Ray and trains nothing. It holds each study's lock meanwhile, so that nobody resumes it
in between; a running study sends by itself and is left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.errors import StudyTaken, StudyUnreadable, Unreachable
from orchestrator.lock import StudyLock
from orchestrator.results import list_studies, read_study
from orchestrator.tracking.service import FOLDER
from orchestrator.tracking.sync import Synced, Unsent, sync_study, unsent
from sweeps.console import Surface
from sweeps.text import command, count


def sync_studies(surface: Surface, folders: list[Path]) -> int:
    """Send what waits in these studies.

    Args:
        folders: of studies; one that is being written to raises when it is alone, else it is
            passed over.

    Returns:
        The exit code: 0 everything is sent, 7 something is left.

    Raises:
        StudyTaken: the only study is being written to.
        StudyUnreadable: the only study's state cannot be read.
    """
    rows: list[dict[str, Any]] = []
    left: list[Path] = []
    for folder in folders:
        try:
            synced = _sync(surface, folder)
        except (StudyTaken, StudyUnreadable) as error:
            if len(folders) == 1:
                raise
            surface.say(f"passed over: {error}", style="yellow")
            continue
        rows.append({"name": folder.name, **_as_json(synced)})
        surface.say(f"{folder.name}: {_words(synced)}")
        if synced.left:
            left.append(folder)
    for folder in left:
        surface.next_step(command("sweep", "sync", str(folder)))
    surface.give({"studies": rows})
    return Unreachable.exit_code if left else 0


def with_something_unsent(storage: Path) -> list[Path]:
    """Studies under the storage folder whose trackers missed something."""
    return [folder for folder in list_studies(storage) if unsent((folder / FOLDER).absolute())]


def _sync(surface: Surface, folder: Path) -> Synced:
    spec = read_study(folder).spec
    tracking = (folder / FOLDER).absolute()
    waiting = unsent(tracking)
    if not waiting:
        return Synced(waiting, waiting)
    lock = StudyLock(folder)
    try:
        return sync_study(spec, tracking, on_notice=surface.say)
    finally:
        lock.release()


def _words(synced: Synced) -> str:
    before, left = synced.before, synced.left
    if not before:
        return "its trackers have everything."
    parts = [
        f"{count(n, noun)} {'sent' if which == 'before' else 'not sent'}"
        for which, noun, n in (
            ("before", "line", before.lines - left.lines),
            ("before", "run", before.runs - left.runs),
            ("left", "line", left.lines),
            ("left", "run", left.runs),
        )
        if n > 0
    ]
    if left and not left.lines and not left.runs:
        parts.append(f"{count(left.calls, 'call')} not sent")
    return ", ".join(parts or ["everything is sent"]) + "."


def _as_json(synced: Synced) -> dict[str, Any]:
    def plain(unsent: Unsent) -> dict[str, int]:
        return {"calls": unsent.calls, "lines": unsent.lines, "runs": unsent.runs}

    return {"before": plain(synced.before), "left": plain(synced.left)}
