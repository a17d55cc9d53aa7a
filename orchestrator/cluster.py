"""Ray: starting or joining it, and how many workers it has room for."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import socket
import threading
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import psutil

from orchestrator.errors import Unfit, Unreachable
from search_spaces import SweepSpec

# What Ray Tune would do for studies of its own kind and we do not use: loggers, its progress
# table, state snapshots, buffering results.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread that outlives the session must not start another
}


_GRACE_S = 0.3
_KNOCK_S = 5.0
_KNOCK_AGAIN_S = 2.0
_GONE_S = 10.0


def join_ray(address: str | None) -> None:
    """Start a local Ray, or join the one at `address`; `ray.shutdown` leaves it.

    A local one is always a fresh one: without an explicit address Ray would join whatever was
    started last on this machine. May run in any thread.

    Raises:
        Unreachable: nothing answers at the address.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    _knock(address)
    imports = threading.Thread(target=_import_ahead, name="imports", daemon=True)
    imports.start()
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Unreachable(
            f"Ray cannot be reached at {address or 'local'}: {str(error).splitlines()[0]}",
            mend="check the address with `ray status --address ADDRESS`, or leave --address out"
            " to run on this machine.",
        ) from error
    finally:
        imports.join()  # a process must not end in the middle of loading a library


def _import_ahead() -> None:
    """What is needed once Ray is up: more than a second of importing, while processes start.

    Ray Tune imports W&B when a run begins, whether it is used or not.
    """
    with contextlib.suppress(Exception):  # whoever needs it imports it again, and is told why not
        importlib.import_module("orchestrator.tune_adapter")
        importlib.import_module("ray.air.integrations.wandb")


def _knock(address: str | None) -> None:
    """Raise Unreachable within seconds when nobody listens there; Ray itself tries for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except OSError as error:
        raise Unreachable(
            f"Ray cannot be reached at {address}: {error.strerror or error}.",
            mend="check the address with `ray status --address ADDRESS`, or leave --address out"
            " to run on this machine.",
        ) from error


class Presence:
    """Whether the cluster that was joined is still there.

    Ray itself notices a lost head after a minute, and then ends the process that notices.

    Args:
        address: under which it was joined; None: it was started here.
        clock: seconds; for tests.
    """

    def __init__(self, address: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address or ""
        if not self.address.startswith("ray://"):
            import ray

            self.address = str(ray.get_runtime_context().gcs_address)
        self._clock = clock
        self._answered = self._asked = clock()

    def is_gone(self) -> bool:
        """Whether nobody has answered for ten seconds; may be asked as often as one likes."""
        now = self._clock()
        if now - self._asked >= _KNOCK_AGAIN_S:
            self._asked = now
            if self.answers():
                self._answered = now
        return now - self._answered > _GONE_S

    def answers(self) -> bool:
        """Whether somebody listens there now."""
        host, _, port = self.address.removeprefix("ray://").rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_KNOCK_AGAIN_S / 2).close()
        except OSError:
            return False
        return True


def forget_ray(started: Sequence[psutil.Process]) -> None:
    """Leave a cluster that is gone: saying goodbye to it could only hang or crash.

    Args:
        started: what may be left of one that we started; ended by process id.
    """
    import ray

    atexit.unregister(ray.shutdown)
    end_processes(started)


def ray_processes(others: Container[int]) -> list[psutil.Process]:
    """The processes of a Ray that we started: our children that run Ray's files, with theirs.

    Args:
        others: ids of children that were there before.
    """
    import ray

    home = str(Path(ray.__file__).parent)
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.pid not in others and any(home in word for word in child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found


def leave_ray(started: Sequence[psutil.Process]) -> None:
    """Leave Ray; of one that we started nothing is left when this returns.

    Its raylet would wait a second for its agents, which notice only after ten that they are alone,
    so they are ended by process id once goodbye has been said.

    Args:
        started: its processes, from `ray_processes`, if we started it.
    """
    import ray

    leaving = threading.Thread(target=ray.shutdown, name="leave-ray", daemon=True)
    leaving.start()
    leaving.join(_GRACE_S)
    end_processes(started, sparing=("raylet", "gcs_server"))
    leaving.join()
    _, living = psutil.wait_procs(started, timeout=_GRACE_S)
    end_processes(living)
    psutil.wait_procs(living, timeout=_GRACE_S)


def end_processes(processes: Sequence[psutil.Process], sparing: Container[str] = ()) -> None:
    """End them by process id, but those of these names; what is gone already is passed over."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.name() not in sparing:
                process.kill()


def gpus_per_worker(spec: SweepSpec, gpus: float) -> float:
    """GPUs of one rank: as the spec says; auto is one where the cluster has any."""
    asked = spec.resources.gpus_per_worker
    if asked == "auto":
        return 1.0 if gpus >= 1 else 0.0
    return float(asked)


def slots_for(spec: SweepSpec, cpus: float, gpus: float) -> int:
    """How many trials train at once on so many CPUs and GPUs.

    Raises:
        Unfit: not even one trial fits.
    """
    resources = spec.resources
    gpu = gpus_per_worker(spec, gpus) * resources.workers
    cpu = resources.cpus_per_worker * resources.workers
    room = int(cpus // cpu) if cpu else 10**6
    if gpu:
        room = min(room, int(gpus / gpu + 1e-9))
    if room < 1:
        raise Unfit(
            f"resources: one trial needs {cpu:g} CPUs and {gpu:g} GPUs, and there are"
            f" {cpus:g} CPUs and {gpus:g} GPUs.",
            mend="lower resources.workers, cpus_per_worker or gpus_per_worker, or give --address"
            " of a larger cluster.",
        )
    asked = resources.max_concurrent
    if asked != "auto":
        room = min(room, asked)
    limit = spec.trial_limit
    return room if limit is None else max(1, min(room, limit))


def slots(spec: SweepSpec) -> int:
    """How many trials the running Ray session trains at once."""
    import ray

    there = ray.cluster_resources()
    return slots_for(spec, there.get("CPU", 0.0), there.get("GPU", 0.0))


def gpus_of_a_trial(spec: SweepSpec) -> float:
    """GPUs that one trial holds in the running Ray session, all its ranks together."""
    import ray

    there = ray.cluster_resources().get("GPU", 0.0)
    return gpus_per_worker(spec, there) * spec.resources.workers
