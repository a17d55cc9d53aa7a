"""A small disk that is full: nothing torn, the lock works, and with room it goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.disk import disk_error, free_bytes, require_reserve, reserve
from orchestrator.errors import DiskFull
from orchestrator.events import Event, StudyStarted, TrialEnded, TrialProposed
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.lock import OVERRIDE, StudyLock, owner

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
STARTED = StudyStarted(name="s", method="random", metric="eval_accuracy", goal="maximize", seed=1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Take all that is free, to the last byte."""
    with path.open("ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def events_of(number: int, rng: random.Random) -> list[Event]:
    """A block as large as a failure's log."""
    trial = f"{number:04d}"
    proposed = TrialProposed(
        trial=trial, number=number, config={}, origin="searcher", boundaries=1, epochs=1.0
    )
    log = "x" * rng.randrange(6000)
    return [proposed, TrialEnded(trial=trial, state="failed", failure="code", log=log)]


@pytest.mark.parametrize("seed", range(5))
def test_a_journal_that_cannot_be_written_stays_whole_and_goes_on_with_room(
    disk: Path, seed: int
) -> None:
    rng = random.Random(seed)
    path = disk / JOURNAL
    journal = Journal(path)
    journal.append([STARTED])
    written: list[Event] = [STARTED]
    number = refused = 0
    while refused < 6:
        block = events_of(number, rng)
        try:
            journal.append(block)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            told = disk_error(disk, error)
            assert (type(told), told.exit_code) == (DiskFull, 6)
            refused += 1
            (disk / "somebody-elses").unlink(missing_ok=True)
            if refused % 2:
                journal.close()
                journal = Journal(path, read_journal(path))
        else:
            written += block
            number += 1
            if rng.random() < 0.3:
                fill(disk / "somebody-elses")
        contents = read_journal(path)
        assert [entry.event for entry in contents.entries] == written
        assert contents.torn_bytes == 0
        if free_bytes(disk) < 20_000 and not (disk / "somebody-elses").exists():
            break
    journal.close()
    assert refused


def test_a_full_disk_keeps_nobody_from_taking_a_study_or_seeing_who_has_it(disk: Path) -> None:
    StudyLock(disk).release()
    fill(disk / "somebody-elses")
    lock = StudyLock(disk)
    assert owner(disk)
    lock.release()
    assert owner(disk) is None


def test_a_lease_that_cannot_be_written_is_told_as_a_full_disk(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERRIDE, "lease")
    fill(disk / "somebody-elses")
    with pytest.raises(DiskFull, match=r"the disk is full \(.* free\)") as told:
        StudyLock(disk)
    assert told.value.exit_code == 6
    assert "MiB must stay free" in str(told.value)


def test_a_journal_that_cannot_be_copied_stays_as_it_was(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERRIDE, "lease")
    path = disk / JOURNAL
    lock = StudyLock(disk)
    journal = Journal(path, guard=lock)
    journal.append([STARTED, *events_of(0, random.Random(0)), *events_of(1, random.Random(1))])
    journal.close()
    lock.release()
    lock = StudyLock(disk, floor=1)
    before = path.read_bytes()
    fill(disk / "somebody-elses")
    with pytest.raises(OSError, match="No space left"):
        Journal(path, read_journal(path), lock)
    assert path.read_bytes() == before
    assert sorted(p.name for p in disk.glob(".*")) == []
    (disk / "somebody-elses").unlink()
    Journal(path, read_journal(path), lock).close()
    assert path.read_bytes() == before
    lock.release()


def test_low_water_comes_before_the_end(disk: Path) -> None:
    require_reserve(disk)
    fill(disk / "somebody-elses")
    with pytest.raises(DiskFull, match="almost full"):
        require_reserve(disk)
    assert reserve(disk) < 10_000
