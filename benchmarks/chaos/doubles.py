"""F15: two drivers for one study at once, and locks and leases whose owner died.

Two whole drivers are started in the same moment (`two-runs`, `two-resumes`), and, because the
moment in which both could begin is short, bare processes race for the lock and the journal many
more times (`lock-race`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted
from benchmarks.chaos.processes import (
    Driver,
    kill,
    live_for,
    run_to_the_end,
    start_driver,
    wait_for,
)
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.journal import JOURNAL
from orchestrator.lock import OVERRIDE

_RACE = """
import sys, time
from pathlib import Path
from orchestrator.errors import StudyError
from orchestrator.events import StudyStarted
from orchestrator.journal import JOURNAL, Journal
from orchestrator.lock import StudyLock
folder, moment = Path(sys.argv[1]), float(sys.argv[2])
started = StudyStarted(name="s", method="random", metric="m", goal="maximize", seed=1)
time.sleep(max(0.0, moment - time.time()))
try:
    lock = StudyLock(folder)
except StudyError as error:
    print(error)
    raise SystemExit(error.exit_code)
journal = Journal(folder / JOURNAL)
journal.append([started])
print("mine")
sys.stdout.flush()
time.sleep(0.5)
"""
_LEASED = "-leased"
_REPORTED = b'"event":"reported"'


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Start two at once, or one beside a lock that nobody holds any more."""
    name, seed = parts(case)
    kind, leased, _ = name.partition(_LEASED)
    environment = {OVERRIDE: "lease"} if leased else {}
    if kind == "lock-race":
        return Outcome(_race(folder, environment), groups={name: 1})
    said = _two_drivers(kind, seed, folder, environment, random.Random(case), bench)
    return Outcome(said, groups={name: 1})


def _two_drivers(
    kind: str,
    seed: int,
    folder: Path,
    environment: dict[str, str],
    rng: random.Random,
    bench: Bench,
) -> list[str]:
    sweep = scripted_sweep("random", slots=1, seed=seed, trials=3, boundaries=2, name="study")
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    study = folder / "study"
    options = {"address": bench.address, "environment": environment}
    if kind == "two-runs":
        return _both(words, study, rng, **options)
    first = start_driver(words, seconds=0.5, **options)
    journal = study / JOURNAL
    wait_for(lambda: first.has_ended or counted(journal, _REPORTED) >= 2, seconds=120)
    kill(first)
    first.output_file.unlink(missing_ok=True)
    words = ["resume", str(study), "--plain"]
    if kind == "two-resumes":
        return _both(words, study, rng, **options)
    code, output = run_to_the_end(start_driver(words, seconds=0.05, **options))
    said = [] if code == 0 else [f"a lock whose owner is dead held it up: {code}: {output[-300:]}"]
    return [*said, *judge.finished(study)]


def _both(words: list[str], study: Path, rng: random.Random, **options: Any) -> list[str]:
    drivers: list[Driver] = []
    for delay in (0.0, rng.choice((0.0, 0.05, 0.5))):
        time.sleep(delay)
        drivers.append(start_driver(words, seconds=0.3, **options))
    for driver in drivers:
        live_for(driver, 180)
    ended = [run_to_the_end(driver, seconds=5) for driver in drivers]
    codes = sorted(code for code, _ in ended)
    said = [] if codes == [0, 4] else [f"exit codes {codes} instead of 0 and 4"]
    for code, output in ended:
        named = str(drivers[[c for c, _ in ended].index(0)].pid) if 0 in codes else "pid"
        if code == 4 and named not in output and "has come to its end" not in output:
            said.append(f"the owner was not named: {output[-300:]}")
        if code not in (0, 4):
            said.append(f"exit {code}: {output[-300:]}")
    events = judge.events_of(study)
    return [
        *said,
        *judge.finished(study),
        *judge.nothing_twice(events),
        *judge.nothing_damaged(events),
    ]


def _race(folder: Path, environment: dict[str, str]) -> list[str]:
    study = folder / "study"
    study.mkdir()
    moment = str(time.time() + 2.0)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, str(study), moment],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
        )
        for _ in range(2)
    ]  # fmt: skip
    ended = []
    for racer in racers:
        output, _ = racer.communicate(timeout=60)
        ended.append((racer.returncode, output))
    codes = sorted(code for code, _ in ended)
    said = [] if codes == [0, 4] else [f"exit codes {codes} instead of 0 and 4: {ended}"]
    owner = next((racer.pid for racer in racers if racer.returncode == 0), None)
    for code, output in ended:
        if code == 4 and str(owner) not in output:
            said.append(f"the owner {owner} was not named: {output}")
    return [*said, *(["not one line"] if len(judge.events_of(study)) != 1 else [])]


ROW = Row(
    id="F15",
    injected="two studies of one name at once; stale lock",
    holds="one runs, the other exits 4 naming the owner",
    target="0 double starts in 100",
    cases=(
        *seeds(40, "lock-race", f"lock-race{_LEASED}"),
        *seeds(10, "two-runs", "two-resumes"),
        *seeds(5, f"two-runs{_LEASED}", f"two-resumes{_LEASED}"),
        *seeds(5, "dead-owner", f"dead-owner{_LEASED}"),
    ),
    few=("lock-race/0", f"lock-race{_LEASED}/0"),
    run=run,
    counted="double starts",
    remark="two bare processes race for lock and journal at one moment, two whole drivers run or"
    " resume one study, the lock's owner was killed; `leased`: by the lease for shared file"
    " systems (`SWEEP_LOCK=lease`) instead of the local lock.",
)
