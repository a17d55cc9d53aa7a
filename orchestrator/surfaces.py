"""Made-up learning curves: what training under given configurations would give.

Train nothing and know no study; `simulate.py` asks them, and tests and benchmarks make them. A
surface is a function of the configurations in force up to each boundary, so that what a
population does, copying another's state, has its effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from orchestrator.events import Config
from orchestrator.segment import TrialFailure
from search_spaces.seeds import generator

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

    def _best_at(self, boundary: int) -> float:
        if self.best_at_end is None or self.boundaries < 2:
            return self.best
        done = boundary / (self.boundaries - 1)
        return math.exp((1.0 - done) * math.log(self.best) + done * math.log(self.best_at_end))
