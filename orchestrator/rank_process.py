"""A rank in a process of its own: an actor in another bundle of its worker's placement group.

Does what the worker's process asks of all ranks at once (`ranks.py`) and says nothing to the
driver. Its own clock runs while it works, as the worker's does: a collective operation waits for
ever for a rank that is stuck, and cannot be interrupted, so a process that waits in one is ended.
It dies with the worker's process, which owns it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import ray

from orchestrator import watchdog

NETWORK = "_SOCKET_IFNAME"
"""How the names of variables end that name a network interface, of gloo and of NCCL."""
_LAUNCHERS = (
    *("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    *("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    *("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
)
"""Where accelerate looks for the processes that it belongs to."""


@dataclass(frozen=True)
class Whereabouts:
    """Where a process runs, as the others need to know it.

    Attributes:
        node: Ray's id of it.
        address: the node's, in the cluster's network.
        gpus: ids of those that Ray gave this process; one or none.
        pid: its process id there.
        interface: the name of the network interface with that address; "" if nobody knows.
        loopback: the same of 127.0.0.1.
    """

    node: str
    address: str
    gpus: tuple[str, ...]
    pid: int
    interface: str = ""
    loopback: str = ""


def whereabouts() -> Whereabouts:
    """Of the process that asks."""
    here = ray.get_runtime_context()
    address = str(ray.util.get_node_ip_address())
    return Whereabouts(
        node=str(here.get_node_id()),
        address=address,
        gpus=tuple(str(gpu) for gpu in here.get_accelerator_ids().get("GPU", ())),
        pid=os.getpid(),
        interface=_interface(address),
        loopback=_interface("127.0.0.1"),
    )


def stacks_folder(study_folder: Path, trial: str, rank: int) -> Path:
    """Where a rank beyond the first leaves its stacks: the trial's folder is rank 0's."""
    return study_folder / "trials" / trial / f"rank-{rank}"


class RankProcess:
    """The actor.

    Args:
        worker: the name of the worker it belongs to.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._rank: Any = None
        self._context: Any = None
        self._trial: str | None = None

    def where(self) -> Whereabouts:
        """Where it runs."""
        return whereabouts()

    def join(self, context: Any, environment: Mapping[str, str]) -> None:
        """Make the rank; the first import of torch in this process.

        Args:
            context: a `WorkerContext` with this process's membership.
            environment: what the libraries are to read.
        """
        take_environment(environment)
        if context.working_folder.is_dir():
            os.chdir(context.working_folder)
        self._context = context
        self._rank = context.make_rank(context, _no_line)

    def ask(self, method: str, arguments: tuple[Any, ...], allowed_s: float) -> Any:
        """Call a method of the rank; this process ends if it makes no progress for so long."""
        for argument in arguments:  # a segment or an evaluation
            self._trial = argument.trial
        with self._watched(allowed_s):
            answer = getattr(self._rank, method)(*arguments)
        if method == "stop":
            watchdog.leave()
        return answer

    @contextlib.contextmanager
    def _watched(self, allowed_s: float) -> Iterator[None]:
        if self._trial is None:
            yield
            return
        folder = stacks_folder(self._context.study_folder, self._trial, self._context.member.rank)
        with contextlib.suppress(OSError):  # no room for a file: training says so in its own words
            watchdog.watch(watchdog.stack_file(folder, self._worker, os.getpid()), allowed_s)
        try:
            yield
        finally:
            watchdog.rest()


def take_environment(environment: Mapping[str, str]) -> None:
    """Make this process read it; which network to use is a person's to say first.

    Whatever started Ray (Slurm by PMI, mpirun, torchrun) has said how many it started, and they are
    not those that share a trial: a process would wait for them for ever.
    """
    for name in _LAUNCHERS:
        os.environ.pop(name, None)
    for name, value in environment.items():
        if name.endswith(NETWORK):
            os.environ.setdefault(name, value)
        else:
            os.environ[name] = value


def _no_line(trial: str, line: dict[str, Any]) -> None:
    """What a Trainer logs is rank 0's to tell."""


def _interface(address: str) -> str:
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] == address for entry in entries):
            return name
    return ""
