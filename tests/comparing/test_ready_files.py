"""The ready files for comparisons: the same work and the same epochs, spent in three ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import SplitFrom
from sweeps.comparing.entries import read_work
from sweeps.comparing.epochs import planned, unequal
from sweeps.comparing.likeness import notes, require_alike
from sweeps.comparing.manifest import read_manifest, write_manifest
from sweeps.comparing.opening import make_manifest

SPACES = Path(__file__).parents[2] / "spaces"


@pytest.mark.parametrize(("name", "trials"), [("quickstart", 4), ("sst2", 8)])
def test_three_ready_files_spend_the_same_epochs_on_the_same_work(name: str, trials: int) -> None:
    files = [str(SPACES / f"{name}_{method}.yaml") for method in ("grid", "bayes", "pbt")]
    work = read_work(files, storage=Path("studies"))
    require_alike(work)
    plans = {entry.key: planned(entry.spec) for entry in work.entries}
    assert unequal(plans) is None
    assert {(plan.trials, plan.high) for plan in plans.values()} == {(trials, 16)}
    assert notes(work) == []


def test_sst2_files_carve_a_test_split_from_train_and_train_on_600_rows() -> None:
    files = [str(SPACES / f"sst2_{method}.yaml") for method in ("grid", "bayes", "pbt")]
    for entry in read_work(files, storage=Path("studies")).entries:
        splits = entry.spec.task.dataset.splits
        assert splits["test"] == SplitFrom(from_split="train", size=872)
        assert entry.spec.task.rows == {"train": 600}


@pytest.mark.parametrize("name", ["quickstart", "sst2"])
def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    files = [str(SPACES / f"{name}_{method}.yaml") for method in ("grid", "bayes", "pbt")]
    work = read_work(files, storage=tmp_path, budget_epochs=32, control=True)
    manifest = make_manifest("toy", work, (1, 2), 32, tmp_path)
    write_manifest(tmp_path / "toy", manifest)
    assert read_manifest(tmp_path / "toy") == manifest
    assert [entry.key for entry in work.entries] == ["grid", "bayes", "pbt", "random"]
