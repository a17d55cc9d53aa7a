"""One Ray head of this machine with dashboard and token authentication, and real jobs on it.

The head is a process of its own with ports and folders of its own, so that nothing of another Ray
on the machine is met; it is ended by process id.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from orchestrator.errors import Unreachable
from orchestrator.jobs import connect
from orchestrator.results import read_study
from sweeps.cli import app

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "spaces" / "quickstart.yaml"
TOKEN = "a-token-of-the-tests"
_BROUGHT = ("aiohttp", "aiohttp_cors", "colorful", "opencensus", "prometheus_client", "requests")
_LACKING = [name for name in _BROUGHT if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("head"),  # a Ray of its own: it may run beside the others'
    pytest.mark.skipif(
        bool(_LACKING), reason=f"ray[default] is not installed: {', '.join(_LACKING)}"
    ),
]


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Head:
    """A running head.

    Attributes:
        address: of its dashboard.
        environment: what a person who may use it has set.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sj-"))  # sockets allow 107 characters
        (self.folder / "token").write_text(TOKEN)
        gcs, dashboard, client, agent = free_ports(4)
        self.address = f"http://127.0.0.1:{dashboard}"
        self.environment = {"RAY_AUTH_TOKEN": TOKEN}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        environment.update(
            PATH=path,
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN_PATH=str(self.folder / "token"),
            RAY_USAGE_STATS_ENABLED="0",
        )
        self._log = (self.folder / "head.log").open("wb")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from ray.scripts.scripts import main; main()"),
                *("start", "--head", "--block", "--num-cpus=2", "--num-gpus=0"),
                *("--node-ip-address=127.0.0.1", f"--port={gcs}"),
                *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
                *(f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent}"),
                *(f"--temp-dir={self.folder / 'ray'}", "--object-store-memory=100000000"),
            ],
            env=environment,
            cwd=self.folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def until_up(self, limit_s: float = 60.0) -> None:
        """Wait for the dashboard, and for the agent that takes jobs."""
        end = time.monotonic() + limit_s
        while True:
            try:
                jobs = connect(self.address, self.environment)
                jobs.submit("true", job=f"up-{time.monotonic_ns()}", folder=self.empty())
                return
            except Unreachable:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "head.log").read_text()) from None
                time.sleep(0.5)

    def empty(self) -> Path:
        folder = self.folder / "empty"
        folder.mkdir(exist_ok=True)
        (folder / "file").touch()
        return folder

    def end(self) -> None:
        """End the head and everything that it started, by process id."""
        if self._log.closed:
            return
        living = _children(self.process.pid)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed below
            self.process.wait(5)
        for process in living:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.kill()
        self.process.wait(10)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    started = Head()
    try:
        started.until_up()
        yield started
    finally:
        started.end()


def sweep(head: Head, *arguments: object, **environment: str):
    words = [str(a) for a in arguments]
    return CliRunner(env={**head.environment, **environment}).invoke(app, words)


def test_a_wrong_token_is_exit_7_and_says_where_the_right_one_goes(head):
    done = sweep(head, "job", "status", "any", "--address", head.address, RAY_AUTH_TOKEN="wrong")
    assert done.exit_code == 7
    assert "refused the token" in done.output and "auth_token" in done.output


def test_no_token_is_exit_7_and_says_so(head, tmp_path):
    nobody = {"RAY_AUTH_TOKEN": "", "HOME": str(tmp_path)}
    done = sweep(head, "job", "status", "any", "--address", head.address, **nobody)
    assert done.exit_code == 7
    assert "asks for a token" in done.output


def test_no_server_is_exit_7(head):
    (port,) = free_ports(1)
    done = sweep(head, "job", "status", "any", "--address", f"http://127.0.0.1:{port}")
    assert done.exit_code == 7
    assert "cannot be reached" in done.output


def test_a_job_that_is_not_there_is_told(head):
    done = sweep(head, "job", "status", "nope", "--address", head.address)
    assert done.exit_code == 2
    assert "there is no job nope" in done.output


def test_the_quickstart_runs_there_and_its_log_is_followed_to_the_end(head, tmp_path):
    at = ("--address", head.address)
    storage = tmp_path / "studies"
    done = sweep(
        head,
        *("submit", QUICKSTART, *at, "--storage", storage, "--smoke", "--ship", "--wait"),
        HF_TOKEN="hf_canaryCanaryCanaryCanary",
    )
    assert done.exit_code == 0, done.output
    assert "quickstart-smoke" in done.output and "succeeded, exit 0: done" in done.output
    assert read_study(storage / "quickstart-smoke").status == "finished"
    job = next(w for w in done.output.split() if w.startswith("quickstart-smoke-")).rstrip(":")
    told = json.loads(sweep(head, "job", "status", job, *at, "--json").stdout)
    assert (told["state"], told["exit_code"]) == ("succeeded", 0)
    details = connect(head.address, head.environment)._client.get_job_info(job)
    assert "canary" not in str(details).lower()


def test_the_exit_code_of_a_command_is_handed_through(head):
    at = ("--address", head.address)
    connect(head.address, head.environment).submit("exit 3", job="three", folder=head.empty())
    assert sweep(head, "job", "wait", "three", *at).exit_code == 3
    assert "failed, exit 3" in sweep(head, "job", "status", "three", *at).output


def test_a_job_is_stopped_and_its_study_can_be_resumed(head, tmp_path):
    at = ("--address", head.address)
    storage = tmp_path / "studies"
    longer = ("--set", "training_arguments.num_train_epochs=400")
    longer += ("--set", "resources.max_concurrent=1")  # one process less to start
    words = ("submit", QUICKSTART, *at, "--storage", storage, *longer, "--json")
    job = json.loads(sweep(head, *words).stdout)["job"]
    end = time.monotonic() + 120
    while not (storage / "quickstart" / "journal.jsonl").exists():
        assert time.monotonic() < end, sweep(head, "job", "logs", job, *at).output
        time.sleep(0.3)
    stopped = sweep(head, "job", "stop", job, *at)
    assert "stopped, exit 143" in stopped.output, stopped.output
    assert read_study(storage / "quickstart").status == "interrupted"
    assert sweep(head, "job", "wait", job, *at).exit_code == 143


def test_a_dead_head_is_exit_7(head):  # the last: it ends it
    head.end()
    done = sweep(head, "job", "status", "any", "--address", head.address)
    assert done.exit_code == 7
    assert "ray status" in done.output
