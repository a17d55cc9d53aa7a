"""Whether a model can be made from its configuration, and whether its weights fit it.

Loads no weights: the model is built without memory, and the shapes stand in the headers of
safetensors files. Without this, weights under names that the model does not know are silently
replaced by random ones, and a shape that does not fit fails in every trial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.tasks.errors import TaskError, first_line
from search_spaces.parts import TaskSpec


def check_fits(config: Any, name: str, folder: Path | None, task: TaskSpec) -> int:
    """Build the model without memory, and compare its shapes with those of the weights.

    Args:
        config: the configuration to train with.
        name: the model as the sweep file has it.
        folder: with the weights; None when it starts from random ones.
        task: its overrides are named in messages.

    Returns:
        How many parameters it has, each tied one once.

    Raises:
        TaskError: the model cannot be made, has no form for sequence classification, or its
            weights are damaged, of another shape, or another model's.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(
                config, trust_remote_code=task.trust_remote_code
            )
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise bad_override(task.model_config_overrides, error) from error
        raise TaskError(
            f"task.model: {name} ({config.model_type}) has no form for sequence"
            " classification in transformers.",
            mend="take an encoder such as BERT, RoBERTa, DeBERTa or DistilBERT.",
        ) from error
    except Exception as error:  # a constructor may raise anything on a bad value
        raise bad_override(task.model_config_overrides, error) from error
    stored = {} if folder is None else _stored_shapes(folder)
    if stored:
        _check_shapes(model, stored, f"{config.model_type} model {name}", task)
    return sum(parameter.numel() for parameter in model.parameters())


def _check_shapes(
    model: Any, stored: Mapping[str, tuple[int, ...]], described: str, task: TaskSpec
) -> None:
    ours = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    matched = 0
    for name, shape in ours.items():
        their = next((c for c in _spellings(name, model.base_model_prefix) if c in stored), None)
        if their is None:
            continue
        matched += 1
        head = their == name and not name.startswith(f"{model.base_model_prefix}.")
        if stored[their] != shape and not head:
            given = ", ".join(task.model_config_overrides) or "config.json"
            raise TaskError(
                f"task.model: the weights of the {described} do not fit its configuration:"
                f" {name} should be {list(shape)}, the file has {list(stored[their])}.",
                mend=f"leave out what changes shapes (look at {given}), or write"
                " task.weights: random.",
            )
    if not matched:
        raise TaskError(
            f"task.model: the weights given for the {described} are another model's: not one"
            " tensor has a name that it knows.",
            mend="check that config.json and the weights belong together.",
        )


def _spellings(name: str, prefix: str) -> tuple[str, ...]:
    """How a parameter may be called in a file: with the base model's prefix or without it."""
    bare = name.removeprefix(f"{prefix}.")
    old = [n.replace("LayerNorm.weight", "LayerNorm.gamma") for n in (name, bare)]
    old += [n.replace("LayerNorm.bias", "LayerNorm.beta") for n in (name, bare)]
    return (name, bare, *old)


def stored_files(folder: Path) -> list[str]:
    """Names of the safetensors files that hold the weights; none when they are in another form.

    Raises:
        ValueError: the index of a split file is no JSON.
        KeyError: it is no index.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return ["model.safetensors"] if (folder / "model.safetensors").is_file() else []


def _stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes in the safetensors headers; empty for weights in another form."""
    from safetensors import SafetensorError, safe_open

    shapes = {}
    try:
        for name in stored_files(folder):
            with safe_open(folder / name, framework="np") as file:
                for key in file.keys():  # noqa: SIM118 - it is no dict
                    shapes[key] = tuple(file.get_slice(key).get_shape())
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise TaskError(
            f"task.model: the weights in {folder} are damaged: {first_line(error)}",
            mend="copy or download them again.",
        ) from error
    return shapes


def bad_override(overrides: Mapping[str, Any], error: Exception) -> TaskError:
    """The error for a configuration from which no model can be made."""
    given = ", ".join(f"{name}: {value}" for name, value in overrides.items()) or "none"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return TaskError(
        f"task.model_config: the model cannot be made with these values ({given}):"
        f" {(lines or [type(error).__name__])[-1][:300]}",
        mend="correct the value, or leave it out.",
    )
