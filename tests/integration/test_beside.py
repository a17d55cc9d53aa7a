"""Real Ray, real Trainer: finalists by their schedules, and the one look at the test split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.ancestry import ancestry
from sweeps.cli import app
from tests.integration.conftest import Run, toy

TEST = {"train": "train", "validation": "validation", "test": {"from": "train", "size": 50}}


def test_a_crowned_schedule_is_evaluated_once_on_rows_that_no_trial_has_seen(
    run: Run, tmp_path: Path
) -> None:
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    from orchestrator.tasks import make_task

    spec = toy("pbt", 2, population={"size": 3, "quantile_fraction": 0.5})
    data = spec.model_dump(mode="json")
    data["task"]["dataset"]["splits"] = TEST
    spec = type(spec).model_validate({**data, "finalists": {"top_k": 3, "seeds": 1}})
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
    assert "on 50 rows" in exported.output
    assert "trained again on 1 new seed" in (out / "README.md").read_text()
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

    scheduled = [t for t in state.trials.values() if t.origin == "finalist" and t.schedule]
    assert scheduled, "nobody's lineage has more than one configuration"
    for trial in scheduled:
        assert [stretch.config for stretch in ancestry(state, trial.id, trial.boundaries)] == [
            trial.first_config,
            *[config for _, config in trial.schedule],
        ]
        history = result.folder / "trials" / trial.id / "history.jsonl"
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        trained = [line for line in lines if "learning_rate" in line]
        assert {line["segment"] for line in trained} == {0, *range(1, len(trial.schedule) + 1)}
        for line in trained:
            rate = trial.segments[line["segment"]].config["learning_rate"]
            assert line["learning_rate"] == pytest.approx(rate * (1 - line["progress"]), rel=1e-9)
