"""Where checkpoints stand, how one comes into being, and how damage to one is noticed.

Knows nothing of what is in them (`snapshot.py` writes and reads the content) and keeps no
references (`retention.py` says which ones nobody needs).

A checkpoint is a folder that appears at once and whole: everything is written and fsynced in a
hidden folder beside it, together with a manifest of names, sizes and SHA-256 sums, and renamed.
Whatever a kill leaves behind has another name or fails `verify`. The manifest's own sum goes
into the journal, so a whole folder put in another's place is noticed too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.errors import StudyError

MANIFEST = "manifest.json"
STATE = "state.json"
_UNFINISHED = ".unfinished"
_REMOVED = ".removed"


class CheckpointError(StudyError):
    """A checkpoint is not what was committed; the message names the bad file."""


class Writable(Protocol):
    """What can be committed: a snapshot of a trial."""

    def write(self, folder: Path) -> None:
        """Write all files of the checkpoint into an empty folder."""
        ...


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


def checkpoint_path(trial: str, segment: int, boundary: int) -> Path:
    """Return where a trial's checkpoint stands, relative to the study's folder."""
    return Path("trials", trial, "checkpoints", f"boundary-{boundary:05d}-segment-{segment:04d}")


def commit(study_folder: Path, path: Path, snapshot: Writable) -> Manifest:
    """Write a checkpoint; when this returns it stands complete and on disk.

    Args:
        study_folder: the study's folder.
        path: from `checkpoint_path`. A checkpoint that stands there already is replaced.
        snapshot: what to write.

    Raises:
        OSError: it cannot be written; ENOSPC when the disk is full, whichever library was
            writing. Nothing is left behind.
    """
    final = study_folder / path
    _make_folders(final.parent, study_folder)
    temporary = final.with_name(f".{final.name}{_UNFINISHED}")
    _delete(temporary)
    try:
        temporary.mkdir()
        snapshot.write(temporary)
        manifest = _seal(temporary)
        if final.exists():
            remove(final)
        temporary.rename(final)
        _sync_folder(final.parent)
    except BaseException as error:
        full = _is_full(final.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        if full and isinstance(error, Exception) and not isinstance(error, OSError):
            # torch and safetensors raise errors of their own that do not hold the number.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(final)) from error
        raise
    return manifest


def verify(folder: Path, sha256: str | None = None) -> Manifest:
    """Check every file of a committed checkpoint against its manifest.

    Args:
        folder: the checkpoint.
        sha256: the sum that was committed, when known: notices a checkpoint put in another's
            place.

    Raises:
        CheckpointError: the checkpoint or one of its files is missing, damaged, or foreign.
    """
    manifest = _read_manifest(folder)
    if sha256 is not None and manifest.sha256 != sha256:
        raise CheckpointError(
            f"{folder / MANIFEST} is not the one that was committed: its SHA-256 is "
            f"{manifest.sha256}, the journal says {sha256}",
            mend="use the checkpoint before it",
        )
    for name in sorted(manifest.files.keys() | _file_names(folder)):
        _verify_file(folder, name, manifest.files.get(name))
    return manifest


def is_committed(folder: Path) -> bool:
    """Whether a checkpoint was committed here; says nothing about damage since."""
    return (folder / MANIFEST).is_file()


def remove(folder: Path) -> None:
    """Delete a checkpoint; one that does not exist is no error.

    It is renamed first, so that a half-deleted folder is never taken for a checkpoint.

    Raises:
        OSError: it cannot be renamed.
    """
    if not folder.exists():
        return
    condemned = folder.with_name(f".{folder.name}{_REMOVED}")
    _delete(condemned)
    folder.rename(condemned)
    shutil.rmtree(condemned, ignore_errors=True)


def remove_remnants(study_folder: Path) -> list[Path]:
    """Delete what killed writers and deleters left; call it while nobody writes.

    Returns:
        The folders deleted, relative to the study's folder.
    """
    remnants = [
        folder
        for ending in (_UNFINISHED, _REMOVED)
        for folder in sorted(study_folder.glob(f"trials/*/checkpoints/.*{ending}"))
    ]
    for folder in remnants:
        _delete(folder)
    return [folder.relative_to(study_folder) for folder in remnants]


@dataclass
class _Job:
    snapshot: Writable
    path: Path
    on_committed: Callable[[Manifest], None]
    on_error: Callable[[Exception], None]
    droppable: bool


class CheckpointWriter:
    """Commits snapshots in a thread of its own, at most one behind.

    While one is written another may wait; a third one takes the waiting one's place if that is
    droppable, else `submit` blocks. So memory holds three snapshots at most, and training waits
    for the disk only when every checkpoint is needed and the disk is slower than training.

    Args:
        study_folder: what the paths of `submit` are relative to.
    """

    def __init__(self, study_folder: Path) -> None:
        self._study_folder = study_folder
        self._changed = threading.Condition()
        self._waiting: _Job | None = None
        self._writing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(
        self,
        snapshot: Writable,
        path: Path,
        *,
        on_committed: Callable[[Manifest], None],
        on_error: Callable[[Exception], None],
        droppable: bool,
    ) -> None:
        """Hand over a snapshot to be committed.

        Args:
            snapshot: what to write; must not change any more.
            path: from `checkpoint_path`.
            on_committed: called in the writer's thread once the checkpoint is on disk.
            on_error: called in the writer's thread with what `commit` raised.
            droppable: whether it may be superseded by the trial's next one before it is
                written; then neither callback is called.

        Raises:
            ValueError: the writer is closed.
        """
        job = _Job(snapshot, path, on_committed, on_error, droppable)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._takes(job))
            if self._closed:
                raise ValueError("the checkpoint writer is closed: nothing can be submitted")
            self._waiting = job
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was submitted is committed, failed or superseded."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._writing)

    def close(self) -> None:
        """Write what waits and end the thread; closing twice is no error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _takes(self, job: _Job) -> bool:
        waiting = self._waiting
        if waiting is None:
            return True
        # Another trial's newest checkpoint is not superseded by this one's.
        return waiting.droppable and waiting.path.parent == job.path.parent

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waiting is not None)
                job, self._waiting = self._waiting, None
                if job is None:
                    return
                self._writing = True
                self._changed.notify_all()
            try:
                self._write(job)
            finally:
                del job  # a snapshot is as large as the trial: not kept until the next one
                with self._changed:
                    self._writing = False
                    self._changed.notify_all()

    def _write(self, job: _Job) -> None:
        try:
            job.on_committed(commit(self._study_folder, job.path, job.snapshot))
        except Exception as error:
            job.on_error(error)


def _seal(folder: Path) -> Manifest:
    """Sum and sync every file, then write the manifest beside them."""
    files = {name: _digest(folder / name, sync=True) for name in sorted(_file_names(folder))}
    body = {
        "version": 1,
        "files": {name: {"size": size, "sha256": sha} for name, (size, sha) in files.items()},
    }
    raw = (json.dumps(body, indent=1) + "\n").encode()
    with (folder / MANIFEST).open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    for parent, _, _ in os.walk(folder):
        _sync_folder(Path(parent))
    return _manifest(files, raw)


def _manifest(files: dict[str, tuple[int, str]], raw: bytes) -> Manifest:
    size = len(raw) + sum(size for size, _ in files.values())
    return Manifest(files, hashlib.sha256(raw).hexdigest(), size)


def _read_manifest(folder: Path) -> Manifest:
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{folder / MANIFEST} cannot be read ({error.strerror}): no checkpoint was committed "
            "here, or it was deleted",
            mend="use the checkpoint before it",
        ) from error
    try:
        listed = json.loads(raw)["files"]
        files = {str(name): (int(f["size"]), str(f["sha256"])) for name, f in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / MANIFEST} is damaged: it must be JSON with `files`",
            mend="use the checkpoint before it",
        ) from error
    return _manifest(files, raw)


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
        problem = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise CheckpointError(
            f"{path} {problem}; the manifest lists it with {committed[0]} bytes",
            mend="use the checkpoint before it",
        ) from error
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
    for parent, folders, files in os.walk(folder):
        here = Path(parent).relative_to(folder)
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        names.update((here / name).as_posix() for name in (*files, *links))
    return names - {MANIFEST}


def _digest(path: Path, *, sync: bool = False) -> tuple[int, str]:
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _make_folders(folder: Path, root: Path) -> None:
    """Like mkdir -p, but a folder that was made is also on disk in its parent."""
    missing = [f for f in (folder, *folder.parents) if root in f.parents and not f.exists()]
    root.mkdir(parents=True, exist_ok=True)
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
        _sync_folder(part.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delete(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < 1 << 20
