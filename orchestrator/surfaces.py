"""Made-up learning curves: what training under given configurations would give.

Train nothing and know no study; `simulate.py` asks them, and tests and benchmarks make them. A
surface is a function of the configurations in force up to each boundary, so that what a
population does, copying another's state, has its effect.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol, Self

from orchestrator.events import Config
from orchestrator.segment import TrialFailure
from search_spaces.seeds import derived, generator

History = tuple[Config, ...]
"""The configuration in force up to each boundary, the first one first; the lineage's own."""


class Surface(Protocol):
    """What training under a history of configurations gives."""

    def value(self, history: History) -> float | TrialFailure | None:
        """The metric measured after `len(history)` boundaries.

        None when it is not finite; a TrialFailure when the trial fails on the way there.
        """

    def seconds(self, config: Config) -> float:
        """How long one boundary takes; above 0."""

    def seeded(self, seed: int) -> Surface:
        """The same surface, measured by runs that train with this seed: other noise."""


@dataclass(frozen=True)
class LearningRateCurve:
    """Accuracy-like learning curves that a learning rate makes better or worse.

    Each boundary moves the model from where it is towards `ceiling`, by a share that is largest
    at the best learning rate and falls off as a bell curve over its logarithm. The best rate
    may move during training, so that no constant one is best. Above `diverges_above`
    the value is None from then on.

    Attributes:
        best: the best learning rate at the start.
        best_at_end: the best one at the last boundary; None: it stays.
        boundaries: K, for the position in between.
        width: standard deviations of the bell, in decades.
        speed: the share of the way that a boundary covers at the best rate, 0 to 1.
        chance: the value before training.
        ceiling: the value that is never passed.
        noise: standard deviation of what is measured around what is true.
        diverges_above: a learning rate; None: never.
        seed: of the noise, which depends on it and on the history alone.
    """

    best: float = 3e-5
    best_at_end: float | None = None
    boundaries: int = 4
    width: float = 0.5
    speed: float = 0.6
    chance: float = 0.5
    ceiling: float = 0.9
    noise: float = 0.0
    diverges_above: float | None = None
    seed: int = 0
    seconds_per_boundary: float = 1.0

    def truth(self, history: History) -> float | None:
        """The value without noise."""
        missing = self.ceiling - self.chance
        for boundary, config in enumerate(history):
            rate = float(config["learning_rate"])
            if self.diverges_above is not None and rate > self.diverges_above:
                return None
            decades = math.log10(rate / self._best_at(boundary)) if rate > 0 else -math.inf
            missing *= 1.0 - self.speed * math.exp(-((decades / self.width) ** 2) / 2)
        return self.ceiling - missing

    def value(self, history: History) -> float | None:
        """The value with noise."""
        truth = self.truth(history)
        if truth is None or not self.noise:
            return truth
        key = repr([sorted(config.items()) for config in history])
        return truth + generator(self.seed, "noise", key).gauss(0.0, self.noise)

    def seconds(self, config: Config) -> float:
        """The same for every configuration."""
        return self.seconds_per_boundary

    def seeded(self, seed: int) -> LearningRateCurve:
        """Other noise."""
        return replace(self, seed=derived(self.seed, "seeded", seed))

    def _best_at(self, boundary: int) -> float:
        if self.best_at_end is None or self.boundaries < 2:
            return self.best
        done = boundary / (self.boundaries - 1)
        return math.exp((1.0 - done) * math.log(self.best) + done * math.log(self.best_at_end))


class ResponseSurface(ABC):
    """What constant configurations give: a known value at the end, a curve there, and noise.

    A kind of surface writes `final`. The curve runs from `start` to it, steeply at first; noise
    has a part that a whole run shares (its seed: data order, the head's weights) and a part that
    each evaluation draws. Both depend on the surface's seed and on the configuration, so
    whoever tries the same one measures the same.

    Attributes:
        start: the metric before training.
        noise: standard deviation of one evaluation between runs, above or equal to 0.
        run_share: the run's part of that variance, 0 to 1.
        boundaries: K of a configuration that does not search num_train_epochs.
        seed: of the noise, and of what else a kind of surface draws.
    """

    start: float = 0.5
    noise: float = 0.01
    run_share: float = 0.64
    _training_seed: tuple[int, ...] = ()

    def __init__(self, seed: int, boundaries: int) -> None:
        self.seed = seed
        self.boundaries = boundaries

    @abstractmethod
    def final(self, config: Config) -> float:
        """The metric to be expected at the last boundary; not noisy."""

    def rate(self, config: Config) -> float:
        """How steep the curve is: exponents of e from start to end, above 0."""
        return 3.0

    def lasts(self, config: Config) -> float:
        """The share of training after which the metric is not finite any more; 1: never."""
        return 1.0

    def truth(self, history: History) -> float | None:
        """The metric to be expected after these boundaries; None when it is not finite."""
        config = history[-1]
        done = len(history) / self.length(config)
        if done > self.lasts(config):
            return None
        rate = self.rate(config)
        learned = math.expm1(-rate * done) / math.expm1(-rate)
        return self.start + (self.final(config) - self.start) * learned

    def value(self, history: History) -> float | None:
        """What is measured."""
        truth = self.truth(history)
        return None if truth is None else truth + self.error(history)

    def error(self, history: History) -> float:
        """The noise of one evaluation."""
        run, evaluation = repr(sorted(history[0].items())), len(history)
        seeds = self._training_seed
        shared = generator(self.seed, "run", run, *seeds).gauss(0.0, 1.0)
        own = generator(self.seed, "evaluation", run, evaluation, *seeds).gauss(0.0, 1.0)
        share = self.run_share
        return self.noise * (math.sqrt(share) * shared + math.sqrt(1.0 - share) * own)

    def seeded(self, seed: int) -> Self:
        """Other noise around the same values."""
        other = copy.copy(self)
        other._training_seed = (seed,)
        return other

    def length(self, config: Config) -> int:
        """K: the boundaries of this configuration, one an epoch."""
        return int(config.get("num_train_epochs", self.boundaries))

    def seconds(self, config: Config) -> float:
        """A boundary takes longer the smaller the batch, by up to double."""
        return 0.5 + 4.0 / int(config.get("per_device_train_batch_size", 8))
