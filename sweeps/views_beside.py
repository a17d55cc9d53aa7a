"""What a study has beside its search, for a person: test figures, finalists, replays, controls.

Pure functions from `StudyState` to rich renderables, like `views.py`, which they are shown by.
"""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from orchestrator.after_search import looks_at_test
from orchestrator.events import Evaluated
from orchestrator.results import StudyResult
from orchestrator.state import StudyState, TrialRecord
from sweeps.looks import Looked, looked
from sweeps.text import changes_text, config_text, count, metric_name, number
from sweeps.views_cells import cell, counts_text, epoch_at, state_cell, table


def held_out_lines(state: StudyState) -> list[Text]:
    """The selected checkpoint's test figure and the default configuration's; [] without any."""
    seen = looked(state)
    lines: list[Text] = []
    if seen.first is not None:
        lines.append(
            Text.assemble(
                "test: ",
                cell(f"{_figure(state, seen.first)}{_knowing(state, seen)}", "bold green"),
                " (the best was chosen by its own number on the validation split, which is"
                " therefore optimistic)",
            )
        )
    elif seen.before:
        newest = seen.before[-1]
        told = f"test: {_figure(state, newest)}, by {_place(newest)}, which was selected then"
        lines.append(cell(told))
    record = state.default
    best = record.best if record is not None else None
    if record is not None and best is not None and (look := state.test_of(best.checkpoint)):
        lines.append(
            cell(
                f"default configuration: {metric_name(state.metric)} {number(best.value)} on"
                f" validation, test {_figure(state, look)} (trial {record.id})"
            )
        )
    return lines


def looking_words(result: StudyResult) -> list[str] | None:
    """Options with which `sweep evaluate` gives the best its test figure; None: it has it.

    Or there is no test split, or the study has not come to its end.
    """
    state, spec = result.state, result.spec
    selected = state.selected
    if selected is None or result.status not in ("finished", "stopped"):
        return None
    if state.test_of(selected.checkpoint) or "test" not in spec.task.dataset.splits:
        return None
    return ["--again"] if looks_at_test(state) else []


def _figure(state: StudyState, look: Evaluated) -> str:
    return f"{metric_name(state.metric)} {number(look.value)} on {count(look.rows, 'row')}"


def _place(look: Evaluated) -> str:
    return f"trial {look.trial} at boundary {look.boundary}"


def _knowing(state: StudyState, seen: Looked) -> str:
    """What was known of the test split when the figure was made, or became known after it."""
    if seen.before:
        first = seen.before[0]
        return f", a second look, after {_place(first)} had {number(first.value)}"
    if seen.is_second:
        return ", a second look"
    return ", looked at again" if seen.repeated else ""


def crowned_line(state: StudyState) -> list[Text]:
    """Why the best is the best when finalists were trained; [] without any that are through."""
    crown = state.crowned
    if crown is None:
        return []
    of = len(crown.values) + crown.failed
    runs = count(of, "new seed")
    failed = f", {crown.failed} failed" if crown.failed else ""
    found = state.trials[crown.repeats].best if crown.repeats in state.trials else None
    searched = f"; in the search it had {number(found.value)}" if found else ""
    return [
        cell(
            f"crowned: the configuration of trial {crown.repeats}, mean"
            f" {metric_name(state.metric)} {number(crown.mean)} over {runs}{failed}{searched}"
        )
    ]


def beside_line(state: StudyState) -> list[Text]:
    """How many trials stand beside the search, and what they cost; [] without any."""
    trials = [state.trials[trial] for trial in state.beside]
    if not trials:
        return []
    epochs = sum(len(t.reports) * t.epochs / t.boundaries for t in trials)
    return [
        cell(
            f"beside the search: {count(len(trials), 'trial')}:"
            f" {counts_text(t.state for t in trials)}; {number(epochs)} epochs trained"
        )
    ]


def beside_table(state: StudyState, *, limit: int | None = None) -> Table:
    """Trials beside the search, each with the trial that it trains again.

    Args:
        limit: rows at most, the newest; None for all.
    """
    trials = [state.trials[trial] for trial in state.beside][-limit if limit else 0 :]
    metric = metric_name(state.metric)
    rows = [
        [
            t.id,
            state_cell(t.state),
            f"{number(t.epochs_done)}/{number(t.epochs)}",
            number(t.best.value if t.best else None),
            number(_found(state, t)),
            t.repeats or "-",
            "-" if t.seed is None else str(t.seed),
            _course(t),
        ]
        for t in trials
    ]
    headings = ["trial", "state", ">epochs", f">best {metric}", ">original", "repeats", ">seed"]
    return table([*headings, "configuration"], rows, title="beside the search")


def _found(state: StudyState, trial: TrialRecord) -> float | None:
    """The best value of the trial that this one repeats."""
    original = state.trials.get(trial.repeats or "")
    return original.best.value if original is not None and original.best is not None else None


def _course(trial: TrialRecord) -> str:
    """Its configuration; of a schedule the first one and each change."""
    words, before = [config_text(trial.first_config)], trial.first_config
    for boundary, config in trial.schedule:
        words.append(f"from {number(epoch_at(trial, boundary))}: {changes_text(before, config)}")
        before = config
    return "; ".join(words)
