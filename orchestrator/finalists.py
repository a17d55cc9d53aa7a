"""Which trials are to be trained beside the search, as proposals: control, finalists, replay.

Pure: state in, `TrialProposed` out; `dispatch.py` has them trained. Each is a trial of the same
journal, with an id that says what it is, so it is resumed, kept and shown like any other. The
seeds of finalists are derived from the study's and are the same for every configuration: then
what differs between two configurations is less often the luck of their seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.ancestry import schedule_of
from orchestrator.crowning import course_of
from orchestrator.events import Config, TrialProposed
from orchestrator.records import TrialRecord
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from search_spaces.seeds import derived

_SEEDS = 2**32
"""Trainer's seeds are below it: numpy takes no larger ones."""


def control(
    spec: SweepSpec, state: StudyState, boundaries: Callable[[Config], int]
) -> list[TrialProposed]:
    """The default configuration beside a grid, before its first trial; else nothing.

    Not later: a grid that has begun without one is an old study.
    """
    if spec.method != "grid" or not spec.tries_default or state.trials:
        return []
    config = spec.default_config()
    return [
        TrialProposed(
            trial="control",
            number=0,
            config=config,
            origin="control",
            boundaries=boundaries(config),
            epochs=spec.epochs(config),
        )
    ]


def finalists(spec: SweepSpec, state: StudyState) -> list[TrialProposed]:
    """The runs of finalists that `spec.finalists` asks for and the state does not have yet.

    The best `top_k` configurations of the search by their best value; of a population its
    members' lineages, as schedules. Equal ones count once.
    """
    if spec.finalists is None:
        return []
    there = {
        (course_of(r.first_config, r.schedule), r.seed)
        for r in (state.trials[trial] for trial in state.beside)
        if r.origin == "finalist"
    }
    count = sum(state.trials[trial].origin == "finalist" for trial in state.beside)
    proposed = []
    for source, config, schedule in _best_courses(state, spec.finalists.top_k):
        for repetition in range(spec.finalists.seeds):
            seed = finalist_seed(spec, repetition)
            if (course_of(config, schedule), seed) in there:
                continue
            count += 1
            proposed.append(
                TrialProposed(
                    trial=f"finalist-{count:03d}",
                    number=count,
                    config=config,
                    origin="finalist",
                    boundaries=source.boundaries,
                    epochs=source.epochs,
                    seed=seed,
                    repeats=source.id,
                    schedule=schedule,
                )
            )
    return proposed


def finalist_seed(spec: SweepSpec, repetition: int) -> int:
    """What the finalists' `repetition` (from 0) trains with."""
    return derived(spec.seed, "finalist", repetition) % _SEEDS


def replay(spec: SweepSpec, state: StudyState, seed: int | None) -> TrialProposed:
    """The winner's schedule, trained from the start as one run.

    Args:
        seed: what it trains with; None: one derived from the study's, another for each replay.

    Raises:
        ValueError: the study has no best.
    """
    best, crown = state.best, state.crowned
    if best is None:
        raise ValueError("there is nothing to replay: the study has no best")
    number = 1 + sum(state.trials[trial].origin == "replay" for trial in state.beside)
    if crown is None:
        winner = state.trials[best.trial]
        config, schedule = schedule_of(state, winner.id, best.boundary)
    else:
        winner, run = state.trials[crown.repeats], state.trials[crown.best.trial]
        config, schedule = run.first_config, run.schedule
    return TrialProposed(
        trial=f"replay-{number:03d}",
        number=number,
        config=config,
        origin="replay",
        boundaries=winner.boundaries,
        epochs=winner.epochs,
        seed=derived(spec.seed, "replay", number) % _SEEDS if seed is None else seed,
        repeats=winner.id,
        schedule=schedule,
    )


def _best_courses(
    state: StudyState, count: int
) -> list[tuple[TrialRecord, Config, list[tuple[int, Config]]]]:
    """The best distinct configurations or schedules of the search, each with who found it."""
    committed = {
        commit.path: (record, boundary)
        for record in state.trials.values()
        for boundary, commit in record.checkpoints.items()
    }
    found: dict[str, tuple[TrialRecord, Config, list[tuple[int, Config]]]] = {}
    for record in _ranked(state):
        if record.best is None or record.best.checkpoint not in committed:
            continue
        owner, boundary = committed[record.best.checkpoint]
        config, schedule = schedule_of(state, owner.id, boundary)
        found.setdefault(course_of(config, schedule), (owner, config, schedule))
        if len(found) == count:
            break
    return list(found.values())


def _ranked(state: StudyState) -> Iterator[TrialRecord]:
    sign = -1.0 if state.goal == "maximize" else 1.0
    searched = [r for r in state.trials.values() if r.in_search and r.best is not None]
    yield from sorted(searched, key=lambda r: (sign * r.best.value if r.best else 0.0, r.number))
