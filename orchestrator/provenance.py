"""Where a study comes from, for its journal's first line: versions, machine, git commit.

Asks nothing of Ray or torch: what it tells is the machine that drives the study, which is where the
trials run unless Ray is elsewhere. GPUs are named as NVIDIA's driver has them. Of git it asks only
what HEAD is: that runs no hook and no program that a repository's own configuration could name, so
changes that are not committed go unnoticed. The commit is shortened, because forty hexadecimal
digits are what an access key looks like and would be taken out of the journal.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

_VERSIONS = ("sweep-orchestrator", "ray", "torch", "transformers", "optuna", "datasets")
_COMMIT_DIGITS = 12
_GIT_S = _SMI_S = 5.0
_GIB = 2**30
_PROC = Path("/proc")


def host(sweep_file: Path | None = None) -> dict[str, Any]:
    """The driver's machine, and the commit that the sweep file stands in, where it is known.

    Returns:
        `name`, `cpus`, `cpu` (its model), `memory_gib`, `gpus` and `git_commit`; a fact that is not
        known is left out.
    """
    facts: dict[str, Any] = {"name": socket.gethostname(), **machine()}
    commit = None if sweep_file is None else git_commit(sweep_file.parent)
    return facts if commit is None else {**facts, "git_commit": commit}


def machine(proc: Path = _PROC) -> dict[str, Any]:
    """What times depend on: CPUs and their model, memory in GiB, GPUs as `2 x NVIDIA H200`.

    Args:
        proc: where the kernel tells of itself.
    """
    facts: dict[str, Any] = {
        "cpus": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "cpu": _cpu(proc),
        "gpus": ", ".join(f"{n} x {name}" for name, n in Counter(_gpus(proc)).items()),
    }
    return {key: value for key, value in facts.items() if value}


def _cpu(proc: Path) -> str:
    """The first CPU's model; what the platform calls it where the kernel does not say."""
    return next(iter(_values(proc / "cpuinfo", "model name")), "") or platform.processor()


def _gpus(proc: Path) -> list[str]:
    """Every GPU's name, as the driver's files have it, or its program where there are none."""
    told = sorted((proc / "driver" / "nvidia" / "gpus").glob("*/information"))
    if told:
        return [name for file in told for name in _values(file, "Model")]
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SMI_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _values(file: Path, key: str) -> list[str]:
    """What stands behind `key:` in a file of such lines; [] when it cannot be read."""
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines)
    return [value.strip() for name, _, value in pairs if name.strip() == key]


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
