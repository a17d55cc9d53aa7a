"""The tracking process of a study under a real Ray: driver, worker, death, close."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.events import Config, SegmentStarted, StudyEnded, TrialEnded
from orchestrator.tracking.service import FOLDER, TrackerClient, Tracking, make_tracking
from tests.orchestrator.tracking.fakes import toy_spec, wait_for
from tests.orchestrator.tracking.wandb_reader import RunFile, read_run

pytestmark = pytest.mark.slow
psutil = pytest.importorskip("psutil")
ray = pytest.importorskip("ray")

CONFIG: Config = {"learning_rate": 1e-5, "task.model_config.hidden_dropout_prob": 0.1}


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


def processes(word: str) -> list[Any]:
    """Our own descendants whose name or title holds a word."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            title = " ".join([process.name(), *process.cmdline()])
        except psutil.NoSuchProcess:
            continue
        if word in title and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def started(trial: str, number: int = 0) -> SegmentStarted:
    return SegmentStarted(
        trial=trial, segment=number, boundary=0, config=CONFIG, worker="w", pid=1, node="n"
    )


def runs_of(study: Path, trial: str) -> list[RunFile]:
    folder = study / FOLDER / "wandb"
    return [
        r for r in map(read_run, sorted(folder.glob("offline-run-*/*.wandb"))) if r.name == trial
    ]


@ray.remote(num_cpus=0)
def train(log_line: Any, trial: str, steps: range) -> float:
    """Log like a rank; return how long the slowest call took."""
    slowest = 0.0
    for step in steps:
        before = time.monotonic()
        log_line(trial, {"loss": 1.0 / (step + 1), "epoch": 1.0, "step": step})
        slowest = max(slowest, time.monotonic() - before)
    time.sleep(0.3)  # the queue's thread lives as long as its process
    return slowest


def open_study(tmp_path: Path, notices: list[str], **options: str) -> Tracking:
    tracking = make_tracking(
        toy_spec(tmp_path, **options), tmp_path / "study", on_notice=notices.append
    )
    assert tracking is not None
    return tracking


def test_a_study_of_two_trials_is_recorded_and_leaves_no_process(tmp_path: Path) -> None:
    notices: list[str] = []
    before = time.monotonic()
    tracking = open_study(tmp_path, notices)
    assert time.monotonic() - before < 1.0, "the process starts while the study does"
    for trial in ("t0", "t1"):
        tracking.observe(started(trial))
    slowest = ray.get([train.remote(tracking.client.log_line, t, range(20)) for t in ("t0", "t1")])
    assert max(slowest) < 0.2
    tracking.observe(TrialEnded(trial="t0", state="finished"))
    tracking.observe(StudyEnded(state="interrupted"))
    tracking.close(30)
    for trial, code in (("t0", 0), ("t1", 255)):
        (run,) = runs_of(tmp_path / "study", trial)
        assert run.exit_code == code
        assert run.group == "toy" and run.config["learning_rate"] == 1e-5
        assert run.curve("train/loss") == [(step, 1.0 / (step + 1)) for step in range(20)]
    assert [n.split(":")[0] for n in notices] == ["wandb"] and "sweep sync" in notices[0]
    wait_for(lambda: not processes("TrackingService") and not processes("wandb-core"))


def test_a_tracking_process_that_is_killed_comes_back_and_no_line_is_lost(tmp_path: Path) -> None:
    notices: list[str] = []
    tracking = open_study(tmp_path, notices)
    tracking.observe(started("t0"))
    client = tracking.client
    for step in range(10):
        client.log_line("t0", {"loss": 1.0, "step": step})

    def written() -> list[int]:
        runs = runs_of(tmp_path / "study", "t0")
        return sorted(step for run in runs for step, _ in run.curve("train/loss"))

    wait_for(lambda: written() == list(range(10)), timeout_s=30)  # wandb writes every 2 s
    (process,) = processes("ray::TrackingService")
    process.kill()
    for step in range(10, 20):
        client.log_line("t0", {"loss": 1.0, "step": step})
    tracking.observe(TrialEnded(trial="t0", state="finished"))
    client.close(30)
    tracking.close(30)
    assert sorted(set(written())) == list(range(20))
    assert runs_of(tmp_path / "study", "t0")[-1].exit_code == 0
    wait_for(lambda: not processes("wandb-core"))


@pytest.mark.parametrize(
    ("backends", "more"), [("none", "mode: auto"), ("wandb", "mode: disabled")]
)
def test_a_study_without_tracking_starts_nothing(tmp_path: Path, backends: str, more: str) -> None:
    wait_for(lambda: not processes("TrackingService"))  # of the test before
    spec = toy_spec(tmp_path, backends=backends, more=more)
    assert make_tracking(spec, tmp_path / "study", on_notice=pytest.fail) is None
    assert not processes("TrackingService")
    assert not (tmp_path / "study").exists()


def test_closing_is_bounded_when_the_tracking_process_hangs(tmp_path: Path) -> None:
    @ray.remote(num_cpus=0)
    class Hanging:
        def put_and_listen(self, calls: object) -> list[str]:
            time.sleep(60)
            return []

        put = close = put_and_listen

    notices: list[str] = []
    service = Hanging.remote()
    tracking = Tracking(toy_spec(tmp_path), service, tmp_path, notices.append)
    client = TrackerClient(service)
    before = time.monotonic()
    tracking.observe(started("t0"))
    client.log_line("t0", {"loss": 1.0, "step": 1})
    client.close(0.2)
    tracking.close(0.5)
    assert time.monotonic() - before < 3.0
    assert "did not reach the tracking process" in notices[0]
    assert f"kept in {tmp_path}" in notices[1]
