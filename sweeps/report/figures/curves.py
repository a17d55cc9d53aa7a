"""Values that rise or fall along an axis: best so far, learning curves, distribution functions.

Computes no statistics: means and intervals come with the report. Best so far and distribution
functions are steps, because between two results nothing was known; learning curves are straight
lines between evaluations. Every repetition is drawn, faintly, below the mean: three curves that
disagree must not hide behind an average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.report.figures.drawing import (
    FONT,
    area_between,
    frame_bottom,
    framed,
    line_through,
    look,
    marker,
    path,
    steps_through,
    svg,
    text,
    units,
)
from sweeps.report.figures.scales import Linear, linear
from sweeps.report.model import Band, Edf, Line

HEIGHT = 340.0
TOP = 36.0
_UNITS_OF_TIME = ((1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (86400.0, "days"))


@dataclass(frozen=True)
class Progress:
    """A method's search against one cost: each repetition's steps, and their mean.

    Attributes:
        look: the method's number: its colour, dash and marker.
        repetitions: each one's (cost, best so far), ascending.
        band: mean and t interval; None with a single repetition.
    """

    label: str
    look: int
    repetitions: tuple[tuple[tuple[float, float], ...], ...]
    band: Band | None


def unit_of_time(seconds: float) -> tuple[float, str]:
    """The unit in which so many seconds are a number that is easily read, and its seconds."""
    fitting = [unit for unit in _UNITS_OF_TIME if seconds >= 2 * unit[0]]
    return fitting[-1] if fitting else _UNITS_OF_TIME[0]


def best_so_far(
    key: str,
    title: str,
    description: str,
    methods: Sequence[Progress],
    *,
    cost: str,
    value: str,
    per_unit: float = 1.0,
    reference: tuple[str, float] | None = None,
) -> Markup:
    """Best value so far against what was spent.

    Args:
        methods: in the order in which they are drawn.
        cost: the name of the lower axis, with its unit.
        value: the name of the left one.
        per_unit: how much of the methods' cost is one of that unit (60 for minutes of seconds).
        reference: the name and the value of what every search should beat; a line across.
    """
    spent = [x for m in methods for r in m.repetitions for x, _ in r]
    spent += [x for m in methods if m.band for x in m.band.x]
    values = [y for m in methods for r in m.repetitions for _, y in r]
    for m in methods:
        if m.band and m.band.low and m.band.high:
            values += [*m.band.low, *m.band.high]
    values += [reference[1]] if reference else []
    y = linear(values, frame_bottom(HEIGHT), TOP, pad=0.04)
    frame, ticks = framed(y, height=HEIGHT, top=TOP)
    x = linear([v / per_unit for v in spent], frame.left, frame.right, zero=True)
    body = [frame.y_axis(y, value, ticks), frame.x_axis(x, cost)]
    for method in methods:
        css = look(method.look)
        if method.band and method.band.low and method.band.high:
            xs = _places(x, (v / per_unit for v in method.band.x))
            low, high = _places(y, method.band.low), _places(y, method.band.high)
            body.append(path(area_between(xs, low, high), f"{css} band"))
    for method in methods:
        css = look(method.look)
        for steps in method.repetitions:
            data = steps_through((x(spent / per_unit), y(best)) for spent, best in steps)
            only = method.band is None
            body.append(path(data, f"{css} {'line' if only else 'faint'}"))
    for method in methods:
        mean = _mean(method, per_unit)
        if not mean:
            continue
        css = look(method.look)
        if method.band is not None:
            body.append(path(steps_through((x(a), y(b)) for a, b in mean), f"{css} line"))
        end_x, end_y = x(mean[-1][0]), y(mean[-1][1])
        if end_x is not None and end_y is not None:
            body.append(path(marker(method.look, end_x, end_y), f"{css} mark"))
    if reference is not None and (level := y(reference[1])) is not None:
        across = f"M{units(frame.left)} {units(level)}H{units(frame.right)}"
        body.append(path(across, "reference"))
        below = level + FONT < frame.bottom - 4
        at = level + 0.95 * FONT if below else level - 6
        body.append(text(frame.right - 2, at, reference[0], "note halo", "end"))
    return svg(key, title, description, HEIGHT, *body)


def _places(scale: Linear, values: object) -> list[float]:
    return [at for v in values if (at := scale(v)) is not None]  # type: ignore[attr-defined]


def _mean(method: Progress, per_unit: float) -> list[tuple[float, float]]:
    """What ends in the method's marker: the mean, or the only repetition."""
    if method.band is not None:
        return [(a / per_unit, b) for a, b in zip(method.band.x, method.band.mean, strict=True)]
    last = method.repetitions[-1] if method.repetitions else ()
    return [(a / per_unit, b) for a, b in last]


def learning_curves(
    key: str,
    title: str,
    description: str,
    lines: Sequence[Line],
    *,
    value: str,
    method: int,
    numbers: Mapping[str, int],
) -> Markup:
    """Each trial's evaluations against its epochs; the first line is the best and stands out.

    A trial that was stopped ends in a bar, one that failed in a cross.

    Args:
        method: the number of its look.
        numbers: a trial's key -> its number on the page, for highlighting; those that are
            missing are drawn all the same.
    """
    epochs = [p.epoch for line in lines for p in line.points]
    y = linear(
        [p.value for line in lines for p in line.points], frame_bottom(HEIGHT), TOP, pad=0.04
    )
    frame, ticks = framed(y, height=HEIGHT, top=TOP)
    x = linear(epochs, frame.left, frame.right, zero=True)
    body = [frame.y_axis(y, value, ticks), frame.x_axis(x, "epochs")]
    stopped, failed = [], []
    for rank, line in reversed(list(enumerate(lines))):
        points = [(x(p.epoch), y(p.value)) for p in line.points]
        seen = [(a, b) for a, b in points if a is not None and b is not None]
        if not seen:
            continue
        css = f"{look(method)} line" if rank == 0 else "others"
        body.append(path(line_through(points), f"{css} t", data_t=numbers.get(line.key)))
        if line.state == "stopped":
            stopped.append(f"M{units(seen[-1][0])} {units(seen[-1][1] - 4)}v8")
        elif line.state == "failed":
            failed.append(_cross(*seen[-1]))
        elif rank == 0:
            top = max(seen, key=lambda p: -p[1] if _rises(line) else p[1])
            body.append(path(marker(method, *top), f"{look(method)} mark"))
    body.append(path("".join(stopped), "others-end"))
    body.append(path("".join(failed), "cross"))
    return svg(key, title, description, HEIGHT, *body)


def _rises(line: Line) -> bool:
    """Whether the trial's best value is its largest."""
    found = [p.value for p in line.points if p.value is not None]
    return line.value is None or not found or line.value >= max(found)


def _cross(x: float, y: float) -> str:
    return f"M{units(x - 4)} {units(y - 4)}l8 8m-8 0l8-8"


def distribution(
    key: str,
    title: str,
    description: str,
    own: Edf,
    others: Sequence[Edf],
    *,
    half: float | None = None,
    value: str,
    method: int,
) -> Markup:
    """Share of trials whose best is at most a value; the other methods faintly behind.

    Args:
        others: of the methods beside it, for comparison.
        half: the value that half of the trials reached, to be marked; None: none is.
    """
    bottom = frame_bottom(HEIGHT)
    y = Linear(0.0, 1.0, bottom, TOP)
    frame, ticks = framed(y, height=HEIGHT, top=TOP)
    everything = [v for edf in (own, *others) for v in edf.x]
    x = linear(everything, frame.left, frame.right, pad=0.02)
    body = [frame.y_axis(y, "share of trials", ticks), frame.x_axis(x, f"best {value}")]
    for edf in others:
        body.append(path(_staircase(edf, x, y), "others"))
    css = look(method)
    body.append(path(_staircase(own, x, y), f"{css} line"))
    at_x, at_y = (None if half is None else x(half)), y(0.5)
    if at_x is not None and at_y is not None and math.isfinite(at_x):
        body.append(path(marker(method, at_x, at_y), f"{css} mark"))
        words = f"half reached {half:.4g}"
        if at_x < (frame.left + frame.right) / 2:  # what rises leaves room below it and above
            body.append(text(at_x + 12, at_y + 20, words, "note halo"))
        else:
            body.append(text(at_x - 12, at_y - 9, words, "note halo", "end"))
    return svg(key, title, description, HEIGHT, *body)


def _staircase(edf: Edf, x: Linear, y: Linear) -> str:
    """From share 0 at the lowest value, and on to the right edge at 1."""
    if not edf.x:
        return ""
    points = [(edf.x[0], 0.0), *zip(edf.x, edf.share, strict=True)]
    places = [(x(a), y(b)) for a, b in points]
    return steps_through(places) + f"H{units(x.end)}"
