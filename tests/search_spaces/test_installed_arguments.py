"""What is read from the source of TrainingArguments is what the library itself has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from search_spaces import SweepError, installed_arguments
from search_spaces.argument_tables import (
    FIXED,
    LIMITS,
    OTHER_NAMES,
    OWNED,
    RENAMED,
    SENSIBLE,
)
from search_spaces.arguments import TASK_NAMES, Objection, find
from search_spaces.mid_run import CAN_CHANGE

FIELDS = installed_arguments.installed_arguments()


def test_the_fields_are_those_that_the_library_itself_has() -> None:
    from transformers import TrainingArguments

    real = {f.name: f for f in dataclasses.fields(TrainingArguments)}
    assert list(FIELDS) == list(real)
    computed = {"optim"}  # from the torch version
    for name, field in real.items():
        if name not in computed and field.default is not dataclasses.MISSING:
            default = getattr(field.default, "value", field.default)
            assert FIELDS[name].default == default, name


def test_types_and_choices_are_read_from_annotations() -> None:
    assert FIELDS["learning_rate"].types == {"float"}
    assert FIELDS["per_device_train_batch_size"].types == {"int"}
    assert FIELDS["fp16"].types == {"bool"}
    assert FIELDS["tf32"].types == {"bool", "None"}
    assert FIELDS["lr_scheduler_kwargs"].types == {"dict", "str", "None"}
    assert FIELDS["eval_strategy"].choices == ("no", "steps", "epoch")
    assert "cosine" in FIELDS["lr_scheduler_type"].choices
    assert "adamw_torch" in FIELDS["optim"].choices
    assert FIELDS["optim"].default == "adamw_torch"


def test_every_table_speaks_of_fields_that_exist() -> None:
    for name in (*FIXED, *CAN_CHANGE, *LIMITS, *SENSIBLE):
        assert name in FIELDS or name in TASK_NAMES or name == "effective_batch_size", name
    for meant in OTHER_NAMES.values():
        assert not isinstance(find(meant), Objection), meant
    for renamed in RENAMED.values():
        assert not renamed.to or renamed.to in FIELDS or renamed.mend, renamed


def test_no_name_is_both_ours_and_searchable() -> None:
    assert not set(OWNED) & set(CAN_CHANGE)
    assert not set(OWNED) & set(FIXED)


@pytest.mark.parametrize("name", ["output_dir", "report_to", "hub_token", "max_steps", "deepspeed"])
def test_fields_that_move_files_leak_or_break_progress_are_ours(name: str) -> None:
    assert name in FIELDS
    assert isinstance(find(name), Objection)


def test_new_fields_of_a_new_version_are_seen_here_before_users_see_them() -> None:
    """Fields by what may be done with them; a new one makes this fail until someone decided."""
    free = set(FIELDS) - set(OWNED) - set(FIXED) - set(CAN_CHANGE)
    assert free == {
        "lr_scheduler_kwargs", "num_train_epochs", "optim", "optim_args", "optim_target_modules",
        "average_tokens_across_devices", "bf16", "fp16", "bf16_full_eval", "fp16_full_eval",
        "activation_checkpointing", "activation_checkpointing_kwargs", "gradient_checkpointing",
        "gradient_checkpointing_kwargs", "torch_compile", "torch_compile_mode",
        "use_liger_kernel", "liger_kernel_config", "use_cache", "neftune_noise_alpha",
        "torch_empty_cache_steps", "logging_strategy", "logging_steps", "logging_first_step",
        "logging_nan_inf_filter", "include_num_input_tokens_seen", "per_device_eval_batch_size",
        "eval_accumulation_steps", "seed", "data_seed", "dataloader_drop_last",
        "dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers",
        "dataloader_prefetch_factor", "dataloader_multiprocessing_context", "dataloader_in_order",
        "train_sampling_strategy", "ddp_find_unused_parameters", "ddp_bucket_cap_mb",
        "ddp_broadcast_buffers", "ddp_static_graph", "ddp_timeout", "fsdp", "fsdp_config",
    }  # fmt: skip


def test_without_transformers_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match="pip install transformers"):
        installed_arguments.installed_arguments.__wrapped__()


def test_a_source_that_is_no_python_is_an_error_with_a_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "training_args.py").write_text("class (")
    monkeypatch.setattr(installed_arguments, "_package", lambda: tmp_path)
    with pytest.raises(SweepError, match="cannot be read: training_args"):
        installed_arguments.installed_arguments.__wrapped__()


def test_a_source_without_training_arguments_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "training_args.py").write_text("x = 1")
    monkeypatch.setattr(installed_arguments, "_package", lambda: tmp_path)
    with pytest.raises(SweepError, match="has no TrainingArguments"):
        installed_arguments.installed_arguments.__wrapped__()
