"""A rank that trains nothing: it sleeps, reports a value worked out from the configuration, and
commits checkpoints of a few bytes.

For measuring what the engine itself costs and for injecting faults into it; no torch. A value
depends on all that was "trained" so far, as it is in a checkpoint, so a start from the wrong one
shows in the values.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.events import Config
from orchestrator.segment import (
    BoundaryReport,
    Evaluation,
    EvaluationReport,
    Readiness,
    Segment,
)
from search_spaces import MetricSpec
from search_spaces.seeds import generator


@dataclass(frozen=True)
class ScriptedSnapshot:
    """A checkpoint's content: what was gained up to its boundary."""

    trial: str
    boundary: int
    gained: float

    def write(self, folder: Path) -> None:
        """Write it as one small file."""
        (folder / "state.json").write_text(json.dumps(vars(self)), "utf-8")


class ScriptedRank:
    """Sleeps `seconds` a boundary and gains the more the nearer learning_rate is to 1e-3.

    Args:
        context: the worker's; only its study folder is used.
        log_line: is not called.
        seconds: how long a boundary takes.
        rows: of a training split that is not there.
        test_rows: of a test split that is not there either.
    """

    usable = True

    def __init__(
        self,
        context: Any,
        log_line: Any,
        *,
        seconds: float = 0.0,
        rows: int = 64,
        test_rows: int = 0,
    ) -> None:
        self._folder: Path = context.study_folder
        self._metric: MetricSpec = context.spec.metric
        self._seconds = seconds
        self._rows = rows
        self._test_rows = test_rows
        self._segment: Segment | None = None
        self._boundary = 0
        self._gained = 0.0
        self._best: float | None = None

    def prepare(self) -> Readiness:
        """Nothing to prepare."""
        return Readiness(rows=self._rows, test_rows=self._test_rows)

    def begin(self, segment: Segment) -> None:
        """Start from the segment's checkpoint.

        Raises:
            TrialError: the checkpoint is not one of the boundary it should be of.
        """
        self._segment, self._boundary, self._gained = segment, segment.start, 0.0
        self._best = segment.best.value if segment.best else None
        if segment.checkpoint is not None:
            state = json.loads((self._folder / segment.checkpoint / "state.json").read_text())
            if state["boundary"] != segment.start:
                raise TrialError("code", f"boundary {segment.start} starts from {state}")
            self._gained = state["gained"]

    def advance(self) -> BoundaryReport:
        """Sleep to the next boundary."""
        segment = self._begun()
        time.sleep(self._seconds)
        self._boundary += 1
        self._gained += gain(segment.config) * _luck(segment.seed)
        value = self._value(self._gained)
        is_best = self._metric.better(value, self._best)
        self._best = value if is_best else self._best
        return BoundaryReport(
            boundary=self._boundary,
            metrics={self._metric.name: value},
            value=value,
            is_best=is_best,
            epoch=float(self._boundary),
            step=self._boundary,
            seconds=self._seconds,
            last=self._boundary == segment.boundaries,
        )

    def evaluate(self, evaluation: Evaluation) -> EvaluationReport:
        """What was reported when the checkpoint was made: no noise, no difference of splits."""
        time.sleep(self._seconds)
        state = json.loads((self._folder / evaluation.checkpoint / "state.json").read_text())
        value = self._value(state["gained"])
        name = self._metric.name.removeprefix("eval_")
        return EvaluationReport(
            value=value, metrics={name: value}, rows=self._test_rows, seconds=self._seconds
        )

    def _value(self, gained: float) -> float:
        left = math.exp(-gained)
        return 1.0 - left if self._metric.goal == "maximize" else left

    def snapshot(self) -> ScriptedSnapshot:
        """What to commit at this boundary."""
        return ScriptedSnapshot(self._begun().trial, self._boundary, self._gained)

    def stop(self) -> None:
        """Leave the trial."""
        self._segment = None

    def close(self) -> None:
        """Nothing to end."""

    def _begun(self) -> Segment:
        if self._segment is None:
            raise RuntimeError("begin a segment first")
        return self._segment


def _luck(seed: int | None) -> float:
    """What a training seed makes of a gain: 0.95 to 1.05 times as much; without one, as much."""
    return 1.0 if seed is None else 0.95 + 0.1 * generator(seed, "luck").random()


def gain(config: Config) -> float:
    """What one boundary gains: 1 at learning rate 1e-3, falling by the square of the decades."""
    decades = math.log10(max(float(config["learning_rate"]), 1e-12)) + 3.0
    return math.exp(-(decades**2))
