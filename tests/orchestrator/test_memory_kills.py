"""Processes that died of want of memory are told from those that were killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.memory_kills import KernelKills, ended_by_ray


def world(root: Path, line: str, counter: str) -> tuple[Path, Path, Path]:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(f"9:pids:/\n{line}\n")
    file = root / "groups" / counter
    file.parent.mkdir(parents=True)
    return root / "proc", root / "groups", file


@pytest.mark.parametrize(
    ("line", "counter"),
    [
        ("0::/user/us", "user/us/memory.events"),
        ("0::/", "memory.events"),
        ("0::/outside", "memory.events"),
        ("4:memory:/us", "memory/us/memory.oom_control"),
        ("4:cpu,memory:/outside", "memory/memory.oom_control"),
    ],
)
def test_what_the_kernel_ended_is_counted_in_our_control_group(
    tmp_path: Path, line: str, counter: str
) -> None:
    proc, groups, file = world(tmp_path, line, counter)
    file.write_text("oom_kill_disable 0\noom 3\noom_kill 2\n")
    kills = KernelKills(proc, groups)
    assert not kills.any_new()
    file.write_text("oom 4\noom_kill 3\n")
    assert kills.any_new()
    assert not kills.any_new()


def test_without_a_control_group_nothing_is_known(tmp_path: Path) -> None:
    assert not KernelKills(tmp_path, tmp_path).any_new()
    proc, groups, _ = world(tmp_path, "0::/", "memory.events")
    assert not KernelKills(proc, groups).any_new()
    assert not KernelKills().any_new()


def test_ray_says_when_it_ended_a_process_for_memory() -> None:
    assert ended_by_ray("1 worker(s) were killed due to the node running low on memory. Memory on")
    assert not ended_by_ray("The actor died unexpectedly: killed by SIGKILL by OOM killer, maybe")
