"""What a report may claim, in words: the verdict and what is said of each pair of methods.

Nothing is computed here but what a sentence counts (notes are in `notes.py`, the sentences below
figures in `captions.py`). The rules: with one or two repetitions there
is no claim; below six the word for having passed a test is never used, because no test can pass;
from six on it stands beside its p value. The best validation value is called optimistic wherever
it stands in for a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report.model import Method, Metric, Pair, Summary, Verdict
from sweeps.report.statistics import FEWEST_FOR_INTERVAL, FEWEST_FOR_P, MOST_FOR_P
from sweeps.text import count, duration

UNEQUAL = 0.05
"""Budgets may differ by this share of the largest."""

ALPHA = 0.05


def figure(value: float | None) -> str:
    """A number in four significant digits, or whole from 10,000 on; `-` for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def epochs_text(epochs: float) -> str:
    """`1 epoch`, `2.5 epochs`."""
    return f"{figure(epochs)} epoch{'' if epochs == 1 else 's'}"


def span(seconds: float) -> str:
    """Seconds as `1.25 s` below a minute, else as minutes or hours."""
    return f"{seconds:.3g} s" if seconds < 60 else duration(seconds)


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def sentence(text: str) -> str:
    """The text with a large first letter."""
    return text[:1].upper() + text[1:]


def times(n: int) -> str:
    """`1 repetition`, `3 repetitions`."""
    return count(n, "repetition")


# --- pairs -----------------------------------------------------------------------------------


def pair_claim(pair: Pair, metric: Metric) -> str:
    """What may be said of two methods."""
    return _claim(pair, metric) + (
        " On validation, which is optimistic." if pair.split == "validation" else ""
    )


def _claim(pair: Pair, metric: Metric) -> str:
    difference, n = pair.difference, len(pair.seeds)
    if difference is None:
        return "No seed was run with both: no claim."
    if n < FEWEST_FOR_INTERVAL:
        return f"No claim: {times(n)}."
    ahead = _ahead(pair, metric)
    if ahead is None:
        return f"No difference: equal on average over {times(n)}."
    if n < FEWEST_FOR_P:
        if excludes_zero(difference):
            return (
                f"{sentence(ahead)} is ahead, and the interval leaves 0 out; below"
                f" {FEWEST_FOR_P} repetitions no test can bear it out."
            )
        return f"May be chance: the interval over {times(n)} holds 0."
    if pair.p_holm is None:
        outside = "leaves 0 out" if excludes_zero(difference) else "holds 0"
        return f"{sentence(ahead)} is ahead; the interval over {times(n)} {outside}."
    if pair.p_holm < ALPHA:
        return f"{sentence(ahead)} is significantly better (p = {pair.p_holm:.2g}, Holm)."
    return f"Not significant (p = {pair.p_holm:.2g}, Holm): may be chance."


def excludes_zero(difference: Summary) -> bool:
    """Whether 0 lies outside the interval, where there is one."""
    return difference.low is not None and not (difference.low <= 0 <= (difference.high or 0))


def _ahead(pair: Pair, metric: Metric) -> str | None:
    """The label of the better one on average; None when they are equal."""
    mean = pair.difference.mean if pair.difference else 0.0
    if mean == 0:
        return None
    return pair.a if (mean > 0) == (metric.goal == "maximize") else pair.b


def stands(pair: Pair) -> bool:
    """Whether the order of a pair is shown by as strong a means as its repetitions allow."""
    if pair.difference is None or len(pair.seeds) < FEWEST_FOR_INTERVAL:
        return False
    if FEWEST_FOR_P <= len(pair.seeds) <= MOST_FOR_P:
        return pair.p_holm is not None and pair.p_holm < ALPHA
    return excludes_zero(pair.difference)


# --- the verdict -----------------------------------------------------------------------------


def verdict(methods: Sequence[Method], pairs: Sequence[Pair], metric: Metric) -> Verdict:
    """The first sentences: which method reached what at which budget, and whether that is shown."""
    there = [m for m in methods if m.validation is not None]
    if not there:
        return Verdict(text=_nothing(methods), claim="none", repetitions=0)
    on_test = all(m.test is not None for m in there)
    order = ranking(there, metric, on_test=on_test)
    leader = order[0]
    text = f"{sentence(leader.label)} reached {_reached(leader, metric, on_test)}"
    text += f" at {_budget(order)}"
    if len(order) > 1:
        rest = [f"{m.label} {figure(_value(m, on_test).mean)}" for m in order[1:]]
        text += f", before {listed(rest)}"
    text += "."
    if not on_test:
        text += " These are validation values, which are optimistic: nothing confirms them."
    n = min(len(_value(m, on_test).values) for m in there)
    if len(order) > 1:
        leaders = [pair for pair in pairs if leader.label in (pair.a, pair.b)]
        n = min([n, *(len(pair.seeds) for pair in leaders)])
        text += " " + _shown(leader, leaders, n)
    elif n < FEWEST_FOR_INTERVAL:
        text += f" No claim: {times(n)}."
    if any(status_open(m) for m in methods):
        text += " Not every study has come to its end."
    claim = "none" if n < FEWEST_FOR_INTERVAL else "weak" if n < FEWEST_FOR_P else "tested"
    return Verdict(text=text, claim=claim, repetitions=n)  # type: ignore[arg-type]


def ranking(methods: Sequence[Method], metric: Metric, *, on_test: bool) -> list[Method]:
    """Methods from best to worst by their mean; all must have the value."""
    sign = -1.0 if metric.goal == "maximize" else 1.0
    return sorted(methods, key=lambda m: sign * _value(m, on_test).mean)


def _value(method: Method, on_test: bool) -> Summary:
    """Its test values, or its validation values."""
    found = method.test if on_test else method.validation
    if found is None:
        raise ValueError(f"{method.label} must have a value to be ranked by, but has none")
    return found


def _nothing(methods: Sequence[Method]) -> str:
    started = sum(m.counts.started for m in methods)
    if not started:
        return "No trial has begun yet: there is nothing to compare. No claim."
    failed = sum(m.counts.failed for m in methods)
    if failed == started:
        trials = "The only trial" if started == 1 else f"All {started:,} trials"
        return f"{trials} failed: there is no usable result. No claim."
    return f"None of {count(started, 'trial')} has a usable result yet. No claim."


def _reached(method: Method, metric: Metric, on_test: bool) -> str:
    value = _value(method, on_test)
    split = "test" if on_test else "validation"
    text = f"{split} {metric.label} {figure(value.mean)}"
    if len(value.values) == 1:
        return text
    return f"{text} (mean of {times(len(value.values))})"


def _budget(methods: Sequence[Method]) -> str:
    """`16 epochs a repetition`, or from what to what."""
    low, high = spread([epochs_each(m) for m in methods])
    if differs(low, high):
        return f"{figure(low)} to {figure(high)} epochs a repetition"
    return f"{epochs_text(high)} a repetition"


def _shown(leader: Method, pairs: Sequence[Pair], n: int) -> str:
    """Whether the leader's lead is shown."""
    if n == 0:
        return "No claim: no seed was run with all of them."
    if n < FEWEST_FOR_INTERVAL:
        return f"No claim: with {times(n)} of each, this order may be chance."
    shaky = [_other(pair, leader.label) for pair in pairs if not stands(pair)]
    if n < FEWEST_FOR_P:
        if not shaky:
            return (
                f"Its lead is outside the 95 % interval of every paired difference; with {times(n)}"
                " no test can bear it out."
            )
        return f"Its lead over {listed(shaky)} may be chance."
    tested = [pair for pair in pairs if stands(pair)]
    highest = max((pair.p_holm for pair in tested if pair.p_holm is not None), default=None)
    p = "" if highest is None else f" (p at most {highest:.2g}, Holm)"
    if not shaky:
        return f"It is significantly better than {_every_other(pairs)}{p}."
    words = f"Its lead over {listed(shaky)} is not significant and may be chance"
    if tested:
        better = listed([_other(pair, leader.label) for pair in tested])
        words += f"; over {better} it is significant{p}"
    return words + "."


def _every_other(pairs: Sequence[Pair]) -> str:
    return "the other method" if len(pairs) == 1 else "every other method"


def _other(pair: Pair, label: str) -> str:
    return pair.b if pair.a == label else pair.a


# --- budgets ---------------------------------------------------------------------------------


def epochs_each(method: Method) -> float:
    """Epochs of a repetition's search, on average."""
    return method.cost.epochs / max(1, len(method.repetitions))


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest."""
    return min(values), max(values)


def differs(low: float, high: float) -> bool:
    """Whether two budgets differ by more than 5 % of the larger."""
    return high - low > UNEQUAL * high * (1 + 1e-9)


def status_open(method: Method) -> bool:
    """Whether one of its studies has not come to an end of its own."""
    return any(r.status in ("running", "interrupted", "stopped") for r in method.repetitions)
