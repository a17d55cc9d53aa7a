"""The statistics of a comparison: means with t intervals, paired differences, exact p values, Holm.

Pure functions of numbers; what may be said with them is in `claims.py`. Few repetitions are the
rule here, and that decides: a percentile bootstrap over so few covers far too little (nominal
95 %: 74 % at 3 and 89 % at 10, simulated), the t interval does not; and no p value is given
where none can reach 0.05, which for a sign-flip test is below six pairs (2 / 2^5 = 0.0625).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from sweeps.report.model import Summary

LEVEL = 0.95
ALPHA = 0.05
"""A p value below this passes."""
FEWEST_FOR_INTERVAL = 3
FEWEST_FOR_P = 6
MOST_FOR_P = 40
"""Sign flips beyond this are too many to count; the interval says the same by then."""


def half_width(values: Sequence[float]) -> float | None:
    """Half of the t interval of the mean; None below three values.

    Student's interval: t(n - 1, 0.975) * s / sqrt(n), with s the sample's standard deviation.
    """
    n = len(values)
    if n < FEWEST_FOR_INTERVAL:
        return None
    if min(values) == max(values):
        return 0.0  # exactly, which the rounded deviation of equal numbers is not
    deviation = float(np.std(np.asarray(values, dtype=float), ddof=1))
    return _quantile(n - 1) * deviation / math.sqrt(n)


@functools.cache
def _quantile(freedom: int) -> float:
    """Of Student's t; scipy takes a tenth of a millisecond, and a band has hundreds of points."""
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom))


def summary(values: Sequence[float]) -> Summary | None:
    """Mean and interval of finite numbers; None of none."""
    if not values:
        return None
    # Rounded division may leave the range of equal numbers.
    mean = min(max(math.fsum(values) / len(values), min(values)), max(values))
    half = half_width(values)
    if half is None:
        return Summary(values=tuple(values), mean=mean)
    return Summary(values=tuple(values), mean=mean, low=mean - half, high=mean + half)


def superiority(differences: Sequence[float]) -> float | None:
    """P(A > B): the share of pairs in which A is better, a tie counting half; None of none.

    Args:
        differences: A minus B, turned so that more is better.
    """
    if not differences:
        return None
    wins = sum(1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in differences)
    return wins / len(differences)


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Exact two-sided p of the sign-flip (Fisher's randomisation) test of paired differences.

    The share of all 2^n ways to flip the signs whose sum is as far from 0 as the observed one.
    The halves of the sample are counted apart and joined by bisection, so 40 pairs take 2^20
    numbers and not 2^40.

    Returns:
        None below six pairs, where no sample reaches 0.05, and above 40.
    """
    n = len(differences)
    if not FEWEST_FOR_P <= n <= MOST_FOR_P:
        return None
    sizes = np.abs(np.asarray(differences, dtype=float))
    # Sums of equal sizes in another order differ in the last bits; they must count as equal.
    slack = 1e-9 * float(sizes.sum())
    observed = abs(math.fsum(differences)) - slack
    if observed <= 0:
        return 1.0
    left, right = _all_sums(sizes[: n // 2]), np.sort(_all_sums(sizes[n // 2 :]))
    # Every sum has its mirror, so the upper tail counts twice; observed > 0 keeps them apart.
    above = right.size - np.searchsorted(right, observed - left, side="left")
    return min(1.0, 2.0 * float(above.sum()) / 2.0**n)


def _all_sums(sizes: np.ndarray) -> np.ndarray:
    """The sums of these numbers under every choice of signs."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def least_p(n: int) -> float:
    """The least p that the sign-flip test of so many pairs can give: two of 2^n ways."""
    return 2.0 / 2.0**n


def fewest_for_test(pairs: int) -> int:
    """How many repetitions it takes for Holm's correction over so many pairs to let one pass.

    Six for one pair, seven for the three of three methods, eight for the six of four.
    """
    n = FEWEST_FOR_P
    while least_p(n) * pairs >= ALPHA:
        n += 1
    return n


def has_spread(values: Sequence[float]) -> bool:
    """Whether numbers differ by more than rounding; few that do not say nothing of their spread.

    An interval of no width is what equal numbers give: two accuracies that are one and the same
    example apart at each of three seeds are no certainty.
    """
    return max(values) - min(values) > 1e-9 * max(abs(value) for value in values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number by Holm's step-down method; in the order given.

    Holm, S. (1979), A simple sequentially rejective multiple test procedure: the i-th smallest
    of m times (m - i + 1), made monotone, at most 1.
    """
    m = len(p_values)
    adjusted = [0.0] * m
    highest = 0.0
    for rank, at in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (m - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def accuracy_error(share: float, rows: int) -> float | None:
    """Standard error of an accuracy on so many examples; None where it means nothing."""
    if rows < 1 or not 0.0 <= share <= 1.0:
        return None
    return math.sqrt(share * (1.0 - share) / rows)
