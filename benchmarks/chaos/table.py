"""The table of the reliability page with its measured column, as JSON and as Markdown.

Measures nothing. A row that is not complete says how far it is; one that another machine filled
stays as it was committed, so that `ONLY=F6` replaces one row and leaves the others.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.ledger import Ledger, plain_sources
from benchmarks.chaos.row import Row

RESULTS = Path("benchmarks/results")
_SHOWN = 20
"""Violations named in the JSON, at most."""


def measured(row: Row, cases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a row's cases found, together."""
    violations = [
        f"{case}: {text}" for case, found in cases.items() for text in found["violations"]
    ]
    figures = [found["figure"] for found in cases.values() if found["figure"] is not None]
    groups: Counter[str] = Counter()
    lacking: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for found in cases.values():
        groups.update(found["groups"])
        lacking.update([found["lacks"]] if found["lacks"] else [])
        sources.update([found["sources"]])
    return {
        "cases": len(cases),
        "of": len(row.cases),
        "lacking": dict(lacking),
        "sources": dict(sources),
        "count": sum(found["count"] for found in cases.values()),
        "counted": row.counted,
        "groups": dict(groups),
        "violations": len(violations),
        "named": violations[:_SHOWN],
        "worst": max(figures, default=None),
        "figure": row.figure,
        "seconds": round(sum(found["seconds"] for found in cases.values())),
    }


def write_table(
    rows: Sequence[Row],
    found: Mapping[str, Mapping[str, Any]],
    ledger: Ledger,
    folder: Path = RESULTS,
) -> Path:
    """Write `chaos.json` and `chaos.md`; rows that were not measured keep what stands there.

    Args:
        rows: all rows, in order.
        found: row id -> `measured`.
        ledger: what plain Ray Tune and Trainer did, and what the sources are now.

    Returns:
        The Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data_file = folder / "chaos.json"
    # Two runs with different ONLY may end at the same moment.
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = json.loads(data_file.read_text("utf-8")) if data_file.exists() else {}
        kept = {**before.get("rows", {}), **found}
        beside = {**before.get("plain", {}), **ledger.plain()}
        ids = [row.id for row in rows]
        data = {
            "machine": machine(),
            "rows": {row: kept[row] for row in ids if row in kept},
            "plain": {row: beside[row] for row in ids if row in beside},
        }
        for row in rows:
            if row.id in data["rows"]:
                made, now = data["rows"][row.id]["sources"], ledger.sources(row)
                data["rows"][row.id]["stale"] = sum(made.values()) - made.get(now, 0)
        for told in data["plain"].values():
            told["stale"] = told["sources"] != plain_sources()
        _replace(data_file, json.dumps(data, indent=1) + "\n")
        _replace(folder / "chaos.md", markdown(rows, data))
    finally:
        os.close(lock)
    return folder / "chaos.md"


def printed(rows: Sequence[Row], page: Path) -> None:
    """Print the table of some rows: what is promised, and what was measured."""
    data = json.loads(page.with_suffix(".json").read_text("utf-8"))
    shown = Table("id", "injected", "must hold", "target", "measured", show_lines=True)
    for row in rows:
        words = [row.id, row.injected, row.holds, row.target]
        _, _, _, _, violations, count, worst, seconds = _cells(row, data["rows"].get(row.id))
        told = f"{violations} violations in {count}" if count else violations
        told += "".join(f"\n{text}" for text in (worst, f"{seconds} s" if seconds else "") if text)
        if row.id in data["plain"]:
            told += f"\nplain Ray Tune: {_plain(data['plain'][row.id])}"
        shown.add_row(*words, told)
    Console(markup=False, highlight=False).print(shown)


def machine() -> dict[str, Any]:
    """What a reader needs to judge seconds by."""
    return {
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def markdown(rows: Sequence[Row], data: Mapping[str, Any]) -> str:
    """The page."""
    lines = [
        "# Fault tests: the table, measured",
        "",
        "Made by `make chaos` (`python -m benchmarks.chaos`); do not edit. What is promised:",
        f"`docs/reliability.md`. Machine: {data['machine']['cpus']} CPU cores, shared with other"
        " work. A row that says `so far` or `not run` is not complete; `make chaos` goes on with"
        " it. `stale`: made by other sources than today's; `make chaos ARGS=--stale` makes"
        " them anew.",
        "",
        "| id | injected | must hold | target | violations | injected | worst | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_cells(row, data["rows"].get(row.id))) + " |")
    beside = [row for row in rows if row.id in data["plain"]]
    if beside:
        lines += ["", "## Plain Ray Tune + Trainer beside it", "", "| id | the same injury |"]
        lines += [
            "|---|---|",
            *[f"| {row.id} | {_plain(data['plain'][row.id])} |" for row in beside],
        ]
    remarks = [f"- **{row.id}**: {row.remark}" for row in rows if row.remark]
    if remarks:
        lines += ["", "## How to read it", "", *remarks]
    broken = [text for row in rows for text in data["rows"].get(row.id, {}).get("named", ())]
    if broken:
        lines += ["", "## Violations", "", *[f"- {_escaped(text)}" for text in broken]]
    return "\n".join(lines) + "\n"


def _cells(row: Row, found: Mapping[str, Any] | None) -> list[str]:
    words = [row.id, row.injected, row.holds, row.target]
    if found is None:
        return [*words, "not run", "", "", ""]
    if found.get("lacks"):
        return [*words, f"not run: {found['lacks']}", "", "", ""]
    count = f"{found['count']} {found['counted']}"
    if found["groups"]:
        count += " (" + ", ".join(f"{name} {n}" for name, n in found["groups"].items()) + ")"
    for reason, cases in found["lacking"].items():
        count += f"; {cases} cases not run: {reason}"
    if found["stale"]:
        count += f"; stale: {found['stale']} of {found['cases']} cases"
    if found["cases"] < found["of"]:
        count += f"; {found['cases']} of {found['of']} cases so far"
    worst = "" if found["worst"] is None else f"{found['worst']:.3g} {found['figure']}"
    return [*words, str(found["violations"]), count, worst, str(found["seconds"])]


def _plain(told: Mapping[str, Any]) -> str:
    return _escaped(told["told"]) + " (stale)" * told["stale"]


def _escaped(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)
