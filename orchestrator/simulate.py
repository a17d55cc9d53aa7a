"""A whole study on a virtual clock: the real Dispatcher and deciders, no Ray, no training.

For tests, and to measure how good searchers and schedulers are. Only the workers are made up:
they take the same commands and answer as real ones do, and what a configuration is worth comes
from a `Surface`. Thinking, copying and journalling take no time here; training and, where asked,
committing do. Events at one moment happen in the order in which they were planned, so a
simulation is repeatable.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.after_search import AfterSearch
from orchestrator.commands import Command, Evaluate, GoOn, Leave, Release, Train
from orchestrator.dispatch import Dispatcher
from orchestrator.events import Event, StudyStarted
from orchestrator.schedulers import make_scheduler
from orchestrator.searchers import make_searcher
from orchestrator.segment import (
    BoundaryReport,
    Evaluation,
    EvaluationReport,
    Segment,
    TrialFailure,
)
from orchestrator.state import StudyState
from orchestrator.surfaces import History, Surface
from search_spaces import SweepSpec


@dataclass(frozen=True)
class Simulation:
    """A study that was simulated: its journal, its state, its virtual seconds, its checkpoints.

    `histories` maps a checkpoint's path to the configurations that made it.
    """

    events: tuple[Event, ...]
    state: StudyState
    seconds: float
    histories: dict[str, History]

    @property
    def best_history(self) -> History | None:
        """The configurations that made the study's best checkpoint; None when there is none."""
        best = self.state.best
        return None if best is None else self.histories[best.checkpoint]


@dataclass
class _Worker:
    """A made-up worker: at most one trial, and commands that it has not taken up yet."""

    name: str
    inbox: deque[Command] = field(default_factory=deque)
    segment: Segment | None = None
    history: History = ()
    until: int = 0
    training: bool = False
    leaving: bool = False
    commits: int = 0


class _Clock:
    """Actions planned at virtual times, run in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan an action."""
        heapq.heappush(self._planned, (self.now + seconds, next(self._order), action))

    def run(self) -> None:
        """Run everything that is planned, and what that plans."""
        while self._planned:
            self.now, _, action = heapq.heappop(self._planned)
            action()


class _Study:
    """The wiring: a Dispatcher above, made-up workers below, a clock between."""

    def __init__(
        self,
        spec: SweepSpec,
        surface: Surface,
        commit_s: float,
        history: Sequence[Event],
        test_rows: int,
    ) -> None:
        self.spec = spec
        self.surface = surface
        self.commit_s = commit_s
        self.test_rows = test_rows
        self.clock = _Clock()
        self.state = StudyState()
        self.events: list[Event] = []
        self.histories: dict[str, History] = {}
        self.workers: dict[str, _Worker] = {}
        self.searcher = make_searcher(spec)
        self.scheduler = make_scheduler(spec)
        for event in history:
            self.state.apply(event)
            self.scheduler.observe(event)
            self.searcher.observe(event)
        self.events.extend(history)
        self.dispatcher = Dispatcher(
            spec,
            self.state,
            self.scheduler,
            journal=self.events.extend,
            send=self._send,
            propose=self._propose,
            observe=self.searcher.observe,
            after=AfterSearch(spec, self.state, test_rows=test_rows),
        )

    def start(self, slots: int) -> None:
        """Plan the arrival of so many workers, all at once."""
        for index in range(slots):
            name = f"worker-{index}"
            self.workers[name] = _Worker(name)
            arrive = functools.partial(self.dispatcher.worker_ready, name, index, "here")
            self.clock.after(0.0, arrive)

    def _propose(self, number: int) -> None:
        proposal = self.searcher.propose(number)
        if proposal is None:
            self.dispatcher.proposed(number, None)
        else:
            self.dispatcher.proposed(number, proposal.config, proposal.origin)

    def _send(self, name: str, command: Command) -> None:
        worker = self.workers[name]
        worker.inbox.append(command)
        self.clock.after(0.0, lambda: self._look(worker))

    def _look(self, worker: _Worker) -> None:
        """Take commands up while standing still."""
        while worker.inbox and not worker.training:
            match worker.inbox.popleft():
                case Train(segment=segment, until=until):
                    worker.segment, worker.until = segment, until
                    start = self.histories[segment.checkpoint] if segment.checkpoint else ()
                    worker.history = start
                    self._train(worker)
                case GoOn(until=until):
                    worker.until = until
                    self._train(worker)
                case Evaluate(evaluation=evaluation):
                    self._evaluate(worker, evaluation)
                case Leave():
                    worker.leaving = True
                    self._leave(worker)
                case Release():
                    return

    def _train(self, worker: _Worker) -> None:
        segment = worker.segment
        if segment is None or worker.leaving:
            return
        if len(worker.history) >= min(worker.until, segment.boundaries):
            return
        worker.training = True
        self.clock.after(self.surface.seconds(segment.config), lambda: self._report(worker))

    def _report(self, worker: _Worker) -> None:
        segment = worker.segment
        if segment is None:
            raise RuntimeError(f"{worker.name} came to a boundary without a trial")
        worker.training = False
        worker.history = (*worker.history, segment.config)
        boundary = len(worker.history)
        value = self._surface(segment).value(worker.history)
        if isinstance(value, TrialFailure):
            worker.segment = None
            self.dispatcher.failed(worker.name, segment.trial, value)
            return
        if self._told_to_stand(worker):
            worker.until = 0
        worker.commits += 1
        history = worker.history
        self.clock.after(self.commit_s, lambda: self._commit(worker, segment, history))
        report = BoundaryReport(
            boundary=boundary,
            metrics={self.spec.metric.name: value},
            value=value,
            is_best=segment.best is None
            or (value is not None and self.spec.metric.better(value, segment.best.value)),
            epoch=self.spec.epochs(segment.config) * boundary / segment.boundaries,
            step=boundary,
            seconds=self.surface.seconds(segment.config),
            last=boundary == segment.boundaries,
        )
        self.dispatcher.reported(worker.name, segment.trial, segment.segment, report)
        self._look(worker)
        if not worker.training and worker.segment is segment:
            self._train(worker)

    def _surface(self, segment: Segment) -> Surface:
        return self.surface if segment.seed is None else self.surface.seeded(segment.seed)

    def _evaluate(self, worker: _Worker, evaluation: Evaluation) -> None:
        """Measure a checkpoint once more, as a run of its own seed would have."""
        seed = self.state.trials[evaluation.trial].seed
        surface = self.surface if seed is None else self.surface.seeded(seed)
        value = surface.value(self.histories[evaluation.checkpoint])
        seconds = surface.seconds(evaluation.config)

        def done() -> None:
            if isinstance(value, TrialFailure):
                self.dispatcher.not_evaluated(worker.name, value)
                return
            name = self.spec.metric.name.removeprefix("eval_")
            self.dispatcher.evaluated(
                worker.name,
                EvaluationReport(
                    value=value, metrics={name: value}, rows=self.test_rows, seconds=seconds
                ),
            )

        self.clock.after(seconds, done)

    def _told_to_stand(self, worker: _Worker) -> bool:
        """Take a stop up that came while training."""
        if worker.inbox and worker.inbox[0] == GoOn(0):
            worker.inbox.popleft()
            return True
        return False

    def _commit(self, worker: _Worker, segment: Segment, history: History) -> None:
        boundary = len(history)
        path = f"trials/{segment.trial}/checkpoints/{segment.segment}-{boundary}"
        self.histories[path] = history
        worker.commits -= 1
        self.dispatcher.committed(
            worker.name, segment.trial, segment.segment, boundary, path, "0" * 64, 0
        )
        self._look(worker)

    def _leave(self, worker: _Worker) -> None:
        """Answer once everything is written."""
        segment = worker.segment
        if worker.commits:
            self.clock.after(self.commit_s, lambda: self._leave(worker))
        elif segment is not None:
            worker.segment, worker.leaving = None, False
            self.dispatcher.left(worker.name, segment.trial)


def simulate(
    spec: SweepSpec,
    surface: Surface,
    *,
    slots: int = 1,
    commit_s: float = 0.0,
    history: Sequence[Event] = (),
    histories: Mapping[str, History] | None = None,
    test_rows: int = 0,
) -> Simulation:
    """Run a sweep on a virtual clock.

    Args:
        spec: the sweep; its task is not looked at.
        surface: what training gives.
        slots: how many trials train at once.
        commit_s: virtual seconds from a report to its committed checkpoint.
        history: a journal to go on from, which ends with StudyResumed; empty for a new study.
        histories: the checkpoints that this journal speaks of, as the simulation that wrote it
            returned them.
        test_rows: of a test split, on which the surface gives what it gave before; 0: none.

    Returns:
        The study as it ended. It can also end unfinished when its workers have nothing to do:
        look at `state.state`.
    """
    if not history:
        history = [
            StudyStarted(
                name=spec.name,
                method=spec.method,
                metric=spec.metric.name,
                goal=spec.metric.goal,
                seed=spec.seed,
                smoke=spec.smoke,
            )
        ]
    study = _Study(spec, surface, commit_s, history, test_rows)
    study.histories.update(histories or {})
    study.start(slots)
    study.clock.run()
    return Simulation(tuple(study.events), study.state, study.clock.now, study.histories)
