"""Two processes train what one does, the same rows a step, and go on as one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checkpoints import checkpoint_path
from orchestrator.segment import Segment
from tests.orchestrator.bench import bench, timeless
from tests.orchestrator.pair import Pair, pair
from tests.orchestrator.tiny_task import tiny_sweep

pytestmark = pytest.mark.xdist_group("pair")  # else each of pytest's processes starts one

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
QUARTERS = {"eval_strategy": "steps", "eval_steps": 0.25}


@pytest.fixture(scope="module")
def two() -> Iterator[Pair]:
    """One pair for all tests here: that they are warm is part of what is tested."""
    with pair() as made:
        yield made


def lines(study: Path, segment: Segment) -> list[dict[str, Any]]:
    history = study / "trials" / segment.trial / "history.jsonl"
    found = [json.loads(line) for line in history.read_text().splitlines()]
    return [x for x in found if "loss" in x and x["segment"] == segment.segment]


def segment(boundaries: int, **fields: Any) -> Segment:
    values: dict[str, Any] = {"trial": "0000", "segment": 0, "config": {}}
    return Segment(boundaries=boundaries, **{**values, **fields})


def from_checkpoint(whole: Segment, study: Path, at: int, **fields: Any) -> Segment:
    """The segment that goes on from a boundary of `whole`."""
    checkpoint = checkpoint_path(whole.trial, whole.segment, at).as_posix()
    return replace(whole, segment=whole.segment + 1, start=at, checkpoint=checkpoint, **fields)


@pytest.mark.parametrize("strategy", ["random", "sequential"])
def test_two_workers_at_batch_4_give_the_losses_of_one_at_batch_8(
    tmp_path: Path, two: Pair, strategy: str
) -> None:
    common = {
        "num_train_epochs": 4,
        "logging_steps": 1,
        "model_config": NO_DROPOUT,
        "train_sampling_strategy": strategy,
        "per_device_eval_batch_size": 5,
    }
    alone = tiny_sweep(**common, per_device_train_batch_size=8)
    together = tiny_sweep(**common, per_device_train_batch_size=4)
    with bench(alone, tmp_path / "one") as work:
        expected = work.train(work.segment())
        losses = [x["loss"] for x in work.training_lines(work.segment())]
    study = tmp_path / "two"
    two.ask("make", together, study, {})
    whole = segment(4)
    reports, others = two.ask("train", whole, 4)
    assert len(losses) == 20
    assert [x["loss"] for x in lines(study, whole)] == pytest.approx(losses, rel=1e-4)
    assert [r.step for r in reports] == [r.step for r in expected]
    assert [r.value for r in reports] == [r.value for r in expected]
    found = [r.metrics["eval_loss"] for r in reports]
    assert found == pytest.approx([r.metrics["eval_loss"] for r in expected], rel=1e-4)
    assert timeless(others) == timeless(reports)


def test_the_rows_of_the_last_evaluated_batch_count_once(tmp_path: Path, two: Pair) -> None:
    counted = {"per_device_eval_batch_size": 8, "model_config": NO_DROPOUT}  # 20 rows
    with bench(tiny_sweep(**counted), tmp_path / "one") as work:
        expected = [r.value for r in work.train(work.segment())]
    spec = tiny_sweep(**counted, per_device_train_batch_size=4)
    two.ask("make", spec, tmp_path / "two", {})
    assert [r.value for r in two.ask("train", segment(2), 2)[0]] == expected


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
@pytest.mark.parametrize("at", [1, 2], ids=["in mid-epoch", "between epochs"])
def test_an_interruption_leaves_no_trace_on_any_rank(
    tmp_path: Path, two: Pair, strategy: str, at: int
) -> None:
    arguments = {"logging_steps": 1, "train_sampling_strategy": strategy}
    spec = tiny_sweep(**QUARTERS, **arguments, per_device_train_batch_size=4)
    two.ask("make", spec, tmp_path, {})
    whole = segment(4)
    expected = two.ask("train", whole, 4)
    rest = from_checkpoint(whole, tmp_path, at, best=None)
    again = two.ask("train", rest, 4)
    for reports, before in zip(again, expected, strict=True):
        steps = [(r.step, r.value, r.metrics) for r in reports]
        assert steps == [(r.step, r.value, r.metrics) for r in before[at:]]
    losses = [x["loss"] for x in lines(tmp_path, whole)]
    assert [x["loss"] for x in lines(tmp_path, rest)] == losses[-len(lines(tmp_path, rest)) :]


def test_after_an_exploit_both_ranks_train_on_with_the_receivers_learning_rate(
    tmp_path: Path, two: Pair
) -> None:
    pids = two.ask("pid")
    spec = tiny_sweep(**QUARTERS, logging_steps=1, per_device_train_batch_size=4)
    two.ask("make", spec, tmp_path, {})
    donor = segment(4, config={"learning_rate": 1e-2})
    two.ask("train", donor, 2)
    receiver = from_checkpoint(donor, tmp_path, 2, trial="0001", config={"learning_rate": 3e-3})
    two.ask("train", receiver, 4)
    rates = [(x["progress"], x["learning_rate"]) for x in lines(tmp_path, receiver)]
    assert len(rates) == 5
    assert [rate for _, rate in rates] == pytest.approx([3e-3 * (1 - at) for at, _ in rates])
    assert two.ask("pid") == pids


def test_every_rank_draws_an_epochs_order_from_the_same_generator(two: Pair) -> None:
    first, second = two.ask("drawn")
    assert first == second
