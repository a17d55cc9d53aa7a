"""Whole studies on the one Ray of the tests, which each study joins by its address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import Event
from orchestrator.results import StudyResult
from orchestrator.study import run_study
from search_spaces import Sweep, SweepSpec

Run = Callable[..., tuple[StudyResult, list[Event]]]


@pytest.fixture
def run(ray_address: str, tmp_path: Path) -> Run:
    """Runs a spec as a study under tmp_path; gives the result and every event."""

    def start(spec: SweepSpec, **options: Any) -> tuple[StudyResult, list[Event]]:
        events: list[Event] = []
        result = run_study(
            Sweep(spec=spec, path=Path("test.yaml"), source=""),
            storage=options.pop("storage", tmp_path),
            address=ray_address,
            on_event=lambda event, state: events.append(event),
            **options,
        )
        return result, events

    return start


def toy(method: str, slots: int, **keys: Any) -> SweepSpec:
    """A small real study: the toy model on a few toy rows, three epochs."""
    data: dict[str, Any] = {
        "name": f"{method}-{slots}",
        "method": method,
        "seed": 7,
        "metric": {"name": "eval_loss", "goal": "minimize"},  # without ties, even on few rows
        "task": {
            "type": "text-classification",
            "model": "toy-bert",
            "dataset": {"path": "toy-sentiment", "text": ["text"], "label": "label"},
            "rows": {"train": 64, "validation": 32},
            "max_length": 16,
        },
        "training_arguments": {
            "num_train_epochs": 3,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "per_device_train_batch_size": 16,
        },
        "parameters": {
            "learning_rate": {"values": [1e-4, 1e-3, 5e-3]},
            "per_device_train_batch_size": {"values": [8, 16]},
        },
        "resources": {"max_concurrent": slots},
    }
    if method == "pbt":
        data["population"] = {"size": 4, "quantile_fraction": 0.5}
    elif method != "grid":
        data["run_cap"] = 5
    return SweepSpec.model_validate({**data, **keys})
