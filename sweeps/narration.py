"""A running study told in words: one line an event, for pipes, logs and `--plain`.

The picture on a terminal is `live.py`'s. Both are told every event with the state after it
(`run_study`'s on_event) and must cost next to nothing there: the control loop waits for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.events import (
    BatchHalved,
    Decided,
    Evaluated,
    Event,
    Reported,
    SegmentStarted,
    TrialEnded,
    TrialInterrupted,
)
from orchestrator.state import StudyState, TrialRecord
from sweeps.console import Surface
from sweeps.text import changes_text, clock, config_text, metric_name, number


class Narrator:
    """Says each event in one line, or nothing: the words of the plain view.

    Args:
        folder: the study's folder, for the paths of logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def line(self, event: Event, state: StudyState) -> str:
        """The event as a person would say it; empty for what nobody asks about."""
        match event:
            case SegmentStarted(boundary=0):
                return f"trial {event.trial} starts: {config_text(event.config)}"
            case Reported():
                return self._reported(event, state)
            case Decided(action="exploit") if event.donor == event.trial:
                before = state.trials[event.trial].config_up_to(event.boundary)
                changed = changes_text(before, event.config or {})
                return f"trial {event.trial} goes on by its schedule at {event.boundary}: {changed}"
            case Decided(action="exploit"):
                donor = state.trials[event.donor or event.trial]
                changed = changes_text(donor.config, event.config or {})
                return f"trial {event.trial} copies {event.donor} at {event.boundary}: {changed}"
            case TrialInterrupted():
                return (
                    f"trial {event.trial} was interrupted ({event.failure}: {event.message});"
                    " it will be taken up again"
                )
            case BatchHalved():
                return (
                    f"trial {event.trial} ran out of memory; it goes on with {event.per_device}"
                    f" rows a pass, {event.accumulation} passes a step"
                )
            case TrialEnded():
                return self.ended(event, state.trials[event.trial])
            case Evaluated():
                return (
                    f"trial {event.trial} on the {event.split} split"
                    f"  {metric_name(state.metric)} {number(event.value)}"
                )
        return ""

    def _reported(self, event: Reported, state: StudyState) -> str:
        trial = state.trials[event.trial]
        return (
            f"trial {event.trial} {event.boundary}/{trial.boundaries}"
            f"  {metric_name(state.metric)} {number(event.value)}"
        )

    def ended(self, event: TrialEnded, trial: TrialRecord) -> str:
        """How a trial ended; a failure names its log."""
        if event.state == "failed":
            log = self._folder / "trials" / event.trial / "log.txt"
            first = (event.message.strip().splitlines() or [""])[0]
            return f"trial {event.trial} failed ({event.failure}): {first}  log: {log}"
        best = f", best {number(trial.best.value)}" if trial.best else ""
        return f"trial {event.trial} {event.state}{best}"


class PlainView:
    """One line an event, with the time since the start; for pipes, logs and `--plain`."""

    def __init__(
        self, surface: Surface, folder: Path, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._surface = surface
        self._narrator = Narrator(folder)
        self._now = now
        self._start = now()

    def __call__(self, event: Event, state: StudyState) -> None:
        line = self._narrator.line(event, state)
        if line:
            self._surface.say(f"{clock(self._now() - self._start):>7}  {line}")
