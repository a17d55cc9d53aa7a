"""From data to places on a drawing: linear, logarithmic and ordinal scales, and their ticks.

Draws nothing. A scale maps its domain onto `start..end` in drawing units, either way round, and
never leaves that range by more than rounding: a value outside the domain is clipped, one that is
no finite number has no place (None). Ticks are round numbers (1, 2, 5 times a power of ten), on a
logarithmic scale decades; a label is as long as neighbours need to differ, and no longer.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search_spaces.domains import is_number


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there; an empty label is a mark alone."""

    at: float
    label: str


class Scale(Protocol):
    """A mapping from values to places."""

    @property
    def start(self) -> float:
        """Where the domain's low end is drawn."""

    @property
    def end(self) -> float:
        """Where its high end is drawn."""

    def __call__(self, value: Any) -> float | None:
        """The place of a value; None when it has none."""

    def ticks(self, most: int) -> list[Tick]:
        """At most so many labelled ticks, inside the range, in ascending order of values."""


def finite(values: Iterable[Any]) -> list[float]:
    """Those that are finite numbers (a bool is none), as floats."""
    return [float(v) for v in values if is_number(v)]


def _place(share: float, start: float, end: float) -> float:
    return start + min(max(share, 0.0), 1.0) * (end - start)


@dataclass(frozen=True)
class Linear:
    """Even steps from low to high; low < high must hold (`linear` sees to it)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: Any) -> float | None:
        """The value's place; None when it is no finite number."""
        if not is_number(value):
            return None
        return _place((value - self.low) / (self.high - self.low), self.start, self.end)

    def ticks(self, most: int) -> list[Tick]:
        """Multiples of 1, 2 or 5 times a power of ten."""
        values = nice_values(self.low, self.high, most)
        labels = even_labels(values)
        places = [
            _place((v - self.low) / (self.high - self.low), self.start, self.end) for v in values
        ]
        return [Tick(at, label) for at, label in zip(places, labels, strict=True)]


@dataclass(frozen=True)
class Log:
    """Even steps of the logarithm; 0 < low < high must hold (`log` sees to it)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: Any) -> float | None:
        """The value's place; None when it is no finite number above 0."""
        if not is_number(value) or value <= 0:
            return None
        share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return _place(share, self.start, self.end)

    def ticks(self, most: int) -> list[Tick]:
        """Decades, thinned when there are many; within few decades 2 and 5 times them too."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        inside = self._inside
        candidates: list[list[float]] = [
            inside(m * 10.0**k for k in range(first, last + 1) for m in multiples)
            for multiples in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,))
        ]
        for step in range(2, last - first + 1):
            candidates.append(inside(10.0**k for k in range(first, last + 1) if k % step == 0))
        fitting = [c for c in candidates if 2 <= len(c) <= max(most, 2)]
        values = fitting[0] if fitting else nice_values(self.low, self.high, most)
        labels = [power_label(v) for v in values]
        if len(set(labels)) < len(labels):
            labels = even_labels(values)
        return [
            Tick(at, label)
            for value, label in zip(values, labels, strict=True)
            if (at := self(value)) is not None
        ]

    def _inside(self, values: Iterable[float]) -> list[float]:
        slack = 1e-9
        return [v for v in values if self.low * (1 - slack) <= v <= self.high * (1 + slack)]


@dataclass(frozen=True)
class Ordinal:
    """One place a value, evenly spaced with half a step free at both ends; 1 and True differ."""

    values: tuple[Any, ...]
    start: float
    end: float

    def __call__(self, value: Any) -> float | None:
        """The value's place; None for one that is not among the values."""
        return self._places.get(_key(value))

    @functools.cached_property
    def _places(self) -> dict[str, float]:
        n = len(self.values)
        return {
            _key(v): self.start + (i + 0.5) / n * (self.end - self.start)
            for i, v in enumerate(self.values)
        }

    def ticks(self, most: int) -> list[Tick]:
        """Every value's mark; labels thinned evenly to `most`."""
        every = max(1, math.ceil(len(self.values) / max(1, most)))
        places = self._places
        return [
            Tick(places[_key(v)], value_label(v) if i % every == 0 else "")
            for i, v in enumerate(self.values)
        ]


def _key(value: Any) -> str:
    """Numbers that are equal share a place whatever their type (a grid's 1 and a search's 1.0)."""
    return f"{float(value)!r}" if is_number(value) else f"{type(value).__name__}:{value!s}"


def linear(
    values: Iterable[Any], start: float, end: float, *, pad: float = 0.0, zero: bool = False
) -> Linear:
    """A linear scale over the finite values.

    Args:
        pad: share of the span that is left free at both ends.
        zero: whether 0 must be in the domain (then nothing is left free beyond it).

    Without a finite value the domain is 0 to 1; a single value gets room on both sides.
    """
    found = finite(values) + ([0.0] if zero else [])
    if not found:
        return Linear(0.0, 1.0, start, end)
    low, high = min(found), max(found)
    span = high - low
    if span <= abs(high) * 1e-12:
        room = abs(high) * 0.05 or 0.5
        if zero and low == 0:
            return Linear(0.0, 1.0, start, end)
        return Linear(low - room, high + room, start, end)
    left = low if zero and low == 0 else low - pad * span
    right = high if zero and high == 0 else high + pad * span
    return Linear(left, right, start, end)


def log(values: Iterable[Any], start: float, end: float) -> Log | Linear:
    """A logarithmic scale over the values above 0; a linear one when there is none.

    A single value gets a factor of two on both sides.
    """
    found = [v for v in finite(values) if v > 0]
    if not found:
        return linear((), start, end)
    low, high = min(found), max(found)
    if high / low < 1 + 1e-9:
        low, high = low / 2, high * 2
    return Log(low, high, start, end)


def ordinal(values: Iterable[Any], start: float, end: float) -> Ordinal:
    """An ordinal scale over the distinct values: numbers by size, then the others as they came."""
    distinct = {_key(v): v for v in values}
    numbers = sorted((v for v in distinct.values() if is_number(v)), key=float)
    others = [v for v in distinct.values() if not is_number(v)]
    return Ordinal((*numbers, *others), start, end)


def nice_values(low: float, high: float, most: int) -> list[float]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten from low to high."""
    span = high - low
    if not math.isfinite(span) or span <= 0 or most < 1:
        return []
    power = 10.0 ** (math.floor(math.log10(span)) - 2)
    while power <= span * 10:
        for factor in (1, 2, 5):
            step = factor * power
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first + 1 <= most:
                return [i * step for i in range(first, last + 1)]
        power *= 10
    return []


def even_labels(values: Sequence[float]) -> list[str]:
    """Labels with the same number of decimals, as few as tell the values apart."""
    largest = max(map(abs, values), default=0.0)
    smallest = min((abs(b - a) for a, b in itertools.pairwise(values)), default=largest)
    if largest >= 1e6 or (0 < smallest < 1e-4 and largest < 1e-3):
        return [power_label(v) for v in values]
    if not smallest:
        return [f"{v:g}" for v in values]
    decimals = max(0, -math.floor(math.log10(smallest) + 1e-9))
    return [f"{v + 0.0:,.{decimals}f}" for v in values]


def power_label(value: float) -> str:
    """A number as a sweep file would have it: 0.001 to 100,000 plainly, else 5e-05 as 5e-5."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.6g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def value_label(value: Any) -> str:
    """A configuration's value on an axis: numbers shortened, everything else as it is."""
    if isinstance(value, bool) or not is_number(value):
        return (
            "null"
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else str(value)
        )
    return power_label(float(value))
