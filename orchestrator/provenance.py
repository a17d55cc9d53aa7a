"""Where a study comes from, for its journal's first line: versions, machine, git commit.

Asks nothing of Ray or torch. Of git only what HEAD is: that runs no hook and no program that a
repository's own configuration could name, so changes that are not committed go unnoticed. The
commit is shortened, because forty hexadecimal digits are what an access key looks like and would
be taken out of the journal.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

_VERSIONS = ("sweep-orchestrator", "ray", "torch", "transformers", "optuna", "datasets")
_COMMIT_DIGITS = 12
_GIT_S = 5.0


def host(sweep_file: Path | None = None) -> dict[str, Any]:
    """The driver's machine, and the commit that the sweep file stands in, where it is known."""
    facts: dict[str, Any] = {"name": socket.gethostname(), "cpus": os.cpu_count() or 0}
    commit = None if sweep_file is None else git_commit(sweep_file.parent)
    return facts if commit is None else {**facts, "git_commit": commit}


def git_commit(folder: Path) -> str | None:
    """HEAD of the repository that a folder is in, in 12 digits; None without git or repository."""
    command = ["git", "-C", str(folder), "rev-parse", f"--short={_COMMIT_DIGITS}", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Python's, and those of the libraries that decide what a trial gives."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
