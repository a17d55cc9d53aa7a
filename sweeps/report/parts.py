"""What a page is put together from: figures with captions and legends, tables with their notes.

Plain containers and the few rules that all of them share. No HTML: a template writes that, and
escapes every string but the `Markup` of drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

Cell = str | Markup


@dataclass(frozen=True)
class Table:
    """Rows of cells. A heading that starts with `>` is of a column of numbers.

    Attributes:
        name: what a screen reader calls it.
        note: what is left out, or how to read it; one sentence or nothing.
    """

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    swatch: Markup
    text: str


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure; `label` is what a reader chooses it by, if there is a choice."""

    drawing: Markup
    label: str = ""


@dataclass(frozen=True)
class Figure:
    """Drawings with a title, one conclusion, a legend, and their data as a table.

    Attributes:
        id: unique on the page; letters, digits and hyphens.
        captions: what the data says; of a choice one for each panel.
        layout: wide (one drawing), beside (words stand beside it where there is room), panels
            (small ones side by side) or choice (one of them at a time where scripts run, else all).
    """

    id: str
    title: str
    captions: tuple[str, ...]
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...] = ()
    table: Table | None = None
    layout: str = "wide"


def some(
    rows: Sequence[tuple[Cell, ...]], most: int, rest: str
) -> tuple[tuple[tuple[Cell, ...], ...], str]:
    """The first rows, and a sentence on the others: `The first 20 of 300 rows; <rest>.`"""
    if len(rows) <= most:
        return tuple(rows), ""
    return tuple(rows[:most]), f"The first {most:,} of {len(rows):,} rows; {rest}."
