"""A hand-driven world around a Dispatcher: its workers do what a test says, one thing at a time."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.after_search import AfterSearch
from orchestrator.commands import Command, Evaluate, GoOn, Leave, Release, Train
from orchestrator.dispatch import Dispatcher
from orchestrator.events import CheckpointCommitted, Event, StudyResumed, StudyStarted
from orchestrator.retention import Retention
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
from search_spaces import SweepSpec

Value = Callable[[str, dict[str, Any], int], float | None]


def sweep(**keys: Any) -> SweepSpec:
    """A random search of three trials over three epochs, but for what is given."""
    training = {"num_train_epochs": 3, "eval_strategy": "epoch", **keys.pop("training", {})}
    data: dict[str, Any] = {
        "name": "world",
        "method": "random",
        "seed": 1,
        "task": {"type": "text-classification", "model": "m", "dataset": {"path": "d"}},
        "training_arguments": training,
        "parameters": {"learning_rate": {"distribution": "uniform", "min": 0.0, "max": 1.0}},
    }
    if keys.get("method", "random") in ("random", "bayes"):
        data["run_cap"] = 3
    return SweepSpec.model_validate({**data, **keys})


def population(size: int, **keys: Any) -> SweepSpec:
    """Population-based training of `size` members over four epochs."""
    section = {"size": size, **keys}
    return sweep(method="pbt", population=section, training={"num_train_epochs": 4})


class World:
    """A dispatcher with scripted workers; `value(trial, config, boundary)` is what they report.

    Checkpoints stand on `disk` until retention gives them up; a worker that is told to start from
    one that is gone fails the test.
    """

    def __init__(
        self,
        spec: SweepSpec,
        value: Value = lambda trial, config, boundary: boundary + config["learning_rate"],
        history: Iterable[Event] = (),
        seconds: float = 1.0,
        resumed: Iterable[Event] = (StudyResumed(),),
        gpus: float = 0.0,
        disk: Iterable[str] | None = None,
        searching: bool = True,
        **after: Any,
    ) -> None:
        self.spec = spec
        self.value = value
        self.seconds = seconds
        self.journal: list[Event] = []
        self.commands: defaultdict[str, deque[Command]] = defaultdict(deque)
        self.at: dict[str, tuple[Segment, int]] = {}
        self.until: dict[str, int] = {}
        self.looks: dict[str, Evaluation] = {}
        self.notices: list[str] = []
        self.state = StudyState()
        scheduler = make_scheduler(spec)
        self.searcher = make_searcher(spec)
        started = StudyStarted(
            name=spec.name, method=spec.method, metric="eval_accuracy", goal="maximize", seed=1
        )
        self.retention = Retention(self.state, scheduler)
        past = list(history)
        committed = {e.path for e in past if isinstance(e, CheckpointCommitted)}
        self.disk = set(disk) if disk is not None else committed
        for event in [*past, *resumed] if past else [started]:
            self.state.apply(event)
            scheduler.observe(event)
            self._observe(event)
            self.journal.append(event)
        self.dispatcher = Dispatcher(
            spec,
            self.state,
            scheduler,
            journal=self.append,
            send=lambda worker, command: self.commands[worker].append(command),
            propose=self._propose,
            observe=self._observe,
            gpus=gpus,
            after=AfterSearch(spec, self.state, **after),
            searching=searching,
            notice=self.notices.append,
        )

    def _observe(self, event: Event) -> None:
        self.retention.observe(event)
        self.searcher.observe(event)

    def append(self, events: Iterable[Event]) -> None:
        """Make events durable, then delete what nobody refers to any more."""
        self.journal.extend(events)
        self.disk -= {checkpoint.path for checkpoint in self.retention.unused()}

    def _propose(self, number: int) -> None:
        proposal = self.searcher.propose(number)
        if proposal is None:
            self.dispatcher.proposed(number, None)
        else:
            self.dispatcher.proposed(number, proposal.config, proposal.origin)

    def ready(self, *workers: str) -> None:
        for worker in workers:
            self.commands[worker].clear()
            self.at.pop(worker, None)
            self.looks.pop(worker, None)
            self.dispatcher.worker_ready(worker, pid=hash(worker) % 1000, node="here")

    def lose(self, worker: str, kind: str = "infrastructure") -> None:
        self.at.pop(worker, None)
        self.looks.pop(worker, None)
        self.commands[worker].clear()
        failure = TrialFailure(kind=kind, message="killed", log="stacks")
        self.dispatcher.worker_lost(worker, failure)

    def fail(self, worker: str, kind: str = "code", *, usable: bool = True) -> None:
        segment, _ = self.at.pop(worker)
        failure = TrialFailure(kind=kind, message="boom", log="log")
        self.dispatcher.failed(worker, segment.trial, failure, usable=usable)

    def take(self, worker: str) -> Command | None:
        """Take the worker's next command up, as far as that needs no training."""
        if not self.commands[worker]:
            return None
        command = self.commands[worker].popleft()
        match command:
            case Train(segment=segment, until=until):
                start = {segment.checkpoint} - {None}
                assert start <= self.disk, f"{segment.trial} starts from a deleted checkpoint"
                self.at[worker] = (segment, segment.start)
                self.until[worker] = until
            case GoOn(until=until) if (
                worker in self.at
            ):  # 0 comes while it trains: it stands at the next boundary
                self.until[worker] = until or self.at[worker][1] + 1
            case Evaluate(evaluation=evaluation):
                assert evaluation.checkpoint in self.disk, "what is evaluated was deleted"
                self.looks[worker] = evaluation
            case Leave():
                segment, _ = self.at.pop(worker)
                self.dispatcher.left(worker, segment.trial)
            case Release():
                pass
        return command

    def report(self, worker: str) -> tuple[str, int]:
        """Train the worker's trial to its next boundary and report it, without committing."""
        segment, boundary = self.at[worker]
        boundary += 1
        self.at[worker] = (segment, boundary)
        value = self.value(segment.trial, segment.config, boundary)
        report = BoundaryReport(
            boundary=boundary,
            metrics={"eval_accuracy": value},
            value=value,
            is_best=True,
            epoch=float(boundary),
            step=boundary,
            seconds=self.seconds,
            last=boundary == segment.boundaries,
        )
        self.dispatcher.reported(worker, segment.trial, segment.segment, report)
        return segment.trial, boundary

    def commit(self, worker: str, segment: Segment, boundary: int) -> None:
        path = f"trials/{segment.trial}/checkpoints/{segment.segment}-{boundary}"
        self.disk.add(path)
        self.dispatcher.committed(
            worker, segment.trial, segment.segment, boundary, path, "0" * 64, 10
        )

    def boundary(self, worker: str) -> None:
        """One boundary, reported and committed."""
        segment = self.at[worker][0]
        self.report(worker)
        self.commit(worker, segment, self.at[worker][1])

    def evaluate(self, worker: str) -> None:
        """The worker's evaluation gives what was reported at that boundary, less 0.1."""
        look = self.looks.pop(worker)
        value = (self.value(look.trial, look.config, look.boundary) or 0.0) - 0.1
        report = EvaluationReport(value=value, metrics={"accuracy": value}, rows=7, seconds=2.0)
        self.dispatcher.evaluated(worker, report)

    def run(self, *workers: str, limit: int = 10_000) -> None:
        """Let the workers train, in turns, until the study is over or nobody can go on."""
        for _ in range(limit):
            moved = False
            for worker in workers:
                if self.take(worker) is not None:
                    moved = True
                elif worker in self.looks:
                    self.evaluate(worker)
                    moved = True
                elif worker in self.at and self.at[worker][1] < min(
                    self.until[worker], self.at[worker][0].boundaries
                ):
                    self.boundary(worker)
                    moved = True
            if not moved:
                return
        raise AssertionError("the world does not come to an end")

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.journal if isinstance(event, kind)]
