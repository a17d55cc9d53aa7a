"""Labels of every kind brought to one form, and checked.

What the labels mean is read off their type unless `task.problem` says it: whole numbers, truth
values and text are classes, a float is a value to predict (regression), a list is several labels
a row (names or numbers, or a 0/1 vector of one length). Classes are numbered in the order of
their ClassLabel names when the data has them, else in the order of the values in train.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.tasks.errors import TaskError

Column = tuple[Sequence[Any], Sequence[str] | None]
"""A label column: its values, and the names that its feature gives to the numbers."""

_HIDDEN = (
    "GLUE hides the labels of its test split this way: carve one instead, test: {from: train,"
    " size: 277}; if -1 is a class of its own, write the labels as text"
)


@dataclass(frozen=True)
class Labelling:
    """What the labels are: the problem, and the names of the classes (none for regression)."""

    problem: str
    names: tuple[str, ...]


def checked_labels(
    columns: Mapping[str, Column], column: str, problem: str
) -> tuple[dict[str, list[Any]], Labelling]:
    """Return every split's labels in the form the model is trained on, and what they are.

    single_label: class numbers; multi_label: vectors of 0.0 and 1.0; regression: floats.

    Args:
        columns: label columns by split, all of them with rows, `train` among them.
        column: its name, for messages.
        problem: auto, or what the sweep file says they are.

    Raises:
        TaskError: a label is missing, hidden (-1), not finite, not among those of train, or of
            another kind than in train; or train holds one class only.
    """
    for split, (values, _) in columns.items():
        _check_present(split, values, column)
    origin = "train" if "train" in columns else next(iter(columns))
    values, names = columns[origin]
    kind = _kind(values, column) if problem == "auto" else problem
    match kind:
        case "regression":
            floats = {split: _floats(split, v, column) for split, (v, _) in columns.items()}
            return floats, Labelling(kind, ())
        case "multi_label":
            return _multi_label(columns, origin, names, column)
        case _:
            return _single_label(columns, origin, names, column)


def is_hidden(values: Sequence[Any]) -> bool:
    """Whether every label is -1: the split is there, its labels are not given."""
    return bool(values) and all(type(value) in (int, float) and value == -1 for value in values)


def _check_present(split: str, values: Sequence[Any], column: str) -> None:
    for row, value in enumerate(values):
        if value is None:
            raise TaskError(
                f"task.dataset.label: every row needs a label; row {row} (from 0) of split"
                f" {split} has none in column {column}.",
                mend="drop such rows, or name another column.",
            )
        if isinstance(value, int) and not isinstance(value, bool) and value == -1:
            hidden = sum(v == -1 for v in values)
            raise TaskError(
                f"task.dataset.label: {hidden} of {len(values)} rows of split {split} have the"
                f" label -1 in column {column}, which stands for a label that is not given.",
                mend=f"{_HIDDEN}.",
            )


def _kind(values: Sequence[Any], column: str) -> str:
    first = values[0]
    if isinstance(first, list):
        return "multi_label"
    if isinstance(first, float):
        return "regression"
    if isinstance(first, int | str):
        return "single_label"
    raise TaskError(
        f"task.dataset.label: a label must be a number, text, or a list of labels; column"
        f" {column} holds {type(first).__name__}.",
        mend="name another column.",
    )


def _floats(split: str, values: Sequence[Any], column: str) -> list[float]:
    result = []
    for row, value in enumerate(values):
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise TaskError(
                f"task.dataset.label: for regression a label must be a finite number; row {row}"
                f" (from 0) of split {split} holds {value!r} in column {column}.",
                mend="mend or drop such rows, or name another column.",
            )
        result.append(float(value))
    return result


def _plain(value: Any) -> Any:
    """One spelling a class: True is 1, 1.0 is 1."""
    if isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _numbering(
    found: Mapping[str, set[Any]], origin: str, names: Sequence[str] | None, column: str
) -> tuple[dict[Any, int], tuple[str, ...]]:
    """Class value -> number, and the names; checks that the splits agree."""
    if names is not None:
        numbers: dict[Any, int] = {index: index for index in range(len(names))}
        named = tuple(names)
    else:
        order = sorted(found[origin], key=lambda v: (isinstance(v, str), v))
        numbers = {value: index for index, value in enumerate(order)}
        named = tuple(str(value) for value in order)
    for split, values in found.items():
        unknown = sorted((v for v in values if v not in numbers), key=str)
        if unknown:
            raise TaskError(
                f"task.dataset.label: the labels of split {split} must be among those of"
                f" {origin}; column {column} holds {_listed(unknown)} there, and {origin} has"
                f" {_listed(list(numbers))}.",
                mend="check that both splits come from the same data, or mend the labels.",
            )
    return numbers, named


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(v) for v in values[:8])
    return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")


def _single_label(
    columns: Mapping[str, Column], origin: str, names: Sequence[str] | None, column: str
) -> tuple[dict[str, list[Any]], Labelling]:
    plain: dict[str, list[Any]] = {}
    for split, (values, _) in columns.items():
        plain[split] = [_plain(value) for value in values]
        odd = next((v for v in plain[split] if not isinstance(v, int | str)), None)
        if odd is not None:
            raise TaskError(
                f"task.dataset.label: a class must be a whole number or text; split {split}"
                f" holds {odd!r} in column {column}.",
                mend="write task.problem: regression if the labels are values to predict.",
            )
    _check_kinds(plain, origin, column)
    numbers, named = _numbering(
        {split: set(values) for split, values in plain.items()}, origin, names, column
    )
    if len(set(plain[origin])) < 2:
        raise TaskError(
            f"task.dataset.label: {origin} must hold two classes at least; every row of column"
            f" {column} is {plain[origin][0]!r}.",
            mend="check the column, or give data with all classes.",
        )
    labels = {split: [numbers[v] for v in values] for split, values in plain.items()}
    return labels, Labelling("single_label", named)


def _check_kinds(plain: Mapping[str, list[Any]], origin: str, column: str) -> None:
    text = isinstance(plain[origin][0], str)
    for split, values in plain.items():
        if any(isinstance(value, str) is not text for value in values):
            raise TaskError(
                f"task.dataset.label: labels must be of one kind; {origin} has"
                f" {'text' if text else 'numbers'} in column {column}, split {split} also"
                f" {'numbers' if text else 'text'}.",
                mend="write all labels as text, or all as numbers.",
            )


def _multi_label(
    columns: Mapping[str, Column], origin: str, names: Sequence[str] | None, column: str
) -> tuple[dict[str, list[Any]], Labelling]:
    plain: dict[str, list[list[Any]]] = {}
    for split, (rows, _) in columns.items():
        for row, value in enumerate(rows):
            if not isinstance(value, list) or None in value or -1 in value:
                raise TaskError(
                    f"task.dataset.label: with several labels a row, each must be a list of"
                    f" labels; row {row} (from 0) of split {split} holds {value!r} in column"
                    f" {column}.",
                    mend="write lists, an empty one where no label fits.",
                )
        plain[split] = [[_plain(v) for v in value] for value in rows]
    length = _vector_length(plain)
    if length is not None and (names is None or len(names) == length):
        named = tuple(names) if names is not None else tuple(str(i) for i in range(length))
        vectors = {s: [[float(v) for v in row] for row in rows] for s, rows in plain.items()}
        return vectors, Labelling("multi_label", named)
    found = {split: {v for row in rows for v in row} for split, rows in plain.items()}
    numbers, named = _numbering(found, origin, names, column)
    if not named:
        raise TaskError(
            f"task.dataset.label: {origin} must hold a label at least; every list of column"
            f" {column} is empty.",
            mend="check the column.",
        )
    hot = {}
    for split, rows in plain.items():
        chosen = [{numbers[v] for v in row} for row in rows]
        hot[split] = [[float(i in row) for i in range(len(named))] for row in chosen]
    return hot, Labelling("multi_label", named)


def _vector_length(plain: Mapping[str, list[list[Any]]]) -> int | None:
    """The length of 0/1 vectors; None when the lists are lists of labels.

    Lists of one are lists of labels: a single 0/1 number is written without brackets.
    """
    lengths = {len(row) for rows in plain.values() for row in rows}
    values = {v for rows in plain.values() for row in rows for v in row}
    if len(lengths) != 1 or not values <= {0, 1}:
        return None
    (length,) = lengths
    return length if length > 1 else None
