"""Who trains what next: the pure heart of a study.

`Dispatcher` takes what happened (a worker is ready, a trial reported, a checkpoint was
committed ...) and answers with commands; it starts no process, reads no clock and touches no
file but through the `journal` it was given. The real study and `simulate.py` drive this same
class. It is the one place that turns events into commands, so resuming is: fold the journal,
make a Dispatcher, and let the workers report ready.

A worker is a place to train in (a Ray Tune trial); trials pass through workers. A trial that a
worker has reported at a boundary where a decision is due *stands*: its worker waits, warm, and
may be given any trial. Nothing is ever paused and nothing restarts for an exploit. Once the search
is over, the same workers do what `after_search.py` says is left to do beside it.

This file turns what happened into events. What follows is `assignments.py`'s (who gets which
command), `course.py`'s (is there a search to serve, is the study over), and in this order
`write_ahead.py`'s (durable first, then sent); of failures and losses, `setbacks.py`'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from orchestrator.after_search import AfterSearch
from orchestrator.assignments import Assignments
from orchestrator.budgets import used_up
from orchestrator.commands import Command, Release
from orchestrator.course import Course
from orchestrator.events import (
    CheckpointCommitted,
    Config,
    Event,
    Reported,
    SearchExhausted,
    TrialProposed,
)
from orchestrator.finalists import control
from orchestrator.places import Place, Places
from orchestrator.prospects import Prospects
from orchestrator.scheduler import Scheduler
from orchestrator.segment import BoundaryReport, Evaluation, EvaluationReport, TrialFailure
from orchestrator.setbacks import Setbacks
from orchestrator.state import StudyState
from orchestrator.write_ahead import WriteAhead
from search_spaces import SweepSpec


class Dispatcher:
    """Turns what happens into commands. Not thread-safe: the caller holds one lock.

    Args:
        spec: the sweep.
        state: the study so far: just started, or a replayed journal.
        scheduler: has observed the same events as `state`.
        journal: makes events durable before any command that rests on them is given out.
        send: gives a command to a worker.
        propose: asks the searcher for configuration `number`; the answer comes back, at once or
            later, by `proposed`.
        observe: shows each event to the searcher and to whoever else looks on.
        boundaries: how many boundaries a configuration's budget has (default: by the spec).
        gpus: how many GPUs a trial holds.
        after: what is to be done beside the search; None: by the spec, without a test split.
        searching: whether the search goes on; else only what stands beside it is done, and the
            study ends as it had ended before.
        notice: takes sentences for a person.
    """

    def __init__(
        self,
        spec: SweepSpec,
        state: StudyState,
        scheduler: Scheduler,
        *,
        journal: Callable[[Sequence[Event]], None],
        send: Callable[[str, Command], None],
        propose: Callable[[int], None],
        observe: Callable[[Event], None] = lambda event: None,
        boundaries: Callable[[Config], int] | None = None,
        gpus: float = 0.0,
        after: AfterSearch | None = None,
        searching: bool = True,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.spec = spec
        self.state = state
        self._propose = propose
        self._boundaries = boundaries or spec.boundaries
        self._gpus = gpus
        self._after = after or AfterSearch(spec, state)
        self._prospects = Prospects(state, scheduler)
        self._ahead = WriteAhead((state.apply, scheduler.observe, observe), journal, send)
        self._places = Places()
        if searching:
            for proposal in control(spec, state, self._boundaries):
                self._ahead.write(proposal)
        held = (self._prospects, self._places, self._ahead, self._after)
        self._course = Course(spec, state, *held, searching=searching)
        self._assignments = Assignments(spec, state, scheduler, *held, self._course)
        self._setbacks = Setbacks(spec, state, *held[1:], self._assignments, notice)
        self._asked = self._to_ask = False
        self._turning = self._again = False
        if searching and (limit := used_up(spec, state)):
            self._course.stop(limit, limit=True)

    # What happens -------------------------------------------------------------------------

    def worker_ready(self, worker: str, pid: int, node: str) -> None:
        """A worker started, or started again after it was lost."""
        if worker in self._places:
            text = "its worker died and was started again"
            self._setbacks.lose(worker, TrialFailure(kind="infrastructure", message=text))
        self._places.add(worker, pid, node)
        if self.over:  # it started too late to be of use
            self._ahead.order(worker, Release())
        self._turn()

    def worker_lost(self, worker: str, failure: TrialFailure) -> None:
        """A worker died, and what it had not committed with it.

        failure: infrastructure, or what the trial at hand did to it: hung, out_of_memory.
        """
        if worker in self._places:
            self._setbacks.lose(worker, failure)
            self._places.remove(worker)
        self._turn()

    def reported(self, worker: str, trial: str, segment: int, report: BoundaryReport) -> None:
        """The trial on this worker came to a boundary."""
        place = self._places[worker]
        self._places.owes(worker, trial, report.boundary)
        self._ahead.write(
            Reported(
                trial=trial,
                segment=segment,
                boundary=report.boundary,
                value=report.value,
                metrics=report.metrics,
                epoch=report.epoch,
                step=report.step,
                seconds=report.seconds,
                gpus=self._gpus,
            )
        )
        if not place.leaving:  # else it was told to leave before this report came
            ending = self._prospects.ending(self.state.trials[trial])
            if ending is not None:
                self._assignments.leave(place, ending)
            elif report.boundary >= place.until:
                place.standing = True
        if self._course.searching and (limit := used_up(self.spec, self.state)):
            self._course.stop(limit, limit=True)
        self._turn()

    def committed(
        self,
        worker: str,
        trial: str,
        segment: int,
        boundary: int,
        path: str,
        sha256: str,
        size: int,
    ) -> None:
        """The trial's checkpoint of this boundary stands complete on disk.

        Earlier boundaries of the trial that are still awaited will not come: commits of a trial
        come in order.
        """
        self._places.committed(trial, boundary)
        self._ahead.write(
            CheckpointCommitted(
                trial=trial,
                segment=segment,
                boundary=boundary,
                path=path,
                sha256=sha256,
                size_bytes=size,
            )
        )
        self._turn()

    def left(self, worker: str, trial: str) -> None:
        """The worker has left the trial, and all it had to write is written."""
        self._release_trial(self._places[worker], trial)
        self._turn()

    def evaluated(self, worker: str, report: EvaluationReport) -> None:
        """The evaluation on this worker is done."""
        look = self._freed(worker)
        self._ahead.write(self._after.evaluated(look, report, self._gpus))
        self._turn()

    def not_evaluated(self, worker: str, failure: TrialFailure, *, usable: bool = True) -> None:
        """The evaluation on this worker failed; the worker as of `failed`."""
        self._setbacks.not_evaluated(self._freed(worker), failure)
        if not usable:
            self._places.remove(worker)
        self._turn()

    def failed(
        self, worker: str, trial: str, failure: TrialFailure, *, usable: bool = True
    ) -> None:
        """The trial failed; its worker is free, or, when not usable, about to end.

        What the trial is not to blame for (infrastructure) is retried; one that ran out of memory
        may go on with a smaller batch; of one whose start was damaged the checkpoint before it is
        used.
        """
        place = self._places[worker]
        if failure.kind == "infrastructure":
            self._setbacks.lose(worker, failure)
            place.standing = True
        else:
            message, hopeless = failure.message, failure.kind == "no_metric"
            if hopeless:  # so it is with every other trial
                failure = dataclasses.replace(failure, kind="code")
            place.ending = None
            self._release_trial(place, trial)
            self._setbacks.failed(trial, failure)
            if failure.kind == "damaged":
                self._setbacks.pass_over(self.state.trials[trial].segments[-1], failure.message)
            if hopeless:
                self._course.give_up(message)
        if not usable:
            self._places.remove(worker)
        self._turn()

    def proposed(self, number: int, config: Config | None, origin: str = "searcher") -> None:
        """The searcher's answer; None: it has no more."""
        self._asked = False
        if config is None:
            self._ahead.write(SearchExhausted(number=number, reason="the search is complete"))
        else:
            self._ahead.write(
                TrialProposed(
                    trial=f"{number:04d}",
                    number=number,
                    config=config,
                    origin=origin,
                    boundaries=self._boundaries(config),
                    epochs=self.spec.epochs(config),
                )
            )
        self._turn()

    def stop(self, reason: str, *, limit: bool = False) -> None:
        """End the study at the next boundary of each running trial; resumable.

        Once it is ending, another reason changes nothing.

        Args:
            limit: whether a limit of the sweep ends the search; what is to be done after a search
                is done all the same. Else it is left too.
        """
        self._course.stop(reason, limit=limit)
        self._turn()

    # What follows -------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the study has ended."""
        return self.state.state != "running"

    @property
    def searching(self) -> bool:
        """Whether the search is still on; limits of the sweep count for nothing else."""
        return self._course.searching

    @property
    def at_hand(self) -> list[str]:
        """Trials that a worker may be at: those that are open, and what is being evaluated."""
        return [*self.state.open_trials, *(look.trial for look in self._places.evaluating)]

    def _turn(self) -> None:
        """Decide, assign, make it durable, and only then send; until nothing follows any more.

        A searcher that answers at once calls back into a turn: that is a further round of the
        same loop, not a recursion.
        """
        self._again = True
        if self._turning:
            return
        self._turning = True
        try:
            while self._again:
                self._again = False
                if not self.over:
                    self._assignments.decide()
                    self._to_ask |= self._assignments.assign(is_asked=self._asked)
                    self._asked |= self._to_ask
                    if not self._asked:
                        self._again |= self._course.advance()
                self._ahead.flush()
                if self._to_ask:
                    self._to_ask = False
                    self._propose(self.state.searched)
        finally:
            self._turning = False

    def _release_trial(self, place: Place, trial: str) -> None:
        ending = self._places.left(place, trial)
        if ending is not None:
            self._assignments.end(ending)

    def _freed(self, worker: str) -> Evaluation:
        place = self._places[worker]
        look, place.evaluating, place.standing = place.evaluating, None, True
        if look is None:
            raise RuntimeError(f"worker {worker} speaks of an evaluation that it was not given")
        return look
