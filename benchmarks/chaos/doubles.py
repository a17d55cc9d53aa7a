"""F15: two drivers for one study at once, and locks whose owner died.

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
_REPORTED = b'"event":"reported"'


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Start two at once, or one beside a lock that nobody holds any more."""
    name, seed = parts(case)
    if name == "lock-race":
        return Outcome(_race(folder))
    sweep = scripted_sweep("random", slots=1, seed=seed, trials=3, boundaries=2, name="study")
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    study = folder / "study"
    if name == "two-runs":
        return Outcome(_both(words, study, random.Random(case), bench))
    first = start_driver(words, address=bench.address, seconds=0.5)
    journal = study / JOURNAL
    wait_for(lambda: first.has_ended or counted(journal, _REPORTED) >= 2, seconds=120)
    kill(first)
    first.output_file.unlink(missing_ok=True)
    words = ["resume", str(study), "--plain"]
    if name == "two-resumes":
        return Outcome(_both(words, study, random.Random(case), bench))
    code, output = run_to_the_end(start_driver(words, address=bench.address, seconds=0.05))
    said = [] if code == 0 else [f"a lock whose owner is dead held it up: {code}: {output[-300:]}"]
    return Outcome([*said, *judge.finished(study)])


def _both(words: list[str], study: Path, rng: random.Random, bench: Bench) -> list[str]:
    drivers: list[Driver] = []
    for delay in (0.0, rng.choice((0.0, 0.05, 0.5))):
        time.sleep(delay)
        drivers.append(start_driver(words, address=bench.address, seconds=0.3))
    for driver in drivers:
        live_for(driver, 180)
    ended = [run_to_the_end(driver, seconds=5) for driver in drivers]
    codes = sorted(code for code, _ in ended)
    said = [] if codes == [0, 4] else [f"exit codes {codes} instead of 0 and 4"]
    for code, output in ended:
        named = str(drivers[[c for c, _ in ended].index(0)].pid) if 0 in codes else "pid"
        if code == 4 and named not in output and "is there already" not in output:
            said.append(f"the owner was not named: {output[-300:]}")
        if code not in (0, 4):
            said.append(f"exit {code}: {output[-300:]}")
    events = judge.events_of(study)
    return [*said, *judge.finished(study), *judge.nothing_twice(events)]


def _race(folder: Path) -> list[str]:
    study = folder / "study"
    study.mkdir()
    moment = str(time.time() + 2.0)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, str(study), moment],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
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
    cases=seeds(60, "lock-race") + seeds(15, "two-runs", "two-resumes") + seeds(10, "dead-owner"),
    few=("lock-race/0",),
    run=run,
    counted="double starts",
    remark="60 times two bare processes race for lock and journal at one moment, 30 times two whole"
    " drivers run or resume one study, 10 times the lock's owner was killed.",
)
