"""Rows of a data set as a task needs them: checked, split, under names of our own.

Not tokenised here (`token_cache.py`), and where rows come from is `sources.py`. What is read is
normalised once (columns `text`, `text_pair`, `label`; labels as class numbers, 0/1 vectors or
floats), checked whole, carved and limited, and written as Arrow files, so that every later step
and every worker of the node reads the same rows without asking the source again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.folders import built
from orchestrator.tasks.labels import Labelling, checked_labels, is_hidden
from orchestrator.tasks.sources import Source, source_of
from orchestrator.tasks.splitting import chosen_rows
from orchestrator.tasks.tables import Table, no_rows
from search_spaces.errors import nearest
from search_spaces.parts import SplitFrom, TaskSpec

FORMAT = 1
"""Counts up when what stands in the folders changes its meaning."""
_ROWS_PER_BATCH = 1000


@dataclass(frozen=True)
class Rows:
    """A data set ready to be tokenised.

    Attributes:
        folder: holds `<split>.arrow` for each split.
        problem: single_label, multi_label or regression.
        labels: names in the order of their numbers; empty for regression.
        counts: rows of each split.
        texts: 1 or 2 text columns.
        source: where they come from, in a few words.
        hides_test: whether there is a test split whose labels are not given; it is left out.
    """

    folder: Path
    problem: str
    labels: tuple[str, ...]
    counts: dict[str, int]
    texts: int
    source: str
    hides_test: bool = False


def fingerprint(*parts: Any) -> str:
    """Return 20 hexadecimal digits for JSON data; equal data, equal digits, on any machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:20]


def prepare_rows(task: TaskSpec, cache: Path, seed: int) -> Rows:
    """Load, check, split and store the rows, or find them stored.

    Args:
        task: its `dataset`, `problem` and `rows` are read.
        cache: folder for what can be made again.
        seed: the study's; matters only when a split is carved or limited.

    Raises:
        TaskError: the data cannot be used as the sweep file says.
    """
    source = source_of(task)
    drawn = bool(task.rows) or any(isinstance(s, SplitFrom) for s in task.dataset.splits.values())
    key = fingerprint(
        FORMAT,
        source.identity(),
        task.dataset.model_dump(include={"text", "label", "splits"}),
        task.problem,
        sorted(task.rows.items()),
        seed if drawn else None,
    )
    folder = cache / f"rows-{key}"
    meta = built(folder, lambda empty: _build(task, source, seed, empty))
    return Rows(
        folder=folder,
        problem=meta["problem"],
        labels=tuple(meta["labels"]),
        counts=meta["counts"],
        texts=meta["texts"],
        source=meta["source"],
        hides_test=meta.get("hides_test", False),  # rows that an earlier version stored have none
    )


def _build(task: TaskSpec, source: Source, seed: int, folder: Path) -> dict[str, Any]:
    # Tables may be mapped from the scratch folder, so it stays until the last row is written.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return _written(task, source, seed, folder, Path(scratch))


def _written(
    task: TaskSpec, source: Source, seed: int, folder: Path, scratch: Path
) -> dict[str, Any]:
    tables = _named_tables(task, source, scratch)
    hides_test = "test" in tables and is_hidden(tables["test"].values(task.dataset.label))
    if hides_test:
        del tables["test"]
    labels, labelling = checked_labels(
        {name: _labels(table, task.dataset.label) for name, table in tables.items()},
        task.dataset.label,
        task.problem,
    )
    texts = {name: _texts(task, name, table) for name, table in tables.items()}
    splits = chosen_rows(
        task.dataset.splits,
        {name: labels[name] for name in tables},
        labelling.problem,
        task.rows,
        seed,
    )
    counts = {}
    for name, (origin, rows) in splits.items():
        columns = {**texts[origin], "label": labels[origin]}
        _write(folder / f"{name}.arrow", columns, rows, labelling)
        counts[name] = len(rows)
    return {
        "problem": labelling.problem,
        "labels": list(labelling.names),
        "counts": counts,
        "texts": len(task.dataset.text),
        "source": source.describe(),
        "hides_test": hides_test,
    }


def _named_tables(task: TaskSpec, source: Source, scratch: Path) -> dict[str, Table]:
    """The splits that stand in the source under a name; the carved ones are not there yet."""
    if not task.dataset.text:
        raise TaskError(
            "task.dataset.text: a text column must be named.",
            mend="write text: sentence, or text: [sentence1, sentence2].",
        )
    wanted: dict[str, str] = {
        name: split for name, split in task.dataset.splits.items() if isinstance(split, str)
    }
    tables = source.load(wanted, scratch)
    for name, table in tables.items():
        _check_columns(task, name, table)
    return tables


def _check_columns(task: TaskSpec, split: str, table: Table) -> None:
    there = list(table.column_names)
    for key, column in [
        *[("text", text) for text in task.dataset.text],
        ("label", task.dataset.label),
    ]:
        if column in there:
            continue
        near = nearest(column, there)
        raise TaskError(
            f"task.dataset.{key}: there is no column {column} in split {split}; the columns are"
            f" {', '.join(there) or 'none'}.",
            mend=f"did you mean {near}?" if near else f"write one of them as {key}.",
        )
    if not table.num_rows:
        raise no_rows(f"split {split}")


def _labels(table: Table, name: str) -> tuple[list[Any], list[str] | None]:
    return table.values(name), table.class_names(name)


def _texts(task: TaskSpec, split: str, table: Table) -> dict[str, list[str]]:
    columns = {}
    for ours, theirs in zip(("text", "text_pair"), task.dataset.text, strict=False):
        values = table.values(theirs)
        for row, value in enumerate(values):
            if not isinstance(value, str):
                found = "nothing" if value is None else f"{value!r}"
                raise TaskError(
                    f"task.dataset.text: column {theirs} must hold text in every row; row {row}"
                    f" (from 0) of split {split} holds {found[:80]}.",
                    mend="drop or mend such rows, or name another column.",
                )
        columns[ours] = values
    return columns


def _write(path: Path, columns: dict[str, Any], rows: list[int], labelling: Labelling) -> None:
    """Write the rows as an Arrow stream in batches, the form that `Dataset.from_file` maps."""
    import pyarrow

    types = {
        "single_label": pyarrow.int64(),
        "multi_label": pyarrow.list_(pyarrow.float32()),
        "regression": pyarrow.float32(),
    }
    schema = pyarrow.schema(
        [
            (name, types[labelling.problem] if name == "label" else pyarrow.large_string())
            for name in columns
        ]
    )
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, schema) as writer:
        for start in range(0, len(rows), _ROWS_PER_BATCH):
            part = rows[start : start + _ROWS_PER_BATCH]
            data = {name: [values[row] for row in part] for name, values in columns.items()}
            writer.write_batch(pyarrow.RecordBatch.from_pydict(data, schema=schema))
