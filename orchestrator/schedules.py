"""Trials beside the search, as a scheduler: their own schedules; the search's scheduler sees none.

A trial beside the search (control, finalist, replay) is compared with nobody. One with a schedule
of configurations goes on from its own checkpoint of each of the schedule's boundaries under the
next configuration: an exploit of which it is its own donor. So what exploits use re-applies the
hyperparameters in the middle of training, and resuming knows how to take it up.
"""

from __future__ import annotations

from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Config,
    Decided,
    Event,
    TrialEnded,
    TrialProposed,
)
from orchestrator.records import SEARCH
from orchestrator.scheduler import NEVER, Scheduler


class Beside(Scheduler):
    """Stands before the search's scheduler and keeps from it what is not the search's.

    Args:
        search: decides about the search's trials.
    """

    def __init__(self, search: Scheduler) -> None:
        self.search = search
        self.collective = search.collective
        self._schedules: dict[str, dict[int, Config]] = {}
        self._due: dict[tuple[str, int], Decided] = {}
        self._decided: set[tuple[str, int]] = set()

    def observe(self, event: Event) -> None:
        """Show the event to whom it concerns."""
        if isinstance(event, TrialProposed) and event.origin not in SEARCH:
            self._schedules[event.trial] = {boundary: c for boundary, c in event.schedule}
        trial = getattr(event, "trial", None)
        if trial not in self._schedules:
            self.search.observe(event)
            return
        match event:
            case CheckpointCommitted(boundary=boundary):
                self._commit(trial, boundary)
            case CheckpointLost(boundary=boundary):
                self._due.pop((trial, boundary), None)
            case Decided(boundary=boundary, action="withdraw"):
                self._decided.discard((trial, boundary))
            case Decided(boundary=boundary):
                self._decided.add((trial, boundary))
                self._due.pop((trial, boundary), None)
            case TrialEnded():
                self._due = {key: due for key, due in self._due.items() if key[0] != trial}

    def until(self, trial: str, boundary: int) -> int:
        """The schedule's next boundary; of a trial of the search, what its scheduler says."""
        schedule = self._schedules.get(trial)
        if schedule is None:
            return self.search.until(trial, boundary)
        return min((at for at in schedule if at > boundary), default=NEVER)

    def due(self) -> list[Decided]:
        """What the search's scheduler has due, then the changes of schedules."""
        return [*self.search.due(), *self._due.values()]

    def keeps(self, trial: str, boundary: int) -> bool:
        """Whether it may become a donor's: never of a trial beside the search."""
        return trial not in self._schedules and self.search.keeps(trial, boundary)

    def _commit(self, trial: str, boundary: int) -> None:
        """The trial can go on from here, so it is time for the schedule's next configuration.

        Not before: were the checkpoint lost with a worker, it would start from none.
        """
        config = self._schedules[trial].get(boundary)
        if config is not None and (trial, boundary) not in self._decided:
            self._due[trial, boundary] = Decided(
                trial=trial,
                boundary=boundary,
                action="exploit",
                donor=trial,
                config=config,
                reason="its schedule",
            )
