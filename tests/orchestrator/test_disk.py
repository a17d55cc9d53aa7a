"""The estimate of a study's disk, what it refuses, and the reserve that stays free."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from orchestrator import disk
from orchestrator.errors import DiskFull
from tests.sweeps.studies import population_spec, spec

MIB = 1 << 20
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that the disk has free; a test changes the one item."""
    room = [10**12]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, room[0]))
    return room


@pytest.mark.parametrize(
    ("optimizer", "bytes_each"),
    [("adamw_torch_fused", 12), ("adamw_torch", 12), ("adamw_8bit", 6), ("sgd", 4),
     ("adafactor", 4), ("lion_32bit", 8), ("galore_adamw", 12)],
)  # fmt: skip
def test_a_checkpoint_holds_weights_and_optimizer_state(optimizer: str, bytes_each: int) -> None:
    asked = spec(training_arguments={"num_train_epochs": 2, "optim": optimizer})
    assert disk.checkpoint_bytes(asked, 1000) == (1000 * bytes_each,) * 2


def test_what_is_kept_for_certain_is_the_smallest_and_what_may_be_the_largest() -> None:
    asked = spec(parameters={"optim": {"values": ["sgd", "adamw_torch"]}})
    assert disk.checkpoint_bytes(asked, 1000) == (4000, 12_000)
    found = disk.need(asked, parameters=1000, slots=2, smallest=100)
    assert (found.bytes_kept, found.bytes_most) == (2 * 400, 8 * 12_000)
    of_any_size = {"task.model_config.num_hidden_layers": {"values": [2, 4]}}
    found = disk.need(spec(parameters=of_any_size), parameters=1000, slots=2, smallest=1000)
    assert (found.bytes_kept, found.bytes_most) == (0, 8 * 12_000)


@pytest.mark.parametrize(
    ("keys", "kept", "most"),
    [
        ({"run_cap": 500, "budget": {"epochs": 20}}, 10, 10 + 6),
        ({"run_cap": 5, "budget": {"epochs": 20}}, 5, 5 + 6),
        ({"run_cap": None, "budget": {"epochs": 20}}, 10, 10 + 6),
        ({"run_cap": 500, "budget": {"wall_clock_s": 60}}, 1, 500 + 6),
        ({"run_cap": 500, "budget": {"gpu_hours": 1, "epochs": 20}}, 1, 10 + 6),
        ({"run_cap": 500, "budget": {"epochs": 1}}, 1, 1 + 3),
        ({"run_cap": 500, "budget": {"epochs": 20},
          "early_terminate": {"type": "asha", "min_iter": 1, "eta": 2}}, 10, 500 + 6),
    ],
)  # fmt: skip
def test_no_more_trials_keep_a_checkpoint_than_the_budgets_allow(
    keys: dict[str, Any], kept: int, most: int
) -> None:
    found = disk.need(spec(**keys), parameters=1000, slots=2)
    assert (found.kept, found.most) == (kept, most)


def test_trials_of_several_lengths_are_counted_as_the_longest_for_certain() -> None:
    lengths = {"num_train_epochs": {"values": [1, 2, 4]}}
    asked = spec(parameters=lengths, run_cap=500, budget={"epochs": 20})
    found = disk.need(asked, parameters=1000, slots=1)
    assert (found.kept, found.most) == (5, 19 + 3)


def test_a_study_that_its_budget_ends_in_time_is_not_refused(
    tmp_path: Path, free: list[int]
) -> None:
    asked = spec(run_cap=500, budget={"epochs": 20})
    free[0] = 40 << 30
    assert disk.require_room(tmp_path, disk.need(asked, 110_000_000, slots=2)) is None


def test_every_trial_keeps_one_and_those_that_run_more() -> None:
    found = disk.need(spec(run_cap=20), parameters=1000, slots=2)
    assert (found.kept, found.most) == (20, 26)
    assert (found.bytes_kept, found.bytes_most) == (20 * 12_000, 26 * 12_000)
    members = disk.need(population_spec(), parameters=1000, slots=1)
    assert (members.kept, members.most) == (2, 8)


def test_a_study_that_cannot_fit_is_refused_with_path_needed_and_free(
    tmp_path: Path, free: list[int]
) -> None:
    needed = disk.Need(checkpoint=100 * MIB, smallest=100 * MIB, kept=20, most=26)
    free[0] = 1000 * MIB
    with pytest.raises(DiskFull) as refused:
        disk.require_room(tmp_path / "study", needed)
    assert refused.value.exit_code == 6
    for words in (str(tmp_path / "study"), "need 2,000 MiB", "20 of 100 MiB", "1,000 MiB are free"):
        assert words in str(refused.value)
    free[0] = 2300 * MIB
    assert "may get full" in (disk.require_room(tmp_path / "study", needed) or "")
    free[0] = 3000 * MIB
    assert disk.require_room(tmp_path / "study", needed) is None


def test_what_a_resumed_study_has_already_is_not_needed_again(
    tmp_path: Path, free: list[int]
) -> None:
    there = tmp_path / "trials" / "0000" / "checkpoints" / "boundary-00001-segment-0000"
    there.mkdir(parents=True)
    (there / "model.safetensors").write_bytes(b"0" * 3 * MIB)
    free[0] = disk.reserve(tmp_path) + MIB
    disk.require_room(tmp_path, disk.Need(checkpoint=MIB, smallest=MIB, kept=4, most=4))
    with pytest.raises(DiskFull, match="less what stands there"):
        disk.require_room(tmp_path, disk.Need(checkpoint=MIB, smallest=MIB, kept=5, most=5))


def test_the_reserve_is_small_on_a_small_disk_and_must_stay_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for total, held in ((10**13, 64 * MIB), (100 * MIB, 2 * MIB)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, t=total, h=held: Usage(t, 0, h - 1))
        with pytest.raises(DiskFull, match=r"almost full.*\n.*sweep resume"):
            disk.require_reserve(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, t=total, h=held: Usage(t, 0, h))
        disk.require_reserve(tmp_path)


def test_a_model_of_unknown_size_needs_nothing_but_the_reserve(
    tmp_path: Path, free: list[int]
) -> None:
    needed = disk.need(spec(), parameters=0, slots=2)
    assert disk.require_room(tmp_path, needed) is None
    free[0] = 0
    with pytest.raises(DiskFull):
        disk.require_reserve(tmp_path)


def test_the_parameters_of_a_model_folder_are_counted_from_its_headers(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    for number, shape in enumerate(((3, 4), (5,))):
        save_file({"a": torch.zeros(shape)}, tmp_path / f"model-0000{number}-of-2.safetensors")
    assert disk.stored_parameters(str(tmp_path)) == 17
    assert disk.stored_parameters("some/name-on-the-hub") is None
    (tmp_path / "model-00000-of-2.safetensors").write_bytes(b"\xff" * 20)
    assert disk.stored_parameters(str(tmp_path)) is None
