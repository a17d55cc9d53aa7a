"""Which hyperparameters decided: Optuna's PED-ANOVA over a method's finished trials.

The computing is Optuna's, through its public interface; here the trials of all repetitions become
one Optuna study in memory, on the coordinates that the Bayesian search has too. There is none for
population-based training, where a value belongs to a schedule and not to a configuration, and
none below 20 finished trials, where the tenth that PED-ANOVA looks at is a single one.

Watanabe, S., Bansal, A., Hutter, F. (2023), PED-ANOVA: Efficiently quantifying hyperparameter
importance in arbitrary subspaces, IJCAI.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from orchestrator.axes import axis_of, varies
from search_spaces import SweepSpec
from sweeps.report.model import Config, Importance

FEWEST = 20
"""Finished trials; below that no importance is shown."""


def importance(spec: SweepSpec, finished: Sequence[tuple[Config, float]]) -> Importance:
    """The share of each searched name in being among the best tenth; of all repetitions.

    Args:
        finished: configuration and best value of each finished trial that has one. Early-stopped
            trials are left out: their values are of less training.
    """
    n = len(finished)
    if spec.method == "pbt":
        return Importance(
            shares={},
            trials=n,
            hidden="A population changes configurations while it trains, so no value belongs to"
            " one of them; the lineage shows what was copied and changed.",
        )
    searched = [name for name, domain in spec.space.items() if varies(domain)]
    if not searched:
        return Importance(shares={}, trials=n, hidden="Nothing is searched.")
    if n < FEWEST:
        return Importance(
            shares={},
            trials=n,
            hidden=f"Importance is shown from {FEWEST} finished trials on; there"
            f" {'is' if n == 1 else 'are'} {n}.",
        )
    if len({value for _, value in finished}) == 1:
        return Importance(
            shares={}, trials=n, hidden="All finished trials have the same value; nothing decided."
        )
    shares = ped_anova(spec, finished, searched)
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return Importance(shares=dict(ordered), trials=n)


def ped_anova(
    spec: SweepSpec, finished: Sequence[tuple[Config, float]], searched: Sequence[str]
) -> dict[str, float]:
    """Hand the trials to Optuna's evaluator, with its defaults; shares that sum to 1."""
    import optuna
    from optuna.exceptions import ExperimentalWarning

    axes = {name: axis_of(spec.space[name]) for name in searched}
    distributions = {name: axis.distribution() for name, axis in axes.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction=spec.metric.goal)
        study.add_trials(
            optuna.trial.create_trial(
                params={name: axis.encode(config[name]) for name, axis in axes.items()},
                distributions=distributions,
                value=value,
            )
            for config, value in finished
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # what it is called in Optuna 4
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {str(name): float(share) for name, share in shares.items()}
