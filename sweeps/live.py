"""A running study as a picture on a terminal, redrawn in place; `narration.py` has the words.

The view is told every event (`run_study`'s on_event) and must cost next to nothing there,
because the control loop waits for it. So it only folds the event into a state of its own; a
thread of rich's takes a `Glance` of that four times a second and draws it. Reading the engine's
state from that thread would race with the control loop.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
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
from orchestrator.state import StudyState, TrialRecord
from search_spaces import SweepSpec
from sweeps.console import Surface
from sweeps.narration import Narrator, PlainView
from sweeps.text import (
    clock,
    config_text,
    duration,
    metric_name,
    number,
)
from sweeps.views import METHOD_WORDS, SMOKE, TRIAL_STATES, best_line, cell, last_value, table

OnEvent = Callable[[Event, StudyState], None]

SHOWN_RUNNING = 12
"""Running trials in the live view; more are counted."""


@dataclass(frozen=True)
class Glance:
    """What the live view shows of a study at one moment.

    Attributes:
        counts: trials by state.
        total: trials there will be at most; None when nobody knows.
        remaining: boundaries still to come at most; None when nobody knows.
        done: boundaries reported since this driver started.
        running: id, progress, last value, configuration of each running trial shown.
        failure: the last failure in one line; empty when there was none.
    """

    counts: dict[str, int]
    total: int | None
    remaining: int | None
    done: int
    best: Text
    running: tuple[tuple[str, str, str, str], ...]
    failure: str = ""


def remaining_boundaries(state: StudyState, spec: SweepSpec) -> int | None:
    """How many boundaries are still to come if nothing stops early; None without a limit."""
    if spec.trial_limit is None and state.exhausted is None:
        return None
    trials = state.trials.values()
    open_ones = sum(t.boundaries - t.boundary for t in trials if not t.ended)
    to_come = 0 if state.exhausted else max(0, (spec.trial_limit or 0) - len(trials))
    each = max((t.boundaries for t in trials), default=0)
    return open_ones + to_come * each


def glance(
    state: StudyState, spec: SweepSpec, *, done: int, training: Set[str], failure: str = ""
) -> Glance:
    """Take a picture of the state.

    Args:
        training: the trials that a worker trains now. The journal's `running` says that a trial
            was taken up and is not over: members of a large population take turns.
    """
    running = [t for t in state.with_state("running") if t.id in training]
    rows = tuple(
        (
            t.id,
            f"{t.boundary}/{t.boundaries}",
            number(last_value(t)),
            config_text(t.config),
        )
        for t in running[:SHOWN_RUNNING]
    )
    return Glance(
        counts=dict(Counter(_shown_state(t, training) for t in state.trials.values())),
        total=spec.trial_limit,
        remaining=remaining_boundaries(state, spec),
        done=done,
        best=best_line(state),
        running=rows,
        failure=failure,
    )


def _shown_state(trial: TrialRecord, training: Set[str]) -> str:
    idle = trial.state == "running" and trial.id not in training
    return "waiting" if idle else trial.state


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
        self._state: StudyState | None = None
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
            if self._state is None:
                self._state = copy.deepcopy(state)
            else:
                self._state.apply(event)
            if isinstance(event, SegmentStarted):
                self._training[event.worker] = event.trial
                if self._first_segment is None:
                    self._first_segment = self._now()
            if isinstance(event, Reported):
                self._done += 1
            if isinstance(event, TrialEnded) and event.state == "failed":
                self._failure = self._narrator.ended(event, self._state.trials[event.trial])

    def _draw(self) -> Group:
        now = self._now()
        pace = now - self._first_segment if self._first_segment is not None else 0.0
        with self._lock:
            state = self._state or StudyState()
            picture = glance(
                state,
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
    """What `run_study` tells its events: a picture on a terminal, plain lines otherwise."""
    if not surface.live:
        yield PlainView(surface, folder)
        return
    view = LiveView(surface, spec, folder)
    view.start()
    try:
        yield view
    finally:
        view.stop()
