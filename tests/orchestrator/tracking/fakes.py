"""A tracker that records what it is told and fails as ordered, a clock, and a small sweep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.tracker import BestModel, Run
from search_spaces import SweepSpec, read_sweep

SWEEP = """
name: toy
method: {method}
metric: {{name: accuracy, goal: maximize}}
task:
  type: text-classification
  model: some/model
  dataset: {{path: json, data_files: {{train: a.json, validation: b.json}}, text: t, label: l}}
  metrics: [accuracy]
training_arguments:
  num_train_epochs: 2
  eval_strategy: epoch
  save_strategy: epoch
  load_best_model_at_end: true
parameters:
  learning_rate: {{values: [1e-5, 2e-5, 3e-5]}}
  {second}: {{values: [0.0, 0.1]}}
run_cap: 8
tracking: {{backends: [{backends}], project: proj, tags: [mine], {more}}}
"""


def toy_spec(
    folder: Path, *, method: str = "random", backends: str = "wandb", more: str = "mode: offline"
) -> SweepSpec:
    """Read a small sweep with tracking."""
    path = folder / "toy.yaml"
    second = "weight_decay" if method == "pbt" else "task.model_config.hidden_dropout_prob"
    path.write_text(SWEEP.format(method=method, second=second, backends=backends, more=more))
    return read_sweep(path).spec


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeTracker:
    """Records calls; `fault(verb)` is asked first and may raise or block."""

    def __init__(self, fault: Callable[[str], None] = lambda verb: None) -> None:
        self.fault = fault
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False

    def start_run(self, run: Run) -> None:
        self.fault("start_run")
        self.calls.append(("start_run", run))

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        self.fault("log")
        self.calls.append(("log", trial, dict(values), step))

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        self.fault("finish_run")
        self.calls.append(("finish_run", trial, state, dict(summary)))

    def log_best_model(self, model: BestModel) -> None:
        self.fault("log_best_model")
        self.calls.append(("log_best_model", model))

    def close(self, timeout_s: float) -> tuple[str, ...]:
        self.fault("close")
        self.closed = True
        return ("closed",)

    def verbs(self) -> list[str]:
        return [call[0] for call in self.calls]

    def steps(self, trial: str) -> list[int]:
        return [call[3] for call in self.calls if call[:2] == ("log", trial)]


class Bench:
    """An outbox around a fake tracker, without its thread and on a clock of its own."""

    def __init__(self, folder: Path, tracker: FakeTracker | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.tracker = tracker or FakeTracker()
        self.made = 0
        self.notices: list[str] = []
        self.folder = folder
        options = {"threaded": False, "clock": self.clock, **options}
        self.outbox = Outbox(
            self._make, folder, name="fake", on_notice=self.notices.append, **options
        )

    def _make(self) -> FakeTracker:
        self.made += 1
        return self.tracker

    def pump(self, after_s: float = 0.0) -> float | None:
        self.clock.now += after_s
        return self.outbox.pump()


def run(trial: str, **config: Any) -> Run:
    """Return a run with little in it."""
    return Run(trial=trial, name=trial, group="toy", job_type="random", config=config)


def wait_for(holds: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Wait until something holds that another thread brings about."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.005)


class Gate:
    """A fault that blocks one verb until it is opened."""

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, verb: str) -> None:
        if verb == self.verb:
            self.entered.set()
            assert self.open.wait(30)
