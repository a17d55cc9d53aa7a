"""What the driver's book of its workers makes of their messages, and whom it ends."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from orchestrator.errors import DiskFull, StudyError
from orchestrator.memory_kills import KernelKills
from orchestrator.process_identity import this_process
from orchestrator.segment import TrialFailure
from orchestrator.tasks.errors import ERRORS
from orchestrator.workers import WORN_OUT, Workers, local_addresses

LAN = "192.168.7.20"


class Dispatching:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.at_hand: list[str] = []
        self.told: list[tuple[Any, ...]] = []

    def worker_ready(self, worker: str, pid: int, node: str) -> None:
        self.told.append(("ready", worker, pid, node))

    def worker_lost(self, worker: str, failure: TrialFailure) -> None:
        self.told.append(("lost", worker, failure.kind))

    def reported(self, worker: str, *report: object) -> None:
        self.told.append(("reported", worker))

    def failed(self, worker: str, trial: str, failure: TrialFailure, *, usable: bool) -> None:
        self.told.append(("failed", worker, failure.kind))


def workers(tmp_path: Path, **given: Any) -> Workers:
    return Workers(tmp_path, lambda text: None, lambda: True, **given)


def ready(pid: int, node: str = LAN, rows: int = 8) -> dict[str, Any]:
    return {
        "what": "ready",
        "pid": pid,
        "node": node,
        "address": f"w/{node}/{pid}",
        "readiness": {"rows": rows},
    }


def failed(kind: str) -> dict[str, Any]:
    return {
        "what": "failed",
        "trial": "0000",
        "kind": kind,
        "message": "CUDA error",
        "log": "",
        "usable": False,
    }


LOST = {"what": "lost", "text": "The actor died."}
REPORTED = {
    "what": "reported",
    "trial": "0000",
    "segment": 0,
    "report": {
        "boundary": 1,
        "metrics": {},
        "value": 0.5,
        "is_best": True,
        "epoch": 1.0,
        "step": 1,
        "seconds": 1.0,
        "last": False,
    },
}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's: the hosts file says 127.0.1.1, Ray takes the address of the network."""

    def never(name: str) -> str:
        raise AssertionError("a name server may take a minute to answer")

    entry = SimpleNamespace
    monkeypatch.setattr(socket, "gethostbyname", never)
    monkeypatch.setattr(
        psutil,
        "net_if_addrs",
        lambda: {
            "lo": [entry(address="127.0.0.1"), entry(address="::1")],
            "eth0": [entry(address=LAN), entry(address="fe80::1%eth0")],
        },
    )


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    pids: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: pids.append(pid))
    return pids


@pytest.mark.usefixtures("network")
def test_this_machine_is_known_by_every_address_of_its_interfaces() -> None:
    assert {"127.0.0.1", "::1", LAN, "fe80::1", socket.gethostname()} <= local_addresses()


def test_without_a_list_of_interfaces_the_loopback_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused() -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(psutil, "net_if_addrs", refused)
    assert "127.0.0.1" in local_addresses()


@pytest.mark.usefixtures("network")
def test_only_workers_of_this_machine_are_ended(tmp_path: Path, killed: list[int]) -> None:
    book = workers(tmp_path)
    book.handle("a", ready(101))
    book.handle("b", ready(102, node="192.168.7.21"))
    book.handle("c", ready(103, node="127.0.0.1"))
    book.end()
    assert killed == [101, 103]


@pytest.mark.usefixtures("network")
def test_interfaces_are_read_once_when_the_book_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: list[int]
) -> None:
    book = workers(tmp_path)
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    book.handle("a", ready(101))
    book.end()
    assert killed == [101]


@pytest.mark.usefixtures("network")
def test_a_worker_that_cannot_be_ended_and_a_book_that_changes_spare_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = workers(tmp_path)
    for number, name in enumerate("abc", 101):
        book.handle(name, ready(number))
    tried: list[int] = []

    def kill(pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        tried.append(pid)
        book.handle(f"new-{pid}", ready(pid + 100))  # as Ray Tune's thread may
        raise ProcessLookupError if pid == 101 else PermissionError

    monkeypatch.setattr(os, "kill", kill)
    book.end()
    assert tried == [101, 102, 103]


def test_a_worker_that_is_ready_before_the_start_waits_for_it(tmp_path: Path) -> None:
    book, dispatching = workers(tmp_path), Dispatching()
    book.handle("a", ready(101))
    assert book.prepared.is_set()
    assert book.readiness.rows == 8
    book.open(dispatching)  # type: ignore[arg-type]
    book.handle("b", ready(102))
    assert dispatching.told == [("ready", "a", 101, LAN), ("ready", "b", 102, LAN)]


def test_a_worker_that_is_lost_before_the_start_is_forgotten(tmp_path: Path) -> None:
    book, dispatching = workers(tmp_path), Dispatching()
    book.handle("a", ready(101))
    book.handle("a", LOST)
    book.open(dispatching)  # type: ignore[arg-type]
    assert dispatching.told == []
    book.handle("b", ready(102))
    book.handle("b", LOST)
    assert dispatching.told == [("ready", "b", 102, LAN), ("lost", "b", "infrastructure")]


def test_three_workers_in_a_row_that_die_before_they_are_ready_end_the_study(
    tmp_path: Path,
) -> None:
    book = workers(tmp_path)
    for name in "ab":
        book.handle(name, LOST)
    book.handle("c", ready(101))  # one that gets ready begins the count again
    for name in "de":
        book.handle(name, LOST)
    with pytest.raises(StudyError, match=r"3 in a row. The actor died."):
        book.handle("f", LOST)


def test_a_cluster_that_does_not_answer_is_not_the_workers_fault(tmp_path: Path) -> None:
    book = Workers(tmp_path, lambda text: None, lambda: False)
    for name in "abcd":
        book.handle(name, LOST)


def test_a_node_that_finds_other_rows_is_refused(tmp_path: Path) -> None:
    book = workers(tmp_path)
    book.handle("a", ready(101, rows=8))
    with pytest.raises(StudyError, match=r"10\.0\.0\.9 has 7 rows to train on, another node 8"):
        book.handle("b", ready(102, node="10.0.0.9", rows=7))


def unfit(error: str) -> dict[str, str]:
    return {"what": "unfit", "error": error, "rule": "it does not fit.", "mend": "do this."}


@pytest.mark.parametrize("kind", sorted(ERRORS))
def test_data_that_cannot_be_used_is_told_as_such_before_the_start_only(
    tmp_path: Path, kind: str
) -> None:
    book = workers(tmp_path)
    with pytest.raises(ERRORS[kind], match="it does not fit") as refused:
        book.handle("a", unfit(kind))
    assert refused.value.exit_code == ERRORS[kind].exit_code
    book.open(Dispatching())  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"no worker can train.*\n.*sweep resume") as later:
        book.handle("a", unfit(kind))
    assert later.value.exit_code == 1


@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_without_room_ends_the_study_with_the_disk_s_exit_code(
    tmp_path: Path, begun: bool
) -> None:
    book = workers(tmp_path)
    if begun:
        book.open(Dispatching())  # type: ignore[arg-type]
    with pytest.raises(DiskFull, match="it does not fit") as refused:
        book.handle("a", unfit("DiskFull"))
    assert refused.value.exit_code == 6


UNUSABLE = {
    "what": "unusable",
    "pid": 107,
    "node": LAN,
    "text": "ImportError: no module",
    "log": "Traceback ...",
}


@pytest.mark.parametrize("message", [unfit("TaskError"), UNUSABLE, ready(107, rows=7)])
def test_a_worker_that_cannot_train_is_given_up_as_long_as_another_can(
    tmp_path: Path, message: dict[str, Any]
) -> None:
    notices: list[str] = []
    book, dispatching = Workers(tmp_path, notices.append, lambda: True), Dispatching()
    book.handle("a", ready(101))
    book.open(dispatching)  # type: ignore[arg-type]
    book.handle("b", message)
    assert [told[1] for told in dispatching.told] == ["a"]
    assert "worker b" in notices[0] and "goes on without it" in notices[0]
    book.handle("a", LOST)  # it will be back
    book.handle("a", ready(102))
    with pytest.raises(StudyError, match=r"(?s)no worker can train any more.*sweep resume"):
        book.handle("a", {**UNUSABLE, "pid": 102})


def test_a_worker_that_was_given_up_is_tried_again_in_another_process(tmp_path: Path) -> None:
    book, dispatching = workers(tmp_path), Dispatching()
    book.handle("a", ready(101))
    book.open(dispatching)  # type: ignore[arg-type]
    book.handle("b", UNUSABLE)
    book.handle("b", LOST)  # its node is gone
    book.handle("b", ready(108, node="192.168.7.21"))
    assert dispatching.told[-1] == ("ready", "b", 108, "192.168.7.21")


def test_a_place_that_ends_one_process_after_the_other_is_given_no_more_trials(
    tmp_path: Path,
) -> None:
    """A broken GPU, or a node that has lost the others: it would eat trial after trial."""
    notices: list[str] = []
    book, dispatching = Workers(tmp_path, notices.append, lambda: True), Dispatching()
    book.open(dispatching)  # type: ignore[arg-type]
    book.handle("good", ready(101))
    for number in range(WORN_OUT):
        book.handle("bad", ready(200 + number))
        book.handle("bad", LOST)
    told = len(dispatching.told)
    assert "worker bad" in notices[0] and len(notices) == 1
    book.handle("bad", ready(300))
    assert len(dispatching.told) == told
    for number in range(WORN_OUT - 1):
        book.handle("good", LOST)
        book.handle("good", ready(400 + number))
    with pytest.raises(StudyError, match=r"no worker can train any more") as ended:
        book.handle("good", LOST)
    assert "sweep resume" in str(ended.value)


def test_a_report_shows_that_a_place_is_good(tmp_path: Path) -> None:
    book, dispatching = workers(tmp_path), Dispatching()
    book.open(dispatching)  # type: ignore[arg-type]
    for number in range(3 * WORN_OUT):
        book.handle("a", ready(200 + number))
        book.handle("a", REPORTED)
        book.handle("a", LOST)
    assert [told[2] for told in dispatching.told if told[0] == "lost"] == (
        ["infrastructure"] * 3 * WORN_OUT
    )


def test_failures_of_the_code_wear_no_place_out_but_those_of_a_device_do(tmp_path: Path) -> None:
    book, dispatching = workers(tmp_path), Dispatching()
    book.open(dispatching)  # type: ignore[arg-type]
    for number in range(3 * WORN_OUT):
        book.handle("a", ready(200 + number))
        book.handle("a", failed("code"))
        book.handle("a", LOST)
    for number in range(WORN_OUT):
        book.handle("a", ready(300 + number))
        book.handle("a", failed("infrastructure"))
        if number < WORN_OUT - 1:
            book.handle("a", LOST)
    with pytest.raises(StudyError, match="no worker can train any more"):
        book.handle("a", LOST)


def test_a_cluster_that_is_gone_wears_no_place_out(tmp_path: Path) -> None:
    book = Workers(tmp_path, lambda text: None, lambda: False)
    book.open(Dispatching())  # type: ignore[arg-type]
    for number in range(3 * WORN_OUT):
        book.handle("a", ready(200 + number))
        book.handle("a", LOST)


def test_a_process_that_only_has_the_number_of_a_worker_is_spared(
    tmp_path: Path, killed: list[int]
) -> None:
    """A Ray in a container has the host's addresses and process ids of its own."""
    book, mine = workers(tmp_path), this_process()
    here = "127.0.0.1"
    book.handle("a", {**ready(os.getpid(), here), "process": mine})
    book.handle("b", {**ready(os.getpid(), here), "process": {**mine, "machine": "another"}})
    later = {**mine, "process_start": mine["process_start"] - 60.0}
    book.handle("c", {**ready(os.getpid(), here), "process": later})
    book.end()
    assert killed == [os.getpid()]


def test_what_nobody_expects_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before the start"):
        workers(tmp_path).handle("a", {"what": "reported"})
    book = workers(tmp_path)
    book.open(Dispatching())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="sent what nobody knows"):
        book.handle("a", {"what": "sings"})


@pytest.mark.usefixtures("network")
def test_only_a_kill_of_the_last_seconds_makes_a_death_one_of_memory(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/\n")
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 0\n")
    now = [0.0]
    kills = KernelKills(tmp_path, tmp_path, clock=lambda: now[0])
    book, dispatching = workers(tmp_path, kernel_kills=kills), Dispatching()
    book.open(dispatching)  # type: ignore[arg-type]
    counter.write_text("oom_kill 1\n")
    for name, node in (("a", LAN), ("b", "192.168.7.21"), ("c", LAN)):
        book.handle(name, ready(101, node=node))
        book.handle(name, LOST)
        for _ in range(10 if name == "b" else 0):
            now[0] += 1
            book.watch_memory()
    lost = [told[2] for told in dispatching.told if told[0] == "lost"]
    assert lost == ["out_of_memory", "infrastructure", "infrastructure"]
