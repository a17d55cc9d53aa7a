"""A comparison as a person sees it on a terminal: what is planned, each study in a line, the end.

Pure functions to rich renderables and plain data; what it all means is the report's to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from orchestrator.results import StudyResult
from search_spaces import SweepSpec
from sweeps.comparing.entries import Work
from sweeps.comparing.epochs import Planned, epochs_text, planned, unequal
from sweeps.comparing.manifest import Manifest
from sweeps.comparing.running import Outcome, Turn
from sweeps.plan import between
from sweeps.report.curves import account
from sweeps.report.repetition import Cost
from sweeps.text import clock, count, metric_name, number
from sweeps.views import cell, state_cell, table


def plans_of(work: Work) -> dict[str, Planned]:
    """The epochs of each method and of each study that is only read, by its label."""
    plans = {entry.label: planned(entry.spec) for entry in work.entries}
    for study in work.studies:
        epochs, trials = spent(study).epochs, trials_searched(study)
        each = (math.nan, math.nan)
        plans[f"study {study.folder.name}"] = Planned(trials, each, epochs, epochs)
    return plans


def trials_searched(study: StudyResult) -> int:
    """Trials of the search, without those beside it."""
    return sum(trial.in_search for trial in study.state.trials.values())


def spent(study: StudyResult) -> Cost:
    """What its search cost, by the report's own account: epochs trained again count again."""
    return account(study).search


def epochs_beside(spec: SweepSpec) -> float:
    """Epochs that are trained beside the search: a grid's default configuration, finalists."""
    default = spec.epochs(spec.default_config())
    finalists = 0 if spec.finalists is None else spec.finalists.top_k * spec.finalists.seeds
    return default * (spec.method == "grid") + finalists * planned(spec).each[1]


def plan_view(work: Work, manifest: Manifest) -> list[RenderableType]:
    """What will be run under which budget, and a red note when budgets differ."""
    plans = plans_of(work)
    rows: list[list[Any]] = []
    for entry in work.entries:
        plan, beside = plans[entry.label], epochs_beside(entry.spec)
        rows.append(
            [
                entry.label,
                entry.path.name,
                "-" if plan.trials is None else plan.trials,
                between(*plan.each),
                epochs_text(plan),
                f"+ {number(beside)}" if beside else "",
            ]
        )
    for study in work.studies:
        label = f"study {study.folder.name}"
        rows.append([label, "is there", plans[label].trials, "-", epochs_text(plans[label]), ""])
    said = f"{count(len(work.studies), 'study', 'studies')} that are there"
    if work.entries:
        studies = count(len(work.entries) * len(manifest.seeds), "study", "studies")
        each = count(len(manifest.seeds), "repetition")
        said = f"{studies}: {each} of each method, seeds {', '.join(map(str, manifest.seeds))}"
    headings = ["method", "sweep", ">trials", ">epochs each", ">epochs", ">beside the search"]
    shown: list[RenderableType] = [
        Text.assemble(cell(manifest.name, "bold"), cell(f": {said}")),
        table(headings, rows),
    ]
    shown += [
        cell(f"{entry.label}: {change}") for entry in work.entries for change in entry.changes
    ]
    told = unequal(plans)
    return [*shown, cell(told, "bold red")] if told else shown


def turn_line(turn: Turn, turns: int) -> str:
    """What runs now: `[4/9] Bayesian search, repetition 2, seed 43: sst2-bayes-r2`."""
    return (
        f"[{turn.place}/{turns}] {turn.label}, repetition {turn.repetition}, seed {turn.seed}:"
        f" {turn.folder.name}"
    )


def outcome_line(turn: Turn, turns: int, study: StudyResult | None, failure: str | None) -> str:
    """How it ended, in one line."""
    head = f"[{turn.place}/{turns}] {turn.folder.name}"
    if study is None:
        return f"{head}: no study: {(failure or '').splitlines()[0]}"
    best = study.state.best
    found = f"best {metric_name(study.state.metric)} {number(best.value)}" if best else "no result"
    why = f" ({failure.splitlines()[0]})" if failure else ""
    cost = spent(study)
    return (
        f"{head}: {study.status}, {count(trials_searched(study), 'trial')},"
        f" {number(cost.epochs)} epochs, {found}, {clock(cost.wall_s)}{why}"
    )


def end_view(manifest: Manifest, outcome: Outcome, given: Sequence[StudyResult]) -> RenderableType:
    """Every study with what it found, by method."""
    found = {study.folder.name: study for study in outcome.studies}
    rows: list[list[Any]] = []
    for method in manifest.methods:
        for name, seed in zip(method.studies, manifest.seeds, strict=True):
            rows.append([method.label, name, seed, *_cells(found.get(name))])
    for study in given:
        rows.append(["is there", study.folder.name, study.state.seed, *_cells(study)])
    headings = ["method", "study", ">seed", "state", ">trials", ">epochs", ">best", ">wall time"]
    return table(headings, rows)


def _cells(study: StudyResult | None) -> list[Any]:
    if study is None:
        return [state_cell("missing"), "-", "-", "-", "-"]
    best = study.state.best
    cost = spent(study)
    return [
        state_cell(study.status),
        trials_searched(study),
        number(cost.epochs),
        number(best.value if best else None),
        clock(cost.wall_s),
    ]


def as_json(
    manifest: Manifest, outcome: Outcome, given: Sequence[StudyResult], notes: Sequence[str]
) -> dict[str, Any]:
    """The object that `sweep compare --json` prints, but for its paths."""
    found = {study.folder.name: study for study in outcome.studies}
    methods: list[Mapping[str, Any]] = [
        {
            "key": method.key,
            "label": method.label,
            "file": method.file,
            "planned_epochs": {"low": method.planned.low, "high": method.planned.high},
            "studies": [
                {"name": name, "seed": seed, **_data(found.get(name))}
                for name, seed in zip(method.studies, manifest.seeds, strict=True)
            ],
        }
        for method in manifest.methods
    ]
    return {
        "name": manifest.name,
        "seeds": list(manifest.seeds),
        "budget_epochs": manifest.budget_epochs,
        "methods": methods,
        "given": [{"folder": str(study.folder), **_data(study)} for study in given],
        "failures": outcome.failures,
        "unfinished": outcome.unfinished,
        "notes": list(notes),
    }


def _data(study: StudyResult | None) -> dict[str, Any]:
    if study is None:
        return {"state": None, "trials": 0, "epochs": 0.0, "best": None, "wall_seconds": None}
    best = study.state.best
    cost = spent(study)
    return {
        "state": study.status,
        "trials": trials_searched(study),
        "epochs": cost.epochs,
        "best": None if best is None else best.value,
        "wall_seconds": round(cost.wall_s, 3),
    }
