"""What a picture of a running study needs, kept event by event; `live.py` draws it.

Folds nothing: the engine's state is at hand whenever an event is told, and only what the event
touched is read of it. A study of 10,000 trials is told of and drawn in the time of those that are
not over: the control loop waits for the first, and holds the second's lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass

from rich.text import Text

from orchestrator.events import CheckpointLost, Decided, Event, StudyResumed
from orchestrator.state import StudyBest, StudyState, TrialRecord
from search_spaces import SweepSpec
from sweeps.text import config_text, number
from sweeps.views import best_line, last_value

SHOWN_RUNNING = 12
"""Running trials in the live view; more are counted."""


@dataclass(frozen=True)
class Glance:
    """What the live view shows of a study at one moment.

    Attributes:
        counts: trials by state.
        total: trials there will be at most, those beside the search as they are proposed; None
            when nobody knows.
        remaining: boundaries still to come at most; None when nobody knows.
        done: boundaries reported since this driver started.
        running: id, progress, last value, configuration of each running trial shown.
        failure: the last failure in one line; empty when there was none.
    """

    counts: dict[str, int]
    total: int | None
    remaining: int | None
    done: int
    best: Text
    running: tuple[tuple[str, str, str, str], ...]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class _Open:
    """A trial that is not over."""

    trial: str
    state: str
    boundary: int
    boundaries: int
    value: float | None
    config: str

    @classmethod
    def of(cls, record: TrialRecord) -> _Open:
        return cls(
            record.id,
            record.state,
            record.boundary,
            record.boundaries,
            last_value(record),
            config_text(record.config),
        )


class Tally:
    """Of a study as it was last told of; without an event, of one that has no trial yet."""

    def __init__(self) -> None:
        self._told = False
        self._ended: Counter[str] = Counter()
        self._open: dict[str, _Open] = {}
        self._boundaries = 0
        self._beside = 0
        self._exhausted = False
        self._best: StudyBest | None = None
        self._best_line = best_line(StudyState())

    @classmethod
    def of(cls, state: StudyState) -> Tally:
        """Of a state as it is."""
        tally = cls()
        tally._read(state)
        return tally

    def tell(self, event: Event, state: StudyState) -> None:
        """Take in an event.

        Args:
            state: after it.
        """
        touches_others = isinstance(event, StudyResumed | CheckpointLost) or (
            isinstance(event, Decided) and event.action == "withdraw"
        )
        trial = getattr(event, "trial", None)
        if not self._told or touches_others:
            self._read(state)
        elif trial is not None:
            self._read_trial(state.trials[trial])
        self._exhausted = state.exhausted is not None
        self._beside = len(state.beside)
        if state.selected != self._best:
            self._best, self._best_line = state.selected, best_line(state)

    def _read(self, state: StudyState) -> None:
        self._told = True
        self._open = {t: _Open.of(state.trials[t]) for t in state.open_trials}
        self._ended = Counter(t.state for t in state.trials.values() if t.ended)
        self._boundaries = max((t.boundaries for t in state.trials.values()), default=0)
        self._exhausted = state.exhausted is not None
        self._beside = len(state.beside)
        self._best, self._best_line = state.selected, best_line(state)

    def _read_trial(self, record: TrialRecord) -> None:
        self._boundaries = max(self._boundaries, record.boundaries)
        was_open = self._open.pop(record.id, None) is not None
        if not record.ended:
            self._open[record.id] = _Open.of(record)
            if not was_open and record.state == "waiting" and record.segments:
                self._ended["finished"] -= 1  # it was extended
        elif was_open:
            self._ended[record.state] += 1

    def remaining_boundaries(self, spec: SweepSpec) -> int | None:
        """How many boundaries are to come if nothing stops early; None without a limit."""
        if spec.trial_limit is None and not self._exhausted:
            return None
        open_ones = sum(t.boundaries - t.boundary for t in self._open.values())
        begun = len(self._open) + self._ended.total() - self._beside
        to_come = 0 if self._exhausted else max(0, (spec.trial_limit or 0) - begun)
        return open_ones + to_come * self._boundaries

    def glance(
        self, spec: SweepSpec, *, done: int, training: Set[str], failure: str = ""
    ) -> Glance:
        """Take a picture.

        Args:
            training: the trials that a worker trains now. The journal's `running` says that a
                trial was taken up and is not over: members of a large population take turns.
        """
        counts = Counter(+self._ended)
        shown = []
        for trial in sorted(self._open.values(), key=lambda t: t.trial):
            idle = trial.state == "running" and trial.trial not in training
            counts["waiting" if idle else trial.state] += 1
            if trial.state == "running" and not idle:
                shown.append(trial)
        rows = tuple(
            (t.trial, f"{t.boundary}/{t.boundaries}", number(t.value), t.config)
            for t in shown[:SHOWN_RUNNING]
        )
        return Glance(
            counts=dict(counts),
            total=None if spec.trial_limit is None else spec.trial_limit + self._beside,
            remaining=self.remaining_boundaries(spec),
            done=done,
            best=self._best_line,
            running=rows,
            failure=failure,
        )
