"""From studies to a report: everything that `report.json` holds, put together.

Reads `StudyResult`s only (no Ray, no torch, nothing from the network) and writes nothing. Studies
that have nothing yet, or nothing but failures, give a report that says so: refused is only what
cannot stand side by side, which is two different metrics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.results import StudyResult
from orchestrator.state import TrialRecord
from search_spaces.errors import SweepError
from sweeps import __version__
from sweeps.report import captions, drawn
from sweeps.report.comparing import pairs_of, repetition_notes, task_notes
from sweeps.report.curves import Account, account, band, total
from sweeps.report.finals import final_rows
from sweeps.report.importance import importance
from sweeps.report.machines import machine_notes
from sweeps.report.methods import Method as Studies
from sweeps.report.methods import unique_names
from sweeps.report.model import AXES, Method, Metric, Note, Report, TrialRow
from sweeps.report.notes import gravest_first, notes
from sweeps.report.repetition import Counts, Repetition
from sweeps.report.repetitions import repetition
from sweeps.report.reproduction import reproduction
from sweeps.report.seeds import values_by_seed
from sweeps.report.settings import setting_notes
from sweeps.report.statistics import summary
from sweeps.report.storable import storable
from sweeps.report.verdict import verdict
from sweeps.text import count, metric_name, printable
from sweeps.views import METHOD_WORDS, last_value


class ReportRefused(SweepError):
    """These studies cannot stand in one report."""

    exit_code = 2


def gather(
    methods: Sequence[Studies],
    *,
    title: str | None = None,
    generated: datetime | None = None,
    command: str = "",
) -> Report:
    """Make the report.

    Args:
        methods: what `grouped` gave; one study at least.
        title: of the document; None: from the methods and the metric.
        generated: when; None: now.
        command: the `sweep compare` that runs these studies; empty: they are no comparison.

    Raises:
        ReportRefused: no studies, or studies of different metrics or goals.
    """
    metric = _metric(methods)
    names = unique_names(methods)
    spent = {study.folder: account(study) for method in methods for study in method.studies}
    rows: list[TrialRow] = []
    told: list[Method] = []
    searched = list(
        dict.fromkeys(name for m in methods for s in m.studies for name in s.spec.space)
    )
    for method in methods:
        own = [row for study in method.studies for row in _rows(study, names, method.label, spent)]
        rows += own
        told.append(_method(method, names, spent, own, metric, searched))
    pairs = pairs_of(told, metric)
    final = final_rows(told)
    cost = total([method.cost for method in told])
    return Report(
        title=title or _title(methods, metric),
        metric=metric,
        generated=(generated or datetime.now(UTC)).isoformat(timespec="seconds"),
        generator=f"sweep {__version__}",
        device=cost.device,
        verdict=verdict(told, pairs, metric),
        notes=gravest_first(
            [
                *task_notes(methods),
                *repetition_notes(methods, names),
                *notes(told, final),
                *_circumstances(methods, names),
            ]
        ),
        methods=tuple(told),
        final=final,
        pairs=pairs,
        captions=captions.of_report(told, final, pairs, metric),
        thinned=tuple(_thinned(told)),
        trials=tuple(rows),
        reproduction=tuple(
            reproduction(study, names[study.folder], method.label)
            for method in methods
            for study in method.studies
        ),
        command=command,
    )


def _circumstances(methods: Sequence[Studies], names: Mapping[Path, str]) -> list[Note]:
    """What differs between the methods, or the machines, and was not searched."""
    told = setting_notes([(method.label, method.studies[0].spec) for method in methods])
    return [
        *(Note(severity="warn", text=f"{text}.") for text in told),
        *machine_notes(methods, names),
    ]


def _metric(methods: Sequence[Studies]) -> Metric:
    specs = [study.spec for method in methods for study in method.studies]
    if not specs:
        raise ReportRefused(
            "a report must have one study at least; got none.\n"
            "    mend: name a study; `sweep list` shows them."
        )
    found = {(spec.metric.name, spec.metric.goal) for spec in specs}
    if len(found) > 1:
        told = ", ".join(f"{goal} {name}" for name, goal in sorted(found))
        raise ReportRefused(
            f"studies of one report must have one metric and goal; got {told}.\n"
            "    mend: make a report of those that share theirs."
        )
    name, goal = found.pop()
    return Metric(name=name, goal=goal, label=metric_name(name))


def _title(methods: Sequence[Studies], metric: Metric) -> str:
    if len(methods) == 1 and len(methods[0].studies) == 1:
        return f"{methods[0].studies[0].spec.name}: {methods[0].label}, {metric.label}"
    labels = [method.label for method in methods]
    words = f"{', '.join(labels[:-1])} and {labels[-1]}" if len(labels) > 1 else labels[0]
    return f"{words[:1].upper()}{words[1:]}: {metric.label}"


def _method(
    studies: Studies,
    names: dict[Path, str],
    spent: dict[Path, Account],
    rows: Sequence[TrialRow],
    metric: Metric,
    searched: Sequence[str],
) -> Method:
    spec = studies.studies[0].spec
    records = _records(studies, names)
    repetitions = tuple(
        repetition(s, names[s.folder], spent[s.folder], searched) for s in studies.studies
    )
    ranking = drawn.ranked(
        [row for row in rows if records[row.key].in_search],
        maximize=metric.goal == "maximize",
        selected={f"{r.study}/{r.selected.trial}" for r in repetitions if r.selected is not None},
    )
    curves = [spent[s.folder].curve for s in studies.studies]
    ended = [r.status in ("finished", "failed") for r in repetitions]
    bands = {axis: band(curves, at, ended) for at, axis in enumerate(AXES)}
    finished = [
        (row.config, row.value)
        for row in ranking
        if row.state == "finished" and row.value is not None
    ]
    made = Method(
        label=studies.label,
        kind=spec.method,
        description=_description(studies),
        repetitions=repetitions,
        counts=_sum_counts(repetitions),
        cost=total([r.cost for r in repetitions]),
        bands={axis: found for axis, found in bands.items() if found is not None},
        validation=summary(list(values_by_seed(repetitions, "validation").values())),
        test=summary(list(values_by_seed(repetitions, "test").values())),
        space=drawn.space(spec),
        importance=importance(spec, finished),
        edf=drawn.edf(ranking),
        learning=drawn.learning(ranking, records),
        configurations=drawn.configurations(ranking),
    )
    return dataclasses.replace(made, captions=captions.of_method(made, ranking, metric))


def _description(studies: Studies) -> str:
    """The method in words: sampler, early stopping, population, limits."""
    spec = studies.studies[0].spec
    words = [METHOD_WORDS[spec.method]]
    if spec.method == "bayes":
        words.append("sampler chosen by the space" if spec.sampler == "auto" else spec.sampler)
    if spec.early_terminate is not None:
        words.append(f"{spec.early_terminate.type} stops trials early")
    if spec.population is not None:
        words.append(f"population of {spec.population.size}")
    if spec.trial_limit is not None and spec.method != "pbt":
        words.append(f"{count(spec.trial_limit, 'trial')} at most")
    if spec.budget.epochs is not None:
        words.append(f"{spec.budget.epochs:g} epochs at most")
    words.append(count(len(studies.studies), "repetition"))
    return ", ".join(words)


def _sum_counts(repetitions: Sequence[Repetition]) -> Counts:
    names = [field.name for field in dataclasses.fields(Counts)]
    return Counts(**{n: sum(getattr(r.counts, n) for r in repetitions) for n in names})


def _records(studies: Studies, names: dict[Path, str]) -> dict[str, TrialRecord]:
    """Every trial of a method by its key."""
    return {
        f"{names[study.folder]}/{record.id}": record
        for study in studies.studies
        for record in study.state.trials.values()
    }


def _rows(
    study: StudyResult, names: dict[Path, str], label: str, spent: dict[Path, Account]
) -> list[TrialRow]:
    """Every trial of a study, in the search or beside it, by number."""
    name, added = names[study.folder], spent[study.folder]
    records = study.state.trials.values()
    holders = {commit.path: r for r in records for commit in r.checkpoints.values()}
    return [_row(study, name, label, added, r, holders) for r in records]


def _row(
    study: StudyResult,
    name: str,
    label: str,
    spent: Account,
    record: TrialRecord,
    holders: Mapping[str, TrialRecord],
) -> TrialRow:
    best, config = record.best, record.config
    if best is not None:  # a member may have it from one that it copied
        config = holders.get(best.checkpoint, record).config_up_to(best.boundary)
    width = record.epochs / record.boundaries
    return TrialRow(
        key=f"{name}/{record.id}",
        method=label,
        study=name,
        seed=study.spec.seed if record.seed is None else record.seed,
        trial=record.id,
        number=record.number,
        origin=record.origin,
        state=record.state,
        value=None if best is None else best.value,
        epoch=None if best is None else best.boundary * width,
        last=last_value(record),
        epochs=spent.epochs[record.id],
        device_s=spent.device_s[record.id],
        retries=record.retries,
        failure=record.failure or "",
        message=printable(record.message),
        repeats=record.repeats,
        config=storable(config),
    )


def _thinned(methods: Sequence[Method]) -> list[str]:
    """One sentence for each thing that figures leave out."""
    found: list[str] = []
    for method in methods:
        parts = {"learning curves": method.learning, "configurations": method.configurations}
        for what, part in parts.items():
            if len(part.lines) < part.of:
                found.append(
                    f"{method.label}: figures show {len(part.lines):,} of {part.of:,} {what}, the"
                    " best half of them by rank and the others evenly from the rest."
                )
        if any(len(r.curve) < r.curve_of for r in method.repetitions):
            found.append(f"{method.label}: best so far is drawn with fewer steps than it took.")
        if len(method.edf.x) < method.edf.trials:
            found.append(f"{method.label}: the distribution is drawn with fewer steps than trials.")
        for r in method.repetitions:
            if r.lineage is not None and len(r.lineage.members) < r.lineage.of_members:
                found.append(
                    f"{r.study}: the lineage shows {len(r.lineage.members):,} of"
                    f" {r.lineage.of_members:,} members: the winner's ancestors and the best."
                )
            if len(r.failures) < r.failures_of:
                found.append(
                    f"{r.study}: {len(r.failures):,} of {r.failures_of:,} failures are told with"
                    " their logs; all are in the list of trials."
                )
    return found
