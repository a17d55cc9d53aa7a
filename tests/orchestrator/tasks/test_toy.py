"""The toy data: the same everywhere, balanced, and on it the learning rate decides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from orchestrator.tasks import make_task, toy
from search_spaces.parts import TaskSpec

SPEC = TaskSpec.model_validate(
    {
        "model": "toy-bert",
        "dataset": {"path": "toy-sentiment", "text": "text"},
        "max_length": 32,
    }
)


def test_the_rows_are_the_same_on_every_machine() -> None:
    rows = {split: toy.sentences(split) for split in toy.ROWS}
    digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    assert digest.startswith(DIGEST), "count VERSION up when the sentences change"


DIGEST = "7e40d01a18f8251d"


@pytest.mark.parametrize("split", toy.ROWS)
def test_any_even_number_of_rows_is_balanced(split: str) -> None:
    columns = toy.sentences(split, texts=2, rows=30)
    assert sum(columns["label"]) == 15
    assert {len(values) for values in columns.values()} == {30}


def test_fewer_rows_are_the_first_of_more() -> None:
    assert toy.sentences("train", rows=10)["text"] == toy.sentences("train")["text"][:10]


def test_validation_holds_no_sentence_of_train() -> None:
    train, other = (set(toy.sentences(split)["text"]) for split in ("train", "validation"))
    assert len(train & other) <= 0.02 * len(other)


def accuracies(tmp_path: Path, learning_rate: float, seed: int) -> list[float]:
    """Evaluation accuracy after each epoch, by a bare Trainer with the quickstart's settings."""
    from transformers import Trainer, TrainingArguments

    task = make_task(SPEC, tmp_path / "cache", 42)
    trainer = Trainer(
        model=task.build_model(seed),
        args=TrainingArguments(
            output_dir=str(tmp_path / "out"),
            num_train_epochs=5,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            learning_rate=learning_rate,
            seed=seed,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=task.train_dataset,
        eval_dataset=task.eval_dataset,
        data_collator=task.collator,
        compute_metrics=task.compute_metrics,
    )
    trainer.train()
    history = trainer.state.log_history
    return [line["eval_accuracy"] for line in history if "eval_accuracy" in line]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_good_learning_rate_passes_nine_tenths(seed: int, tmp_path: Path) -> None:
    assert max(accuracies(tmp_path, 1e-3, seed)) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(("learning_rate", "seed"), [(1e-5, 1), (1e-2, 2)])
def test_a_bad_learning_rate_stays_near_chance(
    learning_rate: float, seed: int, tmp_path: Path
) -> None:
    assert max(accuracies(tmp_path, learning_rate, seed)) < 0.6
