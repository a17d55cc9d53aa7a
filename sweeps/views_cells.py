"""Cells and tables of which the views are made; foreign text is never markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.state import TrialRecord
from sweeps.text import printable

TRIAL_STATES = ("running", "waiting", "finished", "stopped", "failed")
STATE_STYLE = {
    "finished": "green",
    "stopped": "cyan",
    "running": "blue",
    "failed": "red",
    "interrupted": "yellow",
}


def cell(value: Any, style: str = "") -> Text:
    """One cell; control characters are escaped, line breaks become spaces."""
    return Text(printable(str(value)).replace("\n", " "), style=style)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> Table:
    """A table without vertical lines; headings that start with `>` are right-aligned."""
    made = Table(
        box=None, pad_edge=False, title=cell(title) if title else None, title_justify="left"
    )
    for heading in headings:
        made.add_column(
            cell(heading.removeprefix(">"), "bold"),
            justify="right" if heading.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        made.add_row(*[value if isinstance(value, Text) else cell(value) for value in row])
    return made


def state_cell(state: str) -> Text:
    """A state in its colour, which never carries meaning alone."""
    return cell(state, STATE_STYLE.get(state, ""))


def counts_text(states: Iterable[str]) -> str:
    """`2 running, 1 failed, 5 finished`; states nobody is in are left out."""
    counted = Counter(states)
    return ", ".join(f"{counted[s]} {s}" for s in TRIAL_STATES if counted[s]) or "no trials yet"


def epoch_at(trial: TrialRecord, boundary: int) -> float:
    """How many epochs of the trial's budget are done at a boundary."""
    return trial.epochs * boundary / trial.boundaries
