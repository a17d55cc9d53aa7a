"""A job that was submitted: how it stands, its log, its end and what that means as an exit code.

Asks `orchestrator/jobs.py` and prints; starts nothing. Ctrl-C here never ends a job: whoever
follows one from a laptop may close it.
"""

from __future__ import annotations

from typing import Any

from orchestrator.errors import Interrupted, Unreachable
from orchestrator.jobs import FAILED, STOP_WAIT_S, STOPPED, SUCCEEDED, Job, Jobs
from search_spaces.secrets import scrubbed_data
from sweeps.console import Surface
from sweeps.text import command, duration, last_lines

STOPPING_S = STOP_WAIT_S + 15.0
"""How long `sweep job stop` waits for the end."""

STOPPED_CODE = 143
"""A job is stopped by SIGTERM, and that is what `sweep run` ends with then."""

_MEANS = {
    0: "done",
    1: "no usable result, or a bug",
    2: "refused; nothing was started",
    3: "done, some trials failed",
    4: "the study's name is taken, or somebody else writes to it",
    5: "the study's state cannot be read",
    6: "the disk is full; resumable",
    7: "the cluster or a backend cannot be reached; resumable",
    130: "interrupted; resumable",
    138: "interrupted; resumable",
    143: "interrupted; resumable",
}
_RESUMABLE = (6, 7, 130, 137, 138, 143)


def exit_code(job: Job) -> int:
    """The study's exit code, as the job that ran it tells.

    A driver that a signal ended counts as a shell would count it: 128 and the signal.

    Args:
        job: one that is over.

    Raises:
        Unreachable: it never ran, or was lost with its node.
    """
    if job.state == SUCCEEDED:
        return 0
    if job.state == STOPPED:
        return STOPPED_CODE
    if job.exit_code is None:
        raise Unreachable(
            f"{job.id}: the cluster lost the job, or never started it:"
            f" {last_lines(job.message, 3) or 'it does not say why'}",
            mend="look at the cluster with `ray status` on its head; a study that had begun goes"
            " on with `sweep submit FILE --resume` and the same --storage.",
        )
    return job.exit_code if job.exit_code >= 0 else 128 - job.exit_code


def as_json(job: Job, address: str) -> dict[str, Any]:
    """The job as `--json` gives it; `exit_code` is the study's, null while it runs or if lost."""
    return {
        "job": job.id,
        "address": address,
        "state": job.state,
        "study": job.metadata.get("study"),
        "storage": job.metadata.get("storage"),
        "exit_code": _known_code(job),
        "started": job.started,
        "ended": job.ended,
    }


def tell(surface: Surface, job: Job, address: str) -> None:
    """Say how a job stands and what to type next."""
    study = job.metadata.get("study")
    storage = job.metadata.get("storage")
    of = f" ({study} in {storage})" if study and storage else ""
    code = _known_code(job)
    if code is not None:
        meaning = _MEANS.get(code, "ended by a signal" if code > 128 else "")
        words = f"{job.state}, exit {code}{': ' if meaning else ''}{meaning}"
    elif job.state == FAILED:
        words = f"failed: {last_lines(job.message, 3) or 'the cluster does not say why'}"
    else:
        words = job.state
    took = ""
    if job.started is not None and job.ended is not None:
        took = f", after {duration(job.ended - job.started)}"
    surface.say(f"{job.id}{of}: {words}{took}")
    at = ["--address", address]
    if not job.is_over:
        surface.next_step(command("sweep", "job", "logs", job.id, "-f", *at))
        return
    if study and storage:
        surface.say(f"on a machine that sees {storage}:", style="dim")
        surface.next_step(command("sweep", "show", study, "--storage", storage))
        if code in _RESUMABLE or code is None:
            surface.next_step(f"sweep submit FILE --resume {command('--storage', storage, *at)}")


def follow(
    surface: Surface,
    jobs: Jobs,
    job: str,
    *,
    show_log: bool = True,
    more: dict[str, Any] | None = None,
) -> int:
    """Wait for a job's end, showing its log; return the study's exit code.

    Args:
        show_log: False: only wait.
        more: added to the `--json` object.

    Raises:
        Interrupted: by Ctrl-C here; the job goes on.
        Unreachable: the cluster is gone, or lost the job.
    """
    try:
        ended = shown(surface, jobs, job) if show_log else jobs.wait(job)
    except KeyboardInterrupt as error:
        at = ["--address", jobs.address]
        raise Interrupted(
            2,
            f"no longer following {job}; it goes on.",
            mend=f"follow it again with `{command('sweep', 'job', 'wait', job, *at)}`, or end it"
            f" with `{command('sweep', 'job', 'stop', job, *at)}`.",
        ) from error
    tell(surface, ended, jobs.address)
    code = exit_code(ended)
    surface.give({**as_json(ended, jobs.address), **(more or {})})
    return code


def shown(surface: Surface, jobs: Jobs, job: str) -> Job:
    """Show a job's log to its end; raises as `Jobs.follow`."""
    lines = Lines(surface)
    try:
        return jobs.follow(job, lines)
    finally:
        lines.close()


def log_data(job: str, address: str, text: str) -> dict[str, Any]:
    """The `--json` object of a log, without what is known as a secret."""
    return {"job": job, "address": address, "log": scrubbed_data(text)}


class Lines:
    """Takes pieces of a log and says whole lines, as the surface says everything: scrubbed."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._rest = ""

    def __call__(self, piece: str) -> None:
        *lines, self._rest = (self._rest + piece).split("\n")
        for line in lines:
            self._surface.say(line)

    def close(self) -> None:
        """Say what is left: a line that was never ended."""
        if self._rest:
            self._surface.say(self._rest)
        self._rest = ""


def _known_code(job: Job) -> int | None:
    if not job.is_over or (job.state == FAILED and job.exit_code is None):
        return None
    return exit_code(job)
