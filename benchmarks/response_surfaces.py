"""Eight known response surfaces that look like fine-tuning.

They train nothing and know no search method. What each looks like comes from what is published
and seen of fine-tuning: a slow rise and a cliff over the logarithm of the learning rate; best
rates that go with batch size and warm-up; names that do nothing; optimizers with scales of their
own; divergence just above the best rate; the narrow ranges of common recipes, in which noise is as
large as what there is to gain; runs that collapse by chance (Mosbach et al. 2021,
arXiv:2006.04884; Dodge et al. 2020, arXiv:2002.06305); a loss with a tail a hundred times as long
as its basin.

Each seed draws where a surface has its best values, within the range that recipes span, so that
no search is lucky with one place. The standard deviation of an evaluation between runs of one
configuration is 0.7 to 1.5 points (hundredths of the metric).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from orchestrator.events import Config
from orchestrator.surfaces import History, ResponseSurface
from search_spaces.seeds import generator

Parameters = dict[str, dict[str, Any]]

_WARMUP: dict[str, Any] = {"min": 0.0, "max": 0.2}
_DECAY: dict[str, Any] = {"min": 0.0, "max": 0.3}
_BATCHES: dict[str, Any] = {"values": [8, 16, 32, 64]}
_DROPOUT = "task.model_config.hidden_dropout_prob"


def _log(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "log_uniform_values", "min": low, "max": high}


def _dip(z: float) -> float:
    """z squared near 0, levelling off at 4 far away."""
    return z * z / (1.0 + z * z / 4.0)


def _step(z: float) -> float:
    """From 0 to 1 around 0; safe for any z."""
    return 0.5 * (1.0 + math.tanh(z / 2.0))


class FineTuning(ResponseSurface):
    """A response surface with its space, metric, and the drawn logarithm of its best rate.

    Attributes:
        goal: maximize (accuracy) or minimize (loss).
        centre, spread: the logarithm (base 10) of the best learning rate is drawn from
            centre - spread to centre + spread.
    """

    SPACE: ClassVar[Parameters]
    goal: ClassVar[str] = "maximize"
    centre: ClassVar[float] = -4.5
    spread: ClassVar[float] = 0.4

    def __init__(self, seed: int, boundaries: int) -> None:
        super().__init__(seed, boundaries)
        self._rng = generator(seed, "surface", type(self).__name__)
        self.best = self.centre + self._rng.uniform(-self.spread, self.spread)

    @property
    def parameters(self) -> Parameters:
        """The space, in the sweep file's words."""
        return self.SPACE

    def decades(self, config: Config) -> float:
        """How far the learning rate is above the best one, in powers of ten."""
        return math.log10(config["learning_rate"]) - self.best

    def rate(self, config: Config) -> float:
        """Small learning rates are slow."""
        return 3.0 * min(max(math.pow(10.0, 0.25 * self.decades(config)), 0.3), 2.0)


class Cliff(FineTuning):
    """Accuracy rises slowly with the learning rate and falls to chance just above the best."""

    noise = 0.008
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-6, 1e-3),
        "weight_decay": _DECAY,
        "per_device_train_batch_size": _BATCHES,
        "warmup_steps": _WARMUP,
    }

    def final(self, config: Config) -> float:
        above = self.decades(config)
        learned = math.exp(-((above / 0.9) ** 2) / 2) * _step((0.4 - above) / 0.06)
        decay: float = ((config["weight_decay"] - 0.1) / 0.2) ** 2
        batch = abs(math.log2(config["per_device_train_batch_size"] / 16))
        return self.start + 0.38 * learned - 0.01 * decay - 0.005 * batch


class Interactions(FineTuning):
    """The best rate goes with batch size and warm-up, the best weight decay with the rate."""

    noise = 0.007
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-6, 1e-3),
        "per_device_train_batch_size": {"values": [8, 16, 32, 64, 128]},
        "warmup_steps": {"min": 0.0, "max": 0.3},
        "weight_decay": _log(1e-4, 1.0),
    }

    def decades(self, config: Config) -> float:
        batch: float = 0.5 * math.log10(config["per_device_train_batch_size"] / 32)
        warmup: float = 0.8 * (config["warmup_steps"] - 0.1)
        return super().decades(config) - batch - warmup

    def final(self, config: Config) -> float:
        product = math.log10(config["learning_rate"] * config["weight_decay"]) - self.best + 2.0
        return 0.86 - 0.07 * _dip(self.decades(config) / 0.5) - 0.012 * _dip(product)


class Useless(FineTuning):
    """Six names, of which two matter."""

    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-6, 1e-3),
        "adam_beta2": {"min": 0.9, "max": 0.999},
        "max_grad_norm": _log(0.1, 10.0),
        "label_smoothing_factor": {"min": 0.0, "max": 0.2},
        "weight_decay": _DECAY,
        _DROPOUT: {"min": 0.0, "max": 0.5},
    }

    def __init__(self, seed: int, boundaries: int) -> None:
        super().__init__(seed, boundaries)
        self.best_dropout = self._rng.uniform(0.05, 0.25)

    def final(self, config: Config) -> float:
        dropout: float = ((config[_DROPOUT] - self.best_dropout) / 0.2) ** 2
        return 0.84 - 0.06 * _dip(self.decades(config) / 0.5) - 0.015 * dropout


class Optimizers(FineTuning):
    """Two categories; each optimizer has a scale of learning rates and a ceiling of its own."""

    noise = 0.008
    SPACE: ClassVar[Parameters] = {
        "optim": {"values": ["adamw_torch", "adafactor", "rmsprop", "sgd"]},
        "lr_scheduler_type": {"values": ["linear", "cosine", "constant_with_warmup"]},
        "learning_rate": _log(1e-6, 1e-1),
        "weight_decay": _DECAY,
    }
    _SHIFTS: ClassVar[dict[str, float]] = {
        "adamw_torch": 0.0,
        "adafactor": 0.7,
        "rmsprop": 0.3,
        "sgd": 2.3,
    }
    _CEILINGS: ClassVar[dict[str, float]] = {
        "adamw_torch": 0.87,
        "adafactor": 0.865,
        "rmsprop": 0.855,
        "sgd": 0.8,
    }
    _SCHEDULES: ClassVar[dict[str, float]] = {
        "linear": 0.0,
        "cosine": 0.004,
        "constant_with_warmup": -0.01,
    }

    def __init__(self, seed: int, boundaries: int) -> None:
        super().__init__(seed, boundaries)
        self.ceilings = {k: v + self._rng.uniform(-0.01, 0.01) for k, v in self._CEILINGS.items()}

    def decades(self, config: Config) -> float:
        constant: bool = config["lr_scheduler_type"] == "constant_with_warmup"
        return super().decades(config) - self._SHIFTS[config["optim"]] + 0.3 * constant

    def final(self, config: Config) -> float:
        top = self.ceilings[config["optim"]] + self._SCHEDULES[config["lr_scheduler_type"]]
        return top - 0.07 * _dip(self.decades(config) / 0.5)


class Divergence(FineTuning):
    """The best rate stands 0.2 decades below the one above which training diverges."""

    start = 0.55
    centre = -3.0
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-5, 1e-1),
        "per_device_train_batch_size": _BATCHES,
        "warmup_steps": _WARMUP,
        "max_grad_norm": _log(0.1, 10.0),
    }

    def decades(self, config: Config) -> float:
        batch: float = 0.5 * math.log10(config["per_device_train_batch_size"] / 16)
        clipping = -0.2 * math.log10(config["max_grad_norm"])
        warmup: float = 1.5 * config["warmup_steps"]
        return super().decades(config) - batch - warmup - clipping

    def lasts(self, config: Config) -> float:
        above = self.decades(config) - 0.2
        return 1.0 if above <= 0.0 else max(0.0, 0.9 - 1.5 * above)

    def final(self, config: Config) -> float:
        return 0.58 + 0.27 * math.exp(-((self.decades(config) / 1.1) ** 2) / 2)


class Recipe(FineTuning):
    """The narrow ranges of a common recipe, epochs searched too: noise as large as the gain."""

    noise = 0.015
    spread = 0.15
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-5, 5e-5),
        "weight_decay": _DECAY,
        "per_device_train_batch_size": {"values": [16, 32, 64]},
        "warmup_steps": _WARMUP,
    }

    @property
    def parameters(self) -> Parameters:
        """The space; the most epochs are K."""
        epochs = [self.boundaries // 2, 3 * self.boundaries // 4, self.boundaries]
        return {**self.SPACE, "num_train_epochs": {"values": epochs}}

    def decades(self, config: Config) -> float:
        epochs = 0.7 * math.log10(self.length(config) / self.boundaries)
        batch = 0.5 * math.log10(config["per_device_train_batch_size"] / 32)
        return super().decades(config) + epochs - batch

    def final(self, config: Config) -> float:
        decay: float = ((config["weight_decay"] - 0.1) / 0.2) ** 2
        warmup: float = ((config["warmup_steps"] - 0.1) / 0.1) ** 2
        return 0.7 - 0.05 * _dip(self.decades(config) / 0.3) - 0.008 * decay - 0.006 * warmup


class Collapse(FineTuning):
    """Runs collapse to the majority class by chance, the more the higher the learning rate."""

    start = 0.53
    noise = 0.012
    centre = -4.6
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-6, 2e-4),
        "warmup_steps": _WARMUP,
        "per_device_train_batch_size": {"values": [8, 16, 32]},
        "weight_decay": _DECAY,
    }

    def risk(self, config: Config) -> float:
        """The chance that a run collapses."""
        above = self.decades(config) - 0.25 - 2.0 * (config["warmup_steps"] - 0.1)
        return 0.6 * _step(above / 0.12)

    def sound(self, config: Config) -> float:
        """What a run that does not collapse gives."""
        return 0.75 - 0.06 * _dip(self.decades(config) / 0.6)

    def final(self, config: Config) -> float:
        risk = self.risk(config)
        return (1.0 - risk) * self.sound(config) + risk * self.start

    def value(self, history: History) -> float | None:
        config = history[-1]
        truth = self.truth(history)
        if truth is None:
            return None
        draw = generator(self.seed, "collapse", repr(sorted(config.items()))).random()
        if draw < self.risk(config):
            return self.start + self.error(history)
        return self.start + (truth - self.start) / (1.0 - self.risk(config)) + self.error(history)


class Loss(FineTuning):
    """A loss to minimize, whose values far above the best rate are a hundred times the best."""

    start = 0.69
    goal = "minimize"
    noise = 0.008
    SPACE: ClassVar[Parameters] = {
        "learning_rate": _log(1e-6, 1e-2),
        "weight_decay": _log(1e-4, 1.0),
        _DROPOUT: {"values": [0.0, 0.1, 0.2, 0.3]},
        "gradient_accumulation_steps": {"min": 1, "max": 8},
    }

    def decades(self, config: Config) -> float:
        return super().decades(config) - 0.4 * math.log10(config["gradient_accumulation_steps"])

    def final(self, config: Config) -> float:
        above = self.decades(config)
        off = 0.06 * above**2 if above < 0 else min(0.05 * (10.0 ** (1.2 * above) - 1.0), 50.0)
        dropout: float = ((config[_DROPOUT] - 0.1) / 0.1) ** 2
        decay = (math.log10(config["weight_decay"]) + 2.0) ** 2
        return 0.4 + min(off, 0.29 if above < 0 else off) + 0.005 * dropout + 0.006 * decay


SURFACES: dict[str, type[FineTuning]] = {
    "cliff": Cliff,
    "interactions": Interactions,
    "useless names": Useless,
    "optimizers": Optimizers,
    "divergence": Divergence,
    "recipe": Recipe,
    "collapse": Collapse,
    "loss": Loss,
}
