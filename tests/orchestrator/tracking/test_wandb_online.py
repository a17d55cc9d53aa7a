"""Online, against a small server of our own that works, fails, hangs, and comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.tracking import wandb as wandb_file
from orchestrator.tracking.backends import open_outboxes
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.sync import Unsent, sync_study, unsent
from orchestrator.tracking.wandb import WandbTracker
from tests.orchestrator.tracking.fakes import run, toy_spec, wait_for
from tests.orchestrator.tracking.wandb_server import Server, wandb_server

pytestmark = pytest.mark.usefixtures("own_wandb")


@pytest.fixture(autouse=True)
def impatient(own_wandb: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait one second where a study waits twenty."""
    monkeypatch.setitem(wandb_file._SETTINGS, "init_timeout", 1.0)
    monkeypatch.setitem(wandb_file._SETTINGS, "finish_timeout", 1.0)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with wandb_server() as state:
        monkeypatch.setenv("WANDB_BASE_URL", state.address)
        yield state


def outbox(tmp_path: Path, notices: list[str]) -> Outbox:
    spec = toy_spec(tmp_path, more="mode: online")
    tracking = tmp_path / "tracking"
    return Outbox(
        lambda: WandbTracker(spec, tracking, notices.append),
        tracking / "unsent",
        name="wandb",
        on_notice=notices.append,
        settle_s=0.0,
        retry_s=(0.1, 0.2),
    )


def test_runs_arrive_whole_and_under_their_group(tmp_path: Path, server: Server) -> None:
    notices: list[str] = []
    box = outbox(tmp_path, notices)
    for trial in ("t0", "t1"):
        box.start_run(run(trial, learning_rate=1e-5))
    for step in range(5):
        for trial in ("t0", "t1"):
            box.log(trial, {"train/loss": step / 2}, step)
    box.finish_run("t0", "finished", {"best/eval_accuracy": 0.9})
    box.finish_run("t1", "failed", {"failure": "code"})
    assert box.close(20) == ()
    assert notices == []
    for trial, code in (("t0", 0), ("t1", 1)):
        kept = server.run_of(trial)
        assert (kept.name, kept.group, kept.job_type) == (trial, "toy", "random")
        assert kept.config["learning_rate"] == 1e-5
        assert kept.curve("train/loss") == [(step, step / 2) for step in range(5)]
        assert kept.exit_code == code
    assert server.run_of("t0").summary["best/eval_accuracy"] == 0.9


def test_a_restarted_driver_goes_on_with_the_same_run_online(
    tmp_path: Path, server: Server
) -> None:
    for step in (1, 2):
        box = outbox(tmp_path, [])
        box.start_run(run("t0", learning_rate=step))
        box.log("t0", {"train/loss": 1.0}, step)
        assert box.close(20) == ()
    assert len(server.runs) == 1
    assert server.run_of("t0").curve("train/loss") == [(1, 1.0), (2, 1.0)]
    assert server.run_of("t0").config["learning_rate"] == 2


def test_a_server_that_fails_at_first_gets_every_line_when_it_answers(
    tmp_path: Path, server: Server
) -> None:
    server.mode = "500"
    notices: list[str] = []
    box = outbox(tmp_path, notices)
    box.start_run(run("t0"))
    for step in range(10):
        box.log("t0", {"train/loss": 1.0}, step)
    wait_for(lambda: bool(notices), timeout_s=15)
    server.mode = "works"
    wait_for(lambda: box.unsent_lines == 0, timeout_s=15)
    box.finish_run("t0", "finished", {})
    assert box.close(20) == ()
    assert [step for step, _ in server.run_of("t0").curve("train/loss")] == list(range(10))
    assert len(server.runs) == 1
    assert "cannot be reached (CommError" in notices[0] and "answers again" in notices[1]


def test_what_a_study_could_not_send_is_sent_after_its_end(tmp_path: Path, server: Server) -> None:
    spec = toy_spec(tmp_path, more="mode: online")
    tracking = tmp_path / "tracking"
    server.mode = "500"
    notices: list[str] = []
    outboxes = open_outboxes(spec, tracking, notices.append)
    outboxes.start_run(run("t0"))
    outboxes.log("t0", {"train/loss": 1.0}, 1)
    outboxes.finish_run("t0", "finished", {"state": "finished"})
    wait_for(lambda: bool(notices), timeout_s=15)
    assert "1 lines not sent" in outboxes.close(4)[-1]

    server.mode = "works"
    synced = sync_study(spec, tracking, on_notice=pytest.fail)
    assert (synced.before.lines, synced.left) == (1, Unsent(0, 0, 0))
    assert server.run_of("t0").curve("train/loss") == [(1, 1.0)]
    assert server.run_of("t0").exit_code == 0
    assert list((tracking / "unsent" / "wandb").iterdir()) == []


def test_a_run_that_cannot_begin_costs_the_open_ones_nothing_and_gets_one_run_later(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wandb_file._SETTINGS, "finish_timeout", 20.0)  # t0 waits after the 500s
    notices: list[str] = []
    box = outbox(tmp_path, notices)
    box.start_run(run("t0"))
    box.log("t0", {"train/loss": 1.0}, 0)
    wait_for(lambda: box.unsent_lines == 0, timeout_s=15)
    server.mode = "500"
    box.start_run(run("t1"))
    box.log("t1", {"train/loss": 1.0}, 0)
    box.log("t0", {"train/loss": 1.0}, 1)
    wait_for(lambda: bool(notices), timeout_s=15)
    server.mode = "works"
    wait_for(lambda: box.unsent_lines == 0, timeout_s=15)
    assert box.close(20) == ()
    again = outbox(tmp_path, notices)
    again.start_run(run("t1"))
    again.log("t1", {"train/loss": 1.0}, 1)
    assert again.close(20) == ()
    assert len(server.runs) == 2
    curves = [kept.curve("train/loss") for kept in server.runs.values()]
    assert curves == [[(0, 1.0), (1, 1.0)]] * 2


@pytest.mark.parametrize("mode", ["500", "hangs"])
def test_a_server_that_fails_midway_gets_the_rest_of_the_same_run_by_sync(
    tmp_path: Path, server: Server, mode: str
) -> None:
    notices: list[str] = []
    box = outbox(tmp_path, notices)
    box.start_run(run("t0"))
    box.log("t0", {"train/loss": 1.0}, 1)
    wait_for(lambda: box.unsent_lines == 0, timeout_s=15)
    server.mode = mode
    box.log("t0", {"train/loss": 0.5}, 2)
    box.finish_run("t0", "finished", {})
    before = time.monotonic()
    (words,) = box.close(20)
    assert time.monotonic() - before < 10
    assert words == (
        f"wandb: 1 runs could not be uploaded in time. Upload them with: sweep sync {tmp_path}"
    )
    spec, tracking = toy_spec(tmp_path, more="mode: online"), tmp_path / "tracking"
    synced = sync_study(spec, tracking, on_notice=notices.append, quiet_s=2.0)
    assert synced.left == Unsent(0, 0, 1)
    assert "did not take 1 of 1 runs" in notices[-1]

    server.mode = "works"
    synced = sync_study(spec, tracking, on_notice=pytest.fail)
    assert not synced.left
    assert list(server.runs) == [f"{(tracking / 'wandb-id').read_text().strip()}-t0"]
    assert server.run_of("t0").curve("train/loss") == [(1, 1.0), (2, 0.5)]
    assert server.run_of("t0").exit_code == 0
    assert list((tmp_path / "work").iterdir()) == [], "nothing in the working directory"


def test_what_a_killed_process_left_of_a_run_is_uploaded_before_the_run_goes_on(
    tmp_path: Path, server: Server
) -> None:
    spec, tracking = toy_spec(tmp_path, more="mode: online"), tmp_path / "tracking"
    killed = WandbTracker(spec, tracking, pytest.fail)
    killed.start_run(run("t0"))
    wait_for(lambda: bool(server.runs), timeout_s=15)
    server.mode = "500"
    killed.log("t0", {"train/loss": 1.0}, 1)
    killed._finish(killed._runs.pop("t0"), 255)  # what wandb's file holds when it is killed
    assert unsent(tracking).runs == 1

    server.mode = "works"
    again = WandbTracker(spec, tracking, pytest.fail)
    again.start_run(run("t0"))
    again.log("t0", {"train/loss": 0.5}, 2)
    again.finish_run("t0", "finished", {})
    assert again.close(1) == ()
    assert not unsent(tracking)
    assert len(server.runs) == 1
    assert server.run_of("t0").curve("train/loss") == [(1, 1.0), (2, 0.5)]


def test_runs_written_offline_are_uploaded_once_there_is_a_key(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, tracking = toy_spec(tmp_path, more="mode: auto"), tmp_path / "tracking"
    monkeypatch.delenv("WANDB_API_KEY")
    tracker = WandbTracker(spec, tracking, lambda text: None)
    tracker.start_run(run("t0"))
    tracker.log("t0", {"train/loss": 1.0}, 1)
    tracker.finish_run("t0", "finished", {})
    assert tracker.close(1) == (
        f"wandb: runs are offline. Upload them with: sweep sync {tmp_path}",
    )
    notices: list[str] = []
    assert sync_study(spec, tracking, on_notice=notices.append).left == Unsent(0, 0, 1)
    assert "needs an API key" in notices[-1]

    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    assert not sync_study(spec, tracking, on_notice=pytest.fail).left
    assert server.run_of("t0").curve("train/loss") == [(1, 1.0)]
    assert sync_study(spec, tracking, on_notice=pytest.fail).before == Unsent(0, 0, 0)


@contextlib.contextmanager
def dead_server(answers: str) -> Iterator[str]:
    """A server that refuses connections, or accepts them and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if answers == "refuses":
            yield address
            return
        listening.listen(64)
        kept: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    kept.append(listening.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield address
        for connection in kept:
            connection.close()


@pytest.mark.parametrize("answers", ["refuses", "never"])
def test_a_server_that_does_not_work_costs_the_study_no_time_and_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    tracking = tmp_path / "tracking"
    notices: list[str] = []
    with dead_server(answers) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        spec = toy_spec(tmp_path, more="mode: online")
        outboxes = open_outboxes(spec, tracking, notices.append)
        started = time.monotonic()
        outboxes.start_run(run("t0"))
        for step in range(50):
            outboxes.log("t0", {"train/loss": 1.0}, step)
        assert time.monotonic() - started < 0.5
        wait_for(lambda: bool(notices), timeout_s=15)
        started = time.monotonic()
        words = outboxes.close(4)
        assert time.monotonic() - started < 5
    assert notices[0].startswith("wandb cannot be reached (CommError")
    assert "a" * 40 not in notices[0]
    kept = tracking / "unsent" / "wandb" / "t0.jsonl"
    assert f"wandb: 50 lines not sent, kept in {kept}" in words[-1]
    assert len(kept.read_text().splitlines()) == 51
    assert not list((tracking / "wandb").glob("run-*-t0")), "no stump is left to be uploaded"
