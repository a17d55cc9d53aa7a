"""What W&B's own files hold of a study, and what happens when its server or process fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.events import Config, Decided, Reported, SegmentStarted, StudyEnded, TrialEnded
from orchestrator.tracking import wandb as wandb_file
from orchestrator.tracking.backends import open_outboxes
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.study_runs import StudyRuns
from orchestrator.tracking.tracker import TrackerDied, trainer_names
from orchestrator.tracking.wandb import WandbTracker
from tests.orchestrator.tracking.fakes import run, toy_spec, wait_for
from tests.orchestrator.tracking.wandb_reader import RunFile, read_run

pytestmark = pytest.mark.usefixtures("own_wandb")


def offline_runs(tracking: Path) -> dict[str, RunFile]:
    runs = [read_run(path) for path in sorted((tracking / "wandb").glob("offline-run-*"))]
    return {run.id.split("-", 1)[1]: run for run in runs}


def segment(trial: str, config: Config, number: int = 0) -> SegmentStarted:
    return SegmentStarted(
        trial=trial, segment=number, boundary=number, config=config, worker="w", pid=1, node="n"
    )


def trainer_lines(trial: str) -> list[dict[str, Any]]:
    shift = 0.1 if trial == "t1" else 0.0
    return [
        {"loss": 0.7 + shift, "learning_rate": 1e-5, "epoch": 0.5, "step": 5},
        {"eval_loss": 0.6 + shift, "eval_accuracy": 0.5 + shift, "epoch": 1.0, "step": 10},
        {"loss": 0.4 + shift, "learning_rate": 5e-6, "epoch": 1.5, "step": 15},
        {"eval_loss": 0.3 + shift, "eval_accuracy": 0.8 + shift, "epoch": 2.0, "step": 20},
        {"train_runtime": 3.5, "train_loss": 0.5, "epoch": 2.0, "step": 20},
    ]


def play_study(tracking: Path, method: str = "random", **more: str) -> tuple[str, ...]:
    """Two trials side by side, through the core of the service."""
    spec = toy_spec(tracking.parent, method=method, **more)
    outboxes = open_outboxes(spec, tracking, pytest.fail)
    runs = StudyRuns(spec, outboxes)
    config: Config = {"learning_rate": 1e-5, "task.model_config.hidden_dropout_prob": 0.1}
    for trial in ("t0", "t1"):
        runs.observe(segment(trial, config))
    for index in range(5):
        for trial in ("t0", "t1"):
            values, step = trainer_names(trainer_lines(trial)[index])
            outboxes.log(trial, values, step)
        if index == 1 and method == "pbt":
            for trial, value in (("t0", 0.5), ("t1", 0.6)):
                runs.observe(
                    Reported(
                        trial=trial,
                        segment=0,
                        boundary=1,
                        value=value,
                        metrics={},
                        epoch=1.0,
                        step=10,
                        seconds=1.0,
                    )
                )
            new = config | {"learning_rate": 3e-5}
            runs.observe(Decided(trial="t0", boundary=1, action="exploit", donor="t1", config=new))
            runs.observe(segment("t0", new, 1))
    runs.observe(TrialEnded(trial="t0", state="finished"))
    runs.observe(TrialEnded(trial="t1", state="failed", failure="diverged"))
    best = tracking.parent / "best"
    best.mkdir(exist_ok=True)
    (best / "model.safetensors").write_bytes(b"weights")
    runs.log_best_model(best, "t1", 0.9, config)
    runs.observe(StudyEnded(state="finished"))
    return outboxes.close(30)


def test_offline_run_files_of_a_two_trial_study_hold_all_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracking = tmp_path / "study" / "tracking"
    tracking.mkdir(parents=True)
    words = play_study(tracking)
    runs = offline_runs(tracking)
    assert set(runs) == {"t0", "t1"}
    for trial, run_file in runs.items():
        assert (run_file.name, run_file.project) == (trial, "proj")
        assert (run_file.group, run_file.job_type, run_file.tags) == ("toy", "random", ("mine",))
        assert run_file.config["learning_rate"] == 1e-5
        assert run_file.config["num_train_epochs"] == 2
        task = run_file.config["task"]
        assert task["model_config"] == {"hidden_dropout_prob": 0.1}
        assert run_file.metrics["*"] == "train/global_step"
        lines = trainer_lines(trial)
        for name, ours in (("train/loss", "loss"), ("eval/loss", "eval_loss")):
            assert run_file.curve(name) == [(li["step"], li[ours]) for li in lines if ours in li]
        assert [step for step, _ in run_file.curve("eval/accuracy")] == [10, 20]
        assert run_file.curve("train/learning_rate") == [(5, 1e-5), (15, 5e-6)]
        assert run_file.summary["train_runtime"] == 3.5
        assert not run_file.curve("train_runtime")
    assert (runs["t0"].exit_code, runs["t1"].exit_code) == (0, 1)
    assert runs["t1"].summary["failure"] == "diverged"
    assert words == (f"wandb: runs are offline. Upload them with: sweep sync {tracking.parent}",)
    assert list((tmp_path / "work").iterdir()) == [], "nothing in the working directory"
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_a_population_shows_donor_and_new_configuration_at_the_step_of_the_exploit(
    tmp_path: Path,
) -> None:
    tracking = tmp_path / "study" / "tracking"
    tracking.mkdir(parents=True)
    play_study(tracking, method="pbt")
    run_file = offline_runs(tracking)["t0"]
    assert run_file.curve("pbt/donor") == [(10, "t1")]
    assert run_file.curve("pbt/boundary") == [(10, 1)]
    assert run_file.curve("config/learning_rate") == [(0, 1e-5), (10, 3e-5)]
    assert run_file.config["learning_rate"] == 3e-5
    assert run_file.summary["best/eval_accuracy"] == 0.5


def test_the_best_model_is_one_artifact_with_its_aliases(tmp_path: Path) -> None:
    tracking = tmp_path / "study" / "tracking"
    tracking.mkdir(parents=True)
    play_study(tracking, more="mode: offline, log_model: best")
    runs = offline_runs(tracking)
    assert set(runs) == {"t0", "t1", "best-model"}
    assert [len(runs[trial].artifacts) for trial in ("t0", "t1")] == [0, 0]
    (artifact,) = runs["best-model"].artifacts
    assert (artifact.name, artifact.type) == ("toy-best-model", "model")
    assert set(artifact.aliases) == {"best", "latest", "t1"}
    assert [entry.path for entry in artifact.manifest.contents] == ["model.safetensors"]
    assert json.loads(artifact.metadata)["eval_accuracy"] == 0.9
    assert runs["best-model"].group == "toy"


def test_a_restarted_driver_opens_a_second_run_offline_tagged_with_its_trial(
    tmp_path: Path,
) -> None:
    spec = toy_spec(tmp_path)
    tracking = tmp_path / "tracking"
    for _ in range(3):
        tracker = WandbTracker(spec, tracking, pytest.fail)
        tracker.start_run(run("t0"))
        tracker.start_run(run("t0-2"))  # a trial's id that looks like a second run's
        tracker.log("t0", {"train/loss": 1.0}, 1)
        tracker.close(1)
    runs = [read_run(path) for path in sorted((tracking / "wandb").glob("offline-run-*"))]
    assert len({run_file.id for run_file in runs}) == 6, "no two folders share an id"
    first, *later = [run_file for run_file in runs if run_file.name == "t0"]
    assert first.tags == ()
    assert [run_file.tags for run_file in later] == [("t0",), ("t0",)]
    assert {run_file.exit_code for run_file in runs} == {255}


def test_two_studies_of_one_name_never_share_a_run(tmp_path: Path) -> None:
    ids = set()
    for storage in ("a", "b"):
        tracking = tmp_path / storage
        tracker = WandbTracker(toy_spec(tmp_path), tracking, pytest.fail)
        tracker.start_run(run("t0"))
        tracker.close(1)
        ids |= {read_run(path).id for path in (tracking / "wandb").glob("offline-run-*")}
    assert len(ids) == 2


def test_the_settings_that_are_wandbs_private_ones_still_exist() -> None:
    import wandb

    assert set(wandb_file._SETTINGS) <= set(wandb.Settings.model_fields)
    wandb.Settings(**wandb_file._SETTINGS)


def wandb_processes() -> set[psutil.Process]:
    """W&B's own processes; another test's may still be there."""
    return {p for p in psutil.Process().children() if p.name() == "wandb-core"}


def test_wandbs_process_killed_in_the_middle_is_noticed_and_the_study_goes_on(
    tmp_path: Path,
) -> None:
    spec = toy_spec(tmp_path)
    notices: list[str] = []
    tracking = tmp_path / "tracking"
    outbox = Outbox(
        lambda: WandbTracker(spec, tracking, notices.append),
        tracking / "unsent",
        name="wandb",
        on_notice=notices.append,
        settle_s=0.0,
        retry_s=(0.05, 0.1),
    )
    before = wandb_processes()
    outbox.start_run(run("t0"))
    outbox.log("t0", {"train/loss": 1.0}, 1)
    wait_for(lambda: outbox.unsent_lines == 0)
    (core,) = wandb_processes() - before
    core.kill()
    core.wait(5)
    outbox.log("t0", {"train/loss": 0.5}, 2)
    outbox.finish_run("t0", "finished", {})
    assert outbox.close(20)[0].startswith("wandb: runs are offline")
    assert "cannot be reached" in notices[0] and "answers again" in notices[1]
    (second,) = (tracking / "wandb").glob("offline-run-*-t0-2")
    assert read_run(second).curve("train/loss") == [(2, 0.5)]
    assert read_run(second).exit_code == 0


def test_a_dead_process_is_told_from_a_refused_value(tmp_path: Path) -> None:
    before = wandb_processes()
    tracker = WandbTracker(toy_spec(tmp_path), tmp_path / "tracking", pytest.fail)
    tracker.start_run(run("t0"))
    (core,) = wandb_processes() - before
    core.kill()
    core.wait(5)
    with pytest.raises(TrackerDied):
        tracker.log("t0", {"train/loss": 1.0}, 1)
