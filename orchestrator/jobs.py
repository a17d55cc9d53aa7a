"""Ray Jobs as this program uses them: submit one, look at it, follow its log, stop it.

Does not know what a job runs (`sweeps/submission/` does) nor where a cluster is
(`dashboard.py`). It is the one place that touches `ray.job_submission`, by its public client;
whatever that raises becomes one of our errors here, so a cluster that cannot be reached is exit 7
with a mend for every command alike. Ray's client waits for ever for a server that accepts and never
answers, so every question is asked in a thread that is left behind when it takes too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.dashboard import TOKEN_MEND, TUNNEL_MEND, auth_headers, checked_address
from orchestrator.errors import Unfit, Unreachable

T = TypeVar("T")

PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED = (
    "pending",
    "running",
    "succeeded",
    "failed",
    "stopped",
)
OVER = (SUCCEEDED, FAILED, STOPPED)

STOP_WAIT_S = 30
"""Between SIGTERM and SIGKILL when a job is stopped; Ray's 3 s are few for a journal on a network.

A study's driver needs under 2.5 s (`docs/reliability.md`).
"""

_ANSWER_S = 60.0
_PATIENCE_S = 60.0
"""How long a cluster may be away while a job is followed: a proxy or a network that restarts."""
_AGAIN_S = 2.0
_PULSE_S = 2.0
"""Between two looks at a job whose log is followed."""
_OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Where Ray's client looks before it looks at the address it is given."""
_NEEDED = ("aiohttp", "requests")
"""What ray[default] brings and the client imports."""
_STATUS = re.compile(r"status code (\d{3})")


class Refused(Unreachable):
    """The cluster wants another token; asking again is no use."""


@dataclass(frozen=True)
class Job:
    """A job as the cluster tells it.

    Attributes:
        state: pending, running, succeeded, failed or stopped.
        exit_code: of its command; negative, the signal that ended it; None while it runs, when it
            was stopped, and when it never ran or its node was lost.
        started, ended: seconds since 1970; None when not yet.
        metadata: what was written beside it when it was submitted.
    """

    id: str
    state: str
    message: str = ""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it will never run again."""
        return self.state in OVER


def connect(address: str, environ: Mapping[str, str] | None = None) -> Jobs:
    """Reach a cluster's dashboard.

    Args:
        address: http://HEAD:8265, or https.
        environ: where the token is looked for; None: this process's.

    Raises:
        Unfit: it is no such address, no token for one that needs it, or ray[default] is missing.
        Unreachable: nobody answers there, or refuses the token.
    """
    address = checked_address(address)
    headers = auth_headers(address, os.environ if environ is None else environ)
    lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise Unfit(
            f"jobs need Ray's dashboard client here; {', '.join(lacking)} is not installed.",
            mend='pip install "sweep-orchestrator[cluster]"',
        )
    jobs = Jobs(address, has_token=bool(headers))
    jobs.attach(lambda: open_client(address, headers))
    return jobs


def open_client(address: str, headers: dict[str, str]) -> Any:
    """Ray's own client, once the server has told its version."""
    from ray.job_submission import JobSubmissionClient

    # They set themselves to INFO and tell of each upload between our own lines.
    for name in ("ray", *(part.__module__ for part in JobSubmissionClient.__mro__)):
        logging.getLogger(name).setLevel(logging.WARNING)
    with _unset(_OVERRIDING):
        return JobSubmissionClient(address, headers=headers)


class Jobs:
    """The jobs of one cluster; `connect` makes it.

    Args:
        address: of the dashboard, for messages.
        has_token: whether one was sent.
        clock, sleep: of seconds; for tests.
    """

    def __init__(
        self,
        address: str,
        *,
        has_token: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self.address = address
        self._has_token = has_token
        self._clock = clock
        self._sleep = sleep
        self._answer_s = answer_s
        self._client: Any = None

    def attach(self, make_client: Callable[[], Any]) -> None:
        """Make the client, which asks the server for its version.

        Raises:
            Unreachable: nobody answers, it refuses the token, or it is not Ray.
        """
        try:
            self._client = self._asked(make_client)
        except (ValueError, KeyError) as error:  # no JSON, or not what Ray's version page holds
            raise Unreachable(
                f"{self.address} answers, but not as Ray's dashboard does.",
                mend="give the dashboard's port: 8265 unless the head was started with another"
                " --dashboard-port.",
            ) from error

    def submit(
        self,
        entrypoint: str,
        *,
        job: str,
        folder: Path,
        modules: tuple[Path, ...] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Start a command on the cluster.

        Nothing of this process's environment goes with it: what a job's runtime environment holds
        anybody can read who may look at the dashboard.

        Args:
            entrypoint: a shell's command line; its working directory is a copy of `folder`.
            job: a name that no job had before.
            folder: all of it travels.
            modules: wheels that travel and are installed for this job alone.
            metadata: shown beside the job.

        Raises:
            Unreachable: it cannot be asked.
            Unfit: the cluster refuses it.
        """
        runtime_env: dict[str, Any] = {
            "working_dir": str(folder),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)},
        }
        if modules:
            runtime_env["py_modules"] = [str(path) for path in modules]
        self._asked(
            lambda: self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=job,
                runtime_env=runtime_env,
                metadata=dict(metadata or {}),
            )
        )

    def job(self, job: str) -> Job:
        """How a job stands.

        Raises:
            Unfit: there is no such job.
            Unreachable: the cluster cannot be asked.
        """
        told = self._asked(lambda: self._client.get_job_info(job), job)
        return Job(
            id=told.submission_id or told.job_id or job,
            state=str(getattr(told.status, "value", told.status)).lower(),
            message=told.message or "",
            exit_code=told.driver_exit_code,
            started=None if told.start_time is None else told.start_time / 1000,
            ended=None if told.end_time is None else told.end_time / 1000,
            metadata=dict(told.metadata or {}),
        )

    def log(self, job: str) -> str:
        """All that a job wrote so far; empty before it runs. Raises as `job`."""
        return str(self._asked(lambda: self._client.get_job_logs(job), job))

    def stop(self, job: str) -> bool:
        """Ask a job to end: SIGTERM, and SIGKILL when it is still there `STOP_WAIT_S` later.

        Returns:
            Whether it was running. Raises as `job`.
        """
        return bool(self._asked(lambda: self._client.stop_job(job), job))

    def forget(self, job: str) -> None:
        """Take a job that is over from the cluster's list; one that cannot be, stays there."""
        with contextlib.suppress(Unreachable, Unfit):
            self._asked(lambda: self._client.delete_job(job), job)

    def wait(self, job: str, *, limit_s: float | None = None) -> Job:
        """Wait for a job's end.

        Args:
            limit_s: None: as long as it takes.

        Returns:
            The job; not over when the limit came first.

        Raises:
            Unreachable: the cluster was away for longer than a minute. Else as `job`.
        """
        end = None if limit_s is None else self._clock() + limit_s
        pause = 0.2
        while True:
            told = self._patiently(job)
            if told.is_over or (end is not None and self._clock() >= end):
                return told
            self._sleep(pause)
            pause = min(_AGAIN_S, pause * 1.5)

    def follow(self, job: str, show: Callable[[str], None]) -> Job:
        """Give away what a job writes, from its beginning and as it comes, until it is over.

        Args:
            show: takes pieces of the log, which may end in the middle of a line.

        Returns:
            The job as it ended. Raises as `wait`.
        """
        shown = 0

        async def tail() -> None:
            nonlocal shown
            passed = 0  # after a break the log comes again from its beginning
            async for text in self._client.tail_job_logs(job):
                fresh = text[max(0, shown - passed) :]
                passed += len(text)
                if fresh:
                    shown += len(fresh)
                    show(fresh)

        while True:
            told = self._patiently(job)
            if told.is_over:
                break
            with self._breaks_told(job):
                asyncio.run(self._watched(tail(), job))
            self._sleep(0.2)
        with contextlib.suppress(Unreachable, Unfit):  # a node that is lost took its log with it
            rest = self.log(job)[shown:]
            if rest:
                show(rest)
        return told

    async def _watched(self, tail: Any, job: str) -> None:
        """Follow until the job is over, and ask now and then whether it is.

        A machine that lost its power closes no connection, and Ray holds a log open for 4 to 8 s
        after its job's end.
        """
        tailing = asyncio.ensure_future(tail)
        try:
            while not (await asyncio.wait({tailing}, timeout=_PULSE_S))[0]:
                if (await asyncio.to_thread(self.job, job)).is_over:
                    return
            await tailing
        finally:
            tailing.cancel()

    @contextlib.contextmanager
    def _breaks_told(self, job: str) -> Iterator[None]:
        """A log that breaks off is begun again by the caller, unless asking again is no use."""
        try:
            yield
        except (Refused, Unfit):
            raise
        except Unreachable:
            self._sleep(_AGAIN_S)
        except Exception as error:  # aiohttp's errors have no common base that Ray promises
            told = self._told(error, job)
            if told is None:
                raise
            if not isinstance(told, Unreachable) or isinstance(told, Refused):
                raise told from error
            self._sleep(_AGAIN_S)

    def _patiently(self, job: str) -> Job:
        end = self._clock() + _PATIENCE_S
        while True:
            try:
                return self.job(job)
            except Refused:
                raise
            except Unreachable:
                if self._clock() >= end:
                    raise
                self._sleep(_AGAIN_S)

    def _asked(self, question: Callable[[], T], job: str = "") -> T:
        """Ask the server, with a limit, and turn what goes wrong into our errors."""
        answers: list[T] = []
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                answers.append(question())
            except BaseException as error:  # raised below, in the caller's thread
                errors.append(error)

        asking = threading.Thread(target=ask, name="ray-jobs", daemon=True)
        asking.start()
        asking.join(self._answer_s)
        if answers:
            return answers[0]
        if not errors:
            raise Unreachable(
                f"{self.address} took the question and did not answer within {self._answer_s:g} s.",
                mend="look whether the head still lives: `ray status` on it.",
            )
        told = self._told(errors[0], job)
        if told is None:
            raise errors[0]
        raise told from errors[0]

    def _told(self, error: BaseException, job: str) -> Unreachable | Unfit | None:
        """Our error for one of Ray's client; None for one that is a bug."""
        from ray.exceptions import AuthenticationError

        status = _status_of(error)
        if isinstance(error, AuthenticationError) or status in (401, 403):
            what = "refused the token" if self._has_token else "asks for a token; there is none"
            return Refused(f"{self.address} {what}.", mend=f"{TOKEN_MEND}.")
        if status == 404 and job:
            return Unfit(
                f"there is no job {job} on {self.address}.",
                mend="`sweep submit` names the job that it starts; a cluster that was started anew"
                " has forgotten its jobs. The study is in its storage folder: `sweep resume`.",
            )
        if status is not None and 400 <= status < 500 and status != 404:
            return Unfit(
                f"{self.address} refuses this: {_last_line(error)}", mend="change what it names."
            )
        if isinstance(error, ValueError | KeyError) and self._client is None:
            return None  # `attach` tells it
        foreign = type(error).__module__.partition(".")[0]
        if isinstance(error, OSError | RuntimeError) or foreign in ("aiohttp", "requests"):
            return Unreachable(
                f"Ray's dashboard cannot be reached at {self.address}: {_last_line(error)}",
                mend="look whether the head lives (`ray status` on it) and whether its dashboard's"
                f" port can be reached from here; {TUNNEL_MEND}.",
            )
        return None


def _status_of(error: BaseException) -> int | None:
    """The HTTP status that an error tells of.

    Ray's client puts it into the message of a RuntimeError and nowhere else.
    """
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return status
    found = _STATUS.search(str(error)) if isinstance(error, RuntimeError) else None
    return int(found[1]) if found else None


def _last_line(error: BaseException) -> str:
    """The line that says most: of a traceback that a server sent, its last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


@contextlib.contextmanager
def _unset(names: tuple[str, ...]) -> Iterator[None]:
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
