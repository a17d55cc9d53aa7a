import asyncio
import logging
import os
import sys
import threading
import types
from pathlib import Path

import pytest
from ray.exceptions import AuthenticationError

from orchestrator import jobs as module
from orchestrator.errors import Unfit, Unreachable
from orchestrator.jobs import Jobs, Refused, connect, open_client
from tests.submission.clusters import ADDRESS, Client, status_error


def started(client: Client, jobs: Jobs, folder: Path, job: str = "j-1") -> str:
    jobs.submit("exec true", job=job, folder=folder, metadata={"study": "s"})
    return job


def test_a_job_takes_its_folder_and_nothing_of_this_environment(attached, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "canary-of-wandb")
    monkeypatch.setenv("HF_TOKEN", "hf_canarycanarycanarycanary")
    client = Client()
    (tmp_path / "a.yaml").write_text("a: 1\n")
    started(client, attached(client), tmp_path)
    (submitted,) = client.submitted
    assert submitted["runtime_env"] == {
        "working_dir": str(tmp_path),
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "30"},
    }
    assert client.parcels == [{"a.yaml": "a: 1\n"}]
    assert "canary" not in str(submitted)


def test_a_job_is_told_as_it_stands(attached, tmp_path):
    client = Client(state="FAILED", code=3, message="why")
    jobs = attached(client)
    job = started(client, jobs, tmp_path)
    running = jobs.job(job)
    assert (running.state, running.exit_code, running.is_over) == ("running", None, False)
    ended = jobs.job(job)
    assert (ended.state, ended.exit_code, ended.is_over) == ("failed", 3, True)
    assert (ended.ended or 0) - (ended.started or 0) == 90.0
    assert ended.metadata == {"study": "s"}


def test_a_log_is_followed_to_the_end_of_the_job(attached, tmp_path):
    client = Client(unready=2)
    jobs = attached(client)
    pieces: list[str] = []
    assert jobs.follow(started(client, jobs, tmp_path), pieces.append).state == "succeeded"
    assert "".join(pieces) == "one\ntwo\n"


def test_a_log_that_breaks_off_is_taken_up_without_repeating_a_line(attached, tmp_path):
    client = Client(unready=3)
    client.raising["tail_job_logs"] = [RuntimeError("WebSocket connection closed unexpectedly")]
    jobs = attached(client)
    pieces: list[str] = []
    jobs.follow(started(client, jobs, tmp_path), pieces.append)
    assert "".join(pieces) == "one\ntwo\n"


def test_a_job_that_is_over_is_told_though_ray_holds_its_log_open(attached, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PULSE_S", 0.05)

    class Slow(Client):
        async def tail_job_logs(self, job):
            yield "one\nt"
            await asyncio.sleep(3600)

    client = Slow(unready=2)
    jobs = attached(client)
    pieces: list[str] = []
    assert jobs.follow(started(client, jobs, tmp_path), pieces.append).state == "succeeded"
    assert pieces == ["one\nt", "wo\n"]


def test_the_end_of_a_job_is_told_though_its_log_is_lost_with_its_node(attached, tmp_path):
    client = Client(state="FAILED", code=None, unready=0)
    client.raising["get_job_logs"] = [status_error(500, "agent is gone")]
    jobs = attached(client)
    assert jobs.follow(started(client, jobs, tmp_path), print).state == "failed"


def test_a_cluster_that_is_away_for_less_than_a_minute_is_waited_for(attached, tmp_path):
    client = Client()
    jobs = attached(client)
    job = started(client, jobs, tmp_path)
    client.raising["get_job_info"] = [ConnectionError("refused")] * 5
    assert jobs.wait(job).state == "succeeded"


def test_a_dead_head_is_unreachable_after_a_minute(attached, tmp_path, clock):
    client = Client()
    jobs = attached(client)
    job = started(client, jobs, tmp_path)
    client.raising["get_job_info"] = [ConnectionError("refused")] * 1000
    with pytest.raises(Unreachable) as gone:
        jobs.follow(job, print)
    assert gone.value.exit_code == 7
    assert 60 <= clock.now < 70
    assert ADDRESS in str(gone.value) and "ray status" in str(gone.value)


def test_a_head_that_dies_silently_while_its_log_is_followed_is_noticed(
    attached, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_PULSE_S", 0.05)

    class Silent(Client):
        async def tail_job_logs(self, job):
            self.raising["get_job_info"] = [ConnectionError("no route")] * 1000
            await asyncio.sleep(3600)
            yield ""

    client = Silent()
    jobs = attached(client)
    with pytest.raises(Unreachable, match="no route"):
        jobs.follow(started(client, jobs, tmp_path), print)


def test_a_server_that_never_answers_is_given_up(attached, tmp_path):
    release = threading.Event()

    class Mute(Client):
        def get_job_info(self, job):
            release.wait(30)

    try:
        with pytest.raises(Unreachable, match="did not answer within"):
            attached(Mute(), answer_s=0.1).job("j-1")
    finally:
        release.set()


def test_a_wait_with_a_limit_ends_at_it(attached, tmp_path, clock):
    client = Client(unready=10_000)
    jobs = attached(client)
    assert not jobs.wait(started(client, jobs, tmp_path), limit_s=10).is_over
    assert 10 <= clock.now < 13


@pytest.mark.parametrize(
    ("has_token", "says"), [(True, "refused the token"), (False, "asks for a token")]
)
def test_a_refused_token_is_said_at_once_with_where_to_put_the_right_one(
    attached, clock, has_token, says
):
    client = Client()
    client.raising["get_job_info"] = [AuthenticationError("Authentication failed")]
    with pytest.raises(Refused, match=says) as refused:
        attached(client, has_token=has_token).wait("j-1")
    assert "~/.ray/auth_token" in str(refused.value)
    assert (refused.value.exit_code, clock.now) == (7, 0.0)


def test_a_job_that_is_not_there_is_no_fault_of_the_cluster(attached):
    with pytest.raises(Unfit, match="there is no job nope"):
        attached(Client()).job("nope")


def test_an_error_of_the_server_is_told_by_its_last_line(attached, tmp_path):
    client = Client()
    client.raising["submit_job"] = [status_error(500, "Traceback:\n  File x\nGcsError: gone")]
    with pytest.raises(Unreachable, match="GcsError: gone") as told:
        started(client, attached(client), tmp_path)
    assert "Traceback" not in str(told.value)


def test_what_the_server_refuses_is_refused(attached, tmp_path):
    client = Client()
    client.raising["submit_job"] = [status_error(400, "invalid runtime_env")]
    with pytest.raises(Unfit, match="invalid runtime_env"):
        started(client, attached(client), tmp_path)


@pytest.mark.parametrize("error", [ValueError("no JSON"), KeyError("ray_version")])
def test_another_server_than_rays_is_not_taken_for_one(error):
    def fail():
        raise error

    with pytest.raises(Unreachable, match="not as Ray's dashboard"):
        Jobs(ADDRESS, has_token=False).attach(fail)


def test_a_bug_stays_a_bug(attached, tmp_path):
    client = Client()
    client.raising["submit_job"] = [TypeError("ours")]
    with pytest.raises(TypeError):
        started(client, attached(client), tmp_path)


def test_a_job_that_cannot_be_forgotten_stays(attached):
    client = Client()
    client.raising["delete_job"] = [status_error(500, "busy")]
    attached(client).forget("j-1")
    assert client.deleted == []


def test_without_rays_dashboard_client_the_install_line_is_said(monkeypatch):
    monkeypatch.setattr(module, "_NEEDED", ("no_such_module_here",))
    with pytest.raises(Unfit, match=r"sweep-orchestrator\[cluster\]"):
        connect(ADDRESS, {})


def test_the_address_that_was_given_wins_over_rays_variables(monkeypatch):
    seen = {}

    class Recorder:
        def __init__(self, address, headers):
            names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
            seen.update(address=address, set=[name for name in names if name in os.environ])

    fake = types.ModuleType("ray.job_submission")
    fake.JobSubmissionClient = Recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray.job_submission", fake)
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:8265")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://elsewhere:8265")
    level = logging.getLogger("ray").level
    try:
        open_client(ADDRESS, {})
    finally:
        logging.getLogger("ray").setLevel(level)
    assert seen == {"address": ADDRESS, "set": []}
    assert os.environ["RAY_ADDRESS"] == "http://elsewhere:8265"
