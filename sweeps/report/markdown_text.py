"""The words of Markdown: text that stays text, tables, fences, numbers with their interval.

Knows no report; `markdown.py` and `markdown_methods.py` put one together from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sweeps.model_card import escaped
from sweeps.report.model import Summary
from sweeps.report.repetition import Cost
from sweeps.report.wording import figure, span

_LINKED = re.compile(r"://|www\.|[&~@!]")


def plain(text: str) -> str:
    """Text that Markdown takes for nothing but text, in one line; no address becomes a link."""
    # Spaces at the beginning would make it a block of code.
    one_line = escaped(text).strip()
    return _LINKED.sub(lambda m: "\\" + m[0] if m[0] != "www." else "www\\.", one_line)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a heading that starts with `>` is of a column of numbers. Cells are escaped."""
    rule = ["---:" if h.startswith(">") else "---" for h in headings]
    lines = [[plain(h.removeprefix(">")) for h in headings], rule]
    lines += [[plain(c) for c in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(text: str, language: str = "") -> str:
    """A block of code, in a fence longer than any within it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def interval(value: Summary | None) -> str:
    """`0.705 (0.691 to 0.719)`; the mean alone below three repetitions."""
    if value is None:
        return "-"
    if value.low is None:
        return figure(value.mean)
    return f"{figure(value.mean)} ({figure(value.low)} to {figure(value.high)})"


def cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    """Epochs, device seconds, wall time, money."""
    wall = span(cost.wall_s) if cost.wall_s else "-"
    usd = "-" if cost.usd is None else f"${cost.usd:,.2f}"
    return figure(cost.epochs), f"{cost.device_s:,.0f}", wall, usd
