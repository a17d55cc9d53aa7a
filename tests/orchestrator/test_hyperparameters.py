"""From a configuration to TrainingArguments; what comes of it in training is test_exploit's."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from orchestrator.hyperparameters import follows_metric, training_arguments
from tests.orchestrator.tiny_task import tiny_sweep

HERE = Path("trial")


def test_the_configuration_wins_over_the_constants_and_the_rest_is_ours() -> None:
    spec = tiny_sweep(weight_decay=0.1, save_total_limit=3, eval_steps=5, metric={"name": "loss"})
    arguments = training_arguments(spec, {"learning_rate": 0.5}, HERE)
    assert (arguments.learning_rate, arguments.weight_decay) == (0.5, 0.1)
    assert arguments.eval_strategy == IntervalStrategy.NO
    assert arguments.save_strategy == SaveStrategy.NO
    assert arguments.save_total_limit is None
    assert arguments.report_to == []
    assert arguments.output_dir == "trial"
    assert (arguments.metric_for_best_model, arguments.seed) == ("eval_loss", 42)


def test_the_metrics_goal_is_the_sweeps_not_the_names() -> None:
    spec = tiny_sweep(metric={"name": "loss", "goal": "maximize"})
    assert training_arguments(spec, {}, HERE).greater_is_better


def test_the_seed_is_the_studys_unless_it_is_searched() -> None:
    assert training_arguments(tiny_sweep(seed=7), {}, HERE).seed == 7
    assert training_arguments(tiny_sweep(seed=7), {"seed": 9}, HERE).seed == 9


def test_an_effective_batch_size_is_split() -> None:
    arguments = training_arguments(tiny_sweep(), {"effective_batch_size": 24}, HERE)
    assert arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps == 24


@pytest.mark.parametrize("schedule", ["reduce_lr_on_plateau", "greedy"])
def test_a_schedule_that_follows_a_metric_goes_with_loading_the_best(schedule: str) -> None:
    spec = tiny_sweep(load_best_model_at_end=True)
    arguments = training_arguments(spec, {"lr_scheduler_type": schedule}, HERE)
    assert follows_metric(arguments)
    assert arguments.load_best_model_at_end


def test_other_schedules_do_not_follow_a_metric() -> None:
    assert not follows_metric(training_arguments(tiny_sweep(), {}, HERE))


def test_what_the_library_refuses_is_raised() -> None:
    with pytest.raises(ValueError, match="warmup_steps"):
        training_arguments(tiny_sweep(), {"warmup_steps": -1}, HERE)


def test_several_processes_share_an_effective_batch() -> None:
    spec = tiny_sweep(effective_batch_size=48, per_device_train_batch_size=8)
    values = spec.training_for({}, world_size=3)
    assert (values["per_device_train_batch_size"], values["gradient_accumulation_steps"]) == (8, 2)
