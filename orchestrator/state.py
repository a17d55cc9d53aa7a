"""What is known of a study: the fold of its journal's events.

Decides nothing and writes nothing. The driver's live state, the state after a resume and what
`sweep show` prints are made by the same `apply`, so they cannot differ. "Where a trial stands"
is derived from commits and decisions, never stored: its own newest committed checkpoint after
its last exploit, else the donor's checkpoint of that exploit, else scratch. What is known of one
trial is `records.py`'s; which configuration is crowned among finalists `crowning.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.crowning import Crowned, crowned
from orchestrator.events import (
    BatchHalved,
    CheckpointCommitted,
    CheckpointLost,
    Config,
    Decided,
    Evaluated,
    Event,
    Reported,
    SearchExhausted,
    SegmentStarted,
    StudyEnded,
    StudyResumed,
    StudyStarted,
    TrialEnded,
    TrialExtended,
    TrialInterrupted,
    TrialProposed,
)
from orchestrator.records import SEARCH, Standing, StudyBest, TrialRecord
from orchestrator.segment import Best

__all__ = ["Standing", "StudyBest", "StudyState", "TrialRecord"]


class StudyState:
    """The fold. `apply` takes events in journal order; everything else reads."""

    def __init__(self) -> None:
        self.name = ""
        self.method = ""
        self.metric = ""
        self.goal = "maximize"
        self.seed = 0
        self.smoke = False
        self.state = "running"
        self.reason = ""
        self.exhausted: str | None = None
        self.started: StudyStarted | None = None
        self.ended: StudyEnded | None = None
        """How the study last came to an end; also known while a later driver is at it."""
        self.trials: dict[str, TrialRecord] = {}
        self.searched = 0
        """How many trials the search has proposed: the number of its next one."""
        self.beside: list[str] = []
        """Trials beside the search, in the order in which they were proposed."""
        self.open_trials: dict[str, None] = {}  # an ordered set: 10,000 ended trials cost nothing
        self.best: StudyBest | None = None
        self.evaluations: list[Evaluated] = []
        """Looks at splits that nothing was chosen by, in order."""
        self.epochs_ended = 0.0
        """Epochs done by the search's trials that have ended, each by its last report."""
        self.slowest_s = 0.0
        """The longest that any boundary took, in seconds."""
        self.gpu_seconds = 0.0
        """Seconds that the search's trials trained and were evaluated, times the GPUs that they
        held; re-runs count."""

    def better(self, a: float, b: float) -> bool:
        """Whether value a beats b under the study's goal (equal does not)."""
        return a > b if self.goal == "maximize" else a < b

    def standing(self, trial: str) -> Standing:
        """Where the trial can be taken up."""
        record = self.trials[trial]
        exploit = record.exploit
        origin = exploit.boundary if exploit else 0
        if record.newest > origin:
            return Standing(trial, record.newest, record.checkpoints[record.newest].path)
        if exploit and exploit.donor:
            committed = self.trials[exploit.donor].checkpoints.get(origin)
            return Standing(exploit.donor, origin, committed.path if committed else None)
        return Standing(trial, 0, None)

    @property
    def crowned(self) -> Crowned | None:
        """The configuration whose finalists have the best mean; None before they are through."""
        finalists = [self.trials[t] for t in self.beside if self.trials[t].origin == "finalist"]
        return crowned(finalists, self.goal)

    @property
    def selected(self) -> StudyBest | None:
        """What the study is for: the crowned configuration's best run, else the search's best."""
        crown = self.crowned
        return self.best if crown is None else crown.best

    @property
    def default(self) -> TrialRecord | None:
        """The trial that trained the default configuration and nothing else; None: there is none.

        A population's first member is none once it has copied another.
        """
        first = next(iter(self.trials.values()), None)
        found = [self.trials[t] for t in self.beside if self.trials[t].origin == "control"]
        found += [first] if first is not None and first.origin == "default" else []
        return next((record for record in found if record.exploit is None), None)

    def searches(self, event: Event) -> bool:
        """Whether the event is the search's: not of a trial beside it, no evaluation of its own."""
        if isinstance(event, TrialProposed):
            return event.origin in SEARCH
        record = self.trials.get(getattr(event, "trial", ""))
        return not isinstance(event, Evaluated) and (record is None or record.in_search)

    def test_of(self, checkpoint: str) -> Evaluated | None:
        """The first look of this checkpoint at the test split, which later ones knew; or None."""
        looks = (e for e in self.evaluations if e.checkpoint == checkpoint)
        return next((e for e in looks if e.split == "test"), None)

    def with_state(self, *states: str) -> list[TrialRecord]:
        """Trials in these states, by number."""
        return [t for t in self.trials.values() if t.state in states]

    def lineage(self) -> list[dict[str, Any]]:
        """Every exploit in order: trial, donor, boundary, epoch, the new configuration."""
        copies = [
            (decision, record)
            for record in self.trials.values()
            if record.in_search
            for decision in record.decisions.values()
            if decision.action == "exploit"
        ]
        copies.sort(key=lambda pair: (pair[0].boundary, pair[1].number))
        return [
            {
                "trial": record.id,
                "donor": decision.donor,
                "boundary": decision.boundary,
                "epoch": record.epochs * decision.boundary / record.boundaries,
                "config": decision.config,
            }
            for decision, record in copies
        ]

    def apply(self, event: Event) -> None:
        """Fold one event in.

        Raises:
            KeyError: the event names a trial that was never proposed.
        """
        match event:
            case StudyStarted():
                self.started = event
                self.name, self.method, self.seed = event.name, event.method, event.seed
                self.metric, self.goal, self.smoke = event.metric, event.goal, event.smoke
            case StudyResumed():
                self._resume()
            case StudyEnded(state=state, reason=reason):
                self.state, self.reason, self.ended = state, reason, event
            case SearchExhausted(reason=reason):
                self.exhausted = reason
            case TrialProposed():
                self.trials[event.trial] = TrialRecord(
                    event.trial,
                    event.number,
                    event.origin,
                    event.config,
                    event.boundaries,
                    event.epochs,
                    seed=event.seed,
                    repeats=event.repeats,
                    schedule=event.schedule,
                )
                self.open_trials[event.trial] = None
                if event.origin in SEARCH:
                    self.searched += 1
                else:
                    self.beside.append(event.trial)
            case Evaluated():
                self.evaluations.append(event)
            case _:
                self._apply_to_trial(event)

    def _apply_to_trial(self, event: Event) -> None:
        record = self.trials[event.trial]  # type: ignore[attr-defined]
        match event:
            case SegmentStarted():
                record.state = "running"
                record.segments.append(event)
                record.boundary = event.boundary
            case Reported():
                record.reports[event.boundary] = event
                record.boundary = event.boundary
                self.slowest_s = max(self.slowest_s, event.seconds)
                self.gpu_seconds += event.seconds * event.gpus if record.in_search else 0.0
            case CheckpointCommitted():
                self._commit(record, event)
            case CheckpointLost():
                self._lose(record, event)
            case Decided(action="withdraw"):
                self._withdraw(record, event.boundary)
            case Decided():
                record.decisions[event.boundary] = event
                if event.action == "exploit" and event.donor is not None:
                    record.exploit = event
                    self._descend(record, self.trials[event.donor], event.boundary)
            case TrialInterrupted():
                record.state = "waiting"
                seen = record.interruptions
                seen[event.failure] = seen.get(event.failure, 0) + 1
                record.boundary = self.standing(record.id).boundary
            case BatchHalved():
                record.state = "waiting"
                record.halvings.append(event)
                record.boundary = self.standing(record.id).boundary
            case TrialEnded():
                record.state, record.failure = event.state, event.failure
                record.message, record.log = event.message, event.log
                del self.open_trials[record.id]
                self.epochs_ended += record.epochs_done if record.in_search else 0.0
            case TrialExtended():
                self.epochs_ended -= record.epochs_done if record.state == "finished" else 0.0
                record.boundaries, record.epochs = event.boundaries, event.epochs
                if record.state == "finished":
                    record.state = "waiting"
                    record.boundary = self.standing(record.id).boundary
                    self.open_trials = {t: None for t, r in self.trials.items() if not r.ended}

    def _commit(self, record: TrialRecord, event: CheckpointCommitted) -> None:
        record.checkpoints[event.boundary] = event
        record.newest = max(record.newest, event.boundary)
        report = record.reports.get(event.boundary)
        if report is None or report.value is None:
            return
        value = report.value
        if record.best is None or self.better(value, record.best.value):
            record.best = Best(value=value, boundary=event.boundary, checkpoint=event.path)
        record.best_at[event.boundary] = record.best
        if record.in_search and (self.best is None or self.better(value, self.best.value)):
            self.best = StudyBest(
                record.id, event.boundary, value, self._config_at(record, event), event.path
            )

    def _descend(self, record: TrialRecord, donor: TrialRecord, boundary: int) -> None:
        """The trial's line of descent is the donor's from here on.

        It stands at the donor's boundary even if its own report of it was lost with a worker.
        """
        record.boundary = boundary
        record.best = donor.best_before(boundary)
        record.best_at = {} if record.best is None else {boundary: record.best}

    def withdrawal(self, trial: str) -> Decided | None:
        """What takes the trial's last exploit back if its donor's checkpoint was lost; else None.

        Only for a trial that is yet to start from that checkpoint, or must start from it again.
        """
        record = self.trials[trial]
        exploit, standing = record.exploit, self.standing(trial)
        if exploit is None or standing.ready or record.boundary != exploit.boundary:
            return None
        reason = f"the checkpoint of {exploit.donor} at boundary {exploit.boundary} was lost"
        return Decided(trial=trial, boundary=exploit.boundary, action="withdraw", reason=reason)

    def _withdraw(self, record: TrialRecord, boundary: int) -> None:
        """Undo an exploit: the trial stands at its own newest checkpoint again.

        Of what was its best before, only that checkpoint is sure not to be deleted by now.
        """
        record.decisions.pop(boundary, None)
        copies = [d for d in record.decisions.values() if d.action == "exploit"]
        record.exploit = max(copies, key=lambda d: d.boundary, default=None)
        record.best, record.best_at = None, {}
        standing = self.standing(record.id)
        report = record.reports.get(standing.boundary)
        own = standing.trial == record.id and standing.checkpoint is not None
        if own and report is not None and report.value is not None:
            record.best = Best(
                value=report.value,
                boundary=standing.boundary,
                checkpoint=standing.checkpoint or "",
            )
            record.best_at = {standing.boundary: record.best}
        if record.state == "waiting":
            record.boundary = standing.boundary

    def _lose(self, record: TrialRecord, event: CheckpointLost) -> None:
        """Forget a checkpoint wherever it was the best; the next best that is kept takes over."""
        record.checkpoints.pop(event.boundary, None)
        record.newest = max(record.checkpoints, default=0)
        for other in self.trials.values():
            if all(best.checkpoint != event.path for best in other.best_at.values()):
                continue
            other.best_at = {
                boundary: best
                for boundary, best in other.best_at.items()
                if best.checkpoint != event.path
            }
            other.best = other.best_before(other.boundaries)
        if record.state == "waiting":  # one that trains has no need of it now
            record.boundary = self.standing(record.id).boundary
        if self.best is not None and self.best.checkpoint == event.path:
            self.best = None
            for other in self.trials.values():
                best = other.best
                if not other.in_search:
                    continue
                if best and (self.best is None or self.better(best.value, self.best.value)):
                    self.best = self._as_its_trials(other, best)

    def _as_its_trials(self, record: TrialRecord, best: Best) -> StudyBest:
        """A member's best as that of the trial that reached it, which it may have copied."""
        for other in self.trials.values():
            commit = other.checkpoints.get(best.boundary)
            if commit is not None and commit.path == best.checkpoint:
                record = other
        config = record.config_up_to(best.boundary)
        return StudyBest(record.id, best.boundary, best.value, config, best.checkpoint)

    def _config_at(self, record: TrialRecord, event: CheckpointCommitted) -> Config:
        """The configuration of the segment that committed: a later exploit may be decided."""
        return record.segments[event.segment].config if record.segments else record.config

    def _resume(self) -> None:
        """A new driver: whoever was running is waiting, at its last commit."""
        self.state, self.reason = "running", ""
        for record in self.trials.values():
            if not record.ended:
                record.state = "waiting"
                record.boundary = self.standing(record.id).boundary

    @classmethod
    def of(cls, events: Iterable[Event]) -> StudyState:
        """Fold all of these."""
        state = cls()
        for event in events:
            state.apply(event)
        return state
