"""SIGINT, SIGTERM, SIGUSR1, SIGHUP: the first one is told, the second ends the process at once.

Ends nothing by itself. Ray and Ray Tune take signals too, at their start; so they can be taken
again once those are up. A process that was started to outlive its terminal (`nohup`) ignores
SIGHUP, and goes on ignoring it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class Signals:
    """Holds the signals for as long as a study is in this process.

    Args:
        told: called with the first signal's number, in the main thread, between two of its
            instructions; may raise.
        at_once: called before a second signal ends the process.

    Attributes:
        number: of the first signal; None: there was none.
    """

    def __init__(self, told: Callable[[int], None], at_once: Callable[[], None]) -> None:
        self.number: int | None = None
        self._told = told
        self._at_once = at_once

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold them; who had them before gets them back."""
        before = self.take()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def take(self) -> dict[signal.Signals, Any]:
        """Take the signals; return who had them. Only a process's main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        taken = [n for n in SIGNALS if n != signal.SIGHUP or not _is_ignored(n)]
        return {number: signal.signal(number, self._arrived) for number in taken}

    def _arrived(self, number: int, frame: Any) -> None:
        if self.number is not None:
            try:
                self._at_once()
            finally:  # whatever went wrong in it: a second signal is not asked for twice
                os._exit(128 + number)
        self.number = number
        self._told(number)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def name_of(number: int) -> str:
    """SIGINT for 2."""
    return signal.Signals(number).name
