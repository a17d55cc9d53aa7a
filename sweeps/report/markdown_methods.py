"""The part of `report.md` that each method has of its own: its studies, trials and lineage.

Pure, like `markdown.py`, whose part it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweeps.report.markdown_text import cost_cells, interval, plain, table
from sweeps.report.model import Method, Metric, Report
from sweeps.report.repetition import Cost, Finalist, Repetition, Stretch
from sweeps.report.wording import epochs_text, figure, sentence
from sweeps.text import config_text

BEST_SHOWN = 10


def method_parts(method: Method, report: Report) -> Iterator[str]:
    metric = report.metric
    yield f"## {plain(sentence(method.label))}"
    yield plain(sentence(method.description)) + "."
    yield _repetitions(method, metric)
    for name in ("slices", "learning", "edf", "lineage", "schedule"):
        yield plain(method.captions.get(name, ""))
    if method.importance.shares:
        yield plain(method.captions["importance"])
        yield table(
            ("name", ">importance"),
            ((name, f"{share:.1%}") for name, share in method.importance.shares.items()),
        )
    elif method.importance.hidden:
        yield plain(method.importance.hidden)
    yield from _best_trials(method, metric)
    for repetition in method.repetitions:
        if repetition.lineage is not None and len(repetition.lineage.winner) > 1:
            yield f"The winner of {plain(repetition.study)}, stretch by stretch:"
            yield _stretches(repetition.lineage.winner)
        yield from _finalists(repetition.study, repetition.finalists, repetition.finalists_cost)
        yield from _replays(repetition)


def _repetitions(method: Method, metric: Metric) -> str:
    rows = []
    for r in method.repetitions:
        chosen = r.selected
        test = None if chosen is None else chosen.test or chosen.second_look
        second = " (second look)" if chosen is not None and chosen.second_look else ""
        rows.append(
            (
                r.study,
                str(r.seed),
                r.status,
                f"{r.counts.started:,}",
                *cost_cells(r.cost)[:3],
                figure(None if chosen is None else chosen.value),
                figure(None if test is None else test.value) + second,
                "-" if test is None else f"{test.rows:,}",
                figure(None if test is None else test.standard_error),
                "-" if chosen is None else chosen.trial,
            )
        )
    label = metric.label
    heads = ("study", ">seed", "state", ">trials", ">epochs", ">device seconds", ">wall time")
    found = (f">validation {label}", f">test {label}", ">test rows", ">standard error")
    return table((*heads, *found, "selected"), rows)


def _best_trials(method: Method, metric: Metric) -> Iterator[str]:
    best = [line for line in method.configurations.lines if line.value is not None][:BEST_SHOWN]
    if not best:
        return
    yield plain(method.captions.get("parallel", ""))
    rows = ((line.key, line.state, figure(line.value), config_text(line.config)) for line in best)
    yield table(("trial", "state", f">validation {metric.label}", "configuration"), rows)


def _stretches(stretches: Sequence[Stretch]) -> str:
    return table(
        ("epochs", "trial", "configuration"),
        (
            (f"{figure(s.start_epoch)} to {figure(s.end_epoch)}", s.trial, config_text(s.config))
            for s in stretches
        ),
    )


def _finalists(study: str, finalists: Sequence[Finalist], cost: Cost | None) -> Iterator[str]:
    if not finalists:
        return
    yield f"Finalists of {plain(study)}, trained again on new seeds{_beside(cost)}:"
    yield table(
        ("of trial", "configuration", ">in the search", ">validation", ">test", ">runs", ""),
        (
            (
                f.repeats,
                config_text(f.config),
                figure(f.found),
                interval(f.validation),
                interval(f.test),
                str(len(f.runs)),
                "crowned" if f.crowned else "",
            )
            for f in finalists
        ),
    )


def _replays(repetition: Repetition) -> Iterator[str]:
    """Each trial of the search that was replayed, and its replays."""
    if not repetition.replays:
        return
    beside = _beside(repetition.replay_cost)
    yield f"Schedules of {plain(repetition.study)}, each trained alone{beside}:"
    runs = [
        *((run, f"{run.trial} (original)") for run in repetition.replayed),
        *((run, f"{run.trial}, of {run.repeats}") for run in repetition.replays),
    ]
    rows = [
        (
            name,
            "the study's" if run.seed is None else str(run.seed),
            run.state,
            figure(run.value),
            figure(None if run.test is None else run.test.value),
        )
        for run, name in runs
    ]
    yield table(("trial", ">seed", "state", ">validation", ">test"), rows)


def _beside(cost: Cost | None) -> str:
    """What trials beside the search cost, which no budget counts."""
    if cost is None:
        return ""
    return f" ({epochs_text(cost.epochs)}, {cost.device_s:,.0f} {cost.device.upper()} seconds)"
