"""Where the values of one searched name come from: ranges, values, constants.

Nothing here knows YAML, training arguments or search methods, and nothing loads numpy.

A domain is a frozen value with five verbs (sample, contains, clip, perturb, grid). Random numbers
come from the `random.Random` that the caller passes. `perturb` is population-based training's
explore step: it never leaves the domain, whatever it is given, because a drifting learning rate
is found only when the model has diverged (Ray Tune's own has no bounds, and turns a batch size
of 32 into 38).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, TypeGuard

Factors = tuple[float, float]
"""Perturbation factors of population-based training: one below 1, one above 1."""


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether value is a finite int or float; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def same(a: object, b: object) -> bool:
    """Return whether two values are equal, telling True from 1 (1 and 1.0 are equal)."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


class Domain(ABC):
    """The values that one searched name may take."""

    @abstractmethod
    def sample(self, rng: Random) -> Any:
        """Return a value of the domain, drawn from its distribution."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Return whether value belongs to the domain; False for anything of another type."""

    @abstractmethod
    def clip(self, value: Any) -> Any:
        """Return the domain's nearest value; for what has no distance, its first or middle."""

    @abstractmethod
    def perturb(self, value: Any, rng: Random, factors: Factors) -> Any:
        """Return a value near `value`, always inside the domain.

        A value outside the domain is clipped first.
        """

    @abstractmethod
    def grid_size(self) -> int | None:
        """Return how many values a grid tries, None when the domain needs a `count` for that."""

    @abstractmethod
    def grid(self, count: int | None = None) -> tuple[Any, ...]:
        """Return the values that a grid tries, in their order.

        Args:
            count: how many, evenly on the domain's own scale; None takes the domain's own count,
                or all of its values when they are finitely many.

        Raises:
            ValueError: the domain is infinite and no count is known.
        """

    @property
    def is_constant(self) -> bool:
        """Whether there is only one value."""
        return self.grid_size() == 1


def _spaced(low: float, high: float, count: int, *, log: bool) -> Iterator[float]:
    """Yield count points from low to high, both exact; the middle alone when count is 1."""
    start, stop = (math.log(low), math.log(high)) if log else (low, high)
    for i in range(count):
        share = i / (count - 1) if count > 1 else 0.5
        if share in (0.0, 1.0):
            yield low if share == 0.0 else high
        else:
            point = start * (1.0 - share) + stop * share
            yield min(max(math.exp(point) if log else point, low), high)


def _needs_count(domain: Domain) -> ValueError:
    return ValueError(f"a grid needs finitely many values, but got {domain} without a count")


@dataclass(frozen=True)
class _FloatRange(Domain):
    """A range of real numbers, both ends included."""

    low: float
    high: float
    count: int | None = None

    def contains(self, value: Any) -> bool:
        return is_number(value) and bool(self.low <= value <= self.high)

    def clip(self, value: Any) -> float:
        if not is_number(value):
            return float(self.grid(1)[0])
        return float(min(max(value, self.low), self.high))

    def perturb(self, value: Any, rng: Random, factors: Factors) -> float:
        current = self.clip(value)
        factor = rng.choice(factors)
        # A factor cannot move 0 (weight_decay's usual default): it would stay there for ever.
        moved = current * factor if current else (factor - 1.0) * (self.high - self.low)
        return self.clip(moved)

    def grid_size(self) -> int | None:
        if self.low == self.high:
            return 1
        # Counted, because neighbouring floats of a very narrow range fall together.
        return None if self.count is None else len(self.grid())


@dataclass(frozen=True)
class Uniform(_FloatRange):
    """Real numbers from low to high, all equally likely."""

    def sample(self, rng: Random) -> float:
        share = rng.random()
        # Not low + share * (high - low): that difference overflows for the widest ranges.
        return self.clip(self.low * (1.0 - share) + self.high * share)

    def grid(self, count: int | None = None) -> tuple[float, ...]:
        size = count or self.count or (1 if self.low == self.high else None)
        if size is None:
            raise _needs_count(self)
        return tuple(dict.fromkeys(_spaced(self.low, self.high, size, log=False)))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LogUniform(_FloatRange):
    """Real numbers from low to high whose logarithm is uniform; 0 < low must hold."""

    def sample(self, rng: Random) -> float:
        low, high = math.log(self.low), math.log(self.high)
        return self.clip(math.exp(low + rng.random() * (high - low)))

    def grid(self, count: int | None = None) -> tuple[float, ...]:
        size = count or self.count or (1 if self.low == self.high else None)
        if size is None:
            raise _needs_count(self)
        return tuple(dict.fromkeys(_spaced(self.low, self.high, size, log=True)))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, log"


def _rounded(value: float) -> int:
    """Return the nearest int, halves up: points more than 1 apart never fall together."""
    return math.floor(value + 0.5)


def _moved(index: int, target: float, factor: float) -> int:
    """Return target rounded, at least one step away from index in the factor's direction."""
    rounded = _rounded(target)
    if rounded == index and factor != 1.0:
        return index + (1 if factor > 1.0 else -1)
    return rounded


@dataclass(frozen=True)
class IntUniform(Domain):
    """Whole numbers from low to high, both included, all equally likely."""

    low: int
    high: int
    count: int | None = None

    def sample(self, rng: Random) -> int:
        return rng.randint(self.low, self.high)

    def contains(self, value: Any) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )

    def clip(self, value: Any) -> int:
        if not is_number(value):
            return (self.low + self.high) // 2
        return int(min(max(round(value), self.low), self.high))

    def perturb(self, value: Any, rng: Random, factors: Factors) -> int:
        current = self.clip(value)
        factor = rng.choice(factors)
        step = current * factor if current else (factor - 1.0) * (self.high - self.low)
        return self.clip(_moved(current, step, factor))

    def grid_size(self) -> int | None:
        whole = self.high - self.low + 1
        return whole if self.count is None else min(self.count, whole)

    def grid(self, count: int | None = None) -> tuple[int, ...]:
        size = count or self.count
        if size is None or size > self.high - self.low:
            return tuple(range(self.low, self.high + 1))
        return tuple(
            dict.fromkeys(_rounded(p) for p in _spaced(self.low, self.high, size, log=False))
        )

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, whole numbers"


@dataclass(frozen=True)
class Quantized(Domain):
    """The multiples of q from low to high; each as likely as the next, or log-uniform.

    W&B's q_uniform and q_log_uniform_values. Values are ints when q is one. At least one multiple
    of q must lie between low and high.
    """

    low: float
    high: float
    q: float
    log: bool = False
    count: int | None = None

    @property
    def first(self) -> int:
        """The lowest value, in steps of q."""
        return math.ceil(self._ratio(self.low))

    @property
    def last(self) -> int:
        """The highest value, in steps of q."""
        return math.floor(self._ratio(self.high))

    def _ratio(self, value: float) -> Decimal:
        # Decimal, because 0.3 / 0.1 is 2.9999999999999996 and would lose the last multiple.
        return Decimal(str(value)) / Decimal(str(self.q))

    def _value(self, steps: int) -> float:
        exact = Decimal(str(self.q)) * steps
        return int(exact) if isinstance(self.q, int) else float(exact)

    def sample(self, rng: Random) -> float:
        if not self.log:
            return self._value(rng.randint(self.first, self.last))
        return self.clip(LogUniform(self.low, self.high).sample(rng))

    def contains(self, value: Any) -> bool:
        if not is_number(value) or (isinstance(self.q, int) and not isinstance(value, int)):
            return False
        steps = round(self._ratio(value))
        return self.first <= steps <= self.last and self._value(steps) == value

    def clip(self, value: Any) -> float:
        if not is_number(value):
            return self._value((self.first + self.last) // 2)
        steps = round(self._ratio(value))
        return self._value(min(max(steps, self.first), self.last))

    def perturb(self, value: Any, rng: Random, factors: Factors) -> float:
        steps = round(self._ratio(self.clip(value)))
        factor = rng.choice(factors)
        target = steps * factor if steps else (factor - 1.0) * (self.last - self.first)
        moved = _moved(steps, target, factor)
        return self._value(min(max(moved, self.first), self.last))

    def grid_size(self) -> int | None:
        # Counted when log: points that lie close at the low end fall on the same multiple.
        if self.log and self.count is not None:
            return len(self.grid())
        whole = self.last - self.first + 1
        return whole if self.count is None else min(self.count, whole)

    def grid(self, count: int | None = None) -> tuple[float, ...]:
        size = count or self.count
        if size is None or size > self.last - self.first:
            return tuple(self._value(k) for k in range(self.first, self.last + 1))
        low, high = self._value(self.first), self._value(self.last)
        points = _spaced(low, high, size, log=self.log and low > 0)
        return tuple(dict.fromkeys(self.clip(p) for p in points))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} in steps of {self.q:g}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Choice(Domain):
    """One of the listed values (text, numbers, true and false, null).

    Numeric values are ordered: their neighbours are those in size, not in the list.
    """

    values: tuple[Any, ...]

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, so that one can be near another."""
        return all(is_number(v) for v in self.values)

    @property
    def ladder(self) -> tuple[Any, ...]:
        """The values from low to high when they are ordered, else as listed."""
        return tuple(sorted(self.values)) if self.ordered else self.values

    def sample(self, rng: Random) -> Any:
        return rng.choice(self.values)

    def contains(self, value: Any) -> bool:
        return any(same(value, v) for v in self.values)

    def clip(self, value: Any) -> Any:
        for v in self.values:
            if same(value, v):
                return v
        if self.ordered and is_number(value):
            return min(self.ladder, key=lambda v: abs(v - value))
        return self.values[0]

    def perturb(self, value: Any, rng: Random, factors: Factors) -> Any:
        if not self.ordered:
            return self.sample(rng)
        ladder = self.ladder
        step = 1 if rng.choice(factors) > 1.0 else -1
        at = ladder.index(self.clip(value)) + step
        return ladder[min(max(at, 0), len(ladder) - 1)]

    def grid_size(self) -> int | None:
        return len(self.values)

    def grid(self, count: int | None = None) -> tuple[Any, ...]:
        if count is None or count >= len(self.values):
            return self.values
        last = len(self.values) - 1
        at = dict.fromkeys(_rounded(p) for p in _spaced(0, last, count, log=False))
        return tuple(self.values[i] for i in at)

    def __str__(self) -> str:
        return ", ".join(str(v) for v in self.values)


@dataclass(frozen=True)
class Constant(Domain):
    """One value that is not searched, whatever its type."""

    value: Any

    def sample(self, rng: Random) -> Any:
        return self.value

    def contains(self, value: Any) -> bool:
        return same(value, self.value)

    def clip(self, value: Any) -> Any:
        return self.value

    def perturb(self, value: Any, rng: Random, factors: Factors) -> Any:
        return self.value

    def grid_size(self) -> int | None:
        return 1

    def grid(self, count: int | None = None) -> tuple[Any, ...]:
        return (self.value,)

    def __str__(self) -> str:
        return str(self.value)
