"""A study's events become one run a trial, with its configuration, lineage and best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import (
    Config,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialInterrupted,
    TrialProposed,
)
from orchestrator.tracking.study_runs import StudyRuns
from orchestrator.tracking.tracker import NoTracker
from tests.orchestrator.tracking.fakes import FakeTracker, toy_spec

CONFIG: Config = {"learning_rate": 2e-5, "task.model_config.hidden_dropout_prob": 0.1}


def proposed(trial: str, config: Config = CONFIG) -> Event:
    return TrialProposed(
        trial=trial, number=0, config=config, origin="searcher", boundaries=2, epochs=2.0
    )


def started(trial: str, config: Config = CONFIG, segment: int = 0, **more: Any) -> Event:
    return SegmentStarted(
        trial=trial,
        segment=segment,
        boundary=segment,
        config=config,
        worker="w0",
        pid=1,
        node="n",
        **more,
    )


def reported(trial: str, boundary: int, value: float | None) -> Event:
    return Reported(
        trial=trial,
        segment=0,
        boundary=boundary,
        value=value,
        metrics={"eval_accuracy": value},
        epoch=float(boundary),
        step=10 * boundary,
        seconds=1.0,
    )


def told(folder: Path, *events: Event, past: tuple[Event, ...] = (), **options: str) -> FakeTracker:
    tracker = FakeTracker()
    runs = StudyRuns(toy_spec(folder, **options), tracker, past)
    for event in events:
        runs.observe(event)
    return tracker


def test_a_run_holds_all_that_its_trial_is_trained_with(tmp_path: Path) -> None:
    tracker = told(tmp_path, proposed("t0"), started("t0"))
    ((verb, run),) = tracker.calls
    assert verb == "start_run"
    assert (run.trial, run.name, run.group, run.job_type) == ("t0", "t0", "toy", "random")
    assert run.tags == ("mine",)
    assert run.config["learning_rate"] == 2e-5
    assert run.config["num_train_epochs"] == 2, "constants are there too"
    assert run.config["task"]["model_config"] == {"hidden_dropout_prob": 0.1}
    assert run.config["sweep"] == {
        "study": "toy",
        "method": "random",
        "trial": "t0",
        "origin": "searcher",
        "searched": sorted(CONFIG),
    }


def test_a_run_ends_with_the_best_of_its_reports(tmp_path: Path) -> None:
    tracker = told(
        tmp_path,
        started("t0"),
        reported("t0", 1, 0.9),
        reported("t0", 2, None),
        TrialEnded(trial="t0", state="stopped"),
    )
    assert tracker.calls[-1] == (
        "finish_run",
        "t0",
        "stopped",
        {
            "best/eval_accuracy": 0.9,
            "best/epoch": 1.0,
            "best/step": 10,
            "best/boundary": 1,
            "state": "stopped",
        },
    )


def test_a_failed_trial_ends_with_its_class(tmp_path: Path) -> None:
    tracker = told(
        tmp_path, started("t0"), TrialEnded(trial="t0", state="failed", failure="diverged")
    )
    assert tracker.calls[-1] == (
        "finish_run",
        "t0",
        "failed",
        {"state": "failed", "failure": "diverged"},
    )


def test_a_pause_or_another_worker_goes_on_with_the_same_run(tmp_path: Path) -> None:
    tracker = told(
        tmp_path,
        started("t0"),
        TrialInterrupted(trial="t0", failure="infrastructure", message=""),
        started("t0", segment=1),
    )
    assert tracker.verbs() == ["start_run"]


def test_an_exploit_shows_its_donor_and_its_new_configuration_at_its_step(tmp_path: Path) -> None:
    new = CONFIG | {"learning_rate": 3e-5}
    tracker = told(
        tmp_path,
        started("t0"),
        reported("t0", 1, 0.5),
        Decided(trial="t0", boundary=1, action="exploit", donor="t1", config=new),
        started("t0", new, segment=1, start_trial="t1", start_boundary=1),
        method="pbt",
    )
    assert tracker.verbs() == ["start_run", "log", "log", "start_run"]
    assert tracker.calls[1][2:] == ({f"config/{k}": v for k, v in CONFIG.items()}, 0)
    values, step = tracker.calls[2][2:]
    assert step == 10
    assert values["pbt/donor"] == "t1" and values["pbt/boundary"] == 1
    assert values["config/learning_rate"] == 3e-5
    assert tracker.calls[3][1].config["learning_rate"] == 3e-5


def test_runs_that_are_open_when_the_study_ends_are_interrupted(tmp_path: Path) -> None:
    tracker = told(tmp_path, started("t0"), started("t1"), StudyEnded(state="interrupted"))
    assert [call[:3] for call in tracker.calls[2:]] == [
        ("finish_run", "t0", "interrupted"),
        ("finish_run", "t1", "interrupted"),
    ]


def test_a_resumed_driver_tells_nothing_of_the_past_and_knows_its_best(tmp_path: Path) -> None:
    tracker = told(
        tmp_path,
        started("t0", segment=1),
        reported("t0", 2, 0.7),
        TrialEnded(trial="t0", state="finished"),
        past=(proposed("t0"), started("t0"), reported("t0", 1, 0.8)),
    )
    assert tracker.verbs() == ["start_run", "finish_run"]
    assert tracker.calls[0][1].config["sweep"]["origin"] == "searcher"
    assert tracker.calls[1][3]["best/eval_accuracy"] == 0.8


def test_a_trial_that_ends_without_a_segment_of_this_driver_gets_its_end(tmp_path: Path) -> None:
    past = (proposed("t0"), started("t0"), proposed("t1"))
    ends = [TrialEnded(trial=trial, state="stopped") for trial in ("t0", "t1")]
    tracker = told(tmp_path, *ends, past=past)
    assert tracker.verbs() == ["start_run", "finish_run"], "t1 never trained"


@pytest.mark.parametrize(("more", "count"), [("log_model: best", 1), ("log_model: false", 0)])
def test_the_best_model_is_handed_over_when_asked_for(
    tmp_path: Path, more: str, count: int
) -> None:
    tracker = FakeTracker()
    runs = StudyRuns(toy_spec(tmp_path, more=more), tracker)
    runs.log_best_model(tmp_path / "best", "t3", 0.9, CONFIG)
    assert tracker.verbs() == ["log_best_model"] * count
    if count:
        model = tracker.calls[0][1]
        assert (model.folder, model.study, model.trial) == (str(tmp_path / "best"), "toy", "t3")
        assert model.metadata["eval_accuracy"] == 0.9


def test_no_tracker_takes_everything_and_says_nothing(tmp_path: Path) -> None:
    runs = StudyRuns(toy_spec(tmp_path, more="log_model: best"), NoTracker())
    for event in (started("t0"), reported("t0", 1, 0.5), TrialEnded(trial="t0", state="finished")):
        runs.observe(event)
    runs.log_best_model(tmp_path, "t0", 0.5, CONFIG)
    NoTracker().log("t0", {}, 1)
    assert NoTracker().close(1) == ()


def test_a_run_beside_the_search_has_its_own_seed_and_says_what_it_repeats(tmp_path: Path) -> None:
    changed = {**CONFIG, "learning_rate": 1e-5}
    tracker = told(
        tmp_path,
        TrialProposed(
            trial="replay-001", number=1, config=CONFIG, origin="replay", boundaries=2, epochs=2.0,
            seed=99, repeats="t0", schedule=[(1, changed)],
        ),
        started("replay-001"),
        reported("replay-001", 1, 0.5),
        Decided(
            trial="replay-001", boundary=1, action="exploit", donor="replay-001", config=changed
        ),
    )  # fmt: skip
    (_, run), (_, trial, values, step) = tracker.calls
    assert run.config["seed"] == 99
    assert (run.config["sweep"]["origin"], run.config["sweep"]["repeats"]) == ("replay", "t0")
    assert (trial, step) == ("replay-001", 10)
    assert values["config/learning_rate"] == 1e-5 and "pbt/donor" not in values
