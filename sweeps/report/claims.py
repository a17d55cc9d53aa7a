"""What may be said of two methods: no claim, maybe chance, an interval, a test that passed.

Says nothing of more than two (`verdict.py`), and computes nothing but what a sentence counts. The
rules: below three shared seeds there is no claim; from there on the t interval of the paired
differences speaks, unless all differences are the same, which gives it no width; where as many
seeds as there are let the exact test pass under Holm's correction, the test speaks instead and
alone, and nothing but its passing is ever called significant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sweeps.report.model import Metric, Pair, Summary
from sweeps.report.statistics import (
    ALPHA,
    FEWEST_FOR_INTERVAL,
    FEWEST_FOR_P,
    MOST_FOR_P,
    fewest_for_test,
    has_spread,
)
from sweeps.report.wording import p_text, sentence, times
from sweeps.text import count

Outcome = Literal["none", "chance", "interval", "significant"]
"""What a pair shows, from nothing upwards."""

WEAKEST_FIRST: tuple[Outcome, ...] = ("none", "chance", "interval", "significant")


def outcome(pair: Pair) -> Outcome:
    """What a pair's differences show, by as strong a means as its seeds allow."""
    if pair.difference is None or len(pair.seeds) < FEWEST_FOR_INTERVAL:
        return "none"
    if is_testable(pair):
        return "significant" if pair.p_holm is not None and pair.p_holm < ALPHA else "chance"
    if not has_spread(pair.difference.values):
        return "none"
    return "interval" if excludes_zero(pair.difference) else "chance"


def is_testable(pair: Pair) -> bool:
    """Whether the exact test could have passed with so many seeds and so many pairs."""
    return pair.p_least is not None and pair.p_least < ALPHA


def excludes_zero(difference: Summary) -> bool:
    """Whether 0 lies outside the interval, where there is one."""
    low, high = difference.low, difference.high
    return low is not None and high is not None and not low <= 0 <= high


def ahead(pair: Pair, metric: Metric) -> str | None:
    """The label of the better one on average; None when they are equal but for rounding."""
    if pair.difference is None:
        return None
    mean, largest = pair.difference.mean, max(abs(d) for d in pair.difference.values)
    if abs(mean) <= 1e-9 * largest:
        return None
    return pair.a if (mean > 0) == (metric.goal == "maximize") else pair.b


def other(pair: Pair, label: str) -> str:
    """The one of the two that is not this one."""
    return pair.b if pair.a == label else pair.a


def why_untested(pair: Pair, pairs: Sequence[Pair]) -> str:
    """Why no exact test speaks, as a clause."""
    n = len(pair.seeds)
    if n < FEWEST_FOR_P:
        return f"with {times(n)} no test can bear it out"
    if n > MOST_FOR_P:
        return f"above {times(MOST_FOR_P)} no exact test is made"
    tested = sum(one.p is not None for one in pairs)
    return (
        f"{times(n)} cannot reach p < {ALPHA:g} over {count(tested, 'pair')}, but"
        f" {fewest_for_test(tested)} can"
    )


def uncorrected(pairs: Sequence[Pair]) -> str:
    """What an interval leaves out of account when it is one of several; empty for a single one."""
    of = sum(one.difference is not None for one in pairs)
    return f" (not corrected for {of} pairs)" if of > 1 else ""


def pair_claim(pair: Pair, pairs: Sequence[Pair], metric: Metric) -> str:
    """What may be said of two methods.

    Args:
        pairs: all of them, this one too.
    """
    on = " On validation, which is optimistic." if pair.split == "validation" else ""
    return _claim(pair, pairs, metric) + (on if pair.difference is not None else "")


def _claim(pair: Pair, pairs: Sequence[Pair], metric: Metric) -> str:
    n, better = len(pair.seeds), ahead(pair, metric)
    if pair.difference is None:
        return "No seed was run with both: no claim."
    if n < FEWEST_FOR_INTERVAL:
        return f"No claim: {times(n)}."
    p = f"p = {p_text(pair.p_holm)}, Holm"
    match outcome(pair):
        case "significant":
            aside = "" if excludes_zero(pair.difference) else ", though the interval holds 0"
            return f"{sentence(better or pair.a)} is significantly better ({p}){aside}."
        case "interval":
            return (
                f"{sentence(better or pair.a)} is ahead, and 0 lies outside the 95 % interval"
                f"{uncorrected(pairs)}; {why_untested(pair, pairs)}."
            )
        case "none":
            same = "no difference" if better is None else "the same difference"
            return f"No claim: {same} at each of {n} seeds, so the interval has no width."
    if is_testable(pair):
        return f"Not significant ({p}): may be chance."
    why = f" {sentence(why_untested(pair, pairs))}." if n >= FEWEST_FOR_P else ""
    return f"May be chance: the interval over {times(n)} holds 0.{why}"
