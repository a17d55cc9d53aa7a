"""What a bare Trainer marks while it trains: its first step, each boundary, each checkpoint.

It changes nothing about the training. A line of JSON a mark, appended to a file that all
processes of a measurement share; `segments.py` reads them. Our own studies need none of this:
their journal and logs tell the same.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks.trials.segments import MARKS


class Marks(TrainerCallback):
    """Marks the first step of each `train()`, each evaluation with its accuracy, each save.

    Args:
        folder: the measurement's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / MARKS
        self._has_stepped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A new segment: from scratch, or from a checkpoint."""
        self._has_stepped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark the first step done."""
        if not self._has_stepped:
            self._has_stepped = True
            self._mark("step", resumed=state.global_step > 1)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark a boundary."""
        if self._has_stepped:
            metrics = kwargs.get("metrics") or {}
            found = {"accuracy": metrics["eval_accuracy"]} if "eval_accuracy" in metrics else {}
            self._mark("boundary", **found)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Mark a checkpoint."""
        self._mark("checkpoint")

    def _mark(self, what: str, **values: Any) -> None:
        line = {"what": what, "time": time.time(), "pid": os.getpid(), **values}
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, (json.dumps(line) + "\n").encode("ascii"))
        finally:
            os.close(file)
