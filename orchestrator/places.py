"""Where trials are trained: the workers as the driver knows them, and the commits they still owe.

Decides nothing; `dispatch.py` does. A worker is a place, and trials pass through it. A report
whose checkpoint is not committed yet is owed by the worker that took it: lost with that worker,
the trial goes back to its last commit, wherever it is by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.events import TrialEnded
from orchestrator.segment import Evaluation


@dataclass
class Place:
    """A worker.

    `standing`: it waits for a command, without a trial or with one at a boundary. `ending`:
    what the trial at hand ends as once the worker has left it; `leaving`: it was told to.
    `evaluating`: what it evaluates, instead of training.
    """

    name: str
    pid: int
    node: str
    trial: str | None = None
    until: int = 0
    standing: bool = True
    leaving: bool = False
    ending: TrialEnded | None = None
    evaluating: Evaluation | None = None


class Places:
    """All workers of a study, by name, in the order in which they came."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._owed: dict[tuple[str, int], str] = {}

    def __contains__(self, worker: str) -> bool:
        return worker in self._places

    def __getitem__(self, worker: str) -> Place:
        return self._places[worker]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def add(self, worker: str, pid: int, node: str) -> None:
        """A worker came up; one of the same name is replaced."""
        self._places[worker] = Place(worker, pid, node)

    def remove(self, worker: str) -> None:
        """It is gone, or of no more use."""
        del self._places[worker]

    @property
    def any_there(self) -> bool:
        """Whether there is a worker; all may be lost."""
        return bool(self._places)

    @property
    def all_stand(self) -> bool:
        """Whether none of the workers is at anything; so it is when there are none."""
        return all(place.standing for place in self)

    @property
    def evaluating(self) -> list[Evaluation]:
        """What is being evaluated."""
        return [place.evaluating for place in self if place.evaluating is not None]

    def by_trial(self) -> dict[str | None, Place]:
        """Who holds which trial."""
        return {place.trial: place for place in self}

    def elsewhere(self, place: Place) -> set[str]:
        """Trials that other workers hold."""
        return {other.trial for other in self if other is not place and other.trial}

    # Commits that are owed ----------------------------------------------------------------

    @property
    def owe(self) -> bool:
        """Whether a commit is still awaited."""
        return bool(self._owed)

    def owes(self, worker: str, trial: str, boundary: int) -> None:
        """The trial's report of this boundary came from this worker; its commit is to follow."""
        self._owed[trial, boundary] = worker

    def committed(self, trial: str, boundary: int) -> None:
        """The commit came; those before it that are still owed will not: they come in order."""
        self._forget(lambda who, at, on: who == trial and at <= boundary)

    def left(self, place: Place, trial: str) -> TrialEnded | None:
        """The worker has left the trial with nothing owed; returns how that trial ends."""
        ending = place.ending
        place.trial = place.ending = None
        place.leaving, place.standing = False, True
        self._forget(lambda who, at, on: who == trial and on == place.name)
        return ending

    def lose(self, worker: str) -> tuple[str | None, list[str]]:
        """The worker is lost with what it owed.

        Returns:
            The trial at hand, and all trials that are set back, that one among them. One that
            another worker trains by now needs its commit no more: it copied a donor.
        """
        place = self._places[worker]
        hit = {trial for (trial, _), on in self._owed.items() if on == worker}
        hit |= {place.trial} if place.trial is not None else set()
        self._forget(lambda who, at, on: on == worker)
        hit -= {other.trial for other in self if other is not place and other.trial}
        at_hand, place.trial = place.trial, None
        place.ending, place.leaving = None, False
        return at_hand, sorted(hit)

    def _forget(self, which: Callable[[str, int, str], bool]) -> None:
        for key in [key for key, on in self._owed.items() if which(*key, on)]:
            del self._owed[key]
