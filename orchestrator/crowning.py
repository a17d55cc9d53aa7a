"""Which configuration is crowned among the finalists: the best mean over their new seeds.

Reads records only. The best value of a search is mostly the luckiest run of several good
configurations, so who came first there is asked again, on seeds that chose nothing. A run counts
with its best evaluation, which is what `load_best_model_at_end` keeps of it. One that failed
counts as failed; the mean is over those that finished.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.events import Config
from orchestrator.records import StudyBest, TrialRecord


@dataclass(frozen=True)
class Crowned:
    """The configuration with the best mean.

    Attributes:
        repeats: the trial that found it.
        mean: of the best values of its runs that finished.
        values: those values, in the order of their seeds.
        failed: how many of its runs failed.
        trials: its runs that finished.
        best: the best of them: what is handed over and evaluated.
    """

    repeats: str
    mean: float
    values: tuple[float, ...]
    failed: int
    trials: tuple[str, ...]
    best: StudyBest


def crowned(finalists: Sequence[TrialRecord], goal: str) -> Crowned | None:
    """Return the configuration that is crowned.

    Args:
        finalists: every finalist that was proposed.
        goal: maximize or minimize; equal means keep the order in which they were proposed.

    Returns:
        None: one has not ended yet, or none finished with a value.
    """
    if not all(record.ended for record in finalists):
        return None
    runs: dict[str, list[TrialRecord]] = {}
    for record in finalists:
        runs.setdefault(course_of(record.first_config, record.schedule), []).append(record)
    sign = 1.0 if goal == "maximize" else -1.0
    found = [crown for group in runs.values() if (crown := _mean(group, sign)) is not None]
    return max(found, key=lambda crown: sign * crown.mean, default=None)


def course_of(config: Config, schedule: Sequence[tuple[int, Config]]) -> str:
    """A text that is equal for equal configurations, or schedules of configurations."""
    return json.dumps([config, *schedule], sort_keys=True, default=repr)


def _mean(runs: Sequence[TrialRecord], sign: float) -> Crowned | None:
    finished = [(r, r.best) for r in runs if r.state == "finished" and r.best is not None]
    if not finished:
        return None
    record, best = max(finished, key=lambda run: sign * run[1].value)
    values = tuple(own.value for _, own in finished)
    return Crowned(
        repeats=runs[0].repeats or "",
        mean=math.fsum(values) / len(values),
        values=values,
        failed=sum(r.state == "failed" for r in runs),
        trials=tuple(r.id for r, _ in finished),
        best=StudyBest(
            record.id,
            best.boundary,
            best.value,
            record.config_up_to(best.boundary),
            best.checkpoint,
        ),
    )
