"""Which committed checkpoints nobody refers to any more.

Only names them; deleting is the caller's. One that was found damaged is never named. References
are counted over what the state knows: the study's best, each trial's best of its lineage (among
them what will be handed over or evaluated), where
each open trial can be taken up (with the best that comes along, and the checkpoint before it),
what the scheduler may still hand to a receiver, and the last one of each finished member of a
population, which can be extended.
"""

from __future__ import annotations

from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Event,
    Reported,
    SegmentStarted,
)
from orchestrator.scheduler import Scheduler
from orchestrator.state import StudyState, TrialRecord


class Retention:
    """Follows events and names checkpoints that may be deleted.

    Args:
        state: the study's state; has been shown the same events.
        scheduler: says which checkpoints may still become a donor's.
    """

    def __init__(self, state: StudyState, scheduler: Scheduler) -> None:
        self._state = state
        self._scheduler = scheduler
        self._kept: dict[str, dict[str, CheckpointCommitted]] = {}
        self._touched: dict[str, None] = {}
        self._best: str | None = None

    def observe(self, event: Event) -> None:
        """Take note of an event that the state has just applied."""
        trial = getattr(event, "trial", None)
        if trial is not None and not isinstance(event, Reported):  # a report replaces nothing
            self._touched[trial] = None
        if isinstance(event, SegmentStarted) and event.start_trial:
            self._touched[event.start_trial] = None
        if isinstance(event, CheckpointLost):  # passed over: whoever damaged it may want to look
            self._kept.get(event.trial, {}).pop(event.path, None)
        if isinstance(event, CheckpointCommitted):
            self._kept.setdefault(event.trial, {})[event.path] = event
            if self._state.best and self._state.best.checkpoint == event.path:
                former, self._best = self._best, event.trial
                self._touched |= {} if former is None else {former: None}

    def unused(self) -> list[CheckpointCommitted]:
        """Checkpoints that nothing refers to; each is named once.

        Independent trials refer to their own checkpoints only, so those just touched are looked
        at; members of a population refer to each other's, and there are few of them.
        """
        touched, self._touched = self._touched, {}
        if not touched:
            return []
        trials = self._state.trials
        names = list(trials) if self._scheduler.collective else list(touched)
        used = {self._state.best.checkpoint} if self._state.best else set()
        for name in names:
            used |= self._references(trials[name])
        unused = [
            checkpoint
            for name in names
            for path, checkpoint in self._kept.get(name, {}).items()
            if path not in used
        ]
        for checkpoint in unused:
            del self._kept[checkpoint.trial][checkpoint.path]
        return unused

    def donors(self) -> set[str]:
        """Paths of kept checkpoints that the scheduler may still hand to a receiver."""
        return {
            path
            for kept in self._kept.values()
            for path, checkpoint in kept.items()
            if self._scheduler.keeps(checkpoint.trial, checkpoint.boundary)
        }

    def _references(self, record: TrialRecord) -> set[str]:
        used = {record.best.checkpoint} if record.best else set()
        # Of all that were committed, most of which are deleted by now, those that stand.
        kept = sorted({c.boundary for c in self._kept.get(record.id, {}).values()})
        kept = [boundary for boundary in kept if boundary in record.checkpoints]
        boundaries = {b for b in kept if self._scheduler.keeps(record.id, b)}
        used |= {record.checkpoints[b].path for b in boundaries}
        if self._scheduler.collective and record.in_search and record.state == "finished":
            used.add(self._state.standing(record.id).checkpoint or "")
        if not record.ended:
            standing = self._state.standing(record.id)
            used.add(standing.checkpoint or "")
            for boundary in kept[-2:]:  # should the newest be damaged
                used.add(record.checkpoints[boundary].path)
            boundaries |= {standing.boundary}
            segment = record.segments[-1] if record.segments else None
            if segment and all(r.segment != segment.segment for r in record.reports.values()):
                used.add(segment.start_checkpoint or "")  # a worker may be about to load it
        for boundary in boundaries:
            best = record.best_before(boundary)
            used |= {best.checkpoint} if best else set()
        return used
