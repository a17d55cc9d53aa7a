"""The list of a checkpoint's files with their sums: made when it is committed, checked after.

Knows nothing of what the files hold. A folder is a checkpoint when its manifest is there and
every file is as it says, no more and no fewer: a file that somebody added could be read in place
of one of ours. What the file system does not let us read is neither good nor bad: a network that
stutters must cost no checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import StudyError, StudyUnreadable

MANIFEST = "manifest.json"


class CheckpointError(StudyError):
    """A checkpoint is not what was committed; the message names the bad file."""


class CheckpointUnreadable(StudyUnreadable):
    """A file is there, but the file system does not give it; it says nothing of the checkpoint."""


@dataclass(frozen=True)
class Manifest:
    """What was committed.

    Attributes:
        files: name relative to the folder -> (size in bytes, SHA-256 in hex).
        sha256: of the manifest file itself; equal sums mean equal checkpoints.
        size_bytes: of all files, the manifest included.
    """

    files: dict[str, tuple[int, str]]
    sha256: str
    size_bytes: int


def seal(folder: Path, on_file: Callable[[], None] = lambda: None) -> Manifest:
    """Sum and sync every file, then write the manifest beside them.

    Args:
        on_file: called after each file.
    """
    files = {}
    for name in sorted(_file_names(folder)):
        files[name] = _digest(folder / name, sync=True)
        on_file()
    raw = _encode(files)
    with (folder / MANIFEST).open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    for parent, _, _ in os.walk(folder):
        sync_folder(Path(parent))
    return _manifest(files, raw)


def verify(folder: Path, sha256: str | None = None) -> Manifest:
    """Check every file of a committed checkpoint against its manifest.

    Args:
        folder: the checkpoint.
        sha256: the sum that was committed, when known: notices a checkpoint put in another's
            place.

    Raises:
        CheckpointError: the checkpoint or one of its files is missing, damaged, or foreign.
        CheckpointUnreadable: whether it is cannot be told.
    """
    manifest = _read_manifest(folder)
    if sha256 is not None and manifest.sha256 != sha256:
        raise CheckpointError(
            f"{folder / MANIFEST} is not the one that was committed: its SHA-256 is "
            f"{manifest.sha256}, the journal says {sha256}",
            mend="use the checkpoint before it",
        )
    try:
        found = _file_names(folder)
    except OSError as error:
        raise _unread(Path(error.filename or folder), error, "a folder of it") from error
    for name in sorted(manifest.files.keys() | found):
        _verify_file(folder, name, manifest.files.get(name))
    return manifest


def _encode(files: dict[str, tuple[int, str]]) -> bytes:
    listed = {name: {"size": size, "sha256": sha} for name, (size, sha) in files.items()}
    return (json.dumps({"version": 1, "files": listed}, indent=1) + "\n").encode()


def _manifest(files: dict[str, tuple[int, str]], raw: bytes) -> Manifest:
    size = len(raw) + sum(size for size, _ in files.values())
    return Manifest(files, hashlib.sha256(raw).hexdigest(), size)


def _read_manifest(folder: Path) -> Manifest:
    if (folder / MANIFEST).is_symlink():
        raise _damaged(folder)
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        told = "no checkpoint was committed here, or it was deleted"
        raise _unread(folder / MANIFEST, error, told) from error
    try:
        listed = json.loads(raw)["files"]
        files = {str(name): (int(f["size"]), str(f["sha256"])) for name, f in listed.items()}
        damaged = _encode(files) != raw  # there is one way to write it
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder) from error
    if damaged:
        raise _damaged(folder)
    return _manifest(files, raw)


def _damaged(folder: Path) -> CheckpointError:
    return CheckpointError(
        f"{folder / MANIFEST} is damaged: it is not as it was written",
        mend="use the checkpoint before it",
    )


def _unread(path: Path, error: OSError, told: str) -> StudyError:
    """What it means that a file cannot be read: it is not there, or nobody knows."""
    if isinstance(error, FileNotFoundError):
        return CheckpointError(f"{path} is missing; {told}", mend="use the checkpoint before it")
    if isinstance(error, NotADirectoryError | IsADirectoryError):
        return CheckpointError(
            f"{path} is not a plain file; {told}", mend="use the checkpoint before it"
        )
    return CheckpointUnreadable(
        f"{path} cannot be read ({error.strerror}), so nobody knows whether it is whole; {told}.",
        mend="nothing was changed: try again once the file can be read, or delete it if it never"
        " will be.",
    )


def _verify_file(folder: Path, name: str, committed: tuple[int, str] | None) -> None:
    path = folder / name
    if committed is None:
        raise CheckpointError(
            f"{path} does not belong to the checkpoint: its manifest does not list it",
            mend="delete the file if you put it there, else use the checkpoint before it",
        )
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
        found = _digest(path) if is_file else None
    except OSError as error:
        told = f"the manifest lists it with {committed[0]} bytes"
        raise _unread(path, error, told) from error
    if found is None:
        raise CheckpointError(f"{path} is not a plain file", mend="use the checkpoint before it")
    if found != committed:
        problem = (
            f"has {found[0]} bytes, {committed[0]} were committed"
            if found[0] != committed[0]
            else f"has SHA-256 {found[1]}, {committed[1]} was committed"
        )
        raise CheckpointError(f"{path} {problem}", mend="use the checkpoint before it")


def _file_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for parent, folders, files in os.walk(folder, onerror=_raise):
        here = Path(parent).relative_to(folder)
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        names.update((here / name).as_posix() for name in (*files, *links))
    return names - {MANIFEST}


def _raise(error: OSError) -> None:
    raise error


def _digest(path: Path, *, sync: bool = False) -> tuple[int, str]:
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
