"""A benchmark's rows, saved as each is done, and the Markdown beside them.

Measures nothing. One JSON file a benchmark: what it ran on, and a row for each name. A row that is
measured again replaces the one before, and a run that was interrupted keeps what it had. Rows need
not come from one run, so each carries its own conditions: versions, cores, processor, a digest of
the sources that it depends on, and the run that made it. One made under other conditions than
today's stays in the file, but not on the page: code that was changed must not be shown with the
figures of the code before.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import sources

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


class SourcesChanged(Exception):
    """What is measured was changed meanwhile."""


class SavedRows:
    """The rows of one benchmark.

    Args:
        name: of the files: NAME.json and NAME.md.
        folder: where they stand.
        packages: distributions whose versions each row carries.
        depends_on: row name -> the sources that its figures depend on, as `sources.digest` takes
            them; by default none.

    Attributes:
        run: when this run began, ISO 8601 in UTC; rows saved here carry it.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path = RESULTS,
        packages: Sequence[str] = (),
        depends_on: Callable[[str], Iterable[str]] = lambda row: (),
    ) -> None:
        self._file = folder / f"{name}.json"
        self._page = folder / f"{name}.md"
        self._packages = packages
        self._depends_on = depends_on
        self._digests: dict[tuple[str, ...], str] = {}
        self.run = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.rows: dict[str, Row] = {}
        if self._file.exists():
            self.rows = json.loads(self._file.read_text("utf-8"))["rows"]

    def conditions(self, name: str) -> Row:
        """What a row of this run is made with; sources as they were when first asked for."""
        paths = tuple(self._depends_on(name))
        if paths not in self._digests:
            self._digests[paths] = sources.digest(paths)
        versions = {"python": platform.python_version()}
        versions |= {package: importlib.metadata.version(package) for package in self._packages}
        return {
            "cores": os.cpu_count(),
            "processor": sources.processor(),
            "versions": versions,
            "sources": self._digests[paths],
        }

    def current(self) -> dict[str, Row]:
        """The rows made under today's conditions."""
        return {
            name: row
            for name, row in self.rows.items()
            if all(row.get(key) == value for key, value in self.conditions(name).items())
        }

    def save(self, name: str, row: Mapping[str, Any]) -> None:
        """Put a row in its place and write the file; what is kept is what reading it gives.

        Raises:
            SourcesChanged: nothing was saved: the row is of neither the old sources nor the new.
        """
        if self.conditions(name)["sources"] != sources.digest(self._depends_on(name)):
            raise SourcesChanged(f"{name}: sources changed while it was measured; measure it again")
        whole = {**row, "date": self.run[: len("2026-01-01")], "run": self.run}
        self.rows[name] = json.loads(json.dumps({**whole, **self.conditions(name)}))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".json.new")
        beside.write_text(json.dumps({"rows": self.rows}, indent=1) + "\n", "utf-8")
        beside.replace(self._file)  # a kill in mid-write would cost hours

    def write_page(
        self,
        page: Callable[[Mapping[str, Row]], list[str]],
        rows: Mapping[str, Row] | None = None,
    ) -> str:
        """Write the Markdown that `page` makes of the rows, with what they ran on; return it.

        Args:
            page: the rows that are shown -> lines.
            rows: those; by default the current ones. The page names what is left out.
        """
        shown = self.current() if rows is None else rows
        lines = [*page(shown), "", *_conditions(shown.values())]
        if left_out := [name for name in self.rows if name not in shown]:
            lines += ["", _left_out(left_out)]
        text = "\n".join(lines) + "\n"
        self._page.write_text(text, "utf-8")
        return text


def _conditions(rows: Iterable[Row]) -> list[str]:
    seen = {
        f"{row['cores']} cores ({row['processor'] or 'processor unknown'}), {row['date']}, "
        + ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        for row in rows
    }
    return [f"Measured on {text}." for text in sorted(seen)]


def _left_out(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return (
        f"Left out, made with other sources, versions or another machine ({len(names)}): {shown}."
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Markdown lines of a table; headings that start with `>` are right-aligned."""
    names = [heading.removeprefix(">") for heading in headings]
    rule = ["---:" if heading.startswith(">") else "---" for heading in headings]
    cells = [[_text(value) for value in row] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in [names, rule, *cells]]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)
