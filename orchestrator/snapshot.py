"""A trial's whole state at a boundary, in host memory, and as a folder the Trainer starts from.

Takes and gives back state; when a snapshot is taken and which configuration goes on from it is
`trial.py`'s business, how a folder becomes durable `checkpoints.py`'s.

The folder is the Trainer's own format, so that `from_pretrained` loads the model and
`resume_from_checkpoint` the rest, without `training_args.bin` (a pickle, and wrong after an
exploit). Two files are ours: `state.json`, and `generators.pt`, which holds where the generators
stood when the epoch began too: some samplers draw the epoch's order from them, and the Trainer
restores only where they stood later.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from transformers import PreTrainedConfig, Trainer
from transformers.trainer_callback import TrainerState

from orchestrator import watchdog
from orchestrator.checkpoints import STATE
from orchestrator.host_memory import HostMemory, Lease
from orchestrator.sharded import SHARDED_CLASS, WholeState

WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.pt"
SCHEDULER = "scheduler.pt"
SCALER = "scaler.pt"
RNG = "rng_state.pth"
GENERATORS = "generators.pt"
TRAINER_STATE = "trainer_state.json"
STATE_VERSION = 1

RngState = dict[str, Any]
Generators = dict[str, RngState]
"""Of one rank: where its generators stand at the boundary (`boundary`), and stood at the epoch's
begin (`epoch`)."""


@dataclass(frozen=True)
class Snapshot:
    """What is needed to go on from a boundary; shares no memory with the training.

    Its tensors are its own only as long as it lives: their memory is used for the next one.

    Attributes:
        weights: parameters and buffers by name, each tied one once.
        config: the model's configuration; None for a model that has none.
        optimizer, scheduler, scaler: their state dicts; scaler None without loss scaling.
        rng: the process's generators at the boundary.
        epoch_rng: the same when the current epoch began.
        trainer_state: the fields of the Trainer's state.
        state: ours: trial, segment, boundary, configuration and so on; plain JSON data.
        files: the tokenizer's files by name.
        others: the generators of ranks 1, 2 ...; all else is the same on all ranks.
    """

    weights: dict[str, torch.Tensor]
    config: PreTrainedConfig | None
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    scaler: dict[str, Any] | None
    rng: RngState
    epoch_rng: RngState
    trainer_state: dict[str, Any]
    state: dict[str, Any]
    files: dict[str, bytes]
    others: list[Generators] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """What the tensors take in memory, and roughly on disk."""
        return sum(t.nbytes for t in _tensors([self.weights, self.optimizer]))

    def write(self, folder: Path) -> None:
        """Write the checkpoint's files into an empty folder.

        Raises:
            OSError: a file cannot be written. The libraries that write tensors raise errors of
                their own for that: `checkpoints.commit` turns them into OSError.
        """
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if self.config is not None:
            self.config.save_pretrained(folder)
        safetensors.torch.save_file(self.weights, folder / WEIGHTS, metadata={"format": "pt"})
        watchdog.progress()
        _save(self.optimizer, folder / OPTIMIZER)
        _save(self.scheduler, folder / SCHEDULER)
        if self.scaler is not None:
            _save(self.scaler, folder / SCALER)
        _save(_as_trainer(self.rng), folder / RNG)
        generators: dict[str, Any] = {"boundary": self.rng, "epoch": self.epoch_rng}
        if self.others:
            generators["others"] = self.others
        _save(generators, folder / GENERATORS)
        write_json(folder / TRAINER_STATE, self.trainer_state)
        write_json(folder / STATE, {"version": STATE_VERSION, **self.state})


def take_snapshot(
    trainer: Trainer,
    *,
    rng: RngState,
    epoch_rng: RngState,
    state: dict[str, Any],
    files: dict[str, bytes],
    memory: HostMemory,
    others: list[Generators] | None = None,
    whole: WholeState | None = None,
) -> Snapshot:
    """Copy a trial's state to host memory, training standing still.

    Args:
        trainer: inside `train()`, after an optimizer step.
        rng: the generators now.
        epoch_rng: the generators when the epoch began.
        state: see `Snapshot`.
        files: see `Snapshot`.
        memory: what the copies are made in.
        others: see `Snapshot`; None: this is the only rank.
        whole: the weights and the optimizer's state, when the model at hand has only parts.
    """
    lease = memory.lease()
    model = trainer.accelerator.unwrap_model(trainer.model)
    weights, optimizer = whole or (model.state_dict(), trainer.optimizer.state_dict())
    scaler = getattr(trainer.accelerator, "scaler", None)
    snapshot = Snapshot(
        weights=_untied(model, weights) if whole else _on_host(_untied(model, weights), lease),
        config=_config_of(model),
        optimizer=optimizer if whole else _on_host(optimizer, lease),
        scheduler=_on_host(trainer.lr_scheduler.state_dict(), lease),
        scaler=None if scaler is None else _on_host(scaler.state_dict(), lease),
        rng=rng,
        epoch_rng=epoch_rng,
        trainer_state=state_fields(trainer.state),
        state=state,
        files=files,
        others=others or [],
    )
    lease.belongs_to(snapshot)
    return snapshot


def rng_state() -> RngState:
    """Return where this process's generators stand, as tensors and plain Python data."""
    name, keys, *rest = np.random.get_state()
    state: RngState = {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: RngState) -> None:
    """Put this process's generators back; those of a missing device are left alone."""
    random.setstate(state["python"])
    np.random.set_state(_numpy_state(state))
    torch.random.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """Return the files that `from_pretrained` needs beside the model; {} without a tokenizer."""
    if tokenizer is None:
        return {}
    with tempfile.TemporaryDirectory(prefix="tokenizer-") as name:
        tokenizer.save_pretrained(name)
        folder = Path(name)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def _save(data: Any, path: Path) -> None:
    # Left to open the file itself, torch keeps it open in the error of a full disk, and a deleted
    # file that is open keeps its space.
    with path.open("wb") as file:
        torch.save(data, file)
    watchdog.progress()


def _untied(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict with each tied tensor under the one name that loading expects."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    kept = {tensor.data_ptr() for name, tensor in state.items() if name not in tied}
    return {
        name: tensor
        for name, tensor in state.items()
        if name not in tied or tensor.data_ptr() not in kept
    }


def _config_of(model: torch.nn.Module) -> PreTrainedConfig | None:
    config = getattr(model, "config", None)
    if not isinstance(config, PreTrainedConfig):
        return None
    config = copy.deepcopy(config)
    config.architectures = [type(model).__name__.removeprefix(SHARDED_CLASS)]
    config.dtype = str(model.dtype).removeprefix("torch.")
    return config


def _on_host(tree: Any, lease: Lease) -> Any:
    """Copy a state dict; tensors become contiguous ones of their own in host memory."""
    if isinstance(tree, torch.Tensor):
        return lease.copy(tree)
    if isinstance(tree, dict):
        return {key: _on_host(value, lease) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_on_host(value, lease) for value in tree)
    return copy.copy(tree)


def _tensors(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    values = tree.values() if isinstance(tree, dict) else tree
    return [
        tensor
        for value in values
        if isinstance(value, torch.Tensor | dict | list)
        for tensor in _tensors(value)
    ]


def _numpy_state(state: RngState) -> tuple[Any, ...]:
    name, keys, position, has_gauss, gauss = state["numpy"]
    return (name, keys.numpy().astype(np.uint32), position, has_gauss, gauss)


def _as_trainer(state: RngState) -> RngState:
    """The Trainer's own form of rng_state.pth."""
    return {**state, "numpy": _numpy_state(state)}


def state_fields(state: TrainerState) -> dict[str, Any]:
    """Return a Trainer state's fields; the log is copied as a list, its lines do not change."""
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    fields["log_history"] = list(state.log_history)
    fields["stateful_callbacks"] = {}
    return fields


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON file of the checkpoint."""
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
