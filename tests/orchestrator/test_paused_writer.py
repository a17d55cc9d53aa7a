"""A writer that sleeps through its lease wakes up, finds a higher epoch and stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import lease, lock
from orchestrator.events import StudyStarted, TrialProposed
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.lock import OVERRIDE, StudyLock, owner

STARTED = StudyStarted(name="s", method="random", metric="eval_accuracy", goal="maximize", seed=1)

SLEEPER = """
import sys
from pathlib import Path
from orchestrator.errors import StudyTaken
from orchestrator.journal import JOURNAL, Journal
from orchestrator.lock import StudyLock
from tests.orchestrator.test_paused_writer import STARTED, proposed

folder = Path(sys.argv[1])
lock = StudyLock(folder)
journal = Journal(folder / JOURNAL, guard=lock)
journal.append([STARTED, proposed(0)])
print("written", flush=True)
sys.stdin.readline()
try:
    journal.append([proposed(1), proposed(2)])
except StudyTaken as error:
    lock.release()
    print(error, flush=True)
    raise SystemExit(error.exit_code)
"""


def proposed(number: int) -> TrialProposed:
    return TrialProposed(
        trial=f"{number:04d}",
        number=number,
        config={},
        origin="searcher",
        boundaries=1,
        epochs=1.0,
    )


def test_a_writer_that_sleeps_through_its_lease_stops_and_writes_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERRIDE, "lease")
    sleeper = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert sleeper.stdout is not None and sleeper.stdout.readline() == "written\n"
        sleeper.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(lease, "LEASE_S", 0.0)  # it has run out
        monkeypatch.setattr(lock.time, "sleep", lambda seconds: None)
        notices: list[str] = []
        mine = StudyLock(tmp_path, on_notice=notices.append)
        assert f"process {sleeper.pid} on" in notices[0]
        journal = Journal(tmp_path / JOURNAL, read_journal(tmp_path / JOURNAL), mine)
        journal.append([proposed(7)])
        sleeper.send_signal(signal.SIGCONT)
        said, _ = sleeper.communicate("go on\n", timeout=60)
    finally:
        sleeper.kill()
    assert sleeper.returncode == 4
    assert f"another process has taken this study over: process {os.getpid()} on" in said
    journal.append([proposed(8)])
    contents = read_journal(tmp_path / JOURNAL)
    assert [entry.event for entry in contents.entries] == [STARTED, *map(proposed, (0, 7, 8))]
    assert [entry.epoch for entry in contents.entries] == [1, 1, 2, 2]
    monkeypatch.undo()
    monkeypatch.setenv(OVERRIDE, "lease")
    assert f"process {os.getpid()} on" in (owner(tmp_path) or ""), "its end took nothing away"
    mine.release()
