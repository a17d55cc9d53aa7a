"""A searched domain as one coordinate that a sampler understands, there and back.

Proposes nothing. Ordered values become their place on the ladder (batch sizes 8, 16, 32, 64 are
0, 1, 2, 3): a sampler then knows which are neighbours, and is not misled by gaps that grow.
Steps become whole numbers; values without an order become categories. optuna is imported only
when a distribution is asked for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_spaces.domains import Choice, Domain, IntUniform, LogUniform, Quantized, Uniform, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


_MOST_STEPS = 1000
"""Optuna's GP lists every step of an axis; longer ones are given as real numbers and rounded."""


class Axis(ABC):
    """One coordinate of a sampler's space, and what it means in the domain."""

    @property
    def levels(self) -> int | None:
        """How many values there are, evenly spaced on the axis; None: too many to count."""
        return None

    @property
    def is_ordered(self) -> bool:
        """Whether places on the axis have an order."""
        return True

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """The coordinate as an Optuna distribution."""

    @abstractmethod
    def encode(self, value: Any) -> Any:
        """The coordinate of a value of the domain."""

    @abstractmethod
    def decode(self, coordinate: Any) -> Any:
        """The domain's value at a coordinate; always inside the domain."""

    @abstractmethod
    def at(self, share: float) -> Any:
        """The domain's value at a share from 0 to below 1 of the axis."""

    @abstractmethod
    def share(self, value: Any) -> float:
        """Where a value lies on the axis, from 0 to 1; categories have places but no order."""

    def near(self, share: float) -> Any:
        """The domain's value nearest to a share from 0 to 1; the way back from `share`."""
        if self.levels is None:
            return self.at(share)
        return self.at((round(share * (self.levels - 1)) + 0.5) / self.levels)

    def distance(self, a: Any, b: Any) -> float:
        """How far apart two values are, from 0 to 1."""
        return abs(self.share(a) - self.share(b))


@dataclass(frozen=True)
class RealAxis(Axis):
    """Real numbers from low to high, evenly by value or by logarithm."""

    domain: Domain
    low: float
    high: float
    log: bool

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def encode(self, value: Any) -> float:
        return min(max(float(value), self.low), self.high)

    def decode(self, coordinate: Any) -> Any:
        return self.domain.clip(float(coordinate))

    def at(self, share: float) -> Any:
        low, high = self._scaled(self.low), self._scaled(self.high)
        point = low * (1.0 - share) + high * share
        return self.decode(math.exp(point) if self.log else point)

    def share(self, value: Any) -> float:
        low, high = self._scaled(self.low), self._scaled(self.high)
        # Halved, because the difference of the widest range's ends overflows.
        return (self._scaled(self.encode(value)) / 2 - low / 2) / (high / 2 - low / 2)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


@dataclass(frozen=True)
class StepAxis(Axis):
    """Whole numbers from low to high that stand for evenly spaced values, `step` apart."""

    domain: Domain
    low: int
    high: int
    step: float = 1

    @property
    def levels(self) -> int:
        return self.high - self.low + 1

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high)

    def encode(self, value: Any) -> int:
        return min(max(round(value / self.step), self.low), self.high)

    def decode(self, coordinate: Any) -> Any:
        return self.domain.clip(int(coordinate) * self.step)

    def at(self, share: float) -> Any:
        return self.decode(self.low + int(share * (self.high - self.low + 1)))

    def share(self, value: Any) -> float:
        return (self.encode(value) - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class LadderAxis(Axis):
    """Listed values by their place: ordered ones as neighbours, others as categories."""

    values: tuple[Any, ...]
    ordered: bool

    @property
    def levels(self) -> int:
        return len(self.values)

    @property
    def is_ordered(self) -> bool:
        return self.ordered

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        if self.ordered:
            return IntDistribution(0, len(self.values) - 1)
        return CategoricalDistribution(tuple(range(len(self.values))))

    def encode(self, value: Any) -> int:
        return next(i for i, v in enumerate(self.values) if same(v, value))

    def decode(self, coordinate: Any) -> Any:
        return self.values[int(coordinate)]

    def at(self, share: float) -> Any:
        return self.values[int(share * len(self.values))]

    def share(self, value: Any) -> float:
        return self.encode(value) / (len(self.values) - 1)

    def distance(self, a: Any, b: Any) -> float:
        return super().distance(a, b) if self.ordered else float(not same(a, b))


def varies(domain: Domain) -> bool:
    """Whether a domain has more than one value, so that there is something to search."""
    match domain:
        case Uniform() | LogUniform() | IntUniform():
            return domain.low < domain.high
        case Quantized():
            return domain.first < domain.last
        case Choice():
            return len(domain.values) > 1
    return False


def axis_of(domain: Domain) -> Axis:
    """The coordinate of a domain that has more than one value.

    Raises:
        TypeError: the domain is of a kind that has no coordinate here.
    """
    match domain:
        case Uniform(low=low, high=high):
            return RealAxis(domain, low, high, log=False)
        case LogUniform(low=low, high=high):
            return RealAxis(domain, low, high, log=True)
        case IntUniform(low=low, high=high):
            return _steps(domain, low, high)
        case Quantized(log=True):
            return RealAxis(domain, domain.first * domain.q, domain.last * domain.q, log=True)
        case Quantized():
            return _steps(domain, domain.first, domain.last, domain.q)
        case Choice():
            return LadderAxis(domain.ladder, domain.ordered)
    raise TypeError(f"a searched domain must be one of search_spaces.domains, but got {domain!r}")


def _steps(domain: Domain, low: int, high: int, step: float = 1) -> Axis:
    if high - low < _MOST_STEPS:
        return StepAxis(domain, low, high, step)
    return RealAxis(domain, low * step, high * step, log=False)
