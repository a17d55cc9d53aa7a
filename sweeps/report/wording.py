"""The words of a report: numbers, costs, lists, and what a repetition's budget was.

Claims nothing: what may be said of two methods is in `claims.py`, of all of them in `verdict.py`,
notes are in `notes.py`, the sentences below figures in `captions.py`. They share their words here,
so that one budget or one p value reads the same wherever it stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report.model import Method
from sweeps.report.repetition import Repetition
from sweeps.text import count, duration

UNEQUAL = 0.05
"""Budgets may differ by this share of the largest."""


def figure(value: float | None) -> str:
    """A number in four significant digits, or whole from 10,000 on; `-` for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def p_text(p: float | None) -> str:
    """A p value in two significant digits, never `0.000`; `-` for None."""
    return "-" if p is None else f"{p:.2g}"


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


# --- budgets ---------------------------------------------------------------------------------


def epochs_each(method: Method) -> float:
    """Epochs of a repetition's search, on average."""
    return method.cost.epochs / max(1, len(method.repetitions))


def crowning(repetition: Repetition) -> float:
    """Epochs of the finalists that its selection rests on; 0 when the search selected."""
    chosen, cost = repetition.selected, repetition.finalists_cost
    if chosen is None or chosen.by != "finalists" or cost is None:
        return 0.0
    return cost.epochs


def crowning_each(method: Method) -> float:
    """Epochs of finalists that a repetition's selection rests on, on average."""
    return sum(crowning(r) for r in method.repetitions) / max(1, len(method.repetitions))


def trained_text(method: Method) -> str:
    """Epochs a repetition: `16`, or `16 + 30` where finalists were trained to select."""
    extra = crowning_each(method)
    searched = figure(epochs_each(method))
    return f"{searched} + {figure(extra)}" if extra else searched


def budget_text(methods: Sequence[Method]) -> str:
    """`16 epochs a repetition`, or from what to what; with finalists what they cost beside it."""
    if any(crowning_each(m) for m in methods):
        told = [trained_text(m) + (f" ({m.label})" if len(methods) > 1 else "") for m in methods]
        return f"{listed(told)} epochs a repetition, search + finalists"
    low, high = spread([epochs_each(m) for m in methods])
    if differs(low, high):
        return f"{figure(low)} to {figure(high)} epochs a repetition"
    return f"{epochs_text(high)} a repetition"


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest."""
    return min(values), max(values)


def differs(low: float, high: float) -> bool:
    """Whether two budgets differ by more than 5 % of the larger."""
    return high - low > UNEQUAL * high * (1 + 1e-9)


def status_open(method: Method) -> bool:
    """Whether one of its studies has not come to an end of its own."""
    return any(r.status in ("running", "interrupted", "stopped") for r in method.repetitions)
