"""The report's statistics against independent code: scipy, statsmodels, and counting by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from sweeps.report.statistics import (
    accuracy_error,
    fewest_for_test,
    has_spread,
    holm,
    least_p,
    sign_flip_p,
    summary,
    superiority,
)

values = st.floats(-100, 100, allow_nan=False).map(lambda v: round(v, 6))


@given(st.lists(values, min_size=3, max_size=12))
def test_the_interval_is_the_t_interval_of_scipy_and_of_statsmodels(sample):
    found = summary(sample)
    if min(sample) == max(sample):
        assert (found.low, found.mean, found.high) == (sample[0],) * 3
        return
    low, high = stats.t.interval(
        0.95, len(sample) - 1, loc=sum(sample) / len(sample), scale=stats.sem(sample)
    )
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    other = DescrStatsW(sample).tconfint_mean(alpha=0.05)
    assert (found.low, found.high) == pytest.approx(other, rel=1e-9, abs=1e-9)


@given(st.lists(values, min_size=1, max_size=2))
def test_below_three_values_there_is_a_mean_and_no_interval(sample):
    found = summary(sample)
    assert found.mean == pytest.approx(math.fsum(sample) / len(sample))
    assert found.low is None
    assert found.high is None


def test_of_no_values_there_is_no_summary():
    assert summary([]) is None
    assert superiority([]) is None


@settings(max_examples=8)  # statsmodels collects garbage in every call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p_values):
    _, expected, _, _ = multipletests(p_values, method="holm")
    assert holm(p_values) == pytest.approx(list(expected))


def test_holm_of_none_is_none():
    assert holm([]) == []


def flipped_by_hand(differences):
    """Every sign of every difference, one after the other."""
    observed = abs(math.fsum(differences))
    slack = 1e-9 * math.fsum(abs(d) for d in differences)
    ways = itertools.product((1, -1), repeat=len(differences))
    far = [
        abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) >= observed - slack
        for signs in ways
    ]
    return sum(far) / len(far)


@settings(max_examples=40)
@given(st.lists(st.integers(-5, 5).map(lambda n: n / 100), min_size=6, max_size=9))
def test_the_sign_flip_p_is_the_share_of_all_flips(differences):
    assert sign_flip_p(differences) == pytest.approx(flipped_by_hand(differences))


@settings(max_examples=15)
@given(st.lists(values.filter(bool), min_size=6, max_size=9, unique_by=abs))
def test_the_sign_flip_p_is_that_of_scipys_permutation_test(differences):
    def total(sample, axis):
        return sample.sum(axis=axis)

    found = stats.permutation_test(
        (differences,), total, permutation_type="samples", n_resamples=math.inf
    )
    assert sign_flip_p(differences) == pytest.approx(found.pvalue)


def test_no_p_is_given_where_none_can_reach_5_percent():
    assert [sign_flip_p([0.1] * n) for n in range(6)] == [None] * 6
    assert sign_flip_p([0.1] * 6) == 2 / 2**6
    assert sign_flip_p([0.1] * 5 + [-0.1]) > 0.05


@given(st.integers(6, 14))
def test_the_least_p_is_that_of_differences_that_all_point_one_way(n):
    assert sign_flip_p([0.1 * (i + 1) for i in range(n)]) == least_p(n)


@given(st.integers(1, 45), st.integers(6, 14))
def test_so_many_repetitions_and_no_fewer_let_holm_pass_one_of_so_many_pairs(pairs, n):
    passed = holm([least_p(n)] * pairs)[0] < 0.05
    assert passed == (n >= fewest_for_test(pairs))


def test_rounding_is_no_spread():
    assert not has_spread([0.75 - 0.70, 0.80 - 0.75, 0.05])
    assert not has_spread([0.0, 0.0])
    assert has_spread([0.05, 0.0501]) and has_spread([-0.1, 0.1])


def test_forty_pairs_are_counted_exactly_and_more_are_not_counted():
    assert sign_flip_p([1.0] * 40) == 2 / 2**40
    assert sign_flip_p([1.0] * 41) is None


def test_equal_methods_have_p_one_and_even_chances():
    assert sign_flip_p([0.0] * 6) == 1.0
    assert superiority([0.0, 0.0, 0.0]) == 0.5
    assert superiority([0.1, -0.1, 0.0, 0.2]) == 0.625


def test_the_standard_error_of_an_accuracy_is_the_binomial_one():
    assert accuracy_error(0.75, 277) == pytest.approx(stats.binom(277, 0.75).std() / 277)
    assert accuracy_error(0.75, 0) is None
    assert accuracy_error(-0.2, 10) is None
