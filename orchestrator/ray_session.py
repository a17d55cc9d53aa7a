"""Ray and a study's workers, from their start to their end, in a thread of their own.

Knows neither journal nor trials: messages go up as they come, commands go down. The thread is
Ray Tune's for the whole study, so signals stay the caller's; and it starts and leaves Ray itself,
because Ray's processes end with the thread that started them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psutil

from orchestrator.commands import Command
from search_spaces import SweepSpec

Message = dict[str, Any]

_RELEASE_S = 3.0
"""How long released workers may take to end before they are given up."""
_GIVE_UP_S = 15.0
"""Ray Tune waits 5 s for workers it gave up; leaving Ray before it is done can crash."""


class RaySession:
    """One time with Ray: joined or started, workers run, left again.

    Args:
        spec: what workers and how many.
        address: of a running Ray; None starts one.
        make_context: makes the workers' context, given the mailbox.
        receive: takes (worker, message), in the session's thread.
        over: called once, in the session's thread, when no worker runs any more: with the error,
            or None when all were released or given up.

    Attributes:
        gpus: how many a trial holds; known before the first message.
    """

    def __init__(
        self,
        spec: SweepSpec,
        address: str | None,
        make_context: Callable[[Any], Any],
        receive: Callable[[str, Message], None],
        over: Callable[[BaseException | None], None],
    ) -> None:
        self.gpus = 0.0
        self._spec = spec
        self._address = address
        self._make_context = make_context
        self._receive = receive
        self._over = over
        self._others: set[int] = set()
        self._processes: set[psutil.Process] = set()
        self._presence: Any = None
        self._mailbox: Any = None
        self._its_death: Any = None
        self._up = threading.Event()
        self._told_to_end = threading.Event()
        self._idle = threading.Event()
        self._may_leave = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ray-tune", daemon=True)

    @property
    def was_told_to_end(self) -> bool:
        """Whether `leave` was called: workers that end now end rightly."""
        return self._told_to_end.is_set()

    def start(self) -> None:
        """Bring Ray and the workers up; returns at once."""
        self._others = {process.pid for process in psutil.Process().children(recursive=True)}
        self._thread.start()

    def send(self, address: str, command: Command) -> None:
        """Leave a command for a worker; does not wait."""
        self._mailbox.put.remote(address, command)

    def introduce(self, tracker: Any) -> None:
        """Give workers the study's tracker client, from their next trial on."""
        self._mailbox.introduce.remote(tracker)

    def has_lost_mailbox(self) -> bool:
        """Whether what is sent reaches no worker any more; returns at once."""
        from orchestrator.mailbox import is_dead

        return self._its_death is not None and is_dead(self._its_death)

    def is_gone(self) -> bool:
        """Whether the cluster has not answered for ten seconds."""
        return self._presence is not None and self._presence.is_gone()

    def answers(self) -> bool:
        """Whether the cluster answers now; True when it was never joined."""
        return self._presence is None or self._presence.answers()

    @property
    def place(self) -> str:
        """Where the cluster is, for a person."""
        return "local" if self._presence is None else str(self._presence.address)

    def leave(self, *, released: bool) -> None:
        """End the workers and leave Ray; nothing of one that was started here is left then.

        Args:
            released: every worker was told that there is no more work, and may end by itself; one
                that is still starting, or has no room to, is not waited for.
        """
        if self._thread.ident is None:
            return
        if not released:
            self._told_to_end.set()  # also when Ray is only coming up: no worker is started then
        self._up.wait()
        if released:
            self._idle.wait(_RELEASE_S)
        self._told_to_end.set()
        if self._idle.wait(_GIVE_UP_S):
            self._may_leave.set()
            self._thread.join()
        else:
            self._leave_ray()

    def forget(self) -> None:
        """Leave a cluster that is gone."""
        from orchestrator.cluster import forget_ray

        self._told_to_end.set()
        forget_ray([*self._processes])

    def kill(self) -> None:
        """End every process of a Ray that was started here, at once."""
        from orchestrator.cluster import end_processes

        self._note_processes()
        end_processes([*self._processes])

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            self._run()
        except BaseException as raised:  # told to whoever waits, in another thread
            error = raised
        try:
            self._over(error)
        finally:
            self._up.set()
            self._idle.set()
            # Ray's processes end with this thread, and leaving dead ones takes seconds.
            self._may_leave.wait()
            self._leave_ray()

    def _run(self) -> None:
        from orchestrator.cluster import Presence, gpus_of_a_trial, join_ray, slots

        join_ray(self._address)
        self._presence = Presence(self._address)
        from orchestrator.mailbox import open_mailbox
        from orchestrator.tune_adapter import run_workers

        count = slots(self._spec)
        self.gpus = gpus_of_a_trial(self._spec)
        self._mailbox, self._its_death = open_mailbox()
        self._note_processes()
        self._up.set()
        if not self._told_to_end.is_set():
            context = self._make_context(self._mailbox)
            run_workers(count, context, self._receive, self._told_to_end)

    def _leave_ray(self) -> None:
        from orchestrator.cluster import leave_ray

        self._note_processes()
        leave_ray([*self._processes])

    def _note_processes(self) -> None:
        """Note the processes of a Ray that we started, while they are still our descendants.

        They end with the thread that started them, and orphan their agents.
        """
        from orchestrator.cluster import ray_processes

        if self._address is None:
            self._processes.update(ray_processes(self._others))
