"""A cluster as the client of Ray's dashboard shows it, by hand: jobs that end as they are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.cluster_check import MARK
from sweeps import __version__

ADDRESS = "http://127.0.0.1:8265"


def node(host: str = "head", **changes: Any) -> dict[str, Any]:
    """What a node that lacks nothing answers to the check."""
    return {
        "host": host,
        "python": "3.11.7",
        "package": __version__,
        "lacking": [],
        "missing": [],
        "sees_storage": True,
        "writes_storage": True,
        "tracking": "",
        "tokens": [],
        **changes,
    }


def answer(*nodes: dict[str, Any], cpus: float = 4.0, **changes: Any) -> dict[str, Any]:
    """What the check prints; one node when none is given."""
    told = list(nodes) or [node()]
    first = next((n for n in told if "silent" not in n), node())
    return {
        "driver": first,
        "nodes": told,
        "resources": {"CPU": cpus},
        "storage_fault": "",
        **changes,
    }


def status_error(status: int, text: str) -> RuntimeError:
    """What Ray's client raises for an answer that is not 200."""
    return RuntimeError(f"Request failed with status code {status}: {text}.")


class Client:
    """Stands in for ray.job_submission.JobSubmissionClient.

    Args:
        told: the check's answer; a text is its whole log.
        state, code, message: how every other job ends.
        log: what it writes, in the pieces in which it comes.
        unready: how often it is asked for before it is over.
    """

    def __init__(
        self,
        told: dict[str, Any] | str | None = None,
        *,
        state: str = "SUCCEEDED",
        code: int | None = 0,
        message: str = "",
        log: tuple[str, ...] = ("one\n", "two\n"),
        unready: int = 1,
    ) -> None:
        self.told = told if told is not None else answer()
        self.state, self.code, self.message, self.log = state, code, message, log
        self.check_state, self.check_code, self.check_unready = "SUCCEEDED", 0, 1
        self.unready = unready
        self.submitted: list[dict[str, Any]] = []
        self.parcels: list[dict[str, str]] = []
        self.wheels: list[list[str]] = []
        self.stopped: list[str] = []
        self.deleted: list[str] = []
        self.raising: dict[str, list[BaseException]] = {}
        self._asked: dict[str, int] = {}

    def _raise(self, name: str) -> None:
        if self.raising.get(name):
            raise self.raising[name].pop(0)

    def submit_job(self, **options: Any) -> str:
        self._raise("submit_job")
        self.submitted.append(options)
        folder = Path(options["runtime_env"]["working_dir"])
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        self.parcels.append({p.relative_to(folder).as_posix(): p.read_text() for p in files})
        modules = options["runtime_env"].get("py_modules", [])
        assert all(Path(module).is_file() for module in modules)
        self.wheels.append([Path(module).name for module in modules])
        return options["submission_id"]

    def get_job_info(self, job: str) -> SimpleNamespace:
        self._raise("get_job_info")
        submission = self._submission(job)
        times = self._asked[job] = self._asked.get(job, 0) + 1
        is_check = submission["entrypoint"].endswith("cluster_check.py")
        unready = self.check_unready if is_check else self.unready
        over = times > unready or job in self.stopped
        state = (self.check_state if is_check else self.state) if over else "RUNNING"
        code = (self.check_code if is_check else self.code) if over else None
        if job in self.stopped:
            state, code = "STOPPED", None
        return SimpleNamespace(
            submission_id=job,
            job_id=None,
            status=SimpleNamespace(value=state),
            message=self.message,
            driver_exit_code=code,
            start_time=1_000_000,
            end_time=1_090_000 if over else None,
            metadata=submission["metadata"],
        )

    def get_job_logs(self, job: str) -> str:
        self._raise("get_job_logs")
        if self._submission(job)["entrypoint"].endswith("cluster_check.py"):
            answered = f"x\n{MARK}{json.dumps(self.told)}\n"
            return self.told if isinstance(self.told, str) else answered
        return "".join(self.log)

    async def tail_job_logs(self, job: str) -> AsyncIterator[str]:
        self._submission(job)
        for n, piece in enumerate(self.log):
            if n:
                self._raise("tail_job_logs")
            yield piece

    def stop_job(self, job: str) -> bool:
        self._raise("stop_job")
        self._submission(job)
        self.stopped.append(job)
        return True

    def delete_job(self, job: str) -> bool:
        self._raise("delete_job")
        self.deleted.append(job)
        return True

    def _submission(self, job: str) -> dict[str, Any]:
        for submission in self.submitted:
            if submission["submission_id"] == job:
                return submission
        raise status_error(404, f"Job {job} does not exist")
