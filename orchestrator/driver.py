"""The driver's side of a running study: it joins the Dispatcher, Ray, journal and trackers.

Decides nothing (the Dispatcher does) and knows nothing of sweep files and folders' names
(`study.py` does). `start` brings Ray and the workers up in a thread (`ray_session.py`); they
prepare the data, and what they say meanwhile waits until `open`, so nothing is written before the
data was found usable. On a signal the journal is closed first, then the workers are ended by
their process ids. A study has one end: what happens after it, a signal or a lost cluster, does not
make it an interrupted one.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.after_search import AfterSearch
from orchestrator.budgets import boundaries_of, used_up
from orchestrator.commands import Command
from orchestrator.deletions import Deletions
from orchestrator.disk import disk_error, require_reserve
from orchestrator.dispatch import Dispatcher
from orchestrator.errands import Errand
from orchestrator.errors import DiskFull, StudyError
from orchestrator.events import Event, StudyEnded
from orchestrator.interruptions import by_signal, cluster_gone, folder_gone, mailbox_gone
from orchestrator.journal import Journal
from orchestrator.onlookers import as_long_as_it_can
from orchestrator.ray_session import Message, RaySession
from orchestrator.retention import Retention
from orchestrator.sampler_process import Answer, open_searcher
from orchestrator.schedulers import make_scheduler
from orchestrator.segment import Readiness
from orchestrator.signals import Signals, name_of
from orchestrator.state import StudyState
from orchestrator.stop_request import stop_request
from orchestrator.tracking.told import Told
from orchestrator.workers import Workers
from search_spaces import SweepSpec

OnEvent = Callable[[Event, StudyState], None]
OnNotice = Callable[[str], None]

_POLL_S = 0.5
_HURRIED_CLOSE_S = 1.0
_PATIENCE_S = 60.0


class Driver:
    """One process's time with a study.

    Args:
        spec: the sweep.
        folder: the study's folder; need not exist before `open`.
        cache: prepared data.
        address: of a running Ray; None starts one.
        make_rank: makes a worker's rank; see `WorkerContext`.
        on_event: is shown every event once it is on disk, with the state after all that were
            written with it.
        on_notice: takes sentences for a person.
    """

    def __init__(
        self,
        spec: SweepSpec,
        folder: Path,
        cache: Path,
        *,
        address: str | None,
        make_rank: Callable[[Any, Any], Any] | None = None,
        on_event: OnEvent = lambda event, state: None,
        on_notice: OnNotice = lambda text: None,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.state = StudyState()
        self._cache = cache
        self._make_rank = make_rank
        self._on_event = as_long_as_it_can(on_event)
        self._on_notice = as_long_as_it_can(on_notice)
        self._lock = threading.RLock()
        self._woken = threading.Event()
        self._error: BaseException | None = None
        self._begun = self._is_over = self._closing = self._closed = self._is_gone = False
        self._began = 0.0
        self._journal: Journal | None = None
        self._let_go: Callable[[], None] = lambda: None
        self._told = Told(spec, folder, self.state, self._on_notice)
        self._signals = Signals(self._signalled, self._kill_all)
        self._ray = RaySession(spec, address, self._context, self._receive, self._ray_is_over)
        self._workers = Workers(folder, self._on_notice, self._ray.answers)
        self._searcher = open_searcher(spec)
        self._deletions = Deletions(folder, self._on_notice)

    # The life of a study, in the caller's thread ------------------------------------------

    def on_written(self, let_go: Callable[[], None]) -> None:
        """Call this while closing, once nothing here writes to the study's folder any more.

        Ray's processes may take seconds longer to end; another process may go on meanwhile.
        """
        self._let_go = let_go

    def signals(self) -> contextlib.AbstractContextManager[None]:
        """Hold the signals (`signals.py`): one ends the study, a second one the process at once.

        Before `open` they interrupt whatever the caller does, and nothing is written; from then on
        they are noted, and `wait` ends by them. A study that is over already, or being closed, has
        ended as it has.
        """
        return self._signals.held()

    def start(self) -> None:
        """Bring Ray and the workers up, in a thread; returns at once."""
        self._ray.start()

    def ready(self) -> Readiness:
        """Wait until Ray is up and a worker has prepared the data; return what it found.

        Raises:
            TaskError: the data or the model cannot be used.
            StudyError: Ray cannot be reached, has no room for a worker ever, or they cannot train.
        """
        prepared = self._workers.prepared
        if not prepared.wait(_PATIENCE_S):
            self._on_notice(
                "waiting for a first worker: Ray has no room for it yet, or the data is large."
            )
            prepared.wait()
        self._raise_error()
        return self._workers.readiness

    def open(
        self,
        journal: Journal,
        history: Sequence[Event],
        first: Sequence[Event],
        errand: Errand,
        spent_s: float = 0.0,
    ) -> None:
        """Begin: the data is ready, Ray is, the folder is ours.

        Args:
            journal: where events go; closed by `close`.
            history: what stands in it already.
            first: events to begin with.
            errand: what the study is taken up for.
            spent_s: seconds that the search has run before.
        """
        self._begun = True
        self._signals.take()  # again: Ray has put its own handler for SIGTERM in between
        with self._lock:
            self._raise_error()  # Ray may have gone since `ready`
            self._journal = journal
            self._began = time.monotonic() - spent_s
            if self.spec.budget.gpu_hours is not None and not self._ray.gpus:
                self._on_notice("budget.gpu_hours does not count here: trials take no GPU.")
            scheduler = make_scheduler(self.spec)
            self._retention = Retention(self.state, scheduler)
            for event in [*history, *first]:
                self.state.apply(event)
                scheduler.observe(event)
                self._observe(event)
            tracker = self._told.open(history)
            if tracker is not None:
                self._ray.introduce(tracker)
            self._record(first)
            found = self._workers.readiness
            self.dispatcher = Dispatcher(
                self.spec,
                self.state,
                scheduler,
                journal=self._record,
                send=self._send,
                propose=self._propose,
                observe=self._observe,
                boundaries=lambda config: boundaries_of(self.spec, config, found.rows),
                gpus=self._ray.gpus,
                after=AfterSearch(
                    self.spec,
                    self.state,
                    test_rows=found.test_rows if errand.evaluates else 0,
                    again=errand.again,
                    trains=errand.trains,
                    crowns=errand.crowns,
                ),
                searching=errand.searching,
                notice=self._on_notice,
            )
            self._watch_budget()
            self._workers.open(self.dispatcher)

    def wait(self) -> None:
        """Stay until the study is over.

        Raises:
            Interrupted: by a signal; the journal says so.
            StudyError: it cannot go on.
        """
        while not self._woken.wait(_POLL_S):
            gone = self._ray.is_gone()  # asks the network: reports must not wait for that
            unheard = not gone and self._ray.has_lost_mailbox()
            self._guarded(functools.partial(self._watch_over, gone, unheard))
        if self._signals.number is not None:
            self._guarded(functools.partial(self._interrupt, self._signals.number))
        if not self._is_over:  # else it has come to its end, whatever happened after
            self._raise_error()
        self._told.end()  # not under the lock

    def _watch_over(self, cluster_is_gone: bool, workers_hear_nothing: bool) -> None:
        """End the study while it can still be recorded: at low water, or when it was taken over."""
        if self._journal is None or self._is_over:
            return
        self._journal.check()
        self._workers.watch_memory()
        if cluster_is_gone:
            self._end_without_cluster()
        if workers_hear_nothing:
            self._end_without_mailbox()
        try:
            self._look_at_folder()
        except OSError as error:
            raise folder_gone(self.folder, error) from error

    def _look_at_folder(self) -> None:
        try:
            require_reserve(self.folder)
        except DiskFull:
            self._break_off("the disk is almost full")
            raise
        self._watch_budget()
        if stop_request(self.folder).exists():
            self.dispatcher.stop("by `sweep stop`")
            stop_request(self.folder).unlink(missing_ok=True)

    def _watch_budget(self) -> None:
        """End the search when its time is up."""
        if self.spec.budget.wall_clock_s is not None and self.dispatcher.searching:
            limit = used_up(self.spec, self.state, time.monotonic() - self._began)
            if limit is not None:
                self.dispatcher.stop(limit, limit=True)

    def close(self) -> None:
        """End everything that was started; the journal first. May be called at any point.

        What cannot be ended is said, and the rest is ended all the same: how the study ended
        stays what the caller is told. A first signal meanwhile only makes it hurry.
        """
        self._closing = True
        over = self._is_over
        with contextlib.ExitStack() as steps:  # last in, first out; none is left out
            for step in (
                functools.partial(self._leave_ray, released=over),
                self._told.scrub,
                self._let_go,
                functools.partial(self._end_deleting, over),
                self._close_tracking,
                self._look_for_ray,
                *(() if over else (self._workers.end,)),
                self._searcher.close,
                self._close_journal,
            ):
                steps.callback(self._attempt, step)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self._on_notice(
                f"{self.folder}: not everything could be ended: {type(error).__name__}: {error}"
            )

    def _close_journal(self) -> None:
        with self._lock:
            self._closed = True
            journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    def _look_for_ray(self) -> None:
        self._is_gone = self._is_gone or not self._ray.answers()

    def _close_tracking(self) -> None:
        hurried = _HURRIED_CLOSE_S if self._signals.number else None
        self._told.close(hurried, gone=self._is_gone)

    def _end_deleting(self, over: bool) -> None:
        """Wait for what is being deleted; in a hurry for nothing, a resume names it again."""
        self._deletions.end(hurried=self._signals.number is not None and not over)

    def _leave_ray(self, *, released: bool) -> None:
        if self._is_gone:
            self._ray.forget()
        else:
            self._ray.leave(released=released)

    # In Ray's thread ----------------------------------------------------------------------------

    def _context(self, mailbox: Any) -> Any:
        from orchestrator.worker import WorkerContext, trainer_rank

        return WorkerContext(
            self.spec,
            self.folder.resolve(),
            self._cache.resolve(),
            Path.cwd(),
            mailbox,
            self._make_rank or trainer_rank,
        )

    def _receive(self, worker: str, message: Message) -> None:
        self._guarded(functools.partial(self._workers.handle, worker, message))

    def _ray_is_over(self, error: BaseException | None) -> None:
        """No worker runs any more, wherever the study stands."""
        if self._ray.was_told_to_end:
            return
        if self._is_over:
            return
        self._guarded(functools.partial(self._end_without_workers, error))

    def _end_without_workers(self, error: BaseException | None) -> None:
        if self._journal is not None and not self._ray.answers():
            self._end_without_cluster()
        raise error or RuntimeError("Ray Tune ended before the study did")

    # Called by the Dispatcher, under the lock -------------------------------------------------

    def _record(self, events: Sequence[Event]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(events)
        except OSError as error:
            raise disk_error(self.folder, error) from error
        ends = [event for event in events if isinstance(event, StudyEnded)]
        self._is_over = self._is_over or any(end.state != "interrupted" for end in ends)
        for event in events:
            self._on_event(event, self.state)
            self._told.observe(event)
        if ends:
            self._woken.set()
        for checkpoint in self._retention.unused():
            self._deletions.add(checkpoint.path)

    def _observe(self, event: Event) -> None:
        self._retention.observe(event)
        self._searcher.observe(event)

    def _send(self, worker: str, command: Command) -> None:
        self._ray.send(self._workers.addresses[worker], command)

    def _propose(self, number: int) -> None:
        self._searcher.request(
            number,
            lambda answer: self._guarded(functools.partial(self._proposed, number, answer)),
        )

    def _proposed(self, number: int, answer: Answer) -> None:
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            self.dispatcher.proposed(number, None)
        else:
            self.dispatcher.proposed(number, answer.config, answer.origin)

    # Endings ------------------------------------------------------------------------------------

    def _guarded(self, do: Callable[[], None]) -> None:
        """Do it under the lock; an error ends the study instead of the thread it happens in.

        Once the study has ended, by an error or because it is closed, nothing is done.
        """
        with self._lock:
            if self._closed or self._error is not None:
                return
            try:
                do()
            except BaseException as error:  # the caller's thread raises it
                self._error = error
                self._workers.prepared.set()
                self._woken.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _break_off(self, reason: str) -> None:
        self._record([StudyEnded(state="interrupted", reason=reason)])

    def _end_without_cluster(self) -> None:
        self._is_gone = True
        self._break_off("its Ray cluster is gone")
        raise cluster_gone(self.folder, self._ray.place)

    def _end_without_mailbox(self) -> None:
        self._break_off("the process that carries its commands died")
        raise mailbox_gone(self.folder, self._ray.place)

    def _interrupt(self, number: int) -> None:
        if self._is_over:  # it ended before the signal could end it
            return
        told = by_signal(self.folder, number, begun=True)
        try:
            self._break_off(f"by {name_of(number)}")
        except StudyError as error:  # not written, and broken off all the same
            raise told from error
        raise told

    def _signalled(self, number: int) -> None:
        self._woken.set()
        if not (self._begun or self._closing):
            raise by_signal(self.folder, number, begun=False)

    def _kill_all(self) -> None:
        try:
            self._workers.end()
        finally:
            self._ray.kill()
