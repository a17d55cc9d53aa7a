"""What a journal's first line says of where a study comes from."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.provenance import git_commit, host, versions
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
