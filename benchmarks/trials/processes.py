"""Run one command and see what it took: time, bytes written, peak memory of each process.

It does not look into what the command does. Bytes written are the kernel's count for the whole
tree: a process's count goes to its parent when it is waited for, and orphans are made to come to
us. Only where a parent ignores its children's ends (Ray's raylet) a child's count is lost with it;
there it is what was last read while the child lived. Peak memory is the kernel's own peak of each
process, read while it lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SAMPLE_S = 0.25
_GRACE_S = 20.0
LIMIT_S = 1200.0
"""A command that takes longer has failed: it would hold up all that come after it."""
_PR_SET_CHILD_SUBREAPER = 36
_NOT_PASSED_ON = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
)


@dataclass(frozen=True)
class Ran:
    """What a command took.

    Attributes:
        started: seconds since the epoch when the command was given.
        seconds: until it exited.
        code: its exit status; None: it was ended, because it took longer than it may.
        pid: of the command's own process.
        written_bytes: by it and all processes it started; None where the kernel does not count.
        peak_bytes: process id -> the most resident memory it had (shared memory included).
    """

    started: float
    seconds: float
    code: int | None
    pid: int
    written_bytes: int | None
    peak_bytes: dict[int, int] = field(default_factory=dict)


def run(
    command: Sequence[str], log: Path, *, cwd: Path | None = None, limit_s: float = LIMIT_S
) -> Ran:
    """Run a command to its exit, or for so many seconds; what it prints goes to `log`.

    What earlier ones wrote is on disk before the clock starts: nobody pays for another.

    Thread counts and Python's switches in our own environment are not passed on: each program
    takes its own defaults.
    Processes that the command leaves behind are given some seconds, then ended: the next
    measurement must not run beside them.
    """
    _adopt_orphans()
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
    os.sync()
    written = written_bytes("self")
    with log.open("wb") as output:
        started, clock = time.time(), time.monotonic()
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        sampler = _Sampler()
        code: int | None = None
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(limit_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            seconds = time.monotonic() - clock
            peaks, lost = sampler.stop()
            reaped = _end_leftovers(0.0 if code is None else _GRACE_S)
    now = written_bytes("self")
    unseen = sum(count for pid, count in lost.items() if pid not in reaped)
    return Ran(
        started=started,
        seconds=seconds,
        code=code,
        pid=process.pid,
        written_bytes=None if written is None or now is None else now - written + unseen,
        peak_bytes=peaks,
    )


class _Sampler:
    """Reads of all our descendants, until stopped, their peaks, and counts that would be lost."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}
        self._lost: dict[int, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[dict[int, int], dict[int, int]]:
        self._stopped.set()
        self._thread.join()
        return self._peaks, self._lost

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    peak = _peak_bytes(process)
                    self._peaks[process.pid] = max(peak, self._peaks.get(process.pid, 0))
                    if _ignores_its_children(process.ppid()):
                        self._lost[process.pid] = written_bytes(process.pid) or 0


def _peak_bytes(process: psutil.Process) -> int:
    peak = _status(process.pid, "VmHWM")
    return int(process.memory_info().rss) if peak is None else int(peak.split()[0]) * 1024


def _ignores_its_children(pid: int) -> bool:
    ignored = _status(pid, "SigIgn")
    return ignored is not None and bool(int(ignored, 16) >> (signal.SIGCHLD - 1) & 1)


def _status(pid: int, name: str) -> str | None:
    """A line of the kernel's account of a process; None where there is none (not on Linux)."""
    path = Path(f"/proc/{pid}/status")
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    return next((v.strip() for key, _, v in (s.partition(":") for s in lines) if key == name), None)


def written_bytes(pid: int | str) -> int | None:
    """Bytes that a process, and those of its children it waited for, wrote; None: not counted."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text("ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_leftovers(grace_s: float) -> set[int]:
    """Wait until nothing that the command started is left, after so long by killing it.

    Returns:
        Those that came to us, because whoever started them had ended.
    """
    reaped: set[int] = set()
    deadline = time.monotonic() + grace_s
    while _reap(reaped) and (left := psutil.Process().children(recursive=True)):
        if time.monotonic() > deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        time.sleep(0.05)
    return reaped


def _reap(reaped: set[int]) -> bool:
    """Wait for those that have ended; say whether any child is left."""
    try:
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            reaped.add(pid)
    except ChildProcessError:
        return False
    return True
