"""Keeps one model object from trial to trial and makes it as new for each.

It does not build models (the task does) and does not decide what may be shared: equal keys
promise the same architecture and the same initial weights.

Training marks a model in many places: weights, gradients, dtype, `forward` wrapped for mixed
precision, hooks of NEFTune or of activation checkpointing, fields of its configuration, training
mode. Undoing each by name would miss the next library version's, so everything that a module
holds is recorded when the model is new and put back. Building a model instead costs tens of
milliseconds for a tiny one and reading all weights for a pretrained one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedConfig


class WarmModel:
    """Holds the model built last."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._model: nn.Module | None = None
        self._new: _Recorded | None = None

    def take(self, key: Hashable, build: Callable[[], nn.Module], *, weights: bool) -> nn.Module:
        """Return a model that is as `build` made it.

        Args:
            key: what the model depends on, the seed of its weights included.
            build: makes it; called when the model at hand has another key.
            weights: whether the initial weights are wanted; False when a checkpoint that holds
                all of them is loaded next.
        """
        if self._model is not None and self._new is not None and self._key == key:
            self._new.put_back(self._model, weights=weights)
            return self._model
        self._model = self._new = self._key = None  # freed before the next one is made
        model = build()
        self._key, self._model, self._new = key, model, _Recorded(model)
        return model

    def release(self) -> None:
        """Free what only training needs: the gradients."""
        if self._model is not None:
            self._model.zero_grad(set_to_none=True)

    def forget(self) -> None:
        """Drop the model: it may be in a state that cannot be put back."""
        self._model = self._new = self._key = None


class _Recorded:
    """A new model's tensors and everything its modules hold beside them."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, _contents(module)) for module in model.modules()]
        self._configs = _configs(model)
        self._saved = set(model.state_dict())
        self._tensors = [
            (name, tensor, tensor.requires_grad, tensor.detach().to("cpu", copy=True))
            for name, tensor in _named_tensors(model)
        ]

    def put_back(self, model: nn.Module, *, weights: bool) -> None:
        for module, contents in self._modules:
            _restore(module, contents)
        for config, fields in self._configs:
            vars(config).clear()
            vars(config).update(_copied_fields(fields))
        with torch.no_grad():
            for name, tensor, requires_grad, initial in self._tensors:
                tensor.grad = None
                if tensor.dtype != initial.dtype or tensor.shape != initial.shape:
                    tensor.data = initial.to(tensor.device, copy=True)
                elif weights or name not in self._saved:
                    tensor.copy_(initial)
                if tensor.requires_grad != requires_grad:
                    tensor.requires_grad_(requires_grad)


def _named_tensors(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _contents(module: nn.Module) -> dict[str, Any]:
    return {name: _shallow(value) for name, value in vars(module).items()}


def _shallow(value: Any) -> Any:
    # Hook tables are changed in place by register and remove, so the table itself is copied.
    return copy.copy(value) if isinstance(value, dict | list | set) else value


def _restore(module: nn.Module, contents: dict[str, Any]) -> None:
    held = vars(module)
    for name in held.keys() - contents.keys():
        del held[name]
    for name, value in contents.items():
        now = held.get(name)
        if isinstance(value, dict) and isinstance(now, dict):
            now.clear()
            now.update(value)
        else:
            held[name] = _shallow(value)


def _configs(model: nn.Module) -> list[tuple[Any, dict[str, Any]]]:
    """Every configuration object that a module holds, once, with a copy of its fields."""
    found: dict[int, Any] = {}
    waiting = [value for module in model.modules() for value in vars(module).values()]
    while waiting:
        value = waiting.pop()
        if _is_config(value) and id(value) not in found:
            found[id(value)] = value
            waiting.extend(vars(value).values())
    return [(config, _copied_fields(vars(config))) for config in found.values()]


def _copied_fields(fields: dict[str, Any]) -> dict[str, Any]:
    # A configuration inside a configuration stays the same object: modules refer to it.
    return {n: v if _is_config(v) else copy.deepcopy(v) for n, v in fields.items()}


def _is_config(value: Any) -> bool:
    return isinstance(value, PreTrainedConfig | GenerationConfig)
