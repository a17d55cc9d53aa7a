"""What follows when a trial fails or loses its worker: it is taken up again, smaller, or ends.

Each class of failure has its own count. Code and divergence come back at every attempt, so they
get none; memory runs out again unless the batch is smaller; a lost process is not the trial's
fault; a hang mostly is, but may be a network's; each damaged checkpoint takes the trial further
back, so that comes to an end by itself unless what is written anew is damaged too.
"""

from __future__ import annotations

import dataclasses

from orchestrator.events import BatchHalved, TrialEnded, TrialInterrupted
from orchestrator.prospects import failed
from orchestrator.segment import TrialFailure
from orchestrator.state import TrialRecord
from search_spaces import SweepSpec
from search_spaces.batch import halved

_HUNG_RETRIES = 1
"""`failures.max_retries` of 0 forbids this one too."""

_DAMAGED_RETRIES = 10
"""And one for each of its boundaries: going back may come by all that were deleted long since.

Whatever `failures.max_retries` says: the trial did nothing, and there is one before, or scratch.
"""


def after_failure(
    spec: SweepSpec, record: TrialRecord, failure: TrialFailure
) -> TrialInterrupted | BatchHalved | TrialEnded:
    """The event that follows a failure; the trial goes on after the first two."""
    if failure.kind in ("infrastructure", "hung", "damaged"):
        return _tried_again(spec, record, failure)
    if failure.kind == "out_of_memory" and spec.failures.on_oom == "halve_batch":
        smaller = halved(*spec.batch_for(record.config, record.batch_at_most))
        if smaller is not None:
            return BatchHalved(
                trial=record.id,
                per_device=smaller[0],
                accumulation=smaller[1],
                message=failure.message,
            )
    return failed(record.id, failure)


def _tried_again(
    spec: SweepSpec, record: TrialRecord, failure: TrialFailure
) -> TrialInterrupted | TrialEnded:
    most, key = spec.failures.max_retries, "failures.max_retries"
    if failure.kind == "hung":
        most, key = min(most, _HUNG_RETRIES), "a trial that hangs is tried twice at most"
    if failure.kind == "damaged":
        most = _DAMAGED_RETRIES + record.boundaries
        key = "what its checkpoints are written to is not to be trusted"
    retries = record.interruptions.get(failure.kind, 0)
    if retries < most:
        return TrialInterrupted(
            trial=record.id, failure=failure.kind, message=failure.message, log=failure.log
        )
    times = "retry" if retries == 1 else "retries"
    text = f"{failure.message}; given up after {retries} {times} ({key})"
    kind = "infrastructure" if failure.kind == "damaged" else failure.kind
    return failed(record.id, dataclasses.replace(failure, kind=kind, message=text))
