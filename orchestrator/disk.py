"""How much room a study needs on disk, and when it must stop because there is too little.

Deletes nothing (`retention.py` names what nobody needs). What is asked is what its checkpoints
take: weights and optimizer state of every trial that ends keep one, and a trial that runs has up
to three and one being written. Batches, logs and the journal are small beside that. A study is
refused only for what it will keep for certain: the checkpoints of the smallest model and optimizer,
of as many trials as its budgets let come to an end at least. What it may have at most is worth a
notice: an estimate that is too careful never costs a study.

While it runs, a reserve is kept: the driver looks twice a second, and a study that ends at low
water can still say so in its journal. Writers can fill the reserve between two looks. Then a write
fails, which ends the study too, what was committed is kept, and a line of the journal that was
cut short is taken back, or dropped by the next reader.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DiskFull, StudyError

if TYPE_CHECKING:
    from search_spaces import SweepSpec

_WEIGHTS = 4
"""Bytes of a parameter: models are float32, mixed precision is the Trainer's."""

_OPTIMIZERS = (
    ("adamw_bnb_8bit", 2), ("adamw_8bit", 2), ("paged_adamw_8bit", 2), ("lion_8bit", 1),
    ("paged_lion_8bit", 1), ("rmsprop_bnb_8bit", 1), ("ademamix_8bit", 3), ("lion", 4),
    ("paged_lion", 4), ("rmsprop", 4), ("adagrad", 4), ("adafactor", 0), ("sgd", 0), ("adamw", 8),
)  # fmt: skip
"""Bytes of optimizer state of a parameter, by how `optim` begins; the first that fits."""
_OTHER_OPTIMIZER = 8

_EPOCHS = "num_train_epochs"
_CHANGES_SIZE = re.compile(r"task\.model_config\..*(size|layers?|dim|blocks?|depths?)$")
"""Searched settings of a model that make it smaller or larger."""
_ROUNDING = 1e-9
_RUNNING = 3
_RESERVE = 64 << 20
_RESERVE_SHARE = 0.02
_MIB = 1 << 20
_LONGEST_HEADER = 100 << 20


@dataclass(frozen=True)
class Need:
    """What a study's checkpoints take.

    Attributes:
        checkpoint: bytes of the largest.
        smallest: bytes of the smallest; 0 when unknown.
        kept: how many stand at the end at least.
        most: how many may stand at once; when only time ends the study, those of the running
            trials.
    """

    checkpoint: int
    smallest: int
    kept: int
    most: int

    @property
    def bytes_kept(self) -> int:
        """Bytes that the study has for certain at its end."""
        return self.smallest * self.kept

    @property
    def bytes_most(self) -> int:
        """Bytes that it may have at once."""
        return self.checkpoint * self.most


def checkpoint_bytes(spec: SweepSpec, parameters: int) -> tuple[int, int]:
    """Return the size of a checkpoint with the smallest and the largest optimizer asked for."""
    optimizers = [_state_bytes(name) for name in _optimizers(spec)]
    return parameters * (_WEIGHTS + min(optimizers)), parameters * (_WEIGHTS + max(optimizers))


def need(spec: SweepSpec, parameters: int, slots: int, *, smallest: int | None = None) -> Need:
    """Work out what a study needs.

    Args:
        parameters: of the largest model that a trial trains; 0 when unknown.
        slots: trials at the same time.
        smallest: parameters of the smallest model; 0 when unknown. None: all are of one size.
    """
    least, trials = _trials(spec)
    running = slots if trials is None else min(slots, trials)
    if spec.method == "pbt" and trials is not None:
        running = trials  # each member can be taken up, and copied from
    if any(_CHANGES_SIZE.match(name) for name in spec.space):
        smallest = 0
    return Need(
        checkpoint=checkpoint_bytes(spec, parameters)[1],
        smallest=checkpoint_bytes(spec, parameters if smallest is None else smallest)[0],
        kept=least,
        most=(trials or running) + _beside(spec) + _RUNNING * running,
    )


def _beside(spec: SweepSpec) -> int:
    """How many trials beside the search keep a checkpoint."""
    runs = spec.finalists.top_k * spec.finalists.seeds if spec.finalists else 0
    return runs + (spec.method == "grid" and spec.tries_default)


def _trials(spec: SweepSpec) -> tuple[int, int | None]:
    """How many trials keep a checkpoint, at least and at most; None when only time ends them."""
    limit, budget = spec.trial_limit, spec.budget
    least, most = limit or 1, limit
    if budget.epochs is not None:
        fewest, many = _trials_within(spec, budget.epochs)
        least = fewest if limit is None else min(limit, fewest)
        # Trials that are ended early leave epochs to others, how many nobody knows.
        if limit is None or (spec.method != "pbt" and spec.early_terminate is None):
            most = many if limit is None else min(limit, many)
    if budget.wall_clock_s is not None or budget.gpu_hours is not None:
        least = 1
    return least, most


def _trials_within(spec: SweepSpec, epochs: float) -> tuple[int, int]:
    """How many trials so many epochs allow when all are the longest, and all the shortest."""
    default = spec.epochs(spec.default_config())
    domain = spec.space.get(_EPOCHS)
    lengths = [float(v) for v in getattr(domain, "values", ())] or [
        float(getattr(domain, end, default)) for end in ("low", "high")
    ]
    # A trial begins while its default length fits into what is left; see `budgets.py`.
    first = epochs - default + _ROUNDING
    fewest, many = (
        int(first // length) + 1 if first >= 0 and length > 0 else 1
        for length in (max(lengths), min(lengths))
    )
    return fewest, many


def stored_parameters(model: str) -> int | None:
    """Count the parameters in a model folder's safetensors files, without loading any.

    Args:
        model: the sweep file's `task.model`.

    Returns:
        None when it is no folder, or its weights stand in another form or cannot be read.
    """
    files = sorted(Path(model).expanduser().glob("model*.safetensors"))
    try:
        return sum(_elements(file) for file in files) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # `sweep run` says what is wrong with it


def _elements(file: Path) -> int:
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("not a safetensors file")
        header = json.loads(opened.read(length))
    return sum(math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__")


def reserve(folder: Path) -> int:
    """Return how many bytes must stay free where a study writes."""
    return min(_RESERVE, int(shutil.disk_usage(_existing(folder)).total * _RESERVE_SHARE))


def free_bytes(folder: Path) -> int:
    """Return how many bytes can still be written, the reserve included."""
    return shutil.disk_usage(_existing(folder)).free


def checkpoints_bytes(folder: Path) -> int:
    """Return what a study's checkpoints take now; 0 without any."""
    return sum(
        path.lstat().st_size
        for path in folder.glob("trials/*/checkpoints/*/**/*")
        if path.is_file() and not path.is_symlink()
    )


def require_room(folder: Path, needed: Need) -> str | None:
    """Refuse a study that cannot fit; what its folder holds already is counted.

    Returns:
        A sentence for a person when it may get tight, else None.

    Raises:
        DiskFull: less is free than it keeps for certain, or than the reserve.
    """
    require_reserve(folder)
    free, held = free_bytes(folder), reserve(folder)
    there = checkpoints_bytes(folder)
    least = max(0, needed.bytes_kept - there)
    if free - held < least:
        raise DiskFull(
            f"{folder}: the study does not fit: its checkpoints need {_mib(least)}"
            f" ({needed.kept} of {_mib(needed.smallest)}"
            f"{', less what stands there' if there else ''}), {_mib(free)} are free.",
            mend="make room, name another folder by --storage, or ask for fewer trials.",
        )
    most = max(0, needed.bytes_most - there)
    if free - held < most:
        return (
            f"{folder}: the disk may get full: the checkpoints of this study take up to"
            f" {_mib(most)}, {_mib(free)} are free. At low water it ends and can be resumed."
        )
    return None


def require_reserve(folder: Path) -> None:
    """Raise DiskFull when less than the reserve is free."""
    free, held = free_bytes(folder), reserve(folder)
    if free < held:
        raise DiskFull(
            f"{folder}: the disk is almost full: {_mib(held)} must stay free for the study to be"
            f" recorded, {_mib(free)} are.",
            mend="make room; a study that was begun goes on with `sweep resume"
            f" {folder}`, and what was committed is kept.",
        )


def disk_error(folder: Path, error: OSError) -> StudyError:
    """What a failed write means: DiskFull when there is no room."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"{folder}: the disk is full ({_mib(free_bytes(folder))} free): {error.strerror}.",
            mend=f"make room: to go on, {_mib(reserve(folder))} must stay free beside what further"
            " checkpoints take (`sweep plan` tells); what was committed is kept.",
        )
    return StudyError(
        f"{folder}: cannot be written: {error.strerror}.", mend="look at the folder's rights."
    )


def full_elsewhere(folder: Path, error: OSError) -> str | None:
    """Which other file system than the study's a failed write for want of room was on.

    Returns:
        A place on it, as the error names it, with the room that is free there. None: the study's
        own, or the error names no file.
    """
    if not isinstance(error.filename, str | os.PathLike):
        return None
    place = Path(error.filename)
    try:
        if _existing(place).stat().st_dev == _existing(folder).stat().st_dev:
            return None
        return f"{place} ({_mib(free_bytes(place))} free)"
    except OSError:  # it cannot be looked at, or is gone: the study's own is as likely
        return None


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _optimizers(spec: SweepSpec) -> tuple[str, ...]:
    domain = spec.space.get("optim")
    values = tuple(getattr(domain, "values", ()))
    return values or (str(spec.setting({}, "optim") or "adamw"),)


def _state_bytes(optimizer: object) -> int:
    name = str(optimizer)
    return next((n for start, n in _OPTIMIZERS if name.startswith(start)), _OTHER_OPTIMIZER)


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / _MIB:,.1f} MiB" if n_bytes < 10 * _MIB else f"{n_bytes / _MIB:,.0f} MiB"
