"""Real Ray, real Trainer: finalists, a replay, and the one look at the test split."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.ancestry import ancestry
from orchestrator.errands import replaying
from orchestrator.study import take_up
from sweeps.cli import app
from tests.integration.conftest import Run, toy

TEST = {"train": "train", "validation": "validation", "test": {"from": "train", "size": 50}}


def test_a_crowned_schedule_is_evaluated_once_on_rows_that_no_trial_has_seen(
    run: Run, ray_address: str, tmp_path: Path
) -> None:
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    from orchestrator.tasks import make_task

    spec = toy("pbt", 2, population={"size": 3, "quantile_fraction": 0.5})
    data = spec.model_dump(mode="json")
    data["task"]["dataset"]["splits"] = TEST
    spec = type(spec).model_validate({**data, "finalists": {"top_k": 1, "seeds": 2}})
    result, _ = run(spec)
    state, crown = result.state, result.state.crowned
    assert result.status == "finished" and crown is not None and crown.failed == 0
    (look, *others) = state.evaluations
    assert (look.trial, look.rows, look.again) == (crown.best.trial, 50, False)
    assert {e.trial for e in others} <= {"0000"}
    workers = {s.worker: s.pid for t in state.trials.values() for s in t.segments}
    assert {s.pid for t in state.trials.values() for s in t.segments} == set(workers.values())

    out = tmp_path / "best"
    exported = CliRunner().invoke(app, ["best", str(result.folder), "--export", str(out)])
    assert exported.exit_code == 0, exported.output
    assert "on 50 rows" in exported.output and "mean" in (out / "README.md").read_text()
    task = make_task(spec.task, tmp_path / ".cache", spec.seed)
    task.prepare()
    assert isinstance(task.test_dataset, Dataset) and len(task.test_dataset) == 50
    trainer = Trainer(
        model=AutoModelForSequenceClassification.from_pretrained(out),
        args=TrainingArguments(str(tmp_path / "o"), report_to="none", disable_tqdm=True),
        data_collator=task.collator,
        compute_metrics=task.compute_metrics,
    )
    fresh = trainer.evaluate(task.test_dataset)
    assert look.value == pytest.approx(fresh["eval_loss"], abs=1e-6)
    assert look.metrics["accuracy"] == pytest.approx(fresh["eval_accuracy"], abs=1e-6)

    refused = CliRunner().invoke(app, ["evaluate", str(result.folder)])
    assert refused.exit_code == 2 and "--again" in refused.output

    again = take_up(result.folder, functools.partial(replaying, seed=5), address=ray_address)
    replay = again.state.trials["replay-001"]
    assert (again.status, replay.state, replay.repeats) == ("finished", "finished", crown.repeats)
    assert [s.config for s in ancestry(again.state, replay.id, replay.boundaries)] == [
        replay.first_config,
        *[config for _, config in replay.schedule],
    ]
    assert again.state.selected == state.selected and again.state.evaluations == state.evaluations
    checked = 0
    history = result.folder / "trials" / replay.id / "history.jsonl"
    for line in map(json.loads, history.read_text().splitlines()):
        if "learning_rate" in line:
            rate = replay.segments[line["segment"]].config["learning_rate"]
            assert line["learning_rate"] == pytest.approx(rate * (1 - line["progress"]), rel=1e-9)
            checked += 1
    assert checked
