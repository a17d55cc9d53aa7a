"""What a tracker is told when something happens in a study: events in, tracker verbs out.

It neither waits nor sends; the tracker it is given does. A run begins with the first segment
that a driver sees start, and goes on through exploits, pauses and other workers; a changed
configuration shows as `config/...` values at the step where it came. After a restart the new
driver gives the journal so far as `past`: it is folded, not told again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.events import (
    Config,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    StudyEnded,
    TrialEnded,
    TrialProposed,
)
from orchestrator.tracking.tracker import BestModel, Run, Tracker

if TYPE_CHECKING:
    from search_spaces import SweepSpec


class StudyRuns:
    """Keeps one run a trial at a tracker.

    Args:
        spec: the study's sweep.
        tracker: is told; must not block or raise (`Outbox`, or a queue before it).
        past: the journal's events so far, when the study is resumed.
    """

    def __init__(self, spec: SweepSpec, tracker: Tracker, past: Iterable[Event] = ()) -> None:
        self._spec = spec
        self._tracker = tracker
        self._proposed: dict[str, TrialProposed] = {}
        self._config: dict[str, Config] = {}
        self._best: dict[str, Reported] = {}
        self._last: dict[str, Reported] = {}
        self._open: set[str] = set()
        for event in past:
            self._fold(event)

    def observe(self, event: Event) -> None:
        """Take one event that has just been written to the journal."""
        match event:
            case SegmentStarted():
                self._begin(event.trial, event.config)
            case Decided(action="exploit"):
                self._tell_exploit(event)
            case TrialEnded():
                self._finish(event)
            case StudyEnded():
                for trial in sorted(self._open):
                    self._tracker.finish_run(trial, "interrupted", self._summary(trial))
                self._open.clear()
        self._fold(event)

    def log_best_model(self, folder: Path, trial: str, value: float, config: Config) -> bool:
        """Hand the study's best model over; False when `tracking.log_model` does not ask for it.

        Args:
            folder: what `from_pretrained` loads; it must stay where it is.
            trial: the best trial.
            value: its value of the study's metric.
            config: the configuration that reached it.
        """
        if not self._spec.tracking.log_model:
            return False
        metric = self._spec.metric.name
        metadata = {"trial": trial, metric: value, "config": self._full(trial, config)}
        self._tracker.log_best_model(
            BestModel(folder=str(folder), study=self._spec.name, trial=trial, metadata=metadata)
        )
        return True

    def _fold(self, event: Event) -> None:
        match event:
            case TrialProposed():
                self._proposed[event.trial] = event
            case SegmentStarted():
                self._config[event.trial] = event.config
            case Reported():
                self._last[event.trial] = event
                best = self._best.get(event.trial)
                if event.value is not None and (
                    best is None or best.value is None or self._better(event.value, best.value)
                ):
                    self._best[event.trial] = event

    def _better(self, value: float, than: float) -> bool:
        return value > than if self._spec.metric.goal == "maximize" else value < than

    def _begin(self, trial: str, config: Config) -> None:
        if trial in self._open and self._config.get(trial) == config:
            return  # the same run goes on, on another worker or after a pause
        tracking = self._spec.tracking
        self._tracker.start_run(
            Run(
                trial=trial,
                name=trial,
                group=tracking.group or self._spec.name,
                job_type=self._spec.method,
                tags=(*tracking.tags, *(("smoke",) if self._spec.smoke else ())),
                config=self._full(trial, config),
            )
        )
        if trial not in self._open and self._spec.method == "pbt":
            self._tracker.log(trial, _config_values(config), self._step(trial))
        self._open.add(trial)

    def _tell_exploit(self, event: Decided) -> None:
        if event.trial not in self._open:
            return
        values: dict[str, Any] = {}
        if event.donor != event.trial:  # else it goes on by its own schedule
            values = {"pbt/donor": event.donor, "pbt/boundary": event.boundary}
        self._tracker.log(
            event.trial, values | _config_values(event.config or {}), self._step(event.trial)
        )

    def _finish(self, event: TrialEnded) -> None:
        if event.trial not in self._open:
            config = self._config.get(event.trial)
            if config is None:
                return  # it never trained: there is no run to end
            self._begin(event.trial, config)
        summary = self._summary(event.trial) | {"state": event.state}
        if event.failure:
            summary["failure"] = event.failure
        self._tracker.finish_run(event.trial, event.state, summary)
        self._open.discard(event.trial)

    def _summary(self, trial: str) -> dict[str, Any]:
        best = self._best.get(trial)
        if best is None:
            return {}
        return {
            f"best/{self._spec.metric.name}": best.value,
            "best/epoch": best.epoch,
            "best/step": best.step,
            "best/boundary": best.boundary,
        }

    def _step(self, trial: str) -> int:
        last = self._last.get(trial)
        return 0 if last is None else last.step

    def _full(self, trial: str, config: Config) -> dict[str, Any]:
        """Return all that the trial is trained with: training arguments on top, task below."""
        searched = {name: value for name, value in config.items() if not name.startswith("task.")}
        proposed = self._proposed.get(trial)
        own = {} if proposed is None or proposed.seed is None else {"seed": proposed.seed}
        repeats = {} if proposed is None or not proposed.repeats else {"repeats": proposed.repeats}
        return {
            **self._spec.training_for(config),
            **searched,
            **own,
            "task": self._spec.task_for(config).model_dump(mode="json"),
            "sweep": {
                "study": self._spec.name,
                "method": self._spec.method,
                "trial": trial,
                "origin": "" if proposed is None else proposed.origin,
                **repeats,
                "searched": sorted(config),
            },
        }


def _config_values(config: Mapping[str, Any]) -> dict[str, Any]:
    return {f"config/{name}": value for name, value in config.items()}
