"""F1 and F2: SIGKILL of the driver, at random moments and at every commit point.

Most drivers join one Ray that outlives them, so that a kill costs a start of the driver and its
workers and not of Ray; what a killed driver's workers still write for a moment is part of the
injury. Those of `own-ray` start one each, as a plain `sweep run` does: it must go with its driver.
Each study is compared with the same one run without faults.
"""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.chaos import judge
from benchmarks.chaos.kill_points import DRIVER_POINTS, POINTS
from benchmarks.chaos.killing import GONE_S, Killed, counted, kill_until_done
from benchmarks.chaos.processes import (
    Driver,
    kill,
    live_for,
    run_to_the_end,
    start_driver,
    wait_for,
)
from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.studies import METHODS, scripted_sweep, write_sweep
from orchestrator.events import Event
from orchestrator.journal import JOURNAL, is_unbegun

KILLS = 10
"""Kills of one case of F1; a study that ends before is followed by another."""
_BOUNDARY_S = 0.15
_LIFE_S = 1.5
"""A driver lives at most this long after its first new event."""
_STARTING = 0.15
"""The share of kills that fall into a driver's start."""
_START_S = 6.0
_OWN_RAY = " own-ray"
_AGENTS_GONE_S = 90.0
"""Ray's two agents look for their dead head for a minute before they end."""
_COMPARED_WITH_TWO_SLOTS = ("grid", "random", "pbt")


def sweep_of(method: str, slots: int, seed: int) -> dict[str, object]:
    """A study that outlives a few kills."""
    trials, boundaries = {"bayes": (14, 3), "pbt": (4, 10)}.get(method, (8, 5))
    return scripted_sweep(
        method, slots=slots, seed=seed, trials=trials, boundaries=boundaries, name="study"
    )


@functools.cache
def reference(method: str, slots: int, seed: int, address: str) -> list[Event]:
    """The events of the same study without faults."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-reference-"))
    try:
        file = write_sweep(folder / "study.yaml", sweep_of(method, slots, seed))
        words = ["run", str(file), "--storage", str(folder), "--plain"]
        code, output = run_to_the_end(start_driver(words, address=address, seconds=0.01))
        if code != 0:
            raise RuntimeError(f"the study without faults exited with {code}: {output[-500:]}")
        return judge.events_of(folder / "study")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_random(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill, resume and kill again until the study is done; then judge it."""
    whole, own_ray, _ = case.partition(_OWN_RAY)
    whole, _, most = whole.partition(" x")
    method, slots, seed = _parsed(whole)
    rng = random.Random(case)
    address = None if own_ray else bench.address
    said: list[str] = []
    kills = 0
    goal = int(most or KILLS)
    number = 0
    while kills < goal:
        place = folder / str(number)
        place.mkdir()
        killed = _kill_one(place, method, slots, 100 * seed + number, goal - kills, rng, address)
        done = len(killed.copies)
        found = killed.violations + judge_study(
            place / "study", killed.copies, method, slots, 100 * seed + number, bench
        )
        kills += done
        said += found
        number += 1
        if not done:
            said.append("the study ended before it could be killed")
            break
    return Outcome(said, count=kills, groups={method + own_ray: kills})


def _kill_one(
    place: Path,
    method: str,
    slots: int,
    seed: int,
    kills: int,
    rng: random.Random,
    address: str | None,
) -> Killed:
    """Kill one study's drivers until it is done."""

    def moment(journal: Path, driver: Driver) -> None:
        if rng.random() < _STARTING:
            live_for(driver, rng.uniform(0, _START_S))
            return
        # Every driver's first lines only say that it is there.
        known = counted(journal, b"\n") + 1
        wait_for(lambda: driver.has_ended or counted(journal, b"\n") > known, seconds=120)
        live_for(driver, rng.uniform(0, _LIFE_S))

    file = write_sweep(place / "study.yaml", sweep_of(method, slots, seed))
    gone_s = GONE_S if address else _AGENTS_GONE_S
    options = {"address": address, "seconds": _BOUNDARY_S, "gone_s": gone_s}
    return kill_until_done(file, place / "study", kills, moment, **options)


def judge_study(
    study: Path, copies: list[bytes], method: str, slots: int, seed: int, bench: Bench
) -> list[str]:
    """Everything that F1 promises."""
    if not (study / JOURNAL).exists():
        return ["there is no journal"]
    events = judge.events_of(study)
    said = [
        *judge.finished(study),
        *judge.history_kept(study, copies),
        *judge.nothing_twice(events),
        *judge.back_by_one(events),
        *judge.starts_exist(events),
        *judge.nothing_damaged(events),
        *judge.best_loads(study),
    ]
    if slots == 1 or method in _COMPARED_WITH_TWO_SLOTS:
        said += judge.same_study(events, reference(method, slots, seed, bench.address))
    elif method != "bayes":  # with two slots a Bayesian search depends on who comes first
        said += judge.same_proposals(events, reference(method, slots, seed, bench.address))
    return said


def run_point(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill at one commit point, resume to the end, judge."""
    point, _, rest = case.rpartition(" / ")
    method, slots, seed = _parsed(rest)
    rng = random.Random(case)
    file = write_sweep(folder / "study.yaml", sweep_of(method, slots, seed))
    study = folder / "study"
    journal = study / JOURNAL
    nth = rng.randrange(1, 20)
    fault = {"kill": {"point": point, "nth": nth}}
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    driver = start_driver(words, address=bench.address, seconds=0.05, **fault)
    live_for(driver, 120)
    if driver.process.poll() != -9:
        kill(driver)
        return Outcome([f"the point was not passed {nth} times: exit {driver.process.poll()}:"
                        f" {driver.output[-300:]}"])  # fmt: skip
    driver.output_file.unlink(missing_ok=True)
    time.sleep(rng.uniform(0, 1))  # the other worker may still write
    copies = [journal.read_bytes() if journal.exists() else b""]
    said = []
    if not judge.is_over(study):
        if not is_unbegun(journal):
            words = ["resume", str(study), "--plain"]
        code, output = run_to_the_end(start_driver(words, address=bench.address, seconds=0.02))
        said += [] if code == 0 else [f"exit {code}: {output[-400:]}"]
    kind = "driver" if point in DRIVER_POINTS else "worker"
    said += judge_study(study, copies, method, slots, seed, bench)
    return Outcome(said, groups={f"of the {kind}'s points": 1})


def _parsed(case: str) -> tuple[str, int, int]:
    method, slots, seed = case.split("-")
    return method, int(slots), int(seed)


F1 = Row(
    id="F1",
    injected="SIGKILL of the driver at a random moment, again and again until done; each method",
    holds="every trial finished once; none lost or re-run; none goes back more than one boundary;"
    " same proposals as without faults (one slot: every method; two: grid, random, synchronous"
    " pbt)",
    target="0 violations in 50 kills a method",
    cases=(
        *(
            f"{method}-{slots}-{seed}"
            for seed, slots in ((0, 1), (0, 2), (1, 1), (1, 2), (2, 1))
            for method in METHODS
        ),
        f"random-2-3 x5{_OWN_RAY}",
        f"pbt-2-3 x5{_OWN_RAY}",
    ),
    few=("pbt-2-0 x2",),
    run=run_random,
    counted="kills",
    remark="scripted trials on a Ray that outlives the driver, and (`own-ray`) on one that the"
    " driver started; beside the proposals also every"
    " decision, value and end is compared. What a killed driver started must be gone after 10 s,"
    " its own Ray's last agents after 90 s."
    " `asha` is random search with early stopping; with two slots its decisions depend on who"
    " comes first, so there only its proposals are compared.",
)
F2 = Row(
    id="F2",
    injected="SIGKILL at each commit point (before and after temporary folder, rename, journal"
    " line, tell)",
    holds="as F1",
    target="every point x every method",
    cases=tuple(f"{point} / {method}-2-7" for method in METHODS for point in POINTS),
    few=("rename after / random-2-7",),
    run=run_point,
    counted="kills",
    remark="at a worker's points worker and driver are killed together, as when a machine loses"
    " its power.",
)
