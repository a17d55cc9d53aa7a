"""What a fault test is: a row of the table, its cases, and what one case found.

Knows no fault (each row's module does) and keeps no results (`ledger.py`). A case is named by a
word that holds its whole input, seed included, so that it can be run again alone and an
interrupted run goes on with the next one.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What one case found.

    Attributes:
        violations: sentences, each a broken promise; empty when all held.
        count: how many times the fault was injected (kills, damaged files, signals ...).
        figure: the case's worst measured figure, in the row's unit; None when it measures none.
        groups: injections by what the target counts separately (kills by method, say).
        lacks: why this case cannot run here; it counts as not run then. Empty when it could.
    """

    violations: Sequence[str] = ()
    count: int = 1
    figure: float | None = None
    groups: dict[str, int] = field(default_factory=dict)
    lacks: str = ""


class Bench:
    """Where a case works: folders of its own, and one Ray shared by all cases of a process.

    Args:
        ray: gives the address of a running Ray at the first question; None: one of two CPUs is
            started then.
    """

    def __init__(self, ray: Callable[[], str] | None = None) -> None:
        self._ray = ray
        self._address: str | None = None
        self._exits = contextlib.ExitStack()

    @property
    def address(self) -> str:
        """The address of a Ray of two CPUs; it stays up when a study's driver is killed."""
        if self._address is None and self._ray is not None:
            self._address = self._ray()
        elif self._address is None:
            from benchmarks.chaos.processes import ray_cluster

            self._address = self._exits.enter_context(ray_cluster(cpus=2)).address
        return self._address

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder that is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End the Ray that was started, if one was."""
        self._exits.close()


@dataclass(frozen=True)
class Row:
    """One row of the table of the reliability page.

    Attributes:
        id: F1, A3 ...
        injected, holds, target: the row's words.
        cases: the names of all its cases, in order.
        few: those that the tests run.
        run: runs one case in a fresh folder.
        counted: what `Outcome.count` counts.
        figure: what `Outcome.figure` is, with its unit; empty when nothing is measured.
        remark: what a reader must know to read the numbers.
        lacks: why it cannot run here; None when it can.
    """

    id: str
    injected: str
    holds: str
    target: str
    cases: Sequence[str]
    few: Sequence[str]
    run: Callable[[str, Path, Bench], Outcome]
    counted: str
    figure: str = ""
    remark: str = ""
    lacks: Callable[[], str | None] = lambda: None


def seeds(count: int, *names: str) -> tuple[str, ...]:
    """Case names `NAME/SEED`: each name with seeds 0 to count-1, names taking turns."""
    return tuple(f"{name}/{seed}" for seed in range(count) for name in names or ("seed",))


def parts(case: str) -> tuple[str, int]:
    """A case's name and seed."""
    name, _, seed = case.rpartition("/")
    return name, int(seed)
