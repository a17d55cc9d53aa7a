"""What every figure is drawn with: elements, paths, markers, the frame with its two axes.

Knows no data and no colours. A figure is one `<svg>` with a name and a description that a screen
reader finds; everything else it says in classes (`look-0 line`), which the page's style sheet
gives colours for light, dark and print. Text is escaped where it enters, by `markupsafe`, and
coordinates have one decimal: a tenth of a unit is less than a pixel, and a page holds thousands.

A drawing is 560 units wide (a panel 320) and scales with its place. The style sheet enlarges text
where that place is narrow, up to `FONT` units, and every layout leaves room for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sweeps.report.figures.scales import Scale, Tick
from sweeps.text import printable

WIDTH = 560.0
PANEL = 320.0
"""Units; a panel stands beside others of its kind."""

FONT = 18.0
"""Text at its largest, in units of a whole figure; on a panel it is `PANEL_FONT`."""
PANEL_FONT = 15.0

LOOKS = 6
"""Colours, dashes and markers that are told apart; a seventh method gets another dash."""

_MARKERS = (
    "M{x0} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",  # circle
    "M{x0} {y0}h{d}v{d}h-{d}z",  # square
    "M{x} {y0}l{r} {h}h-{d}z",  # triangle
    "M{x} {y0}l{r} {r}l-{r} {r}l-{r} -{r}z",  # diamond
    "M{x} {y1}l{r} -{h}h-{d}z",  # triangle on its tip
    "M{x0} {y}l{q} -{r}h{r}l{q} {r}l-{q} {r}h-{r}z",  # hexagon
)
Points = Iterable[tuple[float | None, float | None]]


def look(index: int) -> str:
    """The class of the index-th method: its colour, and its dash."""
    return f"look-{index % LOOKS} dash-{(index + index // LOOKS) % LOOKS}"


def units(value: float) -> str:
    """A coordinate with at most one decimal, as short as it can be."""
    text = f"{value:.1f}"
    if text.endswith(".0"):
        text = text[:-2]
    return "0" if text == "-0" else text


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; children and attribute values that are no Markup are escaped.

    `class_` is `class`, other underscores are hyphens; floats become coordinates; None is left
    out.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None:
            continue
        text = units(value) if isinstance(value, float) else _safe(value)
        parts.append(f' {"class" if key == "class_" else key.replace("_", "-")}="{text}"')
    inside = "".join(_safe(child) for child in children)
    parts.append(f">{inside}</{name}>" if children else "/>")
    return Markup("".join(parts))


def _safe(value: object) -> str:
    return str(value) if isinstance(value, Markup) else str(escape(printable(str(value))))


def text(x: float, y: float, content: str, css: str = "", anchor: str | None = None) -> Markup:
    """A line of text; `anchor` is start (the default), middle or end."""
    return tag("text", content, x=x, y=y, class_=css or None, text_anchor=anchor)


def shortened(content: str, room: float, font: float = FONT) -> str:
    """The text, cut in the middle so that it fits into so many units at the largest font."""
    most = max(4, int(room / char_width(font)))
    content = printable(content).replace("\n", " ")
    if len(content) <= most:
        return content
    head = (most - 1) // 2
    return f"{content[:head]}\u2026{content[len(content) - (most - 1 - head) :]}"


def char_width(font: float) -> float:
    """A digit's or letter's width on average, in units."""
    return 0.56 * font


def svg(
    key: str, title: str, description: str, height: float, *body: Markup, width: float = WIDTH
) -> Markup:
    """A whole drawing.

    Args:
        key: makes its ids unique on the page; letters, digits and hyphens, never foreign text.
        title: its name.
        description: what a reader who does not see it should know.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{key}-t"),
        tag("desc", description, id=f"{key}-d"),
        *body,
        class_="wide" if width == WIDTH else "panel",
        viewBox=f"0 0 {units(width)} {units(height)}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )


def path(data: str, css: str, **attributes: object) -> Markup:
    """A path of these commands; nothing at all when there are none."""
    return tag("path", class_=css, d=data, **attributes) if data else Markup("")


def line_through(points: Points) -> str:
    """Path data of straight lines; a missing point is a gap, a point between gaps a dot."""
    parts: list[str] = []
    run = 0
    for x, y in points:
        if x is None or y is None:
            parts.append("h0" if run == 1 else "")
            run = 0
            continue
        parts.append(f"{'M' if run == 0 else 'L' if run == 1 else ' '}{units(x)} {units(y)}")
        run += 1
    return "".join(parts) + ("h0" if run == 1 else "")


def steps_through(points: Points) -> str:
    """Path data of a step function: each value holds until the next; missing ones are skipped."""
    parts: list[str] = []
    last = ""
    for x, y in points:
        if x is None or y is None:
            continue
        at = units(y)
        if not parts:
            parts.append(f"M{units(x)} {at}")
        else:
            parts.append(f"H{units(x)}" + (f"V{at}" if at != last else ""))
        last = at
    return "".join(parts) + ("h0" if len(parts) == 1 else "")


def area_between(xs: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> str:
    """Path data of the area between two step functions over the same places."""
    if len(xs) < 2:
        return ""
    upper = steps_through(zip(xs, highs, strict=True))
    back = [f"V{units(lows[-1])}"]
    for i in range(len(xs) - 1, 0, -1):
        back.append(f"V{units(lows[i - 1])}H{units(xs[i - 1])}")
    return f"{upper}{''.join(back)}z"


def dots(points: Iterable[tuple[float, float]]) -> str:
    """Path data of dots, one `M` each; their size is the stroke's width."""
    return "".join(f"M{units(x)} {units(y)}h0" for x, y in points)


def marker(index: int, x: float, y: float, r: float = 5.0) -> str:
    """Path data of the index-th method's marker around a place."""
    shape = _MARKERS[index % LOOKS]
    sizes = {"d": 2 * r, "r": r, "h": 1.8 * r, "q": r / 2}
    places = {"x": x, "y": y, "x0": x - r, "y0": y - r, "y1": y + r}
    return shape.format(**{name: units(v) for name, v in (sizes | places).items()})


def swatch(index: int, kind: str = "line") -> Markup:
    """What stands before a name in a legend: a piece of line with its marker, or one of them."""
    parts = []
    if kind != "marker":
        parts.append(path("M1 8H33", f"{look(index)} line"))
    if kind != "plain":
        parts.append(path(marker(index, 17, 8, 5), f"{look(index)} mark"))
    return tag("svg", *parts, class_="swatch", viewBox="0 0 34 16", aria_hidden="true")


def sample(css: str, data: str = "M1 8H33") -> Markup:
    """A legend's piece of whatever is drawn with these classes."""
    return tag("svg", path(data, css), class_="swatch", viewBox="0 0 34 16", aria_hidden="true")


@dataclass(frozen=True)
class Frame:
    """The rectangle that data is drawn into, and what stands around it."""

    left: float
    top: float
    right: float
    bottom: float
    font: float = FONT

    @property
    def width(self) -> float:
        """Units from left to right."""
        return self.right - self.left

    def x_axis(self, scale: Scale, label: str, most: int = 7) -> Markup:
        """The lower axis: a line, ticks with labels that do not touch, and its name below."""
        placed = fitting(scale, most, self.font)
        parts = [path(f"M{units(self.left)} {units(self.bottom)}H{units(self.right)}", "axis")]
        marks = "".join(f"M{units(t.at)} {units(self.bottom)}v4" for t in placed)
        parts.append(path(marks, "axis"))
        parts += [self._below(tick) for tick in placed if tick.label]
        room = self.right - 4
        below = self.bottom + 2.45 * self.font
        parts.append(text(self.right, below, shortened(label, room, self.font), "name", "end"))
        return Markup("").join(parts)

    def _below(self, tick: Tick) -> Markup:
        half = len(tick.label) * char_width(self.font) / 2
        anchor = "end" if tick.at + half > self.right + 12 else "middle"
        at = self.right + 10 if anchor == "end" else tick.at
        return text(at, self.bottom + 1.15 * self.font, tick.label, "tick", anchor)

    def y_axis(self, scale: Scale, label: str, ticks: Sequence[Tick]) -> Markup:
        """The left axis: lines across with labels; its name stands above, where it reads level."""
        across = "".join(f"M{units(self.left)} {units(t.at)}H{units(self.right)}" for t in ticks)
        parts = [path(across, "grid")]
        parts += [
            text(self.left - 7, t.at + 0.35 * self.font * 0.8, t.label, "tick", "end")
            for t in ticks
            if t.label
        ]
        parts.append(text(4.0, self.font, shortened(label, self.right - 4, self.font), "name"))
        return Markup("").join(parts)


def fitting(scale: Scale, most: int, font: float) -> list[Tick]:
    """As many ticks as have room beside each other at the largest font; two may touch at worst."""
    for count in range(most, 1, -1):
        ticks = scale.ticks(count)
        labelled = sorted((t for t in ticks if t.label), key=lambda t: t.at)
        widths = [len(t.label) * char_width(font) for t in labelled]
        apart = zip(labelled, labelled[1:], widths, widths[1:], strict=False)
        if all(b.at - a.at >= (wa + wb) / 2 + 8 for a, b, wa, wb in apart):
            return ticks
    ticks = scale.ticks(2)
    return [Tick(t.at, t.label if i in (0, len(ticks) - 1) else "") for i, t in enumerate(ticks)]


def framed(
    y: Scale, *, width: float = WIDTH, height: float, top: float, most: int = 5
) -> tuple[Frame, list[Tick]]:
    """A frame whose left margin fits the labels of this scale, and the scale's ticks.

    The scale's range is to be from `frame_bottom(height, width)` up to `top`.
    """
    font = FONT if width == WIDTH else PANEL_FONT
    ticks = [Tick(t.at, shortened(t.label, 0.3 * width, font)) for t in y.ticks(most)]
    longest = max((len(t.label) for t in ticks), default=1)
    left = 12 + longest * char_width(font)
    return Frame(left, top, width - 16, frame_bottom(height, width), font), ticks


def frame_bottom(height: float, width: float = WIDTH) -> float:
    """Where the lower axis of a drawing this high stands."""
    return height - 2.9 * (FONT if width == WIDTH else PANEL_FONT)
