"""Methods side by side: the final table, and each pair over the seeds that both have.

Numbers only, but for the sentence that says how to run what is missing. Test values decide; a
pair that no seed has test values for is compared on validation, and says so.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Sequence

from sweeps.report.methods import Method as Studies
from sweeps.report.model import FinalRow, Method, Metric, Note, Pair
from sweeps.report.repetition import DefaultRun, Repetition
from sweeps.report.statistics import holm, sign_flip_p, summary, superiority
from sweeps.report.wording import pair_claim

RUN_RANDOM = (
    "Random search was not run. It is what a method must beat: `sweep compare ... --control` adds"
    " it at the same budget."
)
RUN_DEFAULT = (
    "The default configuration was not run. `default_first: true` in the sweep file makes it trial"
    " 0; `sweep compare` runs it beside a grid."
)


# --- the final table -------------------------------------------------------------------------


def final_rows(methods: Sequence[Method], metric: Metric) -> tuple[FinalRow, ...]:
    """The methods, random search and the default configuration; the last two are always there."""
    rows = [_method_row(m) for m in methods if m.kind != "random"]
    random = [_method_row(m) for m in methods if m.kind == "random"]
    nothing = FinalRow(
        label="random search",
        role="random",
        validation=None,
        test=None,
        gap=None,
        note=RUN_RANDOM,
    )
    return (*rows, *(random or [nothing]), _default_row(methods))


def _method_row(method: Method) -> FinalRow:
    both = [
        (r.selected.value, r.selected.test.value)
        for r in method.repetitions
        if r.selected and r.selected.test and r.selected.test.value is not None
    ]
    return FinalRow(
        label=method.label,
        role="random" if method.kind == "random" else "method",
        validation=method.validation,
        test=method.test,
        gap=summary([validation - test for validation, test in both]),
    )


def _default_row(methods: Sequence[Method]) -> FinalRow:
    """One run a seed: the same configuration under the same seed is the same training."""
    runs: dict[int, DefaultRun] = {}
    for r in (r for m in methods for r in m.repetitions):
        if r.default is not None and r.default.value is not None:
            there = runs.get(r.seed)
            runs[r.seed] = r.default if there is None else max(there, r.default, key=_worth)
    found = [runs[seed] for seed in sorted(runs)]
    both = [
        (r.value, r.test.value)
        for r in found
        if r.value is not None and r.test and r.test.value is not None
    ]
    partial = [run for run in found if not run.whole]
    several = {json.dumps(run.config, sort_keys=True) for run in found}
    note = ""
    if not found:
        note = RUN_DEFAULT
    elif len(several) > 1:
        note = (
            "The default configuration is moved into each method's search space; its runs here are"
            f" {len(several)} different configurations."
        )
    elif partial:
        note = (
            f"The default configuration was not trained to its end in {len(partial)} of"
            f" {len(found)} repetitions (stopped early, left by an exploit, or not there yet): its"
            " row is of less training than the others."
        )
    return FinalRow(
        label="default configuration",
        role="default",
        validation=summary([run.value for run in found if run.value is not None]),
        test=summary([test for _, test in both]),
        gap=summary([value - test for value, test in both]),
        note=note,
        config=found[0].config if len(several) == 1 else None,
    )


def _worth(run: DefaultRun) -> tuple[bool, bool, float]:
    return (run.whole, run.test is not None, run.epochs)


# --- pairs -----------------------------------------------------------------------------------


def pairs_of(methods: Sequence[Method], metric: Metric) -> tuple[Pair, ...]:
    """Every two methods, in the order given, with p values adjusted over all that have one."""
    pairs = [_pair(a, b, metric) for a, b in itertools.combinations(methods, 2)]
    tested = [at for at, pair in enumerate(pairs) if pair.p is not None]
    adjusted = holm([pairs[at].p or 0.0 for at in tested])
    for at, p in zip(tested, adjusted, strict=True):
        pairs[at] = dataclasses.replace(pairs[at], p_holm=p)
    return tuple(dataclasses.replace(pair, claim=pair_claim(pair, metric)) for pair in pairs)


def _pair(a: Method, b: Method, metric: Metric) -> Pair:
    ours, theirs = _by_seed(a.repetitions, "test"), _by_seed(b.repetitions, "test")
    split = "test" if ours.keys() & theirs.keys() else "validation"
    if split == "validation":
        ours, theirs = _by_seed(a.repetitions, split), _by_seed(b.repetitions, split)
    shared = sorted(ours.keys() & theirs.keys())
    differences = [ours[key] - theirs[key] for key in shared]
    sign = 1.0 if metric.goal == "maximize" else -1.0
    return Pair(
        a=a.label,
        b=b.label,
        split="test" if split == "test" else "validation",
        seeds=tuple(seed for seed, _ in shared),
        difference=summary(differences),
        superiority=superiority([sign * d for d in differences]),
        p=sign_flip_p(differences),
        p_holm=None,
        claim="",
    )


def _by_seed(repetitions: Sequence[Repetition], split: str) -> dict[tuple[int, int], float]:
    """(seed, how often it came before) -> the selected checkpoint's value."""
    values: dict[tuple[int, int], float] = {}
    seen: Counter[int] = Counter()
    for r in repetitions:
        chosen = r.selected
        value = None if chosen is None else chosen.value
        if split == "test":
            value = chosen.test.value if chosen is not None and chosen.test else None
        if value is not None:
            values[r.seed, seen[r.seed]] = value
        seen[r.seed] += 1
    return values


# --- what is compared ------------------------------------------------------------------------


def task_notes(methods: Sequence[Studies]) -> tuple[Note, ...]:
    """A red note where the studies do not train the same thing."""
    tasks = {
        json.dumps(study.spec.task.model_dump(mode="json"), sort_keys=True)
        for method in methods
        for study in method.studies
    }
    if len(tasks) == 1:
        return ()
    text = (
        "The studies do not share one task (model, data, splits, lengths): their values are not"
        " comparable."
    )
    return (Note(severity="red", text=text),)
