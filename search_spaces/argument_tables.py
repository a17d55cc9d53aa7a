"""What we know about training arguments beyond their types: data, no code.

Which of them are ours and what to write instead, which were renamed or removed, what people call
them elsewhere, which values make sense. Names are looked up here only after the installed version
was asked: a renamed name that the installed version still has is simply a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

_FILES = "the study's folder holds all files: use storage and name"
_HUB = "nothing is uploaded while searching: export with `sweep best STUDY --export DIR`, then push"
_TRACKING = "use tracking"
_EVAL = "evaluations happen at boundaries: use eval_strategy and eval_steps"

OWNED: dict[str, str] = {
    "output_dir": _FILES,
    "run_name": "use name at the top of the file",
    "report_to": "use tracking: {backends: [wandb]}",
    "logging_dir": _FILES,
    "project": "use tracking: {project: ...}",
    "trackio_space_id": _TRACKING,
    "trackio_bucket_id": _TRACKING,
    "trackio_static_space_id": _TRACKING,
    "log_level": "each trial's log is in trials/<id>/log.txt, whatever the level",
    "log_level_replica": "each trial's log is in trials/<id>/log.txt, whatever the level",
    "log_on_each_node": "each trial's log is in trials/<id>/log.txt",
    "disable_tqdm": "the live view shows progress: `sweep run --plain` for lines",
    "resume_from_checkpoint": "a study is resumed by `sweep resume`",
    "restore_callback_states_from_checkpoint": "a study is resumed by `sweep resume`",
    "ignore_data_skip": "a trial resumes at the exact row, always",
    "push_to_hub": _HUB,
    "hub_token": _HUB,
    "hub_private_repo": _HUB,
    "hub_model_id": _HUB,
    "hub_strategy": _HUB,
    "hub_always_push": _HUB,
    "hub_revision": _HUB,
    "local_rank": "use resources: {workers: N}",
    "parallelism_config": "use resources: {workers: N}",
    "deepspeed": "it is not supported: use resources: {workers: N} and fsdp",
    "ddp_backend": "it follows from the hardware: use resources",
    "max_steps": "position is a fraction of the epochs: use num_train_epochs",
    "auto_find_batch_size": "use failures: {on_oom: halve_batch}",
    "enable_jit_checkpoint": "checkpoints are committed at every boundary anyway",
    "save_only_model": "a trial needs its optimizer to go on: leave it out",
    "save_on_each_node": "leave it out: rank 0 saves",
    "eval_delay": _EVAL,
    "eval_on_start": _EVAL,
    "do_train": "a trial trains: leave it out",
    "do_eval": _EVAL,
    "do_predict": "the test split is evaluated once, at the end: leave it out",
    "prediction_loss_only": "the metric needs predictions: leave it out",
    "batch_eval_metrics": "metrics are computed over the whole split: leave it out",
    "include_for_metrics": "metrics take predictions and labels: leave it out",
    "eval_use_gather_object": "the task's predictions are arrays: leave it out",
    "eval_do_concat_batches": "metrics are computed over the whole split: leave it out",
    "remove_unused_columns": "the task prepares the columns: leave it out",
    "label_names": "use task: {dataset: {label: ...}}",
    "length_column_name": "the task prepares the columns: leave it out",
    "debug": "leave it out: use `sweep run --smoke` to try a file",
    "skip_memory_metrics": "leave it out: memory is in the report",
    "accelerator_config": "it is not supported: use resources and gradient_accumulation_steps",
}
"""Fields that a sweep file may not set -> what to write instead."""

FIXED = {
    name: "is a constant of the study: what is compared must be measured alike"
    for name in (
        "eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit",
        "load_best_model_at_end", "metric_for_best_model", "greater_is_better",
    )
} | {
    name: "is a switch of the whole process, in which other trials run too"
    for name in ("tf32", "full_determinism", "use_cpu", "torch_compile_backend")
}  # fmt: skip
"""Fields that may be set but not searched -> why."""


@dataclass(frozen=True)
class Renamed:
    """A field of older versions.

    Attributes:
        to: the name to use now, "" when there is none.
        values: how old values translate; None takes them as they are.
        mend: what to do when it cannot be translated.
    """

    to: str = ""
    values: dict[Any, Any] | None = None
    mend: str = ""


RENAMED: dict[str, Renamed] = {
    "evaluation_strategy": Renamed("eval_strategy"),
    "per_gpu_train_batch_size": Renamed("per_device_train_batch_size"),
    "per_gpu_eval_batch_size": Renamed("per_device_eval_batch_size"),
    "no_cuda": Renamed("use_cpu"),
    "xpu_backend": Renamed("ddp_backend"),
    "torchdynamo": Renamed("torch_compile_backend"),
    "gradient_checkpointing": Renamed("activation_checkpointing"),
    "gradient_checkpointing_kwargs": Renamed("activation_checkpointing_kwargs"),
    # Below 1 it is a fraction; a ratio of 1 would become one step.
    "warmup_ratio": Renamed("warmup_steps", mend="write warmup_steps, below 1: a fraction"),
    "adafactor": Renamed(
        "optim", {True: "adafactor", False: "adamw_torch"}, mend="write optim: adafactor"
    ),
    "group_by_length": Renamed(
        "train_sampling_strategy",
        {True: "group_by_length", False: "random"},
        mend="write train_sampling_strategy: group_by_length",
    ),
    "save_safetensors": Renamed(mend="remove it: weights are always safetensors"),
    "overwrite_output_dir": Renamed(mend="remove it: a study's folder is never overwritten"),
    "fp16_opt_level": Renamed(mend="write fp16: true or bf16: true"),
    "fp16_backend": Renamed(mend="write fp16: true or bf16: true"),
    "half_precision_backend": Renamed(mend="write fp16: true or bf16: true"),
    "use_mps_device": Renamed(mend="remove it: the device is found by itself"),
    "sharded_ddp": Renamed(mend="write fsdp"),
    "fsdp_min_num_params": Renamed(mend="write fsdp_config: {min_num_params: N}"),
    "fsdp_transformer_layer_cls_to_wrap": Renamed(
        mend="write fsdp_config: {transformer_layer_cls_to_wrap: [...]}"
    ),
    "dispatch_batches": Renamed(mend="remove it"),
    "split_batches": Renamed(mend="remove it: use effective_batch_size"),
    "jit_mode_eval": Renamed(mend="remove it"),
    "use_ipex": Renamed(mend="remove it"),
    "ray_scope": Renamed(mend="remove it: use metric and method"),
    "include_inputs_for_metrics": Renamed(mend="remove it"),
    "include_tokens_per_second": Renamed(mend="write include_num_input_tokens_seen"),
    "tpu_num_cores": Renamed(mend="remove it"),
    "tpu_metrics_debug": Renamed(mend="remove it"),
    "past_index": Renamed(mend="remove it"),
    "mp_parameters": Renamed(mend="remove it"),
    "push_to_hub_model_id": Renamed(mend=_HUB),
    "push_to_hub_organization": Renamed(mend=_HUB),
    "push_to_hub_token": Renamed(mend=_HUB),
}
"""Names that the installed version does not have any more."""

OTHER_NAMES: dict[str, str] = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "learningrate": "learning_rate",
    "wd": "weight_decay",
    "batch_size": "per_device_train_batch_size",
    "train_batch_size": "per_device_train_batch_size",
    "bs": "per_device_train_batch_size",
    "eval_batch_size": "per_device_eval_batch_size",
    "total_batch_size": "effective_batch_size",
    "global_batch_size": "effective_batch_size",
    "epochs": "num_train_epochs",
    "epoch": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "max_epochs": "num_train_epochs",
    "n_epochs": "num_train_epochs",
    "warmup": "warmup_steps",
    "num_warmup_steps": "warmup_steps",
    "warmup_proportion": "warmup_steps",
    "optimizer": "optim",
    "scheduler": "lr_scheduler_type",
    "lr_scheduler": "lr_scheduler_type",
    "schedule": "lr_scheduler_type",
    "beta1": "adam_beta1",
    "beta2": "adam_beta2",
    "epsilon": "adam_epsilon",
    "eps": "adam_epsilon",
    "clip": "max_grad_norm",
    "grad_clip": "max_grad_norm",
    "gradient_clip_val": "max_grad_norm",
    "grad_norm": "max_grad_norm",
    "label_smoothing": "label_smoothing_factor",
    "accumulation_steps": "gradient_accumulation_steps",
    "accumulate_grad_batches": "gradient_accumulation_steps",
    "grad_accum": "gradient_accumulation_steps",
    "dropout": "task.model_config.hidden_dropout_prob",
    "hidden_dropout_prob": "task.model_config.hidden_dropout_prob",
    "attention_probs_dropout_prob": "task.model_config.attention_probs_dropout_prob",
    "model": "task.model",
    "model_name": "task.model",
    "model_name_or_path": "task.model",
    "max_length": "task.max_length",
    "max_len": "task.max_length",
    "max_seq_length": "task.max_length",
    "precision": "bf16",
    "random_seed": "seed",
}
"""What other tools and scripts call them, too far away for a spelling check."""


@dataclass(frozen=True)
class Bounds:
    """low to high; `open` names the ends that do not belong: "", "low", "high" or "both"."""

    low: float
    high: float
    open: Literal["", "low", "high", "both"] = ""

    def contains(self, value: float) -> bool:
        """Return whether value lies within."""
        above = value > self.low if self.open in ("low", "both") else value >= self.low
        below = value < self.high if self.open in ("high", "both") else value <= self.high
        return above and below

    def __str__(self) -> str:
        low = "above" if self.open in ("low", "both") else "at least"
        high = "below" if self.open in ("high", "both") else "at most"
        parts = [f"{low} {_plain(self.low)}"] if self.low != -_INF else []
        parts += [f"{high} {_plain(self.high)}"] if self.high != _INF else []
        return " and ".join(parts)


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"


_INF = float("inf")
_SEED = Bounds(0, 2**32 - 1)
_NOT_NEGATIVE = Bounds(0, _INF)
_ONE_OR_MORE = Bounds(1, _INF)
_POSITIVE = Bounds(0, _INF, "low")
_PROBABILITY = Bounds(0, 1)

LIMITS: dict[str, Bounds] = {
    "learning_rate": _NOT_NEGATIVE,
    "weight_decay": _NOT_NEGATIVE,
    "adam_beta1": Bounds(0, 1, "high"),
    "adam_beta2": Bounds(0, 1, "high"),
    "adam_epsilon": _NOT_NEGATIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "label_smoothing_factor": _PROBABILITY,
    "per_device_train_batch_size": _ONE_OR_MORE,
    "per_device_eval_batch_size": _ONE_OR_MORE,
    "effective_batch_size": _ONE_OR_MORE,
    "gradient_accumulation_steps": _ONE_OR_MORE,
    "num_train_epochs": _POSITIVE,
    "warmup_steps": _NOT_NEGATIVE,
    "neftune_noise_alpha": _NOT_NEGATIVE,
    "eval_steps": _POSITIVE,
    "save_steps": _POSITIVE,
    "logging_steps": _POSITIVE,
    "save_total_limit": _ONE_OR_MORE,
    "eval_accumulation_steps": _ONE_OR_MORE,
    "torch_empty_cache_steps": _ONE_OR_MORE,
    "dataloader_num_workers": _NOT_NEGATIVE,
    "dataloader_prefetch_factor": _ONE_OR_MORE,
    "ddp_timeout": _ONE_OR_MORE,
    "seed": _SEED,
    "data_seed": _SEED,
    "task.max_length": Bounds(4, 1_000_000),
}
"""Outside of these a library raises, or nothing can be trained."""

SENSIBLE: dict[str, Bounds] = {
    "learning_rate": Bounds(0, 1, "both"),
    "weight_decay": Bounds(0, 1),
    "adam_epsilon": Bounds(0, 0.1, "low"),
    "adam_beta1": Bounds(0.1, 1, "high"),
    "adam_beta2": Bounds(0.5, 1, "high"),
    "label_smoothing_factor": Bounds(0, 0.9),
    "max_grad_norm": Bounds(0, 1e4),
    "per_device_train_batch_size": Bounds(1, 16384),
    "per_device_eval_batch_size": Bounds(1, 65536),
    "effective_batch_size": Bounds(1, 4_194_304),
    "gradient_accumulation_steps": Bounds(1, 65536),
    "num_train_epochs": Bounds(0, 1000),
    "warmup_steps": Bounds(0, 10_000_000),
    "neftune_noise_alpha": Bounds(0, 100),
    "dataloader_num_workers": Bounds(0, 128),
    "task.max_length": Bounds(4, 131072),
}
"""Outside of these a value is most likely a slip; `--force` lets it through."""

DROPOUT_LIMITS = _PROBABILITY
DROPOUT_SENSIBLE = Bounds(0, 0.9)
