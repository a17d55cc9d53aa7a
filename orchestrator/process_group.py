"""Joins the processes that share a trial by torch.distributed, and what they agree on over it.

Knows neither Ray nor trials: who belongs together, and where they meet, stands in the environment
that every launcher sets (MASTER_ADDR, MASTER_PORT, LOCAL_RANK), which accelerate and the Trainer
read too. The group is made once a process and kept from trial to trial: making one takes as long
as a perturbation may. Both kinds of tensors get a backend, so what is small and lies in host
memory never needs a GPU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_PATIENCE = timedelta(days=1)
"""Whether a process hangs is the watchdog's to say, and it ends a process. Gloo's own half an hour
would end a trial whose other process is only slow."""


@dataclass(frozen=True)
class Membership:
    """A process's place among those that share each trial of a worker.

    Attributes:
        rank: 0 to world_size - 1.
        world_size: how many share a trial.
        listening: rank 0 of several: the file descriptor of the socket at MASTER_PORT, which is
            bound and listens, so nobody can take the port in between.
    """

    rank: int = 0
    world_size: int = 1
    listening: int | None = None


ALONE = Membership()


def join(member: Membership) -> None:
    """Wait until all members are here; afterwards collective operations work.

    Raises:
        RuntimeError: they do not find each other.
    """
    import torch
    from torch import distributed

    # Unset, accelerate counts the cores and takes its share of the whole machine.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store = distributed.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        member.world_size,
        is_master=member.listening is not None,
        wait_for_workers=False,
        master_listen_fd=member.listening,
    )
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if has_gpu else "gloo",
        store=store,
        rank=member.rank,
        world_size=member.world_size,
        timeout=_PATIENCE,
    )


def gathered(mine: Any) -> list[Any]:
    """Every rank calls this at once: rank 0 gets what each gave, in their order; others []."""
    from torch import distributed

    if distributed.get_rank() != 0:
        distributed.gather_object(mine)
        return []
    all_of_them: list[Any] = [None] * distributed.get_world_size()
    distributed.gather_object(mine, all_of_them)
    return all_of_them


def share_generator() -> None:
    """Every rank calls this at once: torch's generator stands where rank 0's does.

    Samplers that draw an epoch's order from it (by length, of rows drawn with replacement) must
    draw the same one everywhere, or some rows are trained twice and others never; and it has moved
    apart as soon as two ranks drop out of batches of different lengths.
    """
    import torch
    from torch import distributed

    state = torch.random.get_rng_state()
    distributed.broadcast(state, 0)
    torch.random.set_rng_state(state)
