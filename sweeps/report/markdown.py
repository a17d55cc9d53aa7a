"""`report.md`: the report for a repository, a pull request, a terminal.

Pure: a `Report` in, GitHub's Markdown out, the parts in the same order as on the page. Curves are
told as tables at a few costs. Every text that came from outside is escaped, so that a study, a
metric or an error called `<img>` or `| x |` stays that text; logs stand in fences that they
cannot close.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sweeps.model_card import escaped
from sweeps.report.model import AXES, Band, Method, Metric, Pair, Report, Summary
from sweeps.report.repetition import Config, Cost, Finalist, Retrained, Stretch
from sweeps.report.wording import epochs_text, figure, sentence, span
from sweeps.text import config_text, count

BEST_SHOWN = 10
_AT = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the largest cost at which curves are told."""

_MARKS = {"red": "**Red:**", "warn": "**Note:**", "info": "Note:"}
_LINKED = re.compile(r"://|www\.|[&~@!]")


def markdown(report: Report) -> str:
    """Write all of it."""
    parts = [
        f"# {plain(report.title)}",
        f"**{plain(report.verdict.text)}**",
        "\n".join(f"- {_MARKS[n.severity]} {plain(n.text)}" for n in report.notes),
        *_budget(report),
        *_best_so_far(report),
        *_final(report),
        *_pairs(report),
    ]
    for method in report.methods:
        parts += _method(method, report)
    parts += [*_failures(report), *_reproduction(report), _made(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text that Markdown takes for nothing but text, in one line; no address becomes a link."""
    # Spaces at the beginning would make it a block of code.
    one_line = escaped(text).strip()
    return _LINKED.sub(lambda m: "\\" + m[0] if m[0] != "www." else "www\\.", one_line)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a heading that starts with `>` is of a column of numbers. Cells are escaped."""
    rule = ["---:" if h.startswith(">") else "---" for h in headings]
    lines = [[plain(h.removeprefix(">")) for h in headings], rule]
    lines += [[plain(c) for c in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(text: str, language: str = "") -> str:
    """A block of code, in a fence longer than any within it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def interval(value: Summary | None) -> str:
    """`0.705 (0.691 to 0.719)`; the mean alone below three repetitions."""
    if value is None:
        return "-"
    if value.low is None:
        return figure(value.mean)
    return f"{figure(value.mean)} ({figure(value.low)} to {figure(value.high)})"


def _budget(report: Report) -> Iterator[str]:
    yield "## Budget"
    yield plain(report.captions["budget"])
    device = report.device.upper()
    yield table(
        (
            "method",
            ">repetitions",
            ">started",
            ">finished",
            ">stopped early",
            ">failed",
            ">unfinished",
            ">epochs",
            f">{device} seconds",
            ">wall time",
            ">cost",
        ),
        (
            (
                m.label,
                str(len(m.repetitions)),
                *(
                    f"{n:,}"
                    for n in (
                        m.counts.started,
                        m.counts.finished,
                        m.counts.stopped,
                        m.counts.failed,
                        m.counts.running,
                    )
                ),
                *_cost(m.cost),
            )
            for m in report.methods
        ),
    )


def _cost(cost: Cost) -> tuple[str, str, str, str]:
    """Epochs, device seconds, wall time, money."""
    wall = span(cost.wall_s) if cost.wall_s else "-"
    usd = "-" if cost.usd is None else f"${cost.usd:,.2f}"
    return figure(cost.epochs), f"{cost.device_s:,.0f}", wall, usd


def _best_so_far(report: Report) -> Iterator[str]:
    if not any(m.bands for m in report.methods):
        return
    yield "## Best so far against cost"
    for axis in AXES:
        bands = {m.label: m.bands[axis] for m in report.methods if axis in m.bands}
        if not bands or f"best_so_far.{axis}" not in report.captions:
            continue
        most = max(band.x[-1] for band in bands.values())
        at = sorted({most * share for share in _AT})
        heads = [figure(x) if axis == "epochs" else span(x) for x in at]
        name = {
            "epochs": "epochs",
            "device_s": f"{report.device.upper()} time",
            "wall_s": "wall time",
        }[axis]
        yield plain(report.captions[f"best_so_far.{axis}"])
        yield table(
            (f"method, at {name}", *(f">{h}" for h in heads)),
            ((label, *(_at(band, x) for x in at)) for label, band in bands.items()),
        )


def _at(band: Band, cost: float) -> str:
    """The mean at a cost; `-` before its beginning and after its end."""
    if not band.x[0] <= cost <= band.x[-1] * (1 + 1e-9):
        return "-"
    return figure([mean for x, mean in zip(band.x, band.mean, strict=True) if x <= cost][-1])


def _final(report: Report) -> Iterator[str]:
    yield "## Final values"
    yield plain(report.captions.get("final", ""))
    yield table(
        (
            "",
            f">validation {report.metric.label} (optimistic)",
            f">test {report.metric.label}",
            ">validation minus test",
            "",
        ),
        (
            (r.label, interval(r.validation), interval(r.test), interval(r.gap), r.note)
            for r in report.final
        ),
    )


def _pairs(report: Report) -> Iterator[str]:
    if not report.pairs:
        return
    yield "## Pairwise"
    yield plain(report.captions.get("pairwise", ""))
    yield table(
        ("a", "b", "split", ">shared seeds", ">a minus b", ">P(a > b)", ">p", ">p, Holm", "claim"),
        (_pair_row(pair) for pair in report.pairs),
    )


def _pair_row(pair: Pair) -> tuple[str, ...]:
    return (
        pair.a,
        pair.b,
        pair.split,
        str(len(pair.seeds)),
        interval(pair.difference),
        figure(pair.superiority),
        figure(pair.p),
        figure(pair.p_holm),
        pair.claim,
    )


def _method(method: Method, report: Report) -> Iterator[str]:
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
        yield from _replays(repetition.study, repetition.replays, repetition.replay_cost)


def _repetitions(method: Method, metric: Metric) -> str:
    rows = []
    for r in method.repetitions:
        chosen = r.selected
        test = None if chosen is None else chosen.test
        rows.append(
            (
                r.study,
                str(r.seed),
                r.status,
                f"{r.counts.started:,}",
                *_cost(r.cost)[:3],
                figure(None if chosen is None else chosen.value),
                figure(None if test is None else test.value),
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


def _replays(study: str, replays: Sequence[Retrained], cost: Cost | None) -> Iterator[str]:
    if not replays:
        return
    yield f"The winner's schedule of {plain(study)}, trained alone{_beside(cost)}:"
    yield table(
        ("trial", ">seed", "state", ">validation", ">test"),
        (
            (
                r.trial,
                "-" if r.seed is None else str(r.seed),
                r.state,
                figure(r.value),
                figure(None if r.test is None else r.test.value),
            )
            for r in replays
        ),
    )


def _beside(cost: Cost | None) -> str:
    """What trials beside the search cost, which no budget counts."""
    if cost is None:
        return ""
    return f" ({epochs_text(cost.epochs)}, {cost.device_s:,.0f} {cost.device.upper()} seconds)"


def _failures(report: Report) -> Iterator[str]:
    told = [(r, f) for m in report.methods for r in m.repetitions for f in r.failures]
    if not told:
        return
    yield "## Failures"
    for repetition, failure in told:
        name = f"{repetition.study}/{failure.trial}"
        yield f"**{plain(name)}** ({plain(failure.kind)}): {plain(failure.message)}"
        yield plain(_config(failure.config))
        yield fenced(failure.log) if failure.log.strip() else ""


def _config(config: Config) -> str:
    return config_text(config) if config else "No configuration."


def _reproduction(report: Report) -> Iterator[str]:
    """The commands in one block; facts and files once for all studies that share them."""
    yield "## How to reproduce"
    yield fenced("\n".join(r.command for r in report.reproduction), "sh")
    yield table(
        ("study", ">seed", "begun", "set on resume"),
        (
            (r.study, str(r.seed), r.started, config_text(r.changes) or "-")
            for r in report.reproduction
        ),
    )
    shared: dict[str, list[str]] = {}
    files: dict[str, list[str]] = {}
    for r in report.reproduction:
        facts = {
            "search space": r.space_hash,
            "git commit": r.git_commit or "not recorded",
            **r.versions,
            **r.hardware,
        }
        told = ", ".join(f"{key} {value}" for key, value in facts.items())
        shared.setdefault(told, []).append(r.study)
        files.setdefault(r.sweep_file, []).append(r.study)
    for told, studies in shared.items():
        yield f"{plain(', '.join(studies))}: {plain(told)}."
    for text, studies in files.items():
        if text.strip():
            yield f"The sweep file of {plain(', '.join(studies))}:"
            yield fenced(text, "yaml")


def _made(report: Report) -> str:
    said = "".join(f" {plain(text)}" for text in report.thinned)
    trials = count(len(report.trials), "trial")
    return (
        f"Made by {plain(report.generator)} at {plain(report.generated)} from {trials}; all of"
        f" them are in trials.csv and trials.parquet, and this report's data in report.json.{said}"
    )
