"""What a comparison is, as its folder keeps it: which methods, seeds, studies, under which budget.

Holds no result: those are in the studies, which stand beside the folder as ordinary ones. Written
before the first study starts, whole or not at all, so the same command goes on after a kill; a
command that asks for something else under the same name is refused, but for more seeds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import StudyTaken, StudyUnreadable
from search_spaces import SweepSpec
from search_spaces.errors import shown

MANIFEST = "comparison.json"
VERSION = 1
_FREE = {"name", "seed", "description", "storage", "tracking"}
"""Keys of a specification that do not change what is trained, or follow the repetition."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Planned(_Part):
    """Epochs that each repetition of a method was to train; `high` None: without limit."""

    low: float
    high: float | None


class Method(_Part):
    """A method that is run: one sweep file under every seed.

    Attributes:
        source: the file's text as it was read.
        overrides: what was set beside it, `key=value` each.
        spec: what it was read as, with the first seed.
        studies: names, by repetition.
    """

    key: str
    label: str
    file: str
    source: str
    overrides: tuple[str, ...]
    spec: SweepSpec
    planned: Planned
    studies: tuple[str, ...]


class Manifest(_Part):
    """A comparison.

    Attributes:
        seeds: of the repetitions, the same for every method.
        given: folders of studies that existed and are only read, relative to the storage folder
            where they stand in it.
        command: the `sweep compare` that it is, without places of this machine; empty: not
            recorded.
    """

    version: Literal[1] = 1
    name: str
    budget_epochs: float | None
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    given: tuple[str, ...]
    command: str = ""

    def labels(self, storage: Path) -> dict[Path, str]:
        """The label of each of its studies, by the study's resolved folder."""
        return {
            (storage / name).resolve(): method.label
            for method in self.methods
            for name in method.studies
        }

    def folders(self, storage: Path) -> set[Path]:
        """The resolved folders of all its studies, those that are only read too."""
        return {*self.labels(storage), *((storage / given).resolve() for given in self.given)}


def read_manifest(folder: Path) -> Manifest | None:
    """Read a comparison's manifest; None when the folder holds none.

    Raises:
        StudyUnreadable: it is damaged, or was written by a later version.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text("utf-8"))
        version = data.get("version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise StudyUnreadable(
                f"{path}: the comparison was written by a later sweep (version {version}; this"
                f" one reads {VERSION}).",
                mend="go on with that one; nothing was changed.",
            )
        return Manifest.model_validate(data)
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError) as error:
        raise StudyUnreadable(
            f"{path}: the comparison cannot be read: {str(error).splitlines()[0]}.",
            mend="restore it from a copy, or compare under another --name; the studies are whole.",
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it so that after a crash there is the old one or the new one, never half of one.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    new = folder / f"{MANIFEST}.new"
    with new.open("w", encoding="utf-8") as file:
        file.write(json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / MANIFEST)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def manifests(storage: Path) -> Iterator[Manifest]:
    """The comparisons under a storage folder that can be read."""
    for path in sorted(storage.glob(f"*/{MANIFEST}")):
        try:
            found = read_manifest(path.parent)
        except StudyUnreadable:
            continue  # a report of studies does not fail for a comparison that nobody named
        if found is not None:
            yield found


def refuse_comparison(folder: Path) -> None:
    """Raise StudyTaken when a comparison stands in the folder: a study's files go elsewhere."""
    if (folder / MANIFEST).exists():
        raise StudyTaken(
            f"{folder}: a comparison of this name is there already.", mend="give another --name."
        )


def require_same(folder: Path, before: Manifest, now: Manifest) -> None:
    """Refuse to go on with a comparison that was another one; more seeds are the same one.

    Raises:
        StudyTaken: says what differs.
    """
    found = [f"{what} {was}, now {now_}" for what, was, now_ in _changes(before, now)]
    if found:
        raise StudyTaken(
            f"{folder}: a comparison of this name is there already, and was another one:\n    "
            + "\n    ".join(found[:10]),
            mend="give the command and the files as they were to go on with it, or another --name.",
        )


def _changes(before: Manifest, now: Manifest) -> Iterator[tuple[str, str, str]]:
    if now.seeds[: len(before.seeds)] != before.seeds:
        yield "seeds were", _listed(before.seeds), _listed(now.seeds)
    keys = [[m.key for m in manifest.methods] for manifest in (before, now)]
    if keys[0] != keys[1]:
        yield "methods were", _listed(keys[0]), _listed(keys[1])
        return
    if before.given != now.given:
        yield "studies were", _listed(before.given), _listed(now.given)
    for was, is_ in zip(before.methods, now.methods, strict=True):
        a, b = (m.spec.model_dump(mode="json", exclude=_FREE) for m in (was, is_))
        for path, old, new in _differences(a, b, was.key):
            yield f"{path} was", shown(old), shown(new)


def _differences(a: Any, b: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from _differences(a.get(key), b.get(key), f"{path}.{key}")
    elif a != b:
        yield path, a, b


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "none"
