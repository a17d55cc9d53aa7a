"""Methods side by side: final values, pairwise differences, and what mattered to one of them.

Tests nothing. A row is a name, its numbers in words at the right (or, where one of the rows is too
long for that, below), and then the drawing: so that names may be long and a phone can show it.
Every repetition is a point of its own; an interval is drawn only where the report has one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.report.figures.drawing import (
    FONT,
    WIDTH,
    Frame,
    char_width,
    dots,
    look,
    marker,
    path,
    shortened,
    svg,
    text,
    units,
)
from sweeps.report.figures.scales import Linear, linear
from sweeps.report.model import Summary

LEFT, RIGHT = 16.0, WIDTH - 16.0
ROW = 62.0
_TOP = 4.0


@dataclass(frozen=True)
class Estimate:
    """A row: its name, and up to two summaries of one quantity.

    Attributes:
        look: the method's number; None: it has no look of its own (a default, a pair).
        first: drawn hollow and thin (validation); None: there is none.
        second: drawn filled and strong (test, or the only one).
        words: the numbers, at the right end.
    """

    label: str
    look: int | None
    first: Summary | None
    second: Summary | None
    words: str


def estimates(
    key: str,
    title: str,
    description: str,
    rows: Sequence[Estimate],
    *,
    value: str,
    zero: bool = False,
) -> Markup:
    """Means with intervals and every repetition's value, a row each: a forest plot.

    Args:
        value: the name of the axis.
        zero: whether 0 is marked, as no difference.
    """
    found = [s for row in rows for s in (row.first, row.second) if s is not None]
    values = [v for s in found for v in (*s.values, s.mean, s.low, s.high)]
    x = linear([*values, *([0.0] if zero else [])], LEFT + 4, RIGHT - 4, pad=0.04)
    stacked = any(_long(row) for row in rows)
    height = ROW + (1.1 * FONT if stacked else 0.0)
    bottom = _TOP + height * max(1, len(rows))
    frame = Frame(LEFT, _TOP, RIGHT, bottom)
    body = [frame.x_axis(x, value)]
    for i, row in enumerate(rows):
        y = _TOP + i * height
        body.append(text(LEFT, y + FONT, shortened(row.label, RIGHT - LEFT), "row halo"))
        if stacked:
            y += 1.1 * FONT
            body.append(text(LEFT, y + FONT, shortened(row.words, RIGHT - LEFT), "note halo"))
        else:
            body.append(text(RIGHT, y + FONT, row.words, "note halo", "end"))
        if zero and (origin := x(0.0)) is not None:  # beside the drawing only, not through words
            body.append(path(f"M{units(origin)} {units(y + 26)}V{units(y + 56)}", "reference"))
        index = row.look if row.look is not None else 3
        css = look(index) if row.look is not None else "look-plain"
        both = row.first is not None
        if row.first is not None:
            body.append(_estimate(row.first, x, y + 33, index, f"{css} hollow"))
        if row.second is not None:
            body.append(_estimate(row.second, x, y + (47 if both else 40), index, css))
    return svg(key, title, description, bottom + 2.9 * FONT, *body)


def _long(row: Estimate) -> bool:
    """Whether a row's name and words have no room on one line."""
    return (len(row.label) + len(row.words) + 2) * char_width(FONT) > RIGHT - LEFT


def _estimate(summary: Summary, x: Linear, y: float, index: int, css: str) -> Markup:
    """The repetitions as dots, the interval as a line, the mean as the method's marker."""
    each = [(at, y) for v in summary.values if (at := x(v)) is not None]
    parts = [path(dots(each), f"{css} repetition")]
    low, high, mean = x(summary.low), x(summary.high), x(summary.mean)
    if low is not None and high is not None:
        ends = f"M{units(low)} {units(y)}H{units(high)}M{units(low)} {units(y - 4)}v8"
        parts.append(path(f"{ends}M{units(high)} {units(y - 4)}v8", f"{css} interval"))
    if mean is not None:
        parts.append(path(marker(index, mean, y, 5.5), f"{css} mark"))
    return Markup("").join(parts)


def importance(
    key: str, title: str, description: str, shares: Mapping[str, float], *, method: int
) -> Markup:
    """A bar a hyperparameter, as long as its share of the variance; the largest first."""
    row = 46.0
    x = Linear(0.0, max([1e-9, *shares.values()]), LEFT, RIGHT)
    body = []
    for i, (name, share) in enumerate(sorted(shares.items(), key=lambda item: -item[1])):
        y = _TOP + i * row
        end = x(share) or LEFT
        body.append(
            path(f"M{units(LEFT)} {units(y + 24)}H{units(RIGHT)}v12H{units(LEFT)}z", "rail")
        )
        bar = f"M{units(LEFT)} {units(y + 24)}H{units(max(end, LEFT + 1.5))}v12H{units(LEFT)}z"
        body.append(path(bar, f"{look(method)} bar"))
        body.append(text(LEFT, y + FONT, shortened(name, RIGHT - 110), "row"))
        body.append(text(RIGHT, y + FONT, f"{share:.0%}", "note", "end"))
    return svg(key, title, description, _TOP + row * max(1, len(shares)) + 4, *body)


def summary_words(summary: Summary | None, *, signed: bool = False) -> str:
    """`0.861 (0.842 to 0.880)`, or the mean alone; a hyphen for None.

    As many decimals as the interval's width makes sense of: two digits of its half.

    Args:
        signed: whether a plus stands before what is above 0, as in differences.
    """
    if summary is None:
        return "-"
    sign = "+" if signed else ""
    if summary.low is None or summary.high is None:
        return _plain(f"{summary.mean:{sign}.4g}")
    half = (summary.high - summary.low) / 2
    decimals = 4 if half <= 0 else min(12, max(0, 1 - math.floor(math.log10(half))))
    mean, low, high = (
        _plain(f"{v:{sign}.{decimals}f}") for v in (summary.mean, summary.low, summary.high)
    )
    return f"{mean} ({low} to {high})"


def _plain(text: str) -> str:
    """A hyphen before a number is a minus sign."""
    return text.replace("-", "\u2212")
