"""Makes a committed checkpoint into what the Trainer resumes from, for the current configuration.

Only reads the checkpoint. Settings (learning rate, weight decay ...) are put back in force by
`hyperparameters.py` once the Trainer has loaded it.

The public way into the middle of training is `resume_from_checkpoint` with a folder. Ours is made
of links to the committed files and one file of its own, the Trainer's state: the Trainer counts
position in steps, and a step means something else for another batch size.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Trainer
from transformers.trainer_callback import TrainerState

from orchestrator.checkpoints import MANIFEST, STATE
from orchestrator.segment import Segment
from orchestrator.sharded import add_whole_state
from orchestrator.snapshot import (
    GENERATORS,
    OPTIMIZER,
    RNG,
    TRAINER_STATE,
    WEIGHTS,
    RngState,
    state_fields,
    write_json,
)


@dataclass(frozen=True)
class Resumed:
    """What a checkpoint holds beside what the Trainer loads itself.

    Attributes:
        folder: the checkpoint.
        epoch_rng: the generators when its epoch began.
        rng: the generators at its boundary.
        max_steps: optimizer steps of the whole run that wrote it.
    """

    folder: Path
    epoch_rng: RngState
    rng: RngState
    max_steps: int


def read_checkpoint(folder: Path, rank: int = 0) -> Resumed:
    """Read what the Trainer does not.

    Args:
        folder: the checkpoint.
        rank: whose generators are wanted.

    Raises:
        OSError, ValueError, KeyError: it is not a whole checkpoint, or one of fewer ranks.
    """
    generators = torch.load(folder / GENERATORS, weights_only=True)
    if rank > 0:
        others = generators.get("others", [])
        if rank > len(others):
            raise ValueError(
                f"{folder}: a checkpoint must hold the generators of every rank that goes on from"
                f" it, but there are {1 + len(others)}, and none of rank {rank}"
            )
        generators = others[rank - 1]
    state = TrainerState.load_from_json(str(folder / TRAINER_STATE))
    return Resumed(folder, generators["epoch"], generators["boundary"], state.max_steps)


def boundary_step(boundary: int, boundaries: int, max_steps: int) -> int:
    """Return the optimizer step at which boundary k of K stands: ceil(k * max_steps / K)."""
    return -(-boundary * max_steps // boundaries)


def start_name(segment: Segment, rank: int) -> str:
    """Return the name of a process's start folder in the trial's folder.

    No other process has the same: one that is being ended may still clean up after itself while
    the next one loads.
    """
    return f"start-{segment.segment:04d}-{rank}-{os.getpid()}"


def remove_old_starts(trial_folder: Path, segment: Segment) -> None:
    """Delete the start folders of earlier segments, whose processes were killed or are dying."""
    for folder in trial_folder.glob("start-*"):
        number = folder.name.split("-")[1]
        if number.isdecimal() and int(number) < segment.segment:
            shutil.rmtree(folder, ignore_errors=True)


def make_start_folder(checkpoint: Path, folder: Path, trainer: Trainer, segment: Segment) -> Path:
    """Make the folder that the Trainer resumes from, without copying what is large.

    Args:
        checkpoint: the committed checkpoint, of this trial or of its donor.
        folder: where to make it; whatever stands there is deleted.
        trainer: built for the current configuration, before `train()`.
        segment: says the boundary, and the best of the lineage.

    Returns:
        The folder. Weights and optimizer are links and are read before the first step; the rng
        file is read during it, so it is a copy: the checkpoint may be deleted by then.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in checkpoint.iterdir():
        if source.name == RNG:
            shutil.copyfile(source, folder / source.name)
        elif source.name not in (GENERATORS, TRAINER_STATE, STATE, MANIFEST):
            (folder / source.name).symlink_to(source.resolve())
    state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE))
    _place(state, trainer, segment)
    if trainer.is_fsdp_enabled and trainer.args.process_index == 0:
        add_whole_state(folder, checkpoint / WEIGHTS, checkpoint / OPTIMIZER, trainer.model)
    write_json(folder / TRAINER_STATE, state_fields(state))
    return folder


def _place(state: TrainerState, trainer: Trainer, segment: Segment) -> None:
    """Move a saved Trainer state to where the segment starts, in the current count of steps.

    A donor at batch 16 that is half-way makes a receiver at batch 32 half-way: position is the
    fraction of the budget that is done, and every step count of the donor's is replaced.
    """
    epochs, steps_per_epoch, _, _, _, batches_per_epoch, max_steps = (
        trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())
    )
    step = boundary_step(segment.start, segment.boundaries, max_steps)
    whole, rest = divmod(step, steps_per_epoch)
    batches = rest * trainer.args.gradient_accumulation_steps
    state.global_step = step
    state.max_steps = max_steps
    state.num_train_epochs = epochs
    state.epoch = whole + batches / batches_per_epoch
    state.train_batch_size = trainer.args.train_batch_size
    state.compute_steps(trainer.args, max_steps)
    state.best_metric = segment.best.value if segment.best else None
    state.best_model_checkpoint = None
    state.best_global_step = None
