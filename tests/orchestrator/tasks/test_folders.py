"""Folders that appear whole or not at all, whoever else builds them and whatever is killed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DiskFull
from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.folders import META, built, read_meta


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    calls = []

    def build(folder: Path) -> dict[str, Any]:
        calls.append(folder)
        (folder / "data").write_text("x")
        return {"rows": 1}

    target = tmp_path / "cache" / "rows"
    assert built(target, build)["rows"] == built(target, build)["rows"] == 1
    assert len(calls) == 1
    assert sorted(p.name for p in target.iterdir()) == ["data", META]


def test_what_raises_leaves_nothing_behind(tmp_path: Path) -> None:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        built(tmp_path / "rows", build)
    assert [p.name for p in tmp_path.iterdir()] == [".rows.lock"]


def test_a_full_disk_and_a_forbidden_folder_are_said_plainly(tmp_path: Path) -> None:
    def full(folder: Path) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    def forbidden(folder: Path) -> dict[str, Any]:
        raise OSError(errno.EROFS, "Read-only file system")

    with pytest.raises(DiskFull, match=r"no room for the tokenised data; \d+ MiB") as caught:
        built(tmp_path / "rows", full)
    assert caught.value.exit_code == 6
    with pytest.raises(TaskError, match=r"cannot be written there: Read-only(.|\n)*--storage"):
        built(tmp_path / "rows", forbidden)


@pytest.mark.parametrize("damage", ["short", "gone", "meta"])
def test_a_damaged_folder_is_built_again(tmp_path: Path, damage: str) -> None:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "data").write_text("whole")
        return {}

    target = tmp_path / "rows"
    built(target, build)
    if damage == "short":
        (target / "data").write_text("who")
    elif damage == "gone":
        (target / "data").unlink()
    else:
        (target / META).write_text("{")
    assert read_meta(target) is None
    built(target, build)
    assert (target / "data").read_text() == "whole"


def _slow_build(folder: Path, log: str) -> dict[str, Any]:
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    (folder / "data").write_text("x" * 1000)
    time.sleep(0.3)
    return {"pid": os.getpid()}


def _process(target: str, log: str, answer: Any) -> None:
    answer.put(built(Path(target), lambda folder: _slow_build(folder, log))["pid"])


def test_two_processes_that_start_at_once_share_one_build(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    arguments = (str(tmp_path / "rows"), str(tmp_path / "log"), answers)
    processes = [context.Process(target=_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    pids = {answers.get(timeout=20) for _ in processes}
    for process in processes:
        process.join()
    assert len(pids) == 1
    assert len((tmp_path / "log").read_text().split()) == 1


def _hang(target: str) -> None:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("x")
        time.sleep(60)
        return {}

    built(Path(target), build)


def test_after_a_process_was_killed_mid_way_the_next_one_builds_and_cleans_up(
    tmp_path: Path,
) -> None:
    target = tmp_path / "rows"
    process = multiprocessing.get_context("fork").Process(target=_hang, args=(str(target),))
    process.start()
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".rows.tmp-*/half")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not target.exists()
    assert built(target, lambda folder: {"done": True})["done"] is True
    assert sorted(p.name for p in tmp_path.iterdir()) == [".rows.lock", "rows"]


def test_without_locks_the_first_to_finish_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(handle: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("orchestrator.tasks.folders.fcntl.flock", no_locks)
    target = tmp_path / "rows"
    both = threading.Barrier(2)

    def build(folder: Path) -> dict[str, Any]:
        (folder / "data").write_text(folder.name)
        both.wait(timeout=10)
        return {}

    threads = [threading.Thread(target=built, args=(target, build)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meta = json.loads((target / META).read_text())
    assert meta["files"] == {"data": (target / "data").stat().st_size}
