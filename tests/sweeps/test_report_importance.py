"""Importance is Optuna's own, and hidden where it would mean nothing."""

from __future__ import annotations

from random import Random

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.report.importance import FEWEST, importance
from tests.sweeps.studies import population_spec, spec

PARAMETERS = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2},
    "weight_decay": {"min": 0.0, "max": 0.3},
    "per_device_train_batch_size": {"values": [8, 16, 32]},
    "lr_scheduler_type": {"values": ["linear", "cosine"]},
    "warmup_steps": {"distribution": "int_uniform", "min": 0, "max": 20},
}


def asked_of_optuna(found, goal):
    """The same trials as a person would give them to Optuna, in its own terms."""
    spaces = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
        "weight_decay": optuna.distributions.FloatDistribution(0.0, 0.3),
        "per_device_train_batch_size": optuna.distributions.IntDistribution(0, 2),
        "lr_scheduler_type": optuna.distributions.CategoricalDistribution([0, 1]),
        "warmup_steps": optuna.distributions.IntDistribution(0, 20),
    }
    study = optuna.create_study(direction=goal)
    for config, value in found:
        sizes, words = [8, 16, 32], ["linear", "cosine"]
        params = {
            **config,
            "per_device_train_batch_size": sizes.index(config["per_device_train_batch_size"]),
            "lr_scheduler_type": words.index(config["lr_scheduler_type"]),
        }
        study.add_trial(optuna.trial.create_trial(params=params, distributions=spaces, value=value))
    return optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(FEWEST, 60), st.sampled_from(["maximize", "minimize"]))
def test_shares_are_those_that_optuna_gives(seed, n, goal):
    sweep = spec(parameters=PARAMETERS, metric={"name": "eval_accuracy", "goal": goal})
    rng = Random(seed)
    configs = [sweep.space.sample(rng) for _ in range(n)]
    found = [(c, c["weight_decay"] + 0.01 * rng.random()) for c in configs]
    shares = importance(sweep, found).shares
    assert shares == pytest.approx(asked_of_optuna(found, goal))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def drawn(sweep, n):
    rng = Random(0)
    return [(sweep.space.sample(rng), rng.random()) for _ in range(n)]


def test_below_20_finished_trials_it_is_hidden_and_says_so():
    found = importance(spec(), drawn(spec(), FEWEST - 1))
    assert found.shares == {}
    assert "from 20 finished trials" in found.hidden
    assert importance(spec(), drawn(spec(), FEWEST)).hidden is None


def test_a_population_has_none():
    found = importance(population_spec(), drawn(population_spec(), 50))
    assert found.shares == {}
    assert "population" in found.hidden


def test_equal_values_decide_nothing():
    found = importance(spec(), [(config, 0.5) for config, _ in drawn(spec(), 30)])
    assert found.shares == {}
    assert "same value" in found.hidden


def test_where_nothing_is_searched_there_is_none():
    sweep = spec(parameters={"learning_rate": {"value": 0.1}})
    assert "Nothing is searched" in importance(sweep, drawn(sweep, 30)).hidden


def test_optuna_is_left_as_talkative_as_it_was():
    before = optuna.logging.get_verbosity()
    importance(spec(), drawn(spec(), 20))
    assert optuna.logging.get_verbosity() == before
