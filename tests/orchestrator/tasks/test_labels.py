"""Labels of every kind, and every way in which they can be wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.labels import checked_labels


def checked(train: list[Any], validation: list[Any] | None = None, **given: Any) -> Any:
    names = given.get("names")
    columns = {"train": (train, names), "validation": (validation or train, names)}
    return checked_labels(columns, "label", given.get("problem", "auto"))


@pytest.mark.parametrize(
    ("values", "numbers", "names"),
    [
        ([1, 0, 1], [1, 0, 1], ("0", "1")),
        ([5, 1, 3], [2, 0, 1], ("1", "3", "5")),
        (["pos", "neg", "pos"], [1, 0, 1], ("neg", "pos")),
        ([True, False], [1, 0], ("0", "1")),
    ],
)
def test_classes_are_numbered_in_the_order_of_their_values(
    values: list[Any], numbers: list[int], names: tuple[str, ...]
) -> None:
    labels, labelling = checked(values)
    assert labels["train"] == numbers
    assert (labelling.problem, labelling.names) == ("single_label", names)


def test_class_label_names_and_numbers_are_kept_also_of_classes_that_train_lacks() -> None:
    labels, labelling = checked([2, 0], [1], names=["entail", "neutral", "contradict"])
    assert labels == {"train": [2, 0], "validation": [1]}
    assert labelling.names == ("entail", "neutral", "contradict")


def test_floats_are_values_to_predict() -> None:
    labels, labelling = checked([1.0, 2.5])
    assert labels["train"] == [1.0, 2.5]
    assert (labelling.problem, labelling.names) == ("regression", ())


def test_whole_numbers_are_values_to_predict_when_the_file_says_so() -> None:
    labels, labelling = checked([1, 5], problem="regression")
    assert labels["train"] == [1.0, 5.0]
    assert labelling.problem == "regression"


def test_floats_are_classes_when_the_file_says_so() -> None:
    labels, _ = checked([1.0, 0.0, 1.0], problem="single_label")
    assert labels["train"] == [1, 0, 1]


def test_lists_are_several_labels_a_row() -> None:
    labels, labelling = checked([["b"], ["a", "c"], []])
    assert labels["train"] == [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert (labelling.problem, labelling.names) == ("multi_label", ("a", "b", "c"))


def test_vectors_of_zeros_and_ones_are_taken_as_they_are() -> None:
    labels, labelling = checked([[0, 1, 1], [1, 0, 0]])
    assert labels["train"] == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert labelling.names == ("0", "1", "2")


def test_lists_of_class_label_numbers_keep_the_names() -> None:
    labels, labelling = checked([[0], [2, 1]], names=["x", "y", "z"])
    assert labels["train"] == [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    assert labelling.names == ("x", "y", "z")


def test_a_list_of_one_is_a_list_of_labels() -> None:
    labels, labelling = checked([[0], [1], [1]])
    assert labels["train"] == [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    assert labelling.names == ("0", "1")


def test_hidden_labels_are_refused_with_the_way_to_carve() -> None:
    with pytest.raises(
        TaskError, match=r"3 of 3 rows of split validation have the label -1.*\n.*from: train, size"
    ):
        checked([0, 1], [-1, -1, -1])


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        ([0, None], None, r"every row needs a label; row 1 \(from 0\) of split train"),
        ([0, 1], [0, 2], "labels of split validation must be among.*holds 2 there.*train has 0, 1"),
        (["a", "b"], ["c"], "among those of train; column label holds 'c' there"),
        (["a", "b"], [1], "labels must be of one kind; train has text.*validation also numbers"),
        ([1, 1], None, "train must hold two classes at least; every row of column label is 1"),
        ([0.5, math.nan], None, "must be a finite number; row 1.*holds nan"),
        ([0.5], ["x"], "must be a finite number; row 0.*of split validation holds 'x'"),
        ([["a"], []], ["a"], "each must be a list of labels; row 0.*of split validation holds 'a'"),
        ([[], []], None, "must hold a label at least"),
        ([{"x": 1}], None, "must be a number, text, or a list of labels; column label holds dict"),
    ],
)
def test_labels_that_do_not_match_are_named_with_their_place(
    train: list[Any], validation: list[Any] | None, words: str
) -> None:
    with pytest.raises(TaskError, match=words):
        checked(train, validation)


def test_values_between_classes_are_refused_as_classes() -> None:
    with pytest.raises(
        TaskError, match=r"class must be a whole number or text.*holds 0\.5.*\n.*reg"
    ):
        checked([0.5, 1.0], problem="single_label")
