"""A running study as a picture on a terminal, redrawn in place; `narration.py` has the words.

The view is told every event (`run_study`'s on_event) and must cost next to nothing there,
because the control loop waits for it. So it only keeps a tally (`tally.py`); a thread of rich's
takes a `Glance` of that four times a second and draws it. Reading the engine's state from that
thread would race with the control loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from orchestrator.events import (
    Event,
    Reported,
    SegmentStarted,
    TrialEnded,
)
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from sweeps.console import Surface
from sweeps.narration import Narrator, PlainView
from sweeps.tally import Glance, Tally
from sweeps.text import clock, duration, metric_name
from sweeps.views import METHOD_WORDS, SMOKE, TRIAL_STATES, cell, table

OnEvent = Callable[[Event, StudyState], None]


def time_left(remaining: int | None, done: int, elapsed_s: float) -> str:
    """A guess from the pace so far, in words; empty while there is no pace.

    Args:
        remaining: boundaries to come; None when unknown.
        done: boundaries that came in `elapsed_s`.
    """
    if remaining is None or done < 2 or elapsed_s <= 0:
        return ""
    return f"about {duration(remaining * elapsed_s / done)} left"


def glance_view(picture: Glance, spec: SweepSpec, *, elapsed_s: float, pace_s: float) -> Group:
    """Draw a picture.

    Args:
        elapsed_s: since the command began.
        pace_s: since the first trial began to train.
    """
    counts = ", ".join(f"{picture.counts[s]} {s}" for s in TRIAL_STATES if picture.counts.get(s))
    started = sum(picture.counts.values())
    total = f" of {picture.total}" if picture.total is not None else ""
    left = time_left(picture.remaining, picture.done, pace_s)
    lines: list[RenderableType] = [
        Text.assemble(
            cell(spec.name, "bold"),
            f"  {METHOD_WORDS[spec.method]}  {clock(elapsed_s)}",
            f"  {left}" if left else "",
        )
    ]
    if spec.smoke:
        lines.append(cell(SMOKE, "bold yellow"))
    lines.append(cell(f"{started}{total} trials: {counts}" if started else "starting workers ..."))
    lines.append(picture.best)
    if picture.running:
        metric = metric_name(spec.metric.name)
        headings = ["trial", ">boundary", f">{metric}", "configuration"]
        lines.append(table(headings, picture.running))
        hidden = picture.counts.get("running", 0) - len(picture.running)
        if hidden > 0:
            lines.append(cell(f"and {hidden} more running", "dim"))
    if picture.failure:
        lines.append(cell(picture.failure, "red"))
    return Group(*lines)


class LiveView:
    """A picture that is redrawn in place; gone when the study ends (`show` says the rest)."""

    def __init__(
        self,
        surface: Surface,
        spec: SweepSpec,
        folder: Path,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec = spec
        self._narrator = Narrator(folder)
        self._now = now
        self._start = now()
        self._first_segment: float | None = None
        self._done = 0
        self._failure = ""
        self._training: dict[str, str] = {}
        self._lock = threading.Lock()
        self._tally = Tally()
        self._live = Live(
            console=surface.human,
            get_renderable=self._draw,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, event: Event, state: StudyState) -> None:
        with self._lock:
            self._tally.tell(event, state)
            if isinstance(event, SegmentStarted):
                self._training[event.worker] = event.trial
                if self._first_segment is None:
                    self._first_segment = self._now()
            if isinstance(event, Reported):
                self._done += 1
            if isinstance(event, TrialEnded) and event.state == "failed":
                self._failure = self._narrator.ended(event, state.trials[event.trial])

    def _draw(self) -> Group:
        now = self._now()
        pace = now - self._first_segment if self._first_segment is not None else 0.0
        with self._lock:
            picture = self._tally.glance(
                self._spec,
                done=self._done,
                training=set(self._training.values()),
                failure=self._failure,
            )
        return glance_view(picture, self._spec, elapsed_s=now - self._start, pace_s=pace)

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Take the picture away."""
        self._live.stop()


@contextmanager
def view_of(surface: Surface, spec: SweepSpec, folder: Path) -> Iterator[OnEvent]:
    """What `run_study` tells its events: a picture on a terminal, plain lines otherwise.

    A study outlives both, so from here on the command does.
    """
    surface.outlive_readers()
    if not surface.live:
        yield PlainView(surface, folder)
        return
    view = LiveView(surface, spec, folder)
    view.start()
    try:
        yield view
    finally:
        view.stop()
