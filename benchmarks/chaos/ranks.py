"""A scripted rank that can be told to fail: in the middle of a step, of a save, of its numbers.

What it reports otherwise is `ScriptedRank`'s: a value worked out from all that was trained so
far, so that a start from a wrong checkpoint shows in the values.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import BoundaryReport


@dataclass(frozen=True)
class SlowSnapshot:
    """A checkpoint that takes a while to be written, in two files.

    Attributes:
        inner: what it holds.
        seconds: between its first file and its last.
        size: bytes of ballast in it.
    """

    inner: Any
    seconds: float
    size: int

    def write(self, folder: Path) -> None:
        """Write the ballast, wait, write the rest."""
        (folder / "ballast.bin").write_bytes(b"\0" * self.size)
        time.sleep(self.seconds)
        self.inner.write(folder)


class FaultyRank(ScriptedRank):
    """Sleeps like a scripted rank, and does what it is told to do wrong.

    Args:
        driver: the driver's process id.
        kill: `kill_points.arm_worker`'s, for a kill at a point of this process.
        busy: whether a boundary computes instead of sleeping.
        save_seconds: how long a checkpoint takes to be written.
        ballast: bytes of a checkpoint.
        jitter: boundaries take this share more or less time.
        raises: trial -> (boundary, kind, message): what fails.
        nothing: trial -> boundary from which on its metric is not finite.
        hangs: trial -> (boundary, how): it sleeps, computes, holds-the-lock, or allocates.
    """

    def __init__(
        self,
        context: Any,
        log_line: Any,
        *,
        seconds: float,
        driver: int = 0,
        kill: dict[str, Any] | None = None,
        busy: bool = False,
        save_seconds: float = 0.0,
        ballast: int = 0,
        jitter: float = 0.0,
        raises: dict[str, tuple[int, str, str]] | None = None,
        nothing: dict[str, int] | None = None,
        hangs: dict[str, tuple[int, str]] | None = None,
    ) -> None:
        super().__init__(context, log_line, seconds=0.0)
        self._log_line = log_line
        self._sleep = seconds
        self._busy = busy
        self._save_seconds = save_seconds
        self._ballast = ballast
        self._jitter = jitter
        self._raises = raises or {}
        self._nothing = nothing or {}
        self._hangs = hangs or {}
        self._rng = random.Random()
        if kill is not None:
            from benchmarks.chaos.kill_points import arm_worker

            arm_worker(driver=driver, **kill)

    def advance(self) -> BoundaryReport:
        """Take the time, then fail as told or report."""
        seconds = self._sleep * (1.0 + self._jitter * self._rng.uniform(-1.0, 1.0))
        deadline = time.monotonic() + seconds
        if self._busy:
            while time.monotonic() < deadline:
                sum(range(1000))
        else:
            time.sleep(seconds)
        trial = self._begun().trial
        boundary, how = self._hangs.get(trial, (0, ""))
        if boundary == self._boundary + 1:
            _hang(how)
        boundary, kind, message = self._raises.get(trial, (0, "", ""))
        if boundary and self._boundary + 1 >= boundary:
            if kind == "exception":
                raise RuntimeError(message)
            raise TrialError(kind, message)
        report = super().advance()
        self._log_line(trial, {**report.metrics, "step": report.step, "epoch": report.epoch})
        if report.boundary >= self._nothing.get(trial, 10**9):
            metrics = dict.fromkeys(report.metrics)
            return dataclasses.replace(report, metrics=metrics, value=None, is_best=False)
        return report

    def snapshot(self) -> Any:
        """Like a scripted one's, or slow, or large."""
        inner = super().snapshot()
        if not self._save_seconds and not self._ballast:
            return inner
        return SlowSnapshot(inner, self._save_seconds, self._ballast)


def _hang(how: str) -> None:
    """Never come back; allocating ends by the kernel's hand."""
    held: list[bytearray] = []
    while True:
        match how:
            case "sleeps":
                time.sleep(3600)
            case "holds-the-lock":  # one call of minutes into C, which lets no thread run
                sum(itertools.repeat(1, 10**12))
            case "allocates":
                held.append(bytearray(b"x") * (16 << 20))
            case _:
                sum(range(1000))
