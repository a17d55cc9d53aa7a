"""`sweep plan --memory`: what the largest trial takes of a GPU, and how many share one.

Measures nothing itself (`orchestrator/packing.py` does).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.packing import SHARE, Fit, measure
from orchestrator.study import CACHE
from search_spaces import SweepSpec
from sweeps.console import Surface
from sweeps.text import config_text, count, number, size


def measure_memory(surface: Surface, spec: SweepSpec) -> dict[str, Any]:
    """Measure it and say it; return it as plain data.

    Raises:
        Unfit: there is no GPU here, or no two trials may share one.
        StudyError: the largest configuration cannot be trained.
    """
    surface.say("memory: training two steps of the largest configuration ...")
    fit = measure(spec, Path(spec.storage) / CACHE)
    surface.say(memory_line(fit))
    return {
        "gpu": fit.gpu,
        "peak_bytes": fit.peak_bytes,
        "total_bytes": fit.total_bytes,
        "config": fit.config,
        "trials_per_gpu": fit.trials,
        "gpus_per_worker": fit.share,
    }


def memory_line(fit: Fit) -> str:
    """What fits, and the key that says so."""
    taken = (
        f"memory: {size(fit.peak_bytes)} of {size(fit.total_bytes)} ({fit.gpu}) by"
        f" {config_text(fit.config)}"
    )
    if fit.trials < 1:
        return f"{taken}: one trial fills more than {SHARE:.0%} of a GPU"
    if fit.trials == 1:
        return f"{taken}: one trial a GPU"
    return (
        f"{taken}: {count(fit.trials, 'trial')} fit on one GPU by memory:"
        f" resources.gpus_per_worker: {number(fit.share)} (they share its speed)"
    )
