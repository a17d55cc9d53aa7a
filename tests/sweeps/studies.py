"""Small studies for the tests of the command line: events, and folders as a driver writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.events import (
    CheckpointCommitted,
    Config,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    StudyEnded,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, Journal
from orchestrator.results import SPECIFICATION, SWEEP_FILE
from search_spaces import SweepSpec


def spec(name: str = "tiny", **keys: Any) -> SweepSpec:
    """A random search of two trials over two epochs, but for what is given."""
    data: dict[str, Any] = {
        "name": name,
        "method": "random",
        "task": {"model": "bert-tiny", "dataset": {"path": "d", "text": ["a"], "label": "l"}},
        "training_arguments": {"num_train_epochs": 2, "eval_strategy": "epoch"},
        "parameters": {
            "learning_rate": {"min": 0.0, "max": 1.0},
            "task.model_config.hidden_dropout_prob": {"values": [0.0, 0.1]},
        },
        "run_cap": 2,
    }
    return SweepSpec.model_validate({**data, **keys})


def population_spec(name: str = "tiny", **keys: Any) -> SweepSpec:
    """Population-based training of two members over two epochs."""
    return spec(name, method="pbt", population={"size": 2, "quantile_fraction": 0.5}, **keys)


def config(rate: float, dropout: float = 0.0) -> Config:
    """A point of the space of `spec`."""
    return {"learning_rate": rate, "task.model_config.hidden_dropout_prob": dropout}


def started(spec: SweepSpec) -> StudyStarted:
    """The first line of a journal."""
    return StudyStarted(
        name=spec.name,
        method=spec.method,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        seed=spec.seed,
        smoke=spec.smoke,
        versions={"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"},
        host={"name": "here", "cpus": 2},
    )


def proposed(number: int, given: Config) -> TrialProposed:
    """Trial `number` with a budget of two epochs, two boundaries."""
    return TrialProposed(
        trial=f"{number:04d}",
        number=number,
        config=given,
        origin="searcher",
        boundaries=2,
        epochs=2.0,
    )


def segment(number: int, at: int, given: Config, donor: int | None = None) -> SegmentStarted:
    """A worker takes the trial up at a boundary."""
    return SegmentStarted(
        trial=f"{number:04d}",
        segment=0 if at == 0 else 1,
        boundary=at,
        config=given,
        worker="w0",
        pid=1,
        node="n",
        start_trial=None if donor is None else f"{donor:04d}",
        start_boundary=None if donor is None else at,
        start_checkpoint=None if donor is None else checkpoint(donor, at),
    )


def checkpoint(number: int, boundary: int) -> str:
    """Where the checkpoint of a boundary stands."""
    return f"trials/{number:04d}/checkpoints/{boundary}"


def reached(number: int, boundary: int, value: float | None, segment: int = 0) -> list[Event]:
    """A boundary reported and its checkpoint committed."""
    trial = f"{number:04d}"
    report = Reported(
        trial=trial,
        segment=segment,
        boundary=boundary,
        value=value,
        metrics={"eval_accuracy": value},
        epoch=float(boundary),
        step=10 * boundary,
        seconds=1.5,
    )
    commit = CheckpointCommitted(
        trial=trial,
        segment=segment,
        boundary=boundary,
        path=checkpoint(number, boundary),
        sha256="0" * 64,
        size_bytes=10,
    )
    return [report, commit]


def random_study(spec: SweepSpec, *, failing: bool = True, message: str = "boom") -> list[Event]:
    """Trial 0 finishes at 0.75 (best 0.8 at its first boundary); trial 1 fails, or finishes."""
    events: list[Event] = [started(spec)]
    events += [proposed(0, config(0.5)), segment(0, 0, config(0.5))]
    events += reached(0, 1, 0.8) + reached(0, 2, 0.75)
    events += [TrialEnded(trial="0000", state="finished")]
    events += [proposed(1, config(0.25, 0.1)), segment(1, 0, config(0.25, 0.1))]
    if failing:
        log = "\n".join(f"line {n}" for n in range(20)) + "\nValueError: boom"
        events += [
            TrialEnded(trial="0001", state="failed", failure="code", message=message, log=log)
        ]
    else:
        events += reached(1, 1, 0.6) + reached(1, 2, 0.7)
        events += [TrialEnded(trial="0001", state="finished")]
    return [*events, StudyEnded(state="finished")]


def population_study(spec: SweepSpec) -> list[Event]:
    """Member 1 is worse at the first boundary, copies member 0, and ends best at 0.9."""
    events: list[Event] = [started(spec)]
    for number, rate in ((0, 0.5), (1, 0.01)):
        events += [proposed(number, config(rate)), segment(number, 0, config(rate))]
    events += reached(0, 1, 0.8) + reached(1, 1, 0.4)
    new = config(0.4)
    events += [
        Decided(trial="0000", boundary=1, action="continue"),
        Decided(trial="0001", boundary=1, action="exploit", donor="0000", config=new),
        segment(1, 1, new, donor=0),
    ]
    events += reached(0, 2, 0.85) + reached(1, 2, 0.9, segment=1)
    events += [TrialEnded(trial=f"000{n}", state="finished") for n in (0, 1)]
    return [*events, StudyEnded(state="finished")]


def write_study(storage: Path, spec: SweepSpec, events: Sequence[Event]) -> Path:
    """Write a study's folder as the driver does; returns the folder."""
    folder = storage / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / JOURNAL)
    journal.append(events)
    journal.close()
    (folder / SPECIFICATION).write_text(json.dumps(spec.model_dump(mode="json")))
    (folder / SWEEP_FILE).write_text("method: random\n")
    return folder
