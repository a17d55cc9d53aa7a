"""From a configuration to what trains, also in the middle of training.

Builds TrainingArguments and writes hyperparameters back after a resume; the Trainer itself is
built in `trial.py`. Which names may change mid-run at all is `search_spaces/mid_run.py`'s to say.

Resuming a Trainer brings back the *saved* learning rate, weight decay, betas and schedule with
the optimizer's and the scheduler's state (huggingface/transformers#9099), so after an exploit the
new configuration would do nothing. Enumerating what to repair would miss an optimizer's own
settings. Instead the optimizer and the schedule that the Trainer made from the current
configuration are recorded before it loads the saved ones, and what is a setting, not state, is
put back after.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import SchedulerType

from search_spaces import SweepSpec
from search_spaces.mid_run import METRIC_DRIVEN

REAPPLIED: dict[str, str] = {
    "learning_rate": "schedule",
    "warmup_steps": "schedule",
    "lr_scheduler_type": "schedule",
    "weight_decay": "optimizer",
    "adam_beta1": "optimizer",
    "adam_beta2": "optimizer",
    "adam_epsilon": "optimizer",
    "label_smoothing_factor": "trainer",
    "max_grad_norm": "trainer",
    "per_device_train_batch_size": "position",
    "gradient_accumulation_steps": "position",
    "effective_batch_size": "position",
}
"""How each name that may change mid-run is re-applied (dropout: with the model's configuration).

trainer: read from the new TrainingArguments by the new Trainer; position: the same, and the
place in the data is translated to the new steps; optimizer: written back into the parameter
groups; schedule: written back, and the schedule is put where the current step is.
"""

NOT_BEFORE = 2**62
"""A step that is never reached."""


def training_arguments(
    spec: SweepSpec,
    config: Mapping[str, Any],
    output_dir: Path,
    world_size: int = 1,
    batch_at_most: int | None = None,
    seed: int | None = None,
) -> TrainingArguments:
    """Return the Trainer's arguments for a configuration.

    Evaluation and saving are off: the boundaries do both. `load_best_model_at_end` keeps the
    file's value.

    Args:
        world_size: how many processes share a step.
        seed: what to train with; None: what the configuration or the study says.

    Raises:
        TypeError, ValueError: the values do not go together; in the library's words.
    """
    values = dict(spec.training_for(config, world_size, batch_at_most))
    if seed is not None:
        values["seed"] = seed
    schedule = values.pop("lr_scheduler_type", None)
    followed = schedule in METRIC_DRIVEN
    if schedule is not None and not followed:
        values["lr_scheduler_type"] = schedule
    values |= {
        "output_dir": str(output_dir),
        "eval_strategy": "no",
        "eval_on_start": False,
        "save_strategy": "no",
        "save_total_limit": None,
        "metric_for_best_model": spec.metric.name,
        "greater_is_better": spec.metric.goal == "maximize",
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
    }
    for name in ("eval_steps", "eval_delay", "save_steps"):
        values.pop(name, None)
    if values.get("fsdp"):
        # It would look for files of accelerate's in the best folder, and nobody uses what it loads.
        values["load_best_model_at_end"] = False
    if world_size > 1 and (values.get("use_cpu") or not torch.cuda.is_available()):
        # Without being told so, accelerate joins no processes that have no device.
        values |= {"use_cpu": True, "ddp_backend": "gloo"}
    arguments = TrainingArguments(**values)
    if followed:
        # The check that asks for an eval_strategy cannot know that the boundaries evaluate.
        arguments.lr_scheduler_type = SchedulerType(schedule)
    return arguments


def follows_metric(arguments: TrainingArguments) -> bool:
    """Whether the learning rate follows the metric instead of the progress."""
    return arguments.lr_scheduler_type.value in METRIC_DRIVEN


class ConfiguredTrainer(Trainer):
    """A Trainer that remembers what its arguments made of optimizer and schedule.

    Overrides the two public factory methods only; both run before a checkpoint is loaded.
    """

    configured_groups: list[dict[str, Any]]
    configured_schedule: dict[str, Any]

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LRScheduler:
        """Make the schedule; record it and the groups, which now hold `initial_lr` too."""
        schedule = super().create_scheduler(num_training_steps, optimizer)
        self.configured_groups = [
            {name: copy.copy(value) for name, value in group.items() if name != "params"}
            for group in self.optimizer.param_groups
        ]
        self.configured_schedule = copy.deepcopy(schedule.state_dict())
        return schedule


def reapply(trainer: ConfiguredTrainer, step: int, *, same_steps: bool) -> None:
    """Make the current configuration train, after the Trainer has loaded a checkpoint.

    Args:
        trainer: in `on_train_begin`.
        step: the optimizer step the trial stands at, in the current configuration's count.
        same_steps: whether the checkpoint was written by a run of as many steps. Then the saved
            schedule position holds: under fp16 it lags behind the step by the skipped ones.

    Raises:
        ValueError: the saved optimizer has other parameter groups than the configured one.
    """
    groups = trainer.optimizer.param_groups
    if len(groups) != len(trainer.configured_groups):
        raise ValueError(
            "the checkpoint's optimizer must have the parameter groups of the configured one, "
            f"but it has {len(groups)}, not {len(trainer.configured_groups)}"
        )
    followed = follows_metric(trainer.args)
    settings = _setting_names(trainer.optimizer)
    if followed:
        settings -= {"lr", "initial_lr"}
    for group, configured in zip(groups, trainer.configured_groups, strict=True):
        group.update({name: configured[name] for name in settings & configured.keys()})
    if followed:
        return  # where it stands is state: it depends on the metric's past
    schedule = trainer.lr_scheduler
    position = schedule.last_epoch if same_steps else step
    # One step short, then a step: the schedule computes its rates by its own function.
    schedule.load_state_dict(
        {**trainer.configured_schedule, "last_epoch": position - 1, "_step_count": position}
    )
    with warnings.catch_warnings():
        # It cannot know that the optimizer made its steps in another process.
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        schedule.step()


def _setting_names(optimizer: Any) -> set[str]:
    """What the optimizer's constructor takes; other entries of a group are state of its own."""
    inner = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    return {*inspect.signature(type(inner).__init__).parameters, "initial_lr"} - {"params"}
