"""Begins a comparison or takes it up again: its seeds, its manifest, its folder and their lock.

Runs nothing. The folder stands among the studies that the comparison runs, holds no journal, and
so is no study; what is refused here is refused before anything was written.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.errors import StudyTaken
from orchestrator.journal import JOURNAL, is_unbegun
from orchestrator.lock import StudyLock
from orchestrator.study import make_storage, refuse_taken
from sweeps.comparing.entries import Work
from sweeps.comparing.epochs import planned
from sweeps.comparing.manifest import (
    Manifest,
    Method,
    Planned,
    read_manifest,
    require_same,
    write_manifest,
)
from sweeps.studies import UsageError, inside

REPETITIONS = 3
"""When nobody says how many: with fewer a report makes no claim."""


def repetition_seeds(given: str | None, repetitions: int | None, first: int) -> tuple[int, ...]:
    """The seeds of the repetitions.

    Args:
        given: `1,2,3`; None: `first` and those after it.
        repetitions: how many; None: three, or as many as seeds are given.
        first: the first file's seed.

    Raises:
        UsageError: the two do not fit together, or a seed is none.
    """
    if given is None:
        return tuple(range(first, first + (repetitions or REPETITIONS)))
    try:
        seeds = tuple(int(text) for text in given.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds):
        raise UsageError(
            "--seeds takes different whole numbers from 0 to 4294967295, with commas between;"
            f" got {given}.",
            mend="write --seeds 1,2,3.",
        )
    if repetitions is not None and repetitions != len(seeds):
        raise UsageError(
            f"--repetitions {repetitions} and {len(seeds)} --seeds do not fit together.",
            mend="leave one of them out.",
        )
    return seeds


def make_manifest(
    name: str,
    work: Work,
    seeds: Sequence[int],
    budget_epochs: float | None,
    storage: Path,
    command: str = "",
) -> Manifest:
    """Say what the comparison is.

    Args:
        command: the `sweep compare` that it is.

    Raises:
        UsageError: a study's name would be too long, or leads out of the storage folder.
    """
    methods = []
    for entry in work.entries:
        plan = planned(entry.spec)
        names = [f"{name}-{entry.key}-r{n}" for n in range(1, len(seeds) + 1)]
        for study in names:
            inside(storage, study)
        methods.append(
            Method(
                key=entry.key,
                label=entry.label,
                file=str(entry.path),
                source=entry.read.source,
                overrides=entry.overrides,
                spec=entry.sweep(names[0], seeds[0]).spec,
                planned=Planned(low=plan.low, high=None if plan.high == math.inf else plan.high),
                studies=tuple(names),
            )
        )
    return Manifest(
        name=name,
        budget_epochs=budget_epochs,
        seeds=tuple(seeds),
        methods=tuple(methods),
        given=tuple(_relative(study.folder, storage) for study in work.studies),
        command=command,
    )


def _relative(folder: Path, storage: Path) -> str:
    whole, root = folder.resolve(), storage.resolve()
    return str(whole.relative_to(root) if whole.is_relative_to(root) else whole)


@contextlib.contextmanager
def opened(folder: Path, manifest: Manifest, on_notice: Callable[[str], None]) -> Iterator[None]:
    """Hold the comparison's folder, with the manifest in it.

    Raises:
        StudyTaken: another process is at it, the name is another comparison's or a study's, or
            one of its studies' names is a study that is not its own.
        StudyUnreadable: its manifest is damaged.
        StudyError: the folder cannot be written.
    """
    storage = folder.parent
    make_storage(storage)
    if not is_unbegun(folder / JOURNAL):
        raise StudyTaken(
            f"{folder}: a study of this name is there already.", mend="give another --name."
        )
    folder.mkdir(exist_ok=True, mode=0o700)
    try:
        lock = StudyLock(folder, on_notice=on_notice)
    except StudyTaken as error:
        raise StudyTaken(
            error.rule.replace("writes to this study", "runs this comparison"),
            mend="wait for it, stop it, or give this one another --name.",
        ) from error
    try:
        before = read_manifest(folder)
        if before is not None:
            require_same(folder, before, manifest)
        own = {name for method in before.methods for name in method.studies} if before else set()
        for method in manifest.methods:
            for name in method.studies:
                if name not in own:
                    refuse_taken(storage / name)
        if before is None or len(before.seeds) < len(manifest.seeds):
            write_manifest(folder, manifest)
        yield
    finally:
        lock.release()
