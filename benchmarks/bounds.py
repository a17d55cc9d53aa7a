"""What must hold of a benchmark's figures, and whether it does.

Pure: figures in, Markdown lines out. What was not measured is shown as that, never as holding;
where the figures of one bound come from several runs of the benchmark, the table says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.saved_rows import table


@dataclass(frozen=True)
class Bound:
    """One thing that must hold.

    Attributes:
        text: what, in words.
        value: the figure; None when a row that it needs was not measured.
        limit: the bound.
        at_most: whether the value must not be above the limit; else not below.
        strict: whether equality fails.
        runs: the runs of the benchmark that made it: each one's beginning, ISO 8601.
    """

    text: str
    value: float | None
    limit: float
    at_most: bool = True
    strict: bool = False
    runs: frozenset[str] = frozenset()

    @property
    def holds(self) -> bool | None:
        """None when it was not measured."""
        if self.value is None:
            return None
        if self.value == self.limit:
            return not self.strict
        return (self.value < self.limit) == self.at_most


def ratio(part: float | None, whole: float | None) -> float | None:
    """part / whole; None when one is missing or the whole is 0."""
    return None if part is None or not whole else part / whole


def bounds_table(found: Sequence[Bound]) -> list[str]:
    """One line a bound."""
    words = {None: "not measured", True: "yes", False: "NO"}
    lines = [
        [
            bound.text,
            "-" if bound.value is None else f"{bound.value:.3g}",
            _limit(bound),
            words[bound.holds],
            "-" if bound.value is None else made_in(bound.runs),
        ]
        for bound in found
    ]
    return table(["what", ">value", ">bound", "holds", "made in"], lines)


def made_in(runs: frozenset[str]) -> str:
    """In how many runs, and on which days if there are several."""
    if len(runs) < 2:
        return "one run" if runs else "-"
    days = sorted({run[: len("2026-01-01")] for run in runs})
    return f"{len(runs)} runs, {' to '.join(dict.fromkeys((days[0], days[-1])))}"


def _limit(bound: Bound) -> str:
    if bound.strict:
        return f"{'below' if bound.at_most else 'above'} {bound.limit:.3g}"
    return f"at {'most' if bound.at_most else 'least'} {bound.limit:.3g}"
