"""One scripted study in a process of its own, as the control plane's benchmark needs it.

Trains nothing: `ScriptedRank` answers at once. Everything else is what a user's study runs: the
real `run_study` and `resume_study`, real Ray and real workers, the journal on disk. A process of
its own, because what is measured includes this process's memory.

    python -m benchmarks.scripted_study run METHOD TRIALS STORAGE
    python -m benchmarks.scripted_study cut METHOD TRIALS STORAGE    (ends as by a power cut)
    python -m benchmarks.scripted_study resume FOLDER

The last line of its output is one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.plain_ray import peak_bytes
from orchestrator.events import Event, SegmentStarted, TrialEnded, TrialProposed
from orchestrator.scripted import ScriptedRank
from orchestrator.state import StudyState
from orchestrator.study import resume_study, run_study
from search_spaces import Sweep, SweepSpec
from sweeps.console import Surface
from sweeps.live import OnEvent, view_of

MEMBERS = 20
_EVENTS = {"random": 4.98, "asha": 8.6, "pbt": 3.9}
"""Events a unit, a little fewer than there are: where the power is cut."""


def scripted_spec(method: str, trials: int, **keys: Any) -> SweepSpec:
    """A sweep of so many trials.

    Args:
        method: random (one boundary a trial), asha (nine boundaries, rungs at 1 and 3), pbt (20
            members and so many generations that trials / 20 boundaries come to each), or bayes.
    """
    searched = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1}
    epochs = {"asha": 9, "pbt": trials // MEMBERS}.get(method, 1)
    data: dict[str, Any] = {
        "name": f"{method}-{trials}",
        "method": "random" if method == "asha" else method,
        "seed": 1,
        "metric": {"name": "eval_loss", "goal": "minimize"},
        "task": {
            "type": "text-classification",
            "model": "toy-bert",
            "dataset": {"path": "toy-sentiment", "text": ["text"], "label": "label"},
        },
        "training_arguments": {
            "num_train_epochs": epochs,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
        },
        "parameters": {
            "learning_rate": searched,
            "weight_decay": {"distribution": "uniform", "min": 0.0, "max": 0.3},
            "adam_beta2": {"distribution": "uniform", "min": 0.9, "max": 0.999},
        },
    }
    if method == "pbt":
        data["population"] = {"size": MEMBERS}
    else:
        data["run_cap"] = trials
    if method == "asha":
        data["early_terminate"] = {"type": "asha", "min_iter": 1, "eta": 3, "max_iter": 9}
    return SweepSpec.model_validate({**data, **keys})


class Watch:
    """Notes when things happened.

    Args:
        cut_after: raise after so many events; None: never.
    """

    def __init__(self, cut_after: int | None = None) -> None:
        self.first: dict[type[Event], float] = {}
        self.last: dict[type[Event], float] = {}
        self.counts: dict[type[Event], int] = {}
        self.ray_up = 0.0
        self._left = cut_after
        threading.Thread(target=self._await_ray, name="ray", daemon=True).start()

    def event(self, event: Event, state: StudyState) -> None:
        """Note one event."""
        now = time.monotonic()
        kind = type(event)
        self.first.setdefault(kind, now)
        self.last[kind] = now
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                raise PowerCut

    def _await_ray(self) -> None:
        import ray

        while not ray.is_initialized():
            time.sleep(0.005)
        self.ray_up = time.monotonic()


class PowerCut(Exception):
    """The end of a study that is to be resumed."""


@contextlib.contextmanager
def terminal_view(spec: SweepSpec, folder: Path) -> Iterator[OnEvent]:
    """The view that a person at a terminal gets from `sweep run`, drawn into nothing."""
    with open(os.devnull, "w", encoding="utf-8") as nothing:
        surface = Surface()
        surface.human = Console(file=nothing, force_terminal=True, width=120, markup=False)
        surface.live = True
        with view_of(surface, spec, folder) as view:
            yield view


def run(spec: SweepSpec, storage: Path, cut_after: int | None = None) -> dict[str, Any]:
    """Run a study to its end, or to the power cut."""
    watch = Watch(cut_after)
    try:
        with terminal_view(spec, storage / spec.name) as view:

            def on_event(event: Event, state: StudyState) -> None:
                view(event, state)
                watch.event(event, state)

            run_study(
                Sweep(spec=spec, path=Path("benchmark.yaml"), source=""),
                storage=storage,
                on_event=on_event,
                make_rank=ScriptedRank,
            )
    except PowerCut:
        return {"folder": str(storage / spec.name)}
    seconds = watch.last[TrialEnded] - watch.first[SegmentStarted]
    return {
        "folder": str(storage / spec.name),
        "seconds": seconds,
        "trials": watch.counts[TrialEnded],
        "segments": watch.counts[SegmentStarted],
        "events": sum(watch.counts.values()),
        "peak_bytes": peak_bytes(),
    }


def resume(folder: Path) -> dict[str, Any]:
    """Resume a study; give the seconds from Ray being up to the first segment."""
    began = time.monotonic()
    watch = Watch()

    def begun(event: Event, state: StudyState) -> None:
        watch.event(event, state)
        if isinstance(event, SegmentStarted):
            raise PowerCut

    try:
        resume_study(folder, on_event=begun, make_rank=ScriptedRank)
    except PowerCut:
        proposed = watch.first.get(TrialProposed)
    else:
        raise SystemExit(f"{folder}: there was nothing to resume")
    return {
        "ray_up_s": watch.ray_up - began,
        "ready_s": watch.first[SegmentStarted] - watch.ray_up,
        "proposed_s": None if proposed is None else proposed - watch.ray_up,
        "peak_bytes": peak_bytes(),
    }


def main(arguments: list[str]) -> None:
    """Do what the first argument says and print what came of it."""
    match arguments:
        case ["run", method, trials, storage]:
            given = run(scripted_spec(method, int(trials)), Path(storage))
        case ["cut", method, trials, storage]:
            events = _EVENTS[method] * int(trials)
            given = run(scripted_spec(method, int(trials)), Path(storage), int(events))
        case ["resume", folder]:
            given = resume(Path(folder))
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(given), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
