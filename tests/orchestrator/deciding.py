"""Sweeps and events for tests of searchers and schedulers; no Dispatcher, no workers."""

from __future__ import annotations

from typing import Any

from orchestrator.events import (
    CheckpointCommitted,
    Decided,
    Event,
    Reported,
    TrialEnded,
    TrialProposed,
)
from orchestrator.schedulers import Scheduler
from search_spaces import SweepSpec

RATES = {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-3}
MIXED: dict[str, Any] = {
    "learning_rate": RATES,
    "weight_decay": {"min": 0.0, "max": 0.3},
    "per_device_train_batch_size": {"values": [8, 16, 32]},
    "gradient_accumulation_steps": {"min": 1, "max": 4},
    "warmup_steps": {"distribution": "q_uniform", "min": 0, "max": 100, "q": 10},
    "lr_scheduler_type": {"values": ["linear", "cosine"]},
    "optim": {"value": "adamw_torch"},
}
"""One of each kind of domain."""
FINITE: dict[str, Any] = {
    "per_device_train_batch_size": {"values": [8, 16, 32]},
    "lr_scheduler_type": {"values": ["linear", "cosine"]},
}
"""Six points."""


def sweep(method: str = "random", **keys: Any) -> SweepSpec:
    """A sweep of four epochs over one learning rate, but for what is given."""
    epochs = keys.pop("epochs", 4)
    data: dict[str, Any] = {
        "name": "deciders",
        "method": method,
        "task": {"type": "text-classification", "model": "m", "dataset": {"path": "d"}},
        "training_arguments": {"num_train_epochs": epochs, "eval_strategy": "epoch"},
        "parameters": {"learning_rate": RATES},
        "seed": 7,
    }
    if method == "pbt":
        data["population"] = {"size": 4}
    return SweepSpec.model_validate({**data, **keys})


def proposed(number: int, config: dict[str, Any] | None = None, boundaries: int = 4) -> Event:
    """Trial `number` came to be."""
    return TrialProposed(
        trial=name(number),
        number=number,
        config=config or {},
        origin="searcher",
        boundaries=boundaries,
        epochs=float(boundaries),
    )


def reported(number: int, boundary: int, value: float | None) -> Event:
    """Its evaluation."""
    return Reported(
        trial=name(number),
        segment=0,
        boundary=boundary,
        value=value,
        metrics={},
        epoch=float(boundary),
        step=boundary,
        seconds=1.0,
    )


def committed(number: int, boundary: int) -> Event:
    """Its checkpoint."""
    return CheckpointCommitted(
        trial=name(number),
        segment=0,
        boundary=boundary,
        path=f"{number}/{boundary}",
        sha256="",
        size_bytes=0,
    )


def ended(number: int, state: str = "finished", failure: str | None = None) -> Event:
    """Its end."""
    return TrialEnded(trial=name(number), state=state, failure=failure)


def name(number: int) -> str:
    """A trial's id."""
    return f"{number:04d}"


def settle(scheduler: Scheduler, *events: Event) -> list[Decided]:
    """Show events one by one; after each take what is due and show it back, as a driver does."""
    decisions = []
    for event in events:
        scheduler.observe(event)
        for decision in scheduler.due():
            scheduler.observe(decision)
            decisions.append(decision)
        assert scheduler.due() == []
    return decisions
