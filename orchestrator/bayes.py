"""Bayesian search: a Gaussian process of our own or Optuna's TPE, on what the events say.

Never runs an Optuna study. For each proposal a new model with a seed of its own is made from the
events observed, because Optuna's samplers carry state (a generator's position) that telling old
trials again does not restore: only so is a proposal a function of (study seed, number, events),
also after a resume. It costs milliseconds.

Why the Gaussian process is not Optuna's: `gaussian_process.py`, and benchmarks/README.md for the
figures. numpy, scipy and optuna are imported when the first model is asked for, not when this
file is: run it by `sampler_process.py`, away from the driver's control loop.
"""

from __future__ import annotations

import importlib
import math
import statistics
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.axes import axis_of, varies
from orchestrator.events import Config, Event, Reported, TrialEnded, TrialProposed
from orchestrator.searchers import Searcher, key_of, point_count, points
from search_spaces import SweepSpec
from search_spaces.seeds import derived, generator

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

GP_TRIALS = 100
"""From this many trials on `auto` means TPE: fitting a GP costs the cube of their number."""
_EXPLORING = 0.6
"""The share of the trials among which the GP explores."""
_END = sys.maxsize
_ITERATIONS = 64
_MOVES = 64
_BLAMELESS = ("infrastructure", "hung")
"""Failures that say nothing about the configuration."""


class Bayes(Searcher):
    """Model-based search: a Gaussian process (GP) or a tree-structured Parzen estimator (TPE).

    The first `startup` trials fill the space evenly; then the sampler proposes. Trials that run
    are known to it by their configuration, so that proposals made while others are out differ.

    `sampler: auto` takes the GP below 100 trials and TPE above, and with early stopping.
    """

    def __init__(self, spec: SweepSpec) -> None:
        super().__init__(spec)
        self._axes = {
            name: axis_of(domain) for name, domain in self.space.items() if varies(domain)
        }
        self._listable = point_count(self.space) is not None
        self.trials: dict[str, _Trial] = {}
        self._keys: set[str] = set()
        self.startup = max(4, min(10, 2 * len(self._axes)))

    def learn(self, event: Event) -> None:
        """Learn of proposals, reports and ends."""
        super().learn(event)
        match event:
            case TrialProposed(trial=trial):
                self.trials[trial] = _Trial(event.config)
                self._keys.add(key_of(event.config))
            case Reported(trial=trial):
                self.trials[trial].values[event.boundary] = _finite(event.value)
            case TrialEnded(trial=trial):
                self.trials[trial].state = event.state
                self.trials[trial].failure = event.failure

    def prepare(self) -> None:
        """Import the model's libraries."""
        gp = self.wants_gp(len(self.proposed))
        importlib.import_module("orchestrator.gaussian_process" if gp else "optuna.samplers")

    def search(self, number: int) -> Config | None:
        """The sampler's next configuration; one never proposed before where there is one."""
        told = told_values(self.trials.values(), self.spec.metric.sign)
        if len(told) < self.startup or not self._axes:
            config = self._spread(number)
        elif self.wants_gp(number):
            config = self._improving(number, told)
        else:
            config = self._sampled(number, told)
        return config if key_of(config) not in self._keys else self._another(number, config)

    def _spread(self, number: int) -> Config:
        """Point `number` of a sequence that fills the space evenly from its first points on.

        The R sequence (M. Roberts 2018, "The unreasonable effectiveness of quasirandom
        sequences") shifted at random: fractional parts of shift + number * g^-(axis + 1), where
        g^(d + 1) = g + 1 for d axes.
        """
        g = 2.0
        for _ in range(_ITERATIONS):
            g = (1.0 + g) ** (1.0 / (len(self._axes) + 1))
        shifts = generator(self.spec.seed, "spread")
        shares = {
            name: (shifts.random() + number * g ** -(axis + 1)) % 1.0
            for axis, name in enumerate(self._axes)
        }
        return self.space.clip({name: self._axes[name].at(share) for name, share in shares.items()})

    def _improving(self, number: int, told: list[tuple[Config, float]]) -> Config:
        """Where a Gaussian process expects most; of trials that run it believes its own mean."""
        import numpy as np

        from orchestrator.gaussian_process import Coordinate, GaussianProcess

        def rows(configs: list[Config]) -> Any:
            shares = [[axis.share(c[name]) for name, axis in self._axes.items()] for c in configs]
            return np.array(shares).reshape(len(configs), len(self._axes))

        process = GaussianProcess(
            [Coordinate(axis.levels, axis.is_ordered) for axis in self._axes.values()],
            rows([config for config, _ in told]),
            np.array(softened([value for _, value in told])),
        )
        running = [trial.config for trial in self.trials.values() if trial.state is None]
        rng = np.random.default_rng(derived(self.spec.seed, "bayes", number))
        point = process.supposing(rows(running)).propose(rng, explore=self._explores(number))
        places: Any = zip(self._axes.items(), point, strict=True)
        return self.space.clip({name: axis.near(float(share)) for (name, axis), share in places})

    def _explores(self, number: int) -> bool:
        """Every other proposal, but none of the last: nothing would come of what they teach."""
        limit = self.spec.trial_limit
        return number % 2 == 0 and (limit is None or number < _EXPLORING * limit)

    def _sampled(self, number: int, told: list[tuple[Config, float]]) -> Config:
        """What Optuna's TPE proposes after being told these values."""
        import optuna
        from optuna.trial import TrialState, create_trial

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        distributions = {name: axis.distribution() for name, axis in self._axes.items()}

        def coordinates(config: Config) -> dict[str, Any]:
            return {name: axis.encode(config[name]) for name, axis in self._axes.items()}

        trials = [
            create_trial(params=coordinates(config), distributions=distributions, value=value)
            for config, value in told
        ]
        trials += [
            create_trial(
                params=coordinates(trial.config),
                distributions=distributions,
                state=TrialState.RUNNING,
            )
            for trial in self.trials.values()
            if trial.state is None
        ]
        study = optuna.create_study(direction="maximize", sampler=self._estimator(number))
        study.add_trials(trials)
        asked = study.ask(distributions).params
        return self.space.clip({name: self._axes[name].decode(asked[name]) for name in self._axes})

    def _estimator(self, number: int) -> BaseSampler:
        """A fresh TPE for trial `number`, with a seed of its own."""
        from optuna.samplers import TPESampler

        seed = derived(self.spec.seed, "bayes", number) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental since 2020; nothing for a user to do
            return TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)

    def wants_gp(self, number: int) -> bool:
        """Whether trial `number` is the Gaussian process's to propose, rather than TPE's."""
        if self.spec.sampler != "auto":
            return self.spec.sampler == "gp"
        if self.spec.early_terminate is not None:
            return False
        return max(number, self.spec.trial_limit or 0) < GP_TRIALS

    def _another(self, number: int, config: Config) -> Config | None:
        """A configuration near this one that was not proposed yet; None: there is none."""
        if self._listable:
            left = (point for point in points(self.space) if key_of(point) not in self._keys)
            return min(left, key=lambda point: self._distance(point, config), default=None)
        rng = generator(self.spec.seed, "another", number)
        near = config
        for _ in range(_MOVES):
            near = self.space.perturb(near, rng)
            if key_of(near) not in self._keys:
                return near
        return near

    def _distance(self, a: Config, b: Config) -> float:
        return math.fsum(axis.distance(a[k], b[k]) ** 2 for k, axis in self._axes.items())


class _Trial:
    """What is known of one trial; `state` is None while it runs."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.values: dict[int, float | None] = {}
        self.state: str | None = None
        self.failure: str | None = None

    def best(self, sign: float, until: int) -> float | None:
        """The best finite value up to a boundary, signed so that more is better."""
        finite = (sign * v for b, v in self.values.items() if v is not None and b <= until)
        return max(finite, default=None)


def told_values(trials: Iterable[_Trial], sign: float) -> list[tuple[Config, float]]:
    """What the sampler is told of each trial that is over, signed so that more is better.

    A finished trial counts as its best value, which is what the study keeps of it. One that was
    stopped at a boundary is compared with the others at that boundary, the last one they have
    in common: it is told as its best value up to there plus the median of what the finished
    trials gained from there on (0 while there are none). A diverged or otherwise failed one is
    told as the worst value of all others, so that the sampler avoids it and never sees NaN;
    when there are no others, not at all. Trials lost to the infrastructure are left out.
    """
    trials = list(trials)
    finished = [t for t in trials if t.state == "finished" and t.best(sign, _END) is not None]
    gains: dict[int, float] = {}

    def gain(boundary: int) -> float:
        if boundary not in gains:
            steps = [
                end - here
                for t in finished
                if (here := t.best(sign, boundary)) is not None
                and (end := t.best(sign, _END)) is not None
            ]
            gains[boundary] = statistics.median(steps) if steps else 0.0
        return gains[boundary]

    values: list[tuple[Config, float | None]] = []
    for trial in trials:
        value = trial.best(sign, _END)
        if trial.state == "stopped" and value is not None:
            values.append((trial.config, value + gain(max(trial.values))))
        elif trial.state == "finished" and value is not None:
            values.append((trial.config, value))
        elif trial.state is not None and trial.failure not in _BLAMELESS:
            values.append((trial.config, None))
    worst = min((value for _, value in values if value is not None), default=None)
    if worst is None:
        return []
    return [(config, worst if value is None else value) for config, value in values]


def softened(values: list[float]) -> list[float]:
    """The same order; differences near the best value are kept, those far below it squeezed.

    A regret up to the median of the regrets above 0 stays as it is, beyond it counts by its
    logarithm: a Gaussian process looks at values in units of their standard deviation, and one
    loss of 50 among losses near 0.4 would leave it no eye for what matters.
    """
    best = max(values)
    regrets = [best - value for value in values]
    scale = statistics.median([regret for regret in regrets if regret > 0] or [1.0])
    return [-(r if r <= scale else scale * (1.0 + math.log(r / scale))) for r in regrets]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
