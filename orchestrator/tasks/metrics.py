"""What is computed from a model's predictions at an evaluation.

The Trainer adds `eval_` to the names. `loss` is the Trainer's own and not in here. From
scikit-learn and SciPy, which are imported at the first evaluation (1.5 s cold); the `evaluate`
package fetches its metrics from the Hub at run time, so it will not do.

Conventions where the literature leaves a choice:
- f1, precision, recall: with two classes those of class 1 (what GLUE reports), with more the
  macro mean over classes, with several labels a row the macro mean over labels.
- accuracy with several labels a row: the share of rows in which every label is right.
- Where a value is undefined it is 0.0: precision without predicted positives, f1 of nothing,
  matthews_correlation and the correlations of constant predictions or constant labels (no
  information, no correlation).
- When a prediction is not finite the model has diverged: every metric is NaN, never the
  chance level that an argmax over NaN would pretend.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.tasks.errors import TaskError
from search_spaces.errors import did_you_mean

PROBLEMS = ("single_label", "multi_label", "regression")
DEFAULT_METRICS = {"single_label": "accuracy", "multi_label": "f1", "regression": "pearson"}

Array = Any
"""A NumPy array; NumPy's types are not followed by the type checker."""


@dataclass(frozen=True)
class Decoded:
    """Predictions in the form in which metrics read them.

    Attributes:
        problem: one of PROBLEMS.
        classes: how many; 0 for regression.
        predictions: single_label: class of each row; multi_label: rows x labels of 0 and 1;
            regression: value of each row.
        labels: the same, as they should be.
    """

    problem: str
    classes: int
    predictions: Array
    labels: Array

    @property
    def average(self) -> str:
        """How scikit-learn is to average over classes."""
        return "binary" if self.problem == "single_label" and self.classes == 2 else "macro"


def _accuracy(decoded: Decoded) -> float:
    equal = decoded.predictions == decoded.labels
    return float(equal.all(axis=-1).mean() if equal.ndim > 1 else equal.mean())


def _averaged(function_name: str) -> Callable[[Decoded], float]:
    def compute(decoded: Decoded) -> float:
        from sklearn import metrics

        every = None if decoded.average == "binary" else list(range(decoded.classes))
        return float(
            getattr(metrics, function_name)(
                decoded.labels,
                decoded.predictions,
                average=decoded.average,
                labels=every,
                zero_division=0.0,
            )
        )

    return compute


def _matthews_correlation(decoded: Decoded) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(decoded.labels, decoded.predictions))


def _correlation(function_name: str) -> Callable[[Decoded], float]:
    def compute(decoded: Decoded) -> float:
        from scipy import stats

        if _constant(decoded.predictions) or _constant(decoded.labels):
            return 0.0
        return float(getattr(stats, function_name)(decoded.predictions, decoded.labels).statistic)

    return compute


def _constant(values: Array) -> bool:
    """Whether the values differ by rounding at most; SciPy's own bound for Pearson's r."""
    if len(values) < 2:
        return True
    spread = abs(values - values.mean()).max()
    return bool(spread <= 1e-13 * abs(values.mean()))


def _mse(decoded: Decoded) -> float:
    return float(((decoded.predictions - decoded.labels) ** 2).mean())


@dataclass(frozen=True)
class Metric:
    """One metric: the problems it is defined for, its goal, and its function."""

    problems: tuple[str, ...]
    goal: str
    compute: Callable[[Decoded], float]


_CLASSES = ("single_label", "multi_label")

METRICS: dict[str, Metric] = {
    "accuracy": Metric(_CLASSES, "maximize", _accuracy),
    "f1": Metric(_CLASSES, "maximize", _averaged("f1_score")),
    "precision": Metric(_CLASSES, "maximize", _averaged("precision_score")),
    "recall": Metric(_CLASSES, "maximize", _averaged("recall_score")),
    "matthews_correlation": Metric(("single_label",), "maximize", _matthews_correlation),
    "pearson": Metric(("regression",), "maximize", _correlation("pearsonr")),
    "spearman": Metric(("regression",), "maximize", _correlation("spearmanr")),
    "mse": Metric(("regression",), "minimize", _mse),
}


def checked_metrics(names: Sequence[str], problem: str) -> tuple[str, ...]:
    """Return the metrics to compute: `names`, or the problem's default when there are none.

    Raises:
        TaskError: a name is unknown, or not defined for the problem.
    """
    fitting = [name for name, metric in METRICS.items() if problem in metric.problems]
    for name in names:
        if name not in METRICS:
            raise TaskError(
                f"task.metrics: {name} is not a metric of text-classification.",
                mend=f"{did_you_mean(name, list(METRICS), 'metrics')}.",
            )
        if name not in fitting:
            raise TaskError(
                f"task.metrics: {name} is not defined for this data, whose labels make it"
                f" {problem}.",
                mend=f"use {', '.join(fitting)}, or set task.problem if the labels mean"
                " something else.",
            )
    return tuple(dict.fromkeys(names)) or (DEFAULT_METRICS[problem],)


class ComputeMetrics:
    """The Trainer's `compute_metrics`; picklable, so that it can go to another process.

    Args:
        names: keys of METRICS that are defined for the problem.
        problem: one of PROBLEMS.
        classes: how many labels there are; 0 for regression.
    """

    def __init__(self, names: Sequence[str], problem: str, classes: int) -> None:
        self.names = tuple(names)
        self.problem = problem
        self.classes = classes

    def __call__(self, prediction: Any) -> dict[str, float]:
        """Compute every metric of an `EvalPrediction`; no rows give NaN."""
        import numpy

        outputs = prediction.predictions
        # Models with further outputs (an encoder's states) give a tuple, logits first.
        logits = numpy.asarray(outputs[0] if isinstance(outputs, tuple) else outputs)
        if not len(logits) or not numpy.isfinite(logits).all():
            return dict.fromkeys(self.names, math.nan)
        decoded = self._decode(logits, numpy.asarray(prediction.label_ids))
        return {name: METRICS[name].compute(decoded) for name in self.names}

    def _decode(self, logits: Array, labels: Array) -> Decoded:
        match self.problem:
            case "single_label":
                return Decoded(self.problem, self.classes, logits.argmax(axis=-1), labels)
            case "multi_label":
                chosen = (logits > 0).astype("int64")
                return Decoded(self.problem, self.classes, chosen, labels.astype("int64"))
            case _:
                values = logits.astype("float64").reshape(len(logits), -1)[:, 0]
                return Decoded(self.problem, 0, values, labels.astype("float64").reshape(-1))
