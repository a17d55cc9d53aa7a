"""What the driver knows of its worker processes, and what their messages mean.

Decides nothing about trials: the Dispatcher does. A worker that is ready before the study has
begun waits here; one that cannot train ends it then, by raising. One that cannot train later, or
whose processes end one after the other, gets no trials any more; it keeps its place, so that
nobody else is started there. The study ends when no worker is left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from orchestrator.disk import disk_error
from orchestrator.dispatch import Dispatcher
from orchestrator.errors import DiskFull, StudyError
from orchestrator.memory_kills import KernelKills, ended_by_ray
from orchestrator.process_identity import is_still
from orchestrator.ray_session import Message
from orchestrator.segment import BoundaryReport, EvaluationReport, Readiness, TrialFailure
from orchestrator.tasks.errors import ERRORS, TaskError
from orchestrator.watchdog import take_stacks

_STILLBORN = 3
WORN_OUT = 6
"""Processes that a worker loses in a row, none of which came to a report, before it is given up.

Two trials with their retries, so that it is not one trial that does it.
"""
_UNFIT: dict[str, type[TaskError] | type[DiskFull]] = {**ERRORS, "DiskFull": DiskFull}


class Workers:
    """The workers of one study.

    Args:
        folder: the study's.
        on_notice: takes sentences for a person.
        answers: whether the cluster is still there.
        kernel_kills: knows what the kernel ended; None: this machine's.

    Attributes:
        prepared: set once a worker has prepared the data.
        readiness: what it found.
        addresses: worker -> where its commands go.
    """

    def __init__(
        self,
        folder: Path,
        on_notice: Callable[[str], None],
        answers: Callable[[], bool],
        kernel_kills: KernelKills | None = None,
    ) -> None:
        self.prepared = threading.Event()
        self.readiness = Readiness(rows=0)
        self.addresses: dict[str, str] = {}
        self._folder = folder
        self._on_notice = on_notice
        self._answers = answers
        self._dispatcher: Dispatcher | None = None
        self._waiting: dict[str, Message] = {}
        self._pids: dict[str, tuple[str, int]] = {}
        self._identities: dict[str, dict[str, Any]] = {}
        self._known: set[str] = set()
        self._given_up: set[str] = set()
        self._lost_in_a_row: Counter[str] = Counter()
        self._ending: set[str] = set()
        self._stillborn = 0
        self._kernel_kills = kernel_kills or KernelKills()
        self._here = local_addresses()

    def open(self, dispatcher: Dispatcher) -> None:
        """The study has begun: those that wait are handed over, the others as they come."""
        self._dispatcher = dispatcher
        waiting, self._waiting = self._waiting, {}
        for worker, message in waiting.items():
            dispatcher.worker_ready(worker, message["pid"], message["node"])

    def handle(self, worker: str, message: Message) -> None:
        """Take one message.

        Raises:
            TaskError: before the study has begun: data or model cannot be used.
            DiskFull: there is no room.
            StudyError: before the study has begun: a worker cannot train. After: none can.
        """
        self._known.add(worker)
        if "process" in message:
            self._identities[worker] = message["process"]
        match message:
            case {"what": "ready"}:
                self._ready(worker, message)
            case {"what": "lost", "text": text}:
                self._lost(worker, text)
            case {"what": "unfit", "error": kind, "rule": rule, "mend": mend}:
                if self._dispatcher is None or kind == "DiskFull":
                    raise _UNFIT[kind](rule, mend=mend)
                self._give_up(worker, rule, mend)
            case {"what": "unusable", "pid": pid, "node": node, "text": text, "log": log}:
                self._pids[worker] = (node, pid)
                mend = "see that what is installed here is installed on every node."
                if self._dispatcher is None:
                    raise StudyError(f"a worker cannot train: {text}\n{log.rstrip()}", mend=mend)
                self._give_up(worker, f"{text}\n{log.rstrip()}", mend)
            case {"what": "failed" | "not_evaluated", "kind": "disk_full", "message": text}:
                what = f"trial {message['trial']}" if "trial" in message else "an evaluation"
                raise disk_error(self._folder, OSError(errno.ENOSPC, f"{what}: {text}"))
            case {"what": "unwritable", "errno": number, "text": text}:
                raise disk_error(self._folder, OSError(number, text))
            case _ if self._dispatcher is not None:
                self._note(worker, message)
                _hand_over(self._dispatcher, worker, message)
            case _:
                raise RuntimeError(f"worker {worker} said this before the start: {message}")

    def watch_memory(self) -> None:
        """Note what the kernel ended; called every second or so while the study runs."""
        self._kernel_kills.sample()

    def end(self) -> None:
        """End this machine's workers by process id; others end with their Ray session."""
        # A copy: a signal's handler may be here while Ray Tune's thread notes another worker.
        for worker, (node, pid) in [*self._pids.items()]:
            identity = self._identities.get(worker)
            if node in self._here and (identity is None or is_still(pid, identity)):
                with contextlib.suppress(OSError):  # gone, or another's by now: on to the next
                    os.kill(pid, signal.SIGKILL)

    def _ready(self, worker: str, message: Message) -> None:
        found = Readiness(**message["readiness"])
        self._pids[worker] = (message["node"], message["pid"])
        if self.prepared.is_set() and found.rows != self.readiness.rows:
            rule = (
                f"task.dataset: {message['node']} has {found.rows} rows to train on, another node"
                f" {self.readiness.rows}."
            )
            mend = "see that every node finds the same data."
            if self._dispatcher is None:
                raise StudyError(rule, mend=mend)
            self._give_up(worker, rule, mend)
        self._stillborn = 0
        if worker in self._given_up:
            return
        self.addresses[worker] = message["address"]
        if not self.prepared.is_set():
            self.readiness = found
            for note in found.notes:
                self._on_notice(note)
            self.prepared.set()
        if self._dispatcher is None:
            self._waiting[worker] = message
        else:
            self._dispatcher.worker_ready(worker, message["pid"], message["node"])

    def _note(self, worker: str, message: Message) -> None:
        """Whether this place is good for training, as far as a message tells."""
        if message["what"] in ("reported", "evaluated"):
            self._lost_in_a_row.pop(worker, None)
        if not message.get("usable", True):  # its process is about to end, and it was said why
            self._ending.add(worker)
            self._lost_in_a_row[worker] += message["kind"] == "infrastructure"

    def _lost(self, worker: str, text: str) -> None:
        self._waiting.pop(worker, None)
        node, pid = self._pids.pop(worker, ("", 0))
        self._identities.pop(worker, None)
        if worker in self._given_up:  # the next process may be on another node
            self._given_up.remove(worker)
            self._lost_in_a_row.pop(worker, None)
        elif not pid:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN and self._answers():
                last = (text.strip().splitlines() or [""])[-1]
                raise StudyError(
                    f"worker processes die before they are ready, {_STILLBORN} in a row. {last}",
                    mend="see Ray's logs of this session; often a node has too little memory.",
                )
        if self._dispatcher is None:
            return
        why = self._why_lost(self._dispatcher, worker, node, pid, text)
        self._dispatcher.worker_lost(worker, why)
        was_told = worker in self._ending
        self._ending.discard(worker)
        self._lost_in_a_row[worker] += bool(pid) and why.kind == "infrastructure" and not was_told
        if self._lost_in_a_row[worker] >= WORN_OUT and self._answers():
            self._give_up(
                worker,
                f"{WORN_OUT} processes in a row ended before they came to a report, the last one"
                f" on {node}.",
                "see Ray's logs of this session and the logs of the trials; a GPU or a node may be"
                " broken.",
            )

    def _give_up(self, worker: str, why: str, mend: str) -> None:
        """Give this worker no trial any more, until its process is another one.

        Raises:
            StudyError: it was the last one.
        """
        self._given_up.add(worker)
        if self._known <= self._given_up:
            raise StudyError(
                f"no worker can train any more: {why}",
                mend=f"{mend} Then go on with `sweep resume {self._folder}`.",
            )
        self._on_notice(f"worker {worker} cannot train; the study goes on without it: {why}")

    def _why_lost(
        self, dispatcher: Dispatcher, worker: str, node: str, pid: int, text: str
    ) -> TrialFailure:
        """What killed a worker, as far as it can be known from here."""
        for trial in dispatcher.at_hand:
            stacks = take_stacks(self._folder / "trials" / trial, worker, pid)
            if stacks:
                message = f"training made no progress until its process {pid} on {node} was ended"
                return TrialFailure(kind="hung", message=message, log=stacks)
        by_kernel = self._kernel_kills.any_recent() and node in self._here
        if by_kernel or ended_by_ray(text):
            who = "the kernel" if by_kernel else "Ray"
            message = f"memory ran out on {node}: {who} ended the worker process {pid}"
            return TrialFailure(kind="out_of_memory", message=message)
        message = f"the worker process {pid} on {node} died"
        return TrialFailure(kind="infrastructure", message=message)


def _hand_over(dispatcher: Dispatcher, worker: str, message: Message) -> None:
    match message:
        case {"what": "reported", "trial": trial, "segment": segment, "report": report}:
            dispatcher.reported(worker, trial, segment, BoundaryReport(**report))
        case {"what": "committed", "trial": trial, "segment": segment, "boundary": boundary}:
            path, sha256, size = message["path"], message["sha256"], message["size"]
            dispatcher.committed(worker, trial, segment, boundary, path, sha256, size)
        case {"what": "left", "trial": trial}:
            dispatcher.left(worker, trial)
        case {"what": "evaluated", "report": report}:
            dispatcher.evaluated(worker, EvaluationReport(**report))
        case {"what": "not_evaluated", "kind": kind, "message": text, "log": log}:
            failure = TrialFailure(kind=kind, message=text, log=log)
            dispatcher.not_evaluated(worker, failure, usable=message["usable"])
        case {"what": "failed", "trial": trial, "kind": kind, "message": text, "log": log}:
            failure = TrialFailure(kind=kind, message=text, log=log)
            dispatcher.failed(worker, trial, failure, usable=message["usable"])
        case _:
            raise RuntimeError(f"worker {worker} sent what nobody knows: {message}")


def local_addresses() -> set[str]:
    """Names and addresses under which Ray may know this machine.

    Those of its interfaces. Looking its own name up would give 127.0.1.1 on many an ordinary
    network, where Ray takes the interface's address, and may wait for a name server.
    """
    here = {"127.0.0.1", "::1", socket.gethostname()}
    with contextlib.suppress(OSError):
        for entries in psutil.net_if_addrs().values():
            here.update(entry.address.partition("%")[0] for entry in entries)
    return here
