"""Where rows come from: files, folders, the Hub, or this package's toy data.

What the rows mean is not asked here. Every source has an identity, by which what was made from
it is found again: for files their contents, so a changed file is another data set and a copied
one is the same. A source is data: kinds that would run code or unpickle are not read.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tasks import hub, toy
from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.quiet import quiet_datasets
from search_spaces.errors import did_you_mean, nearest
from search_spaces.parts import DatasetSpec, TaskSpec

FILE_KINDS = ("json", "csv", "parquet", "arrow")
_WHOLE_FILE_BYTES = 64 * 2**20
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")


@dataclass(frozen=True)
class Table:
    """One split as it stands in the source."""

    dataset: Any

    @property
    def column_names(self) -> list[str]:
        """The columns there are."""
        return list(self.dataset.column_names)

    @property
    def num_rows(self) -> int:
        """Rows."""
        return len(self.dataset)

    def column(self, name: str) -> Any:
        """A column as a pyarrow array."""
        return self.dataset.select_columns([name]).with_format("arrow")[:].column(name)

    def class_names(self, name: str) -> list[str] | None:
        """The names that a ClassLabel feature (or a list of them) gives to its numbers."""
        feature = self.dataset.features[name]
        feature = getattr(feature, "feature", feature)
        names = getattr(feature, "names", None)
        return list(names) if names else None


class Source(ABC):
    """One place that rows come from."""

    @abstractmethod
    def identity(self) -> Any:
        """JSON data that is equal exactly when the rows are the same."""

    @abstractmethod
    def describe(self) -> str:
        """One line for a person."""

    @abstractmethod
    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Return a table for each wanted split.

        Args:
            wanted: our split -> its name in the source, or a slice of it such as train[:10%].
            scratch: an empty folder for intermediate files; removed by this.

        Raises:
            TaskError: something is missing or cannot be read.
        """


def source_of(task: TaskSpec) -> Source:
    """Return the source that `task.dataset` names.

    Raises:
        TaskError: a file or folder is not there, or the kind is not read.
    """
    spec = task.dataset
    if spec.path == toy.DATA:
        return Toy(len(spec.text))
    if not spec.path:
        raise TaskError(
            "task.dataset.path: the data must be named.",
            mend=f"write a name on the Hub, {', '.join(FILE_KINDS)} with data_files, or a folder.",
        )
    if spec.path in FILE_KINDS:
        return Files(spec)
    folder = Path(spec.path).expanduser()
    if folder.is_dir():
        saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
        return Saved(folder) if saved else Folder(spec, folder)
    _refuse_other(spec, folder)
    if task.smoke and not hub.reachable():
        return HubOrToy(spec)
    return Hub(spec)


def _refuse_other(spec: DatasetSpec, folder: Path) -> None:
    if folder.is_file():
        kind = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}.get(folder.suffix, "json")
        raise TaskError(
            f"task.dataset.path: a file is named by data_files; got the file {spec.path}.",
            mend=f"write path: {kind} and data_files: {{train: {spec.path}}}.",
        )
    if spec.data_files and "/" not in spec.path:
        raise TaskError(
            f"task.dataset.path: with data_files the path is the kind of file; got {spec.path}.",
            mend=f"{did_you_mean(spec.path, FILE_KINDS, 'kinds')}.",
        )
    local = spec.path.startswith((".", "/", "~")) or spec.path.count("/") > 1
    if local or not _REPOSITORY.match(spec.path):
        raise TaskError(
            f"task.dataset.path: there is no folder {spec.path} (working directory {os.getcwd()}).",
            mend="check the path; relative ones start at the working directory.",
        )
    if "/" not in spec.path and _is_builder(spec.path):
        raise TaskError(
            f"task.dataset.path: {spec.path} data is not read, because it is not plain data.",
            mend=f"convert it to one of {', '.join(FILE_KINDS)}.",
        )


def _is_builder(name: str) -> bool:
    """Whether `datasets` has a builder of its own of this name (some of them unpickle)."""
    import importlib.util

    return importlib.util.find_spec(f"datasets.packaged_modules.{name}") is not None


class Toy(Source):
    """This package's generated sentences."""

    def __init__(self, texts: int) -> None:
        self.texts = max(1, texts)

    def identity(self) -> Any:
        return ["toy", toy.VERSION, self.texts]

    def describe(self) -> str:
        return "generated toy sentences"

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        from datasets import ClassLabel, Dataset, Features, Value

        columns = ("text", "text_pair")[: self.texts]
        features = Features(
            {**dict.fromkeys(columns, Value("string")), "label": ClassLabel(names=list(toy.LABELS))}
        )
        tables = {}
        for ours, theirs in wanted.items():
            if theirs not in toy.ROWS:
                raise _no_split(ours, theirs, list(toy.ROWS))
            rows = toy.sentences(theirs, self.texts)
            tables[ours] = Table(Dataset.from_dict(rows, features=features))
        return tables


class Files(Source):
    """json, csv, parquet or arrow files, each naming its split."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.kind = spec.path
        if not spec.data_files:
            raise TaskError(
                f"task.dataset.data_files: path: {spec.path} needs the files.",
                mend="write data_files: {train: train.jsonl, validation: validation.jsonl}.",
            )
        self.files = {split: _found(split, names) for split, names in spec.data_files.items()}

    def identity(self) -> Any:
        files = {split: [_contents(path) for path in paths] for split, paths in self.files.items()}
        return ["files", self.kind, files]

    def describe(self) -> str:
        return ", ".join(f"{split}: {', '.join(paths)}" for split, paths in self.files.items())

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        used = {split: self.files[split] for split in _bases(wanted, list(self.files))}
        for paths in used.values():
            for path in paths:
                if "://" not in path and not os.path.getsize(path):
                    raise TaskError(
                        f"task.dataset.data_files: {path} is empty.", mend="give a file with rows."
                    )
        return _load(wanted, scratch, self.describe(), path=self.kind, data_files=used)


class Folder(Source):
    """A folder of data files as `load_dataset` reads it."""

    def __init__(self, spec: DatasetSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder

    def identity(self) -> Any:
        return ["folder", self.spec.name, sorted(self.spec.data_files), _tree(self.folder)]

    def describe(self) -> str:
        return str(self.folder)

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        files = {s: list(names) for s, names in self.spec.data_files.items()} or None
        return _load(
            wanted,
            scratch,
            str(self.folder),
            path=str(self.folder),
            name=self.spec.name,
            data_files=files,
        )


class Saved(Source):
    """A folder that `save_to_disk` wrote: one split (called train) or a dict of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def identity(self) -> Any:
        return ["saved", _tree(self.folder)]

    def describe(self) -> str:
        return str(self.folder)

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        from datasets import Dataset, load_from_disk

        with quiet_datasets():
            try:
                loaded = load_from_disk(str(self.folder))
            except Exception as error:  # pyarrow, json and OS errors, undocumented which
                raise _unreadable(str(self.folder), error) from error
        splits = {"train": loaded} if isinstance(loaded, Dataset) else dict(loaded)
        return _select(wanted, splits)


class Hub(Source):
    """A data set of the Hugging Face Hub."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.spec = spec

    def identity(self) -> Any:
        files = {split: list(names) for split, names in self.spec.data_files.items()}
        return ["hub", self.spec.path, self.spec.name, self.spec.revision, files]

    def describe(self) -> str:
        return " ".join(filter(None, (self.spec.path, self.spec.name)))

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        files = {s: list(names) for s, names in self.spec.data_files.items()} or None
        if hub.reachable():
            return self._load(wanted, files)
        with hub.data_from_cache_only():
            return self._load(wanted, files)

    def _load(self, wanted: Mapping[str, str], files: Any) -> dict[str, Table]:
        spec = self.spec
        revision = None if spec.revision == "main" else spec.revision
        # The library's own cache, not the scratch folder: what was fetched serves others too.
        return _load(
            wanted,
            None,
            self.describe(),
            path=spec.path,
            name=spec.name,
            revision=revision,
            data_files=files,
        )


class HubOrToy(Hub):
    """For a smoke run without the Hub: what is in the cache, else toy rows."""

    def identity(self) -> Any:
        return ["smoke", super().identity(), toy.VERSION, len(self.spec.text)]

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        try:
            return super().load(wanted, scratch)
        except TaskError:
            return self._toy_rows(wanted, scratch)

    def _toy_rows(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        splits = {ours: ours for ours in wanted}
        columns = dict(zip(("text", "text_pair"), self.spec.text, strict=False))
        columns["label"] = self.spec.label
        tables = Toy(len(self.spec.text)).load(splits, scratch)
        return {
            ours: Table(table.dataset.rename_columns(columns)) for ours, table in tables.items()
        }


def _found(split: str, names: Sequence[str]) -> list[str]:
    """Paths of the files that names and patterns stand for, in order."""
    paths: list[str] = []
    for name in names:
        if "://" in name:
            paths.append(name)
            continue
        matches = sorted(glob.glob(os.path.expanduser(name), recursive=True))
        files = [os.path.abspath(path) for path in matches if os.path.isfile(path)]
        if not files:
            raise TaskError(
                f"task.dataset.data_files.{split}: there is no file {name} (working directory"
                f" {os.getcwd()}).",
                mend="check the path; relative ones start at the working directory.",
            )
        paths += files
    return paths


def _contents(path: str) -> Any:
    """What makes a file the same file: its contents, of a large one size and time of change."""
    if "://" in path:
        return path
    status = os.stat(path)
    if status.st_size > _WHOLE_FILE_BYTES:
        return [os.path.basename(path), status.st_size, status.st_mtime_ns]
    with open(path, "rb") as file:
        return [os.path.basename(path), hashlib.file_digest(file, "sha256").hexdigest()]


def _tree(folder: Path) -> Any:
    return [
        [str(path.relative_to(folder)), _contents(str(path))]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _bases(wanted: Mapping[str, str], there: Sequence[str]) -> list[str]:
    """Names of the source's splits that the wanted ones (perhaps slices) are made of."""
    bases: list[str] = []
    for ours, theirs in wanted.items():
        for part in theirs.split("+"):
            base = part.partition("[")[0].strip()
            if base not in there:
                raise _no_split(ours, theirs, there)
            bases.append(base)
    return list(dict.fromkeys(bases))


def _no_split(ours: str, theirs: str, there: Sequence[str]) -> TaskError:
    near = nearest(theirs, there)
    carve = f"carve it: {ours}: {{from: train, size: 0.1}}"
    return TaskError(
        f"task.dataset.splits.{ours}: the data has no split {theirs}; it has"
        f" {', '.join(there) or 'none'}.",
        mend=f"did you mean {near}? Or {carve}." if near else f"write one of them, or {carve}.",
    )


def _load(
    wanted: Mapping[str, str], scratch: Path | None, described: str, **arguments: Any
) -> dict[str, Table]:
    from datasets import DownloadMode, load_dataset

    cache = {"cache_dir": str(scratch / "datasets")} if scratch is not None else {}
    with quiet_datasets():
        try:
            loaded = load_dataset(
                **arguments, **cache, download_mode=DownloadMode.REUSE_DATASET_IF_EXISTS
            )
        except Exception as error:  # the library raises a wide, undocumented set
            raise _load_error(described, arguments, error) from error
    return _select(wanted, dict(loaded))


def _load_error(described: str, arguments: Mapping[str, Any], error: Exception) -> TaskError:
    from datasets.exceptions import DatasetNotFoundError

    path = arguments["path"]
    on_hub = "revision" in arguments
    if on_hub and isinstance(error, ConnectionError | TimeoutError):
        mend = (
            "write path: json (or csv, parquet) with data_files, or the path of a save_to_disk"
            " folder"
        )
        return hub.unreachable("task.dataset:", described, mend)
    if isinstance(error, DatasetNotFoundError):
        return TaskError(
            f"task.dataset.path: there is no folder {path}, and the Hub has no data set of that"
            f" name and revision, or not for you.",
            mend="check the name; for a private or gated one log in with `hf auth login` or"
            " HF_TOKEN.",
        )
    if isinstance(error, ValueError) and "onfig" in str(error):
        return TaskError(
            f"task.dataset.name: {_first_line(error)}",
            mend="write one of those as name.",
        )
    return _unreadable(described, error)


def _unreadable(described: str, error: Exception) -> TaskError:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return TaskError(
        f"task.dataset: the data cannot be read from {described}: {_first_line(cause)}",
        mend="check that the file is whole and of the kind that path says.",
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def _select(wanted: Mapping[str, str], splits: Mapping[str, Any]) -> dict[str, Table]:
    _bases(wanted, list(splits))
    return {ours: Table(_slice(ours, theirs, splits)) for ours, theirs in wanted.items()}


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
        chosen.append(
            rows.select(range(part.from_ or 0, len(rows) if part.to is None else part.to))
        )
    return chosen[0] if len(chosen) == 1 else concatenate_datasets(chosen)
