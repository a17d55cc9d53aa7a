"""What a study has beside its search, for a person: test figures, finalists, replays, controls.

Pure functions from `StudyState` to rich renderables, like `views.py`, which they are shown by.
"""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from orchestrator.events import Evaluated
from orchestrator.results import StudyResult
from orchestrator.state import StudyState, TrialRecord
from sweeps.text import changes_text, config_text, count, metric_name, number
from sweeps.views_cells import cell, counts_text, epoch_at, state_cell, table


def held_out_lines(state: StudyState) -> list[Text]:
    """The selected checkpoint's test figure and the default configuration's; [] without any."""
    selected, lines = state.selected, []
    look = state.test_of(selected.checkpoint) if selected else None
    if look is not None:
        lines.append(
            Text.assemble(
                "test: ",
                cell(_figure(state, look), "bold green"),
                " (the best was chosen by its own number on the validation split, which is"
                " therefore optimistic)",
            )
        )
    else:
        earlier = [e for e in state.evaluations if not _is_default(state, e)]
        lines += [
            cell(
                f"test: {_figure(state, e)}, by trial {e.trial} at boundary {e.boundary}, which"
                " was selected then"
            )
            for e in earlier[-1:]
        ]
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
    return ["--again"] if state.evaluations else []


def _is_default(state: StudyState, look: Evaluated) -> bool:
    return state.default is not None and state.default.id == look.trial


def _figure(state: StudyState, look: Evaluated) -> str:
    again = ", looked at again" if look.again else ""
    return f"{metric_name(state.metric)} {number(look.value)} on {count(look.rows, 'row')}{again}"


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
