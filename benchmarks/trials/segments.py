"""Where the time of a run went: segments, and from them the cost of a boundary and of a start.

Reads no clock and starts nothing. A segment is a stretch of training without a break: from its
first optimizer step to its last boundary. Everything between the end of one segment in a slot and
the first step done of the next one is what starting cost: saving, deciding, starting a process,
building, loading.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARKS = "marks.jsonl"
"""The file of a measurement's folder in which `Marks` writes."""


@dataclass
class Segment:
    """A stretch of training.

    Attributes:
        first_step: when its first step was done, in seconds since the epoch.
        pid: of the process that trains.
        kind: trial (from scratch), perturbation, or turn (a checkpoint taken up unchanged).
        boundaries: when each evaluation was done.
    """

    first_step: float
    pid: int
    kind: str
    boundaries: list[float] = field(default_factory=list)

    @property
    def end(self) -> float:
        """When its last boundary was reached."""
        return self.boundaries[-1] if self.boundaries else self.first_step


def marked_segments(path: Path) -> list[Segment]:
    """Read what `Marks` wrote; a segment that goes on from a checkpoint counts as perturbation."""
    segments: list[Segment] = []
    open_: dict[int, Segment] = {}
    for mark in _marks(path):
        if mark["what"] == "step":
            kind = "perturbation" if mark["resumed"] else "trial"
            open_[mark["pid"]] = Segment(mark["time"], mark["pid"], kind)
            segments.append(open_[mark["pid"]])
        elif mark["what"] == "boundary":
            open_[mark["pid"]].boundaries.append(mark["time"])
    return segments


def checkpoints_marked(path: Path) -> int:
    """Checkpoints that Trainers saved; copies that a peer made of them are not counted."""
    return sum(mark["what"] == "checkpoint" for mark in _marks(path))


def best_marked(path: Path) -> float | None:
    """The highest accuracy of all evaluations; None where none was marked."""
    return max((mark["accuracy"] for mark in _marks(path) if "accuracy" in mark), default=None)


def _marks(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def figures(segments: Sequence[Segment], started: float, slots: int) -> dict[str, Any]:
    """What a run's segments tell.

    Args:
        segments: all of the run.
        started: when the command was given, in seconds since the epoch.
        slots: how many trained at once.

    Returns:
        `first_step_s` from the command to the first optimizer step done; `boundary_s`, the median
        time of a boundary; `trial_start_s`, `perturbation_s` and `turn_s`, the median times of
        starts by their kind, without those that came first in their slot; `boundaries`, how many
        were trained. What did not occur is None.
    """
    starts = start_times(segments, slots)
    return {
        "first_step_s": min((s.first_step for s in segments), default=started) - started
        if segments
        else None,
        "boundary_s": _median(_boundary_times(segments)),
        "trial_start_s": _median(t for kind, t in starts if kind == "trial"),
        "perturbation_s": _median(t for kind, t in starts if kind == "perturbation"),
        "turn_s": _median(t for kind, t in starts if kind == "turn"),
        "boundaries": sum(len(s.boundaries) for s in segments),
    }


def start_times(segments: Sequence[Segment], slots: int) -> list[tuple[str, float]]:
    """Seconds from a slot's becoming free to the next segment's first step there, with its kind.

    Which slot a process stood in need not be known: the n-th segment to start takes the slot that
    was the n-th to become free.
    """
    ordered = sorted(segments, key=lambda s: s.first_step)
    free = sorted(s.end for s in segments)
    return [
        (segment.kind, segment.first_step - end)
        for segment, end in zip(ordered[slots:], free, strict=False)
    ]


def _boundary_times(segments: Sequence[Segment]) -> Iterable[float]:
    for segment in segments:
        moments = [segment.first_step, *segment.boundaries]
        yield from (later - earlier for earlier, later in itertools.pairwise(moments))


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None
