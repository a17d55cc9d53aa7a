"""Whether sweeps may be compared at all: the same task, model, data and metric, or nothing is said.

Says nothing of budgets (`epochs.py`). What is searched may differ, that is what is compared, and
so a setting that a sweep searches counts as the same in all. A difference is named with both
places, the file's line where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.results import StudyResult
from search_spaces import SweepSpec
from search_spaces.errors import shown
from search_spaces.overrides import apply_overrides
from search_spaces.source import split_lines
from search_spaces.tree import Document
from search_spaces.yaml_reader import parse
from sweeps.comparing.entries import Entry, Work
from sweeps.report.settings import setting_notes
from sweeps.studies import UsageError

_SHOWN = 10
"""Differences named at most."""


@dataclass(frozen=True)
class _Side:
    """One of those compared: its sweep, what a person calls it, and where its keys stand."""

    spec: SweepSpec
    name: str
    document: Document | None = None

    def place(self, path: tuple[str, ...]) -> str:
        """`file:line:column`, the override, or the study."""
        if self.document is None:
            return self.name
        return self.document.place(path).named(self.name)


def require_alike(work: Work) -> None:
    """Refuse to compare different work.

    Raises:
        UsageError: task, model, data or metric differ; names both places.
    """
    sides = _sides(work)
    for other in sides[1:]:
        found = list(_different_work(sides[0], other))
        if found:
            lines = [line for pair in found[:_SHOWN] for line in pair]
            more = f"\n    and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise UsageError(
                "what is compared must have the same task, model, data and metric, and these"
                " differ:\n    " + "\n    ".join(lines) + more,
                mend="make them the same, in the files or by --set; a comparison of different"
                " work says nothing.",
            )


def notes(work: Work) -> list[str]:
    """What a reader of the comparison should know: settings that differ and are not searched."""
    return setting_notes([(side.name, side.spec) for side in _sides(work)])


def _sides(work: Work) -> list[_Side]:
    return [
        *[_Side(e.spec, str(e.path), _document(e)) for e in work.entries],
        *[_of_study(study) for study in work.studies],
    ]


def _of_study(study: StudyResult) -> _Side:
    return _Side(study.spec, f"study {study.folder}")


def _document(entry: Entry) -> Document:
    source = str(entry.path)
    lines = split_lines(entry.read.source)
    root, _ = parse(entry.read.source, source, lines)
    root, _ = apply_overrides(root, entry.overrides)
    return Document(root, source, lines)


def _different_work(first: _Side, other: _Side) -> Iterator[tuple[str, str]]:
    searched = {*first.spec.space, *other.spec.space}
    for section in ("task", "metric"):
        a, b = (side.spec.model_dump(mode="json")[section] for side in (first, other))
        for path in _differences(a, b, (section,)):
            key = ".".join(path)
            if any(key == name or name.startswith(f"{key}.") for name in searched):
                continue
            yield (
                f"{first.place(path)}: {key} is {shown(_at(a, path[1:]))}",
                f"{other.place(path)}: {key} is {shown(_at(b, path[1:]))}",
            )


def _differences(a: Any, b: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Paths of the smallest parts that differ."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys([*a, *b]):
            yield from _differences(a.get(key), b.get(key), (*path, str(key)))
    elif a != b:
        yield path


def _at(data: Any, path: Sequence[str]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data
