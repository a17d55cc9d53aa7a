"""The task and the metric: what is trained, on what, and how it is measured.

Only what each key may hold by itself; rules across keys are in `rules_task.py`.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
)

from search_spaces.domains import is_number
from search_spaces.values import Count, Part, Refusal, check

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
        check(
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
