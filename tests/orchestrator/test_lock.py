"""One writer a study: by flock, by lease, and what either does with an owner that died."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import StudyTaken, Unfit
from orchestrator.filesystems import file_system, is_shared
from orchestrator.lease import LEASE_S, FolderRecords, Holder, Lease, LeaseHeld
from orchestrator.lock import LEASE, LOCK, OVERRIDE, StudyLock, owner, refuse_running

KINDS = ["flock", "lease"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(OVERRIDE, request.param)
    return str(request.param)


@pytest.mark.usefixtures("kind")
def test_a_study_has_one_writer_and_names_it(tmp_path: Path) -> None:
    assert owner(tmp_path) is None
    lock = StudyLock(tmp_path)
    assert f"process {os.getpid()} on " in (owner(tmp_path) or "")
    with pytest.raises(StudyTaken, match=f"process {os.getpid()} on") as taken:
        StudyLock(tmp_path)
    assert taken.value.exit_code == 4
    with pytest.raises(StudyTaken, match=f"process {os.getpid()} on"):
        refuse_running(tmp_path)
    lock.check()
    lock.release()
    refuse_running(tmp_path)
    refuse_running(tmp_path / "not-there")
    assert owner(tmp_path) is None
    again = StudyLock(tmp_path, floor=lock.epoch)
    assert again.epoch > lock.epoch
    again.release()


@pytest.mark.usefixtures("kind")
def test_of_many_that_start_at_once_one_gets_the_study(tmp_path: Path) -> None:
    def start(_: int) -> StudyLock | str:
        try:
            return StudyLock(tmp_path)
        except StudyTaken as error:
            return str(error)

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(start, range(8)))
        locks = [lock for lock in found if isinstance(lock, StudyLock)]
        assert len(locks) == 1
        assert all(
            "another process writes to this study" in str(f) for f in found if f not in locks
        )
        locks[0].release()


HOLD = """
import sys, time
from pathlib import Path
from orchestrator.lock import StudyLock
StudyLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study."""
    holding = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holding.stdout is not None and holding.stdout.readline() == "held\n"
    yield holding
    holding.kill()
    holding.wait()
    holding.stdout.close()


def test_a_study_whose_owner_was_killed_is_free_at_once(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    with pytest.raises(StudyTaken, match=f"process {other.pid} on"):
        StudyLock(tmp_path)
    other.kill()
    other.wait()
    assert owner(tmp_path) is None
    started = time.monotonic()
    StudyLock(tmp_path).release()
    assert time.monotonic() - started < 1.0


def left_behind(folder: Path, **changes: object) -> bytes:
    """The record that a process of another machine left."""
    elsewhere = replace(Holder.this_process(), pid=4711, host="elsewhere", machine="another")
    record = replace(elsewhere, **changes).encode()  # type: ignore[arg-type]
    assert FolderRecords(folder / LEASE).make(7, record)
    return record


def test_a_lease_that_ran_out_is_watched_and_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path, renewed=time.time() - LEASE_S - 1)
    slept: list[float] = []
    monkeypatch.setattr("orchestrator.lock.time.sleep", slept.append)
    notices: list[str] = []
    lock = StudyLock(tmp_path, on_notice=notices.append)
    assert (lock.epoch, lock.is_lease) == (8, True)
    assert "process 4711 on elsewhere" in notices[0]
    assert slept == [20.0]
    assert os.listdir(tmp_path / LEASE) == ["000000000008"]
    lock.release()


def test_a_lease_of_another_machine_that_is_fresh_is_not_taken(tmp_path: Path) -> None:
    left_behind(tmp_path, renewed=time.time() - LEASE_S / 2)
    with pytest.raises(StudyTaken, match="process 4711 on elsewhere"):
        StudyLock(tmp_path)
    assert "4711" in (owner(tmp_path) or "")


def test_a_holder_whose_clock_is_wrong_is_alive_as_long_as_it_renews(tmp_path: Path) -> None:
    left_behind(tmp_path, renewed=time.time() - 3 * LEASE_S)
    records = FolderRecords(tmp_path / LEASE)

    def renewed_meanwhile(holder: str, seconds: float) -> None:
        records.replace(7, replace(Holder.this_process(), pid=4711, renewed=1.0).encode())

    with pytest.raises(LeaseHeld, match="process 4711"):
        Lease(records, wait=renewed_meanwhile)


class Slow(FolderRecords):
    """Has looked, and sleeps before it takes: two others come and go in between."""

    def make(self, epoch: int, record: bytes) -> bool:
        other = FolderRecords(self.folder)
        later = replace(Holder.this_process(), pid=4712).encode()
        assert other.make(epoch, later) and other.make(epoch + 1, later)
        return super().make(epoch, record)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder


def test_an_epoch_that_was_had_and_deleted_is_not_taken_again(tmp_path: Path) -> None:
    with pytest.raises(LeaseHeld, match="process 4712"):
        Lease(Slow(tmp_path / LEASE))
    assert FolderRecords(tmp_path / LEASE).newest()[0] == 2


def test_a_clock_that_is_ahead_makes_the_watch_longer(tmp_path: Path) -> None:
    left_behind(tmp_path, renewed=time.time() + 3600)
    waited: list[float] = []
    lease = Lease(FolderRecords(tmp_path / LEASE), wait=lambda _, seconds: waited.append(seconds))
    assert waited == [LEASE_S]
    lease.release()


def test_a_writer_that_was_taken_for_dead_is_told_and_does_not_take_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERRIDE, "lease")
    sleeper = StudyLock(tmp_path)
    sleeper.check()
    assert FolderRecords(tmp_path / LEASE).make(sleeper.epoch + 1, Holder.this_process().encode())
    with pytest.raises(StudyTaken, match="has taken this study over") as taken:
        sleeper.check()
    assert taken.value.exit_code == 4
    assert sleeper.overtaken
    sleeper.release()
    assert "process" in (owner(tmp_path) or ""), "the other's lease stands"


def test_the_lease_is_renewed_and_a_loss_is_noticed_in_between(tmp_path: Path) -> None:
    records = FolderRecords(tmp_path / LEASE)
    lease = Lease(records, renew_s=0.02)
    deadline = time.monotonic() + 5
    while (holder := Holder.decode(records.newest()[1])) is None or holder.renewals < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not lease.overtaken
    records.make(lease.epoch + 1, b"{}")
    while not lease.overtaken:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lease.release()


def test_the_epoch_goes_above_what_the_journal_knows(tmp_path: Path, kind: str) -> None:
    lock = StudyLock(tmp_path, floor=41)
    assert lock.epoch == 42
    lock.release()
    assert (tmp_path / (LOCK if kind == "flock" else LEASE)).exists()


def test_a_study_that_began_with_leases_stays_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OVERRIDE, "lease")
    lock = StudyLock(tmp_path)
    monkeypatch.delenv(OVERRIDE)
    with pytest.raises(StudyTaken):
        StudyLock(tmp_path)
    lock.release()


def test_an_unknown_kind_of_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "semaphore")
    with pytest.raises(Unfit, match="must be flock or lease; got semaphore"):
        StudyLock(tmp_path)


MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
server:/export /data nfs4 rw,vers=4.2 0 0
/dev/vdb /data/local xfs rw 0 0
bucket /mnt/my\040bucket fuse.gcsfuse rw 0 0
overlay /home/me/box fuse.fuse-overlayfs rw 0 0
tcp:/scratch /scratch lustre rw 0 0
//nas/share /nas cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind", "shared"),
    [
        ("/somewhere/else", "ext4", False),
        ("/data/studies/a", "nfs4", True),
        ("/data/local/studies", "xfs", False),
        ("/datafolder", "ext4", False),
        ("/mnt/my bucket/studies", "fuse.gcsfuse", True),
        ("/home/me/box", "fuse.fuse-overlayfs", False),
        ("/scratch/studies", "lustre", True),
        ("/nas", "cifs", True),
    ],
)
def test_the_kind_of_file_system_is_that_of_the_nearest_mount(
    tmp_path: Path, folder: str, kind: str, shared: bool
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert file_system(Path(folder), mounts) == kind
    assert is_shared(Path(folder), mounts) is shared


def test_without_a_list_of_mounts_everything_is_local(tmp_path: Path) -> None:
    assert not is_shared(tmp_path, tmp_path / "none")


def test_who_only_looks_keeps_nobody_from_starting(tmp_path: Path) -> None:
    StudyLock(tmp_path).release()
    looking = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)  # as `owner` does for a moment
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(StudyLock, tmp_path)
        time.sleep(0.1)
        os.close(looking)
        starting.result(timeout=5).release()
