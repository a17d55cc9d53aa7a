"""The tables of the page: budget, final values, pairs, what was selected, failures, trials.

Words and numbers only; whatever is claimed about them comes with the report. The list of trials is
the one thing that grows without end: so many of the best stand in the page as rows, the next as
compact data that the page's script reads when it is sorted or filtered, the rest in trials.csv
alone; the page says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from search_spaces.domains import is_number
from sweeps.report import beside, figures
from sweeps.report.model import (
    Config,
    Evaluation,
    Method,
    Pair,
    Repetition,
    Report,
    Retrained,
    Selected,
    Summary,
    TrialRow,
)
from sweeps.report.parts import Cell, Table
from sweeps.report.wording import p_text
from sweeps.text import config_text, count, duration, number, printable, setting, short_names

MOST_ROWS = 1000
"""Trials in the page as rows of the table."""
MOST_EMBEDDED = 10_000
"""Trials in the page at all."""
_NONE = "\u2013"


def value_text(value: float | None) -> str:
    """A metric in four digits, zeros too; a dash for None."""
    return _NONE if value is None else f"{value:#.4g}".rstrip(".")


def _summary(summary: Summary | None, *, signed: bool = False) -> str:
    return _NONE if summary is None else figures.summary_words(summary, signed=signed)


def budget(report: Report) -> Table:
    """What each method's search cost, and what became of its trials."""
    priced = any(m.cost.usd is not None for m in report.methods)
    unended = any(m.counts.running for m in report.methods)
    device = "GPU time" if report.device == "gpu" else "CPU time"
    headings = ["method", ">repetitions", ">trials", ">finished", ">stopped early", ">failed"]
    headings += [">not ended"] if unended else []
    headings += [">epochs", f">{device}", ">wall time", *([">cost"] if priced else [])]
    apart = {m.label: beside.cost_words(m) for m in report.methods}
    headings += [beside.HEADING] if any(apart.values()) else []
    rows: list[tuple[Cell, ...]] = []
    for index, m in enumerate(report.methods):
        c = m.counts
        row: list[Cell] = [named(index, m.label), str(len(m.repetitions))]
        row += [f"{n:,}" for n in (c.started, c.finished, c.stopped, c.failed)]
        row += [f"{c.running:,}"] if unended else []
        row += [number(round(m.cost.epochs, 2)), duration(m.cost.device_s)]
        row.append(duration(m.cost.wall_s))
        if priced:
            row.append(_NONE if m.cost.usd is None else f"${m.cost.usd:,.2f}")
        row += [apart[m.label] or _NONE] if any(apart.values()) else []
        rows.append(tuple(row))
    note = beside.NOTE if any(apart.values()) else ""
    return Table("What each search cost", tuple(headings), tuple(rows), note)


def named(index: int, label: str) -> Markup:
    """A method's name behind its marker."""
    return Markup("{}<span>{}</span>").format(figures.swatch(index, "marker"), printable(label))


def final(report: Report) -> Table:
    """What each method selected, the default configuration and random search, by the splits."""
    looks = {m.label: i for i, m in enumerate(report.methods)}
    name = report.metric.label
    noted = any(row.note for row in report.final)
    rows = []
    for row in report.final:
        label = named(looks[row.label], row.label) if row.label in looks else row.label
        cells: list[Cell] = [label, _summary(row.validation), _summary(row.test)]
        cells.append(_summary(row.gap, signed=True))
        rows.append((*cells, row.note) if noted else tuple(cells))
    headings = ("method", f">validation {name} (optimistic)", f">test {name}")
    headings += (">validation \u2212 test", *(("note",) if noted else ()))
    intervals = any(s and s.low is not None for r in report.final for s in (r.validation, r.test))
    note = "Mean over repetitions, in brackets its 95 % t interval." if intervals else ""
    return Table("Final values", headings, tuple(rows), note)


def pairs(found: Sequence[Pair]) -> Table:
    """Each pair of methods, with what may be said of it."""
    tested = any(p.p is not None for p in found)
    rows = []
    for p in found:
        cells = [f"{p.a} \u2212 {p.b}", p.split, str(len(p.seeds))]
        cells.append(_summary(p.difference, signed=True))
        cells.append(_NONE if p.superiority is None else f"{p.superiority:.2f}")
        if tested:
            cells += [_NONE if q is None else p_text(q) for q in (p.p, p.p_holm)]
        rows.append((*cells, p.claim))
    headings = ["pair", "split", ">shared seeds", ">difference", ">P(first better)"]
    headings += [">p", ">p (Holm)"] if tested else []
    return Table("Pairs of methods", (*headings, "what it shows"), tuple(rows))


def selected(method: Method) -> Table:
    """What each repetition chose."""
    names = [axis.name for axis in method.space]
    rows: list[tuple[Cell, ...]] = []
    for r in method.repetitions:
        chosen = r.selected
        cells: list[Cell] = [r.study, str(r.seed), _status(r)]
        if chosen is None:
            cells += [_NONE] * (4 + len(names))
        else:
            by = " (of the finalists)" if chosen.by == "finalists" else ""
            cells += [chosen.trial + by, number(chosen.epoch), value_text(chosen.value)]
            cells += [_looked(chosen), *(_setting(chosen.config, name) for name in names)]
        rows.append(tuple(cells))
    headings = ("study", ">seed", "status", "trial", ">epoch", ">validation", ">test")
    schedule = (
        "The configuration in force when the selected checkpoint was made; what led there is"
        " the schedule below."
    )
    looks = [r.selected.second_look or r.selected.test for r in method.repetitions if r.selected]
    notes = [schedule] if method.kind == "pbt" and rows else []
    notes += [text] if (text := _examples(looks)) else []
    return Table(
        f"What each repetition of {method.label} selected",
        (*headings, *(f">{axis.label}" for axis in method.space)),
        tuple(rows),
        " ".join(notes),
    )


def _status(repetition: Repetition) -> str:
    told = repetition.reason and repetition.status != "finished"
    return f"{repetition.status}: {repetition.reason}" if told else repetition.status


def _test(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return _NONE
    error = evaluation.standard_error
    return value_text(evaluation.value) + (f" \u00b1 {error:.2g}" if error is not None else "")


def _looked(chosen: Selected) -> str:
    """The look that counts, or a second one that is marked."""
    if chosen.second_look is None:
        return _test(chosen.test)
    return f"{_test(chosen.second_look)} (second look)"


def _examples(looks: Iterable[Evaluation | None]) -> str:
    """On how many examples these looks were, and what stands behind `\u00b1`."""
    there = [look for look in looks if look is not None]
    if not there:
        return ""
    low, high = min(look.rows for look in there), max(look.rows for look in there)
    on = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    if all(look.standard_error is None for look in there):
        return f"Test: {on} examples."
    return f"Test: {on} examples; \u00b1 is one standard error of a value on so many."


def _setting(config: Config, name: str) -> str:
    return setting(config[name]) if name in config else _NONE


def retrained(method: Method) -> Table | None:
    """Finalists and replays with what they repeat; None when there are none."""
    rows: list[tuple[Cell, ...]] = []
    looks: list[Evaluation | None] = []
    for r in method.repetitions:
        for finalist in r.finalists:
            crowned = ", crowned" if finalist.crowned else ""
            what = f"finalist of {finalist.repeats}{crowned}"
            rows += [_retrained(r.study, what, finalist.found, run) for run in finalist.runs]
            looks += [run.test for run in finalist.runs]
        found = {run.trial: run.value for run in r.replayed}
        rows += [_retrained(r.study, "replayed below", run.value, run) for run in r.replayed]
        rows += [
            _retrained(r.study, f"replay of {run.repeats}", found.get(run.repeats or ""), run)
            for run in r.replays
        ]
        looks += [run.test for run in (*r.replayed, *r.replays)]
    if not rows:
        return None
    headings = (
        "study",
        "what",
        ">in the search",
        "trial",
        ">seed",
        "state",
        ">validation",
        ">test",
    )
    name = f"Trained again beside the search of {method.label}"
    note = " ".join(["Not counted in the budget of the search.", _examples(looks)]).strip()
    return Table(name, headings, tuple(rows), note)


def _retrained(study: str, what: str, before: float | None, run: Retrained) -> tuple[Cell, ...]:
    seed = "the study's" if run.seed is None else str(run.seed)
    reached = (value_text(run.value), _test(run.test))
    return (study, what, value_text(before), run.trial, seed, run.state, *reached)


@dataclass(frozen=True)
class Trials:
    """The list of trials: `table` holds the first rows, `more` the next; the rest is not here."""

    table: Table
    more: tuple[tuple[str, ...], ...]
    states: tuple[str, ...]
    methods: tuple[str, ...]
    left_out: str


def ranked(report: Report) -> list[TrialRow]:
    """All trials in the order of the table: the best value first, those without one last."""
    sign = -1.0 if report.metric.goal == "maximize" else 1.0
    return sorted(
        report.trials,
        key=lambda t: (t.value is None, 0.0 if t.value is None else sign * t.value),
    )


def trials(report: Report, order: Sequence[TrialRow]) -> Trials:
    """The list of trials.

    Args:
        order: `ranked(report)`.
    """
    names = list(dict.fromkeys(name for t in order for name in t.config))
    short = short_names(names)
    origins = any(t.origin != "searcher" for t in order)
    device = "GPU s" if report.device == "gpu" else "CPU s"
    headings = ["trial", "method", "state", *(["origin"] if origins else [])]
    headings += [f">best {report.metric.label}", ">at epoch", ">last", ">epochs", f">{device}"]
    headings += [f">{short[name]}" for name in names]
    rows = [_trial(t, names, origins) for t in order[:MOST_EMBEDDED]]
    return Trials(
        Table("Trials", tuple(headings), tuple(rows[:MOST_ROWS])),
        tuple(rows[MOST_ROWS:]),
        tuple(dict.fromkeys(row[2] for row in rows)),
        tuple(dict.fromkeys(t.method for t in order)),
        _left_out(len(order)),
    )


def _trial(t: TrialRow, names: Iterable[str], origins: bool) -> tuple[str, ...]:
    state = f"{t.state}: {t.failure}" if t.failure else t.state
    numbers = (number(t.value), number(t.epoch), number(t.last), number(round(t.epochs, 3)))
    settings = (_short(t.config[name]) if name in t.config else _NONE for name in names)
    told = (t.key, t.method, state, *((t.origin,) if origins else ()))
    return (*told, *numbers, number(round(t.device_s, 1)), *settings)


def _short(value: object) -> str:
    """A setting as it is; long text is cut, trials.csv has it whole."""
    shown = setting(value)
    return shown if is_number(value) or len(shown) <= 60 else f"{shown[:59]}\u2026"


def _left_out(n: int) -> str:
    parts = []
    if n > MOST_ROWS:
        parts.append(
            f"The table shows {MOST_ROWS:,} trials at most, the best first; sorting and filtering"
            f" look at {min(n, MOST_EMBEDDED):,} and need JavaScript."
        )
    if n > MOST_EMBEDDED:
        parts.append(f"{count(n - MOST_EMBEDDED, 'trial')} more are not in this page.")
    return " ".join([*parts, "trials.csv and trials.parquet hold every trial."] if parts else [])


def failures(report: Report) -> list[tuple[str, str, str, str, str]]:
    """Study and trial, class, message, configuration and the log's end of each failed trial.

    The class also says when the trial stands beside the search.
    """
    apart = beside.kinds(report.trials)
    told = []
    for r in (r for m in report.methods for r in m.repetitions):
        for f in r.failures:
            key = f"{r.study}/{f.trial}"
            kind = f"{f.kind} ({apart[key]})" if key in apart else f.kind
            told.append((key, kind, f.message, config_text(f.config), f.log))
    return told
