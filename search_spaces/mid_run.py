"""Which names may change while a trial trains: what population-based training may search.

Data, with the reason for each family that may not. How each is applied to a running Trainer is
the orchestrator's business (orchestrator/hyperparameters.py); a name stands in CAN_CHANGE only
because it is re-applied there.
"""

from __future__ import annotations

import re

CAN_CHANGE = (
    "learning_rate",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "label_smoothing_factor",
    "max_grad_norm",
    "warmup_steps",
    "lr_scheduler_type",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "effective_batch_size",
)
"""Training arguments that are re-applied after every exploit."""

DROPOUT = re.compile(r"task\.model_config\.\w*(?:dropout|pdrop|drop_rate|drop_path)\w*\Z")
"""Probabilities of the model's own layers; they have no weights, so a donor's still fit."""

METRIC_DRIVEN = ("reduce_lr_on_plateau", "greedy")
"""Schedules that follow a metric: they have no value at a given progress."""

_WHY_NOT: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (r"num_train_epochs\Z", "members are compared at the same fraction of one common budget"),
        (r"seed\Z|data_seed\Z", "it is used once, at the start"),
        (
            r"optim",
            "a donor's optimizer state would not fit another optimizer",
        ),
        (
            r"task\.(model|revision|weights)\Z|task\.model_config\.",
            "a donor's weights would not fit another model",
        ),
        (r"task\.", "the data is prepared once, before the start"),
        (r"bf16|fp16|torch_compile|use_liger", "it is fixed when the model is built"),
    )
)


def can_change(name: str) -> bool:
    """Return whether a searched name may change while a trial trains."""
    return name in CAN_CHANGE or DROPOUT.match(name) is not None


def why_not(name: str) -> str:
    """Return why a name that cannot change mid-run cannot."""
    for pattern, why in _WHY_NOT:
        if pattern.match(name):
            return why
    return "it is read once, when training starts"
