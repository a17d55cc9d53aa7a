"""What a task gives to whoever trains: the parts of a Trainer.

A task trains nothing and knows nothing of trials, boundaries or Ray. `prepare` is called by
every worker before the first trial; it must be safe when several processes call it at once, and
cheap when the work is done. Everything else may be asked for after it and
is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Prepared:
    """What is known of a task once it is prepared; plain data.

    Attributes:
        problem: single_label, multi_label, regression, or a word of an own task.
        labels: names of the classes; empty for regression.
        rows: rows of each split (train, validation, perhaps test).
        metrics: names that compute_metrics gives, without `eval_`.
        longest: tokens of the longest row; 0 when unknown.
        truncated: share of rows that were cut, 0.0 to 1.0.
        notes: what a person should know, one sentence each.
        parameters: of the model; 0 when unknown.
    """

    problem: str
    labels: tuple[str, ...]
    rows: dict[str, int]
    metrics: tuple[str, ...]
    longest: int = 0
    truncated: float = 0.0
    notes: tuple[str, ...] = field(default=())
    parameters: int = 0


@runtime_checkable
class Task(Protocol):
    """The parts of a Trainer for one data set and one model."""

    def prepare(self) -> Prepared:
        """Do everything that needs no training, or find it done; idempotent."""

    @property
    def train_dataset(self) -> Any:
        """Rows to train on, with columns that the collator takes."""

    @property
    def eval_dataset(self) -> Any:
        """Rows of the validation split."""

    @property
    def test_dataset(self) -> Any | None:
        """Rows of the test split; None when there is none."""

    @property
    def collator(self) -> Callable[[list[Any]], Any]:
        """Makes a batch of rows."""

    @property
    def compute_metrics(self) -> Callable[[Any], dict[str, float]]:
        """From an EvalPrediction to metrics, without the `eval_` that the Trainer adds."""

    @property
    def tokenizer(self) -> Any | None:
        """The Trainer's processing_class; None when there is none."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; empty when there are none."""

    def build_model(self, seed: int) -> Any:
        """Return a fresh model; equal seeds give equal weights."""

    @property
    def model_key(self) -> Hashable:
        """Equal keys: same architecture, and same first weights for the same seed."""
