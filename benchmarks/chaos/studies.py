"""The two workloads of the fault tests as sweep files: scripted trials (S), a tiny real one (H).

Starts nothing. S names a task that is never loaded: its ranks sleep (`ranks.py`). H is a BERT of
one layer on 32 rows that the package brings, trained by the real Trainer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from search_spaces import SweepSpec
from sweeps.cli import app

METHODS = ("grid", "random", "asha", "bayes", "pbt")
"""The four search methods, and random search with early stopping."""

_RANGE = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1}
_GRID = {"values": [1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]}


def scripted_sweep(
    method: str, *, slots: int, seed: int, trials: int, boundaries: int, name: str, **keys: Any
) -> dict[str, Any]:
    """A sweep file of workload S as data.

    Args:
        method: one of METHODS.
        slots: trials at once.
        trials: how many; of a grid at most 8, of a population its size.
        boundaries: of each trial.
        keys: further sections, which replace these.
    """
    data: dict[str, Any] = {
        "name": name,
        "method": "random" if method == "asha" else method,
        "seed": seed,
        "metric": {"name": "eval_loss", "goal": "minimize"},
        "task": {
            "type": "text-classification",
            "model": "toy-bert",
            "dataset": {"path": "toy-sentiment", "text": ["text"], "label": "label"},
        },
        "training_arguments": {
            "num_train_epochs": boundaries,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
        },
        "parameters": {"learning_rate": _RANGE},
        "resources": {"max_concurrent": slots},
    }
    if method == "grid":
        data["parameters"] = {"learning_rate": {"values": _GRID["values"][:trials]}}
    elif method == "pbt":
        data["population"] = {"size": trials, "quantile_fraction": 0.5}
    else:
        data["run_cap"] = trials
    if method == "asha":
        data["early_terminate"] = {"type": "asha", "min_iter": 1, "eta": 2}
    return {**data, **keys}


def scripted_spec(method: str, **options: Any) -> SweepSpec:
    """The same, read."""
    return SweepSpec.model_validate(scripted_sweep(method, **options))


def trained_sweep(method: str, *, slots: int, seed: int, name: str, **keys: Any) -> dict[str, Any]:
    """A sweep file of workload H as data: three epochs of 32 rows, four trials."""
    data = scripted_sweep(method, slots=slots, seed=seed, trials=4, boundaries=3, name=name)
    data["task"] |= {"rows": {"train": 32, "validation": 32}, "max_length": 16}
    data["training_arguments"] |= {"per_device_train_batch_size": 16}
    return {**data, **keys}


def write_sweep(path: Path, data: dict[str, Any]) -> Path:
    """Write a sweep file; JSON is YAML."""
    path.write_text(json.dumps(data, indent=1), "utf-8")
    return path


def command_line(*words: str) -> tuple[int, str]:
    """`sweep WORDS` in this process: its exit code and all it printed."""
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output


def printed_json(*words: str) -> Any:
    """What `sweep WORDS --json` prints on stdout.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
