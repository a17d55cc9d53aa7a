"""The sections of a sweep file as frozen models: metric, task, population, resources and so on.

Here stands what each key may hold by itself; rules across keys are in `rules.py`, what is
searched in `parameters.py`. A value that a model cannot take raises `Refusal` with rule and mend
in plain words, so that pydantic's own words never reach a user.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
)

from search_spaces.domains import is_number
from search_spaces.errors import did_you_mean

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
METRICS = (
    "accuracy",
    "f1",
    "precision",
    "recall",
    "matthews_correlation",
    "pearson",
    "spearman",
    "mse",
)
"""Metrics that the built-in task computes, beside the loss."""
MINIMIZED = ("loss", "mse", "mae", "rmse", "error", "perplexity", "wer", "cer")
"""Words at the end of a metric's name for which less is better."""
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
TRACKERS = ("none", "wandb", "tensorboard")


class Refusal(ValueError):
    """A value that a key cannot take: the rule, and how to mend it."""

    def __init__(self, rule: str, mend: str = "") -> None:
        self.rule = rule
        self.mend = mend
        super().__init__(rule)


def _check(holds: Callable[[Any], bool], rule: str, mend: str = "") -> BeforeValidator:
    def check(value: Any) -> Any:
        if not holds(value):
            raise Refusal(rule, mend)
        return value

    return BeforeValidator(check)


def _whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63


class Part(BaseModel):
    """Base of all sections: frozen, no unknown keys, written back under the file's own keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )


Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Share = Annotated[StrictFloat, Field(ge=0.0, le=1.0)]
Positive = Annotated[StrictFloat, Field(gt=0.0)]


def canonical_metric(name: str) -> str:
    """Return the Trainer's name of a metric: `accuracy` and `eval/accuracy` are `eval_accuracy`."""
    bare = name.removeprefix("eval/").removeprefix("eval_")
    return f"eval_{bare}"


def natural_goal(name: str) -> Literal["maximize", "minimize"]:
    """Return the goal that a metric's name suggests."""
    return "minimize" if name.lower().endswith(MINIMIZED) else "maximize"


def _metric_name(value: Any) -> Any:
    if isinstance(value, str):
        if not re.match(r"[A-Za-z0-9][\w./-]{0,127}\Z", value):
            raise Refusal("must be a metric's name", "write for instance accuracy or eval_loss")
        if value.startswith(("train/", "train_", "test/", "test_")):
            raise Refusal(
                "must be a metric of the evaluation",
                f"write eval_{re.split('[/_]', value, maxsplit=1)[1]}",
            )
        return canonical_metric(value)
    return value


class MetricSpec(Part):
    """What is optimised; `name` as the Trainer logs it (`eval_accuracy`)."""

    name: Annotated[StrictStr, BeforeValidator(_metric_name)] = "eval_accuracy"
    goal: Literal["maximize", "minimize"] = "maximize"

    @property
    def sign(self) -> float:
        """+1.0 when more is better, -1.0 when less is."""
        return 1.0 if self.goal == "maximize" else -1.0

    def better(self, a: float | None, b: float | None) -> bool:
        """Return whether value a is strictly better than b.

        None and NaN (an evaluation that is not finite) are worse than every number.
        """
        if a is None or math.isnan(a):
            return False
        if b is None or math.isnan(b):
            return True
        return a * self.sign > b * self.sign


class SplitFrom(Part):
    """A split that is carved from another one, stratified and seeded.

    `size` is a number of rows, or below 1 a fraction of `from_split`.
    """

    from_split: StrictStr = Field(alias="from")
    size: Annotated[
        StrictInt | StrictFloat,
        _check(
            lambda v: is_number(v) and v > 0 and (v < 1 or isinstance(v, int)),
            "must be a number of rows, or a fraction below 1",
            "write for instance 277 or 0.1",
        ),
    ]


def _split(value: Any) -> Any:
    if isinstance(value, str | dict | SplitFrom):
        return value
    raise Refusal("must be a split's name, or {from, size}", "write {from: train, size: 0.1}")


def _usual_splits(splits: dict[SplitName, str | SplitFrom]) -> dict[SplitName, str | SplitFrom]:
    return {"train": "train", "validation": "validation", **splits}


def _columns(value: Any) -> Any:
    columns = (value,) if isinstance(value, str) else value
    fits = isinstance(columns, list | tuple) and all(isinstance(c, str) and c for c in columns)
    if not fits or len(columns) > 2:
        raise Refusal("must be one text column or two", "write [sentence1, sentence2]")
    return tuple(columns)


def _data_files(value: Any) -> Any:
    if value is None:
        return {}
    parts = {"train": value} if isinstance(value, str | list | tuple) else value
    rule = "must be a file, a list of files, or {split: files}"
    mend = "write {train: train.jsonl, validation: validation.jsonl}"
    if not isinstance(parts, dict):
        raise Refusal(rule, mend)
    result = {}
    for split, files in parts.items():
        listed = [files] if isinstance(files, str) else files
        if not isinstance(listed, list | tuple) or not listed:
            raise Refusal(rule, mend)
        if not all(isinstance(f, str) and f for f in listed):
            raise Refusal(rule, mend)
        result[split] = tuple(listed)
    return result


class DatasetSpec(Part):
    """Where the rows come from: what `datasets.load_dataset` takes, or a saved folder."""

    path: StrictStr = ""
    name: StrictStr | None = None
    revision: StrictStr = "main"
    data_files: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_data_files)] = Field(
        default_factory=dict
    )
    text: Annotated[tuple[str, ...], BeforeValidator(_columns)] = ()
    label: Annotated[StrictStr, Field(min_length=1)] = "label"
    splits: Annotated[
        dict[
            SplitName,
            Annotated[
                Annotated[StrictStr, Tag("<named>")] | Annotated[SplitFrom, Tag("<carved>")],
                Discriminator(lambda v: "<named>" if isinstance(v, str) else "<carved>"),
                BeforeValidator(_split),
            ],
        ],
        AfterValidator(_usual_splits),
    ] = Field(default_factory=lambda: _usual_splits({}))


class TaskSpec(Part):
    """What is trained, on what, and how it is measured.

    `weights: random` takes the model's configuration only and starts from random weights;
    `smoke` (set only by `SweepSpec.shrunk`) asks for a tiny random model of the same
    architecture; `rows` are limits by split, taken from the front after a seeded shuffle;
    `options` is free, for a task from a person's own file.
    """

    type: StrictStr = "text-classification"
    model: StrictStr = ""
    revision: StrictStr = "main"
    weights: Literal["pretrained", "random"] = "pretrained"
    dataset: DatasetSpec = Field(default_factory=DatasetSpec)
    max_length: Annotated[StrictInt, Field(ge=4, le=1_000_000)] = 128
    metrics: tuple[StrictStr, ...] = ()
    model_config_overrides: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    problem: Literal["auto", "single_label", "multi_label", "regression"] = "auto"
    trust_remote_code: StrictBool = False
    rows: dict[SplitName, Count] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    smoke: StrictBool = False

    @property
    def is_own_file(self) -> bool:
        """Whether the task comes from a person's own Python file (`my_task.py:build`)."""
        return ".py:" in self.type


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


_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)\s*d)?\s*(?:(?P<h>\d+(?:\.\d+)?)\s*h)?\s*"
    r"(?:(?P<m>\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(?P<s>\d+(?:\.\d+)?)\s*s)?\Z"
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(value: Any) -> Any:
    """Return a duration in seconds: a number of them, or text like 2h, 1h30m, 45 min, 1.5d.

    Raises:
        Refusal: value is neither, or is not above 0.
    """
    if value is None:
        return None
    total = 0.0
    if is_number(value):
        total = float(value)
    elif isinstance(value, str) and len(value) < 100 and (found := _DURATION.match(value.strip())):
        total = sum(_SECONDS[unit] * float(n) for unit, n in found.groupdict().items() if n)
    if not 0.0 < total < 1e10:
        raise Refusal("must be a duration above 0", "write for instance 2h, 90m or 1h30m")
    return total


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
        _check(
            lambda v: v == "auto" or (is_number(v) and 0 <= v <= 1),
            "must be auto, 0, 1 or a fraction of one GPU",
            "for more GPUs a trial write workers: N, one GPU each",
        ),
    ] = "auto"
    max_concurrent: Annotated[
        Literal["auto"] | int,
        _check(
            lambda v: v == "auto" or _whole(v, 1),
            "must be auto or a whole number from 1 on",
            "write auto",
        ),
    ] = "auto"
    placement: Literal["pack", "strict_pack", "spread"] = "pack"


class FailuresSpec(Part):
    """Retries of a trial, failed trials at most, and what to do when memory runs out."""

    max_retries: Annotated[StrictInt, Field(ge=0, le=1000)] = 2
    stop_after: Count | None = None
    on_oom: Literal["skip", "halve_batch"] = "skip"


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


def study_name(value: Any) -> Any:
    """Return value when it may name a study and its folder.

    Raises:
        Refusal: it does not match NAME.
    """
    if not isinstance(value, str) or not NAME.match(value):
        raise Refusal(
            "must begin with a letter or digit and hold up to 64 letters, digits, `.`, `_` and `-`",
            "write for instance rte-pbt",
        )
    return value


def storage_folder(value: Any) -> Any:
    """Return value when it is a relative folder below the working directory.

    Raises:
        Refusal: it is absolute, leads upwards, or is not a folder's name.
    """
    mend = "write a relative folder such as studies; an absolute one only by --storage"
    if not isinstance(value, str) or not value.strip() or len(value) > 1024:
        raise Refusal("must be a folder", mend)
    parts = re.split(r"[/\\]", value)
    if value.startswith(("/", "\\", "~")) or ":" in value or ".." in parts:
        raise Refusal("must be a relative folder that does not lead upwards", mend)
    return value


def study_seed(value: Any) -> Any:
    """Return value when every library takes it as a seed: 0 to 2**32 - 1.

    Raises:
        Refusal: it is not such a whole number.
    """
    if not _whole(value, 0) or value >= 2**32:
        raise Refusal("must be a whole number from 0 to 4294967295", "write for instance 42")
    return value


StudyName = Annotated[StrictStr, BeforeValidator(study_name)]
Storage = Annotated[StrictStr, BeforeValidator(storage_folder)]
Seed = Annotated[StrictInt, BeforeValidator(study_seed)]
