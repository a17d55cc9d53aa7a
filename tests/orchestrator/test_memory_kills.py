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
    now = [100.0]
    kills = KernelKills(proc, groups, clock=lambda: now[0])
    assert not kills.any_recent()
    file.write_text("oom 4\noom_kill 3\n")
    assert kills.any_recent()
    now[0] += 6
    assert not kills.any_recent()


@pytest.fixture
def now() -> list[float]:
    """The time in seconds; a test changes the one item."""
    return [0.0]


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    file = world(tmp_path, "0::/", "memory.events")[2]
    file.write_text("oom_kill 2\n")
    return file


@pytest.fixture
def kills(tmp_path: Path, counter: Path, now: list[float]) -> KernelKills:
    return KernelKills(tmp_path / "proc", tmp_path / "groups", clock=lambda: now[0])


def pass_time(kills: KernelKills, now: list[float], seconds: float) -> None:
    for _ in range(int(2 * seconds)):
        now[0] += 0.5
        kills.sample()


def test_a_kill_of_long_ago_says_nothing_of_a_death_now(
    kills: KernelKills, counter: Path, now: list[float]
) -> None:
    pass_time(kills, now, 60)
    counter.write_text("oom_kill 3\n")
    pass_time(kills, now, 3600)
    assert not kills.any_recent()
    counter.write_text("oom_kill 4\n")
    pass_time(kills, now, 2)
    assert kills.any_recent()


def test_each_of_two_workers_that_died_at_once_is_told_of_the_kills(
    kills: KernelKills, counter: Path, now: list[float]
) -> None:
    pass_time(kills, now, 60)
    counter.write_text("oom_kill 4\n")
    assert [kills.any_recent(), kills.any_recent()] == [True, True]


def test_a_kill_while_nobody_sampled_is_not_missed(
    kills: KernelKills, counter: Path, now: list[float]
) -> None:
    pass_time(kills, now, 60)
    counter.write_text("oom_kill 3\n")
    now[0] += 30  # memory was so short that the driver stood still
    assert kills.any_recent()


def test_without_a_control_group_nothing_is_known(tmp_path: Path) -> None:
    assert not KernelKills(tmp_path, tmp_path).any_recent()
    proc, groups, _ = world(tmp_path, "0::/", "memory.events")
    assert not KernelKills(proc, groups).any_recent()
    assert not KernelKills().any_recent()


def test_ray_says_when_it_ended_a_process_for_memory() -> None:
    assert ended_by_ray("1 worker(s) were killed due to the node running low on memory. Memory on")
    assert not ended_by_ray("The actor died unexpectedly: killed by SIGKILL by OOM killer, maybe")
