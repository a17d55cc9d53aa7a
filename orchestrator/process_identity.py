"""Which process a process id means: numbers are used again, and each container has its own.

Ends nothing. A process is known by what is equal only where its number means the same (the boot
and the process namespace) and by when it began.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_SAME_START_S = 1.0
"""A process's start is read from ticks since the boot: two readings differ by less."""


def machine() -> str:
    """What is equal for two processes only if process ids mean the same to both; "": unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def this_process() -> dict[str, Any]:
    """What another process needs to know this one by, with its id; plain data."""
    return {"machine": machine(), "process_start": psutil.Process().create_time()}


def is_still(pid: int, identity: Mapping[str, Any]) -> bool:
    """Whether the process of this id is the one that gave `identity`, as seen from here."""
    if identity["machine"] != machine():
        return False
    try:
        start = psutil.Process(pid).create_time()
    except psutil.Error:  # it has ended, or is somebody else's
        return False
    return abs(start - float(identity["process_start"])) <= _SAME_START_S
