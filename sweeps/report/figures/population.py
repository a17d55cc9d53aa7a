"""Population-based training: who descends from whom, and the schedule that came of it.

A swim lane is a member's place, not a model: what is in it changes when the member copies another.
So the ancestry of the selected model is drawn through the lanes as one strong line; arrows are
copies, from the donor's lane into the receiver's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sweeps.report.figures.drawing import (
    FONT,
    PANEL,
    WIDTH,
    Frame,
    char_width,
    frame_bottom,
    framed,
    look,
    marker,
    path,
    shortened,
    steps_through,
    svg,
    text,
    units,
)
from sweeps.report.figures.points import axis_scale, place
from sweeps.report.figures.scales import Linear, Scale, linear
from sweeps.report.model import Axis, Exploit, Lineage, Stretch

LANE = 30.0
PANEL_HEIGHT = 200.0
PANEL_TOP = 30.0
_TOP = 26.0


@dataclass(frozen=True)
class _Lanes:
    """Where everything of a population stands: members' rows, epochs' columns, and who copied."""

    rows: Mapping[str, float]
    x: Linear
    slant: float
    copied: frozenset[tuple[str, int]]

    def arrival(self, exploit: Exploit) -> float:
        """Where a copy's arrow ends: a little after its epoch, so that it is seen to lead there."""
        return (self.x(exploit.epoch) or 0.0) + self.slant


def lineage(
    key: str,
    title: str,
    description: str,
    population: Lineage,
    *,
    method: int,
    numbers: Mapping[str, int],
    study: str,
    best: tuple[str, float] | None = None,
) -> Markup:
    """Swim lanes, one a member, with an arrow for every copy and the winner's ancestry.

    Args:
        numbers: `study/trial` -> the trial's number on the page.
        best: the selected checkpoint's member and epoch; None: nothing was selected.
    """
    names = [m.trial for m in population.members]
    longest = max((len(shortened(n, 130)) for n in names), default=1)
    left, right = 16 + longest * char_width(FONT), WIDTH - 24.0
    height = _TOP + LANE * max(1, len(names)) + 3.0 * FONT
    frame = Frame(left, _TOP, right, height - 2.9 * FONT)
    ends = [s.end_epoch for m in population.members for s in m.stretches]
    x = linear([*ends, *(e.epoch for e in population.exploits)], left, right, zero=True)
    rows = {name: _TOP + LANE * (i + 0.5) for i, name in enumerate(names)}
    copied = frozenset((e.trial, e.boundary) for e in population.exploits)
    lanes = _Lanes(rows, x, min(14.0, 0.3 * _interval(population.exploits, x)), copied)

    body = [frame.x_axis(x, "epochs")]
    body += [
        _lane(m.trial, m.stretches, lanes, numbers.get(f"{study}/{m.trial}"), left)
        for m in population.members
    ]
    ancestry = {(s.trial, s.start) for s in population.winner[1:]}
    for exploit in population.exploits:
        won = (exploit.trial, exploit.boundary) in ancestry
        css = f"{look(method)} line arrow solid" if won else "others-strong arrow"
        body.append(_arrow(exploit, lanes, css, won, method))
    body.append(path(_through(population.winner, lanes), f"{look(method)} line solid winner"))
    seen = [
        (x(p.epoch), rows[m.trial])
        for m in population.members
        for s in m.stretches
        for p in s.values
        if p.value is not None
    ]
    body.append(
        path("".join(f"M{units(a)} {units(b)}h0" for a, b in seen if a is not None), "evaluations")
    )
    if best is not None and best[0] in rows and (at := x(best[1])) is not None:
        body.append(path(marker(method, at, rows[best[0]], 6.5), f"{look(method)} mark"))
    return svg(key, title, description, height, *body)


def _interval(exploits: Sequence[Exploit], x: Linear) -> float:
    """Units between one generation and the next; the whole width when there is one or none."""
    places = sorted({x(e.epoch) or 0.0 for e in exploits})
    gaps = [b - a for a, b in itertools.pairwise(places)]
    return min(gaps, default=x.end - x.start)


def _lane(
    name: str, stretches: Sequence[Stretch], lanes: _Lanes, number: int | None, left: float
) -> Markup:
    """A member's name and its line, which is broken where it copied another."""
    y = lanes.rows[name]
    data = []
    for stretch in stretches:
        start, end = lanes.x(stretch.start_epoch), lanes.x(stretch.end_epoch)
        if start is None or end is None or end <= start:
            continue
        shift = lanes.slant if (name, stretch.start) in lanes.copied else 0.0
        data.append(f"M{units(min(start + shift, end))} {units(y)}H{units(end)}")
    label = text(left - 8, y + 0.3 * FONT, shortened(name, 130), "tick", "end")
    return label + path("".join(data), "others-strong t", data_t=number)


def _arrow(exploit: Exploit, lanes: _Lanes, css: str, won: bool, method: int) -> Markup:
    """From the donor's lane at the exploit into the receiver's, with a head."""
    start, end = lanes.rows.get(exploit.donor), lanes.rows.get(exploit.trial)
    if start is None or end is None:
        return Markup("")
    x0, x1 = lanes.x(exploit.epoch) or 0.0, lanes.arrival(exploit)
    down = 1 if end > start else -1
    tip = end - 2.0 * down
    bow = f"M{units(x0)} {units(start)}C{units(x1)} {units(start)} {units(x1)} {units(start)} "
    shaft = f"{bow}{units(x1)} {units(tip)}"
    head = f"M{units(x1)} {units(tip)}l-4 {units(-8.0 * down)}h8z"
    filled = f"{look(method)} mark" if won else "others-fill"
    return path(shaft, css) + path(head, filled)


def _through(winner: Sequence[Stretch], lanes: _Lanes) -> str:
    """The winner's stretches, each in the lane where it was trained."""
    data = []
    for stretch in winner:
        start, end = lanes.x(stretch.start_epoch), lanes.x(stretch.end_epoch)
        y = lanes.rows.get(stretch.trial)
        if start is None or end is None or y is None:
            continue
        shift = lanes.slant if (stretch.trial, stretch.start) in lanes.copied else 0.0
        data.append(f"M{units(min(start + shift, end))} {units(y)}H{units(end)}")
    return "".join(data)


def schedule(
    key: str,
    title: str,
    description: str,
    axis: Axis,
    population: Lineage,
    *,
    method: int,
    numbers: Mapping[str, int],
    study: str,
) -> Markup:
    """One hyperparameter over training: the winner's line of descent strong, all members faint.

    The left axis is logarithmic where the domain is.
    """
    configs = [s.config for m in population.members for s in m.stretches]
    configs += [s.config for s in population.winner]
    bottom = frame_bottom(PANEL_HEIGHT, PANEL)
    y = axis_scale(axis, configs, bottom, PANEL_TOP, few=0)
    frame, ticks = framed(y, width=PANEL, height=PANEL_HEIGHT, top=PANEL_TOP, most=5)
    ends = [s.end_epoch for m in population.members for s in m.stretches]
    ends += [s.end_epoch for s in population.winner]
    x = linear(ends, frame.left, frame.right, zero=True)
    body = [frame.y_axis(y, axis.label, ticks), frame.x_axis(x, "epochs", 5)]
    for member in population.members:
        data = _course(member.stretches, axis, x, y)
        number = numbers.get(f"{study}/{member.trial}")
        body.append(path(data, "others t", data_t=number))
    body.append(path(_course(population.winner, axis, x, y), f"{look(method)} line solid"))
    if population.winner:
        last = population.winner[-1]
        at_x, at_y = x(last.end_epoch), place(axis, y, last.config)
        if at_x is not None and at_y is not None:
            body.append(path(marker(method, at_x, at_y), f"{look(method)} mark"))
    return svg(key, title, description, PANEL_HEIGHT, *body, width=PANEL)


def _course(stretches: Sequence[Stretch], axis: Axis, x: Linear, y: Scale) -> str:
    """The setting in force over the stretches, as steps."""
    points: list[tuple[float | None, float | None]] = []
    for stretch in stretches:
        at = place(axis, y, stretch.config)
        points += [(x(stretch.start_epoch), at), (x(stretch.end_epoch), at)]
    return steps_through(points)
