"""A study on a folder that machines share goes on elsewhere; two drivers never write at once.

A machine is a namespace of host name and processes of its own, which needs root: nobody there can
see the processes of another, or ask whether they live. The lease's times are shortened.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.chaos import judge
from benchmarks.chaos.processes import wait_for
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.events import StudyEnded, StudyResumed, StudyStarted
from orchestrator.journal import JOURNAL, read_journal

ROOT = Path(__file__).parents[2]

DRIVER = """
from orchestrator import lease
lease.LEASE_S, lease.WATCH_S = 4.0, 2.0
lease.Lease.__init__.__kwdefaults__["renew_s"] = 1.0
from benchmarks.chaos.driver import main
main()
"""

NEW_MACHINE = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]


def can_make_machines() -> bool:
    """Whether namespaces can be made here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NEW_MACHINE, "true"], capture_output=True).returncode == 0


class Machine:
    """A `sweep` command on a machine of its own, in a working folder of its own."""

    def __init__(self, host: str, folder: Path, *words: str) -> None:
        work = folder / host
        work.mkdir()
        self._output = work / "output"
        plan = json.dumps({"seconds": 0.3, "trains": False})
        command = [sys.executable, "-c", DRIVER, plan, *words, "--storage", str(folder), "--plain"]
        named = ["sh", "-c", 'hostname "$0"; exec "$@"', host, *command]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*NEW_MACHINE, *named],
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "SWEEP_LOCK": "lease"},
            )

    @property
    def output(self) -> str:
        return self._output.read_text("utf-8", "replace")

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def signal_driver(self, number: int) -> None:
        (driver,) = psutil.Process(self.process.pid).children()
        driver.send_signal(number)

    def lose_power(self) -> None:
        """Every process on it dies, Ray's too."""
        self.process.kill()
        self.process.wait(10)

    def end(self, seconds: float) -> int:
        """Its exit code."""
        return self.process.wait(seconds)


@pytest.mark.slow
@pytest.mark.skipif(not can_make_machines(), reason="making namespaces needs root and unshare")
def test_a_study_goes_on_on_another_machine_and_who_slept_meanwhile_writes_no_more(
    tmp_path: Path,
) -> None:
    sweep = scripted_sweep("random", slots=2, seed=3, trials=12, boundaries=6, name="study")
    file = write_sweep(tmp_path / "study.yaml", sweep)
    journal = tmp_path / "study" / JOURNAL
    machines: list[Machine] = []

    def machine(host: str, *words: str) -> Machine:
        machines.append(Machine(host, tmp_path, *words))
        return machines[-1]

    def until(driver: Machine, done: Callable[[], bool]) -> None:
        assert wait_for(lambda: done() or driver.has_ended, seconds=90)
        assert not driver.has_ended, driver.output

    def reports() -> int:
        return journal.read_bytes().count(b'"reported"') if journal.exists() else 0

    try:
        first = machine("node-a", "run", str(file))
        until(first, lambda: reports() >= 5)
        refused = machine("node-b", "resume", "study")
        assert refused.end(60) == 4 and "on node-a" in refused.output, refused.output

        first.signal_driver(signal.SIGSTOP)
        had = reports()
        wait_for(lambda: False, seconds=5)  # the lease of who sleeps runs out
        second = machine("node-c", "resume", "study")
        until(second, lambda: reports() >= had + 5)
        first.signal_driver(signal.SIGCONT)
        ended = first.end(30)  # a driver that was away for longer is ended by its Ray: 1
        assert ended == 1 or (ended == 4 and "on node-c" in first.output), first.output

        second.lose_power()
        wait_for(lambda: False, seconds=5)
        third = machine("node-d", "resume", "study")
        assert third.end(120) == 0, third.output
    finally:
        for one in machines:
            if not one.has_ended:
                one.lose_power()

    study = journal.parent
    events = [entry.event for entry in read_journal(journal).entries]
    hosts = [e.host["name"] for e in events if isinstance(e, StudyStarted | StudyResumed)]
    assert hosts == ["node-a", "node-c", "node-d"]
    assert [e.state for e in events if isinstance(e, StudyEnded)] == ["finished"]
    assert judge.finished(study) == []
    assert judge.nothing_twice(events) + judge.back_by_one(events) == []
