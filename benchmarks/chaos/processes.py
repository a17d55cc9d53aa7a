"""Starting, watching and killing what the fault tests run: drivers, and a Ray of their own.

Judges nothing. A driver is `sweep ...` in a process and session of its own (`driver.py`); it is
killed by its process id, and what descended from it is written down before, so that what stays
behind can be told, and ended, by process id too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

Identity = tuple[int, float]
"""A process: its id, and when it was created, because ids are used again."""


@dataclass
class Driver:
    """A `sweep` command that runs."""

    process: subprocess.Popen[bytes]
    output_file: Path

    @property
    def pid(self) -> int:
        """Its process id, its session's too."""
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.output_file.read_text("utf-8", "replace")


@contextlib.contextmanager
def ray_cluster(**head: Any) -> Iterator[Any]:
    """A Ray that outlives drivers; `num_cpus` and the like for its head node."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.ERROR)
    cpus = head.pop("cpus", 2)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": cpus, "include_dashboard": False, **head},
    )
    try:
        yield cluster
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()


def start_driver(
    words: Sequence[str],
    *,
    address: str | None = None,
    seconds: float = 0.1,
    trains: bool = False,
    environment: dict[str, str] | None = None,
    **faults: Any,
) -> Driver:
    """Start `sweep WORDS` in a session of its own.

    Args:
        words: the command line; `--address` is added when one is given.
        address: of a running Ray; None: it starts its own, with its own temporary folder.
        seconds: that a scripted trial takes for a boundary.
        trains: workload H, the real Trainer; else scripted trials.
        environment: added to ours.
        faults: what `driver.py` injects.
    """
    plan = {"seconds": seconds, "trains": trains, **faults}
    command = [*words, *(["--address", address] if address else [])]
    handle, name = tempfile.mkstemp(prefix="chaos-output-")
    with os.fdopen(handle, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.driver", json.dumps(plan), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.getcwd(), **(environment or {})},
        )
    return Driver(process, Path(name))


def live_for(driver: Driver, seconds: float) -> None:
    """Let a driver run for so long; less when it ends."""
    wait_for(lambda: driver.has_ended, seconds=seconds)


def run_to_the_end(driver: Driver, *, seconds: float = 300.0) -> tuple[int, str]:
    """Wait for a driver: its exit code (-9 when it had to be killed) and all it printed."""
    try:
        code = driver.process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(driver)
        code = -9
    output = driver.output
    driver.output_file.unlink(missing_ok=True)
    return code, output


def kill(driver: Driver) -> list[Identity]:
    """SIGKILL for the driver alone; returns what descended from it."""
    left = descendants(driver.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(driver.pid, signal.SIGKILL)
    driver.process.wait()
    return left


def descendants(pid: int) -> list[Identity]:
    """All processes that descend from this one now."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    known = []
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            known.append((process.pid, process.create_time()))
    return known


def living(known: Sequence[Identity]) -> list[str]:
    """Those that still live, with their names and the ends of their command lines."""
    found = []
    for pid, created in known:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
                words = " ".join(process.cmdline())[-100:]
                found.append(f"{process.name()} {pid} {words}")
    return found


def wait_until_gone(known: Sequence[Identity], *, seconds: float) -> tuple[float, list[str]]:
    """Wait for processes to end: how long it took, and who is still there."""
    started = time.monotonic()
    while (left := living(known)) and time.monotonic() - started < seconds:
        time.sleep(0.05)
    return time.monotonic() - started, left


def end_all(known: Sequence[Identity]) -> None:
    """Kill what a case left behind, so that the next one has the machine to itself."""
    for pid, created in known:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == created:
                process.kill()


def wait_for(condition: Any, *, seconds: float, poll_s: float = 0.02) -> bool:
    """Wait until `condition()` is true; False when it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True
