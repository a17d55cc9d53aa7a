"""Who descends from whom in a population, and the schedule that made its winner.

Draws nothing. A member is told as the stretches between its exploits, each under one
configuration; the winner as the stretches of its ancestry, which are the schedule of every
hyperparameter over training. Once finalists are through, the winner is the member whose schedule
is crowned: that is what was selected, whoever had the best value in the search. A large population
keeps the lanes that matter: the winner's ancestors and the best members.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.ancestry import ancestry, schedule_of
from orchestrator.crowning import Crowned, course_of
from orchestrator.results import StudyResult
from orchestrator.state import StudyState, TrialRecord
from sweeps.report.repetition import At, Config, Exploit, Lineage, Member, Stretch
from sweeps.report.storable import storable
from sweeps.views import epoch_at

MOST_MEMBERS = 60
"""Swim lanes at most."""


def lineage(study: StudyResult) -> Lineage:
    """Tell a population's lineage; empty before its first member is proposed."""
    state = study.state
    members = [record for record in state.trials.values() if record.in_search]
    crown = state.crowned
    end = _end(state, crown)
    winner = () if end is None else tuple(_winner(state, *end))
    kept = _kept(state, members, {stretch.trial for stretch in winner})
    exploits = [_exploit(state, step) for step in _copies(members)]
    return Lineage(
        members=tuple(_member(record) for record in kept.values()),
        exploits=tuple(e for e in exploits if e.trial in kept and e.donor in kept),
        winner=winner,
        of_members=len(members),
        of_exploits=len(exploits),
        crowned=crown is not None,
    )


def _end(state: StudyState, crown: Crowned | None) -> tuple[str, int] | None:
    """The member and boundary whose checkpoint is the winner's; None: there is none.

    Of a crowned schedule: the best checkpoint that it led to in the search.
    """
    best = state.best
    if crown is None:
        return None if best is None else (best.trial, best.boundary)
    source, run = state.trials.get(crown.repeats), state.trials[crown.best.trial]
    if source is None:
        return None
    course = course_of(run.first_config, run.schedule)
    sign = 1.0 if state.goal == "maximize" else -1.0
    led = [
        (sign * report.value, -boundary)
        for boundary, report in source.reports.items()
        if report.value is not None
        and course_of(*schedule_of(state, source.id, boundary)) == course
    ]
    return (source.id, -max(led)[1]) if led else None


def _kept(
    state: StudyState, members: list[TrialRecord], ancestors: set[str]
) -> dict[str, TrialRecord]:
    """The members with a lane, by number."""
    sign = -1.0 if state.goal == "maximize" else 1.0
    ranked = sorted(
        members,
        key=lambda r: (
            r.id not in ancestors,
            r.best is None,
            sign * r.best.value if r.best else 0.0,
            r.number,
        ),
    )
    return {r.id: r for r in sorted(ranked[:MOST_MEMBERS], key=lambda r: r.number)}


def _copies(members: Iterable[TrialRecord]) -> list[tuple[TrialRecord, int]]:
    """Every exploit as (member, boundary), in the order of training."""
    copies = [
        (record, boundary)
        for record in members
        for boundary, decision in record.decisions.items()
        if decision.action == "exploit"
    ]
    return sorted(copies, key=lambda copy: (copy[1], copy[0].number))


def _exploit(state: StudyState, copy: tuple[TrialRecord, int]) -> Exploit:
    record, boundary = copy
    decision = record.decisions[boundary]
    donor = decision.donor or ""
    return Exploit(
        trial=record.id,
        donor=donor,
        boundary=boundary,
        epoch=epoch_at(record, boundary),
        before=storable(state.trials[donor].config_up_to(boundary)),
        after=storable(decision.config or {}),
    )


def _member(record: TrialRecord) -> Member:
    starts = sorted(b for b, d in record.decisions.items() if d.action == "exploit")
    end = max([record.boundary, *starts])
    bounds = [0, *starts, end]
    configs = [record.first_config, *(record.decisions[b].config or {} for b in starts)]
    stretches = [
        _stretch(record, start, stop, config)
        for start, stop, config in zip(bounds, bounds[1:], configs, strict=False)
        if stop >= start
    ]
    return Member(trial=record.id, state=record.state, stretches=tuple(stretches))


def _winner(state: StudyState, trial: str, boundary: int) -> Iterable[Stretch]:
    for part in ancestry(state, trial, boundary):
        yield _stretch(state.trials[part.trial], part.start, part.end, part.config)


def _stretch(record: TrialRecord, start: int, end: int, config: Config) -> Stretch:
    reports = (record.reports[b] for b in range(start + 1, end + 1) if b in record.reports)
    return Stretch(
        trial=record.id,
        start=start,
        end=end,
        start_epoch=epoch_at(record, start),
        end_epoch=epoch_at(record, end),
        config=storable(config),
        values=tuple(At(epoch_at(record, r.boundary), r.value) for r in reports),
    )
