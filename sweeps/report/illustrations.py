"""Which figures compare methods, and how each is named, described, captioned and tabulated.

Draws nothing (`figures` does) and claims nothing: captions come with the report. Figures of a
single method are in `illustrations_of_methods.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.report import figures
from sweeps.report.model import AXES, FinalRow, Method, Pair, Report, Summary
from sweeps.report.page_tables import value_text
from sweeps.report.parts import Figure, Key, Panel, Table, some
from sweeps.text import number

MOST_ROWS = 60
"""Of the table below a figure; report.json has the rest."""

REST = "report.json holds all of them"


def best_so_far(report: Report) -> Figure | None:
    """Best so far against each cost; None while no trial of any method has a value."""
    methods = [m for m in report.methods if any(r.curve for r in m.repetitions)]
    if not methods:
        return None
    looks = {m.label: i for i, m in enumerate(report.methods)}
    panels, captions = [], []
    for position, axis in enumerate(AXES):
        title, cost, per_unit = _cost_axis(report, methods, position)
        caption = report.captions.get(f"best_so_far.{axis}", "")
        drawing = figures.best_so_far(
            f"best-{position}",
            f"Best {report.metric.label} so far against {title}",
            caption or f"Steps for each of {len(methods)} methods.",
            [
                figures.Progress(
                    m.label,
                    looks[m.label],
                    tuple(
                        tuple((point[position], point.value) for point in r.curve)
                        for r in m.repetitions
                    ),
                    m.bands.get(axis),
                )
                for m in methods
            ],
            cost=cost,
            value=f"best validation {report.metric.label}",
            per_unit=per_unit,
            reference=_default(report),
        )
        panels.append(Panel(drawing, title))
        captions.append(caption)
    keys = [Key(figures.swatch(looks[m.label]), m.label) for m in methods]
    if any(len(m.repetitions) > 1 for m in methods):
        keys.append(Key(figures.sample("look-plain faint"), "each repetition"))
    if any(band.low for m in methods for band in m.bands.values()):
        keys.append(Key(figures.sample("look-plain band", "M1 2H33V14H1z"), "95 % t interval"))
    return Figure(
        id="best-so-far",
        title="Best so far against cost",
        captions=tuple(captions),
        panels=tuple(panels),
        keys=tuple(keys),
        table=_progress_table(report, methods),
        layout="choice",
    )


def _default(report: Report) -> tuple[str, float] | None:
    """The default configuration's validation value, which a search should beat."""
    rows = [r for r in report.final if r.role == "default" and r.validation is not None]
    return (rows[0].label, rows[0].validation.mean) if rows and rows[0].validation else None


def _cost_axis(report: Report, methods: Sequence[Method], position: int) -> tuple[str, str, float]:
    """A cost's name, its axis' name with the unit, and how much of it is one of that unit."""
    most = max(r.curve[-1][position] for m in methods for r in m.repetitions if r.curve)
    if position == 0:
        return "epochs", "epochs trained by all trials together", 1.0
    name = ("GPU time" if report.device == "gpu" else "CPU time") if position == 1 else "wall time"
    seconds, unit = figures.unit_of_time(most)
    return name, f"{name} ({unit})", seconds


def _progress_table(report: Report, methods: Sequence[Method]) -> Table:
    device = "GPU" if report.device == "gpu" else "CPU"
    rows = [
        (
            m.label,
            r.study,
            number(p.epochs),
            number(round(p.device_s, 1)),
            number(round(p.wall_s, 1)),
            number(p.value),
        )
        for m in methods
        for r in m.repetitions
        for p in r.curve
    ]
    shown, note = some(rows, MOST_ROWS, REST)
    headings = ("method", "study", ">epochs", f">{device} s", ">wall s", ">best so far")
    return Table("Each improvement of the best value", headings, shown, note)


def final_values(report: Report) -> Figure | None:
    """Validation and test of what each method selected; None when nothing was selected."""
    looks = {m.label: i for i, m in enumerate(report.methods)}
    rows = [r for r in report.final if r.validation is not None or r.test is not None]
    if not rows:
        return None
    tested = any(row.test is not None for row in rows)
    estimates = []
    for row in rows:
        words = f"{_mean(row.validation)} \u2192 {_mean(row.test)}"
        estimates.append(
            figures.Estimate(
                row.label,
                looks.get(row.label) if row.role != "default" else None,
                row.validation,
                row.test,
                words if row.test is not None else _mean(row.validation),
            )
        )
    drawing = figures.estimates(
        "final-0",
        f"{report.metric.label} of each method's selected model",
        "For each row the validation value that it was chosen by, and the value on the test split.",
        estimates,
        value=report.metric.label,
    )
    keys = [
        Key(figures.sample("look-plain hollow mark", _DOT), "validation (chosen by it)"),
        *([Key(figures.sample("look-plain mark", _DOT), "test")] if tested else []),
        Key(figures.sample("look-plain repetition", "M8 8h0M17 8h0M26 8h0"), "each repetition"),
    ]
    if any(s.low is not None for r in rows for s in (r.validation, r.test) if s):
        keys.append(
            Key(figures.sample("look-plain interval", "M3 8H31M3 4v8M31 4v8"), "95 % t interval")
        )
    return Figure(
        id="final-values",
        title="Chosen on validation, judged on test" if tested else "Chosen on validation",
        captions=_caption(report, "final"),
        panels=(Panel(drawing),),
        keys=tuple(keys),
        table=_values_table(rows),
        layout="beside",
    )


_DOT = "M12 8a5 5 0 1 0 10 0a5 5 0 1 0-10 0z"


def _caption(report: Report, part: str) -> tuple[str, ...]:
    return (report.captions[part],) if part in report.captions else ()


def _mean(summary: Summary | None) -> str:
    return value_text(None if summary is None else summary.mean)


def _values_table(rows: Sequence[FinalRow]) -> Table:
    cells = [
        (row.label, split, str(i + 1), number(value))
        for row in rows
        for split, summary in (("validation", row.validation), ("test", row.test))
        if summary is not None
        for i, value in enumerate(summary.values)
    ]
    shown, note = some(cells, MOST_ROWS, REST)
    return Table(
        "Every repetition's values", ("row", "split", ">repetition", ">value"), shown, note
    )


def differences(report: Report) -> Figure | None:
    """The paired differences; None when no pair of methods shares a seed."""
    pairs = [p for p in report.pairs if p.difference is not None]
    if not pairs:
        return None
    splits = sorted({p.split for p in pairs})
    drawing = figures.estimates(
        "pairs-0",
        "Differences between methods over shared seeds",
        "A row for each pair: the mean difference, its interval, and the difference at each seed.",
        [
            figures.Estimate(
                f"{p.a} \u2212 {p.b}",
                None,
                None,
                p.difference,
                figures.summary_words(p.difference, signed=True),
            )
            for p in pairs
        ],
        value=f"difference in {' or '.join(splits)} {report.metric.label}",
        zero=True,
    )
    keys = [
        Key(figures.sample("look-plain mark", _DOT), "mean difference"),
        Key(figures.sample("look-plain repetition", "M8 8h0M17 8h0M26 8h0"), "each shared seed"),
    ]
    if any(p.difference and p.difference.low is not None for p in pairs):
        keys.append(
            Key(figures.sample("look-plain interval", "M3 8H31M3 4v8M31 4v8"), "95 % t interval")
        )
    return Figure(
        id="differences",
        title="Paired differences",
        captions=_caption(report, "pairwise"),
        panels=(Panel(drawing),),
        keys=tuple(keys),
        table=_differences_table(pairs),
        layout="beside",
    )


def _differences_table(pairs: Sequence[Pair]) -> Table:
    rows = [
        (f"{p.a} \u2212 {p.b}", p.split, str(seed), number(value))
        for p in pairs
        if p.difference is not None
        for seed, value in zip(p.seeds, p.difference.values, strict=False)
    ]
    shown, note = some(rows, MOST_ROWS, REST)
    return Table(
        "The difference at each seed", ("pair", "split", ">seed", ">difference"), shown, note
    )
