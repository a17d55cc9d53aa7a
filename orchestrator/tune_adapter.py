"""The only file that touches Ray Tune's experiment interfaces.

A Ray Tune trial is one warm worker; our trials pass through the workers. Ray Tune gives each
worker its placement group and its process, starts it again when it dies, and carries results to
the driver. It decides nothing: its scheduler interface only hands messages on and says CONTINUE.
Why not one Ray Tune trial for each of ours: traps of its actor reuse (a paused trial's process is
killed unless another trial is staged) made every exploit a cold start; see docs/architecture.md.
"""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution import class_cache
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from orchestrator.cluster import gpus_per_worker
from orchestrator.worker import TrialWorker, WorkerContext

Receive = Callable[[str, dict[str, Any]], None]


class _Postman(FIFOScheduler):
    """Hands every result on as a message of its worker."""

    def __init__(self, receive: Receive) -> None:
        super().__init__()
        self._receive = receive

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._receive(trial.config["worker"], json.loads(result["message"]))
        return str(TrialScheduler.CONTINUE)

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune's snapshots hold nothing of ours: the journal is the truth."""
        return {}


class _Losses(tune.Callback):
    """Tells when a worker's process died and will be started again."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._receive(trial.config["worker"], {"what": "lost", "text": _last_error(trial)})

    def __getstate__(self) -> dict[str, Any]:
        return {}


def _last_error(trial: Any) -> str:
    """What Ray says of the newest death; its file is the only place where it says so."""
    try:
        text = Path(trial.error_file).read_text("utf-8", "replace")
    except (OSError, TypeError):  # no file yet
        return ""
    return text.rpartition("Failure # ")[2]


@contextlib.contextmanager
def workers_without_variables() -> Iterator[None]:
    """Keep Ray Tune from giving workers a runtime environment with variables of its own.

    AWS's keys are among them, which would get into argument lists and Ray's logs; workers on this
    machine inherit them, nodes of a cluster have their own. And a worker with variables waits a
    second for a process made for it, while Ray has others ready. The lists have no public
    interface: a test fails when they change.
    """
    propagated, given = class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS
    class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS = set(), {}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS = propagated, given


class _WhenTold(tune.Stopper):
    """Ends the run once an event is set: Ray must not be left while Ray Tune still uses it."""

    def __init__(self, told: threading.Event) -> None:
        self._told = told

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._told.is_set()

    def __getstate__(self) -> dict[str, Any]:
        return {}


def run_workers(
    count: int, context: WorkerContext, receive: Receive, ended: threading.Event
) -> None:
    """Run `count` warm workers until each is released. Blocks; Ray is up.

    Args:
        count: how many; those that do not fit yet wait until the cluster has room.
        context: what the workers are given.
        receive: takes (worker, message); called from this thread only.
        ended: once it is set, workers are given up wherever they are.
    """
    import ray

    # A worker that dies is told of by `_Losses`, in one sentence instead of a traceback.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    resources = context.spec.resources
    gpu = gpus_per_worker(context.spec, ray.cluster_resources().get("GPU", 0.0))
    bundle = {"CPU": float(resources.cpus_per_worker)} | ({"GPU": gpu} if gpu else {})
    groups = tune.PlacementGroupFactory(
        [bundle] * resources.workers, strategy=resources.placement.upper()
    )
    scratch_folder = tempfile.TemporaryDirectory(prefix="sweep-ray-")
    with scratch_folder as scratch, workers_without_variables():
        tune.run(
            tune.with_parameters(TrialWorker, context=context),
            name="workers",
            config={"worker": tune.grid_search([f"w{i}" for i in range(count)])},
            resources_per_trial=groups,
            scheduler=_Postman(receive),
            callbacks=[_Losses(receive)],
            stop=_WhenTold(ended),
            storage_path=scratch,
            max_failures=-1,
            max_concurrent_trials=count,
            raise_on_failed_trial=False,
            verbose=0,
        )
