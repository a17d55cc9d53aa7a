"""What the limits of a study still allow: another trial, or going on at all.

Questions about the state, answered without changing it; `dispatch.py` and the driver act on the
answers. Every limit counts over the study's whole life, whoever drove it: what was spent is in the
journal. Limits are the search's: what is trained or evaluated beside it counts for none of them.
A limit on what has been trained (wall clock, GPU hours, a population's epochs) stops the
study at the next boundary of each running trial; a limit on what may begin (`run_cap`, the epochs
of independent trials) lets those that have begun come to their end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.events import Config, StudyResumed
from orchestrator.journal import Entry
from orchestrator.state import StudyState
from search_spaces import SweepSpec

_ROUNDING = 1e-9
_HOUR_S = 3600.0


def no_more_trials(spec: SweepSpec, state: StudyState) -> str | None:
    """Why no further trial may begin, in words that name the key; None: one may."""
    count, limit = state.searched, spec.trial_limit
    if limit is not None and count >= limit:
        return f"run_cap of {limit} is reached" if limit == spec.run_cap else ""
    budget = spec.budget.epochs
    if budget is None or spec.method == "pbt":  # what a population trains is counted as it trains
        return None
    begun = (state.trials[trial] for trial in state.open_trials)
    spent = state.epochs_ended + sum(trial.epochs for trial in begun if trial.in_search)
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
        wall_s: seconds that the search has run, in all its sittings together.
    """
    budget = spec.budget
    if budget.wall_clock_s is not None and wall_s >= budget.wall_clock_s:
        return f"budget.wall_clock of {budget.wall_clock_s:g} s is used up"
    hours = state.gpu_seconds / _HOUR_S
    if budget.gpu_hours is not None and hours >= budget.gpu_hours - _ROUNDING:
        return f"budget.gpu_hours of {budget.gpu_hours:g} is used up ({hours:.3g} h)"
    if budget.epochs is not None and spec.method == "pbt":
        members = (trial for trial in state.trials.values() if trial.in_search)
        epochs = sum(len(t.reports) * t.epochs / t.boundaries for t in members)
        if epochs >= budget.epochs - _ROUNDING:
            return f"budget.epochs of {budget.epochs:g} is used up"
    return None


def too_many_failed(spec: SweepSpec, state: StudyState) -> str | None:
    """That `failures.stop_after` is reached, in words that begin with the key; None: it is not."""
    limit = spec.failures.stop_after
    if limit is None:
        return None
    failed = sum(trial.in_search for trial in state.with_state("failed"))
    if failed < limit:
        return None
    trials = "trial" if failed == 1 else "trials"
    return f"failures.stop_after of {limit} is reached: {failed} {trials} failed"


def running_seconds(entries: Iterable[Entry]) -> float:
    """Seconds that a search has run: the sum of its sittings, by the clock of the journal's lines.

    A sitting that was cut off counts up to its last line; a clock that was set back counts as 0.
    What happens beside the search while none of its trials is open takes none of its time.
    """
    return max((seconds for _, seconds in timed(entries)), default=0.0)


def timed(entries: Iterable[Entry]) -> Iterator[tuple[Entry, float]]:
    """Each line of a journal with the seconds that its search had run when it was written."""
    total, last = 0.0, None
    state = StudyState()
    for entry in entries:
        open_trials = any(state.trials[trial].in_search for trial in state.open_trials)
        counts = open_trials or state.searches(entry.event)
        if last is not None and counts and not isinstance(entry.event, StudyResumed):
            total += max(0.0, entry.time - last)
        last = entry.time
        state.apply(entry.event)
        yield entry, total


def boundaries_of(spec: SweepSpec, config: Config, rows: int) -> int:
    """How many boundaries a configuration's budget has on so many training rows."""
    workers = spec.resources.workers
    values = spec.training_for(config, workers)
    per_device = values.get("per_device_train_batch_size") or 8
    per_step = per_device * (values.get("gradient_accumulation_steps") or 1)
    return spec.boundaries(config, max(1.0, rows / (per_step * workers)))
