"""`sweep best --export`: the best checkpoint's model, in a folder that `from_pretrained` loads.

Loads no torch: a checkpoint already is what `from_pretrained` reads, so files are copied, and
all that only training needs, above all every pickle, stays behind. The checkpoint is verified
against what was committed before anything is handed over; a damaged one is named and the next
best is taken. The folder appears whole or not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from orchestrator.best_model import is_model_file
from orchestrator.checkpoints import MANIFEST, CheckpointError, Manifest, verify
from orchestrator.errors import DiskFull, StudyUnreadable
from orchestrator.manifest import CheckpointUnreadable
from orchestrator.results import StudyResult
from orchestrator.state import StudyBest, TrialRecord
from sweeps.model_card import model_card
from sweeps.studies import UsageError

WEIGHTS = "model.safetensors"
CARD = "README.md"


def export_best(result: StudyResult, target: Path) -> tuple[StudyBest, tuple[str, ...]]:
    """Write the best model, its tokenizer and its card into a new folder.

    Args:
        target: must not exist, or be an empty folder.

    Returns:
        What was exported, and a sentence for each better checkpoint that is damaged or
        cannot be read.

    Raises:
        UsageError: the target is taken or cannot be written.
        StudyUnreadable: no committed checkpoint is whole.
        DiskFull: there is no room for the copy.
    """
    if target.is_file() or target.is_symlink() or (target.is_dir() and any(target.iterdir())):
        raise UsageError(
            f"--export writes a new folder; {target} exists and is not empty.",
            mend="name another folder, or remove this one first.",
        )
    damaged: list[str] = []
    for best, sha256 in candidates(result):
        folder = result.folder / best.checkpoint
        try:
            manifest = _whole(result.folder, folder, sha256)
        except (CheckpointError, CheckpointUnreadable) as error:
            damaged.append(error.rule)
            continue
        _write(folder, manifest, target, model_card(result, best))
        return best, tuple(damaged)
    raise StudyUnreadable(
        f"{result.folder}: no checkpoint is whole: {'; '.join(damaged)}.",
        mend="restore the study's folder from a copy; nothing was changed.",
    )


def candidates(result: StudyResult) -> Iterator[tuple[StudyBest, str]]:
    """The study's selected checkpoint with its committed sum, then the next best still there.

    Of a crowned configuration its other runs come next, before what the search was lucky with.
    """
    state = result.state
    selected, crown = state.selected, state.crowned
    first = selected.checkpoint if selected else ""
    runs = crown.trials if crown is not None else ()
    found = [
        (best, sha256)
        for record in state.trials.values()
        for best, sha256 in _committed(record)
        if best.checkpoint == first or (result.folder / best.checkpoint).is_dir()
    ]
    sign = -1.0 if state.goal == "maximize" else 1.0
    found.sort(
        key=lambda entry: (
            entry[0].checkpoint != first,
            entry[0].trial not in runs,
            sign * entry[0].value,
        )
    )
    yield from found


def _committed(record: TrialRecord) -> Iterator[tuple[StudyBest, str]]:
    """Each commit of a trial that has a value, under the configuration that trained it."""
    for boundary, commit in record.checkpoints.items():
        report = record.reports.get(boundary)
        if report is not None and report.value is not None:
            segments = [s for s in record.segments if s.segment == commit.segment]
            config = segments[0].config if segments else record.first_config
            best = StudyBest(record.id, boundary, report.value, config, commit.path)
            yield best, commit.sha256


def _whole(study: Path, folder: Path, sha256: str) -> Manifest:
    """The checkpoint's manifest, once every file is what was committed and stands in the study.

    Raises:
        CheckpointError: something is missing, damaged, or leads out of the folder.
    """
    if not folder.resolve().is_relative_to(study.resolve()):
        raise CheckpointError(f"{folder} does not stand in the study's folder")
    manifest = verify(folder, sha256)
    for name in manifest.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise CheckpointError(f"{folder / MANIFEST} names a file outside its folder: {name}")
    if WEIGHTS not in manifest.files:
        raise CheckpointError(f"{folder} holds no {WEIGHTS}")
    return manifest


def _write(folder: Path, manifest: Manifest, target: Path, card: str) -> None:
    """Make the folder beside its place, then rename it there."""
    unfinished = target.with_name(f".{target.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        for name in sorted(filter(is_model_file, manifest.files)):
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, unfinished / name)
        (unfinished / CARD).write_text(card, encoding="utf-8")
        unfinished.rename(target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"{target}: the disk is full; {manifest.size_bytes} bytes at most are needed.",
                mend="make room, or export to another disk. Nothing was left behind.",
            ) from error
        raise UsageError(
            f"{target} cannot be written: {error.strerror}.", mend="name another folder."
        ) from error
