"""Real Ray, real Trainer: tracked runs, failing trials, the exported best model, signals."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.events import Reported
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.results import read_study
from sweeps.cli import app
from tests.integration.conftest import Run, toy
from tests.orchestrator.tracking.wandb_reader import read_run

FAILING = """
from orchestrator.tasks.text_classification import TextClassification

DROPOUT = "hidden_dropout_prob"


class Failing(TextClassification):
    def build_model(self, seed):
        if self.dropout == 0.5:
            raise RuntimeError("the user's own model does not build")
        return super().build_model(seed)


def build(spec, cache, seed):
    task = Failing(spec.model_copy(update={"type": "text-classification"}), cache, seed)
    task.dropout = spec.model_config_overrides.get(DROPOUT)
    return task
"""


def test_wandb_offline_run_files_hold_each_trial(run: Run, tmp_path: Path) -> None:
    tracking = {"backends": ["wandb"], "mode": "offline", "project": "proj", "tags": ["mine"]}
    spec = toy("random", 2, run_cap=2, tracking=tracking)
    result, events = run(spec)
    assert result.status == "finished"
    folders = (result.folder / "tracking").rglob("offline-run-*")
    runs = {record.name: record for record in map(read_run, filter(Path.is_dir, folders))}
    assert set(runs) == {"0000", "0001"}
    for trial, record in runs.items():
        assert (record.project, record.group, record.job_type) == ("proj", spec.name, "random")
        assert record.tags == ("mine",)
        config = result.state.trials[trial].config
        assert {name: record.config[name] for name in config} == config
        assert record.config["num_train_epochs"] == 3
        reports = [e for e in events if isinstance(e, Reported) and e.trial == trial]
        assert record.curve("eval/loss") == [(r.step, r.metrics["eval_loss"]) for r in reports]
        losses = record.curve("train/loss")
        assert [step for step, _ in losses] == [r.step for r in reports]
        assert all(math.isfinite(loss) for _, loss in losses)
        assert record.exit_code == 0


def test_a_trial_that_raises_takes_nobody_along_and_shows_its_log(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "my_task.py"
    own.write_text(FAILING)
    base = toy("grid", 2)
    task = base.task.model_copy(update={"type": f"{own}:build"})
    names = {
        "learning_rate": {"values": [1e-3]},
        "task.model_config.hidden_dropout_prob": {"values": [0.0, 0.5, 0.1]},
    }
    spec = base.model_copy(update={"task": task, "parameters": names, "name": "raises"})
    result, _ = run(type(spec).model_validate(spec.model_dump(mode="json")))
    assert [t.state for t in result.state.trials.values()] == ["finished", "failed", "finished"]
    failure = result.as_json()["trials"][1]["failure"]
    assert failure["class"] == "code"
    assert "the user's own model does not build" in failure["message"]
    assert "Traceback" in failure["log"]
    shown = CliRunner().invoke(app, ["show", str(result.folder)])
    assert shown.exit_code == 0
    assert "the user's own model does not build" in shown.output


def test_the_exported_best_model_loads_and_gives_the_reported_metric(
    run: Run, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, pipeline

    result, _ = run(toy("pbt", 2))
    out = tmp_path / "best"
    exported = CliRunner().invoke(app, ["best", str(result.folder), "--export", str(out)])
    assert exported.exit_code == 0, exported.output
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert evaluated(model, result.spec, tmp_path) == pytest.approx(
        result.state.best.value, abs=1e-6
    )
    answer = pipeline("text-classification", str(out))("a lovely superb film")
    assert answer[0]["label"] in ("negative", "positive")


def evaluated(model, spec, tmp_path: Path) -> float:  # type: ignore[no-untyped-def]
    """eval_loss by a Trainer of its own, nothing of the study's but the data."""
    from transformers import Trainer, TrainingArguments

    from orchestrator.tasks import make_task

    task = make_task(spec.task, tmp_path / ".cache", spec.seed)
    task.prepare()
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"), report_to="none", disable_tqdm=True
    )
    trainer = Trainer(
        model=model, args=arguments, data_collator=task.collator, eval_dataset=task.eval_dataset
    )
    return float(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_journal_and_leaves_no_process(tmp_path: Path, number: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen(
        [sys.executable, "-c", "from sweeps.cli import main; main()", "run",
         "spaces/quickstart.yaml", "--storage", str(tmp_path), "--plain"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    journal = tmp_path / "quickstart" / JOURNAL
    deadline = time.monotonic() + 120
    while not (journal.exists() and b'"reported"' in journal.read_bytes()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert "interrupted" in output
    contents = read_journal(journal)
    assert contents.torn_bytes == 0
    assert read_study(journal.parent).status == "interrupted"
    deadline = time.monotonic() + 10
    while (left := in_session(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def in_session(session: int) -> Counter[str]:
    """Living processes of a session, by command."""
    found: Counter[str] = Counter()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it ended while we looked
        state, _, _, in_its = rest.split()[:4]
        if int(in_its) == session and state != "Z":
            found[name] += 1
    return found


def test_show_json_holds_what_scripts_rely_on(run: Run) -> None:
    result, _ = run(toy("pbt", 2))
    shown = CliRunner().invoke(app, ["show", str(result.folder), "--json"])
    data = json.loads(shown.stdout)
    assert {"version", "name", "state", "method", "metric", "trials", "best", "lineage"} <= set(
        data
    )
    assert {"id", "state", "config", "best", "epochs_done", "failure"} <= set(data["trials"][0])
    assert {"trial", "value", "config", "checkpoint"} <= set(data["best"])
    assert {"trial", "donor", "epoch", "config"} <= set(data["lineage"][0])
    assert result.folder.stat().st_mode & 0o777 == 0o700, "nobody else reads it"


def test_every_learning_rate_in_the_history_is_the_one_of_its_segments_configuration(
    run: Run,
) -> None:
    ranges = {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2},
        "per_device_train_batch_size": {"values": [8, 16]},
    }
    result, _ = run(toy("pbt", 2, parameters=ranges))
    assert result.state.lineage()
    checked = 0
    for record in result.state.trials.values():
        history = result.folder / "trials" / record.id / "history.jsonl"
        for line in map(json.loads, history.read_text().splitlines()):
            if "learning_rate" not in line:
                continue
            config = record.segments[line["segment"]].config
            steps = 3 * -(-64 // config["per_device_train_batch_size"])
            assert line["progress"] == (line["step"] - 1) / steps
            expected = config["learning_rate"] * (1.0 - line["progress"])
            assert line["learning_rate"] == pytest.approx(expected, rel=1e-9)
            checked += record.segments[line["segment"]].start_trial not in (None, record.id)
    assert checked >= len(result.state.lineage())
