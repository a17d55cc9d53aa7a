"""Metrics against values worked out by hand."""

from __future__ import annotations

import math
import pickle
import warnings
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.metrics import METRICS, ComputeMetrics, checked_metrics
from search_spaces import parts


def computed(problem: str, classes: int, logits: Any, labels: Any) -> dict[str, float]:
    names = [name for name, metric in METRICS.items() if problem in metric.problems]
    prediction = SimpleNamespace(predictions=numpy.array(logits), label_ids=numpy.array(labels))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ComputeMetrics(names, problem, classes)(prediction)


def votes(classes: int, *chosen: int) -> list[list[float]]:
    return [[float(c == k) for c in range(classes)] for k in chosen]


def test_two_classes_score_class_one() -> None:
    # true positives 2, false positives 1, false negatives 1, true negatives 2
    result = computed("single_label", 2, votes(2, 1, 1, 1, 0, 0, 0), [1, 1, 0, 1, 0, 0])
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == pytest.approx(2 / 3)
    assert result["f1"] == pytest.approx(2 / 3)
    assert result["matthews_correlation"] == pytest.approx((2 * 2 - 1 * 1) / 9)


def test_more_classes_are_averaged_each_with_equal_weight() -> None:
    result = computed("single_label", 3, votes(3, 0, 0, 1, 1), [0, 0, 1, 2])
    # class 0: 1, 1; class 1: precision 1/2, recall 1; class 2: never predicted
    assert result["precision"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert result["recall"] == pytest.approx((1 + 1 + 0) / 3)
    assert result["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert result["accuracy"] == 0.75


def test_a_class_that_no_evaluation_row_has_still_counts_in_the_mean() -> None:
    result = computed("single_label", 3, votes(3, 0, 1), [0, 1])
    assert result["f1"] == pytest.approx(2 / 3)


def test_several_labels_a_row_need_all_to_be_right_for_accuracy() -> None:
    logits = [[2.0, -1.0], [1.0, 1.0], [-3.0, -0.5]]
    result = computed("multi_label", 2, logits, [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["precision"] == pytest.approx((1.0 + 0.0) / 2)
    assert result["recall"] == pytest.approx((1.0 + 0.0) / 2)


def test_regression_metrics() -> None:
    result = computed("regression", 0, [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])
    assert result["mse"] == pytest.approx(1 / 3)
    assert result["spearman"] == pytest.approx(1.0)
    assert result["pearson"] == pytest.approx(3 / math.sqrt(2 * (14 / 3)))


@pytest.mark.parametrize(
    ("problem", "classes", "logits", "labels"),
    [
        ("single_label", 2, votes(2, 0, 0, 0), [0, 1, 1]),
        ("single_label", 2, votes(2, 1, 1), [0, 0]),
        ("single_label", 3, votes(3, 2, 2), [0, 1]),
        ("multi_label", 2, [[-1.0, -1.0]], [[1.0, 1.0]]),
        ("regression", 0, [[0.5], [0.5], [0.5]], [1.0, 2.0, 3.0]),
        ("regression", 0, [[1.0], [2.0], [3.0]], [2.0, 2.0, 2.0]),
        ("regression", 0, [[1.0]], [2.0]),
    ],
)
def test_constant_predictions_give_numbers_and_no_warnings(
    problem: str, classes: int, logits: Any, labels: Any
) -> None:
    result = computed(problem, classes, logits, labels)
    assert all(math.isfinite(value) for value in result.values())
    for name in ("matthews_correlation", "pearson", "spearman"):
        assert result.get(name, 0.0) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_gives_nan_and_not_chance(bad: float) -> None:
    result = computed("single_label", 2, [[0.0, bad], [1.0, 0.0]], [0, 1])
    assert all(math.isnan(value) for value in result.values())


def test_no_rows_give_nan() -> None:
    assert math.isnan(
        ComputeMetrics(["accuracy"], "single_label", 2)(
            SimpleNamespace(predictions=numpy.zeros((0, 2)), label_ids=numpy.zeros(0, dtype=int))
        )["accuracy"]
    )


def test_a_tuple_of_outputs_has_its_logits_first() -> None:
    prediction = SimpleNamespace(
        predictions=(numpy.array(votes(2, 1, 0)), numpy.zeros((2, 5, 7))),
        label_ids=numpy.array([1, 0]),
    )
    assert ComputeMetrics(["accuracy"], "single_label", 2)(prediction) == {"accuracy": 1.0}


def test_it_goes_to_another_process() -> None:
    copy = pickle.loads(pickle.dumps(ComputeMetrics(["f1"], "single_label", 2)))
    assert (copy.names, copy.problem, copy.classes) == (("f1",), "single_label", 2)


def test_no_metrics_named_means_the_problems_own() -> None:
    assert checked_metrics((), "single_label") == ("accuracy",)
    assert checked_metrics((), "multi_label") == ("f1",)
    assert checked_metrics((), "regression") == ("pearson",)


def test_a_metric_is_computed_once_however_often_it_is_named() -> None:
    assert checked_metrics(("f1", "accuracy", "f1"), "single_label") == ("f1", "accuracy")


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"accuracyy is not a metric.*\n.*did you mean accuracy\?"):
        checked_metrics(("accuracyy",), "single_label")


def test_a_metric_of_another_problem_is_refused_with_those_that_fit() -> None:
    with pytest.raises(TaskError, match=r"pearson is not defined.*\n.*use accuracy, f1, precision"):
        checked_metrics(("pearson",), "single_label")
    with pytest.raises(TaskError, match=r"accuracy is not defined.*regression.*\n.*use pearson"):
        checked_metrics(("accuracy",), "regression")


def test_the_sweep_file_knows_the_same_metrics_and_their_goals() -> None:
    assert set(parts.METRICS) == set(METRICS)
    for name, metric in METRICS.items():
        assert parts.natural_goal(f"eval_{name}") == metric.goal
