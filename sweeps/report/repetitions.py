"""One study as a report tells it: its counts, cost, choice, and what was trained beside it.

Reads a `StudyResult` only. Which checkpoint a study selected, and which finalists it crowned, is
the engine's to say (`StudyState.selected`, `.crowned`); here it is put beside what the test split
said of it. The first look at the test split counts: a later one was made knowing the first, and one
at a checkpoint that was selected after it is kept apart (`sweeps/looks.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.after_search import looks_at_test
from orchestrator.crowning import course_of
from orchestrator.events import Config, Evaluated
from orchestrator.results import StudyResult
from orchestrator.state import TrialRecord
from sweeps.looks import looked
from sweeps.report.curves import Account, thinned
from sweeps.report.lineages import lineage
from sweeps.report.repetition import (
    Counts,
    DefaultRun,
    Evaluation,
    Failure,
    Finalist,
    Repetition,
    Retrained,
    Selected,
)
from sweeps.report.statistics import accuracy_error, summary
from sweeps.report.storable import storable
from sweeps.text import last_lines, printable
from sweeps.views import epoch_at

LOG_LINES = 20
MOST_FAILURES = 30
"""Shown of one study, the first ones; all of them are in the list of trials."""


def repetition(
    study: StudyResult, name: str, spent: Account, searched: Sequence[str]
) -> Repetition:
    """Tell one study.

    Args:
        name: the study's, unique in the report.
        spent: its journal added up.
        searched: names that any study of the report searches; the default has a value for each.
    """
    state = study.state
    failed = state.with_state("failed")
    replays = [r for r in state.trials.values() if r.origin == "replay"]
    originals = dict.fromkeys(r.repeats or "" for r in replays)
    return Repetition(
        study=name,
        seed=study.spec.seed,
        status=study.status,
        reason=printable(state.reason),
        smoke=state.smoke,
        counts=counts(study),
        cost=spent.search,
        curve=thinned(spent.curve),
        curve_of=len(spent.curve),
        selected=_selected(study),
        evaluations=tuple(_evaluation(study, e) for e in state.evaluations),
        default=_default(study, searched),
        control_cost=spent.beside.get("control"),
        finalists=_finalists(study),
        finalists_cost=spent.beside.get("finalist"),
        replays=tuple(_retrained(study, r) for r in replays),
        replayed=tuple(_retrained(study, state.trials[t]) for t in originals if t in state.trials),
        replay_cost=spent.beside.get("replay"),
        lineage=lineage(study) if state.method == "pbt" else None,
        failures=tuple(_failure(r) for r in failed[:MOST_FAILURES]),
        failures_of=len(failed),
    )


def counts(study: StudyResult) -> Counts:
    """How the trials of the search ended; those that have not are running."""
    states = [r.state for r in study.state.trials.values() if r.in_search]
    ended = {state: states.count(state) for state in ("finished", "stopped", "failed")}
    return Counts(started=len(states), running=len(states) - sum(ended.values()), **ended)


def _evaluation(study: StudyResult, event: Evaluated) -> Evaluation:
    is_accuracy = study.state.metric.removeprefix("eval_") == "accuracy"
    error = (
        accuracy_error(event.value, event.rows) if is_accuracy and event.value is not None else None
    )
    return Evaluation(
        trial=event.trial,
        boundary=event.boundary,
        split=event.split,
        value=event.value,
        metrics=storable(event.metrics),
        rows=event.rows,
        seconds=event.seconds,
        standard_error=error,
        again=event.again,
    )


def _first_look(study: StudyResult, checkpoint: str) -> Evaluation | None:
    look = study.state.test_of(checkpoint)
    return None if look is None else _evaluation(study, look)


def _selected(study: StudyResult) -> Selected | None:
    state = study.state
    best = state.selected
    if best is None:
        return None
    seen = looked(state)
    look = None if seen.first is None else _evaluation(study, seen.first)
    return Selected(
        trial=best.trial,
        boundary=best.boundary,
        epoch=epoch_at(state.trials[best.trial], best.boundary),
        value=best.value,
        config=storable(best.config),
        by="search" if state.trials[best.trial].in_search else "finalists",
        test=None if seen.is_second else look,
        second_look=look if seen.is_second else None,
        looked_before=tuple(_evaluation(study, event) for event in seen.before),
    )


def _default(study: StudyResult, searched: Sequence[str]) -> DefaultRun | None:
    """The run of the default configuration that was trained longest under it."""
    origins = ("default", "control")
    found = [
        _default_run(study, r, searched) for r in study.state.trials.values() if r.origin in origins
    ]
    return max(found, key=lambda run: (run.whole, run.epochs), default=None)


def _default_run(study: StudyResult, record: TrialRecord, searched: Sequence[str]) -> DefaultRun:
    left = [b for b, d in record.decisions.items() if d.action == "exploit"]
    until = min(left, default=record.boundaries)
    values = [r.value for b, r in record.reports.items() if b <= until and r.value is not None]
    pick = max if study.state.goal == "maximize" else min
    looks = looks_at_test(study.state)
    own = (e for e in looks if e.trial == record.id and e.boundary <= until)
    look = next((e for e in own if not e.again), None)
    reached = min(until, max(record.reports, default=0))
    return DefaultRun(
        trial=record.id,
        config=storable(_in_force(study, record.first_config, searched)),
        state=record.state,
        value=pick(values, default=None),
        epochs=epoch_at(record, reached),
        whole=not left and record.state == "finished",
        beside=not record.in_search,
        test=None if look is None else _evaluation(study, look),
    )


def _in_force(study: StudyResult, config: Config, searched: Sequence[str]) -> Config:
    """A configuration under every name that any of the studies searches, as far as it is known."""
    found = {name: study.spec.setting(config, name) for name in searched}
    return {name: value for name, value in found.items() if value is not None}


def _retrained(study: StudyResult, record: TrialRecord) -> Retrained:
    best = record.best
    return Retrained(
        trial=record.id,
        seed=record.seed,
        state=record.state,
        value=None if best is None else best.value,
        epoch=None if best is None else epoch_at(record, best.boundary),
        test=None if best is None else _first_look(study, best.checkpoint),
        repeats=record.repeats,
    )


def _finalists(study: StudyResult) -> tuple[Finalist, ...]:
    """Each configuration (or schedule) that was trained again, with its runs."""
    state = study.state
    runs: dict[str, list[TrialRecord]] = {}
    for record in state.trials.values():
        if record.origin == "finalist":
            runs.setdefault(course_of(record.first_config, record.schedule), []).append(record)
    crown = state.crowned
    crowned = () if crown is None else crown.trials
    return tuple(_finalist(study, group, crowned) for group in runs.values())


def _finalist(
    study: StudyResult, records: Sequence[TrialRecord], crowned: Sequence[str]
) -> Finalist:
    first = records[0]
    source = study.state.trials.get(first.repeats or "")
    runs = tuple(_retrained(study, record) for record in records)
    finished = [run for run in runs if run.state == "finished"]
    tests = [run.test.value for run in finished if run.test is not None and not run.test.again]
    return Finalist(
        repeats=first.repeats or "",
        config=storable(first.config_up_to(first.boundaries)),
        found=source.best.value if source is not None and source.best is not None else None,
        runs=runs,
        validation=summary([run.value for run in finished if run.value is not None]),
        test=summary([value for value in tests if value is not None]),
        crowned=any(record.id in crowned for record in records),
    )


def _failure(record: TrialRecord) -> Failure:
    return Failure(
        trial=record.id,
        kind=record.failure or "",
        message=printable(record.message),
        log=printable(last_lines(record.log, LOG_LINES)),
        config=storable(record.config),
    )
