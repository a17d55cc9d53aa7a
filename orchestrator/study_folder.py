"""A study's folder before anything runs: made, taken, and refused when it is somebody's.

What stands in it is the journal's and the checkpoints' own business.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.disk import disk_error
from orchestrator.errors import StudyTaken, StudyUnreadable, Unfit
from orchestrator.journal import JOURNAL, is_unbegun, length_file
from orchestrator.lock import StudyLock
from orchestrator.results import read_study


def make_storage(storage: Path) -> None:
    """Make the folder under which studies stand.

    Raises:
        Unfit: it cannot be made or written to.
    """
    try:
        storage.mkdir(parents=True, exist_ok=True)
        if not os.access(storage, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Unfit(
            f"{storage}: the storage folder cannot be used: {error.strerror}.",
            mend="name another one with --storage.",
        ) from error


def refuse_taken(folder: Path) -> None:
    """Raise when there is a study in the folder: StudyTaken, or StudyUnreadable.

    The second when its journal is gone: beginning anew would write over what finished. What a
    kill before the first line leaves is no study. Call it when nobody writes to the study.
    """
    journal = folder / JOURNAL
    if is_unbegun(journal) and not (folder / "trials").exists():
        return
    if not journal.exists():
        raise StudyUnreadable(
            f"{journal}: the journal of the study in this folder is gone.",
            mend="nothing was changed. Restore it from a copy, remove the folder, or give another"
            " --name.",
        )
    try:
        state = read_study(folder).state.state
    except StudyUnreadable as error:
        raise StudyTaken(
            f"{folder}: a study of this name is there already, and cannot be read: {error.rule}",
            mend="restore it from a copy, remove the folder, or give another --name.",
        ) from error
    rule = f"{folder}: a study of this name is there already"
    if state in ("running", "stopped"):
        how = "interrupted before its end" if state == "running" else "stopped before its end"
        raise StudyTaken(
            f"{rule}; it was {how}.",
            mend=f"go on with it by `sweep resume {folder}`, or give another --name.",
        )
    raise StudyTaken(
        f"{rule}; it has come to its end ({state}).",
        mend=f"look at it with `sweep show {folder}`, extend it by `sweep resume {folder} --set"
        " KEY=VALUE`, or give another --name.",
    )


def taken_folder(folder: Path, on_notice: Callable[[str], None]) -> StudyLock:
    """Make a study's folder, for nobody else to read, and take it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        return StudyLock(folder, on_notice=on_notice)
    except OSError as error:
        raise disk_error(folder, error) from error


@contextlib.contextmanager
def beginning(folder: Path) -> Iterator[None]:
    """Say plainly why a study's first lines cannot be written; one without any is not there."""
    try:
        yield
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        journal = folder / JOURNAL
        if journal.exists() and not journal.stat().st_size:
            remove_journal(folder)


def remove_journal(folder: Path) -> None:
    """Remove a journal that holds nothing; its length last, which says that it held nothing."""
    (folder / JOURNAL).unlink(missing_ok=True)
    length_file(folder / JOURNAL).unlink(missing_ok=True)
