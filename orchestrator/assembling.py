"""Brings the ranks of a worker together: who runs where, and what each must know of the others.

What they then do is `ranks.py`'s. A worker's own process is rank 0 in the first bundle of its
placement group; the others are actors in the bundles after it, which Ray Tune has reserved with
it. The environment is set here, before any of them imports torch: CUDA reads it once.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import ray
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from orchestrator.process_group import Membership
from orchestrator.rank_process import (
    NETWORK,
    RankProcess,
    Whereabouts,
    take_environment,
    whereabouts,
)
from orchestrator.ranks import Peer, Ranks, in_thread, raise_first


def assemble(context: Any, log_line: Callable[[str, dict[str, Any]], None], worker: str) -> Ranks:
    """Make a worker's ranks, its own process's the first.

    Args:
        context: the worker's `WorkerContext`.
        log_line: see there.
        worker: its name.
    """
    count = context.spec.resources.workers
    if count == 1:
        take_environment({})
        return Ranks(context.make_rank(context, log_line))
    actors = _start(worker, count)
    there: list[Whereabouts] = ray.get([actor.where.remote() for actor in actors])
    here = whereabouts()
    listening, port = listen(_meeting_place([here, *there]))
    first, *rest = environments([here, *there], port)
    members = [Membership(rank, count) for rank in range(1, count)]
    answers = [
        actor.join.remote(dataclasses.replace(context, member=member), environment).future()
        for actor, member, environment in zip(actors, members, rest, strict=True)
    ]
    take_environment(first)
    own = dataclasses.replace(context, member=Membership(0, count, listening))
    made = in_thread(context.make_rank, own, log_line)
    raise_first([made, *answers])
    peers = [
        _peer(actor, rank, worker, where)
        for rank, (actor, where) in enumerate(zip(actors, there, strict=True), start=1)
    ]
    return Ranks(made.result(), peers, context.study_folder)


def environments(processes: Sequence[Whereabouts], port: int) -> list[dict[str, str]]:
    """What each process's environment must say before torch is imported; rank by rank.

    Ray shows each process its own GPU only, and LOCAL_RANK counts among those that are visible:
    so all ranks of a node see the GPUs of all of them. Ranks that share one node talk over its
    loopback interface and are heard nowhere else.
    """
    found = []
    one_node = len({process.node for process in processes}) == 1
    for rank, process in enumerate(processes):
        beside = [other for other in processes if other.node == process.node]
        interface = process.loopback if one_node else process.interface
        environment = {
            "MASTER_ADDR": _meeting_place(processes),
            "MASTER_PORT": str(port),
            "RANK": str(rank),
            "WORLD_SIZE": str(len(processes)),
            "LOCAL_RANK": str(sum(other.node == process.node for other in processes[:rank])),
            "LOCAL_WORLD_SIZE": str(len(beside)),
            "CUDA_VISIBLE_DEVICES": ",".join(gpu for other in beside for gpu in other.gpus),
        }
        if interface:
            environment |= {f"GLOO{NETWORK}": interface, f"NCCL{NETWORK}": interface}
        found.append(environment)
    return found


def _meeting_place(processes: Sequence[Whereabouts]) -> str:
    one_node = len({process.node for process in processes}) == 1
    return "127.0.0.1" if one_node else processes[0].address


def _start(worker: str, count: int) -> list[Any]:
    """Start ranks 1, 2 ... in the bundles after this process's own."""
    group = get_current_placement_group()
    if group is None:
        raise RuntimeError("a worker of several ranks must run in a placement group")
    actors = []
    for index in range(1, count):
        bundle = group.bundle_specs[index]
        there = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index)
        options = {"num_cpus": bundle.get("CPU", 0), "num_gpus": bundle.get("GPU", 0)}
        actor = ray.remote(RankProcess).options(scheduling_strategy=there, **options)
        actors.append(actor.remote(worker))
    return actors


def _peer(actor: Any, rank: int, worker: str, where: Whereabouts) -> Peer:
    def ask(method: str, arguments: tuple[Any, ...], allowed_s: float) -> Future[Any]:
        answer: Future[Any] = actor.ask.remote(method, arguments, allowed_s).future()
        return answer

    return Peer(rank, worker, where, ask, lambda: ray.kill(actor))


def listen(address: str) -> tuple[int, int]:
    """Listen at a free port; returns the socket's file descriptor and the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family)
    port: int = listener.getsockname()[1]
    return listener.detach(), port
