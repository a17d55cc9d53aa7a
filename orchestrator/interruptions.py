"""What a person is told when a study is broken off, and how to go on with it.

Breaks nothing off (`driver.py` does). What is said is an error with the exit code of its kind; all
of these studies can be resumed.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import Interrupted, StudyError, Unreachable
from orchestrator.journal import JOURNAL, is_unbegun
from orchestrator.signals import name_of


def by_signal(folder: Path, number: int, *, begun: bool) -> Interrupted:
    """A signal came.

    Args:
        folder: the study's.
        number: the signal's.
        begun: whether this process has written to the study's journal.
    """
    name = name_of(number)
    if not begun and is_unbegun(folder / JOURNAL):
        return Interrupted(number, f"interrupted by {name} before the study began.")
    how = "; what was committed is kept" if begun else " before it went on; nothing was changed"
    return Interrupted(
        number,
        f"{folder}: interrupted by {name}{how}.",
        mend=f"go on with `sweep resume {folder}`.",
    )


def cluster_gone(folder: Path, place: str) -> Unreachable:
    """Nobody answers where Ray was."""
    return Unreachable(
        f"{folder}: Ray at {place} is gone; what was committed is kept.",
        mend=f"go on with `sweep resume {folder}`, on any cluster that sees the folder.",
    )


def mailbox_gone(folder: Path, place: str) -> Unreachable:
    """Ray is there, and workers hear nothing of us."""
    return Unreachable(
        f"{folder}: commands reach no worker any more: the process that carries them, beside this"
        f" one on Ray at {place}, died; what was committed is kept.",
        mend=f"go on with `sweep resume {folder}`; if it happens again, see whether that machine"
        " runs out of memory.",
    )


def folder_gone(folder: Path, error: OSError) -> StudyError:
    """The study's folder cannot be looked at: a share that went away, a stale handle."""
    return StudyError(
        f"{folder}: the folder cannot be looked at any more: {error.strerror}.",
        mend="what was committed is kept; when the folder can be read again, go on with"
        f" `sweep resume {folder}`.",
    )
