"""The same sweep as a smoke run: two trials, two boundaries, a few rows, a tiny random model.

A smoke run is data: this spec says everything, and nothing else asks for it, but the task, which
builds a tiny random model of the same architecture when `task.smoke` is set.
"""

from __future__ import annotations

from typing import Any

from search_spaces import domain_keys
from search_spaces.parts import BudgetSpec, SplitName
from search_spaces.spec import SweepSpec

ROWS: dict[SplitName, int] = {"train": 64, "validation": 32, "test": 32}
MAX_LENGTH = 32
_TRIALS = 2
_EPOCHS = 2
_NOT_KEPT = ("eval_steps", "save_steps", "max_steps")


def shrunk(spec: SweepSpec) -> SweepSpec:
    """Return spec with two trials of two boundaries on a few rows; its name ends in -smoke."""
    arguments = {k: v for k, v in spec.training_arguments.items() if k not in _NOT_KEPT}
    arguments |= {"eval_strategy": "epoch", "save_strategy": "epoch", "num_train_epochs": _EPOCHS}
    parameters = dict(spec.parameters)
    if "num_train_epochs" in parameters:
        parameters["num_train_epochs"] = {"value": _EPOCHS}
    if "task.max_length" in parameters:
        parameters["task.max_length"] = {"value": MAX_LENGTH}
    changes: dict[str, Any] = {
        "name": spec.name[: 64 - len("-smoke")] + "-smoke",
        "smoke": True,
        "training_arguments": arguments,
        "parameters": _two_points(parameters) if spec.method == "grid" else parameters,
        "task": spec.task.model_copy(
            update={
                "smoke": True,
                "rows": {s: min(n, spec.task.rows.get(s, n)) for s, n in ROWS.items()},
                "max_length": min(MAX_LENGTH, spec.task.max_length),
            }
        ),
        "warm_start": (),
        "run_cap": _TRIALS,
        "budget": BudgetSpec(usd_per_gpu_hour=spec.budget.usd_per_gpu_hour),
        "finalists": None,
    }
    if spec.population is not None:
        changes["population"] = spec.population.model_copy(
            update={"size": _TRIALS, "interval": 1, "quantile_fraction": 0.5}
        )
    if spec.early_terminate is not None:
        changes["early_terminate"] = spec.early_terminate.model_copy(
            update={"min_iter": 1, "max_iter": None, "s": None}
        )
    return SweepSpec.model_validate({**spec.model_dump(), **_plain(changes)})


def _plain(changes: dict[str, Any]) -> dict[str, Any]:
    return {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in changes.items()}


def _two_points(parameters: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return a grid's parameters with two configurations: two values of the last searched name."""
    result = {}
    left = _TRIALS
    for name, raw in reversed(parameters.items()):
        domain = domain_keys.domain(raw)
        values = domain.grid(min(left, domain.grid_size() or left))
        result[name] = {"value": values[0]} if len(values) == 1 else {"values": list(values)}
        left = 1 if len(values) > 1 else left
    return dict(reversed(result.items()))
