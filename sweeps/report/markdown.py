"""`report.md`: the report for a repository, a pull request, a terminal.

Pure: a `Report` in, GitHub's Markdown out, the parts in the same order as on the page. Curves are
told as tables at a few costs. Every text that came from outside is escaped, so that a study, a
metric or an error called `<img>` or `| x |` stays that text; logs stand in fences that they
cannot close.
"""

from __future__ import annotations

from collections.abc import Iterator

from sweeps.report import beside
from sweeps.report.markdown_methods import method_parts
from sweeps.report.markdown_text import cost_cells, fenced, interval, plain, table
from sweeps.report.model import AXES, Band, Pair, Report
from sweeps.report.repetition import Config
from sweeps.report.wording import figure, span
from sweeps.text import config_text, count

_AT = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the largest cost at which curves are told."""

_MARKS = {"red": "**Red:**", "warn": "**Note:**", "info": "Note:"}


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
        parts += method_parts(method, report)
    parts += [*_failures(report), *_reproduction(report), _made(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _budget(report: Report) -> Iterator[str]:
    yield "## Budget"
    yield plain(report.captions["budget"])
    device = report.device.upper()
    apart = {m.label: beside.cost_words(m) for m in report.methods}
    shown = any(apart.values())
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
            *([beside.HEADING] if shown else []),
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
                *cost_cells(m.cost),
                *([apart[m.label] or "-"] if shown else []),
            )
            for m in report.methods
        ),
    )
    yield beside.NOTE if shown else ""


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


def _failures(report: Report) -> Iterator[str]:
    told = [(r, f) for m in report.methods for r in m.repetitions for f in r.failures]
    if not told:
        return
    apart = beside.kinds(report.trials)
    yield "## Failures"
    for repetition, failure in told:
        name = f"{repetition.study}/{failure.trial}"
        kind = f"{failure.kind}, {apart[name]}" if name in apart else failure.kind
        yield f"**{plain(name)}** ({plain(kind)}): {plain(failure.message)}"
        yield plain(_config(failure.config))
        yield fenced(failure.log) if failure.log.strip() else ""


def _config(config: Config) -> str:
    return config_text(config) if config else "No configuration."


def _reproduction(report: Report) -> Iterator[str]:
    """The commands in one block; facts and files once for all studies that share them."""
    yield "## How to reproduce"
    if report.command:
        yield "All of it, as one comparison; each method's sweep file stands below:"
        yield fenced(report.command, "sh")
        yield "Or study by study:"
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
