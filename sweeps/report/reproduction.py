"""What it takes to run a study again: command, file, seed, versions, hardware, search space.

Runs nothing. The command is what makes the study's specification from the copy of the sweep file
in its folder: where an option changed a key, or a comparison set one, it is spelled out. The name
of the machine stays out, because a report is made to be passed on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.events import Reported, SegmentStarted, StudyResumed
from orchestrator.results import SWEEP_FILE, StudyResult
from search_spaces import SweepSpec, read_sweep
from search_spaces.errors import SweepError
from sweeps.report.model import Reproduction
from sweeps.report.storable import storable
from sweeps.text import command


def reproduction(study: StudyResult, name: str, method: str) -> Reproduction:
    """Tell how a study came to be.

    Args:
        name: the study's, unique in the report.
        method: its method's label.
    """
    started = study.state.started
    host = started.host if started else {}
    changes: dict[str, Any] = {}
    for entry in study.contents.entries:
        if isinstance(entry.event, StudyResumed):
            changes.update(entry.event.changes)
    begun = datetime.fromtimestamp(study.contents.entries[0].time, UTC)
    return Reproduction(
        study=name,
        method=method,
        command=_command(study),
        sweep_file=_text(study.folder / SWEEP_FILE),
        seed=study.spec.seed,
        versions=storable(started.versions) if started else {},
        hardware=storable({**{k: v for k, v in host.items() if k not in _PRIVATE}, **_used(study)}),
        space_hash=space_hash(study.spec),
        started=begun.isoformat(timespec="seconds"),
        git_commit=storable(host.get("git_commit")),
        changes=storable(changes),
    )


_PRIVATE = {"name", "git_commit"}
"""Of the host's facts: not the hardware's."""


def space_hash(spec: SweepSpec) -> str:
    """What is equal for equal search spaces: 16 hex digits of SHA-256 over the parameters."""
    text = json.dumps(spec.parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _used(study: StudyResult) -> dict[str, Any]:
    """What trials really ran on: nodes, workers, and GPUs of one trial."""
    segments = [e.event for e in study.contents.entries if isinstance(e.event, SegmentStarted)]
    gpus = max(
        (e.event.gpus for e in study.contents.entries if isinstance(e.event, Reported)),
        default=0.0,
    )
    return {
        "nodes": len({event.node for event in segments}),
        "workers": len({event.worker for event in segments}),
        "gpus_per_trial": gpus,
    }


def _text(file: Path) -> str:
    """The copy of the sweep file; empty when it is gone (the specification is the truth).

    It holds no secret: a file with one is refused before a study begins.
    """
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _command(study: StudyResult) -> str:
    """`sweep run` with what makes the specification from the file."""
    words = ["sweep", "run", SWEEP_FILE, "--name", study.spec.name]
    read = _read(study.folder / SWEEP_FILE)
    if read is None:
        return command(*words, "--set", f"seed={study.spec.seed}")
    file, flags = read
    words += flags
    if study.spec.smoke:
        words.append("--smoke")
        file = file.shrunk()
    wanted = study.spec.model_dump(mode="json", by_alias=True, exclude={"name", "smoke"})
    there = file.model_dump(mode="json", by_alias=True, exclude={"name", "smoke"})
    changed = [f"{key}={_yaml(value)}" for key, value in _differences(there, wanted)]
    return command(*words, *(word for change in changed for word in ("--set", change)))


def _read(path: Path) -> tuple[SweepSpec, list[str]] | None:
    """The file's own specification with the fewest options that let it be read; None: none do."""
    for force, allow_code in ((False, False), (True, False), (False, True), (True, True)):
        try:
            spec = read_sweep(path, force=force, allow_code=allow_code).spec
        except SweepError:
            continue  # the next option may be what the file needs
        return spec, ["--force"] * force + ["--allow-code"] * allow_code
    return None


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted keys whose values differ, with what they are after."""
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and old:
            yield from _differences(old, value, f"{prefix}{key}.")
        elif value != old:
            yield f"{prefix}{key}", value


def _yaml(value: Any) -> str:
    """A value as `--set` reads it."""
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value)
