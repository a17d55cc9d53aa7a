"""All rows, in the order of the table."""

from __future__ import annotations

from benchmarks.chaos import checkpoints, journals, kills, mutated, nodes, signals, trained, workers
from benchmarks.chaos.row import Row

ROWS: tuple[Row, ...] = (
    kills.F1,
    kills.F2,
    workers.F3,
    nodes.F4,
    nodes.F5,
    signals.ROW,
    checkpoints.ROW,
    journals.ROW,
    trained.F11,
    trained.F12,
    workers.F16,
    trained.F23,
    trained.F24,
    mutated.ROW,
)
