"""Which worker gets which command now: decisions, endings of trials, and what to train next.

The second half of a turn; what happened is `dispatch.py`'s, whether there is a search to serve is
`course.py`'s. Every decision and every taking up is written before its command goes out.
"""

from __future__ import annotations

from orchestrator.after_search import AfterSearch
from orchestrator.commands import HUNG_AFTER_S, Evaluate, GoOn, Leave, Train
from orchestrator.course import Course
from orchestrator.events import SegmentStarted, TrialEnded
from orchestrator.places import Place, Places
from orchestrator.prospects import Prospects
from orchestrator.scheduler import Scheduler
from orchestrator.segment import Segment
from orchestrator.state import StudyState, TrialRecord
from orchestrator.write_ahead import WriteAhead
from search_spaces import SweepSpec

_SLOW_BOUNDARIES = 10
"""A trial hangs that makes no progress in the time of so many of the study's slowest boundary."""


class Assignments:
    """Gives work to workers that stand; the arguments are the Dispatcher's."""

    def __init__(
        self,
        spec: SweepSpec,
        state: StudyState,
        scheduler: Scheduler,
        prospects: Prospects,
        places: Places,
        ahead: WriteAhead,
        after: AfterSearch,
        course: Course,
    ) -> None:
        self._spec = spec
        self._state = state
        self._scheduler = scheduler
        self._prospects = prospects
        self._places = places
        self._ahead = ahead
        self._after = after
        self._course = course

    def decide(self) -> None:
        """Write the decisions that are due, and end trials that nobody needs to wait for."""
        held = self._places.by_trial()
        concerned = self._course.concerned
        for record in concerned:
            place = held.get(record.id)
            while place is None or place.standing:
                withdrawn = self._state.withdrawal(record.id)
                if withdrawn is None:
                    break
                self._ahead.write(withdrawn)
        names = {record.id for record in concerned}
        while due := [d for d in self._scheduler.due() if d.trial in names]:
            for decision in due:
                self._ahead.write(decision)
        for record in concerned:
            place = held.get(record.id)
            if place is not None and not place.standing:
                continue
            ending = self._prospects.ending(record)
            if ending is None:
                continue
            if place is not None:
                self.leave(place, ending)
            else:  # its worker was lost before it could be told
                self.end(ending)

    def assign(self, *, is_asked: bool) -> bool:
        """Give every worker that stands something to do, as far as there is something.

        Args:
            is_asked: whether the searcher has yet to answer.

        Returns:
            Whether the searcher should be asked for another configuration.
        """
        wanted = False
        for place in self._places:
            if not place.standing:
                continue
            if self._course.stopping:
                if place.trial is not None:
                    self.leave(place, None)
            elif self._course.searching:
                wanted |= self._search(place, may_ask=not (is_asked or wanted))
            else:
                self._beside(place)
        return wanted

    def leave(self, place: Place, ending: TrialEnded | None) -> None:
        """Tell a worker to leave its trial, which then ends like this; None: it stays open."""
        place.ending, place.leaving, place.standing = ending, True, False
        self._ahead.order(place.name, Leave())

    def end(self, ending: TrialEnded) -> None:
        """A trial is over."""
        self._ahead.write(ending)
        if ending.state == "failed":
            self._course.trial_failed()

    def _search(self, place: Place, *, may_ask: bool) -> bool:
        newcomers = may_ask and self._course.may_propose()
        elsewhere = self._places.elsewhere(place)
        record = self._prospects.next_trial(place.name, place.trial, elsewhere, newcomers=newcomers)
        if record is not None:
            self._give(place, record)
            return False
        return newcomers

    def _beside(self, place: Place) -> None:
        if self._after.is_training:
            record = self._prospects.next_beside(place.trial, self._places.elsewhere(place))
            if record is not None:
                self._give(place, record)
        elif not self._places.evaluating and (look := self._after.evaluation()) is not None:
            place.standing, place.evaluating = False, look
            self._ahead.order(place.name, Evaluate(look, self._hung_after_s))

    def _give(self, place: Place, record: TrialRecord) -> None:
        goes_on = self._prospects.goes_on(record, place.trial)
        place.standing = False
        place.until = self._prospects.until(record)
        if goes_on:
            self._ahead.order(place.name, GoOn(place.until, self._hung_after_s))
            return
        place.trial = record.id
        standing = self._state.standing(record.id)
        started = SegmentStarted(
            trial=record.id,
            segment=len(record.segments),
            boundary=standing.boundary,
            config=record.config,
            worker=place.name,
            pid=place.pid,
            node=place.node,
            start_trial=standing.trial if standing.boundary else None,
            start_boundary=standing.boundary or None,
            start_checkpoint=standing.checkpoint,
            world_size=self._spec.resources.workers,
        )
        self._ahead.write(started)
        segment = Segment(
            trial=record.id,
            segment=started.segment,
            config=record.config,
            boundaries=record.boundaries,
            start=standing.boundary,
            checkpoint=standing.checkpoint,
            best=record.best,
            batch_at_most=record.batch_at_most,
            seed=record.seed,
        )
        self._ahead.order(place.name, Train(segment, place.until, self._hung_after_s))

    @property
    def _hung_after_s(self) -> float:
        given = self._spec.failures.hung_after_s
        return given or max(HUNG_AFTER_S, _SLOW_BOUNDARIES * self._state.slowest_s)
