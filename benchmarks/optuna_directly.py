"""Optuna's samplers as a person would use them on a response surface: ask, train, tell.

None of our searchers is in here. A range is given as Optuna's own documentation gives it (floats
by value or logarithm, whole numbers as ints, listed values as categories); a run whose metric is
not finite is told as failed; the best trial is Optuna's. Several out at once are told in the
order in which they end, by the surface's clock.
"""

from __future__ import annotations

import heapq
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.response_surfaces import FineTuning
from orchestrator.distributions import distribution_of
from orchestrator.surfaces import History
from search_spaces import SweepSpec

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SAMPLERS = ("gp", "tpe", "multivariate tpe")


@dataclass(frozen=True)
class Pick:
    """What a search ended with; without a usable run `history` is empty and `observed` None."""

    history: History
    observed: float | None
    epochs: int


def search(
    surface: FineTuning, spec: SweepSpec, sampler: str, *, trials: int, out: int, default: bool
) -> Pick:
    """Search a surface's space.

    Args:
        surface: what training gives.
        spec: of the space, the goal and the seed.
        sampler: one of SAMPLERS.
        trials: how many runs, failed ones included.
        out: how many train at once.
        default: enqueue the default configuration as the first trial.
    """
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: distribution_of(domain) for name, domain in spec.space.items()}
    sign = spec.metric.sign
    study = optuna.create_study(
        direction=spec.metric.goal, sampler=_sampler(sampler, spec.seed, out)
    )
    if default:
        study.enqueue_trial(spec.default_config())
    running: list[tuple[float, int, Any]] = []
    histories: dict[int, History] = {}
    epochs = 0

    def ask(now: float) -> None:
        trial = study.ask(distributions)
        whole = (trial.params,) * surface.length(trial.params)
        values = [surface.value(whole[: boundary + 1]) for boundary in range(len(whole))]
        finite = [value for value in values if value is not None]
        trained = min(len(finite) + 1, len(whole))
        ends = now + trained * surface.seconds(trial.params)
        value = None
        if len(finite) == len(whole):
            best = max(range(len(whole)), key=lambda boundary: sign * finite[boundary])
            value, histories[trial.number] = finite[best], whole[: best + 1]
        heapq.heappush(running, (ends, trial.number, (trial, value, trained)))

    for _ in range(min(out, trials)):
        ask(0.0)
    while running:
        now, _, (trial, value, trained) = heapq.heappop(running)
        epochs += trained
        if value is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, value)
        if len(study.trials) < trials:
            ask(now)
    if not histories:
        return Pick((), None, epochs)
    best_trial = study.best_trial
    return Pick(histories[best_trial.number], best_trial.value, epochs)


def _sampler(name: str, seed: int, out: int) -> BaseSampler:
    from optuna.samplers import GPSampler, TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental features say so
        if name == "gp":
            return GPSampler(seed=seed)
        return TPESampler(seed=seed, multivariate=name == "multivariate tpe", constant_liar=out > 1)
