"""A benchmark's rows, saved as each is done, and the Markdown beside them.

Measures nothing. One JSON file a benchmark: what it ran on, and a row for each name. A row that is
measured again replaces the one before, and a run that was interrupted keeps what it had; so every
row carries its own date and versions: they need not come from one run.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


class SavedRows:
    """The rows of one benchmark.

    Args:
        name: of the files: NAME.json and NAME.md.
        folder: where they stand.
        packages: distributions whose versions each row carries.
    """

    def __init__(self, name: str, *, folder: Path = RESULTS, packages: Sequence[str] = ()) -> None:
        self._file = folder / f"{name}.json"
        self._page = folder / f"{name}.md"
        self._packages = packages
        self.rows: dict[str, Row] = {}
        if self._file.exists():
            self.rows = json.loads(self._file.read_text("utf-8"))["rows"]

    def save(self, name: str, row: Mapping[str, Any]) -> None:
        """Put a row in its place and write the file."""
        versions = {"python": platform.python_version()}
        versions |= {package: importlib.metadata.version(package) for package in self._packages}
        self.rows[name] = {
            **row,
            "cores": os.cpu_count(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": versions,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"rows": self.rows}, indent=1) + "\n", "utf-8")

    def write_page(self, page: Callable[[Mapping[str, Row]], list[str]]) -> str:
        """Write the Markdown that `page` makes of the rows, with what they ran on; return it."""
        lines = [*page(self.rows), "", *self._conditions()]
        text = "\n".join(lines) + "\n"
        self._page.write_text(text, "utf-8")
        return text

    def _conditions(self) -> list[str]:
        seen = {
            f"{row['cores']} cores, {row['date']}, "
            + ", ".join(f"{name} {version}" for name, version in row["versions"].items())
            for row in self.rows.values()
        }
        return [f"Measured on {text}." for text in sorted(seen)]


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
