"""Ends this process when training says nothing for too long, and leaves every thread's stack.

It judges nothing else: a slow trial that goes on from step to step may take as long as it likes.
How long is too long comes from the driver with each command; what the death of a process means is
the driver's to say, by the file that stands here.

The clock is `faulthandler`'s, a thread below Python: it also runs out while one call holds the
interpreter's lock (a deadlock in a library, a collective operation that waits for a dead peer),
which no Python thread would notice. There is one such clock in a process, so the functions here
are a module's and not an object's. Without `watch` the others do nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import TextIO

_LOG = "log.txt"
_TRAINS = (
    re.compile(r'orchestrator/training\.py", line \d+ in _serve'),
    re.compile(r'orchestrator/ranks\.py", line \d+ in run'),
    re.compile(r'orchestrator/rank_process\.py", line \d+ in ask'),
    re.compile(r'orchestrator/worker\.py", line \d+ in _serve'),
)
"""Threads that train, the likeliest first: each waits for one before it if there is one."""
_REARM_S = 1.0
"""Setting the clock again starts a thread: not at each of a thousand steps a second."""
_SHARE = 0.05

_lock = threading.Lock()
_file: TextIO | None = None
_deadline_s = 0.0
_armed_at = 0.0


def stack_file(trial_folder: Path, worker: str, pid: int) -> Path:
    """Where the stacks of a worker's process stand when it was ended in this trial."""
    return trial_folder / f"hung-{worker}-{pid}.txt"


def take_stacks(trial_folder: Path, worker: str, pid: int) -> str:
    """Where training hung in a process that is dead by now; "" when it did not end itself.

    The stacks of all threads go to the end of the trial's log, and their own file away.

    Returns:
        The stack of the thread that trained, the call that hangs at its end.
    """
    file = stack_file(trial_folder, worker, pid)
    try:
        stacks = file.read_text("utf-8", "replace")
    except FileNotFoundError:
        return ""
    with contextlib.suppress(OSError):  # what is told of the trial has the stack that matters
        if stacks:
            with (trial_folder / _LOG).open("a", encoding="utf-8") as log:
                log.write(f"the process made no progress and was ended; its threads:\n{stacks}")
        file.unlink()
    return training_stack(stacks)


def training_stack(stacks: str) -> str:
    """The stack of the thread that trained, the newest call last; "" without any stack."""
    threads = [thread for thread in stacks.split("\n\n") if thread.strip()]
    for trains in _TRAINS:
        for thread in threads:
            if trains.search(thread):
                head, *calls = [line for line in thread.splitlines() if "Timeout (" not in line]
                head = head.replace("most recent call first", "most recent call last")
                return "\n".join([head, *reversed(calls)])
    return stacks


def stack_now() -> str:
    """The stack of the thread that trains in this process, the newest call last."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return training_stack(file.read())


def watch(file: Path, deadline_s: float) -> None:
    """End the process unless `progress` or `rest` is called within the deadline, again and again.

    Args:
        file: gets the stacks of all threads; made empty, with its folder, if it is missing.
        deadline_s: seconds without progress; above 0.

    Raises:
        OSError: the file cannot be made.
    """
    global _file, _deadline_s
    with _lock:
        if _file is None or _file.name != str(file):
            _close()
            file.parent.mkdir(parents=True, exist_ok=True)
            for left_over in file.parent.glob("hung-*.txt"):  # of processes that were killed
                left_over.unlink(missing_ok=True)
            _file = file.open("a", encoding="utf-8")
        _deadline_s = deadline_s
        _arm()


def progress() -> None:
    """Training has moved: a step, an evaluated batch. Cheap enough for each of them."""
    with _lock:
        watched = _file is not None and _armed_at
        if watched and time.monotonic() - _armed_at >= min(_REARM_S, _SHARE * _deadline_s):
            _arm()


def rest() -> None:
    """Training stands still, rightly: the clock stops until the next `watch`."""
    global _armed_at
    with _lock:
        if _armed_at:
            faulthandler.cancel_dump_traceback_later()
        _armed_at = 0.0


def leave() -> None:
    """The trial is left: stop the clock and remove the file, which is empty."""
    rest()
    with _lock:
        _close()


def _arm() -> None:
    global _armed_at
    if _file is not None:
        # Not before the deadline has passed since the last progress, which may just be behind.
        late_s = min(_REARM_S, _SHARE * _deadline_s)
        faulthandler.dump_traceback_later(_deadline_s + late_s, exit=True, file=_file)
        _armed_at = time.monotonic()


def _close() -> None:
    global _file
    if _file is not None:
        name, _file = _file.name, None
        faulthandler.cancel_dump_traceback_later()
        Path(name).unlink(missing_ok=True)
