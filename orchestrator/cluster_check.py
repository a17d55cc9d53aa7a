"""Runs on a cluster, as a job of its own: is everything there that a submitted study needs?

It travels as a single file beside its question (`sweeps/submission/readiness.py` asks and judges)
and imports nothing of this package at its top, because whether that is there is one of the
questions. Every node is asked by a task, since workers land on any of them. The answer is one
line of the job's log; it names secrets that are there and never holds one.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

QUESTION = "cluster_check.json"
MARK = "sweep-cluster-check: "

_VERSION_S = 120
"""A first import on a network's file system takes its time."""
_NODES_S = 180
_SEEN_S = 5.0
"""How long another node may take to see a new file, whose folder it may have cached."""


def main() -> None:
    """Ask every node and print the answer."""
    import ray

    question = json.loads(Path(QUESTION).read_text("utf-8"))
    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    with _storage_marked(question["storage"]) as (marker, fault):
        asked = _asked_nodes(question, marker)
        answer = {
            "driver": look(question, marker),
            "nodes": _answers(asked),
            "resources": {
                name: amount
                for name, amount in ray.cluster_resources().items()
                if name in ("CPU", "GPU")
            },
            "storage_fault": fault,
        }
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


def look(question: dict[str, Any], marker: str) -> dict[str, Any]:
    """What this node has, as plain data.

    Args:
        question: `storage`; `requirements`, as pip writes them; `paths`, from a sweep file's key
            to a path or pattern; `tracking`, the mode that W&B is asked for, or ""; `tokens`,
            from what they are for to the variables and files they may stand in.
        marker: a file in the storage folder, made on the driver's node; "" when there is none.
    """
    version = _package_version()
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "package": version,
        "lacking": _lacking(question["requirements"]),
        "missing": [key for key, path in question["paths"].items() if not _is_there(path)],
        "sees_storage": bool(marker) and _comes_to_be(marker),
        "writes_storage": os.access(os.path.dirname(marker), os.W_OK | os.X_OK),
        "tracking": _tracking_mode(question["tracking"]) if version else "",
        "tokens": [name for name, places in question["tokens"].items() if _holds_any(places)],
    }


def _asked_nodes(question: dict[str, Any], marker: str) -> list[tuple[str, Any]]:
    """Every living node's host and the answer that is to come from it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = ray.remote(num_cpus=0, max_retries=0)(look)
    answers = []
    for node in (node for node in ray.nodes() if node["Alive"]):
        there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        answer = asked.options(scheduling_strategy=there).remote(question, marker)
        answers.append((node["NodeManagerHostname"], answer))
    return answers


def _answers(asked: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """What the nodes answered; of one that does not answer, its host and `silent`."""
    import ray

    ready, _ = ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=_NODES_S)
    told: list[dict[str, Any]] = []
    for host, answer in asked:
        silence = {"host": host, "silent": "no answer"}
        if answer in ready:
            try:
                told.append(ray.get(answer))
                continue
            except Exception as error:  # a node that was lost, or an environment not to be made
                silence["silent"] = str(error).strip().splitlines()[-1][:300]
        told.append(silence)
    return told


@contextlib.contextmanager
def _storage_marked(storage: str) -> Any:
    """A file in the storage folder for as long as nodes are asked, and what stands against it.

    Folders that had to be made for it are taken away again: nothing was started yet.
    """
    made: list[str] = []
    folder = storage
    while not os.path.exists(folder):
        made.append(folder)
        folder = os.path.dirname(folder)
    marker = ""
    fault = ""
    try:
        os.makedirs(storage, mode=0o700, exist_ok=True)
        handle, marker = tempfile.mkstemp(prefix=".seen-", dir=storage)
        os.close(handle)
    except OSError as error:
        fault = error.strerror or str(error)
    try:
        yield marker, fault
    finally:
        with contextlib.suppress(OSError):
            if marker:
                os.unlink(marker)
            for folder in made:
                os.rmdir(folder)


def _package_version() -> str:
    """The version of this package here, "" without one: by the very command that a job runs."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sweeps", "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    words = done.stdout.split()
    return words[1] if done.returncode == 0 and words[:1] == ["sweep"] and len(words) > 1 else ""


def _lacking(requirements: Sequence[str]) -> list[str]:
    """Requirements that are not met here, each with what is."""
    from packaging.requirements import Requirement  # Ray itself needs it

    lacking = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(f"{requirement.name}{requirement.specifier}")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{requirement.name}{requirement.specifier} (there: {version})")
    return lacking


def _is_there(path: str) -> bool:
    return bool(glob.glob(os.path.expanduser(path), recursive=True))


def _comes_to_be(path: str) -> bool:
    end = time.monotonic() + _SEEN_S
    while not os.path.exists(path):
        if time.monotonic() >= end:
            return False
        time.sleep(0.5)
    return True


def _tracking_mode(asked: str) -> str:
    """online, offline or disabled: how W&B would run here; "" when it is not asked for."""
    if not asked:
        return ""
    from orchestrator.tracking.wandb_mode import wandb_mode

    return wandb_mode(asked, os.environ)[0]


def _holds_any(places: dict[str, list[str]]) -> bool:
    return any(os.environ.get(name) for name in places["variables"]) or any(
        os.path.exists(os.path.expanduser(path)) for path in places["files"]
    )


if __name__ == "__main__":
    main()
