"""TensorBoard: event files in the study's folder, a folder a trial.

It uploads nothing and reads nothing. tensorboardX writes them, which Ray Tune installs anyway;
names are those that the Trainer's own TensorBoard integration uses. Configuration and final
values go to the HParams tab when a run ends.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestrator.tracking.tracker import SUMMARY_NAMES, BestModel, Run


class TensorboardTracker:
    """Every trial's event file.

    Args:
        folder: holds one folder a trial. A run that is opened again adds a file to its folder,
            which TensorBoard shows as one run.
    """

    def __init__(self, folder: Path) -> None:
        self._library = importlib.import_module("tensorboardX")  # has no type hints
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._configs: dict[str, dict[str, Any]] = {}

    def start_run(self, run: Run) -> None:
        """Open the trial's event file, or take its changed configuration over."""
        self._configs[run.trial] = _flat(run.config)
        if run.trial not in self._writers:
            folder = self._folder / quote(run.trial, safe="")
            self._writers[run.trial] = self._library.SummaryWriter(str(folder), flush_secs=5)

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Add the numbers as scalars and text as text."""
        writer = self._writers[trial]
        for name, value in values.items():
            shown = f"train/{name}" if name in SUMMARY_NAMES else name
            if isinstance(value, str):
                writer.add_text(shown, value, step)
            else:
                writer.add_scalar(shown, value, step)

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Write configuration and final values for the HParams tab, and close the file."""
        writer = self._writers.pop(trial)
        numbers = {k: float(v) for k, v in summary.items() if isinstance(v, int | float)}
        config = {**self._configs.pop(trial), "state": state}
        writer.add_hparams(config, numbers, name="hparams")
        writer.close()

    def log_best_model(self, model: BestModel) -> None:
        """Do nothing: TensorBoard keeps no models."""

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Close every file; say where they are."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        return (f"tensorboard: see the runs with: tensorboard --logdir {self._folder}",)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | str | int | float]:
    """Return nested sections under dotted names; what is no number, text or bool as text."""
    flat: dict[str, bool | str | int | float] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        elif isinstance(value, bool | str | int | float):
            flat[prefix + name] = value
        else:
            flat[prefix + name] = str(value)
    return flat
