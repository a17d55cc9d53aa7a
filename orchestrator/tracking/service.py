"""The study's tracking process, and how driver and workers reach it.

The only file of tracking that knows of Ray. The process is an actor without a CPU of its own, on
the driver's node, because it writes into the study's folder; it dies with the driver. Driver and
workers talk to it through a `CallQueue` each, so that nothing they do waits for it: not its
start, not its death (Ray starts it again, and its outboxes go on with what they find on disk).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.events import Config, Event
from orchestrator.tracking.backends import in_force, open_outboxes
from orchestrator.tracking.call_queue import CallQueue
from orchestrator.tracking.notices import LATER, in_one_line
from orchestrator.tracking.outbox import LONGEST_CLOSE_S
from orchestrator.tracking.study_runs import StudyRuns
from orchestrator.tracking.tracker import Call, OnNotice, perform, trainer_names
from orchestrator.tracking.wandb_files import scrub_logs

if TYPE_CHECKING:
    from search_spaces import SweepSpec

FOLDER = "tracking"
CLOSE_S = 4.0
MODEL_UPLOAD_S = 120.0


class TrackingService:
    """The actor: holds the outboxes. Every method but `close` returns at once."""

    def __init__(self, spec: SweepSpec, tracking_folder: Path) -> None:
        self._notices: deque[str] = deque()
        self._outboxes = open_outboxes(spec, tracking_folder, self._notices.append)

    def put(self, calls: Sequence[Call]) -> None:
        """Take calls from a worker."""
        for call in calls:
            perform(self._outboxes, call)

    def put_and_listen(self, calls: Sequence[Call]) -> list[str]:
        """Take calls from the driver; return what has to be said since the last time."""
        self.put(calls)
        return self._said()

    def close(self, timeout_s: float) -> list[str]:
        """Send what can be sent in time, close the trackers; return what has to be said."""
        words = self._outboxes.close(timeout_s)
        return [*self._said(), *words]

    def _said(self) -> list[str]:
        return [self._notices.popleft() for _ in range(len(self._notices))]


class TrackerClient:
    """A worker's side. Can be pickled; each process gets its own queue.

    Args:
        service: the actor's handle.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._queue = CallQueue(lambda calls: ray.get(service.put.remote(calls)))

    def __reduce__(self) -> tuple[type[TrackerClient], tuple[Any]]:
        return type(self), (self._service,)

    def log_line(self, trial: str, line: Mapping[str, Any]) -> None:
        """Pass one Trainer log line on; return at once, whatever the tracker does."""
        values, step = trainer_names(line)
        if values:
            self._queue.log(trial, values, step)

    def close(self, timeout_s: float = 1.0) -> None:
        """Wait at most `timeout_s` for what is queued here, before the process ends."""
        self._queue.close(timeout_s)


class Tracking:
    """The driver's side of a study's tracking. No method but `close` waits, and none raises.

    Args:
        spec: the study's sweep.
        service: the actor's handle.
        folder: where it keeps its files.
        on_notice: takes sentences for a person; called from a thread of ours.
        past: the journal's events so far, when the study is resumed.
    """

    def __init__(
        self,
        spec: SweepSpec,
        service: Any,
        folder: Path,
        on_notice: OnNotice,
        past: Iterable[Event] = (),
    ) -> None:
        self._service = service
        self._folder = folder
        self._on_notice = on_notice
        self._queue = CallQueue(self._send)
        self._runs = StudyRuns(spec, self._queue, past)
        self._close_s = CLOSE_S
        self._failed = False

    @property
    def client(self) -> TrackerClient:
        """What a worker is given; its `log_line` may be pickled."""
        return TrackerClient(self._service)

    def observe(self, event: Event) -> None:
        """Take an event that stands in the journal now."""
        try:
            self._runs.observe(event)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._say_failed(error)

    def log_best_model(self, folder: Path, trial: str, value: float, config: Config) -> None:
        """Hand the study's best model over, if the sweep file asks for that (`log_model: best`).

        Call it before the end of the study is observed. Uploading may take `close` up to
        `MODEL_UPLOAD_S`.

        Args:
            folder: what `from_pretrained` loads; it must stay there until `sweep sync` has run.
            trial: the best trial.
            value: its value of the study's metric.
            config: the configuration that reached it.
        """
        try:
            if self._runs.log_best_model(folder.absolute(), trial, value, config):
                self._close_s = MODEL_UPLOAD_S
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._say_failed(error)

    def close(self, timeout_s: float | None = None, *, gone: bool = False) -> None:
        """Send what is left, say what could not be sent and where it is, and end the process.

        Call `scrub` after; it may wait until nobody waits for the study's folder.

        Args:
            gone: the cluster is not there any more, and the process with it: nobody is called.
            timeout_s: waits no longer, whatever is left. None: as long as lines get through, but
                at most `CLOSE_S` for one that does not (`MODEL_UPLOAD_S` when a model was handed
                over); a backend that is known to be down is not waited for.
        """
        quiet_s = self._close_s if timeout_s is None else min(timeout_s, self._close_s)
        deadline = time.monotonic() + (
            LONGEST_CLOSE_S + CLOSE_S if timeout_s is None else timeout_s
        )
        words = list(self._queue.close(0.0 if gone else quiet_s))
        words += self._lost() if gone else self._end_process(quiet_s, deadline)
        for word in words:
            self._on_notice(word)

    def scrub(self) -> None:
        """Take secrets out of the trackers' own logs, once their process has ended."""
        scrub_logs(self._folder)

    def _end_process(self, quiet_s: float, deadline: float) -> list[str]:
        left = max(0.0, deadline - time.monotonic())
        try:
            words = ray.get(self._service.close.remote(min(quiet_s, left)), timeout=left)
        except (GetTimeoutError, RayError):
            words = self._lost()
        with contextlib.suppress(RayError, RuntimeError, ValueError):  # it has died by itself
            ray.kill(self._service, no_restart=True)
        return list(words)

    def _lost(self) -> list[str]:
        return [
            "tracking: its process did not end in time; what it had not sent is kept in "
            f"{self._folder}; {LATER}."
        ]

    def _send(self, calls: Sequence[Call]) -> None:
        for word in ray.get(self._service.put_and_listen.remote(calls)):
            self._on_notice(word)

    def _say_failed(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            self._on_notice(f"tracking: an event could not be recorded: {in_one_line(error)}.")


def make_tracking(
    spec: SweepSpec,
    study_folder: Path,
    *,
    past: Iterable[Event] = (),
    on_notice: OnNotice = lambda text: None,
) -> Tracking | None:
    """Start the study's tracking process; None when the sweep file asks for none.

    Ray must be running. Returns before the process is up.

    Args:
        spec: the study's sweep.
        study_folder: tracking keeps its files in `tracking` there.
        past: the journal's events so far, when the study is resumed.
        on_notice: takes sentences for a person; called from any thread.
    """
    spec, words = in_force(spec)
    for word in words:
        on_notice(word)
    if not spec.tracking.backends:
        return None
    folder = study_folder.absolute() / FOLDER
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    service = (
        ray.remote(TrackingService)
        .options(num_cpus=0, max_restarts=-1, scheduling_strategy=here)
        .remote(spec, folder)
    )
    return Tracking(spec, service, folder, on_notice, past)
