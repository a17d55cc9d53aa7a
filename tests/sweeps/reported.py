"""Studies in memory for the tests of the report: journals with a clock, no folder needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.events import (
    CheckpointCommitted,
    Config,
    Evaluated,
    Event,
    Reported,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialProposed,
)
from orchestrator.journal import Contents, Entry
from orchestrator.results import StudyResult
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from tests.sweeps.studies import checkpoint, spec, started

BEGAN = 1_700_000_000.0

TEST = {"train": "train", "validation": "validation", "test": "test"}


def result(
    spec: SweepSpec,
    events: Sequence[Event],
    *,
    second: float = 1.0,
    running: str | None = None,
    folder: Path | None = None,
) -> StudyResult:
    """A study as it would be read, one event every `second`."""
    entries = tuple(Entry(i, BEGAN + i * second, event) for i, event in enumerate(events))
    state = StudyState.of(events)
    where = folder or Path("nowhere") / spec.name
    return StudyResult(where, spec, state, Contents(entries, 0, 0), running)


def trial(
    number: int,
    values: Sequence[float | None],
    *,
    config: Config | None = None,
    origin: str = "searcher",
    ends: str = "finished",
    boundaries: int | None = None,
    gpus: float = 0.0,
    seconds: float = 1.5,
    **proposal: Any,
) -> list[Event]:
    """One trial from its proposal to its end: a boundary of one epoch for each value."""
    name = f"{number:04d}"
    given = config or {
        "learning_rate": (number + 1) / 1000,
        "task.model_config.hidden_dropout_prob": 0.1 if number % 2 else 0.0,
    }
    k = boundaries or max(1, len(values))
    events: list[Event] = [
        TrialProposed(
            trial=name,
            number=number,
            config=given,
            origin=origin,
            boundaries=k,
            epochs=float(k),
            **proposal,
        ),
        SegmentStarted(
            trial=name, segment=0, boundary=0, config=given, worker="w0", pid=1, node="n"
        ),
    ]
    for boundary, value in enumerate(values, start=1):
        events.append(
            Reported(
                trial=name,
                segment=0,
                boundary=boundary,
                value=value,
                metrics={"eval_accuracy": value},
                epoch=float(boundary),
                step=boundary,
                seconds=seconds,
                gpus=gpus,
            )
        )
        events.append(
            CheckpointCommitted(
                trial=name,
                segment=0,
                boundary=boundary,
                path=checkpoint(number, boundary),
                sha256="0" * 64,
                size_bytes=1,
            )
        )
    failure = {"failure": "code", "message": "boom", "log": "line\nValueError: boom"}
    if ends:
        told = failure if ends == "failed" else {}
        events.append(TrialEnded(trial=name, state=ends, **told))
    return events


def looked_at(number: int, boundary: int, value: float | None, **more: Any) -> Evaluated:
    """The test split's word on a checkpoint."""
    return Evaluated(
        trial=f"{number:04d}",
        boundary=boundary,
        checkpoint=checkpoint(number, boundary),
        split="test",
        value=value,
        metrics={"accuracy": value},
        rows=100,
        seconds=1.0,
        **more,
    )


def repeated(
    method: str,
    outcomes: Sequence[tuple[float, float | None]],
    *,
    seeds: Sequence[int] | None = None,
    trials: int = 2,
    goal: str = "maximize",
    **keys: Any,
) -> list[StudyResult]:
    """Repetitions of one method: (validation, test) of each; None: never looked at.

    Every study has so many trials of two epochs; the last one is the best.
    """
    made = []
    more = {"population": {"size": trials, "quantile_fraction": 0.5}} if method == "pbt" else {}
    metric = {"name": "eval_accuracy", "goal": goal}
    step = -0.01 if goal == "maximize" else 0.01
    for at, (validation, test) in enumerate(outcomes):
        seed = (seeds or range(1, 100))[at]
        sweep = spec(f"{method}-{seed}", method=method, seed=seed, metric=metric, **more, **keys)
        events: list[Event] = [started(sweep)]
        for number in range(trials):
            best = validation + step * (trials - 1 - number)
            origin = "default" if number == 0 else "searcher"
            events += trial(number, [best + step, best], origin=origin)
        if test is not None:
            events.append(looked_at(trials - 1, 2, test))
        made.append(result(sweep, [*events, StudyEnded(state="finished")]))
    return made


def many(n: int, *, seed: int = 0, name: str = "many") -> StudyResult:
    """A random search of n trials of three epochs."""
    rng = Random(seed)
    sweep = spec(name, run_cap=n, training_arguments={"num_train_epochs": 3})
    events: list[Event] = [started(sweep)]
    for number in range(n):
        config = sweep.space.sample(rng)
        base = 0.5 + 0.3 * config["learning_rate"] + 0.1 * rng.random()
        ends = "failed" if number % 50 == 7 else "finished"
        events += trial(number, [base - 0.1, base - 0.02, base], config=config, ends=ends)
    return result(sweep, [*events, looked_at(0, 1, 0.5), StudyEnded(state="finished")])
