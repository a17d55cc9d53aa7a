"""Which machines drove the studies of a report, and what to say when they were not the same.

Reads journals only. A machine is what times depend on (`orchestrator/provenance.py`), never its
name. Facts that one journal has and another lacks, because an older program wrote it, make no
difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.events import StudyResumed, StudyStarted
from orchestrator.results import StudyResult
from sweeps.report.methods import Method as Studies
from sweeps.report.model import Note
from sweeps.report.storable import storable
from sweeps.report.wording import listed
from sweeps.text import count

_FACTS = ("cpus", "cpu", "memory_gib", "gpus")
_MOST_NAMED = 3


def machine_notes(methods: Sequence[Studies], names: Mapping[Path, str]) -> list[Note]:
    """A note when the studies, or the sittings of one, were driven from different machines.

    Args:
        names: a study's folder -> its name in the report.
    """
    found: list[tuple[dict[str, Any], list[str]]] = []
    for study in (study for method in methods for study in method.studies):
        for machine in machines(study):
            same = next((users for there, users in found if _alike(there, machine)), None)
            if same is None:
                found.append((machine, [names[study.folder]]))
            elif names[study.folder] not in same:
                same.append(names[study.folder])
    if len(found) < 2:
        return []
    told = "; ".join(f"{_words(machine)}: {_named(users)}" for machine, users in found)
    text = (
        f"Not all was driven from one machine: {told}. Unless the trials ran elsewhere, wall"
        " times and device seconds do not compare."
    )
    return [Note(severity="warn", text=text)]


def machines(study: StudyResult) -> list[dict[str, Any]]:
    """What is known of each machine that drove the study, in order; equal ones once."""
    found: list[dict[str, Any]] = []
    for entry in study.contents.entries:
        if isinstance(entry.event, StudyStarted | StudyResumed):
            host = entry.event.host
            facts: dict[str, Any] = storable({key: host[key] for key in _FACTS if key in host})
            if facts and not any(_alike(there, facts) for there in found):
                found.append(facts)
    return found


def _alike(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether nothing that is known of both differs."""
    if not (a.keys() & b.keys()):
        return True
    gpus = a.get("gpus") == b.get("gpus") or not ("cpu" in a and "cpu" in b)
    return gpus and all(a[key] == b[key] for key in a.keys() & b.keys())


def _words(machine: Mapping[str, Any]) -> str:
    """`2 CPUs (Xeon), 16 GiB, 1 x NVIDIA H200`, as far as it is known."""
    model = f" ({machine['cpu']})" if "cpu" in machine else ""
    parts = [f"{machine['cpus']} CPUs{model}"] if "cpus" in machine else []
    parts += [f"{machine['memory_gib']} GiB"] if "memory_gib" in machine else []
    return ", ".join([*parts, *([str(machine["gpus"])] if "gpus" in machine else [])])


def _named(studies: Sequence[str]) -> str:
    many = len(studies) > _MOST_NAMED
    return count(len(studies), "study", "studies") if many else listed(studies)
