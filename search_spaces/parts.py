"""The sections of a sweep file as frozen models: population, budget, resources, tracking and so on.

Here stands what each key may hold by itself; rules across keys are in `rules.py`, what is
searched in `parameters.py`, the task and its metric in `task_parts.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from search_spaces.domains import is_number
from search_spaces.errors import did_you_mean
from search_spaces.task_parts import (
    METRICS,
    SPLITS,
    DatasetSpec,
    MetricSpec,
    SplitFrom,
    SplitName,
    TaskSpec,
    canonical_metric,
    natural_goal,
)
from search_spaces.values import (
    NAME,
    Count,
    Part,
    Positive,
    Refusal,
    Seed,
    Share,
    Storage,
    StudyName,
    check,
    is_whole,
    seconds,
)

TRACKERS = ("none", "wandb", "tensorboard")


def _factors(value: Any) -> Any:
    fits = isinstance(value, list | tuple) and len(value) == 2 and all(map(is_number, value))
    if not fits or not 0 < value[0] < 1 < value[1]:
        raise Refusal("must be two factors, one between 0 and 1, one above 1", "write [0.8, 1.2]")
    return value


class PopulationSpec(Part):
    """Population-based training; `interval` in boundaries."""

    size: Annotated[StrictInt, Field(ge=2, le=100_000)] = 8
    interval: Count = 1
    quantile_fraction: Annotated[StrictFloat, Field(gt=0.0, le=0.5)] = 0.25
    resample_probability: Share = 0.25
    perturbation_factors: Annotated[tuple[float, float], BeforeValidator(_factors)] = (0.8, 1.2)
    synchronous: StrictBool = True


class EarlyTerminateSpec(Part):
    """Stopping trials early; W&B's keys. `min_iter` and `max_iter` in boundaries."""

    type: Literal["asha", "hyperband"] = "asha"
    min_iter: Count = 1
    max_iter: Count | None = None
    s: Count | None = None
    eta: Annotated[StrictFloat, Field(ge=2.0, le=100.0)] = 3.0


class BudgetSpec(Part):
    """How much the study may cost; None: no limit."""

    epochs: Positive | None = None
    wall_clock_s: Annotated[float | None, BeforeValidator(seconds)] = Field(
        default=None, alias="wall_clock"
    )
    gpu_hours: Positive | None = None
    usd_per_gpu_hour: Annotated[StrictFloat, Field(ge=0.0)] | None = None

    @property
    def is_limit(self) -> bool:
        """Whether any limit is set (a price is none)."""
        return any(v is not None for v in (self.epochs, self.wall_clock_s, self.gpu_hours))


class ResourcesSpec(Part):
    """What one trial takes, and how many run at once."""

    workers: Annotated[StrictInt, Field(ge=1, le=4096)] = 1
    cpus_per_worker: Annotated[StrictFloat, Field(gt=0.0, le=4096.0)] = 1.0
    gpus_per_worker: Annotated[
        Literal["auto"] | float,
        check(
            lambda v: v == "auto" or (is_number(v) and 0 <= v <= 1),
            "must be auto, 0, 1 or a fraction of one GPU",
            "for more GPUs a trial write workers: N, one GPU each",
        ),
    ] = "auto"
    max_concurrent: Annotated[
        Literal["auto"] | int,
        check(
            lambda v: v == "auto" or is_whole(v, 1),
            "must be auto or a whole number from 1 on",
            "write auto",
        ),
    ] = "auto"
    placement: Literal["pack", "strict_pack", "spread"] = "pack"


class FailuresSpec(Part):
    """Retries of a trial, failed trials at most, when memory runs out, and when a trial hangs."""

    max_retries: Annotated[StrictInt, Field(ge=0, le=1000)] = 2
    stop_after: Count | None = None
    on_oom: Literal["skip", "halve_batch"] = "skip"
    hung_after_s: Annotated[float | None, BeforeValidator(seconds)] = Field(
        default=None, alias="hung_after"
    )


class FinalistsSpec(Part):
    """The best `top_k` configurations are retrained on `seeds` new seeds each."""

    top_k: Count = 3
    seeds: Count = 5


def _backends(value: Any) -> Any:
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(b, str) for b in listed):
        raise Refusal("must be a list of trackers", f"known ones: {', '.join(TRACKERS)}")
    for name in listed:
        if name not in TRACKERS:
            raise Refusal(f"unknown tracker {name}", did_you_mean(name, TRACKERS, "Trackers"))
    return tuple(b for b in listed if b != "none")


def _named_or_false(*names: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value is False or value in names:
            return value
        raise Refusal(f"must be false or one of {', '.join(names)}", f"write {names[0]}")

    return BeforeValidator(check)


class TrackingSpec(Part):
    """Where runs are recorded beside the journal; no backend: nowhere else."""

    backends: Annotated[tuple[str, ...], BeforeValidator(_backends)] = ()
    project: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    entity: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    log_model: Annotated[Literal["best"] | bool, _named_or_false("best")] = False
    watch: Annotated[
        Literal["gradients", "parameters", "all"] | bool,
        _named_or_false("gradients", "parameters", "all"),
    ] = False
    tags: tuple[Annotated[StrictStr, Field(min_length=1, max_length=64)], ...] = ()
    eval_samples: Annotated[StrictInt, Field(ge=0, le=100_000)] = 0
    group: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None


__all__ = [
    "METRICS",
    "NAME",
    "SPLITS",
    "TRACKERS",
    "BudgetSpec",
    "Count",
    "DatasetSpec",
    "EarlyTerminateSpec",
    "FailuresSpec",
    "FinalistsSpec",
    "MetricSpec",
    "Part",
    "PopulationSpec",
    "Refusal",
    "ResourcesSpec",
    "Seed",
    "SplitFrom",
    "SplitName",
    "Storage",
    "StudyName",
    "TaskSpec",
    "TrackingSpec",
    "canonical_metric",
    "natural_goal",
    "seconds",
]
