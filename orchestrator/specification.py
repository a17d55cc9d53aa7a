"""What a study was asked to be: `spec.json` beside its journal, written once, whole, and known.

Says nothing of what came of it (the journal does), nor what was changed since (`StudyResumed`).
It is on disk before the journal's first line, which holds its SHA-256: a searched range or a data
set that somebody changed by hand, or that a disk lost, would else make another study of it in
silence. Journals of older versions have no sum; their specification is read as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from orchestrator.errors import StudyUnreadable
from orchestrator.journal import JOURNAL, is_unbegun, length_file
from orchestrator.manifest import sync_folder
from search_spaces import SweepSpec

SPECIFICATION = "spec.json"


def write_specification(folder: Path, spec: SweepSpec) -> str:
    """Write a study's specification; when this returns it stands whole and on disk.

    Returns:
        Its SHA-256 in hex, for the journal's first line.

    Raises:
        OSError: it cannot be written; nothing half-written has its name.
    """
    raw = json.dumps(spec.model_dump(mode="json"), indent=1).encode("utf-8")
    unfinished = folder / f".{SPECIFICATION}.new"
    try:
        with unfinished.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        unfinished.unlink(missing_ok=True)  # a full disk: it would make it fuller
        raise
    unfinished.replace(folder / SPECIFICATION)
    sync_folder(folder)
    return hashlib.sha256(raw).hexdigest()


def read_specification(folder: Path, sha256: str | None) -> SweepSpec:
    """Read a study's specification as it was when the study began.

    Args:
        folder: the study's.
        sha256: what the journal says of it; None: nothing, and then any is taken.

    Raises:
        StudyUnreadable: it cannot be read, or is not the one that the study began with.
    """
    path = folder / SPECIFICATION
    mend = "nothing was changed; restore the file from a copy."
    try:
        raw = path.read_bytes()
    except OSError as error:
        rule = f"{path}: the study's specification cannot be read: {error.strerror}."
        raise StudyUnreadable(rule, mend=mend) from error
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise StudyUnreadable(
            f"{path}: this is not the specification that the study began with: its SHA-256 is"
            f" {found}, the journal says {sha256}.",
            mend=f"{mend} What may change goes by `sweep resume {folder} --set KEY=VALUE`.",
        )
    try:
        return SweepSpec.model_validate(json.loads(raw))
    except ValueError as error:
        rule = f"{path}: the study's specification cannot be read: {error}."
        raise StudyUnreadable(rule, mend=mend) from error


def is_study(folder: Path) -> bool:
    """Whether a study stands in a folder, or what is left of one whose journal is gone.

    What a kill before a journal's first line leaves is no study: as if it had not been made.
    """
    journal = folder / JOURNAL
    if journal.is_file():
        return True
    begun = not is_unbegun(journal) or (folder / "trials").is_dir()
    left = (folder / SPECIFICATION).is_file() or length_file(journal).is_file()
    return (left and begun) or any(folder.glob("trials/*/checkpoints"))
