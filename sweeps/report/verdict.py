"""The verdict: which method reached what at which budget, and whether that order is shown.

Words what `claims.py` says of the leader against each of the others; computes means only. Methods
are put in order on one split and over the seeds that all of them have, because a mean over other
seeds may turn round what every shared seed shows. Where they share none, or where two of them
differ the other way over the seeds that those two share, no order is named. A method without a
test value stands outside an order of test values; the best of many looks is no match for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.report.claims import (
    WEAKEST_FIRST,
    Outcome,
    ahead,
    excludes_zero,
    is_testable,
    other,
    outcome,
    uncorrected,
    why_untested,
)
from sweeps.report.model import Method, Metric, Pair, Verdict
from sweeps.report.seeds import Split, values_by_seed
from sweeps.report.statistics import FEWEST_FOR_INTERVAL, FEWEST_FOR_P
from sweeps.report.wording import (
    budget_text,
    figure,
    listed,
    p_text,
    sentence,
    status_open,
    times,
)
from sweeps.text import count

_BADGES: dict[Outcome, str] = {
    "none": "No claim",
    "chance": "May be chance",
    "interval": "Outside the interval",
    "significant": "Significant",
}

_MEANS: dict[Outcome, str] = {
    "none": "nothing tells the order from chance",
    "chance": "the order is not shown",
    "interval": "0 lies outside the 95 % intervals, and no test bears it out",
    "significant": "an exact test, corrected for the number of pairs",
}


@dataclass(frozen=True)
class Standing:
    """Methods by their means over the seeds that all of them have, on one split.

    Attributes:
        order: the best first; in the order given where no seed is shared.
        means: of each by its label; over its own seeds where none is shared.
        seeds: that all of them have a value for.
        is_of_all: whether none of them has another.
        outside: methods that have a validation value but no test value, where the split is test.
    """

    order: tuple[Method, ...]
    means: dict[str, float]
    seeds: tuple[int, ...]
    is_of_all: bool
    split: Split
    outside: tuple[Method, ...]

    @property
    def first(self) -> tuple[str, ...]:
        """The leader's label, and those of whoever is level with it."""
        best = self.means[self.order[0].label]
        return tuple(m.label for m in self.order if _level(self.means[m.label], best))


def verdict(methods: Sequence[Method], pairs: Sequence[Pair], metric: Metric) -> Verdict:
    """The first sentences: which method reached what at which budget, and whether that is shown."""
    there = [m for m in methods if m.validation is not None]
    if not there:
        text = _nothing(methods)
        return Verdict(text=text, claim="none", repetitions=0, badge=_BADGES["none"])
    found = standing(there, metric)
    labels = {m.label for m in found.order}
    own = [p for p in pairs if {p.a, p.b} <= labels and p.split == found.split]
    contradiction = _contradiction(found, own, metric)
    n = len(found.seeds)
    parts: list[str] = []
    claim: Outcome = "none"
    basis = ""
    if len(found.order) == 1:
        parts.append(f"{_reached(found, metric)} at {budget_text(found.order)}.")
        if len(methods) > 1:
            basis = "There is nothing to compare it with."
            parts.append(f"No claim: {basis[:1].lower()}{basis[1:-1]}.")
        elif n < FEWEST_FOR_INTERVAL:
            parts.append(f"No claim: {times(n)}.")
    elif not found.seeds or contradiction is not None:
        parts.append(_unordered(found, metric))
        basis = _no_order(contradiction, n)
        parts.append(f"No claim: {basis[:1].lower()}{basis[1:]}")
    else:
        parts.append(f"{_reached(found, metric)} at {budget_text(found.order)}{_before(found)}.")
        leading = [pair for pair in own if found.first[0] in (pair.a, pair.b)]
        claim, shown = _shown(found, leading, pairs)
        parts.append(shown)
        basis = f"{sentence(_of_each(found))}; {_MEANS[claim]}."
    if found.split == "validation":
        careful = "These are validation values, which are optimistic: nothing confirms them."
        parts.insert(1, careful)
    parts += _outside(found, methods)
    if any(status_open(m) for m in methods):
        parts.append("Not every study has come to its end.")
    on = " on validation" if found.split == "validation" and claim != "none" else ""
    return Verdict(
        text=" ".join(parts),
        claim=claim,
        repetitions=n,
        badge=_BADGES[claim] + on if len(methods) > 1 else "",
        basis=basis,
    )


def standing(methods: Sequence[Method], metric: Metric) -> Standing:
    """Put methods in order, each of which has a validation value."""
    tested = [m for m in methods if m.test is not None]
    on_test = len(tested) >= min(2, len(methods))
    split: Split = "test" if on_test else "validation"
    compared = tested if on_test else list(methods)
    values = {m.label: values_by_seed(m.repetitions, split) for m in compared}
    shared = set.intersection(*(set(found) for found in values.values()))
    means = {
        label: math.fsum(own) / len(own)
        for label, found in values.items()
        for own in [[found[seed] for seed in sorted(shared or found)]]
    }
    sign = -1.0 if metric.goal == "maximize" else 1.0
    if shared:
        compared = sorted(compared, key=lambda m: sign * means[m.label])
    return Standing(
        order=tuple(compared),
        means=means,
        seeds=tuple(sorted(shared)),
        is_of_all=all(found.keys() == shared for found in values.values()),
        split=split,
        outside=tuple(m for m in methods if m.label not in values),
    )


def _level(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15)


def _contradiction(found: Standing, pairs: Sequence[Pair], metric: Metric) -> Pair | None:
    """A pair with who is first whose own seeds turn the order round, or make one of a tie."""
    if not found.seeds:
        return None
    for pair in pairs:
        better = ahead(pair, metric)
        of_first = {pair.a, pair.b} & set(found.first)
        if better is None or not of_first:
            continue
        if better not in of_first or len(of_first) > 1:
            return pair
    return None


def _no_order(contradiction: Pair | None, n: int) -> str:
    """Why there is none, as a sentence."""
    if contradiction is None:
        return "No seed was run with all of them."
    return (
        f"The order depends on the seeds: over the {n} that all of them have it is another than"
        f" over the {len(contradiction.seeds)} that {contradiction.a} and {contradiction.b} share."
    )


# --- the sentences ---------------------------------------------------------------------------


def _nothing(methods: Sequence[Method]) -> str:
    started = sum(m.counts.started for m in methods)
    if not started:
        return "No trial has begun yet: there is nothing to compare. No claim."
    failed = sum(m.counts.failed for m in methods)
    if failed == started:
        trials = {1: "The only trial", 2: "Both trials"}.get(started, f"All {started:,} trials")
        return f"{trials} failed: there is no usable result. No claim."
    yet = " yet" if any(status_open(m) for m in methods) else ""
    if started == 1:
        return f"The only trial has no usable result{yet}. No claim."
    return f"None of {started:,} trials has a usable result{yet}. No claim."


def _reached(found: Standing, metric: Metric) -> str:
    """Who is first, with its mean; `both` and `all` where several are level."""
    value = f"{found.split} {metric.label} {figure(found.means[found.first[0]])}"
    n = len(found.seeds)
    of = f" (mean of {times(n)})" if n > 1 else ""
    who = listed(found.first)
    verb = " reached " if len(found.first) == 1 else " reached the same "
    if found.is_of_all:
        return f"{sentence(who)}{verb}{value}{of}"
    over = f"Over {count(n, 'seed')} that all of them have, "
    return f"{over}{who}{verb}{value}{' on average' if n > 1 else ''}"


def _before(found: Standing) -> str:
    """Whoever is behind, with their means."""
    rest = [m.label for m in found.order if m.label not in found.first]
    told = [f"{label} {figure(found.means[label])}" for label in rest]
    return f", before {listed(told)}" if told else ""


def _unordered(found: Standing, metric: Metric) -> str:
    """All values in the order given: naming one first would name a lead."""
    told = listed([f"{label} {figure(value)}" for label, value in found.means.items()])
    what = f"{sentence(found.split)} {metric.label}, on average"
    return f"{what}: {told}, at {budget_text(found.order)}."


def _of_each(found: Standing) -> str:
    """How many repetitions an order rests on."""
    n = len(found.seeds)
    if found.is_of_all:
        return f"{times(n)} of each method"
    return f"{count(n, 'seed')} that all methods have"


def _shown(found: Standing, leading: Sequence[Pair], pairs: Sequence[Pair]) -> tuple[Outcome, str]:
    """What the leader's lead over each of the others rests on, and of these the weakest.

    Args:
        leading: its pairs with them; `pairs`: all there are, which a correction counts.
    """
    n, leader = len(found.seeds), found.first[0]
    if n < FEWEST_FOR_INTERVAL:
        return "none", f"No claim: with {_of_each(found)}, this order may be chance."
    if len(found.first) > 1:
        return "chance", "Neither is ahead." if len(found.first) == 2 else "None is ahead."
    by: dict[Outcome, list[Pair]] = {kind: [] for kind in WEAKEST_FIRST}
    for pair in leading:
        by[outcome(pair)].append(pair)

    def others(kind: Outcome) -> str:
        names = [other(pair, leader) for pair in by[kind]]
        if len(names) < len(found.order) - 1:
            return listed(names)
        return "the other method" if len(names) == 1 else "every other method"

    parts: list[str] = []
    if by["significant"]:
        p = p_text(max(pair.p_holm or 0.0 for pair in by["significant"]))
        p = f"p = {p}" if len(by["significant"]) == 1 else f"p at most {p}"
        parts.append(f"It is significantly better than {others('significant')} ({p}, Holm).")
        # The test knows signs and ranks of sums, the interval a spread: they need not agree.
        unlike = [p for p in by["significant"] if p.difference and not excludes_zero(p.difference)]
        if unlike:
            parts.append(
                "The 95 % interval of its paired difference to"
                f" {listed([other(pair, leader) for pair in unlike])} holds 0 all the same."
            )
    if by["interval"]:
        parts.append(
            "0 lies outside the 95 % interval of its paired difference to"
            f" {others('interval')}{uncorrected(pairs)}."
        )
    tested = [pair for pair in by["chance"] if is_testable(pair)]
    for group, words in (
        (tested, "is not significant and may be chance"),
        ([pair for pair in by["chance"] if pair not in tested], "may be chance"),
        (by["none"], "is the same at every seed, so that no interval can tell it from chance"),
    ):
        if group:
            behind = listed([other(pair, leader) for pair in group])
            parts.append(f"Its lead over {behind} {words}.")
    open_ones = [*by["interval"], *(p for p in by["chance"] if p not in tested)]
    reasons = {
        why_untested(pair, pairs): None
        for pair in open_ones
        if pair in by["interval"] or len(pair.seeds) >= FEWEST_FOR_P
    }
    parts += [f"{sentence(reason)}." for reason in reasons]
    weakest: Outcome = next((kind for kind in WEAKEST_FIRST if by[kind]), "none")
    return weakest, " ".join(parts)


def _outside(found: Standing, methods: Sequence[Method]) -> list[str]:
    """Methods that the order leaves out, and why."""
    parts: list[str] = []
    if found.outside:
        names = listed([m.label for m in found.outside])
        none = "has no test value that counts and stands"
        if len(found.outside) > 1:
            none = "have no test value that counts and stand"
        parts.append(f"{sentence(names)} {none} outside this order.")
    barren = [m.label for m in methods if m.validation is None]
    if barren:
        parts.append(f"{sentence(listed(barren))} gave no usable result.")
    return parts
