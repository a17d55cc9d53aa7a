"""Reads a W&B run file (`run-<id>.wandb`): wandb 0.31 ships no reader of its own.

The container is LevelDB's log format after a header of 7 bytes: blocks of 32 KiB with chunks of
(crc32 4 bytes, length 2, type 1: full, first, middle, last); each record is a protobuf of
`wandb.proto.wandb_internal_pb2.Record`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = 7
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class RunFile:
    """What stands in one run file."""

    id: str = ""
    project: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    def curve(self, name: str) -> list[tuple[int, Any]]:
        """Return (train/global_step, value) of one name."""
        return [(row["train/global_step"], row[name]) for row in self.history if name in row]


def read_run(path: Path) -> RunFile:
    """Read one `.wandb` file, or the one in a run's folder."""
    from wandb.proto import wandb_internal_pb2

    if path.is_dir():
        (path,) = path.glob("run-*.wandb")
    run = RunFile()
    for data in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        match record.WhichOneof("record_type"):
            case "run":
                _take_run(run, record.run)
            case "config":
                run.config.update(_items(record.config.update))
            case "history":
                run.history.append(_items(record.history.item))
            case "summary":
                run.summary.update(_items(record.summary.update))
            case "metric":
                metric = record.metric
                run.metrics[metric.name or metric.glob_name] = metric.step_metric
            case "artifact":
                run.artifacts.append(record.artifact)
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def _take_run(run: RunFile, record: Any) -> None:
    run.id, run.project = record.run_id, record.project
    run.name, run.group, run.job_type = record.display_name, record.run_group, record.job_type
    run.tags = tuple(record.tags)
    run.config.update(_items(record.config.update))


def _items(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _records(data: bytes) -> list[bytes]:
    if len(data) < HEADER:
        return []  # just being made
    assert data[:4] == b":W&B", "no W&B run file"
    records: list[bytes] = []
    parts: list[bytes] = []
    position = HEADER
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        chunk = data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind == 0 or len(chunk) < length:
            break
        parts.append(chunk)
        if kind in (FULL, LAST):
            records.append(b"".join(parts))
            parts = []
    return records
