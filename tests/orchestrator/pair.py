"""Two ranks in two processes, joined by gloo and warm from test to test, without Ray.

Neither is the tests' own process: what joins processes stands in the environment and in global
state, where every later test would find it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.assembling import environments, listen
from orchestrator.checkpoints import checkpoint_path, commit
from orchestrator.process_group import Membership, join, share_generator
from orchestrator.rank_process import Whereabouts
from orchestrator.segment import BoundaryReport, Segment
from search_spaces import SweepSpec
from tests.orchestrator.tiny_task import tiny

SIZE = 2


class Member:
    """A rank in this process; every member gets the same calls at once."""

    def __init__(self, rank: int) -> None:
        self._number = rank
        self._study = Path()
        self._rank: Any = None

    def make(self, spec: SweepSpec, study: Path, task: dict[str, Any]) -> None:
        """Make a rank for a study; the one before is closed."""
        from orchestrator.trial import Rank

        if self._rank is not None:
            self._rank.close()
        self._study = study
        self._rank = Rank(
            spec,
            study,
            study / "cache",
            rank=self._number,
            world_size=SIZE,
            make_task=tiny(**task),
        )

    def train(self, segment: Segment, until: int) -> list[BoundaryReport]:
        """Train to a boundary, commit each, and leave the trial."""
        self._rank.begin(segment)
        reports = []
        for boundary in range(segment.start + 1, until + 1):
            reports.append(self._rank.advance())
            snapshot = self._rank.snapshot()
            if self._number == 0:
                commit(
                    self._study,
                    checkpoint_path(segment.trial, segment.segment, boundary),
                    snapshot,
                )
        self._rank.stop()
        return reports

    def pid(self) -> int:
        """This process's id."""
        return os.getpid()

    def drawn(self) -> float:
        """A number from a generator that stood elsewhere on each rank before it was shared."""
        import torch

        torch.manual_seed(self._number)
        share_generator()
        return float(torch.rand(()))


def _serve(connection: Connection, rank: int) -> None:
    here = Whereabouts(node="n", address="127.0.0.1", gpus=(), pid=0, loopback="lo")
    listening, port = listen("127.0.0.1") if rank == 0 else (None, 0)
    connection.send(port)
    port = connection.recv()
    os.environ.update(environments([here] * SIZE, port)[rank])
    join(Membership(rank, SIZE, listening))
    member = Member(rank)
    while (asked := connection.recv()) is not None:
        method, arguments = asked
        try:
            connection.send((getattr(member, method)(*arguments), None))
        except Exception as error:
            connection.send((None, error))


class Pair:
    """Both processes, from outside."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(SIZE)]
        self._connections = [ours for ours, _ in pipes]
        self.processes = [
            context.Process(target=_serve, args=(theirs, rank), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()
        ports = [connection.recv() for connection in self._connections]
        for connection in self._connections:
            connection.send(ports[0])

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method on both ranks at once; what each answered.

        Raises:
            Exception: what the first of them raised.
        """
        for connection in self._connections:
            connection.send((method, arguments))
        answers = [connection.recv() for connection in self._connections]
        for _, error in answers:
            if error is not None:
                raise error
        return [answer for answer, _ in answers]

    def end(self) -> None:
        """End both processes."""
        for connection in self._connections:
            connection.send(None)
        for process in self.processes:
            process.join(10)
            process.kill()


@contextmanager
def pair() -> Iterator[Pair]:
    """A Pair that is ended after."""
    made = Pair()
    try:
        yield made
    finally:
        made.end()
