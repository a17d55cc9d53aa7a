"""A task that trains in milliseconds: a tiny random BERT on generated rows, no tokenizer, no files.

The label is whether the row's first token lies in the upper half of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, default_data_collator

from orchestrator.tasks import Prepared
from search_spaces import SweepSpec, TaskSpec

VOCABULARY = 32
LENGTH = 6


class Rows(Dataset):
    """Rows with ids drawn from a seed."""

    def __init__(self, count: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(VOCABULARY, (count, LENGTH), generator=generator)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = self.ids[index]
        return {"input_ids": ids, "labels": (ids[0] >= VOCABULARY // 2).long()}


class TinyTask:
    """A Task; `model` makes the model from its configuration."""

    tokenizer = None
    labels = ("low", "high")

    def __init__(
        self,
        spec: TaskSpec,
        *,
        rows: int = 40,
        model: Callable[[BertConfig], Any] = BertForSequenceClassification,
        metrics: Callable[[Any], dict[str, float]] | None = None,
        test_rows: int = 0,
    ) -> None:
        self.overrides = dict(spec.model_config_overrides)
        self.train_dataset = Rows(rows, 1)
        self.eval_dataset = Rows(20, 2)
        self.test_dataset = Rows(test_rows, 3) if test_rows else None
        self.collator = default_data_collator
        self._model = model
        self.compute_metrics = metrics or accuracy

    def prepare(self) -> Prepared:
        return Prepared(
            "single_label", self.labels, {"train": len(self.train_dataset)}, ("accuracy",)
        )

    def build_model(self, seed: int) -> Any:
        config = BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=LENGTH,
            problem_type="single_label_classification",
            **self.overrides,
        )
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            return self._model(config)

    @property
    def model_key(self) -> Hashable:
        return repr(sorted(self.overrides.items()))


def accuracy(prediction: Any) -> dict[str, float]:
    """The share of rows that are right."""
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


def tiny(**options: Any) -> Callable[[TaskSpec, Path, int], TinyTask]:
    """What a Rank takes as make_task."""
    return lambda spec, cache, seed: TinyTask(spec, **options)


def tiny_sweep(**arguments: Any) -> SweepSpec:
    """A sweep over that task; keyword arguments are training arguments or spec sections."""
    sections = {k: arguments.pop(k) for k in ("metric", "parameters", "seed") if k in arguments}
    overrides = arguments.pop("model_config", {})
    values = {
        "num_train_epochs": 2,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "learning_rate": 1e-3,
        "logging_steps": 2,
        "per_device_train_batch_size": 8,
        "use_cpu": True,
        **arguments,
    }
    return SweepSpec.model_validate(
        {
            "name": "tiny",
            "method": "random",
            "run_cap": 4,
            "metric": {"name": "accuracy"},
            "task": {"model": "tiny", "model_config": overrides},
            "training_arguments": values,
            **sections,
        }
    )
