"""Scales: where values stand, and which ticks an axis gets."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.report.figures.drawing import char_width, fitting
from sweeps.report.figures.scales import (
    Linear,
    Log,
    even_labels,
    linear,
    log,
    nice_values,
    ordinal,
    power_label,
    value_label,
)

NUMBERS = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
POSITIVE = st.floats(min_value=1e-12, max_value=1e12)


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.floats(0.0, 0.2))
def test_a_linear_scale_keeps_order_and_stays_in_its_range(values, pad):
    scale = linear(values, 100.0, 20.0, pad=pad)
    places = [scale(v) for v in sorted(values)]
    assert all(a >= b for a, b in itertools.pairwise(places))
    assert all(20.0 <= place <= 100.0 for place in places)


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_a_logarithmic_scale_keeps_order_and_stays_in_its_range(values):
    scale = log(values, 0.0, 100.0)
    places = [scale(v) for v in sorted(values)]
    assert all(a <= b for a, b in itertools.pairwise(places))
    assert all(0.0 <= place <= 100.0 for place in places)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.integers(2, 8))
def test_linear_ticks_are_few_ascending_inside_and_told_apart(values, most):
    scale = linear(values, 0.0, 100.0)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert all(-1e-6 <= t.at <= 100.0 + 1e-6 for t in ticks)
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)
    labels = [t.label for t in ticks]
    assert len(set(labels)) == len(labels) or max(map(abs, values)) > 1e5


@given(POSITIVE, st.floats(1.1, 1e9), st.integers(2, 8))
def test_logarithmic_ticks_are_few_and_inside(low, ratio, most):
    scale = Log(low, low * ratio, 0.0, 100.0)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert all(0.0 <= t.at <= 100.0 for t in ticks)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.integers(2, 8))
def test_labels_of_ticks_that_are_drawn_do_not_touch(values, most):
    scale = linear(values, 0.0, 300.0)
    labelled = [t for t in fitting(scale, most, 18.0) if t.label]
    for a, b in itertools.pairwise(labelled):
        if len(labelled) > 2:
            assert b.at - a.at >= (len(a.label) + len(b.label)) / 2 * char_width(18.0)


def test_ticks_are_multiples_of_one_two_or_five():
    assert nice_values(0.0, 1.0, 5) == pytest.approx([0.0, 0.5, 1.0])
    assert [round(v, 6) for v in nice_values(0.81, 0.93, 7)] == [0.82, 0.84, 0.86, 0.88, 0.9, 0.92]
    assert even_labels([0.82, 0.84]) == ["0.82", "0.84"]
    assert even_labels([0.0, 500.0, 1000.0]) == ["0", "500", "1,000"]


def test_a_learning_rates_axis_has_decades_and_within_one_their_ones_twos_and_fives():
    wide = Log(1e-6, 1e-3, 0.0, 100.0)
    assert [t.label for t in wide.ticks(4)] == ["1e-6", "1e-5", "1e-4", "0.001"]
    narrow = Log(1e-5, 5e-5, 0.0, 100.0)
    assert [t.label for t in narrow.ticks(4)] == ["1e-5", "2e-5", "5e-5"]


def test_what_is_no_finite_number_has_no_place():
    for scale in (linear([0, 1], 0, 1), log([1, 10], 0, 1)):
        assert [scale(v) for v in (None, math.nan, math.inf, "1", True)] == [None] * 5
    assert log([1, 10], 0, 1)(0) is None
    assert log([1, 10], 0, 1)(-3) is None


def test_one_value_gets_room_and_none_gives_a_unit_axis():
    assert linear([5.0], 0, 100)(5.0) == pytest.approx(50.0)
    assert log([3e-5], 0, 100)(3e-5) == pytest.approx(50.0)
    assert linear([], 0, 100) == Linear(0.0, 1.0, 0, 100)
    assert linear([math.nan, None], 0, 100) == Linear(0.0, 1.0, 0, 100)
    assert log([-1, 0], 0, 100) == Linear(0.0, 1.0, 0, 100)


def test_an_ordinal_scale_orders_numbers_and_keeps_the_order_of_text():
    scale = ordinal(["b", 32, "a", 16, 16.0, None], 0.0, 100.0)
    assert [t.label for t in scale.ticks(9)] == ["16", "32", "b", "a", "null"]
    assert scale(16) == scale(16.0) == 10.0
    assert scale("never") is None


def test_true_is_not_one():
    scale = ordinal([1, True], 0.0, 100.0)
    assert scale(1) != scale(True)
    assert value_label(True) == "true"


def test_powers_read_as_a_sweep_file_writes_them():
    assert [power_label(v) for v in (5e-5, 1e-12, 0.001, 0.05, 12000.0, 2e6, 0.0)] == [
        "5e-5", "1e-12", "0.001", "0.05", "12,000", "2e6", "0",
    ]  # fmt: skip
