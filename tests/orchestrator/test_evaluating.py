"""An evaluation on a held-out split is what anybody gets who loads the checkpoint."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from orchestrator.checkpoints import checkpoint_path
from orchestrator.errors import TrialError
from orchestrator.segment import Evaluation
from tests.orchestrator.bench import Bench, bench, timeless
from tests.orchestrator.tiny_task import Rows, tiny_sweep


def look(work: Bench, config: dict[str, Any] | None = None, boundary: int = 1) -> Evaluation:
    segment = work.segment(config)
    path = checkpoint_path(segment.trial, segment.segment, boundary).as_posix()
    return Evaluation(trial=segment.trial, boundary=boundary, checkpoint=path, config=config or {})


def by_hand(folder: Path, out: Path) -> dict[str, float]:
    """A fresh model from the checkpoint, evaluated by a Trainer of its own."""
    trainer = Trainer(
        model=BertForSequenceClassification.from_pretrained(folder),
        args=TrainingArguments(str(out), report_to="none", disable_tqdm=True, use_cpu=True),
        eval_dataset=Rows(17, 3),
        data_collator=default_data_collator,
    )
    return trainer.evaluate(metric_key_prefix="test")


def test_an_evaluation_equals_that_of_the_loaded_checkpoint(tmp_path: Path) -> None:
    config = {"task.model_config.hidden_dropout_prob": 0.3, "learning_rate": 5e-3}
    with bench(tiny_sweep(), tmp_path, test_rows=17) as work:
        work.train(work.segment(config))
        for boundary in (1, 2):
            report = work.rank.evaluate(look(work, config, boundary))
            folder = work.folder(work.segment(config), boundary)
            expected = by_hand(folder, tmp_path / "out")["test_loss"]
            assert report.metrics["loss"] == pytest.approx(expected, abs=1e-6)
        assert report.rows == 17 and report.seconds > 0
        assert set(report.metrics) == {"loss", "accuracy"}
        assert report.value == report.metrics["accuracy"]
        assert "boundary 2 on the test split" in work.log()


def test_training_after_an_evaluation_is_as_without_it(tmp_path: Path) -> None:
    spec = tiny_sweep(seed=11)
    with bench(spec, tmp_path / "plain", test_rows=17) as work:
        plain = [work.train(work.segment(trial=trial)) for trial in ("0000", "0001")]
    with bench(spec, tmp_path / "looked", test_rows=17) as work:
        first = work.train(work.segment(trial="0000"))
        work.rank.evaluate(look(work))
        second = work.train(work.segment(trial="0001"))
    assert [timeless(first), timeless(second)] == [timeless(reports) for reports in plain]


def test_a_segment_trains_with_its_own_seed(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        losses = {
            seed: work.train(replace(work.segment(trial=f"t{seed}"), seed=seed))[-1].metrics
            for seed in (None, 42, 43)
        }
    assert losses[None] == losses[42], "the study's own seed"
    assert losses[43] != losses[42]


def test_a_damaged_checkpoint_is_damaged_and_named(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path, test_rows=17) as work:
        segment = work.segment()
        work.train(segment)
        weights = work.folder(segment, 1) / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4])
        with pytest.raises(TrialError, match=r"model\.safetensors has \d+ bytes") as found:
            work.rank.evaluate(look(work))
        assert found.value.kind == "damaged"
        shutil.rmtree(weights.parent)
        with pytest.raises(TrialError, match="was deleted"):
            work.rank.evaluate(look(work))
        assert work.rank.evaluate(look(work, boundary=2)).rows == 17, "the rank goes on"


def test_what_goes_wrong_in_an_evaluation_is_told_by_its_class(tmp_path: Path) -> None:
    def breaks(prediction: Any) -> dict[str, float]:
        if len(prediction.label_ids) == 17:
            raise ValueError("the user's own metric")
        return {"accuracy": 0.5}

    with bench(tiny_sweep(), tmp_path, test_rows=17, metrics=breaks) as work:
        work.train(work.segment())
        with pytest.raises(TrialError, match="the user's own metric") as found:
            work.rank.evaluate(look(work))
        assert found.value.kind == "code" and "Traceback" in work.log()
    with bench(tiny_sweep(), tmp_path / "none") as work:
        work.train(work.segment())
        with pytest.raises(TrialError, match="the task has no test split"):
            work.rank.evaluate(look(work))


def test_what_is_not_finite_is_none(tmp_path: Path) -> None:
    def nan(prediction: Any) -> dict[str, float]:
        return {"accuracy": math.nan if len(prediction.label_ids) == 17 else 0.5}

    with bench(tiny_sweep(), tmp_path, test_rows=17, metrics=nan) as work:
        work.train(work.segment())
        assert work.rank.evaluate(look(work)).value is None
