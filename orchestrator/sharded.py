"""A model that FSDP has split over ranks: its whole state for a checkpoint, and back.

Plain models never come here. A checkpoint always holds whole state dicts, whatever trained it:
so an exploit, an export and `from_pretrained` read the same files. On resume accelerate loads
whole state dicts under names of its own, so the start folder gets those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from accelerate.utils.constants import FSDP_MODEL_NAME, OPTIMIZER_NAME
from transformers import Trainer

SHARDED_CLASS = "FSDP"
"""What torch puts before the name of a class whose module it shards."""

WholeState = tuple[dict[str, Any], dict[str, Any]]
"""Weights by name and the optimizer's state, on the host."""


def whole_state(trainer: Trainer) -> WholeState | None:
    """Gather a sharded trial's whole state; None when it is not sharded.

    Every rank calls this at once, training standing still; rank 0 gets the state, others empty
    ones.
    """
    if not trainer.is_fsdp_enabled:
        return None
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_model_state_dict,
        get_optimizer_state_dict,
    )

    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(trainer.model, options=whole)
    optimizer = get_optimizer_state_dict(trainer.model, trainer.optimizer, options=whole)
    return dict(weights), dict(optimizer)


def add_whole_state(folder: Path, weights: Path, optimizer: Path, model: torch.nn.Module) -> None:
    """Put into a start folder what accelerate reads on rank 0 when it resumes a sharded model.

    Args:
        folder: the start folder.
        weights: the checkpoint's weights; tied ones stand there once.
        optimizer: the checkpoint's optimizer state.
        model: of that architecture, not sharded yet.
    """
    state = safetensors.torch.load_file(weights)
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    state |= {name: state[kept] for name, kept in tied.items() if name not in state}
    torch.save(state, folder / f"{FSDP_MODEL_NAME}.bin")
    (folder / f"{OPTIMIZER_NAME}.bin").symlink_to(optimizer.resolve())
