"""A study as tables for a person: pure functions from `StudyState` to rich renderables.

Reads nothing from disk and writes nothing. Every cell is a `Text`, never markup, because names
and messages come from outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.errors import StudyUnreadable
from orchestrator.state import StudyState, TrialRecord
from sweeps.text import (
    changes_text,
    config_text,
    count,
    last_lines,
    metric_name,
    number,
    printable,
    setting,
    short_names,
)
from sweeps.views_beside import (
    beside_line,
    beside_table,
    crowned_line,
    held_out_lines,
)
from sweeps.views_cells import (
    STATE_STYLE,
    TRIAL_STATES,
    cell,
    counts_text,
    epoch_at,
    state_cell,
    table,
)

__all__ = ["STATE_STYLE", "TRIAL_STATES", "cell", "counts_text", "epoch_at", "state_cell", "table"]

if TYPE_CHECKING:
    from orchestrator.results import StudyResult

SMOKE = "SMOKE RUN: a tiny random model on a few rows; these numbers say nothing about the model."

RESUMABLE = ("interrupted", "stopped")
"""States of a study that `sweep resume` goes on from."""

_LIMIT = re.compile(r"(budget\.\w+) of ")

METHOD_WORDS = {
    "grid": "grid search",
    "random": "random search",
    "bayes": "Bayesian search",
    "pbt": "population-based training",
}


def going_on_words(study: StudyResult) -> list[str] | None:
    """Options with which `sweep resume` goes on with a study; None: it does not.

    One that a budget ended goes on with a larger one. A run_cap is a plan that was carried out.
    """
    limit = _LIMIT.match(study.state.reason)
    if limit is not None and study.status not in ("running", "interrupted"):
        return ["--set", f"{limit[1]}=MORE"]
    return [] if study.status in RESUMABLE else None


def last_value(trial: TrialRecord) -> float | None:
    """The metric at the trial's newest boundary on its present line; None before the first."""
    report = trial.reports.get(trial.boundary)
    return report.value if report else None


def headline(state: StudyState, status: str) -> list[Text]:
    """Name, method, status, counts, best; the first thing that `show` and `run` say."""
    lines = [
        Text.assemble(
            cell(state.name, "bold"),
            f": {METHOD_WORDS.get(state.method, state.method)}, {state.goal} ",
            cell(state.metric),
            f", seed {state.seed}, ",
            state_cell(status),
        )
    ]
    if state.smoke:
        lines.append(cell(SMOKE, "bold yellow"))
    if state.reason:
        lines.append(cell(state.reason))
    trials = [t for t in state.trials.values() if t.in_search]
    epochs = sum(len(t.reports) * t.epochs / t.boundaries for t in trials)
    lines.append(
        cell(
            f"{count(len(trials), 'trial')}: {counts_text(t.state for t in trials)};"
            f" {number(epochs)} epochs trained"
        )
    )
    together = max((s.world_size for t in state.trials.values() for s in t.segments), default=1)
    if together > 1:
        lines.append(cell(f"each trial is trained by {together} workers together"))
    lines += beside_line(state)
    return [*lines, best_line(state), *crowned_line(state), *held_out_lines(state)]


def best_line(state: StudyState) -> Text:
    """The best so far with its parameters; once finalists are through, the crowned one's run."""
    best = state.selected
    if best is None:
        return cell("best: none yet")
    at = epoch_at(state.trials[best.trial], best.boundary)
    return Text.assemble(
        "best: ",
        cell(f"{metric_name(state.metric)} {number(best.value)}", "bold green"),
        cell(f" by trial {best.trial} at epoch {number(at)}  {config_text(best.config)}"),
    )


def ranked(state: StudyState) -> list[TrialRecord]:
    """The search's trials from best to worst; those without a value last, by number."""
    sign = -1.0 if state.goal == "maximize" else 1.0
    return sorted(
        (t for t in state.trials.values() if t.in_search),
        key=lambda t: (t.best is None, sign * t.best.value if t.best else 0.0, t.number),
    )


def trials_table(state: StudyState, *, limit: int | None = None) -> Table:
    """The search's trials from best to worst: state, how far, best, last, configuration, failure.

    Args:
        limit: rows at most; None for all.
    """
    trials = ranked(state)[:limit]
    names = list(dict.fromkeys(name for t in trials for name in t.config))
    short = short_names(names)
    failures = any(t.failure for t in trials)
    halved = any(t.halvings for t in trials)
    metric = metric_name(state.metric)
    headings = ["trial", "state", ">epochs", f">best {metric}", ">at epoch", ">last"]
    headings += [f">{short[name]}" for name in names]
    rows = [
        [
            t.id,
            state_cell(t.state),
            f"{number(t.epochs_done)}/{number(t.epochs)}",
            _best(t),
            number(epoch_at(t, t.best.boundary)) if t.best else "-",
            number(last_value(t)),
            *[setting(t.config[name]) if name in t.config else "-" for name in names],
            *([_batch(t)] if halved else []),
            *([t.failure or ""] if failures else []),
        ]
        for t in trials
    ]
    headings += ["batch halved to"] if halved else []
    return table(headings + (["failure"] if failures else []), rows)


def _best(trial: TrialRecord) -> str:
    """Its best value, and whose that is if it came with a checkpoint that the trial copied."""
    best = trial.best
    if best is None:
        return "-"
    return number(best.value) + (f" by {best.trial}" if best.trial != trial.id else "")


def _batch(trial: TrialRecord) -> str:
    """Rows a pass and passes a step, since memory ran out."""
    if not trial.halvings:
        return ""
    return f"{trial.halvings[-1].per_device} x {trial.halvings[-1].accumulation}"


def lineage_table(state: StudyState, *, limit: int | None = None) -> Table:
    """Exploits in order: who copied whom, when, and what explore changed.

    Args:
        limit: the newest so many; None for all.
    """
    rows = [
        [
            number(step["epoch"]),
            step["trial"],
            step["donor"],
            changes_text(_donor_config(state, step), step["config"] or {}),
        ]
        for step in state.lineage()[-limit if limit else 0 :]
    ]
    return table([">epoch", "trial", "copied", "explore (donor's -> new)"], rows, title="lineage")


def _donor_config(state: StudyState, step: dict[str, Any]) -> dict[str, Any]:
    """The donor's configuration while it trained up to the boundary of the exploit."""
    donor = state.trials.get(step["donor"])
    if donor is None:
        return {}
    copies = [
        d
        for d in donor.decisions.values()
        if d.action == "exploit" and d.boundary < step["boundary"] and d.config is not None
    ]
    newest = max(copies, key=lambda d: d.boundary, default=None)
    return newest.config or {} if newest else donor.first_config


def failures_view(
    state: StudyState, log_path: Callable[[str], Path], *, lines: int = 6
) -> list[RenderableType]:
    """Each failed trial with its class, message, log file and the log's last lines.

    Args:
        log_path: from a trial's id to the path of its log.
        lines: how many lines of each log.
    """
    shown: list[RenderableType] = []
    for trial in state.with_state("failed"):
        shown.append(
            Text.assemble(
                cell(f"trial {trial.id} failed ({trial.failure}): ", "red"),
                cell(trial.message),
            )
        )
        shown.extend(
            Text("    " + printable(line)) for line in last_lines(trial.log, lines).splitlines()
        )
        shown.append(cell(f"    log: {log_path(trial.id)}", "dim"))
    return shown


def study_view(result: StudyResult, *, limit: int | None) -> list[RenderableType]:
    """All that `show` says of a study.

    Args:
        limit: trials at most, from the best down, and exploits, from the newest up; None for all.
    """
    state = result.state
    shown: list[RenderableType] = [*headline(state, result.status)]
    shown += [cell(f"note: {note}", "yellow") for note in result.notes]
    if state.searched:
        shown += ["", trials_table(state, limit=limit)]
        hidden = state.searched - (limit or state.searched)
        if hidden > 0:
            shown.append(cell(f"and {count(hidden, 'more trial')}: sweep show --all", "dim"))
    exploits = len(state.lineage())
    if exploits:
        shown += ["", lineage_table(state, limit=limit)]
        if limit is not None and exploits > limit:
            earlier = count(exploits - limit, "earlier exploit")
            shown.append(cell(f"and {earlier}: sweep show --all", "dim"))
    if state.beside:
        shown += ["", beside_table(state, limit=limit)]
    failures = failures_view(state, lambda trial: result.folder / "trials" / trial / "log.txt")
    return [*shown, "", *failures] if failures else shown


def best_view(result: StudyResult) -> list[RenderableType]:
    """The best trial, its configuration one name a line, and where its checkpoint is."""
    state, best = result.state, result.state.selected
    shown: list[RenderableType] = [cell(SMOKE, "bold yellow")] if state.smoke else []
    shown += [best_line(state), *crowned_line(state), *held_out_lines(state)]
    if best is not None:
        shown.append(table(["name", "value"], [[n, setting(v)] for n, v in best.config.items()]))
        shown.append(cell(f"checkpoint: {result.folder / best.checkpoint}"))
    return shown


def studies_table(found: Sequence[StudyResult | StudyUnreadable]) -> Table:
    """The studies of a storage folder; one that cannot be read says so in its row."""
    return table(["study", "state", "method", "trials", "best"], [_study_row(f) for f in found])


def _study_row(found: StudyResult | StudyUnreadable) -> list[Any]:
    if isinstance(found, StudyUnreadable):
        return ["?", cell("unreadable", "red"), "-", found.rule, "-"]
    state = found.state
    selected = state.selected
    best = f"{metric_name(state.metric)} {number(selected.value)}" if selected else "-"
    kind = state.method + (" (smoke)" if state.smoke else "")
    trials = counts_text(t.state for t in state.trials.values())
    return [found.folder.name, state_cell(found.status), kind, trials, best]
