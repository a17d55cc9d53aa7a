"""F6: signals at any moment: exit codes, a closed journal, and no process left.

Each driver starts its own Ray here, as a person's does, so that Ray's processes are among those
that must be gone. The moment is drawn: while everything starts, between events, in the middle of
a long sleep, in the middle of Python that computes.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from benchmarks.chaos import judge
from benchmarks.chaos.processes import (
    Driver,
    descendants,
    end_all,
    kill,
    start_driver,
    wait_for,
    wait_until_gone,
)
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.lock import owner
from orchestrator.results import read_study

SIGNALS = {
    "SIGINT": signal.SIGINT,
    "SIGINT-twice": signal.SIGINT,
    "SIGTERM": signal.SIGTERM,
    "SIGUSR1": signal.SIGUSR1,
    "SIGHUP": signal.SIGHUP,
}
_CLOSED_S = 2.5
_GONE_S = 10.0
_SECOND_AFTER_S = 0.2
_MOMENTS = ("between", "long-step", "busy", "starting")


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Start, signal, measure."""
    name, seed = parts(case)
    moment = _MOMENTS[seed % len(_MOMENTS)]
    rng = random.Random(case)
    sweep = scripted_sweep("random", slots=2, seed=seed, trials=40, boundaries=10, name="study")
    file = write_sweep(folder / "study.yaml", sweep)
    journal = folder / "study" / JOURNAL
    driver = start_driver(
        ["run", str(file), "--storage", str(folder), "--plain"],
        seconds={"long-step": 5.0, "busy": 3.0}.get(moment, 0.2),
        busy=moment == "busy",
    )
    _wait_for_moment(moment, journal, driver, rng)
    if driver.has_ended:
        return Outcome([f"it ended by itself: {driver.output[-300:]}"])
    # Ctrl-C in a terminal goes to all processes of the group, `kill` to one.
    to_all = name.startswith("SIGINT") and seed // len(_MOMENTS) % 2 == 0
    return _signalled(name, driver, journal, to_all=to_all)


def _wait_for_moment(moment: str, journal: Path, driver: Driver, rng: random.Random) -> None:
    if moment == "starting":
        time.sleep(rng.uniform(1.0, 8.0))
        return
    word = b'"reported"' if moment == "between" else b'"segment_started"'

    def began() -> bool:
        there = journal.exists() and word in journal.read_bytes()
        return there or driver.has_ended

    wait_for(began, seconds=120)
    time.sleep(rng.uniform(0.3, 2.5))


def _signalled(name: str, driver: Driver, journal: Path, *, to_all: bool) -> Outcome:
    number = SIGNALS[name]
    known = descendants(driver.pid)
    began = journal.exists()
    started = time.monotonic()
    send = os.killpg if to_all else os.kill  # the driver leads a process group of its own
    send(driver.pid, number)
    if name == "SIGINT-twice":
        time.sleep(_SECOND_AFTER_S)
        if not driver.has_ended:
            known += descendants(driver.pid)
            send(driver.pid, number)
    said = []
    closed = None
    if began:
        if not wait_for(lambda: _resumable(journal), seconds=30):
            said.append("the journal was not closed within 30 s")
        closed = time.monotonic() - started
    if not wait_for(lambda: driver.has_ended, seconds=30):
        said.append("the driver did not end within 30 s")
        known += kill(driver)
    left_after = time.monotonic() - started
    if driver.process.returncode != 128 + number:
        said.append(f"exit {driver.process.returncode} instead of {128 + number}")
    said += _said(name, driver, began)
    _, left = wait_until_gone(known, seconds=_GONE_S)
    said += [f"still there after {_GONE_S:.0f} s: {process}" for process in left]
    end_all(known)
    if closed is not None and closed > _CLOSED_S:
        said.append(f"the journal was closed and free after {closed:.1f} s")
    if name == "SIGINT-twice" and left_after > _CLOSED_S:
        said.append(f"a second signal ended it after {left_after:.1f} s only")
    if began:
        contents = read_journal(journal)
        said += judge.nothing_twice([entry.event for entry in contents.entries])
        if contents.torn_bytes and name != "SIGINT-twice":
            said.append("the journal ends in a torn line")
    driver.output_file.unlink(missing_ok=True)
    return Outcome(said, figure=closed, groups={"to the group": 1} if to_all else {})


def _resumable(journal: Path) -> bool:
    """Whether a `sweep resume` could take the study up now."""
    return owner(journal.parent) is None and read_study(journal.parent).status == "interrupted"


def _said(name: str, driver: Driver, began: bool) -> list[str]:
    output = driver.output
    said = ["a traceback"] if "Traceback" in output else []
    if began and name != "SIGINT-twice" and "sweep resume" not in output:
        said.append(f"the way to go on was not told: {output[-200:]}")
    return said


ROW = Row(
    id="F6",
    injected="SIGINT once, twice, SIGTERM, SIGUSR1, SIGHUP",
    holds="exit codes, journal valid, no process left after 10 s",
    target="journal closed under 2.5 s, 20 each (SIGHUP 4)",
    cases=(*seeds(20, *[name for name in SIGNALS if name != "SIGHUP"]), *seeds(4, "SIGHUP")),
    few=("SIGTERM/1",),
    run=run,
    counted="signals",
    figure="s until closed and free to resume",
    remark="a quarter each between events, in a step that sleeps 5 s, in a step that computes 3 s,"
    " and while everything starts (then there is no journal yet). Each driver starts its own Ray."
    " Half of the SIGINTs go to the whole process group, as Ctrl-C in a terminal does.",
)
