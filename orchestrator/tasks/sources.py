"""Where rows come from: files, folders, the Hub, or this package's toy data.

What the rows mean is not asked here, and how they are read is `tables.py`. Every source has an
identity, by which what was made from it is found again: for files their contents, so a changed
file is another data set and a copied one is the same. A source is data: kinds that would run
code or unpickle are not read.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.tasks import hub, toy
from orchestrator.tasks.errors import HubUnreachable, TaskError
from orchestrator.tasks.tables import Table, base_names, loaded, loaded_from_disk, selected
from search_spaces.errors import did_you_mean
from search_spaces.parts import DatasetSpec, TaskSpec

FILE_KINDS = ("json", "csv", "parquet", "arrow")
_WHOLE_FILE_BYTES = 64 * 2**20
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")


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
            scratch: folder for intermediate files, below which nothing of it is needed later.

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
        return Toy(spec)
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
    return HubOrToy(spec) if task.smoke and not hub.reachable() else Hub(spec)


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
            f"task.dataset.path: {spec.path} is not a kind of file that is read; some of the"
            " library's kinds run code.",
            mend=f"convert the data to one of {', '.join(FILE_KINDS)}.",
        )


def _is_builder(name: str) -> bool:
    """Whether `datasets` has a builder of its own of this name (some of them unpickle)."""
    return importlib.util.find_spec(f"datasets.packaged_modules.{name}") is not None


class Toy(Source):
    """This package's generated sentences, under whatever column names are asked for."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.spec = spec

    def identity(self) -> Any:
        """The generator's version."""
        return ["toy", toy.VERSION, len(self.spec.text)]

    def describe(self) -> str:
        """Says that they are generated."""
        return "generated toy sentences"

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Generate the wanted splits."""
        from datasets import ClassLabel, Dataset, Features, Value

        ours = ("text", "text_pair")[: len(self.spec.text)]
        features = Features(
            {**dict.fromkeys(ours, Value("string")), "label": ClassLabel(names=list(toy.LABELS))}
        )
        names = {**dict(zip(ours, self.spec.text, strict=False)), "label": self.spec.label}
        splits = {}
        for name in base_names(wanted, list(toy.ROWS)):
            rows = Dataset.from_dict(toy.sentences(name, len(ours)), features=features)
            splits[name] = rows.rename_columns({a: b for a, b in names.items() if a != b})
        return selected(wanted, splits)


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
        """What the files hold."""
        files = {split: [_contents(path) for path in paths] for split, paths in self.files.items()}
        return ["files", self.kind, files]

    def describe(self) -> str:
        """The files by split."""
        return ", ".join(f"{split}: {', '.join(paths)}" for split, paths in self.files.items())

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Read the wanted splits' files, and no others."""
        used = {split: self.files[split] for split in base_names(wanted, list(self.files))}
        for path in (path for paths in used.values() for path in paths):
            if "://" not in path and not os.path.getsize(path):
                raise TaskError(
                    f"task.dataset.data_files: {path} is empty.", mend="give a file with rows."
                )
        described = ", ".join(path for paths in used.values() for path in paths)
        return loaded(wanted, scratch, described, path=self.kind, data_files=used)


class Folder(Source):
    """A folder of data files as `load_dataset` reads it."""

    def __init__(self, spec: DatasetSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder

    def identity(self) -> Any:
        """What the folder's files hold, and which of them were asked for."""
        files = {split: list(names) for split, names in self.spec.data_files.items()}
        return ["folder", self.spec.name, files, _tree(self.folder)]

    def describe(self) -> str:
        """Its path."""
        return str(self.folder)

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Read what the library finds in it."""
        return loaded(
            wanted,
            scratch,
            str(self.folder),
            path=str(self.folder),
            name=self.spec.name,
            data_files={s: list(names) for s, names in self.spec.data_files.items()} or None,
        )


class Saved(Source):
    """A folder that `save_to_disk` wrote: one split (called train) or a dict of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def identity(self) -> Any:
        """What the folder's files hold."""
        return ["saved", _tree(self.folder)]

    def describe(self) -> str:
        """Its path."""
        return str(self.folder)

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Map the saved splits."""
        return loaded_from_disk(wanted, self.folder)


class Hub(Source):
    """A data set of the Hugging Face Hub."""

    def __init__(self, spec: DatasetSpec) -> None:
        self.spec = spec

    def identity(self) -> Any:
        """Name, configuration and revision: a branch that moves is read once, then kept."""
        files = {split: list(names) for split, names in self.spec.data_files.items()}
        return ["hub", self.spec.path, self.spec.name, self.spec.revision, files]

    def describe(self) -> str:
        """Name and configuration."""
        return " ".join(filter(None, (self.spec.path, self.spec.name)))

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Fetch it, or take it from the library's cache when the Hub does not answer."""
        if hub.reachable():
            return self._load(wanted)
        with hub.data_from_cache_only():
            return self._load(wanted)

    def _load(self, wanted: Mapping[str, str]) -> dict[str, Table]:
        spec = self.spec
        return loaded(
            wanted,
            None,  # the library's own cache: what was fetched serves others too
            self.describe(),
            path=spec.path,
            name=spec.name,
            revision=None if spec.revision == "main" else spec.revision,
            data_files={s: list(names) for s, names in spec.data_files.items()} or None,
        )


class HubOrToy(Hub):
    """For a smoke run without the Hub: what is in the cache, else toy rows."""

    def __init__(self, spec: DatasetSpec) -> None:
        super().__init__(spec)
        self._toy = False

    def identity(self) -> Any:
        """Differs from the real data's, which a later smoke run may reach."""
        return ["smoke", super().identity(), toy.VERSION, self.spec.text]

    def load(self, wanted: Mapping[str, str], scratch: Path) -> dict[str, Table]:
        """Take the cached rows, else toy rows in columns of the same names."""
        try:
            return super().load(wanted, scratch)
        except HubUnreachable:
            self._toy = True
            return Toy(self.spec).load({ours: ours for ours in wanted}, scratch)

    def describe(self) -> str:
        """Says so when the rows are not the data's own."""
        name = super().describe()
        return f"generated toy sentences in place of {name}" if self._toy else name


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
