"""The ranks of a worker behind the interface of one: a list whose first is in this process.

With one process a trial the list holds one local object, and a call is a call of it. With several
the others are actors, which `assembling.py` has started; each call goes to all at once, because
training, evaluating and snapshots are collective operations.

It decides one thing: what a failure leaves behind. An error that all ranks raised alike, such as a
model that does not build, leaves them in step, and they stay warm. After any other some of them
wait in a collective operation for one that is not coming, which nothing can interrupt but the end
of a process: then all of them end, and the worker is started again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError

from orchestrator.commands import HUNG_AFTER_S
from orchestrator.errors import TrialError
from orchestrator.memory_kills import ended_by_ray
from orchestrator.rank_process import Whereabouts, stacks_folder
from orchestrator.segment import BoundaryReport, Evaluation, EvaluationReport, Readiness, Segment
from orchestrator.watchdog import stack_now, take_stacks

_GRACE_S = 5.0
"""How long after the first failure the other ranks may take to say what became of them."""
_LATER = 1.2
_LATER_S = 10.0
"""The worker's process gets so much more time: it is the one that can tell what happened."""


@dataclass(frozen=True)
class Peer:
    """A rank in another process.

    Attributes:
        rank: 1, 2 ...
        worker: the name of its worker.
        where: where it runs.
        ask: calls a method there: name, arguments, seconds without progress.
        kill: ends its process.
    """

    rank: int
    worker: str
    where: Whereabouts
    ask: Callable[[str, tuple[Any, ...], float], Future[Any]]
    kill: Callable[[], None]


class Ranks:
    """All ranks of a worker.

    Every method is called from one thread, or at least none while another one runs.

    Args:
        first: the rank in this process.
        others: ranks 1, 2 ...
        study_folder: where ranks that were ended leave their stacks.
    """

    def __init__(
        self, first: Any, others: Sequence[Peer] = (), study_folder: Path = Path()
    ) -> None:
        self._first = first
        self._others = list(others)
        self._study_folder = study_folder
        self._is_broken = False
        self._allowed_s = HUNG_AFTER_S
        self._trial = ""

    @property
    def usable(self) -> bool:
        """Whether these processes can train another trial."""
        return not self._is_broken and bool(self._first.usable)

    def allow(self, seconds: float) -> float:
        """Note how long a rank may make no progress.

        Returns:
            The same for this process. With others it is more: they end before, so that this one
            finds out who has not come.
        """
        self._allowed_s = seconds
        return seconds * _LATER + _LATER_S if self._others else seconds

    def prepare(self) -> Readiness:
        """Prepare the data: here, then, where others have a node of their own, there.

        Raises:
            TaskError: see `Rank.prepare`.
        """
        readiness: Readiness = self._first.prepare()
        answers = [peer.ask("prepare", (), self._allowed_s) for peer in self._others]
        raise_first(answers)
        for peer, answer in zip(self._others, answers, strict=True):
            if answer.result().rows != readiness.rows:
                raise RuntimeError(
                    f"every node must find the same data, but rank {peer.rank} on"
                    f" {peer.where.address} has {answer.result().rows} rows to train on, rank 0"
                    f" {readiness.rows}"
                )
        return readiness

    def begin(self, segment: Segment) -> None:
        """See `Rank.begin`; on all ranks."""
        self._trial = segment.trial
        self._together("begin", segment)

    def advance(self) -> BoundaryReport:
        """See `Rank.advance`; on all ranks, and what rank 0 reports."""
        report: BoundaryReport = self._together("advance")
        return report

    def evaluate(self, evaluation: Evaluation) -> EvaluationReport:
        """See `Rank.evaluate`; each rank evaluates its share."""
        self._trial = evaluation.trial
        report: EvaluationReport = self._together("evaluate", evaluation)
        return report

    def snapshot(self) -> Any:
        """See `Rank.snapshot`: rank 0's, with where the generators of all ranks stand."""
        return self._together("snapshot")

    def stop(self) -> None:
        """See `Rank.stop`; nothing happens after a failure that ends the processes."""
        if not self._is_broken:
            self._together("stop")

    def close(self) -> None:
        """Stop, and end all ranks; a rank here that is stuck is left to the process's end."""
        if self._others:
            with contextlib.suppress(TrialError):  # at a natural end: all that counts is reported
                self.stop()
            self._end_others()
        if not self._is_broken:
            self._first.close()

    def _together(self, method: str, *arguments: Any) -> Any:
        """Call a method of every rank at once and return rank 0's answer."""
        if not self._others:
            return getattr(self._first, method)(*arguments)
        if self._is_broken:
            raise RuntimeError("these ranks are not in step any more: start the worker again")
        answers = [
            in_thread(getattr(self._first, method), *arguments),
            *(peer.ask(method, arguments, self._allowed_s) for peer in self._others),
        ]
        wait(answers, return_when=FIRST_EXCEPTION)
        if all(answer.done() and answer.exception() is None for answer in answers):
            return answers[0].result()
        wait(answers, timeout=_GRACE_S)
        raise self._failure(answers)

    def _failure(self, answers: Sequence[Future[Any]]) -> BaseException:
        """What to tell of a call that failed somewhere; ends the others unless all are in step."""
        errors = {
            rank: _cause(error)
            for rank, answer in enumerate(answers)
            if answer.done() and (error := answer.exception()) is not None
        }
        failures = {r: e for r, e in errors.items() if isinstance(e, TrialError)}
        kinds = {(failure.kind, failure.message) for failure in failures.values()}
        if len(failures) == len(answers) and len(kinds) == 1 and not _is_of_the_group(failures[0]):
            return failures[0]
        self._is_broken = True
        self._end_others()
        wait(answers[:1], timeout=_GRACE_S)  # its collective operation fails now
        dead = [peer for peer in self._others if _has_died(errors.get(peer.rank))]
        if dead:
            own_stack = "" if answers[0].done() else stack_now()
            return self._death(dead[0], str(errors[dead[0].rank]), own_stack)
        own = [rank for rank, failure in failures.items() if not _is_of_the_group(failure)]
        for rank in (*own, *failures):  # those that only lost the others come last
            failure = failures[rank]
            where = f"rank {rank}: " if rank else ""
            return TrialError(failure.kind, where + failure.message, failure.log)
        return next(iter(errors.values()))

    def _death(self, peer: Peer, text: str, own_stack: str) -> TrialError:
        """What to tell of a process that is gone.

        own_stack: where rank 0 stands if it does not move although nothing keeps it waiting: then
            it is what the other one waited for until its clock ran out.
        """
        process = f"rank {peer.rank} (process {peer.where.pid} on {peer.where.address})"
        folder = stacks_folder(self._study_folder, self._trial, peer.rank)
        stacks = take_stacks(folder, peer.worker, peer.where.pid)
        if stacks and own_stack:
            message = f"rank 0 made no progress; {process}, which waited for it, was ended"
            return TrialError("infrastructure", message, own_stack)
        if stacks:
            message = f"{process} made no progress and was ended"
            return TrialError("infrastructure", message, stacks)
        if ended_by_ray(text):
            return TrialError("out_of_memory", f"memory ran out: Ray ended {process}")
        return TrialError("infrastructure", f"{process} died")

    def _end_others(self) -> None:
        for peer in self._others:
            with contextlib.suppress(Exception):  # it is gone already
                peer.kill()


def in_thread(do: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Call in a thread that nobody waits for: one that is stuck must not keep the process."""
    answer: Future[Any] = Future()

    def run() -> None:
        try:
            result = do(*arguments)
        except BaseException as error:  # whoever asks for the result gets it
            answer.set_exception(error)
        else:
            answer.set_result(result)

    threading.Thread(target=run, name="rank-0", daemon=True).start()
    return answer


def raise_first(answers: Sequence[Future[Any]]) -> None:
    """Wait for all, or for the first that fails, and raise what it raised."""
    done, _ = wait(answers, return_when=FIRST_EXCEPTION)
    for answer in answers:
        if answer in done and (error := answer.exception()) is not None:
            raise _cause(error)


def _cause(error: BaseException) -> BaseException:
    """What was raised in another process, without what Ray put around it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error


def _has_died(error: BaseException | None) -> bool:
    return isinstance(error, RayActorError)


def _is_of_the_group(failure: TrialError) -> bool:
    """Whether it may be no more than another rank's absence."""
    return failure.kind == "infrastructure"
