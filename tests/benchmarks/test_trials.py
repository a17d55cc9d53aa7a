"""The arithmetic of the trials' benchmark: segments, ratios, bounds, the table; no Ray."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from benchmarks.bounds import Bound
from benchmarks.saved_rows import SavedRows
from benchmarks.sources import digest
from benchmarks.trials import jobs
from benchmarks.trials.__main__ import rows_to_keep
from benchmarks.trials.jobs import JOBS, sweep_file
from benchmarks.trials.measuring import depends_on, names
from benchmarks.trials.processes import run
from benchmarks.trials.segments import (
    Segment,
    best_marked,
    checkpoints_marked,
    figures,
    marked_segments,
    start_times,
)
from benchmarks.trials.table import NAMES, PEERS, bounds, page
from search_spaces import read_sweep


def rows(**seconds: float) -> dict[str, dict]:
    return {
        name: {"runs": [{"seconds": s, "first_step_s": s / 2, "epochs": 24}]}
        for name, s in seconds.items()
    }


def held(size: str, **seconds: float) -> dict[str, bool | None]:
    return {bound.text: bound.holds for bound in bounds(size, rows(**seconds))}


def test_a_bound_holds_up_to_its_limit_and_a_strict_one_below_it():
    assert Bound("", 1.5, 1.5).holds
    assert not Bound("", 1.6, 1.5).holds
    assert Bound("", 0.92, 0.92, at_most=False).holds
    assert not Bound("", 0.91, 0.92, at_most=False).holds
    assert not Bound("", 1.0, 1.0, strict=True).holds
    assert Bound("", None, 1.0).holds is None


def test_what_was_not_measured_is_not_said_to_hold():
    assert set(held("tiny", ours_pbt=10.0).values()) == {None}
    assert "| not measured |" in "\n".join(page("tiny", JOBS["tiny"].as_dict(), rows(ours_pbt=1)))


def test_grid_and_random_must_be_faster_than_the_fastest_of_all_peers():
    peers = dict.fromkeys(PEERS, 20.0) | {"syne_asha": 14.0}
    found = held("tiny", ours_grid=13.9, ours_random=14.1, **peers)
    assert found["grid / the fastest peer"] is True
    assert found["random / the fastest peer"] is False
    del peers["ray_pbt"]
    assert held("tiny", ours_grid=1.0, **peers)["grid / the fastest peer"] is None


def test_a_seventh_is_taken_of_the_medians():
    several = rows(hf_ray_pbt=0.0, ours_pbt=0.0)
    for name, seconds in {"hf_ray_pbt": (70.0, 7000.0, 69.0), "ours_pbt": (10.0, 9.0, 500)}.items():
        several[name]["runs"] = [{"seconds": s, "epochs": 24} for s in seconds]
    assert bounds("tiny", several)[0].value == pytest.approx(1 / 7)
    assert bounds("tiny", several)[0].holds


def test_who_trained_more_epochs_is_compared_by_epoch():
    several = rows(hf_ray_pbt=70.0, ours_pbt=10.0)
    several["hf_ray_pbt"]["runs"][0]["epochs"] = 36
    assert bounds("tiny", several)[0].value == pytest.approx(36 / 24 / 7)
    several["hf_ray_pbt"]["runs"][0]["epochs"] = 12  # it was slow for less work
    assert bounds("tiny", several)[0].value == pytest.approx(1 / 7)


def test_the_first_step_is_compared_with_the_sum_of_its_parts():
    parts = {"imports": 3.0, "ray": 2.0}
    found = bounds("tiny", rows(ours_grid=14.0, ours_pbt=16.0, **parts))[-5:]
    first = {bound.text.partition(":")[0]: bound for bound in found}
    assert first["ours, grid"].value == pytest.approx(1.4) and first["ours, grid"].holds
    assert first["ours, pbt"].value == pytest.approx(1.6) and not first["ours, pbt"].holds
    assert {first[f"ours, {m}"].holds for m in ("random", "bayes", "asha")} == {None}


def test_efficiency_counts_only_when_the_floor_trains_three_minutes():
    found = held("ten_seconds", floor=170.0, ours_grid=180.0, ours_bayes=190.0)
    assert found == {
        "seconds of training, by the floor": False,
        "seconds of the floor's boundary": None,
        "efficiency of grid: floor / ours": True,
        "efficiency of bayes: floor / ours": False,
        "efficiency of pbt: floor / ours": None,
    }


def test_a_start_costs_what_passes_after_a_slot_became_free():
    trained = [
        Segment(10.0, 1, "trial", [11.0, 12.0]),
        Segment(10.5, 2, "trial", [12.5]),
        Segment(12.3, 1, "trial", [13.0]),
        Segment(14.5, 2, "perturbation", [15.0]),
    ]
    assert start_times(trained, slots=2) == [
        ("trial", pytest.approx(0.3)),
        ("perturbation", pytest.approx(2.0)),
    ]
    found = figures(trained, started=4.0, slots=2)
    assert found["first_step_s"] == 6.0
    assert found["boundary_s"] == 1.0
    assert found["turn_s"] is None
    assert found["boundaries"] == 5


def test_a_run_that_trained_nothing_has_no_figures():
    assert figures([], started=4.0, slots=2) == {
        "first_step_s": None,
        "boundary_s": None,
        "trial_start_s": None,
        "perturbation_s": None,
        "turn_s": None,
        "boundaries": 0,
    }


def test_marks_of_several_processes_in_one_file_are_told_apart(tmp_path):
    marks = [
        {"what": "step", "time": 1.0, "pid": 7, "resumed": False},
        {"what": "step", "time": 1.5, "pid": 8, "resumed": True},
        {"what": "boundary", "time": 2.0, "pid": 7},
        {"what": "boundary", "time": 3.0, "pid": 8},
        {"what": "step", "time": 4.0, "pid": 7, "resumed": False},
    ]
    path = written(tmp_path, marks)
    assert marked_segments(path) == [
        Segment(1.0, 7, "trial", [2.0]),
        Segment(1.5, 8, "perturbation", [3.0]),
        Segment(4.0, 7, "trial", []),
    ]


def written(folder: Path, marks: list[dict]) -> Path:
    path = folder / "marks.jsonl"
    path.write_text("".join(json.dumps(mark) + "\n" for mark in marks), "utf-8")
    return path


def test_checkpoints_and_the_best_accuracy_are_read_from_marks(tmp_path):
    step = {"what": "step", "time": 1.0, "pid": 7, "resumed": False}
    evaluated = [
        {"what": "boundary", "time": t, "pid": 7, "accuracy": a} for t, a in ((2, 0.6), (4, 0.5))
    ]
    saved = {"what": "checkpoint", "time": 3.0, "pid": 7}
    path = written(tmp_path, [step, evaluated[0], saved, evaluated[1], saved])
    assert checkpoints_marked(path) == 2
    assert best_marked(path) == 0.6
    assert marked_segments(path) == [Segment(1.0, 7, "trial", [2, 4])]
    assert best_marked(written(tmp_path, [step])) is None


def test_saved_runs_are_taken_up_again_and_those_of_another_job_are_not(tmp_path):
    def saved() -> SavedRows:
        return SavedRows("trials", folder=tmp_path)

    job = JOBS["tiny"]
    saved().save("floor", {"runs": [{"seconds": 3.0}], "job": job.as_dict()})
    assert rows_to_keep(saved(), job)["floor"]["runs"] == [{"seconds": 3.0}]
    assert rows_to_keep(saved(), dataclasses.replace(job, epochs=7)) == {}
    assert rows_to_keep(saved(), JOBS["ten_seconds"]) == {}


def test_a_failed_run_is_counted_and_shown_and_in_no_median():
    several = rows(ray_pbt=20.0, floor=3.0)
    several["ray_pbt"]["failures"] = ["took more than 20 minutes"]
    text = "\n".join(page("tiny", JOBS["tiny"].as_dict(), several))
    assert "| Ray Tune, function trainable, PBT | 1, 1 failed | 20.00 |" in text
    assert "Ray Tune, function trainable, PBT: failed: took more than 20 minutes" in text


def test_ours_depends_on_the_whole_program_and_a_peer_does_not():
    ours, peer = depends_on("ours_pbt"), depends_on("ray_pbt")
    assert {"orchestrator", "search_spaces", "sweeps"} <= set(ours)
    assert "orchestrator" not in peer and "benchmarks/trials/peers" in peer
    assert "benchmarks/trials/peers" not in ours
    assert "benchmarks/trials/table.py" not in ours
    for name in (*names(JOBS["tiny"]), *names(JOBS["ten_seconds"])):
        assert len(digest(depends_on(name))) == 16


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    child = "import time; time.sleep(60)"
    hanging = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    ran = run([sys.executable, "-c", hanging], tmp_path / "log", limit_s=0.5)
    assert ran.code is None
    assert 0.5 <= ran.seconds < 20
    assert psutil.Process().children(recursive=True) == []


def test_a_tiny_job_of_other_values_is_laid_out_anew(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(jobs, "_make_model", lambda rows, folder: made.append(folder))
    job = JOBS["tiny"]
    for wanted in (job, job, dataclasses.replace(job, train_rows=64)):
        laid = jobs.lay_out(wanted, tmp_path, tmp_path)
        assert jobs.read_job(tmp_path) == laid
        lines = (tmp_path / "data" / "train.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == wanted.train_rows
    assert len(made) == 2


def test_all_are_given_the_same_rows_of_real_data(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_real_model", lambda: tmp_path)
    job = dataclasses.replace(JOBS["ten_seconds"], train_rows=3, validation_rows=2)
    data = tmp_path / "rte"
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl is not there"):
        jobs.lay_out(job, tmp_path / "job", data)
    data.mkdir()
    for split in ("train", "validation"):
        (data / f"{split}.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(9)), "utf-8")
    laid = jobs.lay_out(job, tmp_path / "job", data)
    lines = (Path(laid.data) / "train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 3, 6]
    with pytest.raises(ValueError, match="10 rows are needed, it has 9"):
        jobs.lay_out(dataclasses.replace(job, train_rows=10), tmp_path / "job", data)


WRITER = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).write_bytes(bytes(2_000_000))
time.sleep(0.6)
"""
PARENT = """
import signal, subprocess, sys, time
if sys.argv[3] == "ignores its end":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]])
time.sleep(1.2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counts are read from /proc")
@pytest.mark.parametrize("manner", ["never waits for it", "ignores its end"])
def test_bytes_are_counted_whatever_a_parent_does_about_its_child(manner, tmp_path):
    writer, parent = tmp_path / "writer.py", tmp_path / "parent.py"
    writer.write_text(WRITER, "utf-8")
    parent.write_text(PARENT, "utf-8")
    command = [sys.executable, str(parent), str(writer), str(tmp_path / "file"), manner]
    ran = run(command, tmp_path / "log")
    assert ran.code == 0, (tmp_path / "log").read_text()
    assert ran.written_bytes is not None
    assert 2_000_000 <= ran.written_bytes < 3_000_000
    assert ran.peak_bytes[ran.pid] > 1_000_000


@pytest.mark.parametrize("size", JOBS)
@pytest.mark.parametrize("method", ["grid", "random", "bayes", "asha", "pbt"])
def test_every_method_is_given_the_same_epochs(size, method, tmp_path):
    job = dataclasses.replace(JOBS[size], model="a/model", data="rows")
    file = tmp_path / "sweep.yaml"
    file.write_text(sweep_file(job, method), "utf-8")
    spec = read_sweep(file).spec
    assert spec.trial_limit == job.trials == len(job.configurations())
    config = spec.default_config()
    assert spec.epochs(config) == spec.boundaries(config) == job.epochs
    assert spec.training_for(config)["per_device_train_batch_size"] == job.batch_size
    arguments = yaml.safe_load(file.read_text("utf-8"))["training_arguments"]
    assert arguments == job.training_arguments()


@pytest.mark.parametrize("size", JOBS)
def test_every_measurement_has_its_line_in_the_table(size):
    there = names(JOBS[size])
    text = "\n".join(page(size, JOBS[size].as_dict(), rows(**dict.fromkeys(there, 5.0))))
    assert all(NAMES[name] in text for name in there if name in NAMES)
