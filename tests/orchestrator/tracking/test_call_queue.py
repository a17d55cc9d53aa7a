"""A call queue never makes its caller wait and gives up in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from orchestrator.tracking.call_queue import CallQueue
from orchestrator.tracking.tracker import Call
from tests.orchestrator.tracking.fakes import run, wait_for


class Wire:
    """What lies between a worker and the tracker."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.steps: list[int] = []
        self.open = threading.Event()
        self.open.set()

    def __call__(self, calls: Sequence[Call]) -> None:
        assert self.open.wait(30)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        self.steps += [call["step"] for call in calls if call["verb"] == "log"]


def test_calls_arrive_in_order_through_failures() -> None:
    wire = Wire(failures=3)
    queue = CallQueue(wire, pause_s=0.005)
    queue.start_run(run("t0"))
    for step in range(2000):
        queue.log("t0", {"a": 1.0}, step)
    wait_for(lambda: len(wire.steps) == 2000)
    assert wire.steps == list(range(2000))
    assert queue.close(1) == ()


def test_closing_sends_what_is_left() -> None:
    wire = Wire()
    queue = CallQueue(wire)
    for step in range(1200):
        queue.log("t0", {}, step)
    assert queue.close(5) == ()
    assert wire.steps == list(range(1200))


def test_a_wire_that_hangs_holds_nobody_and_memory_is_bounded() -> None:
    wire = Wire()
    wire.open.clear()
    queue = CallQueue(wire, limit=1000)
    started = time.monotonic()
    for step in range(5000):
        queue.log("t0", {}, step)
    assert time.monotonic() - started < 1.0
    started = time.monotonic()
    (words,) = queue.close(0.1)
    assert time.monotonic() - started < 1.0
    assert words.startswith("tracking: 5000 lines did not reach the tracking process")
    wire.open.set()


def test_closing_tries_again_until_its_time_is_up() -> None:
    wire = Wire(failures=3)
    queue = CallQueue(wire, pause_s=0.05)
    queue.log("t0", {}, 0)
    assert queue.close(5) == ()
    assert wire.steps == [0]

    gone = CallQueue(Wire(failures=-1), pause_s=30)
    gone.log("t0", {}, 0)
    started = time.monotonic()
    assert gone.close(0.2)[0].startswith("tracking: 1 lines")
    assert time.monotonic() - started < 2.0


def test_a_queue_that_was_never_used_starts_no_thread() -> None:
    before = threading.active_count()
    assert CallQueue(Wire()).close(1) == ()
    assert threading.active_count() == before
