"""One writer a study: an advisory lock on a file in its folder, free at once when its owner dies.

For local file systems (flock). It never waits: a study that is taken says by whom.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from orchestrator.errors import StudyTaken

LOCK = "lock"


class StudyLock:
    """Holds the study's folder for this process until `release`.

    Raises:
        StudyTaken: another process holds it; says which.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held_by = os.read(self._file, 1000).decode("utf-8", "replace") or "owner unknown"
            os.close(self._file)
            raise StudyTaken(
                f"{folder}: another process writes to this study: {held_by}.",
                mend="wait for it, stop it, or give this run another --name.",
            ) from None
        us = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(us).encode(), 0)

    def release(self) -> None:
        """Let the study go."""
        os.close(self._file)


def owner(folder: Path) -> str | None:
    """Who holds the study now; None when nobody does."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(file, 1000).decode("utf-8", "replace") or "owner unknown"
    finally:
        os.close(file)
    return None
