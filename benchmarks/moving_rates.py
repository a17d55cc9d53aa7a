"""Surfaces on which the best learning rate moves during training, so that no constant is best.

The rate falls or rises by a factor of ten or thirty from the first boundary to the last, as
schedules do that people have found by hand. Each seed shifts both ends together.
"""

from __future__ import annotations

from typing import Any

from orchestrator.surfaces import LearningRateCurve
from search_spaces.seeds import generator

MOVES: dict[str, tuple[float, float]] = {
    "falls by 10": (2e-4, 2e-5),
    "falls by 30": (3e-4, 1e-5),
    "rises by 10": (1e-5, 1e-4),
}
"""The best learning rate at the first and at the last boundary."""
PARAMETERS: dict[str, dict[str, Any]] = {
    "learning_rate": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-3},
    "weight_decay": {"min": 0.0, "max": 0.3},
}
"""Weight decay does nothing here."""


def surface(name: str, seed: int, boundaries: int) -> LearningRateCurve:
    """The surface of this name and seed; an evaluation's standard deviation is 0.8 points."""
    first, last = MOVES[name]
    shift = 10.0 ** generator(seed, "surface", name).uniform(-0.2, 0.2)
    return LearningRateCurve(
        best=first * shift,
        best_at_end=last * shift,
        boundaries=boundaries,
        width=0.35,
        speed=0.15,
        noise=0.008,
        seed=seed,
    )
