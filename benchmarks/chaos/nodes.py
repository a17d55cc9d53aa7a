"""F4 and F5: a node of a cluster is lost; the head of a cluster is lost.

Clusters are those of `ray.cluster_utils`, several nodes on this machine, because a test must be
able to lose one. F4: the head has no CPU and two nodes have one each; one is taken away at a
random moment and another comes. F5: everything but the storage goes, and the study is resumed on
a cluster that never heard of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted
from benchmarks.chaos.processes import (
    Driver,
    descendants,
    live_for,
    ray_cluster,
    run_to_the_end,
    start_driver,
    wait_for,
)
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.events import Event, SegmentStarted, TrialInterrupted
from orchestrator.journal import JOURNAL, read_journal

_REPLACED_S = 60.0
_REPORTED = b'"event":"reported"'
_LEAVE_S = 120.0
"""How long a driver may take to notice that its cluster is gone."""


_SHORT = " short"


def _start(folder: Path, case: str, address: str) -> tuple[Path, Driver]:
    whole, short, _ = case.partition(_SHORT)
    _, seed = parts(whole)
    sweep = scripted_sweep(
        "random", slots=2, seed=seed, trials=2 if short else 8, boundaries=5 if short else 10,
        name="study", failures={"max_retries": 10},
    )  # fmt: skip
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    return folder / "study", start_driver(words, address=address, seconds=0.4)


def _wait_until_it_trains(study: Path, driver: Driver, case: str, rng: random.Random) -> None:
    journal = study / JOURNAL
    wanted = rng.randint(2, 4 if case.endswith(_SHORT) else 20)
    wait_for(lambda: driver.has_ended or counted(journal, _REPORTED) >= wanted, seconds=120)


def run_node(case: str, folder: Path, bench: Bench) -> Outcome:
    """Take a node that trains away, bring another, wait for the end."""
    rng = random.Random(case)
    with ray_cluster(cpus=0) as cluster:
        nodes: list[Any] = [cluster.add_node(num_cpus=1) for _ in range(2)]
        study, driver = _start(folder, case, cluster.address)
        _wait_until_it_trains(study, driver, case, rng)
        node = rng.choice(nodes)
        there = _processes(node)
        gone = time.time()
        cluster.remove_node(node, allow_graceful=False)
        live_for(driver, rng.uniform(0, 1 if case.endswith(_SHORT) else 5))
        cluster.add_node(num_cpus=1)
        code, output = run_to_the_end(driver)
    said = [] if code == 0 else [f"exit {code}: {output[-400:]}"]
    events = judge.events_of(study)
    said += [
        *judge.finished(study),
        *judge.nothing_twice(events),
        *judge.back_by_one(events),
        *judge.nothing_damaged(events),
        *judge.best_loads(study),
        *_only_those_there(events, there),
    ]
    seconds, waiting = _replaced(study, gone)
    said += [f"trial {trial} was never taken up again" for trial in waiting]
    if seconds is None:
        said.append("no trial was interrupted: the node was lost unnoticed")
    elif seconds > _REPLACED_S:
        said.append(f"a trial waited {seconds:.0f} s for a place")
    return Outcome(said, figure=seconds)


def _processes(node: Any) -> set[int]:
    """The ids of all processes of a node: its workers are its raylet's children."""
    found: set[int] = set()
    for started in node.all_processes.values():
        for info in started:
            pid = info.process.pid
            found |= {pid, *(child for child, _ in descendants(pid))}
    return found


def _only_those_there(events: Sequence[Event], there: set[int]) -> list[str]:
    """Interrupted was what trained on the lost node, and nothing on the other one."""
    said: list[str] = []
    at: dict[str, int] = {}
    for event in events:
        if isinstance(event, SegmentStarted):
            at[event.trial] = event.pid
        elif isinstance(event, TrialInterrupted) and at.get(event.trial) not in there:
            said.append(f"trial {event.trial} was interrupted, its node lives: {event.message}")
    return said


def _replaced(study: Path, gone: float) -> tuple[float | None, list[str]]:
    """The longest time from the loss until a trial had a new place, and who never got one."""
    waits: list[float] = []
    waiting: set[str] = set()
    for entry in read_journal(study / JOURNAL).entries:
        event = entry.event
        if isinstance(event, TrialInterrupted):
            waiting.add(event.trial)
        elif isinstance(event, SegmentStarted) and event.trial in waiting:
            waits.append(entry.time - gone)
            waiting.remove(event.trial)
    return max(waits, default=None), sorted(waiting)


def run_head(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill all of a cluster's processes, resume on a fresh one."""
    rng = random.Random(case)
    with ray_cluster() as cluster:
        study, driver = _start(folder, case, cluster.address)
        _wait_until_it_trains(study, driver, case, rng)
        before = (study / JOURNAL).read_bytes()
        cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        code, output = run_to_the_end(driver, seconds=_LEAVE_S)
    said = [] if code == 7 else [f"exit {code} instead of 7: {output[-400:]}"]
    if "sweep resume" not in output:
        said.append("the way to go on was not told")
    with ray_cluster() as cluster:
        words = ["resume", str(study), "--plain"]
        code, output = run_to_the_end(start_driver(words, address=cluster.address, seconds=0.05))
    said += [] if code == 0 else [f"resume: exit {code}: {output[-400:]}"]
    events = judge.events_of(study)
    said += [
        *judge.finished(study),
        *judge.history_kept(study, [before]),
        *judge.nothing_twice(events),
        *judge.back_by_one(events),
        *judge.nothing_damaged(events),
        *judge.best_loads(study),
    ]
    return Outcome(said)


F4 = Row(
    id="F4",
    injected="loss of one of two nodes (`ray.cluster_utils.Cluster`), then a new one",
    holds="all trials finish, none stuck",
    target="re-placed within 60 s, 20",
    cases=seeds(20, "node"),
    few=(f"node/0{_SHORT}",),
    run=run_node,
    counted="nodes lost",
    figure="s from the loss until taken up again",
    remark="that nothing was interrupted on the other node is judged by the process ids there.",
)
F5 = Row(
    id="F5",
    injected="head node killed, resume on a fresh cluster",
    holds="exit 7 with the resume command, then F1",
    target="10",
    cases=seeds(10, "head"),
    few=(),
    run=run_head,
    counted="heads killed",
    remark="how a cluster that does not answer is told as gone is tested in"
    " `tests/orchestrator/test_cluster.py`.",
)
