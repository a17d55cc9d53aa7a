"""One Ray for all studies of these tests, started once: each study joins it by its address."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import Event
from orchestrator.results import StudyResult
from orchestrator.study import run_study
from search_spaces import Sweep, SweepSpec


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray of two CPUs that ends with the tests."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    logging.getLogger("ray").setLevel(logging.ERROR)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


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
