"""What a method has beside its search: what that cost, and which trials belong there.

Draws nothing and claims nothing. No budget counts these trials, because they found nothing; but a
winner that was crowned by training finalists cost their training too, so every form of the report
puts that beside the search's own cost, in these words.
"""

from __future__ import annotations

from sweeps.report.curves import total
from sweeps.report.model import Method, TrialRow
from sweeps.report.repetition import Cost
from sweeps.report.wording import epochs_text
from sweeps.text import duration

HEADING = "beside the search"

NOTE = "What was trained beside the search is in none of the other columns."

_ONE = {"control": "the default configuration", "finalist": "a finalist", "replay": "a replay"}


def costs(method: Method) -> dict[str, Cost]:
    """What its repetitions trained beside their searches, by what it was; {} for nothing."""
    found = {
        "default configuration": [r.control_cost for r in method.repetitions],
        "finalists": [r.finalists_cost for r in method.repetitions],
        "replays": [r.replay_cost for r in method.repetitions],
    }
    there = {what: [c for c in each if c is not None] for what, each in found.items()}
    return {what: total(each) for what, each in there.items() if each}


def cost_words(method: Method) -> str:
    """`finalists 30 epochs, 5 min 10 s of CPU time`; empty for nothing."""
    return "; ".join(f"{what} {_words(cost)}" for what, cost in costs(method).items())


def _words(cost: Cost) -> str:
    usd = "" if cost.usd is None else f", ${cost.usd:,.2f}"
    time = f"{duration(cost.device_s)} of {cost.device.upper()} time"
    return f"{epochs_text(cost.epochs)}, {time}{usd}"


def kind(row: TrialRow) -> str:
    """What a trial beside the search is: `a finalist`; empty for one of the search."""
    return _ONE.get(row.origin, "")


def kinds(trials: tuple[TrialRow, ...]) -> dict[str, str]:
    """Key -> what it is, of every trial that stands beside its search."""
    return {row.key: kind(row) for row in trials if kind(row)}
