"""Real Ray, real Trainer: the same seed gives the same study, whatever the slots and workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.results import StudyResult
from tests.integration.conftest import Run, toy


def told(result: StudyResult) -> dict[str, Any]:
    """All that must be equal: proposals, decisions, lineage, metrics."""
    assert result.status == "finished"
    return {
        record.id: {
            "config": record.first_config,
            "decisions": {b: (d.action, d.donor, d.config) for b, d in record.decisions.items()},
            "metrics": {b: r.metrics for b, r in sorted(record.reports.items())},
        }
        for record in result.state.trials.values()
    }


@pytest.mark.parametrize("method", ["grid", "random", "pbt"])
def test_one_slot_and_two_slots_and_two_slots_again_give_the_same_study(
    run: Run, tmp_path: Path, method: str
) -> None:
    one = told(run(toy(method, 1), storage=tmp_path / "one")[0])
    two = told(run(toy(method, 2), storage=tmp_path / "two")[0])
    assert one == two
    if method == "pbt":
        assert told(run(toy(method, 2), storage=tmp_path / "again")[0]) == two
        assert any(
            decision[0] == "exploit"
            for trial in two.values()
            for decision in trial["decisions"].values()
        )


def test_bayes_with_one_slot_gives_the_same_study_twice(run: Run, tmp_path: Path) -> None:
    ranges = {"learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2}}
    spec = toy(
        "bayes", 1, parameters=ranges, run_cap=12, training_arguments={"num_train_epochs": 1}
    )
    first = told(run(spec, storage=tmp_path / "one")[0])
    assert first == told(run(spec, storage=tmp_path / "two")[0])


def test_a_trial_gives_the_same_metrics_in_a_fresh_and_in_a_used_worker(
    run: Run, tmp_path: Path
) -> None:
    used, _ = run(toy("grid", 1), storage=tmp_path / "used")
    last = list(used.state.trials.values())[-1]
    alone = {name: {"values": [value]} for name, value in last.first_config.items()}
    fresh, _ = run(toy("grid", 1, parameters=alone), storage=tmp_path / "fresh")
    (only,) = fresh.state.trials.values()
    assert only.first_config == last.first_config
    assert {b: r.metrics for b, r in only.reports.items()} == {
        b: r.metrics for b, r in last.reports.items()
    }
