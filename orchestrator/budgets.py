"""What the limits of a study still allow: another trial, or going on at all.

Questions about the state, answered without changing it; `dispatch.py` and the driver act on the
answers. Every limit counts over the study's whole life, whoever drove it: what was spent is in the
journal. A limit on what has been trained (wall clock, GPU hours, a population's epochs) stops the
study at the next boundary of each running trial; a limit on what may begin (`run_cap`, the epochs
of independent trials) lets those that have begun come to their end.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.events import StudyResumed
from orchestrator.journal import Entry
from orchestrator.state import StudyState
from search_spaces import SweepSpec

_ROUNDING = 1e-9
_HOUR_S = 3600.0


def no_more_trials(spec: SweepSpec, state: StudyState) -> str | None:
    """Why no further trial may begin, in words that name the key; None: one may."""
    count, limit = len(state.trials), spec.trial_limit
    if limit is not None and count >= limit:
        return f"run_cap of {limit} is reached" if limit == spec.run_cap else ""
    budget = spec.budget.epochs
    if budget is None or spec.method == "pbt":  # what a population trains is counted as it trains
        return None
    spent = state.epochs_ended + sum(state.trials[t].epochs for t in state.open_trials)
    another = spec.epochs(spec.default_config())
    if spent + another <= budget + _ROUNDING:
        return None
    return (
        f"budget.epochs of {budget:g} is used up: {spent:g} are spent, another trial needs"
        f" {another:g}"
    )


def used_up(spec: SweepSpec, state: StudyState, wall_s: float = 0.0) -> str | None:
    """Which limit on what is trained is reached, in words that name the key; None: none is.

    Args:
        wall_s: seconds that the study has run, in all its sittings together.
    """
    budget = spec.budget
    if budget.wall_clock_s is not None and wall_s >= budget.wall_clock_s:
        return f"budget.wall_clock of {budget.wall_clock_s:g} s is used up"
    hours = state.gpu_seconds / _HOUR_S
    if budget.gpu_hours is not None and hours >= budget.gpu_hours - _ROUNDING:
        return f"budget.gpu_hours of {budget.gpu_hours:g} is used up ({hours:.3g} h)"
    if budget.epochs is not None and spec.method == "pbt":
        epochs = sum(len(t.reports) * t.epochs / t.boundaries for t in state.trials.values())
        if epochs >= budget.epochs - _ROUNDING:
            return f"budget.epochs of {budget.epochs:g} is used up"
    return None


def too_many_failed(spec: SweepSpec, state: StudyState) -> str | None:
    """That `failures.stop_after` is reached, in words that begin with the key; None: it is not."""
    limit = spec.failures.stop_after
    if limit is None:
        return None
    failed = len(state.with_state("failed"))
    if failed < limit:
        return None
    trials = "trial" if failed == 1 else "trials"
    return f"failures.stop_after of {limit} is reached: {failed} {trials} failed"


def running_seconds(entries: Iterable[Entry]) -> float:
    """Seconds that a study has run: the sum of its sittings, by the clock of the journal's lines.

    A sitting that was cut off counts up to its last line; a clock that was set back counts as 0.
    """
    total, last = 0.0, None
    for entry in entries:
        if last is not None and not isinstance(entry.event, StudyResumed):
            total += max(0.0, entry.time - last)
        last = entry.time
    return total
