"""What becomes of a worker's ranks when one of them fails, dies or is stuck; ranks as threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from orchestrator import ranks
from orchestrator.assembling import environments
from orchestrator.errors import TrialError
from orchestrator.rank_process import Whereabouts, stacks_folder, take_environment
from orchestrator.ranks import Peer, Ranks, in_thread
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import Segment
from orchestrator.watchdog import stack_file

HERE = Whereabouts(
    node="n0", address="10.0.0.1", gpus=("3",), pid=11, interface="eth0", loopback="lo"
)
THERE = Whereabouts(
    node="n1", address="10.0.0.2", gpus=("0",), pid=12, interface="eth1", loopback="lo"
)
SEGMENT = Segment(trial="0000", segment=0, config={}, boundaries=2)


class Trains:
    """A rank whose `advance` does what it is told."""

    usable = True

    def __init__(self, advance: Callable[[], Any]) -> None:
        self.advance = advance
        self.begun = 0
        self.closed = False

    def begin(self, segment: Segment) -> None:
        self.begun += 1

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def peer(rank: Any, killed: threading.Event, number: int = 1) -> Peer:
    """A rank in a thread; killed, what it was at ends as a call of a dead actor does."""
    calls: list[Future[Any]] = []

    def ask(method: str, arguments: tuple[Any, ...], allowed_s: float) -> Future[Any]:
        calls.append(in_thread(getattr(rank, method), *arguments))
        return calls[-1]

    return Peer(number, "w0", HERE, ask, killed.set)


@pytest.fixture(autouse=True)
def little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_GRACE_S", 0.2)


def fails(kind: str, message: str) -> Callable[[], Any]:
    def advance() -> Any:
        raise TrialError(kind, message)

    return advance


def dies() -> Any:
    raise ActorDiedError


def waits_for(killed: threading.Event) -> Callable[[], Any]:
    """Waits in a collective operation until the process that is missing is ended."""

    def advance() -> Any:
        killed.wait(10)
        raise TrialError("infrastructure", "Connection closed by peer")

    return advance


def test_alone_a_rank_is_called_directly_and_pays_nothing(tmp_path: Path) -> None:
    first = Trains(threading.current_thread)
    alone = Ranks(first)
    assert alone.advance() is threading.current_thread()  # type: ignore[comparison-overlap]
    assert alone.allow(600.0) == 600.0
    alone.close()
    assert first.closed


def test_a_call_goes_to_every_rank_and_rank_0_answers() -> None:
    first, second, killed = Trains(lambda: "first"), Trains(lambda: "second"), threading.Event()
    both = Ranks(first, [peer(second, killed)])
    both.begin(SEGMENT)
    assert (first.begun, second.begun) == (1, 1)
    assert both.advance() == "first"  # type: ignore[comparison-overlap]
    assert both.usable
    both.close()
    assert killed.is_set()
    assert first.closed


def test_what_all_ranks_raise_alike_leaves_them_warm() -> None:
    killed = threading.Event()
    raising = fails("code", "it does not build")
    both = Ranks(Trains(raising), [peer(Trains(raising), killed)])
    with pytest.raises(TrialError, match="it does not build"):
        both.advance()
    assert both.usable
    assert not killed.is_set()


@pytest.mark.parametrize("kind", ["code", "out_of_memory"])
def test_a_failure_of_one_rank_is_the_trials_and_ends_those_that_wait_for_it(kind: str) -> None:
    killed = threading.Event()
    both = Ranks(Trains(waits_for(killed)), [peer(Trains(fails(kind, "mine alone")), killed)])
    with pytest.raises(TrialError, match="rank 1: mine alone") as caught:
        both.advance()
    assert caught.value.kind == kind
    assert not both.usable
    assert killed.is_set()
    both.stop()  # of no effect: nothing can be asked of them any more


def test_a_rank_that_dies_is_infrastructure_whatever_the_others_make_of_it() -> None:
    killed = threading.Event()
    killed.set()
    both = Ranks(Trains(waits_for(killed)), [peer(Trains(dies), killed)])
    with pytest.raises(TrialError, match=r"rank 1 \(process 11 on 10\.0\.0\.1\) died") as caught:
        both.advance()
    assert caught.value.kind == "infrastructure"
    assert not both.usable


def test_a_rank_that_its_own_clock_ended_leaves_its_stacks_in_the_failure(tmp_path: Path) -> None:
    file = stack_file(stacks_folder(tmp_path, "0000", 1), "w0", HERE.pid)
    file.parent.mkdir(parents=True)
    file.write_text('Thread 0x1:\n  File "orchestrator/training.py", line 1 in _serve\n')
    killed = threading.Event()
    both = Ranks(Trains(waits_for(killed)), [peer(Trains(dies), killed)], tmp_path)
    both.begin(SEGMENT)
    with pytest.raises(TrialError, match="made no progress and was ended") as caught:
        both.advance()
    assert (caught.value.kind, "_serve" in caught.value.log) == ("infrastructure", True)
    assert not file.exists()


def test_when_rank_0_is_what_the_others_wait_for_its_own_stack_is_told(tmp_path: Path) -> None:
    file = stack_file(stacks_folder(tmp_path, "0000", 1), "w0", HERE.pid)
    file.parent.mkdir(parents=True)
    never, killed = threading.Event(), threading.Event()

    def stands_still() -> None:
        never.wait()

    def times_out() -> None:
        file.write_text('Thread 0x1:\n  File "gloo.py", line 1 in all_reduce\n')
        dies()

    both = Ranks(Trains(stands_still), [peer(Trains(times_out), killed)], tmp_path)
    both.begin(SEGMENT)
    with pytest.raises(TrialError, match=r"rank 0 made no progress; rank 1 .* waited") as caught:
        both.advance()
    assert (caught.value.kind, "stands_still" in caught.value.log) == ("infrastructure", True)
    never.set()


def test_a_rank_here_that_is_stuck_is_not_waited_for() -> None:
    never, killed = threading.Event(), threading.Event()
    first = Trains(never.wait)
    both = Ranks(first, [peer(Trains(dies), killed)])
    with pytest.raises(TrialError, match="died"):
        both.advance()
    both.close()
    assert not first.closed
    never.set()


def test_the_workers_own_process_is_given_more_time_than_the_others() -> None:
    both = Ranks(Trains(dies), [peer(Trains(dies), threading.Event())])
    assert both.allow(100.0) > 100.0 + ranks._GRACE_S


def test_scripted_ranks_have_the_same_interface() -> None:
    for name in ("prepare", "begin", "advance", "evaluate", "snapshot", "stop", "close", "usable"):
        assert hasattr(Ranks, name)
        assert hasattr(ScriptedRank, name)


def test_ranks_of_one_node_share_its_gpus_and_are_heard_nowhere_else() -> None:
    beside = Whereabouts(
        node="n0", address="10.0.0.1", gpus=("5",), pid=13, interface="eth0", loopback="lo"
    )
    first, second = environments([HERE, beside], 4321)
    assert first["CUDA_VISIBLE_DEVICES"] == second["CUDA_VISIBLE_DEVICES"] == "3,5"
    assert [e["LOCAL_RANK"] for e in (first, second)] == ["0", "1"]
    assert [e["RANK"] for e in (first, second)] == ["0", "1"]
    assert {e["WORLD_SIZE"] for e in (first, second)} == {"2"}
    assert {e["LOCAL_WORLD_SIZE"] for e in (first, second)} == {"2"}
    assert {e["MASTER_ADDR"] for e in (first, second)} == {"127.0.0.1"}
    assert {e["MASTER_PORT"] for e in (first, second)} == {"4321"}
    assert {e["GLOO_SOCKET_IFNAME"] for e in (first, second)} == {"lo"}


def test_ranks_of_two_nodes_meet_at_rank_0s_and_count_by_node() -> None:
    first, second = environments([HERE, THERE], 4321)
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("3", "0")
    assert [e["LOCAL_RANK"] for e in (first, second)] == ["0", "0"]
    assert {e["LOCAL_WORLD_SIZE"] for e in (first, second)} == {"1"}
    assert {e["MASTER_ADDR"] for e in (first, second)} == {"10.0.0.1"}
    assert [e["GLOO_SOCKET_IFNAME"] for e in (first, second)] == ["eth0", "eth1"]


def test_what_started_ray_says_nothing_about_who_shares_a_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"WORLD_SIZE": "8", "PMI_SIZE": "8", "NCCL_SOCKET_IFNAME": "ib0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    take_environment({"WORLD_SIZE": "2", "NCCL_SOCKET_IFNAME": "lo", "GLOO_SOCKET_IFNAME": "lo"})
    found = {name: os.environ.get(name) for name in ("WORLD_SIZE", "PMI_SIZE")}
    assert found == {"WORLD_SIZE": "2", "PMI_SIZE": None}
    assert (os.environ["NCCL_SOCKET_IFNAME"], os.environ["GLOO_SOCKET_IFNAME"]) == ("ib0", "lo")
