"""What a reader of a comparison must know: notes, each with how grave it is.

Budgets that differ by more than 5 %, a selection that was never looked at on the test split or
knew what it says, a seed that was run twice: they undermine the comparison itself, so their notes
are red.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

from sweeps.report.model import Evaluation, FinalRow, Method, Note
from sweeps.report.wording import (
    crowning,
    crowning_each,
    differs,
    epochs_each,
    figure,
    listed,
    spread,
    trained_text,
)
from sweeps.text import count


def notes(methods: Sequence[Method], final: Sequence[FinalRow]) -> list[Note]:
    """What a reader must know, by method."""
    found = [*_budget_notes(methods), *_smoke_notes(methods)]
    for method in methods:
        found += [*_test_notes(method), *_seed_notes(method), *_state_notes(method)]
        found += [*_failure_notes(method)]
    for row in final:  # a row of a method that was run speaks for itself
        if row.note and (row.role == "default" or row.validation is None):
            found.append(Note(severity="warn", text=row.note))
    return found


def gravest_first(found: Iterable[Note]) -> tuple[Note, ...]:
    """Red notes, then warnings, then the rest; those of one kind in the order given."""
    order = {"red": 0, "warn": 1, "info": 2}
    return tuple(sorted(found, key=lambda note: order[note.severity]))


def _budget_notes(methods: Sequence[Method]) -> list[Note]:
    found: list[Note] = []
    searched = [epochs_each(m) for m in methods]
    whole = [epochs_each(m) + crowning_each(m) for m in methods]
    finalists = any(crowning_each(m) for m in methods)
    told = listed([f"{m.label} {trained_text(m)}" for m in methods])
    each = "Epochs a repetition, search + finalists" if finalists else "Epochs a repetition"
    if differs(*spread(searched)):
        text = f"Budgets differ by {_share(*spread(searched))}, which is more than 5 %. {each}:"
        text += f" {told}. More training may be all that a lead is made of."
        found.append(Note(severity="red", text=text))
    elif differs(*spread(whole)):
        text = (
            "The searches had equal budgets, what was selected had not: with finalists it rests"
            f" on training that differs by {_share(*spread(whole))}. {each}: {told}. More training"
            " may be all that a lead is made of."
        )
        found.append(Note(severity="red", text=text))
    for method in methods:
        epochs = [r.cost.epochs + crowning(r) for r in method.repetitions]
        if differs(*spread(epochs)):
            text = (
                f"The repetitions of {method.label} trained {figure(min(epochs))} to"
                f" {figure(max(epochs))} epochs{', finalists included' if finalists else ''}: they"
                " are not repetitions of one budget."
            )
            found.append(Note(severity="red", text=text, method=method.label))
    devices = {m.cost.device for m in methods if m.cost.device_s > 0}
    if len(devices) > 1:
        text = "Some studies ran on GPUs, some without: their device seconds cannot be compared."
        found.append(Note(severity="red", text=text))
    return found


def _share(low: float, high: float) -> str:
    """By how much of the larger two budgets differ: `6 %`; `5.1 %` where whole numbers say 5."""
    share = 100 * (1 - low / high)
    # Less than a tenth above 5 counts as a tenth: "5 %, which is more than 5 %" says nothing.
    return f"{round(share)} %" if round(share) > 5 else f"{math.ceil(10 * share) / 10:g} %"


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
    found = [*_unlooked_notes(method), *_second_look_notes(method)]
    lost = [
        r.study
        for r in method.repetitions
        if r.selected and r.selected.test is not None and r.selected.test.value is None
    ]
    if lost:
        text = f"{listed(lost)}: the metric was not finite on the test split."
        found.append(Note(severity="red", text=text, method=method.label))
    again = [
        r.study
        for r in method.repetitions
        if r.selected and r.selected.test is not None and any(e.again for e in r.evaluations)
    ]
    if again:
        text = (
            f"{listed(again)}: the test split was looked at more than once. The first look is"
            " shown; what was chosen after it knew it."
        )
        found.append(Note(severity="warn", text=text, method=method.label))
    return found


def _unlooked_notes(method: Method) -> list[Note]:
    """The selected checkpoint was not looked at: nothing was, or another checkpoint."""
    found: list[Note] = []
    unlooked = [
        (r.study, r.selected)
        for r in method.repetitions
        if r.selected and r.selected.test is None and r.selected.second_look is None
    ]
    never = [study for study, selected in unlooked if not selected.looked_before]
    if never:
        why = (
            "and was selected by its validation value, which is therefore optimistic. Where the"
            " sweep file names a test split, `sweep evaluate STUDY --split test` looks at it once;"
            " where it does not, carve one: `splits: {test: {from: train, size: ...}}`."
        )
        text = f"{listed(never)}: the selected checkpoint was not evaluated on a test split, {why}"
        found.append(Note(severity="red", text=text, method=method.label))
    for study, selected in unlooked:
        if selected.looked_before:
            text = (
                f"{study}: the selected checkpoint was not evaluated on a test split: that had been"
                f" looked at for another checkpoint ({_looks(selected.looked_before)}). `sweep"
                " evaluate STUDY --again` evaluates this one too, which is recorded; it is a second"
                " look then, and nothing can be claimed by it."
            )
            found.append(Note(severity="red", text=text, method=method.label))
    return found


def _second_look_notes(method: Method) -> list[Note]:
    """The selected checkpoint was looked at when the test split had spoken already."""
    found: list[Note] = []
    for r in method.repetitions:
        if r.selected is None or r.selected.second_look is None:
            continue
        before = r.selected.looked_before
        after = f", after {_looks(before)}" if before else ""
        text = (
            f"{r.study}: a second look at the test split gave the selected checkpoint"
            f" {figure(r.selected.second_look.value)}{after}. Who looks twice chooses by what they"
            " see: nothing is claimed by it."
        )
        found.append(Note(severity="red", text=text, method=method.label))
    return found


def _looks(looks: Sequence[Evaluation]) -> str:
    """`0.71 of trial 0003 at boundary 2`, each of them."""
    told = [f"{figure(e.value)} of trial {e.trial} at boundary {e.boundary}" for e in looks]
    return listed(told)


def _seed_notes(method: Method) -> list[Note]:
    seeds = sorted(r.seed for r in method.repetitions)
    twice = sorted({a for a, b in itertools.pairwise(seeds) if a == b})
    if not twice:
        return []
    told = listed([str(seed) for seed in twice])
    text = (
        f"{method.label} was run more than once with seed {told}: runs of one seed are no"
        " independent repetitions. They count once, with their mean; the band of best so far takes"
        " them for several, so it is too narrow."
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
