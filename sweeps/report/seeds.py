"""Values of a method by their seed: what an interval, a pair and a count of repetitions rest on.

Words nothing and tests nothing. Runs of one seed share the data's order, the head's weights and the
search's draws, so two of them are not two repetitions: they are one, with their mean. And a second
look at the test split is no value: what it is of may have been chosen by the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from sweeps.report.repetition import Repetition

Split = Literal["test", "validation"]


def value_of(repetition: Repetition, split: Split) -> float | None:
    """The value of what a repetition selected; None without one."""
    chosen = repetition.selected
    if chosen is None:
        return None
    if split == "validation":
        return chosen.value
    return None if chosen.test is None else chosen.test.value


def values_by_seed(repetitions: Sequence[Repetition], split: Split) -> dict[int, float]:
    """Seed -> the value of what was selected, in the order in which seeds are first met."""
    return mean_by_seed((r.seed, value_of(r, split)) for r in repetitions)


def gaps_by_seed(repetitions: Sequence[Repetition]) -> dict[int, float]:
    """Seed -> validation minus test, of repetitions that have both."""
    both = ((r.seed, value_of(r, "validation"), value_of(r, "test")) for r in repetitions)
    return mean_by_seed((seed, None if v is None or t is None else v - t) for seed, v, t in both)


def mean_by_seed(values: Iterable[tuple[int, float | None]]) -> dict[int, float]:
    """Seed -> the mean of its values; a seed without any is left out."""
    found: dict[int, list[float]] = {}
    for seed, value in values:
        if value is not None:
            found.setdefault(seed, []).append(value)
    return {seed: math.fsum(runs) / len(runs) for seed, runs in found.items()}
