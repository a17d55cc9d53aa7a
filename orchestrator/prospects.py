"""What may follow for a trial where it is: does it end, may it be taken up, how far may it train.

Questions about the state and the scheduler, answered without changing either; `dispatch.py` acts
on the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from orchestrator.events import TrialEnded
from orchestrator.scheduler import Scheduler
from orchestrator.segment import TrialFailure
from orchestrator.state import StudyState, TrialRecord


class Prospects:
    """Answers for the trials of one study.

    Args:
        state: the study's state.
        scheduler: has observed the same events.
    """

    def __init__(self, state: StudyState, scheduler: Scheduler) -> None:
        self._state = state
        self._scheduler = scheduler

    def open_trials(self) -> list[TrialRecord]:
        """Trials that have not ended, by number."""
        return [self._state.trials[trial] for trial in self._state.open_trials]

    def searching(self) -> list[TrialRecord]:
        """Trials that have not ended and are to before the search is over, by number."""
        return [t for t in self.open_trials() if t.in_search or t.origin == "control"]

    def ending(self, record: TrialRecord) -> TrialEnded | None:
        """How the trial ends at the boundary where it is; None: it goes on, or waits."""
        report = record.reports.get(record.boundary)
        decision = record.decisions.get(record.boundary)
        action = decision.action if decision else None
        rescued = self._scheduler.collective and record.in_search
        last = record.boundary == record.boundaries
        if action == "exploit":
            return None
        if report is not None and report.value is None:
            if last or action is not None or not rescued:
                return diverged(record.id, record.boundary)
            return None
        if last:
            return TrialEnded(trial=record.id, state="finished")
        if decision is not None and action == "stop":
            return TrialEnded(trial=record.id, state="stopped", message=decision.reason)
        return None

    def next_beside(self, own: str | None, elsewhere: Container[str]) -> TrialRecord | None:
        """The trial beside the search that a worker should train once the search is over.

        Each is trained to its end, one after the other; the arguments as of `next_trial`.
        """
        runnable = [
            t
            for t in self.open_trials()
            if not t.in_search and t.id not in elsewhere and self._runnable(t, own)
        ]
        return next((t for t in runnable if t.id == own), next(iter(runnable), None))

    def next_trial(
        self, worker: str, own: str | None, elsewhere: Container[str], *, newcomers: bool
    ) -> TrialRecord | None:
        """The trial a worker should train in the search; None: a new one, or it must wait.

        The control of a grid is trained along with it.

        Independent trials are trained to their end, one after the other. A population advances
        together: lowest boundary first, and among equals the one this worker still holds or
        trained last.

        Args:
            worker: its name.
            own: the trial it stands with.
            elsewhere: trials that other workers hold.
            newcomers: whether a new trial may be proposed; in a population it comes first.
        """
        runnable = [t for t in self.searching() if t.id not in elsewhere and self._runnable(t, own)]
        mine = [t for t in runnable if t.id == own]
        if not self._scheduler.collective:
            return next(iter(mine + runnable), None)
        lowest = min((t.boundary for t in runnable), default=0)
        if lowest > 0 and newcomers:
            return None
        level = [t for t in runnable if t.boundary == lowest]
        warm = [t for t in level if t.segments and t.segments[-1].worker == worker]
        return next(iter([t for t in mine if t in level] + warm + level), None)

    def goes_on(self, record: TrialRecord, own: str | None) -> bool:
        """Whether a worker that stands with this trial goes on with it as it is."""
        decision = record.decisions.get(record.boundary)
        return record.id == own and (decision is None or decision.action == "continue")

    def _runnable(self, record: TrialRecord, own: str | None) -> bool:
        if record.boundary not in record.decisions and self._awaits_decision(record):
            return False
        if self.goes_on(record, own):
            return True
        standing = self._state.standing(record.id)
        return standing.ready and standing.boundary == record.boundary

    def _awaits_decision(self, record: TrialRecord) -> bool:
        at = record.boundary
        return 0 < at < record.boundaries and self._scheduler.until(record.id, at - 1) == at

    def until(self, record: TrialRecord) -> int:
        """How far the trial may train from here; decisions made before a crash still stand."""
        until = self._scheduler.until(record.id, record.boundary)
        while until < record.boundaries and (decision := record.decisions.get(until)):
            if decision.action != "continue":
                break
            until = self._scheduler.until(record.id, until)
        return until


def failed(trial: str, failure: TrialFailure) -> TrialEnded:
    """The end of a trial that failed like this."""
    return TrialEnded(
        trial=trial,
        state="failed",
        failure=failure.kind,
        message=failure.message,
        log=failure.log,
    )


def diverged(trial: str, boundary: int) -> TrialEnded:
    """The end of a trial whose metric was not finite."""
    text = f"the metric was not a finite number at boundary {boundary}"
    return failed(trial, TrialFailure(kind="diverged", message=text))


def no_result(state: StudyState) -> str:
    """Why a study without any usable value came to nothing."""
    failed = state.with_state("failed")
    classes = Counter(trial.failure for trial in failed if trial.in_search)
    counted = ", ".join(f"{count} {kind}" for kind, count in classes.most_common())
    every = state.searched
    if classes["diverged"] == every and every:
        return f"every trial diverged ({every}): try lower learning rates"
    return f"no trial reached a usable result; failed: {counted}" if counted else "no usable result"
