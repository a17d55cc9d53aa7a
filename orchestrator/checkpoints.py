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
import os
import re
import shutil
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator import watchdog
from orchestrator.manifest import MANIFEST, CheckpointError, Manifest, seal, sync_folder, verify

STATE = "state.json"
_UNFINISHED = ".unfinished"
_REMOVED = ".removed"
_PATH = re.compile(r"boundary-\d{5,}-segment-\d{4,}", re.ASCII)


class Writable(Protocol):
    """What can be committed: a snapshot of a trial."""

    def write(self, folder: Path) -> None:
        """Write all files of the checkpoint into an empty folder."""
        ...


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
        manifest = seal(temporary, on_file=watchdog.progress)
        if final.exists():
            remove(final)
        temporary.rename(final)
        sync_folder(final.parent)
    except BaseException as error:
        full = isinstance(error, Exception) and _says_full(error, final.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        if full and not isinstance(error, OSError):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(final)) from error
        raise
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
    """Delete what killed writers and deleters left; call it while nobody else should write.

    What cannot be deleted stays: by its name nobody takes it for a checkpoint.

    Returns:
        The folders deleted, relative to the study's folder.
    """
    remnants = [
        folder
        for ending in (_UNFINISHED, _REMOVED)
        for folder in sorted(study_folder.glob(f"trials/*/checkpoints/.*{ending}"))
    ]
    deleted = []
    for folder in remnants:
        try:
            _delete(folder)
        except OSError:  # a worker whose driver was killed may still be writing for a moment
            continue
        deleted.append(folder.relative_to(study_folder))
    return deleted


def unnamed(study_folder: Path, named: Collection[str]) -> list[Path]:
    """Find whole checkpoints that no line of the journal names; `orphans.py` says whose they are.

    Args:
        study_folder: the study's folder; nothing outside it is found.
        named: the paths that the journal names, relative to the study's folder.

    Returns:
        Their folders, relative to the study's folder.
    """
    found = []
    for folder in sorted(study_folder.glob("trials/*/checkpoints/boundary-*-segment-*")):
        path = folder.relative_to(study_folder)
        inside = folder.resolve() == study_folder.resolve() / path  # no link on the way
        if inside and _PATH.fullmatch(folder.name) and path.as_posix() not in named:
            found.append(path)
    return found


@dataclass
class _Job:
    snapshot: Writable
    path: Path
    on_committed: Callable[[Manifest], None]
    on_error: Callable[[Exception], None]


class CheckpointWriter:
    """Commits snapshots in a thread of its own, one at a time.

    `submit` waits for the one before, so memory holds two snapshots at most. None is dropped for
    a newer one: a disk slower than training would then leave a trial without a checkpoint for
    many boundaries, and one boundary is all that a fault may cost.

    Args:
        study_folder: what the paths of `submit` are relative to.
    """

    def __init__(self, study_folder: Path) -> None:
        self._study_folder = study_folder
        self._changed = threading.Condition()
        self._job: _Job | None = None
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
    ) -> None:
        """Hand over a snapshot to be committed, once the one before is.

        Args:
            snapshot: what to write; must not change any more.
            path: from `checkpoint_path`.
            on_committed: called in the writer's thread once the checkpoint is on disk.
            on_error: called in the writer's thread with what `commit` raised.

        Raises:
            ValueError: the writer is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._job is None)
            if self._closed:
                raise ValueError("the checkpoint writer is closed: nothing can be submitted")
            self._job = _Job(snapshot, path, on_committed, on_error)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was submitted is committed or has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._job is None)

    def close(self) -> None:
        """Write what was submitted and end the thread; closing twice is no error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._job is not None)
                job = self._job
                if job is None:
                    return
            try:
                self._write(job)
            finally:
                del job  # a snapshot is as large as the trial: not kept until the next one
                with self._changed:
                    self._job = None
                    self._changed.notify_all()

    def _write(self, job: _Job) -> None:
        try:
            job.on_committed(commit(self._study_folder, job.path, job.snapshot))
        except Exception as error:
            job.on_error(error)


def _make_folders(folder: Path, root: Path) -> None:
    """Like mkdir -p, but a folder that was made is also on disk in its parent."""
    missing = [f for f in (folder, *folder.parents) if root in f.parents and not f.exists()]
    root.mkdir(parents=True, exist_ok=True)
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
        sync_folder(part.parent)


def _delete(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _says_full(error: Exception, folder: Path) -> bool:
    """Whether a full disk is behind an error: torch's and safetensors' own hold no number.

    safetensors names it and has freed its file by then; torch does neither.
    """
    return os.strerror(errno.ENOSPC) in str(error) or shutil.disk_usage(folder).free < 1 << 16


__all__ = [
    "MANIFEST",
    "STATE",
    "CheckpointError",
    "CheckpointWriter",
    "Manifest",
    "Writable",
    "checkpoint_path",
    "commit",
    "is_committed",
    "remove",
    "remove_remnants",
    "unnamed",
    "verify",
]
