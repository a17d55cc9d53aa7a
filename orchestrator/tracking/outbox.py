"""Keeps a slow, failing or dead tracking backend away from everybody else.

An `Outbox` is itself a `Tracker`, whose verbs return at once and never raise: they write the
call into the trial's `Backlog`, and a thread sends it on to the real tracker. It decides only
when to try again. While the backend is down, calls stay on disk; they are sent when it answers,
or by the next process that opens the folder. One run is tried at a time while the backend is
down, because each attempt may block for the backend's whole timeout.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.notices import Notices, in_one_line, unsent_words
from orchestrator.tracking.tracker import (
    Call,
    Deferred,
    OnNotice,
    Tracker,
    TrackerDied,
    perform,
    run_of,
)

BEST_MODEL_LANE = "@best-model"  # no trial's id: "@" is not allowed in one
ATTEMPTS = 3
SLOW_S = 5.0
LONGEST_CLOSE_S = 120.0


class _Lane:
    """What is known of one trial: what waits, and whether its run is open at the tracker."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.backlog = Backlog(path)
        self.position = self.backlog.sent  # up to where calls are read
        self.sent = self.position  # up to where they are done with: not past a waiting end
        self.run: Call | None = self.backlog.start
        self.opened: Call | None = None
        self.attempts = 0
        self.finish: Call | None = None
        self.finish_due = 0.0

    @property
    def can_open(self) -> bool:
        """Whether the tracker can be told to begin: a line may come before its trial's run."""
        return self.run is not None or self.name == BEST_MODEL_LANE


class Outbox(Deferred):
    """A tracker that never blocks and never raises.

    Args:
        make: makes the real tracker; called in the sending thread, again after `TrackerDied`.
        folder: where unsent calls are kept; those that stand there are sent first.
        name: the backend's, for messages.
        on_notice: told of an outage once, and of its end. Called from the sending thread.
        clock: seconds, monotonic.
        settle_s: how long a finished run stays open for log lines of its worker that come by
            another way than the event that ended the trial.
        retry_s: the first and the longest pause after a failure; it doubles in between.
        threaded: False: nothing is sent until `pump` is called (tests).
    """

    def __init__(
        self,
        make: Callable[[], Tracker],
        folder: Path,
        *,
        name: str,
        on_notice: OnNotice,
        clock: Callable[[], float] = time.monotonic,
        settle_s: float = 2.0,
        retry_s: tuple[float, float] = (1.0, 60.0),
        threaded: bool = True,
    ) -> None:
        self._make, self._folder, self._name = make, folder, name
        self._notices, self._clock = Notices(name, on_notice), clock
        self._settle_s, self._retry_s = settle_s, retry_s
        self._tracker: Tracker | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._lanes: dict[str, _Lane] = {}
        self._finished: set[str] = set()
        self._failures = self._deaths = self._done = 0
        self._retry_at = 0.0
        self._busy_since: float | None = None
        self._dropped = 0
        self._closing = self._stopped = False
        self._words: tuple[str, ...] = ()
        for path in sorted(folder.glob("*.jsonl")):
            self._take_up(path)
        self._thread = threading.Thread(target=self._send_loop, name=f"{name}-outbox", daemon=True)
        if threaded:
            self._thread.start()

    def put(self, call: Call) -> None:
        """Keep the call for sending; return at once."""
        try:
            with self._lock:
                lane = self._lane_for(call)
                if lane is None:
                    return
                kept = lane.backlog.append(call)
                if kept["verb"] == "start_run":
                    lane.run = kept
        except (OSError, TypeError, ValueError) as error:
            self._dropped += 1
            self._notices.disk(error)
        self._wake.set()
        since = self._busy_since
        if since is not None and self._clock() - since > SLOW_S:
            self._notices.outage("it does not answer", self._folder)

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Send what is left and close the tracker.

        Waits as long as calls get through, but at most `timeout_s` for one that does not, and
        `LONGEST_CLOSE_S` in all. A backend that is known to be down is not tried once more.

        Returns:
            What the tracker says at its end, and how many lines were not sent and where they are.
        """
        self._closing = True
        self._wake.set()
        if self._thread.ident is None:
            self._finish_sending()
        else:
            self._join(timeout_s)
        self._stopped = True
        with self._lock:
            kept = [lane.backlog for lane in self._lanes.values() if lane.backlog.unsent]
            lines = sum(backlog.unsent_lines for backlog in kept)
        where = kept[0].path if len(kept) == 1 else self._folder
        return (*self._words, *unsent_words(self._name, lines, len(kept), where, self._dropped))

    def _join(self, timeout_s: float) -> None:
        last = time.monotonic() + max(timeout_s, LONGEST_CLOSE_S)
        while True:
            done = self._done
            self._thread.join(min(timeout_s, last - time.monotonic()))
            if not self._thread.is_alive() or done == self._done or time.monotonic() >= last:
                return

    @property
    def unsent_lines(self) -> int:
        """Log lines that are kept and not sent yet."""
        with self._lock:
            return sum(lane.backlog.unsent_lines for lane in self._lanes.values())

    def _take_up(self, path: Path) -> None:
        try:
            lane = _Lane(unquote(path.stem), path)
        except OSError as error:
            self._notices.disk(error)
            return
        if lane.backlog.unsent or lane.run:  # all sent: its worker may still have more to say
            self._lanes[lane.name] = lane

    def _lane_for(self, call: Call) -> _Lane | None:
        name = call.get("trial", BEST_MODEL_LANE)
        if call["verb"] == "start_run":
            self._finished.discard(name)
        if name in self._finished:
            self._dropped += 1
            return None
        if name not in self._lanes:
            if call["verb"] == "finish_run":
                return None  # a trial that never began
            self._lanes[name] = _Lane(name, self._folder / f"{quote(name, safe='')}.jsonl")
        return self._lanes[name]

    # Sending, in the thread

    def _send_loop(self) -> None:
        while not self._closing:
            self._wake.clear()
            self._wake.wait(self.pump())
        self._finish_sending()

    def _finish_sending(self) -> None:
        self.pump()
        if self._deaths and not self._failures:
            self.pump()
        if self._tracker is None or self._stopped:
            return
        try:
            self._words = self._tracker.close(SLOW_S)
        except Exception as error:  # a foreign library's last words must not fail a study
            self._words = (f"{self._name}: closing failed: {in_one_line(error)}.",)
        with self._lock, contextlib.suppress(OSError):
            for lane in self._lanes.values():
                if not lane.backlog.unsent:
                    lane.backlog.remove()

    def pump(self) -> float | None:
        """Send all that can be sent now.

        Returns:
            Seconds until something may be due without a new call; None: nothing is.
        """
        with self._lock:
            lanes = sorted(self._lanes.values(), key=lambda lane: lane.opened is None)
        due: list[float] = []
        for lane in lanes:
            if self._stopped:
                return None
            if not self._send_lane(lane) and lane.can_open:
                due.append(self._retry_at)
            elif lane.finish is not None:
                due.append(lane.finish_due)
        return max(0.0, min(due) - self._clock()) if due else None

    def _send_lane(self, lane: _Lane) -> bool:
        """Send one trial's calls. False: something is left that a later attempt may send."""
        if not self._open(lane):
            return False
        try:
            while calls := self._next_calls(lane):
                sent = all(self._send(lane, call, end) for call, end in calls)
                with self._lock:
                    lane.backlog.mark_sent(lane.sent)
                if not sent:
                    return False
            return self._finish(lane)
        except OSError as error:
            self._notices.disk(error)
            self._retry_at = self._clock() + self._retry_s[0]
            return False

    def _next_calls(self, lane: _Lane) -> list[tuple[Call, int]]:
        with self._lock:
            calls = lane.backlog.unread(lane.position)
            if not calls:
                lane.backlog.compact()
                if lane.finish is None:
                    lane.position = lane.sent = lane.backlog.sent
            return calls

    def _send(self, lane: _Lane, call: Call, end: int) -> bool:
        if self._stopped:
            return False
        match call["verb"]:
            case "finish_run":  # waits for lines that are still on their way
                lane.finish, lane.finish_due = call, self._clock() + self._settle_s
            case "start_run":
                lane.finish = None  # taken up again before its end was told
                if call != lane.opened and not self._attempt(lane, call):
                    return False
                lane.opened = call
            case _:
                if not self._attempt(lane, call):
                    return False
        lane.position = end
        if lane.finish is None:
            lane.sent = end
        return True

    def _open(self, lane: _Lane) -> bool:
        if lane.opened is not None or not lane.backlog.unsent:
            return True
        if not lane.can_open or self._clock() < self._retry_at:
            return False
        if self._closing and self._failures:
            return False  # known to be down: nobody waits for one more timeout
        try:
            self._busy_since = self._clock()
            if self._tracker is None:
                self._tracker = self._make()
            if lane.run is not None:
                self._tracker.start_run(run_of(lane.run))
        except Exception as error:  # any failure of any backend means: try again later
            self._failed(error)
            return False
        finally:
            self._busy_since = None
        lane.opened = lane.run or {}
        self._answered()
        return True

    def _attempt(self, lane: _Lane, call: Call) -> bool:
        """Send one call of an open run; one that fails `ATTEMPTS` times is set aside."""
        if self._tracker is None or self._clock() < self._retry_at:
            return False
        try:
            self._busy_since = self._clock()
            perform(self._tracker, call)
            self._deaths = 0
            self._done += 1
        except TrackerDied as error:
            self._failed(error)
            return False
        except Exception as error:  # what a backend refuses is its own affair
            lane.attempts += 1
            if lane.attempts < ATTEMPTS:
                self._retry_at = self._clock() + self._retry_s[0]
                return False
            self._notices.refused(lane.name, error, lane.backlog.set_aside(call))
        finally:
            self._busy_since = None
        lane.attempts = 0
        return True

    def _finish(self, lane: _Lane) -> bool:
        if lane.finish is None:
            if lane.name == BEST_MODEL_LANE:
                self._forget(lane)
            return True
        if self._clock() < lane.finish_due and not self._closing:
            return True
        with self._lock:
            if lane.backlog.unread(lane.position, 1):
                return True  # one more line came; it has woken the thread
            self._finished.add(lane.name)
        if not self._attempt(lane, lane.finish):
            with self._lock:
                self._finished.discard(lane.name)
            return False
        self._forget(lane)
        return True

    def _forget(self, lane: _Lane) -> None:
        with self._lock:
            lane.backlog.remove()
            self._lanes.pop(lane.name, None)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, TrackerDied):
            self._tracker = None
            with self._lock:
                for lane in self._lanes.values():
                    lane.opened = None
            self._deaths += 1
            if self._deaths == 1:  # a new process may do at once; one that dies again may not
                self._notices.outage(in_one_line(error), self._folder)
                return
        first, longest = self._retry_s
        self._retry_at = self._clock() + min(longest, first * 2**self._failures)
        self._failures += 1
        self._notices.outage(in_one_line(error), self._folder)

    def _answered(self) -> None:
        self._notices.answers()
        self._failures, self._retry_at = 0, 0.0
