"""Run a sweep: one study, one Ray Tune run, from the sweep file to its result.

Ties the parts together and owns their life: folder and lock, journal, data, searcher, Ray,
workers, signals, deletion of superseded checkpoints. Every decision is the Dispatcher's. Ray Tune runs in a
thread of its own, so that signals stay ours: the journal is closed first and the workers are
ended by their process ids.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.cluster import ray_session, slots
from orchestrator.dispatch import Command, Dispatcher
from orchestrator.errors import DiskFull, Interrupted, StudyError, StudyTaken
from orchestrator.events import CheckpointCommitted, Event, StudyEnded, StudyStarted
from orchestrator.journal import JOURNAL, Journal
from orchestrator.lock import StudyLock
from orchestrator.results import SPECIFICATION, SWEEP_FILE, StudyResult, read_study
from orchestrator.retention import Retention
from orchestrator.sampler_process import open_searcher
from orchestrator.schedulers import make_scheduler
from orchestrator.searchers import Proposal
from orchestrator.segment import BoundaryReport, TrialFailure
from orchestrator.state import StudyState
from search_spaces import Choice, Config, Sweep, SweepSpec

OnEvent = Callable[[Event, StudyState], None]
_VERSIONS = ("ray", "torch", "transformers", "optuna", "datasets", "sweep-orchestrator")


def run_study(
    sweep: Sweep,
    *,
    storage: Path,
    address: str | None = None,
    on_event: OnEvent = lambda event, state: None,
    on_notice: Callable[[str], None] = lambda text: None,
) -> StudyResult:
    """Run a sweep from its start to its end.

    Args:
        sweep: what to run.
        storage: the folder under which the study's own folder is made.
        address: of a running Ray; None starts one on this machine.
        on_event: is shown every event once it is on disk, with the state after it.
        on_notice: takes plain sentences for a person.

    Raises:
        StudyTaken: a study of this name is there already.
        TaskError: the task's data or model cannot be used; nothing was written.
        StudyError: see `orchestrator.errors`.
    """
    spec = sweep.spec
    folder = storage / spec.name
    if (folder / JOURNAL).exists():
        raise StudyTaken(
            f"{folder}: a study of this name is there already.",
            mend=f"give another --name, or look at it with `sweep show {spec.name}`.",
        )
    cache = storage / ".cache"
    with ray_session(address):
        rows = prepare_data(spec, cache)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = StudyLock(folder)
        try:
            _write(folder / SWEEP_FILE, sweep.source)
            _write(folder / SPECIFICATION, json.dumps(spec.model_dump(mode="json"), indent=1))
            started = StudyStarted(
                name=spec.name,
                method=spec.method,
                metric=spec.metric.name,
                goal=spec.metric.goal,
                seed=spec.seed,
                smoke=spec.smoke,
                versions=_versions(),
                host={"name": socket.gethostname(), "cpus": os.cpu_count() or 0},
            )
            journal = Journal(folder / JOURNAL)
            run = _Run(spec, folder, cache, journal, rows, on_event, on_notice)
            run.drive([started])
        finally:
            lock.release()
    return read_study(folder)


def prepare_data(spec: SweepSpec, cache: Path) -> int:
    """Fetch and tokenise all that the trials will need; the rows of the training split.

    Raises:
        TaskError: what cannot be used, and how to mend it.
    """
    from orchestrator.tasks import make_task

    rows = 0
    for config in _task_configs(spec):
        prepared = make_task(spec.task_for(config), cache, spec.seed).prepare()
        rows = rows or len(prepared.train_dataset)
    return rows


def _task_configs(spec: SweepSpec) -> Iterator[Config]:
    """Each combination of searched values that asks for other data or another model."""
    names = [
        name
        for name, domain in spec.space.items()
        if name.startswith("task.")
        and not name.startswith("task.model_config.")
        and isinstance(domain, Choice)
    ]
    default = spec.default_config()
    for values in itertools.product(*(spec.space[name].grid() for name in names)):
        yield {**default, **dict(zip(names, values, strict=True))}


class _Run:
    """One driver's time with a study: the state shared by Ray Tune's thread and ours."""

    def __init__(
        self,
        spec: SweepSpec,
        folder: Path,
        cache: Path,
        journal: Journal,
        rows: int,
        on_event: OnEvent,
        on_notice: Callable[[str], None],
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.cache = cache
        self.rows = rows
        self._journal = journal
        self._on_event = on_event
        self._on_notice = on_notice
        self._lock = threading.RLock()
        self._woken = threading.Event()
        self._error: BaseException | None = None
        self._signal: int | None = None
        self._closed = False
        self._pids: dict[str, tuple[str, int]] = {}
        self._addresses: dict[str, str] = {}
        self._sweeper = ThreadPoolExecutor(1, thread_name_prefix="delete")
        self.state = StudyState()
        self._scheduler = make_scheduler(spec)
        self._retention = Retention(self.state, self._scheduler)
        self._searcher = open_searcher(spec)
        self.dispatcher = Dispatcher(
            spec,
            self.state,
            self._scheduler,
            journal=self._record,
            send=self._send,
            propose=self._propose,
            observe=self._observe,
            boundaries=self._boundaries,
        )

    def drive(self, first: Sequence[Event]) -> None:
        """Write the first events, run the workers, and stay until the study is over."""
        import ray

        from orchestrator.mailbox import Mailbox
        from orchestrator.tune_adapter import run_workers
        from orchestrator.worker import WorkerContext, trainer_rank

        for event in first:
            self.state.apply(event)
            self._scheduler.observe(event)
            self._observe(event)
        self._record(first)
        self._mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        context = WorkerContext(
            self.spec, self.folder.resolve(), self.cache.resolve(), self._mailbox, trainer_rank
        )
        count = slots(self.spec)

        def work() -> None:
            try:
                run_workers(count, context, self._receive)
                if not self.dispatcher.over and not self._closed:
                    raise RuntimeError("Ray Tune ended before the study did")
            except BaseException as error:  # shown by the main thread, which waits for it
                self._fail(error)
            self._woken.set()

        with self._signals():
            thread = threading.Thread(target=work, name="ray-tune", daemon=True)
            thread.start()
            self._wait(thread)

    def _wait(self, thread: threading.Thread) -> None:
        deadline = self.spec.budget.wall_clock_s
        started = time.monotonic()
        try:
            while not self._woken.wait(0.5):
                if deadline is not None and time.monotonic() - started > deadline:
                    deadline = None
                    with self._lock:
                        self.dispatcher.stop("budget.wall_clock is used up")
            if self._signal is not None:
                self._interrupted(self._signal)
            if self._error is not None:
                raise self._error
            thread.join()
        finally:
            with self._lock:
                self._closed = True
                self._journal.close()
            self._searcher.close()
            if self._error is not None or self._signal is not None:
                self._end_workers()
            self._sweeper.shutdown()

    def _interrupted(self, number: int) -> None:
        with self._lock:
            if not self.dispatcher.over:
                name = signal.Signals(number).name
                self._record([StudyEnded(state="interrupted", reason=f"by {name}")])
        raise Interrupted(
            number,
            f"{self.folder}: interrupted; what was committed is kept.",
            mend=f"look at it with `sweep show {self.folder.name}`.",
        )

    def _end_workers(self) -> None:
        """End the workers of this machine by process id; others end with their Ray session."""
        here = {socket.gethostbyname(socket.gethostname()), "127.0.0.1"}
        import ray

        with contextlib.suppress(Exception):
            here.add(ray.util.get_node_ip_address())
        for node, pid in self._pids.values():
            if node in here:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGUSR1 end the study; the second one ends the process."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: Any) -> None:
            if self._signal is not None:
                os._exit(128 + number)
            self._signal = number
            self._woken.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # Called by the Dispatcher, under the lock -----------------------------------------------

    def _record(self, events: Sequence[Event]) -> None:
        if self._closed:
            return
        try:
            self._journal.append(events)
        except OSError as error:
            raise _disk_error(self.folder, error) from error
        for event in events:
            self._on_event(event, self.state)
        for checkpoint in self._retention.unused():
            self._sweeper.submit(self._remove, checkpoint)

    def _observe(self, event: Event) -> None:
        self._retention.observe(event)
        self._searcher.observe(event)

    def _send(self, worker: str, command: Command) -> None:
        self._mailbox.put.remote(self._addresses[worker], command)

    def _propose(self, number: int) -> None:
        self._searcher.request(number, lambda proposal: self._proposed(number, proposal))

    def _boundaries(self, config: Config) -> int:
        batch = self.spec.training_for(config).get("per_device_train_batch_size", 8)
        accumulation = self.spec.training_for(config).get("gradient_accumulation_steps", 1)
        per_step = batch * accumulation * self.spec.resources.workers
        return self.spec.boundaries(config, max(1.0, self.rows / per_step))

    # Called from other threads ---------------------------------------------------------------

    def _proposed(self, number: int, proposal: Proposal | BaseException | None) -> None:
        with self._guarded():
            if isinstance(proposal, BaseException):
                raise proposal
            if proposal is None:
                self.dispatcher.proposed(number, None)
            else:
                self.dispatcher.proposed(number, proposal.config, proposal.origin)

    def _receive(self, worker: str, message: dict[str, Any]) -> None:
        with self._guarded():
            self._handle(worker, message)

    def _handle(self, worker: str, message: dict[str, Any]) -> None:
        dispatcher = self.dispatcher
        match message:
            case {"what": "ready", "pid": pid, "node": node}:
                self._pids[worker] = (node, pid)
                self._addresses[worker] = message["address"]
                dispatcher.worker_ready(worker, pid, node)
            case {"what": "reported", "trial": trial, "segment": segment, "report": report}:
                dispatcher.reported(worker, trial, segment, BoundaryReport(**report))
            case {"what": "committed", "trial": trial, "segment": segment, "boundary": boundary}:
                path, sha256, size = message["path"], message["sha256"], message["size"]
                dispatcher.committed(worker, trial, segment, boundary, path, sha256, size)
            case {"what": "left", "trial": trial}:
                dispatcher.left(worker, trial)
            case {"what": "failed", "trial": trial, "kind": kind, "message": text, "log": log}:
                dispatcher.failed(worker, trial, TrialFailure(kind=kind, message=text, log=log))
            case {"what": "unwritable", "errno": number, "text": text}:
                raise _disk_error(self.folder, OSError(number, text))
            case {"what": "lost", "text": text}:
                dispatcher.worker_lost(worker, "infrastructure", text or "its worker died")
            case {"what": "released"}:
                pass
            case _:
                raise RuntimeError(f"worker {worker} sent what nobody knows: {message}")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Hold the lock; an error ends the study instead of Ray Tune's thread."""
        with self._lock:
            if self._closed:
                return
            try:
                yield
            except BaseException as error:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self._woken.set()

    def _remove(self, checkpoint: CheckpointCommitted) -> None:
        from orchestrator.checkpoints import remove

        remove(self.folder / checkpoint.path)


def _disk_error(folder: Path, error: OSError) -> StudyError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free / 2**20
        return DiskFull(
            f"{folder}: the disk is full ({free:.0f} MiB free): {error.strerror}.",
            mend="make room; what was committed is kept.",
        )
    return StudyError(f"{folder}: cannot be written: {error.strerror}.", mend="see the folder's rights.")


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
