"""`sweep report`: what it writes, says and refuses."""

from __future__ import annotations

import json
import shlex

import optuna
import pytest
from typer.testing import CliRunner

from orchestrator.results import read_study
from search_spaces import read_sweep
from sweeps.cli import app
from sweeps.report.folder import FILES
from sweeps.report.gather import gather
from sweeps.report.methods import grouped
from sweeps.reporting import next_command
from tests.sweeps.reported import looked_at, many
from tests.sweeps.studies import random_study, spec, write_study

TASK = {
    "model": "bert-tiny",
    "dataset": {"path": "d", "text": ["a"], "label": "l", "splits": {"test": "test"}},
}

FILE = """method: random
metric: {name: accuracy, goal: maximize}
task:
  model: bert-tiny
  dataset: {path: d, text: [a], label: l}
training_arguments: {num_train_epochs: 4, eval_strategy: epoch}
parameters:
  learning_rate: {min: 1.0e-5, max: 1.0e-4}
run_cap: 2
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two studies of one sweep under `studies`, one of them looked at on the test split."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        sweep = spec(f"r-{seed}", seed=seed, task=TASK)
        events = random_study(sweep, failing=False)
        looks = [looked_at(0, 1, 0.75)] if seed == 1 else []
        write_study(tmp_path / "studies", sweep, [*events[:-1], *looks, events[-1]])
    return tmp_path


def sweep(*words):
    return CliRunner().invoke(app, ["report", *words])


def test_a_report_of_a_study_is_written_under_its_name(here):
    done = sweep("r-1")
    assert done.exit_code == 0, done.output
    folder = here / "reports" / "r-1"
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    assert "Random search reached test accuracy 0.75" in done.output
    assert "report: reports/r-1/report.html" in done.output
    assert "next: sweep best r-1" in done.output


def test_studies_of_one_sweep_are_repetitions_and_what_is_missing_is_the_next_step(here):
    done = sweep("r-1", "studies/r-2", "--output", "out")
    assert done.exit_code == 0, done.output
    data = json.loads((here / "out" / "report.json").read_text())
    assert [m["label"] for m in data["methods"]] == ["random search"]
    assert [r["seed"] for r in data["methods"][0]["repetitions"]] == [1, 2]
    assert "red note: r-2: the selected checkpoint was not evaluated on a test split" in done.output
    assert "next: sweep evaluate studies/r-2 --split test\n" in done.output


def test_a_second_look_is_the_next_step_only_when_no_first_one_is_missing(here):
    since = spec("r-3", seed=3, task=TASK)
    *events, end = random_study(since, failing=False)
    write_study(here / "studies", since, [*events, looked_at(0, 2, 0.7), end])
    assert "next: sweep evaluate r-3 --split test --again\n" in sweep("r-3").output
    assert "next: sweep evaluate r-2 --split test\n" in sweep("r-1", "r-3", "r-2").output
    none = spec("r-4", seed=4)
    write_study(here / "studies", none, random_study(none, failing=False))
    assert "next: sweep best r-4" in sweep("r-4").output, "it has no test split to look at"


def test_the_best_of_several_studies_is_the_one_to_look_at():
    studies = [many(4, seed=seed) for seed in range(3)]
    best = max(range(3), key=lambda n: studies[n].state.selected.value)
    assert len({study.state.selected.value for study in studies}) == 3
    assert next_command(["a", "b", "c"], studies, []) == f"sweep best {'abc'[best]}"


def test_with_json_it_is_one_object(here):
    done = CliRunner().invoke(app, ["report", "r-1", "r-2", "--json"])
    data = json.loads(done.stdout)
    assert data["claim"] == "none"
    assert data["repetitions"] == 1
    assert data["trials"] == 4
    assert "reports/r-1-and-1-more/report.html" in data["files"]


def test_optuna_storage_is_written_beside(here):
    done = sweep("r-1", "r-2", "--optuna-storage", "optuna.db")
    assert done.exit_code == 0, done.output
    assert optuna.get_all_study_names("sqlite:///optuna.db") == ["r-1", "r-2"]
    again = sweep("r-1", "--optuna-storage", "optuna.db")
    assert again.exit_code == 2
    assert "writes a new file" in again.output
    assert not (here / "reports" / "r-1").exists()


def test_a_folder_that_holds_something_else_is_refused_before_anything_is_written(here):
    (here / "notes").mkdir()
    (here / "notes" / "mine.txt").write_text("mine")
    done = sweep("r-1", "--output", "notes")
    assert done.exit_code == 2
    assert "mine.txt" in done.output
    assert [p.name for p in (here / "notes").iterdir()] == ["mine.txt"]


def test_a_study_that_is_not_there_is_named(here):
    done = sweep("r-9")
    assert done.exit_code == 2
    assert "r-9" in done.output
    assert not (here / "reports").exists()


def test_the_command_to_reproduce_makes_the_same_specification(here, tmp_path):
    """The copy of the sweep file, and what was set beside it, read as `sweep run` would."""
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE)
    overrides = ["seed=7", "run_cap=5", "budget.wall_clock=2h", "training_arguments.optim=sgd"]
    overrides += ["parameters.weight_decay={min: 0.0, max: 0.5}", "early_terminate.type=asha"]
    overrides += ["description=it's | all #1"]
    wanted = read_sweep(file, overrides, name="x").spec
    folder = write_study(tmp_path / "s", wanted, random_study(wanted))
    (folder / "sweep.yaml").write_text(FILE)
    (facts,) = gather(grouped([read_study(folder)])).reproduction
    words = shlex.split(facts.command)
    assert words[:5] == ["sweep", "run", "sweep.yaml", "--name", "x"]
    assert set(words[5::2]) == {"--set"}
    assert read_sweep(folder / "sweep.yaml", words[6::2], name="x").spec == wanted
    assert facts.sweep_file == FILE


def test_a_file_that_needed_an_option_to_be_read_needs_it_again(here, tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE.replace("max: 1.0e-4", "max: 3.0"))
    wanted = read_sweep(file, ["seed=7"], name="x", force=True).spec
    folder = write_study(tmp_path / "s", wanted, random_study(wanted))
    (folder / "sweep.yaml").write_text(file.read_text())
    (facts,) = gather(grouped([read_study(folder)])).reproduction
    assert facts.command == "sweep run sweep.yaml --name x --force --set seed=7"
