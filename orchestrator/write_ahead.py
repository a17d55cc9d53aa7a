"""Durable first, then sent: events and the commands that rest on them, in this order always.

Decides nothing. What is written is folded at once, so decisions of the same turn see it; it is
made durable together, and only then do commands go out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.commands import Command
from orchestrator.events import Event


class WriteAhead:
    """Collects a turn's events and commands.

    Args:
        fold: shown each event at once, in this order.
        journal: makes events durable.
        send: gives a command to a worker.
    """

    def __init__(
        self,
        fold: Sequence[Callable[[Event], None]],
        journal: Callable[[Sequence[Event]], None],
        send: Callable[[str, Command], None],
    ) -> None:
        self._fold = fold
        self._journal = journal
        self._send = send
        self._unwritten: list[Event] = []
        self._outbox: list[tuple[str, Command]] = []

    def write(self, event: Event) -> None:
        """Fold an event in; it is durable after the next flush."""
        for observe in self._fold:
            observe(event)
        self._unwritten.append(event)

    def order(self, worker: str, command: Command) -> None:
        """Give a command at the next flush."""
        self._outbox.append((worker, command))

    def flush(self) -> None:
        """Make the events durable, then send the commands."""
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, []
            self._journal(unwritten)
        outbox, self._outbox = self._outbox, []
        for worker, command in outbox:
            self._send(worker, command)
