"""Where a searcher thinks: beside the driver's control loop, in a process of its own.

Does not search itself. Grid and random answer in microseconds and stay in the driver
(`InlineSearcher`); the Bayesian searcher imports scipy or optuna and fits, so it gets a child
process (`SamplerProcess`).

The child is a plain interpreter that is given one pipe, not a `multiprocessing` child: that
would run the user's main module again. It ignores Ctrl-C, which the terminal sends to the whole
process group, and ends when its pipe closes or its parent is gone. A proposal is a function of
what was observed before it was asked for, so a child that died is replaced, once, by replaying
what it was sent. One that does not answer for long is ended, and so is one that died.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any

from orchestrator.errors import StudyError
from orchestrator.events import Event, Reported, TrialEnded, TrialProposed
from orchestrator.searchers import Proposal, Searcher, make_searcher
from search_spaces import SweepSpec

Answer = Proposal | BaseException | None
"""A proposal; None: the search is exhausted; an exception: the searcher cannot answer."""
OnReady = Callable[[Answer], None]

_OF_CONCERN = (TrialProposed, Reported, TrialEnded)
_RESTARTS = 1
_PARENT_CHECK_S = 1.0
_PATIENCE_S = 900.0
"""How long one proposal may take; a fit takes seconds, on a machine that swaps many times that."""
_LOOK_S = 1.0
_TAIL_CHARACTERS = 2000
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}
"""One thread, because the trials need the cores; no GPU, because the trials need those too."""
_BOOT = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
import json, sys
sys.path[:] = json.loads(sys.argv[3])
from orchestrator.sampler_process import serve
serve(int(sys.argv[1]), int(sys.argv[2]))
"""


class OpenSearcher(ABC):
    """A searcher that answers when it is ready."""

    @abstractmethod
    def observe(self, event: Event) -> None:
        """Show the searcher an event, in journal order; returns at once."""

    @abstractmethod
    def request(self, number: int, on_ready: OnReady) -> None:
        """Ask for the configuration of trial `number`.

        `on_ready` is called once with the answer, which rests on the events observed so far:
        before this returns, or later from another thread. Not at all once closed.
        """

    @abstractmethod
    def close(self) -> None:
        """End; may be called twice."""


class InlineSearcher(OpenSearcher):
    """A searcher that is quick enough to answer within `request`."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    def observe(self, event: Event) -> None:
        """Show it the event."""
        self._searcher.observe(event)

    def request(self, number: int, on_ready: OnReady) -> None:
        """Answer at once."""
        on_ready(self._searcher.propose(number))

    def close(self) -> None:
        """Nothing to end."""


class SamplerProcess(OpenSearcher):
    """A searcher in a child process, which starts here and ends with `close` or with us.

    A child that dies, or thinks for too long, is started once more; when that one dies too or
    cannot be started, or the searcher raises, `on_ready` gets a StudyError. Nobody ever waits for
    a dead child.

    Args:
        spec: the sweep.
        patience_s: how long one proposal may take.

    Raises:
        StudyError: the child cannot be started.
    """

    def __init__(self, spec: SweepSpec, *, patience_s: float = _PATIENCE_S) -> None:
        self._spec = spec
        self._patience_s = patience_s
        self._thinking_since = time.monotonic()
        self._lock = threading.Lock()
        self._sent: list[Event | int] = []
        self._waiting: dict[int, OnReady] = {}
        self._restarts = 0
        self._closed = False
        self._broken: StudyError | None = None
        try:
            self._child = self._make_child()
        except OSError as error:
            raise _error(f"its process cannot be started: {error}") from error

    def _make_child(self) -> _Child:
        return _Child(self._spec, self._received, self._died, self._is_overdue)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.process.pid

    def observe(self, event: Event) -> None:
        """Send the event on, if it is one that searchers look at."""
        if isinstance(event, _OF_CONCERN):
            with self._lock:
                self._sent.append(event)
                self._child.send(event)

    def request(self, number: int, on_ready: OnReady) -> None:
        """Ask the child; `on_ready` is called from the thread that reads its answers."""
        with self._lock:
            if self._closed:
                return
            broken = self._broken
            if broken is None:
                if not self._waiting:
                    self._thinking_since = time.monotonic()
                self._waiting[number] = on_ready
                self._sent.append(number)
                self._child.send(number)
        if broken is not None:
            on_ready(broken)

    def close(self) -> None:
        """End the child at once: it holds nothing that is not in the journal."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._child.end()

    def _received(self, number: int, answer: Proposal | str | None) -> None:
        """An answer came; a text is the traceback of what the searcher raised."""
        with self._lock:
            on_ready = self._waiting.pop(number, None)
            self._thinking_since = time.monotonic()
        if on_ready is not None:
            on_ready(_error(answer) if isinstance(answer, str) else answer)

    def _died(self, how: str) -> None:
        with self._lock:
            if self._closed:
                return
            if self._restarts < _RESTARTS:
                self._restarts += 1
                try:
                    self._replace_child()
                    return
                except OSError as error:
                    how += f"; another one cannot be started: {error}"
            self._broken = broken = _error(how)
            waiting, self._waiting = list(self._waiting.values()), {}
        for on_ready in waiting:
            on_ready(broken)

    def _replace_child(self) -> None:
        self._child = self._make_child()
        self._thinking_since = time.monotonic()
        for message in self._sent:
            if not isinstance(message, int) or message in self._waiting:
                self._child.send(message)

    def _is_overdue(self) -> bool:
        with self._lock:
            thinks_for = time.monotonic() - self._thinking_since
            return bool(self._waiting) and thinks_for > self._patience_s


class _Child:
    """One child process and the two threads that talk to it, so that nobody else waits."""

    def __init__(
        self,
        spec: SweepSpec,
        received: Callable[[int, Any], None],
        died: Callable[[str], None],
        is_overdue: Callable[[], bool],
    ) -> None:
        self._received = received
        self._died = died
        self._is_overdue = is_overdue
        self._was_overdue = False
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ours, theirs = Pipe()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _read
        path = json.dumps([entry or os.getcwd() for entry in sys.path])
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(os.getpid()), path],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, **_ENVIRONMENT},
                pass_fds=(theirs.fileno(),),
            )
        self.send(spec)
        for target in (self._write, self._read):
            threading.Thread(target=target, name="sampler", daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message when the child takes it; returns at once."""
        self._outbox.put(message)

    def end(self) -> None:
        """Kill the child."""
        self.process.kill()
        self.process.wait()

    def _write(self) -> None:
        try:
            while (message := self._outbox.get()) is not None:
                self._ours.send(message)
        except OSError:
            return  # the child died; `_read` notices and says so

    def _read(self) -> None:
        try:
            while True:
                while not self._ours.poll(_LOOK_S):
                    if self._is_overdue():
                        self._was_overdue = True
                        raise EOFError
                self._received(*self._ours.recv())
        except (EOFError, OSError):
            how = self._how_it_died()
        finally:
            self._outbox.put(None)
            self._ours.close()
            self._log.close()
        self._died(how)

    def _how_it_died(self) -> str:
        self.process.kill()  # for a child that lost its pipe, but lives
        status = self.process.wait()
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - _TAIL_CHARACTERS))
        tail = self._log.read().decode("utf-8", "replace").strip()
        how = f"its process ended with status {status}"
        if self._was_overdue:
            how = "its process did not answer in time and was ended"
        return how + (f":\n{tail}" if tail else "")


def open_searcher(spec: SweepSpec) -> OpenSearcher:
    """The sweep's searcher, in the driver if it is quick, else in a process of its own."""
    return SamplerProcess(spec) if spec.method == "bayes" else InlineSearcher(make_searcher(spec))


def _error(how: str) -> StudyError:
    return StudyError(
        f"the Bayesian searcher failed: {how}",
        mend="what was committed is kept; try `sampler: tpe`, or `method: random`",
    )


def serve(pipe: int, parent: int) -> None:
    """The child's life: take the spec, then events and numbers; answer the numbers.

    Args:
        pipe: the file descriptor of our end.
        parent: the process id of the driver; when it is gone, so are we.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection = Connection(pipe)
    try:
        searcher = make_searcher(connection.recv())
        while True:
            message = connection.recv()
            if isinstance(message, int):
                connection.send((message, _answer(searcher, message)))
            else:
                searcher.observe(message)
                if isinstance(message, Reported):
                    # Not sooner: at the start the workers need the cores for their own imports.
                    searcher.prepare()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the driver has no more questions


def _answer(searcher: Searcher, number: int) -> Proposal | str | None:
    try:
        return searcher.propose(number)
    except Exception:
        return traceback.format_exc()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, also in the middle of a fit.

    The pipe does not tell: another child of the driver may have inherited the driver's end.
    """
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)
