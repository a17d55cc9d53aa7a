"""Which studies are repetitions of one method.

Reads no folder and computes nothing. Studies of one method are the same sweep under other seeds;
their names, descriptions, trackers and storage folders may differ, because none of them changes
what is trained. What counts is the specification as a study began: one repetition that was extended
or given finalists since is one still, and a note says where they differ now. A comparison has
labels for its methods; studies that were run by hand are called by their method's words.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.results import StudyResult
from search_spaces import SweepSpec
from sweeps.report.storable import storable
from sweeps.views import METHOD_WORDS

_DIFFER = {"name", "seed", "description", "storage", "tracking"}
"""Keys of a specification in which repetitions of one method may differ."""


@dataclass(frozen=True)
class Method:
    """A method's label, unique in a report, and its repetitions by seed."""

    label: str
    studies: tuple[StudyResult, ...]


def grouped(
    studies: Sequence[StudyResult], labels: Mapping[Path, str] | None = None
) -> list[Method]:
    """Group studies into methods, in the order in which each method is first met.

    Args:
        studies: the same folder twice counts once.
        labels: a study's folder (resolved) -> its method's label, for the studies of a
            comparison. Two comparisons may use one label for different sweeps.
    """
    known = labels or {}
    groups: dict[tuple[str | None, str], dict[Path, StudyResult]] = {}
    for study in studies:
        folder = study.folder.resolve()
        key = (known.get(folder), _likeness(study))
        groups.setdefault(key, {})[folder] = study
    members = [
        tuple(sorted(group.values(), key=lambda s: (s.spec.seed, s.folder.name)))
        for group in groups.values()
    ]
    given = [storable(label) for label, _ in groups]
    return [Method(label, m) for label, m in zip(_labels(given, members), members, strict=True)]


def unique_names(methods: Sequence[Method]) -> dict[Path, str]:
    """A name for each study by its folder, unique in a report: two storages may hold the same."""
    names: dict[Path, str] = {}
    for study in (study for method in methods for study in method.studies):
        name, n = study.spec.name, 1
        while name in names.values():
            n += 1
            name = f"{study.spec.name} ({n})"
        names[study.folder] = name
    return names


def specification(spec: SweepSpec) -> dict[str, Any]:
    """All of it that repetitions of one method have in common."""
    return spec.model_dump(mode="json", exclude=_DIFFER)


def _likeness(study: StudyResult) -> str:
    """What repetitions have in common, as a key."""
    data = specification(study.begun or study.spec)
    return json.dumps(data, sort_keys=True)


def _labels(given: Sequence[str | None], members: Sequence[tuple[StudyResult, ...]]) -> list[str]:
    """A label for each group: what was given, else its method's words, told apart by name."""
    words = [METHOD_WORDS[group[0].spec.method] for group in members]
    labels: list[str] = []
    for label, word, group in zip(given, words, members, strict=True):
        if label is None:
            label = word if words.count(word) == 1 else f"{word} ({_stem(group)})"
        unique, n = label, 1
        while unique in labels:
            n += 1
            unique = f"{label} {n}"
        labels.append(unique)
    return labels


def _stem(group: Sequence[StudyResult]) -> str:
    """What the names of a group's studies begin with; the first name if that is nothing."""
    names = [study.spec.name for study in group]
    same = itertools.takewhile(lambda at: len(set(at)) == 1, zip(*names, strict=False))
    common = "".join(at[0] for at in same)
    if len(names) > 1:
        common = common.rstrip("0123456789").rstrip("-._")
    return common or names[0]
