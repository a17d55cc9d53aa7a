"""How one process asks another, which runs a study, to stop: a file in the study's folder.

Stops nothing; the study's driver looks for the file, wherever it runs, and stops at the next
boundaries.
"""

from __future__ import annotations

from pathlib import Path


def stop_request(folder: Path) -> Path:
    """The file that asks."""
    return folder / "stop-requested"


def stop_asked_at(folder: Path) -> int | None:
    """When a driver was last asked to stop, by the file system's clock; None: nobody is asked."""
    try:
        return stop_request(folder).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def forget_stop(folder: Path, asked_at: int | None) -> None:
    """Forget what an earlier driver was asked; what was asked since is for this one.

    Args:
        folder: the study's.
        asked_at: from `stop_asked_at`, before this driver could be asked anything.
    """
    if asked_at is not None and stop_asked_at(folder) == asked_at:
        stop_request(folder).unlink(missing_ok=True)
