"""The final table: what each method selected, random search, and the default configuration.

Numbers, and the sentences that say how to run what is missing. The value that a selection was made
by is optimistic; where finalists made it, that of the best run is so twice, and the mean that
crowned its configuration stands in a row below it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sweeps.report.model import FinalRow, Method, Summary
from sweeps.report.repetition import DefaultRun, Repetition
from sweeps.report.seeds import gaps_by_seed, mean_by_seed
from sweeps.report.statistics import summary
from sweeps.text import count

RUN_RANDOM = (
    "Random search was not run. It is what a method must beat: `sweep compare ... --control` adds"
    " it at the same budget."
)
RUN_DEFAULT = (
    "The default configuration was not run. `default_first: true` in the sweep file makes it trial"
    " 0; `sweep compare` runs it beside a grid."
)


def final_rows(methods: Sequence[Method]) -> tuple[FinalRow, ...]:
    """The methods, random search and the default configuration; the last two are always there."""
    rows = [row for m in methods if m.kind != "random" for row in _method_rows(m)]
    random = [row for m in methods if m.kind == "random" for row in _method_rows(m)]
    nothing = FinalRow(
        label="random search",
        role="random",
        validation=None,
        test=None,
        gap=None,
        note=RUN_RANDOM,
    )
    return (*rows, *(random or [nothing]), _default_row(methods))


# --- methods ---------------------------------------------------------------------------------


def _method_rows(method: Method) -> Iterator[FinalRow]:
    """What the method selected, and below it the mean that crowned it, where finalists did."""
    crowns = _crowns(method.repetitions)
    best_of = f"The best of {_runs(crowns)} of the crowned configuration." if crowns else ""
    yield FinalRow(
        label=method.label,
        role="random" if method.kind == "random" else "method",
        validation=method.validation,
        test=method.test,
        gap=summary(list(gaps_by_seed(method.repetitions).values())),
        note=best_of,
    )
    if crowns:
        yield _crowned_row(method, crowns)


def _crowns(repetitions: Sequence[Repetition]) -> list[tuple[int, Summary]]:
    """Seed, and the runs of the crowned configuration, of what finalists selected."""
    return [
        (r.seed, finalist.validation)
        for r in repetitions
        if r.selected is not None and r.selected.by == "finalists"
        for finalist in r.finalists
        if finalist.crowned and finalist.validation is not None
    ]


def _runs(crowns: Sequence[tuple[int, Summary]]) -> str:
    """`1 run`, `5 runs`, `3 to 5 runs`."""
    of = [len(runs.values) for _, runs in crowns]
    low, high = min(of), max(of)
    return count(high, "run") if low == high else f"{low} to {high} runs"


def _crowned_row(method: Method, crowns: Sequence[tuple[int, Summary]]) -> FinalRow:
    """Over repetitions each one's mean; of a single repetition the mean of its runs."""
    found: Summary | None = crowns[0][1]
    note = f"The mean of {_runs(crowns)} on new seeds; an interval is over these runs."
    if len(crowns) > 1:
        found = summary(list(mean_by_seed((seed, runs.mean) for seed, runs in crowns).values()))
        note = f"Of each repetition the mean of {_runs(crowns)} on new seeds."
    return FinalRow(
        label=f"{method.label}, crowned configuration",
        role="crowned",
        validation=found,
        test=None,
        gap=None,
        note=note,
    )


# --- the default configuration ---------------------------------------------------------------


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
