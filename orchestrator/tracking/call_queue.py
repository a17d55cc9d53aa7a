"""Takes calls from a thread that must not wait and sends them on from another.

The side of a worker and of the driver. Memory holds what is not sent, up to a limit: beyond it
the newest calls are dropped and counted, because training goes before charts; every line stands
in the trial's `history.jsonl` too. What sending means is given: over Ray, or in a test a list.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.tracking.tracker import Call, Deferred

BATCH = 500


class CallQueue(Deferred):
    """A bounded queue with a sending thread, which starts with the first call.

    Args:
        send: sends a batch and may block or raise; a batch that raised is sent again.
        limit: how many calls wait at most.
        pause_s: after a failure.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Call]], None],
        *,
        limit: int = 20_000,
        pause_s: float = 1.0,
    ) -> None:
        self._send, self._limit, self._pause_s = send, limit, pause_s
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._given_up = threading.Event()
        self._dropped = 0

    def put(self, call: Call) -> None:
        """Take a call; return at once."""
        with self._changed:
            if len(self._calls) >= self._limit:
                self._dropped += 1
                return
            self._calls.append(call)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_loop, name="tracking-calls", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Wait at most `timeout_s` for the queue to empty; say how many calls were not sent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        self._given_up.set()
        with self._changed:
            left = len(self._calls) + self._dropped
        if not left:
            return ()
        return (
            f"tracking: {left} lines did not reach the tracking process; "
            "every line stands in trials/<id>/history.jsonl.",
        )

    def _send_loop(self) -> None:
        while batch := self._next_batch():
            try:
                self._send(batch)
            except Exception:  # whatever lies between here and the tracker: try again
                if self._given_up.wait(self._pause_s):
                    return
                continue
            with self._changed:
                for _ in batch:
                    self._calls.popleft()

    def _next_batch(self) -> list[Call]:
        """Wait for calls; empty when the queue is closing and nothing is left."""
        with self._changed:
            while not self._calls and not self._closing:
                self._changed.wait()
            return [self._calls[i] for i in range(min(BATCH, len(self._calls)))]
