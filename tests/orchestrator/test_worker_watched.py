"""A worker's clock also runs while its state is copied and while it waits for the writer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator import watchdog, worker
from orchestrator.checkpoints import CheckpointWriter, checkpoint_path, commit
from orchestrator.commands import HUNG_AFTER_S, Command, GoOn, Leave, Release, Train
from orchestrator.errors import TrialError
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import BoundaryReport, Segment
from orchestrator.worker import TrialWorker, WorkerContext
from tests.sweeps.studies import spec


class Clock:
    """Stands in for the watchdog: how long the process may stand still now, None: for ever."""

    def __init__(self) -> None:
        self.deadline_s: float | None = None
        self.left = 0

    def watch(self, file: Path, deadline_s: float) -> None:
        self.deadline_s = deadline_s

    def rest(self) -> None:
        self.deadline_s = None

    def leave(self) -> None:
        self.left += 1


class Mailbox:
    """Gives the commands that it was made with, without Ray."""

    def __init__(self, commands: list[Command]) -> None:
        self._commands = commands
        self.take = SimpleNamespace(remote=lambda address: self._commands.pop(0))
        self.peek = SimpleNamespace(remote=lambda address: None)
        self.tracker = SimpleNamespace(remote=lambda: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name in ("watch", "rest", "leave"):
        monkeypatch.setattr(watchdog, name, getattr(made, name))
    monkeypatch.setattr(worker.ray, "get", lambda value: value)
    monkeypatch.setattr(worker, "_node", lambda: "127.0.0.1")
    return made


def work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    commands: list[Command],
    fails: bool,
) -> tuple[list[tuple[str, float | None]], list[str]]:
    """What a worker did under which deadline, and what it told."""
    seen: list[tuple[str, float | None]] = []
    flush = CheckpointWriter.flush

    class Rank(ScriptedRank):
        def advance(self) -> BoundaryReport:
            seen.append(("advance", clock.deadline_s))
            if fails:
                raise TrialError("code", "it fails")
            return super().advance()

        def snapshot(self) -> Any:
            seen.append(("snapshot", clock.deadline_s))
            return super().snapshot()

        def stop(self) -> None:
            seen.append(("stop", clock.deadline_s))
            super().stop()

    def flushed(writer: CheckpointWriter) -> None:
        seen.append(("flush", clock.deadline_s))
        flush(writer)

    monkeypatch.setattr(CheckpointWriter, "flush", flushed)
    context = WorkerContext(spec(), tmp_path, tmp_path, tmp_path, Mailbox(commands), Rank)
    made = TrialWorker.__new__(TrialWorker)
    made.setup({"worker": "w0"}, context)
    told = []
    while "released" not in told:
        message = made._messages.get(timeout=10)
        assert isinstance(message, dict), message
        told.append(message["what"])
    made.cleanup()
    return seen, told


SEGMENT = Segment(trial="0000", segment=0, config={"learning_rate": 1e-3}, boundaries=3)


def test_copying_writing_and_leaving_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    commands: list[Command] = [
        Train(SEGMENT, 1, hung_after_s=5.0),
        GoOn(2, hung_after_s=900.0),
        Leave(),
        Release(),
    ]
    seen, told = work(tmp_path, monkeypatch, clock, commands, fails=False)
    assert seen[:-1] == [
        ("advance", 5.0),
        ("flush", HUNG_AFTER_S),  # a disk may be slow where training may not
        ("snapshot", 5.0),
        ("advance", 900.0),
        ("flush", 900.0),
        ("snapshot", 900.0),
        ("flush", 900.0),
        ("stop", 900.0),
    ]
    assert told.count("committed") == 2
    assert clock.deadline_s is None
    assert clock.left == 1


def test_a_failed_trial_is_watched_until_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    commands: list[Command] = [Train(SEGMENT, 1, hung_after_s=5.0), Release()]
    seen, told = work(tmp_path, monkeypatch, clock, commands, fails=True)
    assert seen[:-1] == [("advance", 5.0), ("stop", 5.0), ("flush", HUNG_AFTER_S)]
    assert told == ["ready", "failed", "released"]
    assert clock.left == 1


class ThreeFiles:
    def write(self, folder: Path) -> None:
        for name in "abc":
            (folder / name).write_text(name)


def test_each_file_that_is_on_disk_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[None] = []
    monkeypatch.setattr(watchdog, "progress", lambda: moved.append(None))
    commit(tmp_path, checkpoint_path("0000", 0, 1), ThreeFiles())
    assert len(moved) == 3
