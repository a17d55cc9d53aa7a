"""What the cases found, kept case by case, so that a run of hours can be interrupted.

Runs nothing. Each row has a file of JSON lines under `.cache/chaos/`, one line a case, on disk
before the next case begins; the table (`table.py`) is made from all of them. A case that is there
is not run again, unless asked for.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.chaos.row import Outcome, Row

FOLDER = Path(".cache/chaos")


class Ledger:
    """Keeps outcomes.

    Args:
        folder: where; made when missing.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def read(self, row: Row) -> dict[str, dict[str, Any]]:
        """Case -> its outcome and `seconds`, of the cases that the row still has."""
        path = self._path(row)
        if not path.exists():
            return {}
        found: dict[str, dict[str, Any]] = {}
        for line in path.read_text("utf-8").splitlines():
            try:
                data = json.loads(line)
            except ValueError:
                continue  # cut off in mid-write: that case runs again
            found[data["case"]] = data
        return {case: found[case] for case in row.cases if case in found}

    def write(self, row: Row, case: str, outcome: Outcome, seconds: float) -> None:
        """Add one case's outcome; it is on disk when this returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"case": case, "seconds": round(seconds, 2), **asdict(outcome)})
        with self._path(row).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def forget(self, row: Row) -> None:
        """Begin the row anew."""
        self._path(row).unlink(missing_ok=True)

    def _path(self, row: Row) -> Path:
        return self._folder / f"{row.id}.jsonl"
