"""The list of trials as files that other programs read: `trials.csv` and `trials.parquet`.

One row a trial, in the search or beside it; the searched names are the last columns. Numbers are
written as they are. A text of the CSV that a spreadsheet would take for a formula (it begins with
`=`, `+`, `-`, `@`, a tab or a carriage return) gets a leading quote.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.report.model import Report, TrialRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LEAST, _MOST = -(2**63), 2**63 - 1


def columns(report: Report) -> dict[str, list[Any]]:
    """Column name -> values, one for each trial; a configuration's name is `config.NAME`.

    The best value's column is `validation_METRIC`. None where a trial has no such value.
    """
    best = f"validation_{report.metric.label}"
    found: dict[str, list[Any]] = {
        "method": [row.method for row in report.trials],
        "study": [row.study for row in report.trials],
        "seed": [row.seed for row in report.trials],
        "trial": [row.trial for row in report.trials],
        "number": [row.number for row in report.trials],
        "origin": [row.origin for row in report.trials],
        "state": [row.state for row in report.trials],
        best: [row.value for row in report.trials],
        "epoch_of_best": [row.epoch for row in report.trials],
        "last": [row.last for row in report.trials],
        "epochs_trained": [row.epochs for row in report.trials],
        "device_s": [row.device_s for row in report.trials],
        "retries": [row.retries for row in report.trials],
        "failure": [row.failure or None for row in report.trials],
        "message": [row.message or None for row in report.trials],
        "repeats": [row.repeats for row in report.trials],
    }
    return found | {
        f"config.{name}": [row.config.get(name) for row in report.trials]
        for name in names(report.trials)
    }


def names(trials: Sequence[TrialRow]) -> list[str]:
    """Every name of any configuration, in the order in which they are met."""
    return list(dict.fromkeys(name for row in trials for name in row.config))


def trials_csv(report: Report) -> str:
    """The trials as CSV (RFC 4180); a missing value is an empty cell."""
    found = columns(report)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in found])
    writer.writerows([_cell(v) for v in row] for row in zip(*found.values(), strict=True))
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_parquet(report: Report, file: Path) -> None:
    """The trials as Parquet, each column of the type that its values have.

    Raises:
        OSError: the file cannot be written.
    """
    found = columns(report)
    table = pa.table({name: _array(name, values) for name, values in found.items()})
    pq.write_table(table, file)


_TEXT = ("method", "study", "trial", "origin", "state", "failure", "message", "repeats")
_WHOLE = ("seed", "number", "retries")


def _array(name: str, values: Sequence[Any]) -> Any:
    """A column; one whose values are of several kinds is text, each as JSON has it."""
    if name in _TEXT:
        return pa.array(values, pa.string())
    if name in _WHOLE:
        return pa.array(values, pa.int64())
    if not name.startswith("config."):
        return pa.array(values, pa.float64())
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and all(_LEAST <= v <= _MOST for v in values if v is not None):
        return pa.array(values, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {str}:
        return pa.array(values, pa.string())
    return pa.array([None if v is None else json.dumps(v) for v in values], pa.string())
