"""Which tracking backends there are, and the ones a study asked for, made ready.

Adding one is a file and an entry; its library is imported only when it is made.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.tracker import CompositeTracker, OnNotice, Tracker
from orchestrator.tracking.wandb_mode import wandb_mode

if TYPE_CHECKING:
    from search_spaces import SweepSpec


def _wandb(spec: SweepSpec, folder: Path, on_notice: OnNotice) -> Tracker:
    from orchestrator.tracking.wandb import WandbTracker

    return WandbTracker(spec, folder, on_notice)


def _tensorboard(spec: SweepSpec, folder: Path, on_notice: OnNotice) -> Tracker:
    from orchestrator.tracking.tensorboard import TensorboardTracker

    return TensorboardTracker(folder / "tensorboard")


TRACKERS: dict[str, Callable[[SweepSpec, Path, OnNotice], Tracker]] = {
    "wandb": _wandb,
    "tensorboard": _tensorboard,
}
"""Backends by the word in `tracking.backends`. Each is made with the study's tracking folder."""


def in_force(
    spec: SweepSpec, environ: Mapping[str, str] = os.environ
) -> tuple[SweepSpec, tuple[str, ...]]:
    """Return the spec with the backends and the mode that hold on this machine.

    Returns:
        The spec, whose `tracking.backends` is empty when nothing is tracked, and what a person
        should know of that before anything starts.
    """
    tracking = spec.tracking
    backends = [name for name in dict.fromkeys(tracking.backends) if name != "none"]
    mode, words = str(tracking.mode), []
    if mode == "disabled":
        backends = []
    elif "wandb" in backends:
        mode, notice = wandb_mode(mode, environ)
        words.append(notice)
        if mode == "disabled":
            backends.remove("wandb")
    for key in ("watch", "eval_samples"):
        if "wandb" in backends and getattr(tracking, key):
            words.append(
                f"tracking.{key}: is not recorded by this version; got {getattr(tracking, key)}. "
                f"The study runs without it.\n    mend: remove tracking.{key}."
            )
    changed = tracking.model_copy(update={"backends": tuple(backends), "mode": mode})
    return (
        spec.model_copy(update={"tracking": changed}),
        tuple(word for word in words if word),
    )


def open_outboxes(spec: SweepSpec, tracking_folder: Path, on_notice: OnNotice) -> CompositeTracker:
    """Open an outbox for each backend of the study; what a former process left is sent first.

    Args:
        spec: of `in_force`: says which backends, and how.
        tracking_folder: `tracking` in the study's folder, absolute.
        on_notice: may be called from any thread.
    """
    return CompositeTracker(
        tuple(
            Outbox(
                functools.partial(TRACKERS[name], spec, tracking_folder, on_notice),
                tracking_folder / "unsent" / name,
                name=name,
                on_notice=on_notice,
            )
            for name in spec.tracking.backends
        )
    )
