"""One measurement by its name: run the command, read what it left, give one run's figures.

What the figures mean is `segments.py`'s and `processes.py`'s; here is only who is run how.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sources import PROGRAM, ROOT
from benchmarks.trials import ours
from benchmarks.trials.floor import FLOOR
from benchmarks.trials.jobs import TINY_JOB_SOURCES, Job
from benchmarks.trials.peers import syne_environment
from benchmarks.trials.processes import LIMIT_S, Ran, run
from benchmarks.trials.segments import (
    MARKS,
    Segment,
    best_marked,
    checkpoints_marked,
    figures,
    marked_segments,
)
from benchmarks.trials.table import FLOORS, PARTS, PEERS

LOG = "output.txt"


class MeasurementFailed(Exception):
    """A command failed: how (one line), the command, the end of what it printed."""


@dataclass(frozen=True)
class Bench:
    """Where measurements run.

    Attributes:
        job: what is trained.
        job_folder: where it was laid out.
        syne_folder: where Syne Tune's own environment stands, or is made when it is needed.
    """

    job: Job
    job_folder: Path
    syne_folder: Path


def names(job: Job) -> list[str]:
    """All that is measured at the job's size, in order."""
    mine = [f"ours_{method}" for method in ours.METHODS]
    parts = PARTS if job.size == "tiny" else ()
    return [*FLOORS, *parts, *mine, *PEERS]


def depends_on(name: str) -> tuple[str, ...]:
    """The sources that a row's figures depend on: ours and the floor's on all of the program.

    What only prints or goes round is not among them, nor is a peer among those of ours.
    """
    here = "benchmarks/trials"
    names = ("jobs", "marks", "measuring", "processes", "segments")
    files = tuple(f"{here}/{name}.py" for name in names)
    if name in PEERS:
        return (*files, f"{here}/peers", *TINY_JOB_SOURCES)
    mine = (f"{here}/{name}.py" for name in ("floor", "ours", "unavoidable"))
    return (*files, *mine, *PROGRAM, "benchmarks/plain_ray.py")


def note(name: str) -> str:
    """What a reader must know about a row beside its figures."""
    if name.startswith("syne_"):
        return f"Syne Tune's rows: {syne_environment.SYNE_TUNE} in an environment of its own."
    return ""


def measure(bench: Bench, name: str, folder: Path) -> dict[str, Any]:
    """Run one measurement in an empty folder.

    Raises:
        MeasurementFailed: the command did not end well, or took longer than it may.
    """
    if name in PARTS:
        ran = _run(_module("unavoidable", name), folder)
        return {"seconds": float((folder / LOG).read_text("utf-8").split()[-1]), **_took(ran)}
    if name in FLOORS:
        return _floor(bench, name, folder)
    if name.startswith("ours_"):
        return _ours(bench, name.removeprefix("ours_"), folder)
    return _peer(bench, name, folder)


def _floor(bench: Bench, name: str, folder: Path) -> dict[str, Any]:
    saves = "no" if name == "floor_no_saves" else "epoch"
    ran = _run(_module("floor", str(bench.job_folder), str(folder), saves), folder)
    clock = json.loads((folder / FLOOR).read_text("utf-8"))
    trained = marked_segments(folder / MARKS)
    found = figures(trained, clock["started"], bench.job.slots)
    took = _took(ran, {segment.pid for segment in trained})
    # Its driver does nothing but wait, and its first step comes after its imports.
    del took["driver_peak_bytes"], found["first_step_s"]
    took["written_bytes"] = clock["written_bytes"]
    return {
        "seconds": clock["seconds"],
        "epochs": bench.job.all_epochs,
        **found,
        **took,
        **_marked(folder),
    }


def _ours(bench: Bench, method: str, folder: Path) -> dict[str, Any]:
    ran = _run(ours.command(bench.job, method, folder), folder)
    study = ours.study_of(folder)
    if study.status != "finished":
        raise MeasurementFailed(f"the study is {study.status}, not finished")
    epochs = ours.epochs(study)
    if method != "asha" and epochs != bench.job.all_epochs:
        raise MeasurementFailed(f"{epochs:g} epochs were trained, not {bench.job.all_epochs}")
    return {
        "seconds": ran.seconds,
        "epochs": epochs,
        **figures(ours.segments(study), ran.started, bench.job.slots),
        **_took(ran, ours.workers(study)),
        **ours.result(study),
    }


def _peer(bench: Bench, name: str, folder: Path) -> dict[str, Any]:
    family, _, variant = name.partition("_")
    command = _module(f"peers.{family}_search", variant, str(bench.job_folder), str(folder))
    if family == "syne":
        command[0] = str(syne_environment.interpreter(bench.syne_folder))
    ran = _run(command, folder)
    trained = marked_segments(folder / MARKS)
    slots = 1 if name == "hf_optuna" else bench.job.slots
    return {
        "seconds": ran.seconds,
        "epochs": _epochs(trained),
        **figures(trained, ran.started, slots),
        **_took(ran, {segment.pid for segment in trained}),
        **_marked(folder),
    }


def _marked(folder: Path) -> dict[str, Any]:
    marks = folder / MARKS
    return {"checkpoints": checkpoints_marked(marks), "best": best_marked(marks)}


def _epochs(trained: list[Segment]) -> int:
    return sum(len(segment.boundaries) for segment in trained)


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.trials.{name}", *arguments]


def _run(command: list[str], folder: Path) -> Ran:
    ran = run(command, folder / LOG, cwd=ROOT)
    if ran.code is None:
        raise MeasurementFailed(f"took more than {LIMIT_S / 60:g} minutes\n{' '.join(command)}")
    if ran.code:
        tail = "\n".join((folder / LOG).read_text("utf-8", "replace").splitlines()[-30:])
        raise MeasurementFailed(f"ended with status {ran.code}\n{' '.join(command)}\n{tail}")
    return ran


def _took(ran: Ran, workers: Collection[int] = ()) -> dict[str, Any]:
    peaks = [ran.peak_bytes[pid] for pid in workers if pid in ran.peak_bytes]
    return {
        "written_bytes": ran.written_bytes,
        "driver_peak_bytes": ran.peak_bytes.get(ran.pid),
        "worker_peak_bytes": max(peaks, default=None),
    }
