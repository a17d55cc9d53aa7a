"""What follows when a trial fails, an evaluation fails, or a worker is lost with what it had.

Writes the events that follow; who gets what to do next is `assignments.py`'s. How often a class of
failure is tried again stands in `after_failure.py`, and for evaluations in `after_search.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.after_failure import after_failure
from orchestrator.after_search import AfterSearch
from orchestrator.assignments import Assignments
from orchestrator.events import CheckpointLost, SegmentStarted, TrialEnded
from orchestrator.places import Places
from orchestrator.segment import Evaluation, TrialFailure
from orchestrator.state import StudyState
from orchestrator.write_ahead import WriteAhead
from search_spaces import SweepSpec


class Setbacks:
    """The arguments are the Dispatcher's."""

    def __init__(
        self,
        spec: SweepSpec,
        state: StudyState,
        places: Places,
        ahead: WriteAhead,
        after: AfterSearch,
        assignments: Assignments,
        notice: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._state = state
        self._places = places
        self._ahead = ahead
        self._after = after
        self._assignments = assignments
        self._notice = notice

    def lose(self, worker: str, failure: TrialFailure) -> None:
        """Its trial is interrupted; so are those of which it took a checkpoint along."""
        look, self._places[worker].evaluating = self._places[worker].evaluating, None
        if look is not None:
            self.not_evaluated(look, failure)
        at_hand, hit = self._places.lose(worker)
        for trial in hit:
            if self._state.trials[trial].ended:
                continue
            bystander = TrialFailure(kind="infrastructure", message=failure.message)
            self.failed(trial, failure if trial == at_hand else bystander)

    def failed(self, trial: str, failure: TrialFailure) -> None:
        """The trial failed: it is taken up again, smaller, or ends."""
        event = after_failure(self._spec, self._state.trials[trial], failure)
        if isinstance(event, TrialEnded):
            self._assignments.end(event)
        else:
            self._ahead.write(event)

    def pass_over(self, segment: SegmentStarted, reason: str) -> None:
        """What this segment was to start from is damaged; unless it was written anew meanwhile."""
        owner, boundary = segment.start_trial, segment.start_boundary
        if owner is None or boundary is None or segment.start_checkpoint is None:
            return
        commit = self._state.trials[owner].checkpoints.get(boundary)
        if commit is not None and commit.path == segment.start_checkpoint:
            self._ahead.write(
                CheckpointLost(trial=owner, boundary=boundary, path=commit.path, reason=reason)
            )

    def not_evaluated(self, look: Evaluation, failure: TrialFailure) -> None:
        """The evaluation failed: it is tried again, of another checkpoint, or given up."""
        lost, sentence = self._after.failed(look, failure)
        if lost is not None:
            self._ahead.write(lost)
        self._notice(sentence + ".")
