"""The driver's side of a running study: it joins the Dispatcher, Ray Tune, journal and trackers.

Decides nothing (the Dispatcher does) and knows nothing of sweep files and folders' names
(`study.py` does). `start` brings Ray and the workers up in a thread; they prepare the data, and
what they say meanwhile waits until `open`, so nothing is written before the data was found
usable. That thread is Ray Tune's for the whole study, so signals stay ours: on one the journal
is closed first, then the workers are ended by their process ids.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from orchestrator.best_model import link_model
from orchestrator.budgets import used_up
from orchestrator.commands import Command
from orchestrator.disk import disk_error, require_reserve
from orchestrator.dispatch import Dispatcher
from orchestrator.errors import DiskFull, Interrupted, StudyError, Unreachable
from orchestrator.events import CheckpointCommitted, Config, Event, StudyEnded
from orchestrator.journal import Journal
from orchestrator.manifest import CheckpointError
from orchestrator.memory_kills import KernelKills, ended_by_ray
from orchestrator.retention import Retention
from orchestrator.sampler_process import Answer, open_searcher
from orchestrator.schedulers import make_scheduler
from orchestrator.segment import BoundaryReport, Readiness, TrialFailure
from orchestrator.state import StudyState
from orchestrator.tasks.errors import ERRORS
from orchestrator.watchdog import take_stacks
from search_spaces import SweepSpec

OnEvent = Callable[[Event, StudyState], None]
OnNotice = Callable[[str], None]
Message = dict[str, Any]

BEST_MODEL = "best-model"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_POLL_S = 0.5
_HURRIED_CLOSE_S = 1.0
_STILLBORN = 3
_PATIENCE_S = 60.0
_RELEASE_S = 3.0
"""How long released workers may take to end before they are given up."""
_GIVE_UP_S = 15.0
"""Ray Tune waits 5 s for workers it gave up; leaving Ray before it is done can crash."""


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
        self._address = address
        self._make_rank = make_rank
        self._on_event = on_event
        self._on_notice = on_notice
        self._lock = threading.RLock()
        self._up = threading.Event()
        self._prepared = threading.Event()
        self._readiness = Readiness(rows=0)
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._idle = threading.Event()
        self._leaving = threading.Event()
        self._error: BaseException | None = None
        self._signal: int | None = None
        self._waiting = False
        self._kernel_kills = KernelKills()
        self._open = False
        self._began = 0.0
        self._gpus = 0.0
        self._closed = False
        self._stillborn = 0
        self._others: set[int] = set()
        self._ray: set[psutil.Process] = set()
        self._presence: Any = None
        self._is_gone = False
        self._early: list[tuple[str, Message]] = []
        self._addresses: dict[str, str] = {}
        self._pids: dict[str, tuple[str, int]] = {}
        self._journal: Journal | None = None
        self._let_go: Callable[[], None] = lambda: None
        self._tracking: Any = None
        self._mailbox: Any = None
        self._searcher = open_searcher(spec)
        self._deleting = ThreadPoolExecutor(1, thread_name_prefix="delete")
        self._thread = threading.Thread(target=self._work, name="ray-tune", daemon=True)

    # The life of a study, in the caller's thread ------------------------------------------

    def on_written(self, let_go: Callable[[], None]) -> None:
        """Call this while closing, once nothing here writes to the study's folder any more.

        Ray's processes may take seconds longer to end; another process may go on meanwhile.
        """
        self._let_go = let_go

    def start(self) -> None:
        """Bring Ray and the workers up, in a thread; returns at once."""
        self._others = {process.pid for process in psutil.Process().children(recursive=True)}
        self._thread.start()

    def ready(self) -> Readiness:
        """Wait until Ray is up and a worker has prepared the data; return what it found.

        Raises:
            TaskError: the data or the model cannot be used.
            StudyError: Ray cannot be reached, has no room for a worker ever, or they cannot train.
        """
        if not self._prepared.wait(_PATIENCE_S):
            self._on_notice(
                "waiting for a first worker: Ray has no room for it yet, or the data is large."
            )
            self._prepared.wait()
        self._raise_error()
        return self._readiness

    def open(
        self,
        journal: Journal,
        history: Sequence[Event],
        first: Sequence[Event],
        rows: int,
        spent_s: float = 0.0,
    ) -> None:
        """Begin: the data is ready, Ray is, the folder is ours.

        Args:
            journal: where events go; closed by `close`.
            history: what stands in it already.
            first: events to begin with.
            rows: rows of the training split.
            spent_s: seconds that the study has run before.
        """
        from orchestrator.tracking.service import make_tracking

        self._journal = journal
        self._began = time.monotonic() - spent_s
        if self.spec.budget.gpu_hours is not None and not self._gpus:
            self._on_notice("budget.gpu_hours does not count here: trials take no GPU.")
        scheduler = make_scheduler(self.spec)
        self._retention = Retention(self.state, scheduler)
        for event in [*history, *first]:
            self.state.apply(event)
            scheduler.observe(event)
            self._observe(event)
        self._tracking = make_tracking(
            self.spec, self.folder, past=history, on_notice=self._on_notice
        )
        if self._tracking is not None:
            self._mailbox.introduce.remote(self._tracking.client)
        self._record(first)
        self.dispatcher = Dispatcher(
            self.spec,
            self.state,
            scheduler,
            journal=self._record,
            send=self._send,
            propose=self._propose,
            observe=self._observe,
            boundaries=lambda config: boundaries_of(self.spec, config, rows),
            gpus=self._gpus,
        )
        with self._lock:
            self._open = True
            early, self._early = self._early, []
            for worker, message in early:
                with self._guarded():
                    self._handle(worker, message)

    def wait(self) -> None:
        """Stay until the study is over.

        Raises:
            Interrupted: by a signal; the journal says so.
            StudyError: it cannot go on.
        """
        self._waiting = True
        self._handle_signals()  # again: Ray has put its own handler for SIGTERM in between
        while not self._woken.wait(_POLL_S):
            if self.spec.budget.wall_clock_s is not None:
                self._stop_if_used_up()
            self._watch_over()
            if stop_request(self.folder).exists():
                self._stop("by `sweep stop`")
                stop_request(self.folder).unlink(missing_ok=True)
        if self._signal is not None:
            self._interrupt(self._signal)
        self._raise_error()

    def _watch_over(self) -> None:
        """End the study while it can still be recorded: at low water, or when it was taken over."""
        with self._guarded():
            if self._journal is None:
                return
            self._journal.check()
            if self._presence.is_gone():
                self._end_without_cluster()
            try:
                require_reserve(self.folder)
            except DiskFull:
                self._record([StudyEnded(state="interrupted", reason="the disk is almost full")])
                raise

    def close(self) -> None:
        """End everything that was started; the journal first. May be called at any point."""
        from orchestrator.cluster import forget_ray

        over = self._journal is not None and self.state.state in ("finished", "failed", "stopped")
        with self._lock:
            self._closed = True
            journal, self._journal = self._journal, None
            if journal is not None:
                journal.close()
        self._searcher.close()
        if not over:
            self._end_workers()
        if self._tracking is not None:
            self._tracking.close(_HURRIED_CLOSE_S if self._signal else None)
        self._deleting.shutdown()
        self._let_go()
        if self._is_gone:
            forget_ray([*self._ray])
            return
        if not over:
            self._ended.set()  # also when Ray is only coming up: no worker is started then
        self._up.wait()
        if over:  # a worker that is still starting, or has no room to, is not waited for
            self._idle.wait(_RELEASE_S)
        self._ended.set()
        if self._idle.wait(_GIVE_UP_S):
            self._leaving.set()
            self._thread.join()
        else:
            self._leave()

    # In Ray Tune's thread ---------------------------------------------------------------------

    def _work(self) -> None:
        try:
            from orchestrator.cluster import (
                Presence,
                gpus_of_a_trial,
                join_ray,
                slots,
            )

            join_ray(self._address)
            self._presence = Presence(self._address)
            import ray

            from orchestrator.mailbox import Mailbox
            from orchestrator.tune_adapter import run_workers
            from orchestrator.worker import WorkerContext, trainer_rank

            count = slots(self.spec)
            self._gpus = gpus_of_a_trial(self.spec)
            self._mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
            context = WorkerContext(
                self.spec,
                self.folder.resolve(),
                self._cache.resolve(),
                Path.cwd(),
                self._mailbox,
                self._make_rank or trainer_rank,
            )
            self._note_ray()
            self._up.set()
            if self._ended.is_set():
                return
            run_workers(count, context, self._receive, self._ended)
            if self._journal is not None and self.state.state == "running":
                raise RuntimeError("Ray Tune ended before the study did")
        except BaseException as error:  # the caller's thread raises it
            if self._journal is None or self._presence is None or self._presence.answers():
                self._fail(error)
            else:
                with self._guarded():
                    self._end_without_cluster()
        self._up.set()
        self._prepared.set()
        self._woken.set()
        self._idle.set()
        # Ray's processes end with the thread that started them, and leaving dead ones takes 5 s.
        self._leaving.wait()
        self._leave()

    def _leave(self) -> None:
        from orchestrator.cluster import leave_ray

        self._note_ray()
        leave_ray([*self._ray])

    def _note_ray(self) -> None:
        """Note the processes of a Ray that we started, while they are still our descendants.

        They end with the thread that started them, and orphan their agents.
        """
        from orchestrator.cluster import ray_processes

        if self._address is None:
            self._ray.update(ray_processes(self._others))

    def _receive(self, worker: str, message: Message) -> None:
        with self._guarded():
            if self._open:
                self._handle(worker, message)
            else:
                self._handle_early(worker, message)

    def _handle_early(self, worker: str, message: Message) -> None:
        """Before `open`: a worker is ready, and waits, or cannot be, which ends the study."""
        waiting = {name for name, _ in self._early}
        if message["what"] == "lost" and worker in waiting:
            self._early = [early for early in self._early if early[0] != worker]
        elif message["what"] != "ready":
            self._handle(worker, message)
        else:
            self._early.append((worker, message))
            self._pids[worker] = (message["node"], message["pid"])
            if not self._prepared.is_set():
                self._readiness = Readiness(**message["readiness"])
                for note in self._readiness.notes:
                    self._on_notice(note)
                self._prepared.set()

    def _handle(self, worker: str, message: Message) -> None:
        match message:
            case {"what": "ready", "pid": pid, "node": node, "address": address}:
                self._pids[worker] = (node, pid)
                self._stillborn = 0
                self._addresses[worker] = address
                self.dispatcher.worker_ready(worker, pid, node)
            case {"what": "reported", "trial": trial, "segment": segment, "report": report}:
                self.dispatcher.reported(worker, trial, segment, BoundaryReport(**report))
            case {"what": "committed", "trial": trial, "segment": segment, "boundary": boundary}:
                path, sha256, size = message["path"], message["sha256"], message["size"]
                self.dispatcher.committed(worker, trial, segment, boundary, path, sha256, size)
            case {"what": "left", "trial": trial}:
                self.dispatcher.left(worker, trial)
            case {"what": "failed", "trial": trial, "kind": "disk_full", "message": text}:
                raise disk_error(self.folder, OSError(errno.ENOSPC, f"trial {trial}: {text}"))
            case {"what": "failed", "trial": trial, "kind": kind, "message": text, "log": log}:
                failure = TrialFailure(kind=kind, message=text, log=log)
                self.dispatcher.failed(worker, trial, failure, usable=message["usable"])
            case {"what": "unwritable", "errno": number, "text": text}:
                raise disk_error(self.folder, OSError(number, text))
            case {"what": "lost", "text": text}:
                self._lost(worker, text)
            case {"what": "unfit", "error": kind, "rule": rule, "mend": mend}:
                raise ERRORS[kind](rule, mend=mend)
            case {"what": "unusable", "pid": pid, "node": node, "text": text, "log": log}:
                self._pids[worker] = (node, pid)
                raise StudyError(
                    f"a worker cannot train: {text}\n{log.rstrip()}",
                    mend="see that what is installed here is installed on every node.",
                )
            case _:
                raise RuntimeError(f"worker {worker} sent what nobody knows: {message}")

    def _lost(self, worker: str, text: str) -> None:
        node, pid = self._pids.pop(worker, ("", 0))
        if not pid:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN and self._presence.answers():
                last = (text.strip().splitlines() or [""])[-1]
                raise StudyError(
                    f"worker processes die before they are ready, {_STILLBORN} in a row. {last}",
                    mend="see Ray's logs of this session; often a node has too little memory.",
                )
        if self._open:
            self.dispatcher.worker_lost(worker, self._why_lost(worker, node, pid, text))

    def _why_lost(self, worker: str, node: str, pid: int, text: str) -> TrialFailure:
        """What killed a worker, as far as it can be known from here."""
        for trial in self.state.open_trials:
            stacks = take_stacks(self.folder / "trials" / trial, worker, pid)
            if stacks:
                message = f"training made no progress until its process {pid} on {node} was ended"
                return TrialFailure(kind="hung", message=message, log=stacks)
        by_kernel = self._kernel_kills.any_new() and node in local_addresses()
        if by_kernel or ended_by_ray(text):
            who = "the kernel" if by_kernel else "Ray"
            message = f"memory ran out on {node}: {who} ended the worker process {pid}"
            return TrialFailure(kind="out_of_memory", message=message)
        message = f"the worker process {pid} on {node} died"
        return TrialFailure(kind="infrastructure", message=message)

    # Called by the Dispatcher, under the lock -------------------------------------------------

    def _record(self, events: Sequence[Event]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(events)
        except OSError as error:
            raise disk_error(self.folder, error) from error
        for event in events:
            self._on_event(event, self.state)
            if self._tracking is not None:
                if isinstance(event, StudyEnded) and event.state != "interrupted":
                    self._hand_over_best()
                self._tracking.observe(event)
            if isinstance(event, StudyEnded):
                self._woken.set()
        for checkpoint in self._retention.unused():
            self._deleting.submit(self._delete, checkpoint)

    def _observe(self, event: Event) -> None:
        self._retention.observe(event)
        self._searcher.observe(event)

    def _send(self, worker: str, command: Command) -> None:
        self._mailbox.put.remote(self._addresses[worker], command)

    def _propose(self, number: int) -> None:
        self._searcher.request(number, lambda answer: self._proposed(number, answer))

    def _proposed(self, number: int, answer: Answer) -> None:
        with self._guarded():
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                self.dispatcher.proposed(number, None)
            else:
                self.dispatcher.proposed(number, answer.config, answer.origin)

    def _hand_over_best(self) -> None:
        best = self.state.best
        if best is not None and self.spec.tracking.log_model == "best":
            try:
                folder = link_model(self.folder / best.checkpoint, self.folder / BEST_MODEL)
            except (OSError, CheckpointError) as error:
                self._on_notice(f"the best model was not handed to the tracker: {error}")
            else:
                self._tracking.log_best_model(folder, best.trial, best.value, best.config)

    def _delete(self, checkpoint: CheckpointCommitted) -> None:
        from orchestrator.checkpoints import remove

        try:
            remove(self.folder / checkpoint.path)
        except OSError as error:
            self._on_notice(f"{checkpoint.path} is not needed, but cannot be deleted: {error}")

    def _stop_if_used_up(self) -> None:
        with self._guarded():
            limit = used_up(self.spec, self.state, time.monotonic() - self._began)
            if limit is not None:
                self.dispatcher.stop(limit)

    def _stop(self, reason: str) -> None:
        with self._guarded():
            self.dispatcher.stop(reason)

    # Endings ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Hold the lock; an error ends the study instead of the thread it happens in."""
        with self._lock:
            if self._closed or self._error is not None:
                return
            try:
                yield
            except BaseException as error:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._prepared.set()
        self._woken.set()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _end_without_cluster(self) -> None:
        self._is_gone = True
        self._record([StudyEnded(state="interrupted", reason="its Ray cluster is gone")])
        raise Unreachable(
            f"{self.folder}: Ray at {self._presence.address} is gone; what was committed is kept.",
            mend=f"go on with `sweep resume {self.folder}`, on any cluster that sees the folder.",
        )

    def _interrupt(self, number: int) -> None:
        name = signal.Signals(number).name
        with self._guarded():
            self._record([StudyEnded(state="interrupted", reason=f"by {name}")])
        raise Interrupted(
            number,
            f"{self.folder}: interrupted by {name}; what was committed is kept.",
            mend=f"go on with `sweep resume {self.folder}`.",
        )

    def _end_workers(self) -> None:
        """End this machine's workers by process id; others end with their Ray session."""
        here = local_addresses()
        for node, pid in self._pids.values():
            if node in here:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Hold SIGINT, SIGTERM and SIGUSR1: they end the study, a second one the process at once.

        Before `wait` they interrupt whatever the caller does; nothing is written then.
        """
        before = self._handle_signals()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle_signals(self) -> dict[signal.Signals, Any]:
        """Take the signals; return who had them. Only a process's main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._signalled) for number in _SIGNALS}

    def _signalled(self, number: int, frame: Any) -> None:
        if self._signal is not None:
            self._end_workers()
            self._note_ray()
            for process in [*self._ray]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            os._exit(128 + number)
        self._signal = number
        self._woken.set()
        if not self._waiting:
            name = signal.Signals(number).name
            raise Interrupted(number, f"interrupted by {name} before the study began.")


def local_addresses() -> set[str]:
    """Names and addresses under which Ray may know this machine."""
    here = {"127.0.0.1", socket.gethostname()}
    with contextlib.suppress(OSError):
        here.add(socket.gethostbyname(socket.gethostname()))
    return here


def stop_request(folder: Path) -> Path:
    """The file that asks the study's driver, wherever it runs, to stop at the next boundaries."""
    return folder / "stop-requested"


def boundaries_of(spec: SweepSpec, config: Config, rows: int) -> int:
    """How many boundaries a configuration's budget has on so many training rows."""
    values = spec.training_for(config)
    per_device = values.get("per_device_train_batch_size") or 8
    per_step = per_device * (values.get("gradient_accumulation_steps") or 1)
    return spec.boundaries(config, max(1.0, rows / (per_step * spec.resources.workers)))
