"""Whether a study can go on, and what more it may do then: `sweep resume --set` on its state.

Writes nothing: it gives the specification in force and the events that say what changed. Which
keys may change at all is the language's (`search_spaces/extending.py`).

A population is extended by more epochs. Its finished members are open again and go on from their
last checkpoint, which retention keeps for that; what was their last boundary is then one like any
other, where members are compared and copied. The learning rate goes on where the schedule of the
longer training stands at that point, as after an exploit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from orchestrator.budgets import (
    boundaries_of,
    no_more_trials,
    running_seconds,
    too_many_failed,
    used_up,
)
from orchestrator.errors import StudyError
from orchestrator.events import TrialExtended
from orchestrator.results import StudyResult
from orchestrator.state import StudyState, TrialRecord
from search_spaces import SweepSpec
from search_spaces.extending import EPOCHS, changed, read_changes

_ROUNDING = 1e-9


def going_on(study: StudyResult, overrides: Sequence[str]) -> tuple[SweepSpec, dict[str, Any]]:
    """Return the specification with which the study goes on, and what of it is changed.

    Args:
        study: as it stands.
        overrides: `key=value` each, as `sweep resume --set` takes them.

    Raises:
        SpecError: a key may not change, or a value does not fit.
        StudyError: there is nothing left to do, or a limit is reached; says how to extend it.
    """
    changes = read_changes(study.spec, overrides)
    spec, state = changed(study.spec, changes), study.state
    limit = too_many_failed(spec, state)
    if state.state in ("finished", "failed", "stopped"):  # else what follows the search is left
        limit = limit or used_up(spec, state, running_seconds(study.contents.entries))
    if limit is not None:
        raise StudyError(
            f"{study.folder}: {limit}.",
            mend=f"extend it: `sweep resume {study.folder} --set {limit.split()[0]}=...`.",
        )
    more_epochs = EPOCHS in changes or not_extended(spec, state)
    if state.state not in ("finished", "failed") or more_epochs:
        return spec, changes
    more = state.exhausted is None and no_more_trials(spec, state) is None
    if changes and more:
        return spec, changes
    reason = state.exhausted or no_more_trials(spec, state)
    because = f": {reason}" if reason else ""
    raise StudyError(
        f"{study.folder}: the study has come to its end ({state.state}){because}.",
        mend=_how_to_extend(study) + f"look at it with `sweep show {study.folder}`.",
    )


def _how_to_extend(study: StudyResult) -> str:
    spec, state = study.spec, study.state
    keys = []
    if spec.method == "pbt":
        keys.append(f"{EPOCHS}={2 * spec.epochs({}):g}")
    elif state.exhausted is None and spec.method != "grid":
        if spec.run_cap is not None and state.searched >= spec.run_cap:
            keys.append(f"run_cap={2 * spec.run_cap}")
        if spec.budget.epochs is not None:
            keys.append(f"budget.epochs={2 * spec.budget.epochs:g}")
    words = " ".join(f"--set {key}" for key in keys)
    return f"extend it, as by `sweep resume {study.folder} {words}`, or " if keys else ""


def not_extended(spec: SweepSpec, state: StudyState) -> list[TrialRecord]:
    """Members of a population that did not fail and have fewer epochs than `spec` gives them.

    Asked at each resume, not only at the one that extends: a kill may leave the line that says
    so and not those of all members.
    """
    if spec.method != "pbt":
        return []
    return [
        record
        for record in state.trials.values()
        if record.in_search
        and record.state != "failed"
        and record.epochs < spec.epochs(record.config) * (1 - _ROUNDING)
    ]


def extended_trials(spec: SweepSpec, state: StudyState, rows: int) -> list[TrialExtended]:
    """What the longer training of `spec` means for each member that is `not_extended` yet.

    Args:
        spec: with more epochs than these members have.
        state: the study so far.
        rows: rows of the training split.

    Raises:
        StudyError: the boundaries that were passed would not stay where they are.
    """
    extended = []
    for record in not_extended(spec, state):
        boundaries, epochs = boundaries_of(spec, record.config, rows), spec.epochs(record.config)
        if not math.isclose(boundaries * record.epochs, record.boundaries * epochs):
            raise StudyError(
                f"{EPOCHS}: the boundaries that were passed must stay where they are, but trial"
                f" {record.id} has {record.boundaries} in {record.epochs:g} epochs and would have"
                f" {boundaries} in {epochs:g}.",
                mend=f"write --set {EPOCHS}={2 * record.epochs:g}.",
            )
        extended.append(TrialExtended(trial=record.id, boundaries=boundaries, epochs=epochs))
    return extended


def refuse_lost(state: StudyState, extended: Sequence[TrialExtended], before: StudyState) -> None:
    """Raise StudyError when a member that had finished has no checkpoint left to go on from.

    Args:
        state: with the extension, and with the checkpoints that are lost taken out.
        extended: the extension.
        before: without both.
    """
    gone = [
        event.trial
        for event in extended
        if before.trials[event.trial].ended
        and not (state.standing(event.trial).boundary and state.standing(event.trial).ready)
    ]
    if gone:
        raise StudyError(
            f"{EPOCHS}: the study cannot be extended: no checkpoint is left of"
            f" {', '.join(gone)}, from which training could go on.",
            mend="restore them from a copy, or run a longer sweep under another --name.",
        )
