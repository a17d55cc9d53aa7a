"""The model of a task: where it comes from, its configuration for this data, its weights.

Reads no data. Everything that can be known to be wrong without loading the weights is found by
`prepare_model` before the first trial: a missing configuration or weights, an architecture
without a classification head, an override that the model does not have or that its weights do
not fit. The configuration with all that is applied to it is written once, so a worker reads it
and decides nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tasks import hub, toy
from orchestrator.tasks.data import Rows, fingerprint
from orchestrator.tasks.errors import HubUnreachable, TaskError, first_line
from orchestrator.tasks.folders import built
from orchestrator.tasks.shrinking import shrunk_config
from orchestrator.tasks.token_cache import Tokens
from orchestrator.tasks.weights import bad_override, check_fits, stored_files
from search_spaces.errors import did_you_mean, nearest
from search_spaces.parts import TaskSpec

FORMAT = 2
_PROBLEM_TYPES = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
_OURS = ("num_labels", "id2label", "label2id", "problem_type", "vocab_size", "model_type")
"""Configuration fields that follow from the data and the model, so none may override them."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: as the sweep file has it.
        folder: with its files; None for the toy model.
        random: whether it starts from random weights.
        shrunk: whether its configuration is made tiny first (smoke runs).
    """

    name: str
    folder: Path | None
    random: bool
    shrunk: bool


@dataclass(frozen=True)
class Model:
    """A model ready to be built: the configuration stands in `folder`."""

    folder: Path
    origin: Origin
    parameters: int


def origin_of(task: TaskSpec) -> Origin:
    """Find the model that the task names, fetching it from the Hub if need be.

    Raises:
        TaskError: there is no such model, or its folder holds no configuration or no weights.
    """
    if not task.model:
        raise TaskError(
            "task.model: the model must be named.",
            mend="write a name on the Hub, or a folder with config.json, tokenizer and weights.",
        )
    if task.model == toy.MODEL:
        return Origin(task.model, None, random=True, shrunk=task.smoke)
    random = task.weights == "random" or task.smoke
    folder = Path(task.model).expanduser()
    if not folder.is_dir():
        _refuse_path(task.model)
        try:
            folder = hub.snapshot(task.model, task.revision, weights=not random)
        except HubUnreachable:
            if not task.smoke:
                raise
            return Origin(task.model, None, random=True, shrunk=True)
    if not (folder / "config.json").is_file():
        raise TaskError(
            f"task.model: the folder {folder} holds no config.json.",
            mend="name a folder that save_pretrained wrote, or a name on the Hub.",
        )
    _check_config_file(folder / "config.json")
    if not random and not hub.has_weights(folder):
        raise TaskError(
            f"task.model: the folder {folder} holds no weights (model.safetensors or"
            " pytorch_model.bin).",
            mend="add them, or write task.weights: random to start from random ones.",
        )
    return Origin(task.model, folder.resolve(), random=random, shrunk=task.smoke)


def _check_config_file(path: Path) -> None:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(
            f"task.model: {path} is no JSON: {first_line(error)}",
            mend="copy or download it again.",
        ) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("model_type"), str):
        raise TaskError(
            f"task.model: {path} names no model_type.",
            mend="name a folder that save_pretrained wrote; other libraries' folders do not do.",
        )


def _refuse_path(model: str) -> None:
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise TaskError(
            f"task.model: there is no folder {model} (working directory {Path.cwd()}).",
            mend="check the path; relative ones start at the working directory.",
        )


def prepare_model(origin: Origin, task: TaskSpec, rows: Rows, tokens: Tokens, cache: Path) -> Model:
    """Check the model against data, tokens and overrides; write the configuration to train with.

    Raises:
        TaskError: see the module's first lines.
    """
    key = fingerprint(
        FORMAT,
        None if origin.folder is None else _identity(origin.folder),
        origin.random,
        origin.shrunk,
        task.model_config_overrides,
        rows.problem,
        rows.labels,
        [tokens.vocabulary, tokens.highest, tokens.pad_id, task.max_length],
        importlib.metadata.version("transformers"),
    )
    folder = cache / f"model-{key}"

    def build(empty: Path) -> dict[str, Any]:
        config = _configured(origin, task, rows, tokens)
        parameters = check_fits(config, origin.name, None if origin.random else origin.folder, task)
        config.save_pretrained(str(empty))
        about = {"name": origin.name, "model_type": config.model_type}
        return {**about, "parameters": parameters}

    return Model(folder, origin, built(folder, build)["parameters"])


def _identity(folder: Path) -> Any:
    weights = [
        [path.name, path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.iterdir())
        if path.suffix in (".safetensors", ".bin")
    ]
    return [(folder / "config.json").read_text(encoding="utf-8"), weights]


def _configured(origin: Origin, task: TaskSpec, rows: Rows, tokens: Tokens) -> Any:
    base, stands_in = _base_config(origin, task, tokens)
    fields = base.to_dict()
    _check_tokens(fields, task, tokens)
    given = task.model_config_overrides
    if stands_in:  # it may lack a field that the model has
        given = {name: value for name, value in given.items() if name in fields}
    overrides = _checked_overrides(given, fields)
    labels = rows.labels or ("value",)
    if fields.get("pad_token_id") is None:
        fields["pad_token_id"] = tokens.pad_id
    fields |= {
        **overrides,
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {name: index for index, name in enumerate(labels)},
        "problem_type": _PROBLEM_TYPES[rows.problem],
    }
    try:
        return type(base)(**fields)
    except Exception as error:  # the library's strict dataclasses raise their own, and others
        raise bad_override(overrides, error) from error


def _base_config(origin: Origin, task: TaskSpec, tokens: Tokens) -> tuple[Any, bool]:
    """The configuration to start from, and whether the toy model's stands in for the model's."""
    from transformers import AutoConfig

    if origin.folder is None:
        config = _toy_config(tokens)
        shrunk = shrunk_config(config) if origin.shrunk else None
        return shrunk or config, origin.name != toy.MODEL
    try:
        config = AutoConfig.from_pretrained(
            str(origin.folder),
            local_files_only=True,
            trust_remote_code=task.trust_remote_code,
        )
    except Exception as error:  # OSError, ValueError, KeyError, JSON
        raise TaskError(
            f"task.model: {origin.folder / 'config.json'} cannot be read as a model's"
            f" configuration: {first_line(error)}",
            mend="name a folder that save_pretrained wrote, with a model_type that the installed"
            " transformers knows.",
        ) from error
    if not origin.shrunk:
        return config, False
    shrunk = shrunk_config(config)
    return (shrunk, False) if shrunk is not None else (_toy_config(tokens), True)


def _toy_config(tokens: Tokens) -> Any:
    from transformers import AutoConfig

    words = max(tokens.vocabulary, tokens.highest + 1)
    return AutoConfig.for_model(**toy.MODEL_CONFIG, vocab_size=words, pad_token_id=tokens.pad_id)


def _check_tokens(fields: Mapping[str, Any], task: TaskSpec, tokens: Tokens) -> None:
    words, positions = fields.get("vocab_size"), fields.get("max_position_embeddings")
    if isinstance(words, int) and tokens.highest >= words:
        raise TaskError(
            f"task.model: the tokenizer gives token {tokens.highest}, and the model's vocabulary"
            f" ends at {words - 1}.",
            mend="check that tokenizer and weights belong together.",
        )
    if fields.get("relative_attention"):
        return  # positions are counted from each other, and limit no length
    if isinstance(positions, int) and positions > 0 and task.max_length > positions:
        raise TaskError(
            f"task.max_length: the model has {positions} positions; got {task.max_length}.",
            mend=f"write max_length: {positions} or less.",
        )


def _checked_overrides(overrides: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    names = sorted(name for name in fields if name not in _OURS and not name.startswith("_"))
    for name in overrides:
        if name in _OURS:
            raise TaskError(
                f"task.model_config.{name}: follows from the data and the model, so it cannot"
                " be set.",
                mend="leave it out.",
            )
        if name not in fields:
            near = nearest(name, names)
            raise TaskError(
                f"task.model_config.{name}: the model's configuration has no such field.",
                mend=f"did you mean {near}?" if near else f"{did_you_mean(name, names, 'fields')}.",
            )
    return dict(overrides)


def build(model: Model, seed: int, *, trust_remote_code: bool = False) -> Any:
    """Return the model with its weights; what has none (the head) is drawn from `seed`.

    Same seed, same weights, whatever was drawn before; the caller's generators stay where they
    were. Always float32: mixed precision is the Trainer's.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from orchestrator.tasks.quiet import quiet_transformers

    config = AutoConfig.from_pretrained(
        str(model.folder), local_files_only=True, trust_remote_code=trust_remote_code
    )
    # Built on the CPU, so no other device's generator is drawn from.
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        if model.origin.random or model.origin.folder is None:
            return AutoModelForSequenceClassification.from_config(
                config, dtype=torch.float32, trust_remote_code=trust_remote_code
            )
        return AutoModelForSequenceClassification.from_pretrained(
            str(model.origin.folder),
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            # A head for other classes is replaced; that only the head differs was checked,
            # which is not possible for weights in the old form.
            ignore_mismatched_sizes=bool(stored_files(model.origin.folder)),
            trust_remote_code=trust_remote_code,
        )
