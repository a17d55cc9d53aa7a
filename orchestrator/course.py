"""Where a study stands: in its search, beside it, stopping, or over.

Gives no trial to anybody (`assignments.py` does). A search is over when nothing more may be
proposed and nothing is open, or when a limit on what it trains is reached; then what
`after_search.py` names is done by the same workers, and the study ends as its search did. A study
that a person stops, or that too many failed trials stop, leaves that undone too: it is done when
the study comes to its end after a resume.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.after_search import AfterSearch
from orchestrator.budgets import no_more_trials, too_many_failed
from orchestrator.commands import GoOn, Release
from orchestrator.events import StudyEnded
from orchestrator.places import Places
from orchestrator.prospects import Prospects, no_result
from orchestrator.state import StudyState, TrialRecord
from orchestrator.write_ahead import WriteAhead
from search_spaces import SweepSpec


class Course:
    """The phases of one driver's time with a study.

    Args:
        spec, state, prospects, places, ahead, after: as the Dispatcher has them.
        searching: whether the search goes on; else only what stands beside it is done, and the
            study ends as it had ended before.

    Attributes:
        searching: whether the search is still on.
        stopping: why no more work is given out, as long as that is so.
    """

    def __init__(
        self,
        spec: SweepSpec,
        state: StudyState,
        prospects: Prospects,
        places: Places,
        ahead: WriteAhead,
        after: AfterSearch,
        *,
        searching: bool,
    ) -> None:
        self.searching = searching
        self.stopping: str | None = None
        self._spec = spec
        self._state = state
        self._prospects = prospects
        self._places = places
        self._ahead = ahead
        self._after = after
        self._end = state.ended or StudyEnded(state="finished")
        self._limited = False
        self._hopeless: str | None = None
        if not searching:
            self._begin_beside()

    @property
    def concerned(self) -> list[TrialRecord]:
        """Open trials about which something may be decided now."""
        open_trials = self._prospects.open_trials()
        return [t for t in open_trials if self.searching or not t.in_search]

    def may_propose(self) -> bool:
        """Whether the search may begin another trial."""
        if not self.searching or self.stopping or self._state.exhausted:
            return False
        return no_more_trials(self._spec, self._state) is None

    def stop(self, reason: str, *, limit: bool = False) -> None:
        """Give no more work out; running trials come to their next boundary.

        Args:
            limit: whether a limit of the sweep is why.
        """
        self._limited = limit and (self._limited or self.stopping is None)
        if self.stopping is not None:
            return
        self.stopping = reason
        for place in self._places:
            if not place.standing and not place.leaving and place.evaluating is None:
                place.until = 0
                self._ahead.order(place.name, GoOn(0))

    def give_up(self, reason: str) -> None:
        """Stop: what went wrong will go wrong with every trial."""
        self._hopeless = reason
        self.stop(reason)

    def trial_failed(self) -> None:
        """Stop if too many trials of the search have failed."""
        limit = too_many_failed(self._spec, self._state) if self.searching else None
        if limit and self.stopping is None:
            self.stop(limit)

    def advance(self) -> bool:
        """Go over to the next phase, or end the study, if nothing of this one is left.

        Call it when all that could be given out was.

        Returns:
            Whether a new phase begins.

        Raises:
            RuntimeError: everybody waits for nothing.
        """
        if not self._places.all_stand:
            return False
        if self.searching:
            return self._leave_search()
        work_left = self._after.is_training or self._after.evaluation() is not None
        if self.stopping is not None:
            left = work_left or bool(self._after.proposals())
            stopped = StudyEnded(state="stopped", reason=self.stopping)
            self._finish(stopped if left else self._end)
        elif not work_left:
            self._finish(self._end)
        elif self._places.any_there and not self._places.owe:
            raise _stuck(self.concerned)
        return False

    def _leave_search(self) -> bool:
        end = self._end_of_search()
        if end is None:
            return False
        if end.state == "failed" or self._state.best is None:
            self._finish(end)
            return False
        self.searching, self._end = False, end
        if self._limited:
            self.stopping = None
        if self.stopping is None:
            self._begin_beside()
        return True

    def _end_of_search(self) -> StudyEnded | None:
        """How the study ends unless something is left to do beside its search; None: it goes on."""
        open_trials = self._prospects.searching()
        exhausted = self._state.exhausted or no_more_trials(self._spec, self._state)
        if self._hopeless:
            return StudyEnded(state="failed", reason=self._hopeless)
        if not open_trials and exhausted is not None:
            if self._state.best is None:
                return StudyEnded(state="failed", reason=no_result(self._state))
            return StudyEnded(state="finished", reason=exhausted)
        if self.stopping:
            return StudyEnded(state="stopped", reason=self.stopping)
        if open_trials and self._places.any_there and not self._places.owe:
            raise _stuck(open_trials)
        return None

    def _begin_beside(self) -> None:
        for proposal in self._after.proposals():
            self._ahead.write(proposal)

    def _finish(self, end: StudyEnded) -> None:
        self._ahead.write(end)
        for place in self._places:
            self._ahead.order(place.name, Release())


def _stuck(open_trials: Sequence[TrialRecord]) -> RuntimeError:
    return RuntimeError(
        "the study is stuck: every worker waits and nothing is left to wait for: "
        + ", ".join(f"{t.id} {t.state} at {t.boundary}" for t in open_trials)
    )
