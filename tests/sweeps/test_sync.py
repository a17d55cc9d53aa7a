"""`sweep sync` as a person runs it: what it says, its object, its exit code."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from orchestrator.lock import StudyLock
from orchestrator.tracking import wandb as wandb_file
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.tracker import Call
from sweeps.cli import app
from tests.orchestrator.tracking.conftest import own_wandb as own_wandb
from tests.sweeps.studies import random_study, spec, write_study

RUN = {
    "trial": "0000",
    "name": "0000",
    "group": "g",
    "job_type": "random",
    "tags": [],
    "config": {},
}
CALLS: list[Call] = [
    {"verb": "start_run", "trial": "0000", "run": RUN},
    {"verb": "log", "trial": "0000", "values": {"train/loss": 0.5}, "step": 1},
    {"verb": "finish_run", "trial": "0000", "state": "finished", "summary": {}},
]


def study(storage: Path, name: str, backend: str, calls: list[Call]) -> Path:
    """A study that ended while its tracker was down."""
    tracked = spec(name, tracking={"backends": [backend], "mode": "online"})
    folder = write_study(storage, tracked, random_study(tracked))
    for call in calls:
        Backlog(folder / "tracking" / "unsent" / backend / "0000.jsonl").append(call)
    return folder


def sync(*words: object) -> tuple[int, str, dict[str, Any]]:
    """Exit code, words and object of `sweep sync ... --json`."""
    done = CliRunner().invoke(app, ["sync", *map(str, words), "--json"])
    return done.exit_code, done.stderr, json.loads(done.stdout)


def test_what_waits_is_sent_and_is_gone_afterwards(tmp_path: Path) -> None:
    study(tmp_path, "waits", "tensorboard", CALLS)
    study(tmp_path, "has-all", "tensorboard", [])
    code, words, data = sync("--storage", tmp_path)
    assert code == 0
    assert [row["name"] for row in data["studies"]] == ["waits"]
    assert data["studies"][0]["before"] == {"calls": 3, "lines": 1, "runs": 0}
    assert data["studies"][0]["left"] == {"calls": 0, "lines": 0, "runs": 0}
    assert "waits: 1 line sent." in words
    assert list((tmp_path / "waits" / "tracking" / "tensorboard" / "0000").iterdir())

    assert sync("--storage", tmp_path)[2]["studies"] == []
    code, words, _ = sync("waits", "--storage", tmp_path)
    assert (code, "its trackers have everything" in words) == (0, True)


def test_a_running_study_sends_by_itself(tmp_path: Path) -> None:
    folder = study(tmp_path, "runs", "tensorboard", CALLS)
    lock = StudyLock(folder)
    assert sync("runs", "--storage", tmp_path)[0] == 4
    lock.release()
    assert sync("runs", "--storage", tmp_path)[0] == 0


@pytest.mark.usefixtures("own_wandb")
def test_a_server_that_is_still_down_exits_7_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{refusing.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setitem(wandb_file._SETTINGS, "init_timeout", 1.0)
        study(tmp_path, "down", "wandb", CALLS)
        code, words, data = sync("down", "--storage", tmp_path)
    assert code == 7
    assert data["studies"][0]["left"] == data["studies"][0]["before"]
    assert "wandb cannot be reached" in words and "down: 1 line not sent." in words
    assert "a" * 40 not in words
