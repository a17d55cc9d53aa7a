"""A warm worker: the Ray Tune Trainable in which one trial after another trains.

For Ray Tune this is one long trial; for us it is a place. `step()` hands the next thing that
happened here (ready, reported, committed, evaluated ...) to Ray Tune and so to the driver; what
to do comes from the mailbox. It decides nothing. Three threads: Ray's own waits in `step()`,
one serves commands, one (in `CheckpointWriter`) writes; the rank keeps the Trainer in a fourth.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.tune import Trainable

from orchestrator import watchdog
from orchestrator.assembling import assemble
from orchestrator.checkpoints import CheckpointWriter, checkpoint_path
from orchestrator.commands import (
    HUNG_AFTER_S,
    Command,
    Evaluate,
    GoOn,
    Leave,
    Release,
    Train,
)
from orchestrator.errors import DiskFull, TrialError
from orchestrator.process_group import ALONE, Membership
from orchestrator.process_identity import this_process
from orchestrator.segment import BoundaryReport, Evaluation, Readiness, Segment
from orchestrator.tasks.errors import TaskError
from search_spaces import SweepSpec

Message = dict[str, Any]
LogLine = Callable[[str, dict[str, Any]], None]


_TRACKER_CLOSE_S = 1.0


@dataclass(frozen=True)
class WorkerContext:
    """What every worker of a study is given.

    Attributes:
        cache: prepared data.
        working_folder: the driver's; relative paths of the sweep file start there.
        mailbox: the handle of the study's `Mailbox` actor.
        make_rank: makes the rank in the worker's process: `trainer_rank`, or a scripted one;
            given this context and a function that is to be shown each line that a trial's
            Trainer logs: (trial, line).
        member: which of the processes this is that share a trial.
    """

    spec: SweepSpec
    study_folder: Path
    cache: Path
    working_folder: Path
    mailbox: Any
    make_rank: MakeRank
    member: Membership = ALONE


MakeRank = Callable[[WorkerContext, LogLine], Any]


def trainer_rank(context: WorkerContext, log_line: LogLine) -> Any:
    """A rank that trains with the Trainer; imports torch and transformers."""
    from orchestrator.trial import Rank

    member = context.member
    if member.world_size > 1:
        from orchestrator.process_group import join

        join(member)
    return Rank(
        context.spec,
        context.study_folder,
        context.cache,
        log_line=log_line,
        rank=member.rank,
        world_size=member.world_size,
    )


class TrialWorker(Trainable):
    """Trains what the mailbox says until it is released."""

    def setup(self, config: dict[str, Any], context: WorkerContext) -> None:
        """Import what is heavy, make the rank, prepare the data, and begin to serve.

        The data is prepared here and not by the driver, which so never loads torch; the first
        worker of a node does it, the others find it done. What goes wrong here is told, not
        raised: Ray Tune would only try again, for ever.
        """
        self._name: str = config["worker"]
        self._context = context
        self._messages: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()
        self._writer = CheckpointWriter(context.study_folder)
        self._rank: Any = None
        try:
            self._set_up(context)
        except (TaskError, DiskFull) as error:
            kind = type(error).__name__
            self._tell("unfit", error=kind, rule=error.rule, mend=error.mend)
        except Exception as error:
            log = traceback.format_exc()
            text = f"{type(error).__name__}: {error}"
            about = {"pid": os.getpid(), "node": _node(), "process": this_process()}
            self._tell("unusable", **about, text=text, log=log)

    def _set_up(self, context: WorkerContext) -> None:
        if context.working_folder.is_dir():
            os.chdir(context.working_folder)
        self._rank = assemble(context, self._log_line, self._name)
        readiness: Readiness = self._rank.prepare()
        self._tracker: Any = None
        self._segment: Segment | None = None
        self._next: Command | None = None
        self._hung_after_s = HUNG_AFTER_S
        self._address = f"{self._name}/{_node()}/{os.getpid()}"
        self._tell(
            "ready",
            pid=os.getpid(),
            node=_node(),
            process=this_process(),
            address=self._address,
            readiness=dataclasses.asdict(readiness),
        )
        threading.Thread(target=self._serve, name="serve", daemon=True).start()

    def step(self) -> dict[str, Any]:
        """Wait for the next message to the driver."""
        message = self._messages.get()
        if isinstance(message, BaseException):
            raise message
        return {"message": json.dumps(message), "done": message["what"] == "released"}

    def cleanup(self) -> None:
        """End the writer: Ray Tune is about to end this process."""
        if self._rank is not None:
            self._rank.close()
        self._writer.close()

    def _log_line(self, trial: str, line: dict[str, Any]) -> None:
        if self._tracker is not None:
            self._tracker.log_line(trial, line)

    def _tell(self, what: str, **fields: Any) -> None:
        self._messages.put({"what": what, **fields})

    def _serve(self) -> None:
        try:
            while True:
                command, self._next = self._next, None
                match command or self._ask(wait=True):
                    case Train(segment=segment, until=until, hung_after_s=seconds):
                        self._hung_after_s = seconds
                        self._attempt(segment, until, begin=True)
                    case GoOn(until=until, hung_after_s=seconds) if self._segment and until > 0:
                        self._hung_after_s = seconds
                        self._attempt(self._segment, until, begin=False)
                    case Evaluate(evaluation=evaluation, hung_after_s=seconds):
                        self._hung_after_s = seconds
                        self._evaluate(evaluation)
                    case Leave():
                        self._leave()
                    case Release():
                        self._rank.stop()
                        if self._tracker is not None:
                            self._tracker.close(_TRACKER_CLOSE_S)
                        self._tell("released")
                        return
        except BaseException as error:  # a dead thread would hang the study: step() raises it
            self._messages.put(error)

    def _ask(self, *, wait: bool) -> Command | None:
        mailbox = self._context.mailbox
        method = mailbox.take if wait else mailbox.peek
        command: Command | None = ray.get(method.remote(self._address))
        return command

    def _attempt(self, segment: Segment, until: int, *, begin: bool) -> None:
        self._segment = segment
        try:
            started = time.monotonic()
            if begin and self._tracker is None:
                self._tracker = ray.get(self._context.mailbox.tracker.remote())
            if begin:
                with self._watched(segment):
                    self._rank.begin(segment)
            self._train(segment, until, started)
        except TrialError as error:
            self._segment = None
            with self._watched(segment):
                self._rank.stop()
            self._flush(segment)
            watchdog.leave()
            self._tell_failed("failed", error, trial=segment.trial)

    def _evaluate(self, evaluation: Evaluation) -> None:
        """Evaluate a checkpoint and tell what came of it; no trial is at hand."""
        try:
            with self._watched(evaluation):
                report = self._rank.evaluate(evaluation)
        except TrialError as error:
            watchdog.leave()
            self._tell_failed("not_evaluated", error)
            return
        watchdog.leave()
        self._tell("evaluated", report=dataclasses.asdict(report))

    def _tell_failed(self, what: str, error: TrialError, **about: str) -> None:
        """Tell a failure; a process that cannot go on ends by raising, and is started again."""
        self._tell(
            what,
            **about,
            kind=error.kind,
            message=error.message,
            log=error.log,
            usable=self._rank.usable,
        )
        if not self._rank.usable:
            raise RuntimeError(f"this process cannot train any more: {error.message}") from error

    def _train(self, segment: Segment, until: int, started: float) -> None:
        while True:
            with self._watched(segment):
                report = self._rank.advance()
            # The checkpoint before is on disk first: so a fault costs one boundary at most.
            self._flush(segment)
            seconds = time.monotonic() - started
            started = time.monotonic()
            report = dataclasses.replace(report, seconds=seconds)
            self._tell(
                "reported",
                trial=segment.trial,
                segment=segment.segment,
                report=dataclasses.asdict(report),
            )
            if report.is_best or not report.last or self._context.spec.method == "pbt":
                self._save(segment, report)
            if report.last:
                return
            match self._ask(wait=False):
                case GoOn(until=changed):
                    until = changed
                case command:
                    self._next = command
            if report.boundary >= until or self._next is not None:
                return

    def _save(self, segment: Segment, report: BoundaryReport) -> None:
        path = checkpoint_path(segment.trial, segment.segment, report.boundary)

        def committed(sha256: str, size: int) -> None:
            self._tell(
                "committed",
                trial=segment.trial,
                segment=segment.segment,
                boundary=report.boundary,
                path=path.as_posix(),
                sha256=sha256,
                size=size,
            )

        def failed(error: BaseException) -> None:
            if isinstance(error, OSError):
                text = f"{path}: the checkpoint cannot be written: {error.strerror}"
                self._tell("unwritable", errno=error.errno or 0, text=text)
            else:
                self._messages.put(error)

        self._writer.submit(
            self._snapshot(segment),
            path,
            on_committed=lambda done: committed(done.sha256, done.size_bytes),
            on_error=failed,
        )

    def _snapshot(self, segment: Segment) -> Any:
        try:
            with self._watched(segment):
                return self._rank.snapshot()
        except Exception as error:  # a copy of the whole trial: host memory may not hold it
            from orchestrator.trial_failures import trial_error

            raise trial_error(error, "", self._context.study_folder) from error

    def _leave(self) -> None:
        if self._segment is None:
            return
        segment, self._segment = self._segment, None
        self._flush(segment)
        with self._watched(segment):
            self._rank.stop()
        watchdog.leave()
        self._tell("left", trial=segment.trial)

    def _flush(self, segment: Segment) -> None:
        """Wait for the writer, not for ever: each file is progress, and one may take minutes."""
        with self._watched(segment, at_least_s=HUNG_AFTER_S):
            self._writer.flush()

    @contextlib.contextmanager
    def _watched(self, work: Segment | Evaluation, at_least_s: float = 0.0) -> Iterator[None]:
        """Work is under way: this process ends if it says nothing for too long."""
        seconds = max(at_least_s, self._hung_after_s)
        folder = self._context.study_folder / "trials" / work.trial
        with contextlib.suppress(OSError):  # no room for a file: training says so in its own words
            watchdog.watch(
                watchdog.stack_file(folder, self._name, os.getpid()), self._rank.allow(seconds)
            )
        try:
            yield
        finally:
            watchdog.rest()


def _node() -> str:
    return str(ray.util.get_node_ip_address())
