"""What a reader of a comparison must know: notes, each with how grave it is.

Budgets that differ by more than 5 %, a selection that was never looked at on the test split, a
seed that was run twice: they undermine the comparison itself, so their notes are red.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from sweeps.report.model import FinalRow, Method, Note
from sweeps.report.wording import differs, epochs_each, figure, listed, spread
from sweeps.text import count


def notes(methods: Sequence[Method], final: Sequence[FinalRow]) -> list[Note]:
    """What a reader must know, the gravest first."""
    found = [*_budget_notes(methods), *_smoke_notes(methods)]
    for method in methods:
        found += [*_test_notes(method), *_seed_notes(method), *_state_notes(method)]
        found += [*_failure_notes(method)]
    found += [Note(severity="warn", text=row.note) for row in final if row.note]
    order = {"red": 0, "warn": 1, "info": 2}
    return sorted(found, key=lambda note: order[note.severity])


def _budget_notes(methods: Sequence[Method]) -> list[Note]:
    found: list[Note] = []
    each = {m.label: epochs_each(m) for m in methods}
    low, high = spread(list(each.values()))
    if differs(low, high):
        told = listed([f"{label} {figure(epochs)}" for label, epochs in each.items()])
        share = math.ceil(100 * (1 - low / high))
        text = f"Budgets differ by {share} %, which is more than 5 %. Epochs a repetition: {told}."
        text += " More training may be all that a lead is made of."
        found.append(Note(severity="red", text=text))
    for method in methods:
        epochs = [r.cost.epochs for r in method.repetitions]
        if differs(*spread(epochs)):
            text = (
                f"The repetitions of {method.label} trained {figure(min(epochs))} to"
                f" {figure(max(epochs))} epochs: they are not repetitions of one budget."
            )
            found.append(Note(severity="red", text=text, method=method.label))
    devices = {m.cost.device for m in methods if m.cost.device_s > 0}
    if len(devices) > 1:
        text = "Some studies ran on GPUs, some without: their device seconds cannot be compared."
        found.append(Note(severity="red", text=text))
    return found


def _smoke_notes(methods: Sequence[Method]) -> list[Note]:
    smoke = [r.study for m in methods for r in m.repetitions if r.smoke]
    if not smoke:
        return []
    text = (
        f"{listed(smoke)}: smoke runs, a tiny random model on a few rows; these numbers say"
        " nothing about the model."
    )
    return [Note(severity="red", text=text)]


def _test_notes(method: Method) -> list[Note]:
    found: list[Note] = []
    missing = [r.study for r in method.repetitions if r.selected and r.selected.test is None]
    if missing:
        why = (
            "and was selected by its validation value, which is therefore optimistic. Where the"
            " sweep file names a test split, `sweep evaluate STUDY --split test` looks at it once;"
            " where it does not, carve one: `splits: {test: {from: train, size: ...}}`."
        )
        text = (
            f"{listed(missing)}: the selected checkpoint was not evaluated on a test split, {why}"
        )
        found.append(Note(severity="red", text=text, method=method.label))
    lost = [
        r.study
        for r in method.repetitions
        if r.selected and r.selected.test is not None and r.selected.test.value is None
    ]
    if lost:
        text = f"{listed(lost)}: the metric was not finite on the test split."
        found.append(Note(severity="red", text=text, method=method.label))
    again = [r.study for r in method.repetitions if any(e.again for e in r.evaluations)]
    if again:
        text = (
            f"{listed(again)}: the test split was looked at more than once. The first look is"
            " shown; what was chosen after it knew it."
        )
        found.append(Note(severity="warn", text=text, method=method.label))
    return found


def _seed_notes(method: Method) -> list[Note]:
    seeds = sorted(r.seed for r in method.repetitions)
    twice = sorted({a for a, b in itertools.pairwise(seeds) if a == b})
    if not twice:
        return []
    told = listed([str(seed) for seed in twice])
    text = (
        f"{method.label} was run more than once with seed {told}: runs of one seed are no"
        " independent repetitions, so intervals are too narrow."
    )
    return [Note(severity="red", text=text, method=method.label)]


def _state_notes(method: Method) -> list[Note]:
    found: list[Note] = []
    words = {
        "running": "is still running: what it says will change",
        "interrupted": "was cut off: `sweep resume` goes on with it",
        "stopped": "was stopped before its end: `sweep resume` goes on with it",
    }
    for status, told in words.items():
        names = [r.study for r in method.repetitions if r.status == status]
        found += [Note(severity="warn", text=f"{n} {told}.", method=method.label) for n in names]
    for r in method.repetitions:
        if r.status == "failed" or (r.selected is None and r.status in ("finished", "stopped")):
            reason = f": {r.reason}" if r.reason else ""
            text = f"{r.study} ended without a usable result{reason}."
            found.append(Note(severity="red", text=text, method=method.label))
    return found


def _failure_notes(method: Method) -> list[Note]:
    failed = method.counts.failed
    if not failed:
        return []
    share = failed / method.counts.started
    text = (
        f"{method.label}: {count(failed, 'trial')} of {method.counts.started:,} failed. The"
        " intervals that they were cut off in are in the wall time, not in epochs and device"
        " seconds."
    )
    return [Note(severity="warn" if share > 0.1 else "info", text=text, method=method.label)]
