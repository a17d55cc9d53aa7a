"""What a study's driver tells its trackers: its events, and at its end the best model first.

Sends nothing itself (`service.py` does), and does nothing where the sweep file asks for no
tracker. The end of a study is told last and by whoever waits for it, not under the driver's lock:
summing the best model may take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.best_model import link_model
from orchestrator.events import Event, StudyEnded
from orchestrator.manifest import CheckpointError
from orchestrator.state import StudyState
from search_spaces import SweepSpec

BEST_MODEL = "best-model"


class Told:
    """The driver's side of tracking.

    Args:
        spec: the sweep.
        folder: the study's.
        state: the study's, live.
        on_notice: takes sentences for a person.
    """

    def __init__(
        self, spec: SweepSpec, folder: Path, state: StudyState, on_notice: Callable[[str], None]
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._state = state
        self._on_notice = on_notice
        self._tracking: Any = None
        self._end: StudyEnded | None = None
        self._scrub: Callable[[], None] = lambda: None

    def open(self, past: Sequence[Event]) -> Any:
        """Start the trackers' process; return what workers write to it by, None without trackers.

        Args:
            past: what stands in the journal already.
        """
        from orchestrator.tracking.service import make_tracking

        self._tracking = make_tracking(
            self._spec, self._folder, past=past, on_notice=self._on_notice
        )
        return None if self._tracking is None else self._tracking.client

    def observe(self, event: Event) -> None:
        """Tell an event; the end of a study that has come to it waits for `end`."""
        if isinstance(event, StudyEnded) and event.state != "interrupted":
            self._end = event
        elif self._tracking is not None:
            self._tracking.observe(event)

    def end(self) -> None:
        """Hand over the best model, then tell how the study ended, if it has."""
        end, self._end = self._end, None
        if self._tracking is not None and end is not None:
            self._hand_over_best()
            self._tracking.observe(end)

    def close(self, timeout_s: float | None, *, gone: bool) -> None:
        """End the trackers' process; once more does nothing.

        Args:
            timeout_s: waits no longer; None: as long as it takes to send what is left, bounded.
            gone: the cluster is gone, and the process with it.
        """
        tracking, self._tracking = self._tracking, None
        if tracking is None:
            return
        self._scrub = tracking.scrub
        if self._end is not None:  # the study has ended, and its driver did not get to `end`
            tracking.observe(self._end)
        tracking.close(timeout_s, gone=gone)

    def scrub(self) -> None:
        """Take secrets out of the trackers' own logs, once closed."""
        self._scrub()

    def _hand_over_best(self) -> None:
        best = self._state.selected
        if best is None or self._spec.tracking.log_model != "best":
            return
        try:
            folder = link_model(self._folder / best.checkpoint, self._folder / BEST_MODEL)
        except (OSError, CheckpointError) as error:
            self._on_notice(f"the best model was not handed to the tracker: {error}")
        else:
            self._tracking.log_best_model(folder, best.trial, best.value, best.config)
