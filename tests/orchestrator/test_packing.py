"""How many trials fit on a GPU: the largest configuration, its longest rows, and the arithmetic."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import packing
from orchestrator.errors import StudyError, Unfit
from orchestrator.packing import Fit, Longest, largest_configs, measure, train_steps
from tests.integration.conftest import toy

GB = 10**9


@pytest.mark.parametrize(
    ("peak", "trials", "share"),
    [
        (10 * GB, 7, 0.14),
        (40 * GB, 1, 1.0),
        (36 * GB, 2, 0.5),
        (75 * GB, 0, 1.0),
        (8 * GB, 9, 0.11),
    ],
)
def test_as_many_trials_fit_as_their_peaks_leave_a_tenth_free(
    peak: int, trials: int, share: float
) -> None:
    fit = Fit(peak, 80 * GB, "a GPU", {})
    assert (fit.trials, fit.share) == (trials, share)
    assert fit.trials < 2 or fit.share * fit.trials <= 1


def test_the_largest_configuration_has_the_largest_batch_and_each_model() -> None:
    searched = {
        "learning_rate": {"min": 1e-5, "max": 1e-3},
        "per_device_train_batch_size": {"values": [32, 8, 16]},
        "task.model": {"values": ["toy-bert", "other"]},
        "num_train_epochs": {"values": [3, 5]},
    }
    found = list(largest_configs(toy("random", 1, parameters=searched)))
    assert {config["task.model"] for config in found} == {"toy-bert", "other"}
    assert {config["per_device_train_batch_size"] for config in found} == {32}
    assert {config["num_train_epochs"] for config in found} == {1}


def test_the_longest_rows_are_trained() -> None:
    from datasets import Dataset

    ids = Dataset.from_dict({"input_ids": [[1], [1, 2, 3], [1, 2]]})
    own = [{"labels": n} for n in range(5)]
    task = SimpleNamespace(train_dataset=ids, eval_dataset=own, labels=("a", "b"))
    few = Longest(task, 2, 3)
    assert few.train_dataset["input_ids"] == [[1, 2, 3], [1, 2]]
    assert [row["labels"] for row in few.eval_dataset] == [0, 1, 2]
    assert few.labels == ("a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "pbt"])
def test_two_steps_are_trained_whatever_the_file_says_of_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    from orchestrator.trial import Rank

    advance, reports = Rank.advance, []

    def noted(rank: Rank) -> Any:
        reports.append(advance(rank))
        return reports[-1]

    monkeypatch.setattr(Rank, "advance", noted)
    steps = {"eval_strategy": "steps", "eval_steps": 0.25, "save_strategy": "steps"}
    arguments = {"num_train_epochs": 3, "save_steps": 0.25, **steps}
    spec = toy(method, 1, training_arguments=arguments, budget={"epochs": 20})
    (config,) = largest_configs(spec)
    train_steps(spec, config, tmp_path)
    assert [(report.step, report.last) for report in reports] == [(packing.STEPS, True)]


Told = dict[str, Any]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the process that measures answers; its exit code stands under "code"."""
    answer: Told = {"code": 0}

    def run(command: list[str], input: str, **options: Any) -> Any:
        assert json.loads(input)["config"]
        said = {k: v for k, v in answer.items() if k != "code"}
        return subprocess.CompletedProcess(
            command, answer["code"], f"x\n{json.dumps(said)}\n", "E: no"
        )

    monkeypatch.setattr(packing.subprocess, "run", run)
    return answer


def test_what_was_measured_is_told(told: Told, tmp_path: Path) -> None:
    told.update(gpu="a GPU", peak_bytes=10 * GB, total_bytes=80 * GB)
    assert measure(toy("random", 1), tmp_path).trials == 7


def test_without_a_gpu_nothing_is_advised(told: Told, tmp_path: Path) -> None:
    told.update(gpu=None)
    with pytest.raises(Unfit, match="torch finds none here"):
        measure(toy("random", 1), tmp_path)


def test_a_configuration_that_does_not_fit_is_told_as_such(told: Told, tmp_path: Path) -> None:
    told.update(gpu="a GPU", peak_bytes=None, message="CUDA out of memory")
    with pytest.raises(StudyError, match="does not fit on a a GPU: CUDA out of memory"):
        measure(toy("random", 1), tmp_path)


def test_one_that_cannot_be_trained_says_why(told: Told, tmp_path: Path) -> None:
    told.update(code=1)
    with pytest.raises(StudyError, match="could not be trained: E: no"):
        measure(toy("random", 1), tmp_path)


def test_trials_of_several_workers_share_no_gpu(tmp_path: Path) -> None:
    together = toy("random", 1, resources={"workers": 2})
    with pytest.raises(Unfit, match=r"resources.workers is 2"):
        measure(together, tmp_path)
