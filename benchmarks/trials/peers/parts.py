"""What a user of a peer writes for a Trainer: data, model, arguments. None of our program is used.

The job comes as a folder with `job.json`: Syne Tune's scripts run in an environment in which
this project is not installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    TrainingArguments,
)

SEED = 7


class Parts:
    """The parts of a Trainer for a job.

    Args:
        folder: the job's; it holds `job.json`.
    """

    def __init__(self, folder: Path) -> None:
        self.job: dict[str, Any] = json.loads((folder / "job.json").read_text("utf-8"))
        self.tokenizer = AutoTokenizer.from_pretrained(self.job["model"])
        self.train_dataset = self._dataset("train")
        self.eval_dataset = self._dataset("validation")

    def _dataset(self, split: str) -> Dataset:
        lines = (Path(self.job["data"]) / f"{split}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        tokens = self.tokenizer(
            [row["premise"] for row in rows],
            [row["hypothesis"] for row in rows],
            truncation=True,
            max_length=self.job["max_length"],
        )
        return Dataset.from_dict({**tokens, "label": [row["label"] for row in rows]})

    def trainer_parts(self) -> dict[str, Any]:
        """What every Trainer is given beside model and arguments."""
        return {
            "train_dataset": self.train_dataset,
            "eval_dataset": self.eval_dataset,
            "processing_class": self.tokenizer,
            "data_collator": DataCollatorWithPadding(self.tokenizer),
            "compute_metrics": accuracy,
        }

    def model(self) -> Any:
        """A fresh model."""
        return AutoModelForSequenceClassification.from_pretrained(self.job["model"], num_labels=2)

    def arguments(self, output_dir: Path | str, **settings: Any) -> TrainingArguments:
        """The Trainer's arguments; `settings` are what is searched, or differs."""
        return TrainingArguments(
            output_dir=str(output_dir),
            num_train_epochs=self.job["epochs"],
            per_device_train_batch_size=self.job["batch_size"],
            per_device_eval_batch_size=64,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            seed=SEED,
            report_to="none",
            disable_tqdm=True,
            **settings,
        )


def accuracy(prediction: Any) -> dict[str, float]:
    """The share of rows whose class is right."""
    classes = numpy.asarray(prediction.predictions).argmax(axis=-1)
    return {"accuracy": float((classes == prediction.label_ids).mean())}
