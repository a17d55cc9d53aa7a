"""Splits of a data set as tables, read by the `datasets` library.

Which data set is asked for is `sources.py`. The library raises a wide, undocumented set of
errors in its own words; here each becomes one `TaskError` in ours.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tasks import hub
from orchestrator.tasks.errors import TaskError, first_line
from orchestrator.tasks.quiet import quiet_datasets
from search_spaces.errors import nearest


@dataclass(frozen=True)
class Table:
    """One split as it stands in the source; `dataset` is a `datasets.Dataset`."""

    dataset: Any

    @property
    def column_names(self) -> list[str]:
        """The columns there are."""
        return list(self.dataset.column_names)

    @property
    def num_rows(self) -> int:
        """Rows."""
        return len(self.dataset)

    def values(self, name: str) -> list[Any]:
        """A column's values as Python objects; None where there is none."""
        rows = self.dataset.select_columns([name]).with_format("arrow")[:]
        return list(rows.column(name).to_pylist())

    def class_names(self, name: str) -> list[str] | None:
        """The names that a ClassLabel feature (or a list of them) gives to its numbers."""
        feature = self.dataset.features[name]
        feature = getattr(feature, "feature", feature)
        names = getattr(feature, "names", None)
        return list(names) if names else None


def loaded(
    wanted: Mapping[str, str], scratch: Path | None, described: str, **arguments: Any
) -> dict[str, Table]:
    """Return a table for each wanted split of what `datasets.load_dataset` gives.

    Args:
        wanted: our split -> its name in the data, or a slice such as train[:10%].
        scratch: folder for the library's intermediate files; None for its own cache.
        described: the data in a few words, for messages.
        arguments: for `load_dataset`; with `revision` it is data of the Hub.

    Raises:
        TaskError: it cannot be loaded, or a split is not there.
    """
    from datasets import load_dataset

    cache = {"cache_dir": str(scratch / "datasets")} if scratch is not None else {}
    with quiet_datasets():
        try:
            splits = load_dataset(**arguments, **cache)
        except Exception as error:  # see the module's docstring
            raise _load_error(described, arguments, error) from error
    return selected(wanted, dict(splits))


def loaded_from_disk(wanted: Mapping[str, str], folder: Path) -> dict[str, Table]:
    """Return a table for each wanted split of a `save_to_disk` folder; a single split is train.

    Raises:
        TaskError: the folder cannot be read, or a split is not there.
    """
    from datasets import Dataset, load_from_disk

    with quiet_datasets():
        try:
            saved = load_from_disk(str(folder))
        except Exception as error:  # see the module's docstring
            raise _unreadable(str(folder), error) from error
    return selected(wanted, {"train": saved} if isinstance(saved, Dataset) else dict(saved))


def selected(wanted: Mapping[str, str], splits: Mapping[str, Any]) -> dict[str, Table]:
    """Return the wanted splits, or slices of them.

    Raises:
        TaskError: a split is not there, or a slice is not written as one.
    """
    base_names(wanted, list(splits))
    return {ours: Table(_slice(ours, theirs, splits)) for ours, theirs in wanted.items()}


def base_names(wanted: Mapping[str, str], there: Sequence[str]) -> list[str]:
    """Return the names of the data's splits that the wanted ones (or slices) are made of.

    Raises:
        TaskError: one of them is not there.
    """
    names: list[str] = []
    for ours, theirs in wanted.items():
        for part in theirs.split("+"):
            name = part.partition("[")[0].strip()
            if name not in there:
                raise no_split(ours, theirs, there)
            names.append(name)
    return list(dict.fromkeys(names))


def no_split(ours: str, theirs: str, there: Sequence[str]) -> TaskError:
    """The error for a split that the data does not have."""
    near = nearest(theirs, there)
    carve = f"carve it: {ours}: {{from: train, size: 0.1}}"
    return TaskError(
        f"task.dataset.splits.{ours}: the data has no split {theirs}; it has"
        f" {', '.join(there) or 'none'}.",
        mend=f"did you mean {near}? Or {carve}." if near else f"write one of them, or {carve}.",
    )


def _slice(ours: str, theirs: str, splits: Mapping[str, Any]) -> Any:
    if theirs in splits:
        return splits[theirs]
    from datasets import ReadInstruction, concatenate_datasets

    lengths = {name: len(rows) for name, rows in splits.items()}
    try:
        parts = ReadInstruction.from_spec(theirs).to_absolute(lengths)
    except (ValueError, AssertionError) as error:
        raise TaskError(
            f"task.dataset.splits.{ours}: a split is a name, or a slice of one; got {theirs}.",
            mend="write for instance train, train[:600], train[80%:] or train+validation.",
        ) from error
    chosen = []
    for part in parts:
        rows = splits[part.splitname]
        end = len(rows) if part.to is None else part.to
        chosen.append(rows.select(range(part.from_ or 0, end)))
    return chosen[0] if len(chosen) == 1 else concatenate_datasets(chosen)


def _load_error(described: str, arguments: Mapping[str, Any], error: Exception) -> TaskError:
    from datasets.exceptions import DatasetNotFoundError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise cause  # not the data's fault; the cache says which disk is full
        cause = cause.__cause__ or cause.__context__
    on_hub = "revision" in arguments
    if on_hub and isinstance(error, ConnectionError | TimeoutError):
        mend = "write path: json (or csv, parquet) with data_files, or a save_to_disk folder"
        return hub.unreachable("task.dataset:", described, mend)
    if isinstance(error, DatasetNotFoundError):
        return TaskError(
            f"task.dataset.path: there is no folder {arguments['path']}, and the Hub has no data"
            " set of that name and revision, or not for you.",
            mend="check the name; for a private or gated one log in with `hf auth login` or"
            " HF_TOKEN.",
        )
    if "corresponds to no data" in str(error):
        return no_rows(described)
    if isinstance(error, ValueError) and "onfig" in str(error):
        return _no_configuration(arguments["path"], arguments.get("name"), str(error))
    return _unreadable(described, error)


def _no_configuration(path: str, given: str | None, message: str) -> TaskError:
    """Several configurations and none named, or one that is not there; the message lists them."""
    quoted = re.findall(r"'([\w.-]+)'", message.partition("[")[2].partition("]")[0])
    rule = f"has no configuration {given}" if given else "has several configurations"
    near = nearest(given, quoted) if given else None
    start = f"did you mean {near}? " if near else ""
    return TaskError(
        f"task.dataset.name: {path} {rule}.",
        mend=f"{start}It has {', '.join(quoted[:40]) or 'others; see its page'}.",
    )


def no_rows(where: str) -> TaskError:
    """The error for data without a row."""
    return TaskError(
        f"task.dataset: {where} holds no rows.", mend="give data with rows, or another split."
    )


def _unreadable(described: str, error: Exception) -> TaskError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return TaskError(
        f"task.dataset: the data cannot be read from {described}: {first_line(cause)}",
        mend="check that the files are whole and of the kind that path says.",
    )
