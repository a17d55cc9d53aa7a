"""What a tracking backend can be told.

Nothing here waits, retries or knows of a study's events: `outbox.py` keeps a slow backend away
from training, `study_runs.py` turns events into these verbs, `backends.py` lists who can be told.
The verbs are few (Levanter's tracker), so that a backend is one file. A verb with its arguments
is also data, a `Call`, because calls cross processes and wait on disk.
"""

from __future__ import annotations

import dataclasses
import numbers
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Call = dict[str, Any]
"""One verb and its arguments as JSON data: how it travels between processes and waits on disk."""

OnNotice = Callable[[str], None]
"""Takes a sentence for the person at the terminal. May be called from any thread."""

SUMMARY_NAMES = frozenset(
    {
        "train_runtime",
        "train_samples_per_second",
        "train_steps_per_second",
        "train_loss",
        "total_flos",
    }
)
"""Totals of a whole training, which the Trainer's integration shows as summary, not as a curve."""

_NO_VALUES = frozenset({"global_step", "step", "trial"})
_POSITION = frozenset({"segment", "boundary", "progress"})


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a tracker is told of a trial when its record begins.

    Attributes:
        trial: the trial's id; also what all later calls name the run by.
        name: as shown.
        group: the study's name.
        job_type: the search method.
        tags: short words to filter by.
        config: everything the trial is trained with, as JSON data.
    """

    trial: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BestModel:
    """The study's best model: a folder that `from_pretrained` loads, and where it comes from."""

    folder: str
    study: str
    trial: str
    metadata: dict[str, Any] = field(default_factory=dict)


class TrackerDied(Exception):
    """The backend's own process is gone: only a new tracker can go on."""


class Tracker(Protocol):
    """A record of every trial, outside the study's folder or inside it.

    The verbs may block and raise, except those of `NoTracker` and of `Deferred` trackers.
    """

    def start_run(self, run: Run) -> None:
        """Open the trial's run; when it is open already, take over its new configuration."""

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Record values of an open run.

        Args:
            trial: the run.
            values: by the names of `trainer_names`; members of `SUMMARY_NAMES` are totals.
            step: the optimizer step they belong to; None when they belong to none.
        """

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Close the run. state: finished, stopped, failed, interrupted."""

    def log_best_model(self, model: BestModel) -> None:
        """Hand over the study's best model, once a study."""

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Close what is open, within about `timeout_s`; sentences that a person should read."""


class NoTracker:
    """Takes every call and keeps nothing: a study without tracking."""

    def start_run(self, run: Run) -> None:
        """Do nothing."""

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Do nothing."""

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Do nothing."""

    def log_best_model(self, model: BestModel) -> None:
        """Do nothing."""

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Return nothing to say."""
        return ()


class Deferred(ABC):
    """A tracker whose verbs return at once and never raise: each becomes a `Call` to be sent on."""

    @abstractmethod
    def put(self, call: Call) -> None:
        """Take a call; return at once."""

    def start_run(self, run: Run) -> None:
        """Put the call."""
        self.put({"verb": "start_run", "trial": run.trial, "run": dataclasses.asdict(run)})

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Put the call."""
        self.put({"verb": "log", "trial": trial, "values": dict(values), "step": step})

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Put the call."""
        self.put({"verb": "finish_run", "trial": trial, "state": state, "summary": dict(summary)})

    def log_best_model(self, model: BestModel) -> None:
        """Put the call."""
        self.put({"verb": "log_best_model", "model": dataclasses.asdict(model)})


class CompositeTracker:
    """Tells several trackers the same. Its members must not raise: they are `Deferred`."""

    def __init__(self, members: tuple[Tracker, ...]) -> None:
        self.members = members

    def start_run(self, run: Run) -> None:
        """Pass on to every member."""
        for member in self.members:
            member.start_run(run)

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Pass on to every member."""
        for member in self.members:
            member.log(trial, values, step)

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Pass on to every member."""
        for member in self.members:
            member.finish_run(trial, state, summary)

    def log_best_model(self, model: BestModel) -> None:
        """Pass on to every member."""
        for member in self.members:
            member.log_best_model(model)

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Close every member, one after the other within one bound."""
        deadline = time.monotonic() + timeout_s
        said: list[str] = []
        for member in self.members:
            said += member.close(max(0.0, deadline - time.monotonic()))
        return tuple(said)


def trainer_names(line: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return a Trainer log line under the names of the Trainer's own integrations, and its step.

    `eval_x` becomes `eval/x`, `test_x` becomes `test/x`, the totals of `SUMMARY_NAMES` keep their
    name, everything else becomes `train/x` (transformers' `rewrite_logs`; importing it would
    load torch). Our own position in the study becomes `sweep/...`: `sweep/progress` is the axis on
    which runs of different batch sizes compare. `global_step`, or `step` where that is missing, is
    the step and no value. The trial's id and values that are neither number nor text are left out.
    """
    step = line.get("global_step", line.get("step"))
    values: dict[str, Any] = {}
    for name, value in line.items():
        if name in _NO_VALUES or not isinstance(value, numbers.Real | str):
            continue
        if not isinstance(value, int | float | str):
            value = float(value)  # numpy's own scalars, which JSON does not know
        if name in SUMMARY_NAMES:
            values[name] = value
        elif name in _POSITION:
            values["sweep/" + name] = value
        elif name.startswith("eval_"):
            values["eval/" + name.removeprefix("eval_")] = value
        elif name.startswith("test_"):
            values["test/" + name.removeprefix("test_")] = value
        else:
            values["train/" + name] = value
    return values, None if step is None else int(step)


def run_of(call: Call) -> Run:
    """Read the run of a `start_run` call back, after JSON made lists of tuples."""
    return Run(**{**call["run"], "tags": tuple(call["run"]["tags"])})


def perform(tracker: Tracker, call: Call) -> None:
    """Make a tracker do what a call says.

    Raises:
        KeyError: the call is none of ours.
        Exception: whatever the tracker raises.
    """
    match call["verb"]:
        case "start_run":
            tracker.start_run(run_of(call))
        case "log":
            tracker.log(call["trial"], call["values"], call["step"])
        case "finish_run":
            tracker.finish_run(call["trial"], call["state"], call["summary"])
        case "log_best_model":
            tracker.log_best_model(BestModel(**call["model"]))
        case verb:
            raise KeyError(verb)
