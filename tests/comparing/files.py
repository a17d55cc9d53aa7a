"""Sweep files of a comparison, and a runner that trains nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import StudyError
from orchestrator.events import (
    CheckpointCommitted,
    Event,
    Reported,
    StudyEnded,
    StudyResumed,
    StudyStarted,
    TrialEnded,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.results import SPECIFICATION, StudyResult, read_study
from search_spaces import SweepSpec
from sweeps.comparing.running import Turn

METHODS: dict[str, dict[str, Any]] = {
    "grid": {"parameters": {"learning_rate": {"values": [1e-4, 1e-3, 3e-3, 5e-3]}}},
    "bayes": {"run_cap": 4},
    "random": {"run_cap": 4},
    "pbt": {"population": {"size": 4}},
}


def write_file(folder: Path, method: str, stem: str = "", **keys: Any) -> Path:
    """Write a small sweep file of four trials of two epochs; keys come over it, None removes."""
    data: dict[str, Any] = {
        "name": f"toy-{stem or method}",
        "method": method,
        "seed": 5,
        "metric": {"name": "eval_accuracy", "goal": "maximize"},
        "task": {
            "model": "toy-bert",
            "dataset": {"path": "toy-sentiment", "text": "text", "label": "label"},
            "rows": {"train": 64},
            "max_length": 16,
        },
        "training_arguments": {"num_train_epochs": 2, "eval_strategy": "epoch"},
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2}
        },
        **METHODS[method],
    }
    for key, value in keys.items():
        if isinstance(value, Mapping) and isinstance(data.get(key), dict) and key != "parameters":
            data[key] = {**data[key], **value}
        else:
            data[key] = value
    path = folder / f"{stem or method}.yaml"
    kept = {key: value for key, value in data.items() if value is not None}
    path.write_text("\n".join(f"{k}: {json.dumps(v)}" for k, v in kept.items()) + "\n")
    return path


@dataclass
class WritesStudies:
    """In Ray's place: writes what a driver would; `ends` says how a study ends, by its name.

    An end is a state of the study, or an error that is raised once the study has begun.
    """

    ends: dict[str, str | BaseException] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def run(self, turn: Turn, storage: Path) -> StudyResult:
        """Begin a study, and end it."""
        self.told.append(("run", turn.folder.name))
        spec = turn.sweep.spec
        turn.folder.mkdir(parents=True)
        (turn.folder / SPECIFICATION).write_text(json.dumps(spec.model_dump(mode="json")))
        journal = Journal(turn.folder / JOURNAL)
        started = StudyStarted(
            name=spec.name,
            method=spec.method,
            metric=spec.metric.name,
            goal=spec.metric.goal,
            seed=spec.seed,
        )
        journal.append([started])
        return self._ended(turn, journal, spec)

    def resume(self, turn: Turn) -> StudyResult:
        """Go on with a study that was cut off."""
        self.told.append(("resume", turn.folder.name))
        journal = Journal(turn.folder / JOURNAL, read_journal(turn.folder / JOURNAL))
        journal.append([StudyResumed()])
        return self._ended(turn, journal, turn.sweep.spec)

    def _ended(self, turn: Turn, journal: Journal, spec: SweepSpec) -> StudyResult:
        end = self.ends.pop(turn.folder.name, "finished")
        if isinstance(end, BaseException):
            journal.close()
            raise end
        events: list[Event] = []
        if end in ("finished", "some failed"):
            events = one_trial(spec, failed=end == "some failed")
        state = "finished" if end == "some failed" else end
        journal.append([*events, StudyEnded(state=state, reason="as told")])
        journal.close()
        return read_study(turn.folder)


def one_trial(spec: SweepSpec, *, failed: bool = False) -> list[Event]:
    """A trial of two epochs whose value follows the seed; and one that failed, if asked for."""
    config = spec.default_config()
    value = 0.5 + spec.seed / 100

    def proposed(number: int) -> TrialProposed:
        return TrialProposed(
            trial=f"{number:04d}",
            number=number,
            config=config,
            origin="default",
            boundaries=2,
            epochs=2.0,
        )

    report = Reported(
        trial="0000",
        segment=0,
        boundary=2,
        value=value,
        metrics={"eval_accuracy": value},
        epoch=2.0,
        step=8,
        seconds=1.0,
    )
    commit = CheckpointCommitted(
        trial="0000",
        segment=0,
        boundary=2,
        path="trials/0000/checkpoints/2",
        sha256="0" * 64,
        size_bytes=1,
    )
    events: list[Event] = [proposed(0), report, commit, TrialEnded(trial="0000", state="finished")]
    if failed:
        events += [
            proposed(1),
            TrialEnded(trial="0001", state="failed", failure="code", message="boom"),
        ]
    return events


def broken(text: str = "the trial's own fault") -> StudyError:
    """An error that concerns one study."""
    return StudyError(text)
