"""SweepSpec: a sweep file that was found right, as plain frozen data with the questions it answers.

It is not read here (`reading.py`) and nothing of it runs here. It goes into the study's folder as
JSON and to every process, so it holds only what JSON holds, and is rebuilt from that unchecked by
anything but the models: what was found right stays right on a machine with other versions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictStr

from search_spaces import arguments, domain_keys
from search_spaces.batch import split_batch
from search_spaces.errors import printable
from search_spaces.installed_arguments import installed_arguments
from search_spaces.parts import (
    BudgetSpec,
    Count,
    EarlyTerminateSpec,
    FailuresSpec,
    FinalistsSpec,
    MetricSpec,
    Part,
    PopulationSpec,
    ResourcesSpec,
    Seed,
    Storage,
    StudyName,
    TaskSpec,
    TrackingSpec,
)
from search_spaces.space import Config, Space

MODEL_DEFAULTS = {
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "attention_dropout": 0.1,
    "dropout": 0.1,
}
"""What most encoders' configurations hold; the model's own file is not read here."""
_FRACTION_SLACK = 0.01


class SweepSpec(Part):
    """One sweep: what is searched, how, and on what."""

    name: StudyName
    description: StrictStr = ""
    method: Literal["grid", "random", "bayes", "pbt"]
    sampler: Literal["auto", "gp", "tpe"] = "auto"
    default_first: StrictBool | None = None
    metric: MetricSpec = Field(default_factory=MetricSpec)
    seed: Seed = 42
    task: TaskSpec
    training_arguments: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    population: PopulationSpec | None = None
    early_terminate: EarlyTerminateSpec | None = None
    run_cap: Count | None = None
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    warm_start: tuple[dict[str, Any], ...] = ()
    resources: ResourcesSpec = Field(default_factory=ResourcesSpec)
    failures: FailuresSpec = Field(default_factory=FailuresSpec)
    finalists: FinalistsSpec | None = None
    tracking: TrackingSpec = Field(default_factory=TrackingSpec)
    storage: Storage = "studies"
    smoke: StrictBool = False

    @functools.cached_property
    def space(self) -> Space:
        """The searched names and their domains, in the file's order."""
        return Space({name: domain_keys.domain(raw) for name, raw in self.parameters.items()})

    def setting(self, config: Mapping[str, Any], name: str) -> Any:
        """Return the value in force of a training argument or of a dotted name into `task`.

        That is the configuration's, else the sweep file's constant, else the default of the
        installed TrainingArguments; None for what none of them knows.
        """
        if name in config:
            return config[name]
        if name == "seed":
            return self.seed
        if name.startswith("task."):
            return self._task_value(name)
        if name in self.training_arguments:
            return self.training_arguments[name]
        argument = installed_arguments().get(name)
        return argument.default if argument is not None else None

    def _task_value(self, name: str) -> Any:
        value: Any = self.task.model_dump()
        for step in name.split(".")[1:]:
            if not isinstance(value, dict) or step not in value:
                return MODEL_DEFAULTS.get(name.rpartition(".")[2])
            value = value[step]
        return value

    def epochs(self, config: Mapping[str, Any]) -> float:
        """Return the whole budget of a trial in epochs."""
        return float(self.setting(config, "num_train_epochs"))

    def boundaries(self, config: Mapping[str, Any], steps_per_epoch: float | None = None) -> int:
        """Return K, how many boundaries (evaluations) a trial has; at least 1.

        Args:
            config: the trial's configuration.
            steps_per_epoch: optimizer steps of an epoch; needed for a step count only.

        Raises:
            ValueError: `eval_steps` is a step count and steps_per_epoch is not given.
        """
        strategy = self.setting(config, "eval_strategy")
        if strategy == "no":
            return 1
        epochs = self.epochs(config)
        if strategy == "epoch":
            return max(1, math.ceil(epochs))
        # The Trainer takes logging_steps when eval_steps is missing or 0.
        every: float = self.setting(config, "eval_steps") or self.setting(config, "logging_steps")
        if every < 1:
            # 0.3333 is meant as a third: three boundaries, not four.
            return max(1, math.ceil(1.0 / every - _FRACTION_SLACK))
        if steps_per_epoch is None:
            raise ValueError(
                f"eval_steps is a step count ({every}), so the number of boundaries depends on "
                "the steps of an epoch, but got none"
            )
        return max(1, math.ceil(epochs * steps_per_epoch / every))

    @property
    def trial_limit(self) -> int | None:
        """How many trials there can be at most; None when only a budget ends the study."""
        if self.method == "grid":
            return self.space.grid_size()
        if self.method == "pbt":
            return self.population.size if self.population is not None else 1
        return self.run_cap

    @property
    def tries_default(self) -> bool:
        """Whether the default configuration is trained: trial 0, of a grid a control beside it.

        A grid does so only if the file says it: old ones have no such trial.
        """
        return self.method != "grid" if self.default_first is None else self.default_first

    def default_config(self) -> Config:
        """Return the default configuration, moved into the space.

        The default of a searched name is the constant of that name if the file has one, else the
        installed TrainingArguments' default, else (of a name that neither knows) the middle of a
        range or the first value.
        """
        return self.space.clip({name: self._default_of(name) for name in self.space})

    def _default_of(self, name: str) -> Any:
        if name == "effective_batch_size" and name not in self.training_arguments:
            per_device = self.setting({}, "per_device_train_batch_size")
            accumulation = self.setting({}, "gradient_accumulation_steps")
            return per_device * accumulation * self.resources.workers
        return self.setting({}, name)

    def task_for(self, config: Mapping[str, Any]) -> TaskSpec:
        """Return the task with the configuration's `task.` names applied.

        Raises:
            ValueError: one of them may not be searched: a specification and a configuration come
                from files, and what code runs is not for them to say.
        """
        data = self.task.model_dump()
        for name, value in config.items():
            if name.startswith("task."):
                self.refuse_constant(name)
                *parents, last = name.split(".")[1:]
                section = data
                for step in parents:
                    section = section.setdefault(step, {})
                section[last] = value
        return TaskSpec.model_validate(data)

    def refuse_constant(self, name: str) -> None:
        """Raise ValueError when a name into the task may not be searched in any study."""
        what = arguments.find(name) if name.startswith("task.") else None
        if isinstance(what, arguments.Objection):
            raise ValueError(f"{printable(name)} {what.rule}, got a configuration with it")

    def training_for(
        self, config: Mapping[str, Any], world_size: int = 1, at_most: int | None = None
    ) -> dict[str, Any]:
        """Return the TrainingArguments values: constants overlaid with the configuration's.

        `seed` is always there; `effective_batch_size` never is: it has become
        `per_device_train_batch_size` and `gradient_accumulation_steps`.

        Args:
            config: the trial's configuration.
            world_size: how many processes share a batch.
            at_most: rows of one pass on a device; what is more becomes accumulation, so that
                an optimizer step keeps its rows. Evaluation takes no more either.

        Raises:
            ValueError: the effective batch size cannot be shared by so many processes.
        """
        searched = {k: v for k, v in config.items() if not k.startswith("task.")}
        values = {"seed": self.seed, **self.training_arguments, **searched}
        effective = values.pop("effective_batch_size", None)
        if effective is not None:
            bound = values.get("per_device_train_batch_size")
            per_device, accumulation = split_batch(effective, world_size, bound)
            values["per_device_train_batch_size"] = per_device
            values["gradient_accumulation_steps"] = accumulation
        if at_most is not None:
            per_device, accumulation = self._batch(config, values)
            if per_device > at_most:
                per_device, accumulation = split_batch(per_device * accumulation, 1, at_most)
            values["per_device_train_batch_size"] = per_device
            values["gradient_accumulation_steps"] = accumulation
            evaluated = self.setting(config, "per_device_eval_batch_size") or at_most
            values["per_device_eval_batch_size"] = min(evaluated, at_most)
        return values

    def batch_for(self, config: Mapping[str, Any], at_most: int | None = None) -> tuple[int, int]:
        """Return the (per-device batch size, accumulation steps) that a configuration trains."""
        return self._batch(config, self.training_for(config, self.resources.workers, at_most))

    def _batch(self, config: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[int, int]:
        names = ("per_device_train_batch_size", "gradient_accumulation_steps")
        per_device, accumulation = (
            values[name] if name in values else self.setting(config, name) for name in names
        )
        return per_device, accumulation

    def shrunk(self) -> SweepSpec:
        """Return the same sweep as a smoke run: see `smoke.py`."""
        from search_spaces.smoke import shrunk

        return shrunk(self)


class Sweep(Part):
    """A sweep file that was read: the spec, what a person should know, and the file itself.

    Attributes:
        spec: the sweep.
        notes: what was translated or is not used, one sentence each.
        path: the file.
        source: its text as it was read, for the study's folder.
    """

    spec: SweepSpec
    notes: tuple[str, ...] = ()
    path: Path
    source: str
