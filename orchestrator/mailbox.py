"""The way down: how the driver's commands reach workers.

A small actor without a CPU of its own that holds a queue of commands for each worker. The way
up, from worker to driver, is what `step()` returns to Ray Tune. A worker that waits here holds
no lock and no loop of the driver. Commands travel as they are; they are frozen plain data.

It stands on the driver's node, because Ray would put it on any: then a study would be lost with a
node that trains only a part of it. It is not started again: what it held would be lost, and workers
that wait in it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from orchestrator.commands import Command


class Mailbox:
    """Commands by address, first in, first out. Runs as an asyncio actor.

    An address names one process (a worker that was started again has another), so nobody reads
    what was meant for the process before.
    """

    def __init__(self) -> None:
        self._queues: defaultdict[str, asyncio.Queue[Command]] = defaultdict(asyncio.Queue)
        self._tracker: Any = None

    async def introduce(self, tracker: Any) -> None:
        """Keep the study's tracker client for workers, which start before it does."""
        self._tracker = tracker

    async def tracker(self) -> Any:
        """The study's tracker client; None when nothing tracks. Ask after the first command."""
        return self._tracker

    async def put(self, address: str, command: Command) -> None:
        """Leave a command."""
        await self._queues[address].put(command)

    async def take(self, address: str) -> Command:
        """Wait for the next command."""
        return await self._queues[address].get()

    async def stay(self) -> None:
        """Never return: whoever has called this learns of the mailbox's death."""
        await asyncio.Event().wait()

    async def peek(self, address: str) -> Command | None:
        """The worker's next command if it is here already."""
        queue = self._queues[address]
        return None if queue.empty() else queue.get_nowait()


def open_mailbox() -> tuple[Any, Any]:
    """Start the mailbox's process on the node that the driver has joined; Ray is up.

    Returns:
        Its handle, and what `is_dead` takes.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
    return mailbox, mailbox.stay.remote()


def is_dead(its_death: Any) -> bool:
    """Whether the mailbox's process has ended; returns at once. False when nobody can tell."""
    import ray
    from ray.exceptions import RayError

    try:
        ended, _ = ray.wait([its_death], timeout=0)
    except (ConnectionError, RayError):  # the cluster itself does not answer: others look at that
        return False
    return bool(ended)
