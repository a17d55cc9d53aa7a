"""Evaluates a committed checkpoint on a split of its task; trains nothing and chooses nothing.

A Trainer of its own around the weights as they stand in the checkpoint, with the arguments of the
configuration that trained them: so it is what anybody gets who loads the exported model and
evaluates it. The Trainer's dictionary loses its prefix and the timings of the machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from orchestrator import watchdog
from orchestrator.errors import TrialError
from orchestrator.hyperparameters import ConfiguredTrainer
from orchestrator.segment import Evaluation, EvaluationReport
from orchestrator.snapshot import WEIGHTS
from orchestrator.tasks import Task
from search_spaces import MetricSpec

TIMINGS = (
    "_runtime",
    "_samples_per_second",
    "_steps_per_second",
    "_model_preparation_time",
)
"""Ends of evaluation "metrics" that measure the machine; they differ from run to run."""


class _Progress(TrainerCallback):
    """An evaluated batch is progress."""

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        watchdog.progress()


def evaluate(
    evaluation: Evaluation,
    *,
    task: Task,
    model: Any,
    arguments: TrainingArguments,
    metric: MetricSpec,
    study_folder: Path,
    started: float,
) -> EvaluationReport:
    """Load the checkpoint's weights into the model and evaluate it.

    Args:
        task: the configuration's; `evaluation.split` of it must have rows.
        model: of the task's architecture, with whatever weights.
        arguments: of the configuration.
        metric: the study's.
        started: when this began, by the monotonic clock.

    Raises:
        TrialError: there is no such split, or its evaluation computes no such metric.
        OSError, RuntimeError: the weights cannot be read, or do not fit the model.
    """
    rows = task.test_dataset if evaluation.split == "test" else None
    if rows is None:
        raise TrialError("code", f"the task has no {evaluation.split} split")
    safetensors.torch.load_model(model, study_folder / evaluation.checkpoint / WEIGHTS)
    trainer = ConfiguredTrainer(
        model=model,
        args=arguments,
        data_collator=task.collator,
        eval_dataset=rows,
        processing_class=task.tokenizer,
        compute_metrics=task.compute_metrics,
        callbacks=[_Progress()],
    )
    trainer.remove_callback(PrinterCallback)
    prefix = f"{evaluation.split}_"
    found = trainer.evaluate(metric_key_prefix=evaluation.split)
    metrics = _metrics(found, prefix)
    name = metric.name.removeprefix("eval_")
    if name not in metrics:
        listed = ", ".join(sorted(metrics))
        raise TrialError("code", f"the evaluation computes no {name}; there are {listed}")
    return EvaluationReport(
        value=metrics[name],
        metrics=metrics,
        rows=len(rows),
        seconds=time.monotonic() - started,
    )


def _metrics(found: Mapping[str, Any], prefix: str) -> dict[str, float | None]:
    return {
        name.removeprefix(prefix): finite(value)
        for name, value in found.items()
        if name.startswith(prefix) and not name.endswith(TIMINGS)
    }


def finite(value: Any) -> float | None:
    """The number; None when it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None
