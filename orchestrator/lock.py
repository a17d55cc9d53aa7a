"""One writer a study: who holds its folder, and since which epoch.

On a local file system an advisory lock (flock), free at once when its owner dies; on one that
machines share, where such a lock reaches no other machine or none at all, a lease (`lease.py`).
Which one is the kernel's word for the folder's file system; SWEEP_LOCK=flock or =lease in the
environment overrides it. It never waits for a live owner: a study that is taken says by whom.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.disk import disk_error
from orchestrator.errors import StudyTaken, Unfit
from orchestrator.filesystems import is_shared
from orchestrator.lease import UNKNOWN, FolderRecords, Holder, Lease, LeaseHeld, holder_of

LOCK = "lock"
LEASE = "lease"
OVERRIDE = "SWEEP_LOCK"
_ATTEMPTS, _PAUSE_S = 50, 0.02
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class StudyLock:
    """Holds the study's folder for this process until `release`.

    Args:
        folder: the study's folder.
        floor: the last epoch that its journal knows.
        on_notice: told when taking it over needs a while.

    Attributes:
        epoch: this holder's: higher than `floor` and than that of every holder before.
        is_lease: whether another process may take the study over while this one sleeps.

    Raises:
        StudyTaken: another process holds it; says which.
        Unfit: SWEEP_LOCK is neither flock nor lease.
        StudyError: the folder cannot be written; DiskFull when it is for want of room.
    """

    def __init__(
        self,
        folder: Path,
        *,
        floor: int = 0,
        on_notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._folder = folder
        self._on_notice = on_notice
        self._file: int | None = None
        self._lease: Lease | None = None
        try:
            if not _leased(folder):
                self._file = _flocked(folder)
            if self._file is None:
                self._lease = self._take_lease(floor)
        except OSError as error:
            raise disk_error(folder, error) from error
        self.epoch = floor + 1 if self._lease is None else self._lease.epoch
        self.is_lease = self._lease is not None

    @property
    def overtaken(self) -> bool:
        """Whether another process was seen to have taken the study over; asks nobody."""
        return self._lease is not None and self._lease.overtaken

    def check(self) -> None:
        """Look whether the study is still this process's.

        Raises:
            StudyTaken: another process has taken it over since.
            OSError: nobody can say.
        """
        holder = None if self._lease is None else self._lease.holder_after()
        if holder is not None:
            raise StudyTaken(
                f"{self._folder}: another process has taken this study over: {holder}. This one"
                " was not heard of for too long and writes no more.",
                mend="let the other one go on; what this one committed before is kept.",
            )

    def release(self) -> None:
        """Let the study go; a second time nothing happens."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)  # nobody who only looks is taken for this process
            os.close(file)
        if self._lease is not None:
            self._lease.release()

    def _take_lease(self, floor: int) -> Lease:
        try:
            return Lease(FolderRecords(self._folder / LEASE), floor=floor, wait=self._watch)
        except LeaseHeld as error:
            raise _taken(self._folder, error.holder) from None

    def _watch(self, holder: str, seconds: float) -> None:
        self._on_notice(
            f"{self._folder}: the lease of {holder} has run out; watching it for {seconds:.0f} s"
            " before it is taken."
        )
        time.sleep(seconds)


def owner(folder: Path) -> str | None:
    """Who holds the study now; None when nobody does, or none can be asked."""
    if _leased(folder):
        return holder_of(FolderRecords(folder / LEASE))
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _described(file)
    finally:
        os.close(file)
    return None


def refuse_running(folder: Path) -> None:
    """Raise StudyTaken when somebody writes to a study in the folder; it need not exist."""
    writer = owner(folder)
    if writer is not None:
        raise _taken(folder, writer)


def _leased(folder: Path) -> bool:
    """Whether the folder's lock is a lease. One that has begun with leases stays with them."""
    asked = os.environ.get(OVERRIDE, "")
    if asked not in ("", "flock", "lease"):
        raise Unfit(f"{OVERRIDE} must be flock or lease; got {asked}.", mend=f"unset {OVERRIDE}.")
    return asked == "lease" or (not asked and ((folder / LEASE).exists() or is_shared(folder)))


def _flocked(folder: Path) -> int | None:
    """Lock the folder's file; None where the file system knows no locks."""
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if (holder := _living_holder(file)) is not None:
                    raise _taken(folder, holder) from None
                time.sleep(_PAUSE_S)  # just taken, or only looked at by `owner`
            else:
                break
        else:
            raise _taken(folder, UNKNOWN)
    except OSError as error:
        os.close(file)
        if error.errno in _NO_LOCKS:
            return None
        raise
    except StudyTaken:
        os.close(file)
        raise
    with contextlib.suppress(OSError):  # the lock counts; a full disk only costs the name
        os.ftruncate(file, 0)
        os.pwrite(file, Holder.this_process().encode(), 0)
    return file


def _taken(folder: Path, holder: str) -> StudyTaken:
    return StudyTaken(
        f"{folder}: another process writes to this study: {holder}.",
        mend="wait for it, stop it, or give this run another --name.",
    )


def _described(file: int) -> str:
    """Who holds the lock; one that has just taken it may not have written its name yet."""
    for _ in range(_ATTEMPTS):
        if (holder := _living_holder(file)) is not None:
            return holder
        time.sleep(_PAUSE_S)
    return UNKNOWN


def _living_holder(file: int) -> str | None:
    holder = Holder.decode(os.pread(file, 1000, 0))
    return None if holder is None or holder.is_dead else str(holder)
