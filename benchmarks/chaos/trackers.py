"""F13: a tracker that refuses, hangs, answers with errors or dies costs no training time.

The tracker is W&B, online, against a server of a few lines on this machine (the one of the
tracker's tests). Compared are wall time and results with those of the same study without a
tracker; afterwards the server works again, and `sweep sync` must bring every point, one run a
trial.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted
from benchmarks.chaos.processes import live_for, run_to_the_end, start_driver, wait_for
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.events import Event
from orchestrator.journal import JOURNAL
from orchestrator.results import read_study

_SHARE, _SECONDS = 0.05, 5.0
_BOUNDARY_S = 1.0
_TRIALS, _BOUNDARIES = 6, 10
_REPORTED = b'"event":"reported"'
_KEY = "a" * 40


def _sweep(seed: int, **keys: object) -> dict[str, object]:
    return scripted_sweep(
        "random", slots=2, seed=seed, trials=_TRIALS, boundaries=_BOUNDARIES, name="study", **keys
    )


@functools.cache
def _without(seed: int, address: str) -> tuple[float, list[Event]]:
    """Wall seconds and events of the study without a tracker."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-reference-"))
    try:
        file = write_sweep(folder / "study.yaml", _sweep(seed))
        words = ["run", str(file), "--storage", str(folder), "--plain"]
        started = time.monotonic()
        code, output = run_to_the_end(start_driver(words, address=address, seconds=_BOUNDARY_S))
        seconds = time.monotonic() - started
        if code != 0:
            raise RuntimeError(f"the study without a tracker: {code}: {output[-500:]}")
        return seconds, judge.events_of(folder / "study")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Run against a tracker in that state; compare; let it work again; sync; look."""
    from tests.orchestrator.tracking.wandb_server import wandb_server

    name, seed = parts(case)
    plain_s, reference = _without(0, bench.address)
    tracking = {"backends": ["wandb"], "mode": "online", "project": "proj"}
    file = write_sweep(folder / "study.yaml", _sweep(0, tracking=tracking))
    study = folder / "study"
    with wandb_server() as server:
        server.mode = {"hangs": "hangs", "errors": "500"}.get(name, "works")
        address = "http://127.0.0.1:9" if name == "refuses" else server.address
        environment = {
            "WANDB_BASE_URL": address, "WANDB_API_KEY": _KEY, "WANDB_MODE": "online",
            "WANDB_SILENT": "true",
        }  # fmt: skip
        words = ["run", str(file), "--storage", str(folder), "--plain"]
        started = time.monotonic()
        driver = start_driver(
            words, address=bench.address, seconds=_BOUNDARY_S, environment=environment
        )
        if name in ("dies-hanging", "dies-refusing"):
            wanted = 5 + 7 * seed
            wait_for(
                lambda: driver.has_ended or counted(study / JOURNAL, _REPORTED) >= wanted,
                seconds=120,
            )
            if name == "dies-hanging":
                server.mode = "hangs"
            else:
                server.refuse()
        live_for(driver, 300)
        code, output = run_to_the_end(driver, seconds=5)
        seconds = time.monotonic() - started
        server.accept()
        server.mode = "works"
        server.released.set()
        said = [] if code == 0 else [f"exit {code}: {output[-400:]}"]
        over = seconds - plain_s
        if over > _SHARE * plain_s + _SECONDS:
            said.append(f"{seconds:.1f} s instead of {plain_s:.1f} s")
        events = judge.events_of(study)
        said += [*judge.nothing_damaged(events), *judge.same_study(events, reference)]
        said += _synced(study, server, {**environment, "WANDB_BASE_URL": server.address})
    return Outcome(said, figure=over)


def _synced(study: Path, server: object, environment: dict[str, str]) -> list[str]:
    """After `sweep sync` every report of every trial is there, in one run a trial."""
    words = ["sync", str(study)]
    code, output = run_to_the_end(start_driver(words, environment=environment, trains=True))
    said = [] if code == 0 else [f"`sweep sync` exited with {code}: {output[-300:]}"]
    runs = server.runs  # type: ignore[attr-defined]
    for record in read_study(study).state.trials.values():
        mine = [run for name, run in runs.items() if name.endswith(f"-{record.id}")]
        if len(mine) != 1:
            said.append(f"trial {record.id} has {len(mine)} runs")
            continue
        points = {value for _, value in mine[0].curve("eval/loss")}
        missing = {r.value for r in record.reports.values()} - points
        if missing:
            said.append(f"trial {record.id}: {len(missing)} of {len(record.reports)} points miss")
    return said


ROW = Row(
    id="F13",
    injected="tracker refuses, accepts and never answers, 500s, dies midway",
    holds="results unchanged, points back-filled, one run a trial",
    target="wall time +5 % and +5 s at most (wandb alone: +90 s a trial)",
    cases=seeds(2, "refuses", "hangs", "errors", "dies-hanging", "dies-refusing"),
    few=(),
    run=run,
    counted="studies",
    figure="s longer",
    remark="W&B online against a small server of our own; scripted trials of 10 s each on two"
    " slots. `dies-refusing` closes the server's port in mid-study. Points are counted after the"
    " server is back and `sweep sync` was called. The tests: `tests/orchestrator/tracking/`.",
)
