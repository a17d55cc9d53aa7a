"""Folders that several processes may want to build at once and that appear whole or not at all.

Knows nothing of what stands in them. A folder is built beside its final place under an
exclusive lock and renamed when it is complete, so a reader needs no lock, a second process
waits and then finds the work done, and a process killed mid-way leaves only a temporary folder
that the next one to hold the lock removes. On a file system without locks two processes may
both build; the first rename wins and the other's work is dropped.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.errors import DiskFull
from orchestrator.tasks.errors import TaskError

META = "meta.json"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def read_meta(folder: Path) -> dict[str, Any] | None:
    """The folder's `meta.json` if the folder is complete, else None.

    Complete means that every file that was there when it was built is there with its size.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        sizes = meta["files"]
        if any((folder / name).stat().st_size != size for name, size in sizes.items()):
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta if isinstance(meta, dict) else None


def built(folder: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the meta data of `folder`, building it first when it is not there or not complete.

    Args:
        folder: final place; its parents are made.
        build: fills the empty folder it is given and returns the meta data (JSON). What it
            raises goes through, and nothing of its work stays.

    Raises:
        DiskFull: there is no room for it.
        TaskError: the folder may not be written.
    """
    meta = read_meta(folder)
    if meta is not None:
        return meta
    try:
        return _build(folder, build)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free_mib = shutil.disk_usage(folder.parent).free / 2**20
            raise DiskFull(
                f"{folder.parent}: there is no room for the tokenised data; {free_mib:.0f} MiB"
                " are free.",
                mend="make room, or name another folder by --storage.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise TaskError(
                f"{folder.parent}: the tokenised data cannot be written there: {error.strerror}.",
                mend="name another folder by --storage.",
            ) from error
        raise


def _build(folder: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder.parent / f".{folder.name}.lock") as alone:
        meta = read_meta(folder)
        if meta is not None:
            return meta
        for left_over in folder.parent.glob(f".{folder.name}.tmp-*"):
            if alone:  # so it is a dead process's
                shutil.rmtree(left_over, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.tmp-", dir=folder.parent))
        try:
            meta = build(temporary)
            _write_meta(temporary, meta)
            if folder.exists() and read_meta(folder) is None:  # damaged
                shutil.rmtree(folder)
            _rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return meta


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    files = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for name in files:
        _sync(folder / name)
    text = json.dumps({**meta, "files": files}, ensure_ascii=False, indent=1)
    (folder / META).write_text(text, encoding="utf-8")
    _sync(folder / META)


def _rename(temporary: Path, folder: Path) -> None:
    """Rename, or do nothing when a process that we could not lock out was first."""
    try:
        os.rename(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or read_meta(folder) is None:
            raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _exclusive(path: Path) -> Iterator[bool]:
    """Hold an advisory lock, free at once when its owner dies; False where there are no locks."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        alone = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            alone = False
        yield alone
    finally:
        os.close(handle)
