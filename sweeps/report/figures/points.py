"""Trials as points of the space: slices along one hyperparameter, and parallel coordinates.

Says nothing about importance. All points of a slice are one path with a dot each, in the order of
the trial numbers beside it: an element for each would make a page of 10,000 trials several times
as large. Parallel coordinates lie on their side, an axis a row: so names and ticks have room, and
the figure fits a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from orchestrator.events import Config
from search_spaces.domains import is_number
from search_spaces.seeds import generator
from sweeps.report.figures.drawing import (
    FONT,
    PANEL,
    WIDTH,
    Points,
    dots,
    fitting,
    frame_bottom,
    framed,
    line_through,
    look,
    marker,
    path,
    shortened,
    svg,
    text,
    units,
)
from sweeps.report.figures.scales import Ordinal, Scale, Tick, linear, log, ordinal, value_label
from sweeps.report.model import Axis, Line

PANEL_HEIGHT = 230.0
PANEL_TOP = 30.0
ROW = 76.0
"""Units from one axis of the parallel coordinates to the next."""

BEST_SHARE = 0.1
MANY = 80
"""From here on the lines that do not stand out are drawn thinner."""
FEW = 6
"""Numbers that take at most so many values are drawn evenly spaced, as choices are."""


def axis_scale(
    axis: Axis, configs: Sequence[Config], start: float, end: float, *, few: int = FEW
) -> Scale:
    """The scale of a searched name: over its whole domain, whatever part of it was tried.

    Args:
        few: numbers that take at most so many values are spaced evenly, as a grid's are.
    """
    tried = [c[axis.name] for c in configs if axis.name in c]
    if axis.kind == "category" or not all(is_number(v) for v in tried):
        return ordinal([*axis.values, *tried], start, end)
    distinct = {float(v) for v in tried}
    short = all(len(value_label(v)) <= 7 for v in distinct)
    if tried and short and len(distinct) <= few < len(configs):
        return ordinal(tried, start, end)
    bounds = [v for v in (axis.low, axis.high) if v is not None]
    if axis.log:
        return log([*bounds, *tried], start, end)
    return linear([*bounds, *tried], start, end)


def place(axis: Axis, scale: Scale, config: Config) -> float | None:
    """Where a configuration stands on an axis; None when it does not have the name."""
    return scale(config[axis.name]) if axis.name in config else None


def best_of(lines: Sequence[Line]) -> int:
    """How many of the trials, which come best first, are drawn as the best: a tenth, 1 at least."""
    return max(1, round(BEST_SHARE * sum(line.value is not None for line in lines)))


def slice_of(
    key: str,
    title: str,
    description: str,
    axis: Axis,
    lines: Sequence[Line],
    *,
    value: str,
    method: int,
    numbers: Mapping[str, int],
) -> Markup:
    """Each trial's best value against its setting of one hyperparameter.

    Where settings are few, points are moved sideways by chance, the same in every drawing, so
    that they do not cover each other.

    Args:
        lines: trials, the best first.
        method: the number of the method's look.
        numbers: a trial's key -> its number on the page.
    """
    y = linear(
        [line.value for line in lines],
        frame_bottom(PANEL_HEIGHT, PANEL),
        PANEL_TOP,
        pad=0.05,
    )
    frame, ticks = framed(y, width=PANEL, height=PANEL_HEIGHT, top=PANEL_TOP, most=4)
    x = axis_scale(axis, [line.config for line in lines], frame.left + 8, frame.right - 6)
    room = 0.0
    if isinstance(x, Ordinal):
        room = 0.3 * frame.width / max(1, len(x.values))
    body = [frame.y_axis(y, value, ticks), frame.x_axis(x, axis.label, 5)]
    rng = generator(0, "jitter", axis.name)
    placed: list[tuple[float, float, Line]] = []
    for line in lines:
        at_x, at_y = place(axis, x, line.config), y(line.value)
        if at_x is not None and at_y is not None:
            placed.append((at_x + room * (2 * rng.random() - 1), at_y, line))
    best = {line.key for line in lines[: best_of(lines)]}
    for css, chosen in (
        ("others-dots", [p for p in placed if p[2].key not in best]),
        ("best-dots", [p for p in placed if p[2].key in best]),
    ):
        known = " ".join(str(numbers.get(line.key, "")) or "-" for _, _, line in chosen)
        data = dots((a, b) for a, b, _ in chosen)
        body.append(path(data, f"{look(method)} {css} ts", data_ts=known))
    if placed:
        body.append(path(marker(method, *placed[0][:2], 6), f"{look(method)} mark ring"))
    return svg(key, title, description, PANEL_HEIGHT, *body, width=PANEL)


def parallel(
    key: str,
    title: str,
    description: str,
    axes: Sequence[Axis],
    lines: Sequence[Line],
    *,
    value: str,
    method: int,
    numbers: Mapping[str, int],
) -> Markup:
    """One line a trial through its settings, down to its value; the best stand out.

    Args:
        lines: trials, the best first.
        value: the name of the last axis.
    """
    left, right, top = 24.0, WIDTH - 24.0, 44.0
    configs = [line.config for line in lines]
    scales: list[tuple[str, Scale]] = [
        (axis.label, axis_scale(axis, configs, left, right)) for axis in axes
    ]
    last = linear([line.value for line in lines], left, right)
    heights = [top + i * ROW for i in range(len(axes) + 1)]

    def points(line: Line) -> Points:
        for axis, (_, scale), height in zip(axes, scales, heights, strict=False):
            yield place(axis, scale, line.config), height
        yield last(line.value), heights[-1]

    best = best_of(lines)
    others = "others many" if len(lines) > MANY else "others"
    body = []
    for rank, line in reversed(list(enumerate(lines))):
        css = f"{look(method)} {'line' if rank == 0 else 'good'}" if rank < best else others
        data = line_through(points(line))
        body.append(path(data, f"{css} t", data_t=numbers.get(line.key)))
    for (label, scale), height in zip([*scales, (value, last)], heights, strict=True):
        body.append(_row(label, scale, height, left, right))
    return svg(key, title, description, heights[-1] + 1.9 * FONT, *body)


def _row(label: str, scale: Scale, height: float, left: float, right: float) -> Markup:
    """An axis that lies, with its name above its left end and its ticks below."""
    placed = _cut(fitting(scale, 7, FONT), right - left)
    marks = "".join(f"M{units(t.at)} {units(height - 3)}v6" for t in placed)
    parts = [
        path(f"M{units(left)} {units(height)}H{units(right)}{marks}", "axis"),
        text(4.0, height - 10, shortened(label, right), "name halo"),
    ]
    for tick in placed:
        if tick.label:
            anchor = _anchor(tick, left, right)
            at = {"start": 4.0, "end": WIDTH - 4.0}.get(anchor, tick.at)
            parts.append(text(at, height + 1.05 * FONT, tick.label, "tick halo", anchor))
    return Markup("").join(parts)


def _cut(ticks: Sequence[Tick], room: float) -> list[Tick]:
    labelled = max(1, sum(bool(t.label) for t in ticks))
    return [Tick(t.at, shortened(t.label, room / labelled)) for t in ticks]


def _anchor(tick: Tick, left: float, right: float) -> str:
    half = len(tick.label) * 0.28 * FONT
    if tick.at - half < 2:
        return "start"
    return "end" if tick.at + half > right + 22 else "middle"
