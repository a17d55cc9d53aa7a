"""The way down: how the driver's commands reach workers.

A small actor without a CPU of its own that holds a queue of commands for each worker. The way
up, from worker to driver, is what `step()` returns to Ray Tune. A worker that waits here holds
no lock and no loop of the driver. Commands travel as they are; they are frozen plain data.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from orchestrator.dispatch import Command


class Mailbox:
    """Commands by worker, first in, first out. Runs as an asyncio actor."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, asyncio.Queue[Command]] = defaultdict(asyncio.Queue)

    async def put(self, worker: str, command: Command) -> None:
        """Leave a command for the worker."""
        await self._queues[worker].put(command)

    async def take(self, worker: str) -> Command:
        """Wait for the worker's next command."""
        return await self._queues[worker].get()

    async def peek(self, worker: str) -> Command | None:
        """The worker's next command if it is here already."""
        queue = self._queues[worker]
        return None if queue.empty() else queue.get_nowait()

    async def clear(self, worker: str) -> None:
        """Forget what was meant for a worker that died."""
        self._queues.pop(worker, None)
