"""What the cases found, kept case by case, so that a run of hours can be interrupted.

Runs nothing. Each row has a file of JSON lines under `.cache/chaos/`, one line a case, on disk
before the next case begins; the table (`table.py`) is made from all of them. A line says by what
sources it was made: one of other sources is stale, is shown as such, and is made anew only when
that is asked for, because a comment somewhere would else cost hours.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.row import Outcome, Row
from benchmarks.sources import PROGRAM, digest, imported

FOLDER = Path(".cache/chaos")
MIXED = "mixed"
"""In the place of a digest: the sources changed while the case ran."""


def sources_of(row: Row) -> str:
    """A digest of what a row's cases depend on: the program, and the row's own modules."""
    return digest((*PROGRAM, *_modules(row.run.__module__)))


def plain_sources() -> str:
    """A digest of what the rows of plain Ray Tune depend on; the program is not part of it."""
    return digest(f"benchmarks/chaos/{name}.py" for name in ("plain", "plain_driver"))


@functools.cache
def _modules(module: str) -> tuple[str, ...]:
    return tuple(file for file in imported(module) if file.startswith("benchmarks/"))


class Ledger:
    """Keeps outcomes.

    Args:
        folder: where; made when missing.
        sources: gives a row's digest as it is now.
    """

    def __init__(self, folder: Path = FOLDER, sources: Callable[[Row], str] = sources_of) -> None:
        self._folder = folder
        self.sources = sources

    def read(self, row: Row) -> dict[str, dict[str, Any]]:
        """Case -> its outcome, `seconds` and `sources`, of the cases that the row still has."""
        found = {line["case"]: line for line in self._lines(row.id)}
        return {case: found[case] for case in row.cases if case in found}

    def write(self, row: Row, case: str, outcome: Outcome, seconds: float, sources: str) -> None:
        """Add one case's outcome; it is on disk when this returns.

        Args:
            sources: the row's digest when the case began.
        """
        if sources != self.sources(row):
            sources = MIXED
        line = {"case": case, "seconds": round(seconds, 2), "sources": sources, **asdict(outcome)}
        self._add(row.id, line)

    def forget(self, row: Row) -> None:
        """Begin the row anew."""
        self._path(row.id).unlink(missing_ok=True)

    def plain(self) -> dict[str, dict[str, Any]]:
        """Row id -> what plain Ray Tune did there: `told`, `seconds` and `sources`."""
        return {line["case"]: line for line in self._lines("plain")}

    def write_plain(self, row: str, told: str, seconds: float, sources: str) -> dict[str, Any]:
        """Add what plain Ray Tune did at a row, as a line that `plain` gives."""
        line = {"case": row, "seconds": round(seconds, 2), "sources": sources, "told": told}
        self._add("plain", line)
        return line

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self._path(name)
        lines = []
        for text in path.read_text("utf-8").splitlines() if path.exists() else ():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # cut off in mid-write: that case runs again
            lines.append({"sources": "", "groups": {}, "lacks": "", **line})
        return lines

    def _add(self, name: str, line: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * torn + json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"
