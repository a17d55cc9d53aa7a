"""What a journal's first line says of where a study comes from."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.provenance import git_commit, host, machine, versions
from search_spaces.secrets import scrubbed


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit, and a program that its configuration names."""
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/canary\n")
    trap.chmod(0o755)
    for words in (
        ["init", "-q"],
        [*identity, "commit", "-q", "--allow-empty", "-m", "first"],
        ["config", "core.fsmonitor", str(trap)],
        ["config", "core.pager", str(trap)],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_the_commit_that_a_sweep_file_stands_in_is_known_and_is_no_secret(repository):
    told = host(repository / "a.yaml")["git_commit"]
    whole = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(told) == 12
    assert whole.startswith(told)
    assert scrubbed(told) == told


def test_asking_for_the_commit_runs_no_program_of_the_repository(repository):
    assert git_commit(repository)
    assert not (repository / "canary").exists()


def test_without_a_repository_or_without_git_there_is_no_commit(tmp_path, monkeypatch):
    assert git_commit(tmp_path) is None
    assert "git_commit" not in host(tmp_path / "a.yaml")
    assert "git_commit" not in host()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None


def test_versions_are_those_of_what_decides_a_trial():
    assert {"python", "torch", "transformers"} <= versions().keys()


@pytest.fixture
def proc(tmp_path):
    """A kernel's files of a machine with two GPUs, one behind the other."""
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Xeon: 8481C @ 2.70GHz\n\n"
        "processor\t: 1\nmodel name\t: Xeon: 8481C @ 2.70GHz\n"
    )
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        folder = tmp_path / "driver" / "nvidia" / "gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t NVIDIA H200\nBus Location: \t {bus}\n")
    return tmp_path


def test_a_machine_is_its_processors_memory_and_gpus(proc):
    told = machine(proc)
    assert told["cpu"] == "Xeon: 8481C @ 2.70GHz"
    assert told["gpus"] == "2 x NVIDIA H200"
    assert told["cpus"] >= 1
    assert 0 < told["memory_gib"] < 2**20
    assert scrubbed(str(told)) == str(told)


def test_what_is_not_known_of_a_machine_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.processor", lambda: "")
    assert set(machine(tmp_path)) == {"cpus", "memory_gib"}


@pytest.mark.parametrize(("code", "gpus"), [(0, "1 x NVIDIA A100"), (9, None)])
def test_without_the_drivers_files_its_program_is_asked(tmp_path, monkeypatch, code, gpus):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 'NVIDIA A100'\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine(tmp_path).get("gpus") == gpus


def test_the_first_line_of_a_journal_tells_of_the_machine():
    assert machine().items() <= host().items()
