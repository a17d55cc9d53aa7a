"""One writer a study where locks do not work: a lease that its holder renews, with an epoch.

For file systems that several machines share (`lock.py` chooses). It knows nothing of studies; it
needs three operations of a place that keeps small records (`Records`), so that an object store
can be one.

Each holder has an epoch, one higher than the last one's, which it got by making the epoch's
record: only one can. A lease that was not renewed for `LEASE_S` may be taken. Clocks of two
machines differ and a process may have slept, so time decides only whether somebody tries; what
decides who writes is the epoch: a holder looks for a higher one before and after it writes, and
whoever reads does not count what it wrote after that (`journal.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import psutil

from orchestrator.process_identity import machine

LEASE_S = 60.0
RENEW_S = 15.0
WATCH_S = 20.0
"""How long a lease that ran out is watched before it is taken: its holder renews more often."""


@dataclass(frozen=True)
class Holder:
    """Who holds a study.

    Attributes:
        machine: of the process: equal only where process ids mean the same; "" when unknown.
        process_start: seconds since the epoch, tells a process from a later one of its number.
        since, renewed: seconds since the epoch, by the holder's clock.
        renewals: how often the lease was renewed.
        released: whether it was given back.
    """

    pid: int
    host: str
    machine: str
    process_start: float
    since: float
    renewed: float = 0.0
    renewals: int = 0
    released: bool = False

    @classmethod
    def this_process(cls) -> Holder:
        """This process, from now on."""
        now = time.time()
        return cls(
            pid=os.getpid(),
            host=socket.gethostname(),
            machine=machine(),
            process_start=psutil.Process().create_time(),
            since=now,
            renewed=now,
        )

    def encode(self) -> bytes:
        """Return the record of this holder."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Holder | None:
        """Read a record; None when it is none, as one that is just being made."""
        try:
            return cls(**json.loads(raw))
        except (ValueError, TypeError):
            return None

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended: it ran on this machine and does not now."""
        if not self.machine or self.machine != machine():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.process_start) > 1.0
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}"


class Records(Protocol):
    """Where the records of a study's epochs stand. All three may raise OSError."""

    def newest(self) -> tuple[int, bytes]:
        """Return the highest epoch there is and its record; (0, b"") without any."""

    def make(self, epoch: int, record: bytes) -> bool:
        """Make the record of an epoch; False when there is one: of all that try, one makes it."""

    def replace(self, epoch: int, record: bytes) -> None:
        """Put another record in the place of the epoch's, at once and whole."""


class FolderRecords:
    """Records as files of a folder, named by their epochs.

    Args:
        folder: made when the first record is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> tuple[int, bytes]:
        """See `Records`."""
        try:
            epoch = max((int(n) for n in os.listdir(self._folder) if n.isdigit()), default=0)
        except FileNotFoundError:
            return 0, b""
        if not epoch:
            return 0, b""
        try:
            return epoch, self._path(epoch).read_bytes()
        except FileNotFoundError:  # only a higher epoch's holder deletes it
            return self.newest()

    def make(self, epoch: int, record: bytes) -> bool:
        """See `Records`; records of earlier epochs are deleted."""
        self._folder.mkdir(exist_ok=True, mode=0o700)
        try:
            with self._path(epoch).open("xb") as file:  # atomic on every file system there is
                file.write(record)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return False
        for name in os.listdir(self._folder):
            if name.isdigit() and int(name) < epoch:
                (self._folder / name).unlink(missing_ok=True)
        return True

    def replace(self, epoch: int, record: bytes) -> None:
        """See `Records`."""
        new = self._folder / f"{epoch}.new"
        new.write_bytes(record)
        new.replace(self._path(epoch))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"{epoch:012d}"


UNKNOWN = "a process that has just begun"
_ATTEMPTS, _PAUSE_S = 50, 0.02


class LeaseHeld(Exception):
    """Somebody holds the lease; `holder` says who."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class Lease:
    """Holds the lease from its making until `release`, renewing it in a thread.

    Args:
        records: where the epochs' records stand.
        floor: the epoch is higher than this.
        wait: sleeps so many seconds while a lease that ran out is watched; told whose it is.
        renew_s: seconds between renewals.

    Attributes:
        epoch: this holder's.

    Raises:
        LeaseHeld: by another process.
        OSError: a record can be neither read nor made.
    """

    def __init__(
        self,
        records: Records,
        *,
        floor: int = 0,
        wait: Callable[[str, float], None] = lambda holder, seconds: time.sleep(seconds),
        renew_s: float = RENEW_S,
    ) -> None:
        self._records = records
        self._holder = Holder.this_process()
        self._renew_s = renew_s
        self._ended = threading.Event()
        self._overtaken = False
        newest = _free_epoch(records, wait)
        self.epoch = max(newest, floor) + 1
        if not records.make(self.epoch, self._holder.encode()):
            raise LeaseHeld(_named(records))
        # Its holder's successor deletes an epoch's record: who was slow may make it once more.
        if (holder := self.holder_after()) is not None:
            raise LeaseHeld(holder)
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    @property
    def overtaken(self) -> bool:
        """Whether another process was seen to hold the study since; asks nobody."""
        return self._overtaken

    def holder_after(self) -> str | None:
        """Look whether another process holds the study since; return which.

        Raises:
            OSError: the records cannot be read.
        """
        epoch, record = self._records.newest()
        if epoch <= self.epoch:
            return None
        self._overtaken = True
        return _words(record)

    def release(self) -> None:
        """Give the lease back; whoever comes next need not wait."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # it runs out by itself
            if self.holder_after() is None:
                self._put(released=True)

    def _renew(self) -> None:
        while not self._ended.wait(self._renew_s):
            with contextlib.suppress(OSError):  # tried again; until then the epoch decides
                if self.holder_after() is not None:
                    return
                self._put(released=False)

    def _put(self, *, released: bool) -> None:
        self._holder = replace(
            self._holder,
            renewed=time.time(),
            renewals=self._holder.renewals + 1,
            released=released,
        )
        self._records.replace(self.epoch, self._holder.encode())


def holder_of(records: Records) -> str | None:
    """Who holds the lease now, as far as its record tells; None when nobody does.

    Raises:
        OSError: the records cannot be read.
    """
    epoch, record = records.newest()
    holder = Holder.decode(record)
    if not epoch or (holder is not None and (holder.released or holder.is_dead)):
        return None
    if holder is not None and not _is_fresh(holder):
        return None
    return _words(record)


def _free_epoch(records: Records, wait: Callable[[str, float], None]) -> int:
    """Return the newest epoch once nobody holds it; may take `WATCH_S`."""
    epoch, record = records.newest()
    holder = Holder.decode(record)
    if not epoch or (holder is not None and (holder.released or holder.is_dead)):
        return epoch
    if holder is not None and _is_fresh(holder):
        raise LeaseHeld(_words(record))
    if holder is None:  # of a process that has just made it, or was killed in between
        named = _named(records)
        if Holder.decode(records.newest()[1]) is not None:
            raise LeaseHeld(named)
    ahead = holder is None or holder.renewed > time.time()  # its clock says nothing to us
    wait(_words(record), LEASE_S if ahead else WATCH_S)
    if records.newest() != (epoch, record):
        raise LeaseHeld(_words(records.newest()[1]))
    return epoch


def _named(records: Records) -> str:
    """Who holds the lease; one that has just taken it may not have written its name yet."""
    for _ in range(_ATTEMPTS):
        holder = Holder.decode(records.newest()[1])
        if holder is not None:
            return str(holder)
        time.sleep(_PAUSE_S)
    return UNKNOWN


def _is_fresh(holder: Holder) -> bool:
    return 0 <= time.time() - holder.renewed < LEASE_S


def _words(record: bytes) -> str:
    holder = Holder.decode(record)
    return UNKNOWN if holder is None else str(holder)
