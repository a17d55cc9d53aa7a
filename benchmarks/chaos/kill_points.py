"""SIGKILL at the n-th passing of a commit point, in the driver or in a worker.

Changes no file of the product: a driver that is to be killed (`driver.py`) and a rank that is to
be (`ranks.py`) replace the function at the point by one that counts and kills. At a worker's
point the driver goes too, as when a machine loses its power.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

DRIVER_POINTS = (
    "journal line before",
    "journal line half",
    "journal line written",
    "journal line after",
    "tell before",
    "tell after",
)
WORKER_POINTS = (
    "temporary folder before",
    "temporary folder after",
    "files half",
    "manifest before",
    "rename before",
    "rename after",
    "commit after",
)
POINTS = (*DRIVER_POINTS, *WORKER_POINTS)


class _Count:
    """Kills at the n-th passing."""

    def __init__(self, nth: int, *others: int) -> None:
        self._left = nth
        self._others = others

    def due(self) -> bool:
        """Whether this is the passing."""
        self._left -= 1
        return self._left == 0

    def kill(self) -> None:
        """End the others and this process, at once."""
        for pid in (*self._others, os.getpid()):
            os.kill(pid, signal.SIGKILL)


def _around(function: Callable[..., Any], count: _Count, *, before: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*arguments: Any, **named: Any) -> Any:
        due = count.due()
        if due and before:
            count.kill()
        result = function(*arguments, **named)
        if due:
            count.kill()
        return result

    return counted


def arm_driver(*, point: str, nth: int) -> None:
    """Kill this process at the n-th passing of a driver's point; others change nothing."""
    if point not in DRIVER_POINTS:
        return
    from orchestrator import journal
    from orchestrator.driver import Driver

    count = _Count(nth)
    match point:
        case "journal line before" | "journal line after":
            journal.Journal.append = _around(  # type: ignore[method-assign]
                journal.Journal.append, count, before=point.endswith("before")
            )
        case "tell before" | "tell after":
            Driver._send = _around(  # type: ignore[method-assign]
                Driver._send, count, before=point.endswith("before")
            )
        case "journal line written":
            _at_file_call(journal, "fsync", count, half=False)
        case _:
            _at_file_call(journal, "write", count, half=True)


def _at_file_call(module: Any, name: str, count: _Count, *, half: bool) -> None:
    """Replace `os.NAME` as the module sees it, and only there."""
    real = os

    class Os:
        def __getattr__(self, attribute: str) -> Any:
            return getattr(real, attribute)

    patched: Any = Os()

    def write(file: int, block: bytes) -> int:
        if count.due():
            real.write(file, block[: len(block) // 2])
            count.kill()
        return real.write(file, block)

    patched.__dict__[name] = write if half else _around(real.fsync, count, before=True)
    module.os = patched


def arm_worker(*, point: str, nth: int, driver: int) -> None:
    """Kill this process and the driver at the n-th passing of a worker's point."""
    if point not in WORKER_POINTS:
        return
    from orchestrator import checkpoints, scripted

    count = _Count(nth, driver)
    match point:
        case "temporary folder before":
            checkpoints.commit = _around(checkpoints.commit, count, before=True)
        case "commit after":
            checkpoints.commit = _around(checkpoints.commit, count, before=False)
        case "temporary folder after":
            write = scripted.ScriptedSnapshot.write
            scripted.ScriptedSnapshot.write = _around(write, count, before=True)  # type: ignore[method-assign]
        case "files half":
            scripted.ScriptedSnapshot.write = _half(count)  # type: ignore[assignment,method-assign]
        case "manifest before":
            checkpoints.seal = _around(checkpoints.seal, count, before=True)
        case "rename before":
            checkpoints.seal = _around(checkpoints.seal, count, before=False)
        case _:
            sync = checkpoints.sync_folder

            def synced(folder: Path) -> None:  # the last thing of a commit, after the rename
                if folder.name == "checkpoints" and any(
                    not path.name.startswith(".") for path in folder.iterdir()
                ) and count.due():  # fmt: skip
                    count.kill()
                sync(folder)

            checkpoints.sync_folder = synced


def _half(count: _Count) -> Callable[[Any, Path], None]:
    from orchestrator.scripted import ScriptedSnapshot

    write = ScriptedSnapshot.write

    def half(snapshot: Any, folder: Path) -> None:
        write(snapshot, folder)
        if count.due():
            path = folder / "state.json"
            os.truncate(path, path.stat().st_size // 2)
            count.kill()

    return half
