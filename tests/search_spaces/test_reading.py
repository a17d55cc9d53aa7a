"""Right files: what is translated, what is noted, what --force and --allow-code let through."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import SpecError
from tests.search_spaces.files import GRID, PBT, RANDOM, TASK, read, spec

WANDB = f"""
program: train.py
command: ["${{env}}", python, "${{program}}"]
name: from wandb
project: hpo
entity: team
method: bayes
metric: {{name: eval/loss, goal: minimize, target: 0.1}}
run_cap: 20
early_terminate: {{type: hyperband, s: 2, eta: 3, max_iter: 27, strict: false}}
{TASK}
training_arguments: {{num_train_epochs: 30, eval_strategy: epoch}}
parameters:
  learning_rate: {{distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}}
  per_device_train_batch_size: {{distribution: q_log_uniform_values, q: 8, min: 16, max: 64}}
  optim: {{values: [adamw_torch, sgd]}}
  weight_decay: {{value: 0.1}}
  training_arguments: {{parameters: {{adam_beta1: {{min: 0.8, max: 0.95}}}}}}
  task:
    parameters:
      model_config: {{parameters: {{hidden_dropout_prob: {{values: [0, 0.1]}}}}}}
"""


def test_a_wandb_file_loads_as_far_as_its_search_goes(tmp_path: Path) -> None:
    sweep = read(tmp_path, WANDB, "name=from-wandb")
    found = sweep.spec
    assert (found.tracking.project, found.tracking.entity) == ("hpo", "team")
    assert (found.metric.name, found.metric.goal) == ("eval_loss", "minimize")
    assert found.early_terminate is not None
    assert (found.early_terminate.min_iter, found.early_terminate.max_iter) == (3, 27)
    assert list(found.space) == [
        "learning_rate",
        "per_device_train_batch_size",
        "optim",
        "weight_decay",
        "adam_beta1",
        "task.model_config.hidden_dropout_prob",
    ]
    assert any(note.startswith("program is W&B's") for note in sweep.notes)
    assert any(note.startswith("command is W&B's") for note in sweep.notes)
    assert "metric.target is W&B's and not used here" in sweep.notes
    assert "early_terminate.strict is W&B's and not used here" in sweep.notes


def test_a_fault_in_nested_parameters_stands_where_it_was_written(tmp_path: Path) -> None:
    text = WANDB.replace("{min: 0.8, max: 0.95}", "{min: 0.8, max: 1.95}")
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text, "name=x")
    (fault,) = caught.value.faults
    assert fault.path == "parameters.training_arguments.parameters.adam_beta1.max"
    line = text.splitlines()[fault.place.line - 1]
    assert line[fault.place.column - 1 :].startswith("1.95")


def test_names_of_older_versions_are_translated_with_a_note(tmp_path: Path) -> None:
    sweep = read(
        tmp_path, RANDOM, "training_arguments={evaluation_strategy: epoch, warmup_ratio: 0.1, "
        "adafactor: true, no_cuda: false, num_train_epochs: 2}",
    )  # fmt: skip
    assert sweep.spec.training_arguments == {
        "eval_strategy": "epoch",
        "warmup_steps": 0.1,
        "optim": "adafactor",
        "use_cpu": False,
        "num_train_epochs": 2,
    }
    assert len([n for n in sweep.notes if "is called" in n]) == 4


def test_a_searched_ratio_becomes_a_searched_fraction_of_the_steps(tmp_path: Path) -> None:
    sweep = read(tmp_path, RANDOM, "parameters.warmup_ratio={min: 0.0, max: 0.2}")
    assert str(sweep.spec.space["warmup_steps"]) == "0 to 0.2"


def test_names_of_other_tools_distributions_are_taken(tmp_path: Path) -> None:
    found = spec(
        tmp_path, RANDOM,
        "parameters.learning_rate={distribution: loguniform, min: 1e-5, max: 1e-4}",
        "parameters.optim={distribution: choice, values: [sgd, adamw_torch]}",
        "parameters.num_train_epochs={distribution: randint, min: 1, max: 3}",
    )  # fmt: skip
    assert [str(d) for d in found.space.values()] == [
        "1e-05 to 0.0001, log",
        "sgd, adamw_torch",
        "1 to 3, whole numbers",
    ]


def test_whole_ends_make_whole_numbers_and_others_do_not(tmp_path: Path) -> None:
    space = spec(
        tmp_path, RANDOM, "parameters.gradient_accumulation_steps={min: 1, max: 4}",
        "parameters.weight_decay={min: 0, max: 0.1}",
        "parameters.max_grad_norm={distribution: uniform, min: 0, max: 2}",
    ).space  # fmt: skip
    assert [type(d).__name__ for d in space.values()] == [
        "LogUniform", "IntUniform", "Uniform", "Uniform",
    ]  # fmt: skip


def test_a_searched_name_wins_over_its_constant_with_a_note(tmp_path: Path) -> None:
    sweep = read(tmp_path, RANDOM, "training_arguments.learning_rate=2e-5")
    assert any("searched and constant: learning_rate" in note for note in sweep.notes)


def test_a_grid_trains_the_default_configuration_beside_it_only_if_it_says_so(
    tmp_path: Path,
) -> None:
    silent = read(tmp_path, GRID)
    assert not silent.spec.tries_default and silent.notes == ()
    asked = read(tmp_path, GRID, "default_first=true")
    assert asked.spec.tries_default
    assert [note for note in asked.notes if "trained beside the grid, one trial more" in note]
    assert not read(tmp_path, GRID, "default_first=false").spec.tries_default
    assert read(tmp_path, RANDOM).spec.tries_default
    assert not read(tmp_path, RANDOM, "default_first=false").spec.tries_default


def test_force_lets_nonsense_through_with_a_note_but_nothing_impossible(tmp_path: Path) -> None:
    nonsense = "parameters.learning_rate={min: 0.5, max: 3.0}"
    with pytest.raises(SpecError, match="makes no sense as a learning_rate"):
        read(tmp_path, RANDOM, nonsense)
    sweep = read(tmp_path, RANDOM, nonsense, force=True)
    assert str(sweep.spec.space["learning_rate"]) == "0.5 to 3"
    assert any("let through by --force" in note for note in sweep.notes)
    constant = read(tmp_path, RANDOM, "training_arguments.num_train_epochs=5000", force=True)
    assert constant.spec.training_arguments["num_train_epochs"] == 5000
    with pytest.raises(SpecError, match="must be at least 0"):
        read(tmp_path, RANDOM, "parameters.learning_rate={min: -1.0, max: 3.0}", force=True)


def test_own_code_is_read_only_when_it_is_allowed_and_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = ("task.type='my_task.py:build'", "metric={name: score, goal: maximize}")
    with pytest.raises(SpecError, match="pass --allow-code"):
        read(tmp_path, RANDOM, *own)
    with pytest.raises(SpecError, match="there is no such Python file"):
        read(tmp_path, RANDOM, *own, allow_code=True)
    (tmp_path / "my_task.py").write_text("raise SystemExit('never run by reading')")
    task = read(tmp_path, RANDOM, *own, allow_code=True).spec
    assert task.task.is_own_file
    assert task.metric.name == "eval_score"
    remote = read(tmp_path, RANDOM, "task.trust_remote_code=true", allow_code=True)
    assert remote.spec.task.trust_remote_code


def test_pbt_searches_everything_that_can_change_mid_run(tmp_path: Path) -> None:
    found = spec(
        tmp_path, PBT,
        "parameters={learning_rate: {min: 1e-5, max: 1e-4}, weight_decay: {min: 0.0, max: 0.1}, "
        "adam_beta1: {min: 0.8, max: 0.95}, adam_beta2: {min: 0.9, max: 0.999}, "
        "adam_epsilon: {distribution: log_uniform_values, min: 1e-9, max: 1e-6}, "
        "label_smoothing_factor: {min: 0.0, max: 0.2}, max_grad_norm: {min: 0.5, max: 2.0}, "
        "warmup_steps: {min: 0.0, max: 0.2}, lr_scheduler_type: {values: [linear, cosine]}, "
        "effective_batch_size: {values: [16, 32]}, num_train_epochs: {value: 4}, "
        "task.model_config.hidden_dropout_prob: {min: 0.0, max: 0.2}, "
        "task.model_config.attn_pdrop: {min: 0.0, max: 0.2}}",
    )  # fmt: skip
    assert len(found.space.searched) == 12


def test_pbt_without_a_population_gets_the_usual_one_with_a_note(tmp_path: Path) -> None:
    sweep = read(tmp_path, PBT, "population=null")
    assert sweep.spec.population is not None
    assert sweep.spec.trial_limit == 8
    assert "population is not given: 8 members" in sweep.notes


def test_pbt_takes_a_step_count_when_the_batch_is_not_searched(tmp_path: Path) -> None:
    steps = "training_arguments={eval_strategy: steps, eval_steps: 50, warmup_steps: 100}"
    fixed = "parameters={learning_rate: {min: 1e-5, max: 1e-4}}"
    assert spec(tmp_path, PBT, steps, fixed).boundaries({}, 100) == 6


def test_keys_without_a_value_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    found = spec(tmp_path, RANDOM + "budget:\ntracking:\nwarm_start:\nseed:\n")
    assert (found.seed, found.warm_start, found.tracking.backends) == (42, (), ())


def test_the_files_name_names_the_study(tmp_path: Path) -> None:
    path = tmp_path / "my sweep (2).yaml"
    path.write_text(RANDOM)
    from search_spaces import read_sweep

    sweep = read_sweep(path)
    assert sweep.spec.name == "my-sweep-2"
    assert sweep.path == path
    assert sweep.source == RANDOM


def test_trackers_and_none_of_them(tmp_path: Path) -> None:
    assert spec(tmp_path, RANDOM, "tracking.backends=[none]").tracking.backends == ()
    assert spec(tmp_path, RANDOM, "tracking.backends=[wandb]").tracking.backends == ("wandb",)


def test_nothing_is_written_beside_a_file_that_was_read(tmp_path: Path) -> None:
    read(tmp_path, RANDOM)
    assert [p.name for p in tmp_path.iterdir()] == ["a_sweep.yaml"]
