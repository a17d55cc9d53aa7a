"""Which figures a single method has: what its trials learned, where they were, who copied whom.

A figure stands here exactly when the report has a caption for it; so what has nothing to show is
left out in one place. Configurations are shown in the same order everywhere, the best first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sweeps.report import figures
from sweeps.report.captions import reached_by_half
from sweeps.report.illustrations import MOST_ROWS, REST
from sweeps.report.model import Axis, Line, Lineage, Method, Metric, Repetition, Report
from sweeps.report.parts import Figure, Key, Panel, Table, some
from sweeps.text import changes_text, number, setting

MOST_SLICES = 12
"""Hyperparameters that get a panel; the most important ones where that is known."""
MOST_TRIALS_IN_TABLE = 20


def figures_of(report: Report, index: int, numbers: Mapping[str, int]) -> Iterator[Figure]:
    """All figures of the index-th method.

    Args:
        numbers: a trial's key -> its number on the page.
    """
    method = report.methods[index]
    captions = method.captions
    if "learning" in captions:
        yield _learning(report.metric, method, index, numbers)
    if "edf" in captions:
        yield _distribution(report, index)
    if "importance" in captions and method.importance.shares:
        yield _importance(method, index)
    if "parallel" in captions:
        yield _parallel(report.metric, method, index, numbers)
    shown = _shown_population(report.metric, method)
    if shown is not None and "lineage" in captions:
        yield _lineage(method, index, *shown, numbers)
    if "slices" in captions:
        yield _slices(report.metric, method, index, numbers)
    if shown is not None and "schedule" in captions and shown[1].winner:
        yield _schedule(method, index, *shown, numbers)


def _learning(metric: Metric, method: Method, index: int, numbers: Mapping[str, int]) -> Figure:
    lines = method.learning.lines
    drawing = figures.learning_curves(
        f"m{index}-learning",
        f"Learning curves of {method.label}",
        method.captions["learning"],
        lines,
        value=f"validation {metric.label}",
        method=index,
        numbers=numbers,
    )
    keys = [
        Key(figures.swatch(index), "the best trial"),
        Key(figures.sample("others"), "the others"),
    ]
    if any(line.state == "stopped" for line in lines):
        keys.append(Key(figures.sample("others-end", "M17 2v12"), "stopped early"))
    if any(line.state == "failed" and line.points for line in lines):
        keys.append(Key(figures.sample("cross", "M13 4l8 8m-8 0l8-8"), "failed"))
    rows = [
        (
            line.key,
            line.state,
            number(line.value),
            " ".join(f"{number(p.epoch)}:{number(p.value)}" for p in line.points[:50]),
        )
        for line in lines
    ]
    shown, note = some(rows, MOST_TRIALS_IN_TABLE, REST)
    table = Table("Evaluations", ("trial", "state", ">best", "epoch:value"), shown, note)
    return Figure(
        f"m{index}-learning-figure",
        "Learning curves",
        (method.captions["learning"],),
        (Panel(drawing),),
        tuple(keys),
        table,
    )


def _distribution(report: Report, index: int) -> Figure:
    method = report.methods[index]
    others = [m.edf for m in report.methods if m is not method and m.edf.x]
    drawing = figures.distribution(
        f"m{index}-edf",
        f"Distribution of the best values of {method.label}'s trials",
        method.captions["edf"],
        method.edf,
        others,
        half=reached_by_half(method.edf, report.metric) if method.edf.trials > 1 else None,
        value=report.metric.label,
        method=index,
    )
    keys = [Key(figures.swatch(index), method.label)]
    keys += [Key(figures.sample("others"), "the other methods")] if others else []
    x, share = method.edf.x, method.edf.share
    rows = [
        (
            f"{part:.0%}",
            number(next((v for v, s in zip(x, share, strict=True) if s >= part - 1e-9), x[-1])),
        )
        for part in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
        if x
    ]
    table = Table(
        "Quantiles of the best values",
        (">share of trials", f">{report.metric.label} at most"),
        tuple(rows),
    )
    return Figure(
        f"m{index}-edf-figure",
        "Distribution of trials",
        (method.captions["edf"],),
        (Panel(drawing),),
        tuple(keys),
        table,
    )


def _importance(method: Method, index: int) -> Figure:
    labels = {axis.name: axis.label for axis in method.space}
    shares = {labels.get(name, name): share for name, share in method.importance.shares.items()}
    drawing = figures.importance(
        f"m{index}-importance",
        f"Importance of the hyperparameters of {method.label}",
        method.captions["importance"],
        shares,
        method=index,
    )
    rows = tuple((name, f"{share:.3f}") for name, share in shares.items())
    table = Table("Importance", ("hyperparameter", ">share"), rows)
    return Figure(
        f"m{index}-importance-figure",
        "What mattered",
        (method.captions["importance"],),
        (Panel(drawing),),
        (),
        table,
    )


def _parallel(metric: Metric, method: Method, index: int, numbers: Mapping[str, int]) -> Figure:
    lines = method.configurations.lines
    drawing = figures.parallel(
        f"m{index}-parallel",
        f"Settings of {method.label}'s trials, and what came of them",
        method.captions["parallel"],
        method.space,
        lines,
        value=f"best {metric.label}",
        method=index,
        numbers=numbers,
    )
    return Figure(
        f"m{index}-parallel-figure",
        "Parallel coordinates",
        (method.captions["parallel"],),
        (Panel(drawing),),
        _rank_keys(index, lines),
        _configurations(metric, method),
    )


def _rank_keys(index: int, lines: Sequence[Line]) -> tuple[Key, ...]:
    best = figures.best_of(lines)
    keys = [Key(figures.swatch(index, "plain"), "the best trial")]
    if best > 1:
        good = figures.sample(f"{figures.look(index)} good")
        keys.append(Key(good, f"the best {best}"))
    return (*keys, Key(figures.sample("others"), "the others"))


def _configurations(metric: Metric, method: Method) -> Table:
    rows = [
        (
            line.key,
            number(line.value),
            *(setting(line.config[a.name]) if a.name in line.config else "-" for a in method.space),
        )
        for line in method.configurations.lines
    ]
    shown, note = some(rows, MOST_TRIALS_IN_TABLE, "trials.csv holds all of them")
    headings = ("trial", f">{metric.label}", *(f">{a.label}" for a in method.space))
    return Table("Configurations, the best first", headings, shown, note)


def _slices(metric: Metric, method: Method, index: int, numbers: Mapping[str, int]) -> Figure:
    lines = method.configurations.lines
    panels = [
        Panel(
            figures.slice_of(
                f"m{index}-slice-{i}",
                f"{metric.label} of {method.label}'s trials by {axis.label}",
                f"A dot for each trial at its {axis.label}.",
                axis,
                lines,
                value=metric.label,
                method=index,
                numbers=numbers,
            ),
            axis.label,
        )
        for i, axis in enumerate(_most_important(method))
    ]
    best = figures.best_of(lines)
    css = figures.look(index)
    keys = [Key(figures.swatch(index, "marker"), "the best trial")]
    if best > 1:
        keys.append(Key(figures.sample(f"{css} best-dots", "M17 8h0"), f"the best {best}"))
    keys.append(Key(figures.sample("others-dots", "M17 8h0"), "the others"))
    return Figure(
        f"m{index}-slices-figure",
        "Slices",
        (method.captions["slices"],),
        tuple(panels),
        tuple(keys),
        _configurations(metric, method),
        "panels",
    )


def _most_important(method: Method) -> list[Axis]:
    shares = method.importance.shares
    ranked = sorted(method.space, key=lambda axis: -shares.get(axis.name, 0.0))
    return ranked[:MOST_SLICES]


def _shown_population(metric: Metric, method: Method) -> tuple[Repetition, Lineage] | None:
    """Of the repetitions the one that selected the best value: one lineage is enough to read."""
    found = [(r, r.lineage) for r in method.repetitions if r.lineage and r.lineage.members]
    sign = 1.0 if metric.goal == "maximize" else -1.0

    def worth(pair: tuple[Repetition, Lineage]) -> tuple[bool, float]:
        selected = pair[0].selected
        return (selected is not None, sign * selected.value if selected else 0.0)

    return max(found, key=worth, default=None)


def _lineage(
    method: Method, index: int, shown: Repetition, population: Lineage, numbers: Mapping[str, int]
) -> Figure:
    end = population.winner[-1] if population.winner else None
    what = "crowned schedule" if population.crowned else "selected model"
    drawing = figures.lineage(
        f"m{index}-lineage",
        f"Lineage of {shown.study}",
        method.captions["lineage"],
        population,
        method=index,
        numbers=numbers,
        study=shown.study,
        best=(end.trial, end.end_epoch) if end else None,
    )
    css = figures.look(index)
    keys = (
        Key(figures.sample(f"{css} line solid winner"), f"ancestry of the {what}"),
        Key(figures.swatch(index, "marker"), what.split()[0]),
        Key(figures.sample("others-strong", "M1 8H24"), "member"),
        Key(
            figures.sample("others-strong arrow", "M4 2C17 2 17 2 17 9M17 14l-4-6h8z"),
            "copy of a donor",
        ),
        Key(figures.sample("evaluations", "M17 8h0"), "evaluation"),
    )
    rows = [
        (number(e.epoch), e.trial, e.donor, changes_text(e.before, e.after))
        for e in population.exploits
    ]
    shown_rows, note = some(rows, MOST_ROWS, REST)
    headings = (">epoch", "member", "copied", "explore (donor's \u2192 new)")
    return Figure(
        f"m{index}-lineage-figure",
        f"Lineage of {shown.study}",
        (method.captions["lineage"],),
        (Panel(drawing),),
        keys,
        Table("Copies", headings, shown_rows, note),
    )


def _schedule(
    method: Method, index: int, shown: Repetition, population: Lineage, numbers: Mapping[str, int]
) -> Figure:
    what = "crowned schedule" if population.crowned else "selected model"
    panels = [
        Panel(
            figures.schedule(
                f"m{index}-schedule-{i}",
                f"{axis.label} over training in {shown.study}",
                f"Steps of {axis.label} along the line of descent of the {what}.",
                axis,
                population,
                method=index,
                numbers=numbers,
                study=shown.study,
            ),
            axis.label,
        )
        for i, axis in enumerate(method.space[:MOST_SLICES])
    ]
    rows = [
        (
            number(s.start_epoch),
            number(s.end_epoch),
            s.trial,
            *(setting(s.config[a.name]) if a.name in s.config else "-" for a in method.space),
        )
        for s in population.winner
    ]
    headings = (">from epoch", ">to", "member", *(f">{a.label}" for a in method.space))
    shown_rows, note = some(rows, MOST_ROWS, REST)
    keys = (
        Key(figures.sample(f"{figures.look(index)} line solid"), f"the {what}"),
        Key(figures.sample("others"), "all members"),
    )
    return Figure(
        f"m{index}-schedule-figure",
        "Schedule that the selected model was trained with",
        (method.captions["schedule"],),
        tuple(panels),
        keys,
        Table("Schedule", headings, shown_rows, note),
        "panels",
    )
