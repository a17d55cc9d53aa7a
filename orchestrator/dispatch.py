"""Who trains what next: the pure heart of a study.

`Dispatcher` takes what happened (a worker is ready, a trial reported, a checkpoint was
committed ...) and answers with commands; it starts no process, reads no clock and touches no
file but through the `journal` it was given. The real study and `simulate.py` drive this same
class. It is the one place that turns events into commands, so resuming is: fold the journal,
make a Dispatcher, and let the workers report ready.

A worker is a place to train in (a Ray Tune trial); trials pass through workers. A trial that a
worker has reported at a boundary where a decision is due *stands*: its worker waits, warm, and
may be given any trial. Nothing is ever paused and nothing restarts for an exploit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.after_failure import after_failure
from orchestrator.budgets import no_more_trials, too_many_failed, used_up
from orchestrator.commands import HUNG_AFTER_S, Command, GoOn, Leave, Release, Train
from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Config,
    Event,
    Reported,
    SearchExhausted,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialProposed,
)
from orchestrator.prospects import Prospects, no_result
from orchestrator.schedulers import Scheduler
from orchestrator.segment import BoundaryReport, Segment, TrialFailure
from orchestrator.state import StudyState, TrialRecord
from search_spaces import SweepSpec

_SLOW_BOUNDARIES = 10
"""A trial hangs that makes no progress in the time of so many of the study's slowest boundary."""


@dataclass
class _Worker:
    """A worker as the driver knows it.

    `standing`: it waits for a command, without a trial or with one at a boundary. `ending`:
    what the trial at hand ends as once the worker has left it; `leaving`: it was told to.
    """

    name: str
    pid: int
    node: str
    trial: str | None = None
    until: int = 0
    standing: bool = True
    leaving: bool = False
    ending: TrialEnded | None = None


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
    ) -> None:
        self.spec = spec
        self.state = state
        self._scheduler = scheduler
        self._prospects = Prospects(state, scheduler)
        self._journal = journal
        self._send = send
        self._propose = propose
        self._observe = observe
        self._boundaries = boundaries or spec.boundaries
        self._gpus = gpus
        self._workers: dict[str, _Worker] = {}
        self._uncommitted: dict[tuple[str, int], str] = {}
        self._unwritten: list[Event] = []
        self._outbox: list[tuple[str, Command]] = []
        self._asked = self._to_ask = False
        self._turning = self._again = False
        self._stopping: str | None = None
        self._hopeless: str | None = None

    # What happens -------------------------------------------------------------------------

    def worker_ready(self, worker: str, pid: int, node: str) -> None:
        """A worker started, or started again after it was lost."""
        if worker in self._workers:
            text = "its worker died and was started again"
            self._lose(worker, TrialFailure(kind="infrastructure", message=text))
        self._workers[worker] = _Worker(worker, pid, node)
        if self.over:  # it started too late to be of use
            self._outbox.append((worker, Release()))
        self._turn()

    def worker_lost(self, worker: str, failure: TrialFailure) -> None:
        """A worker died, and what it had not committed with it.

        failure: infrastructure, or what the trial at hand did to it: hung, out_of_memory.
        """
        if worker in self._workers:
            self._lose(worker, failure)
            del self._workers[worker]
        self._turn()

    def reported(self, worker: str, trial: str, segment: int, report: BoundaryReport) -> None:
        """The trial on this worker came to a boundary."""
        place = self._workers[worker]
        self._uncommitted[trial, report.boundary] = worker
        self._write(
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
                self._leave(place, ending)
            elif report.boundary >= place.until:
                place.standing = True
        if self._stopping is None and (limit := used_up(self.spec, self.state)):
            self._begin_to_stop(limit)
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
        self._forget_uncommitted(lambda who, at, on: who == trial and at <= boundary)
        self._write(
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
        self._release_trial(self._workers[worker], trial)
        self._turn()

    def failed(
        self, worker: str, trial: str, failure: TrialFailure, *, usable: bool = True
    ) -> None:
        """The trial failed; its worker is free, or, when not usable, about to end.

        What the trial is not to blame for (infrastructure) is retried; one that ran out of memory
        may go on with a smaller batch; of one whose start was damaged the checkpoint before it is
        used.
        """
        place = self._workers[worker]
        if failure.kind == "infrastructure":
            self._lose(worker, failure)
            place.standing = True
        else:
            if failure.kind == "no_metric":  # so it is with every other trial
                self._hopeless = failure.message
                failure = dataclasses.replace(failure, kind="code")
            place.ending = None
            self._release_trial(place, trial)
            self._follow(after_failure(self.spec, self.state.trials[trial], failure))
            if failure.kind == "damaged":
                self._pass_over(self.state.trials[trial].segments[-1], failure.message)
            if self._hopeless and self._stopping is None:
                self._begin_to_stop(self._hopeless)
        if not usable:
            del self._workers[worker]
        self._turn()

    def proposed(self, number: int, config: Config | None, origin: str = "searcher") -> None:
        """The searcher's answer; None: it has no more."""
        self._asked = False
        if config is None:
            self._write(SearchExhausted(number=number, reason="the search is complete"))
        else:
            self._write(
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

    def stop(self, reason: str) -> None:
        """End the study at the next boundary of each running trial; resumable.

        Once it is ending, another reason changes nothing.
        """
        if self._stopping is None:
            self._begin_to_stop(reason)
            self._turn()

    def _begin_to_stop(self, reason: str) -> None:
        self._stopping = reason
        for place in self._workers.values():
            if not place.standing and not place.leaving:
                place.until = 0
                self._outbox.append((place.name, GoOn(0)))

    # What follows -------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the study has ended."""
        return self.state.state != "running"

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
                    self._decide()
                    self._assign()
                    self._end_if_done()
                self._flush()
                if self._to_ask:
                    self._to_ask = False
                    self._propose(len(self.state.trials))
        finally:
            self._turning = False

    def _flush(self) -> None:
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, []
            self._journal(unwritten)
        outbox, self._outbox = self._outbox, []
        for worker, command in outbox:
            self._send(worker, command)

    def _write(self, event: Event) -> None:
        self.state.apply(event)
        self._scheduler.observe(event)
        self._observe(event)
        self._unwritten.append(event)

    def _decide(self) -> None:
        held = {place.trial: place for place in self._workers.values()}
        for record in self._prospects.open_trials():
            place = held.get(record.id)
            while place is None or place.standing:
                withdrawn = self.state.withdrawal(record.id)
                if withdrawn is None:
                    break
                self._write(withdrawn)
        while due := self._scheduler.due():
            for decision in due:
                self._write(decision)
        for record in self._prospects.open_trials():
            place = held.get(record.id)
            if place is not None and not place.standing:
                continue
            ending = self._prospects.ending(record)
            if ending is None:
                continue
            if place is not None:
                self._leave(place, ending)
            else:  # its worker was lost before it could be told
                self._end(ending)

    def _assign(self) -> None:
        for place in self._workers.values():
            if not place.standing:
                continue
            if self._stopping:
                if place.trial is not None:
                    self._leave(place, None)
                continue
            elsewhere = {w.trial for w in self._workers.values() if w is not place and w.trial}
            record = self._prospects.next_trial(
                place.name, place.trial, elsewhere, newcomers=self._may_propose()
            )
            if record is not None:
                self._give(place, record)
            elif self._may_propose():
                self._asked = self._to_ask = True

    def _give(self, place: _Worker, record: TrialRecord) -> None:
        goes_on = self._prospects.goes_on(record, place.trial)
        place.standing = False
        place.until = self._prospects.until(record)
        if goes_on:
            self._outbox.append((place.name, GoOn(place.until, self._hung_after_s)))
            return
        place.trial = record.id
        standing = self.state.standing(record.id)
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
        )
        self._write(started)
        segment = Segment(
            trial=record.id,
            segment=started.segment,
            config=record.config,
            boundaries=record.boundaries,
            start=standing.boundary,
            checkpoint=standing.checkpoint,
            best=record.best,
            batch_at_most=record.batch_at_most,
        )
        self._outbox.append((place.name, Train(segment, place.until, self._hung_after_s)))

    def _may_propose(self) -> bool:
        if self._stopping or self._asked or self.state.exhausted:
            return False
        return no_more_trials(self.spec, self.state) is None

    def _leave(self, place: _Worker, ending: TrialEnded | None) -> None:
        place.ending, place.leaving, place.standing = ending, True, False
        self._outbox.append((place.name, Leave()))

    def _release_trial(self, place: _Worker, trial: str) -> None:
        ending, place.ending, place.trial = place.ending, None, None
        place.leaving, place.standing = False, True
        self._forget_uncommitted(lambda who, at, on: who == trial and on == place.name)
        if ending is not None:
            self._end(ending)

    @property
    def _hung_after_s(self) -> float:
        given = self.spec.failures.hung_after_s
        return given or max(HUNG_AFTER_S, _SLOW_BOUNDARIES * self.state.slowest_s)

    def _lose(self, worker: str, failure: TrialFailure) -> None:
        """Its trial is interrupted; so are those of which it took a checkpoint along.

        One that another worker trains by now needs that checkpoint no more: it copied a donor.
        """
        place = self._workers[worker]
        hit = {trial for (trial, _), on in self._uncommitted.items() if on == worker}
        hit |= {place.trial} if place.trial is not None else set()
        self._forget_uncommitted(lambda who, at, on: on == worker)
        hit -= {other.trial for other in self._workers.values() if other is not place}
        at_hand, place.trial = place.trial, None
        place.ending, place.leaving = None, False
        for trial in sorted(hit):
            if self.state.trials[trial].ended:
                continue
            bystander = TrialFailure(kind="infrastructure", message=failure.message)
            cause = failure if trial == at_hand else bystander
            self._follow(after_failure(self.spec, self.state.trials[trial], cause))

    def _pass_over(self, segment: SegmentStarted, reason: str) -> None:
        """What this segment was to start from is damaged; unless it was written anew meanwhile."""
        owner, boundary = segment.start_trial, segment.start_boundary
        if owner is None or boundary is None or segment.start_checkpoint is None:
            return
        commit = self.state.trials[owner].checkpoints.get(boundary)
        if commit is not None and commit.path == segment.start_checkpoint:
            self._write(
                CheckpointLost(trial=owner, boundary=boundary, path=commit.path, reason=reason)
            )

    def _forget_uncommitted(self, which: Callable[[str, int, str], bool]) -> None:
        lost = [key for key, on in self._uncommitted.items() if which(*key, on)]
        for key in lost:
            del self._uncommitted[key]

    def _follow(self, event: Event) -> None:
        if isinstance(event, TrialEnded):
            self._end(event)
        else:
            self._write(event)

    def _end(self, ending: TrialEnded) -> None:
        self._write(ending)
        if ending.state != "failed" or self._stopping is not None:
            return
        if limit := too_many_failed(self.spec, self.state):
            self._begin_to_stop(limit)

    def _end_if_done(self) -> None:
        if self._asked or not self._workers or not all(w.standing for w in self._workers.values()):
            return
        open_trials = self._prospects.open_trials()
        exhausted = self.state.exhausted or no_more_trials(self.spec, self.state)
        if self._hopeless:
            self._finish("failed", self._hopeless)
        elif not open_trials and exhausted is not None:
            if self.state.best is None:
                self._finish("failed", no_result(self.state))
            else:
                self._finish("finished", exhausted)
        elif self._stopping:
            self._finish("stopped", self._stopping)
        elif open_trials and not self._uncommitted:
            raise RuntimeError(
                "the study is stuck: every worker waits and nothing is left to wait for: "
                + ", ".join(f"{t.id} {t.state} at {t.boundary}" for t in open_trials)
            )

    def _finish(self, state: str, reason: str) -> None:
        self._write(StudyEnded(state=state, reason=reason))
        self._outbox += [(worker, Release()) for worker in self._workers]
