"""All rows, in the order of the table."""

from __future__ import annotations

from benchmarks.chaos import (
    checkpoints,
    disks,
    doubles,
    hostile,
    journals,
    kills,
    mutated,
    nodes,
    signals,
    strings,
    stuck,
    trackers,
    trained,
    workers,
)
from benchmarks.chaos.row import Row

ROWS: tuple[Row, ...] = (
    kills.F1,
    kills.F2,
    workers.F3,
    nodes.F4,
    nodes.F5,
    signals.ROW,
    stuck.F7,
    disks.ROW,
    checkpoints.ROW,
    journals.ROW,
    trained.F11,
    trained.F12,
    trackers.ROW,
    doubles.ROW,
    workers.F16,
    stuck.F17,
    trained.F23,
    trained.F24,
    mutated.ROW,
    hostile.A2,
    hostile.A3,
    hostile.A4,
    strings.A5,
)
