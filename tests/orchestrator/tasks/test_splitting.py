"""Carving and limiting: stratified, seeded, never overlapping."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.splitting import chosen_rows, drawn
from search_spaces.parts import SplitFrom


def carve(size: Any, origin: str = "train") -> SplitFrom:
    return SplitFrom.model_validate({"from": origin, "size": size})


LABELS = {"train": [0] * 60 + [1] * 30 + [2] * 10, "validation": [0, 1, 2] * 4}
SPLITS: dict[Any, Any] = {"train": "train", "validation": "validation", "test": carve(20)}


def test_a_carved_split_holds_each_class_in_proportion() -> None:
    origin, rows = chosen_rows(SPLITS, LABELS, "single_label", {}, 1)["test"]
    assert origin == "train"
    assert Counter(LABELS["train"][row] for row in rows) == {0: 12, 1: 6, 2: 2}


def test_a_carved_split_and_its_origin_share_no_row_and_lose_none() -> None:
    splits = {"train": "train", "validation": carve(0.1), "test": carve(20)}
    result = chosen_rows(splits, {"train": LABELS["train"]}, "single_label", {}, 1)
    assert {name: len(rows) for name, (_, rows) in result.items()} == {
        "train": 70,
        "validation": 10,
        "test": 20,
    }
    assert sorted(row for _, rows in result.values() for row in rows) == list(range(100))


def test_the_same_seed_carves_the_same_rows_and_another_seed_others() -> None:
    first, again, other = (
        chosen_rows(SPLITS, LABELS, "single_label", {}, seed)["test"] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_limits_take_rows_after_carving_so_the_test_split_stays_the_same() -> None:
    whole = chosen_rows(SPLITS, LABELS, "single_label", {}, 1)
    limited = chosen_rows(SPLITS, LABELS, "single_label", {"train": 10}, 1)
    assert limited["test"] == whole["test"]
    assert len(limited["train"][1]) == 10
    assert set(limited["train"][1]) < set(whole["train"][1])
    assert Counter(LABELS["train"][row] for row in limited["train"][1]) == {0: 6, 1: 3, 2: 1}


def test_a_limit_above_the_rows_there_are_changes_nothing() -> None:
    whole = chosen_rows(SPLITS, LABELS, "single_label", {}, 1)
    assert chosen_rows(SPLITS, LABELS, "single_label", {"train": 9999}, 1) == whole


def test_values_are_stratified_by_their_size() -> None:
    values = [float(v) for v in range(100)]
    splits: dict[Any, Any] = {"train": "train", "test": carve(0.2)}
    rows = chosen_rows(splits, {"train": values}, "regression", {}, 3)["test"][1]
    assert Counter(row // 10 for row in rows) == dict.fromkeys(range(10), 2)


def test_rows_with_several_labels_are_drawn_plainly() -> None:
    splits: dict[Any, Any] = {"train": "train", "test": carve(3)}
    rows = chosen_rows(splits, {"train": [[0.0, 1.0]] * 9}, "multi_label", {}, 3)["test"][1]
    assert len(set(rows)) == 3


def test_a_split_can_be_carved_from_validation() -> None:
    splits = {**SPLITS, "test": carve(0.5, "validation")}
    result = chosen_rows(splits, LABELS, "single_label", {}, 1)
    assert not set(result["test"][1]) & set(result["validation"][1])
    assert len(result["validation"][1]) == 6


@pytest.mark.parametrize("size", [100, 101, 0.999])
def test_a_carve_must_leave_rows_on_both_sides(size: float) -> None:
    with pytest.raises(TaskError, match=r"size must leave rows on both sides.*100 rows of train"):
        chosen_rows({**SPLITS, "test": carve(size)}, LABELS, "single_label", {}, 1)


def test_a_carve_from_a_split_that_is_not_read_is_refused() -> None:
    with pytest.raises(TaskError, match=r"must name a split that is read.*got dev\.\n.*train, val"):
        chosen_rows({**SPLITS, "test": carve(5, "dev")}, LABELS, "single_label", {}, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.data())
def test_any_draw_has_its_size_and_each_class_within_one_of_its_share(
    strata: list[int], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(strata)))
    rows = drawn(range(len(strata)), strata, size, 7, "test")
    assert len(set(rows)) == len(rows) == size
    assert rows == sorted(rows)
    for stratum, count in Counter(strata).items():
        taken = sum(strata[row] == stratum for row in rows)
        assert abs(taken - size * count / len(strata)) < 1
