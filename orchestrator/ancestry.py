"""Where a checkpoint comes from: the configurations that trained it, from scratch on.

Reads the state only. In a population a member's training is a schedule: stretches of its own and
of those that it copied, each under one configuration. That schedule can be trained again.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.events import Config
from orchestrator.state import StudyState


@dataclass(frozen=True)
class Stretch:
    """A part of a lineage: one trial under one configuration between two boundaries."""

    trial: str
    start: int
    end: int
    config: Config


def ancestry(state: StudyState, trial: str, boundary: int) -> list[Stretch]:
    """The lineage of a checkpoint, from scratch on: one stretch for each configuration.

    Args:
        trial: whose checkpoint.
        boundary: of which boundary.
    """
    stretches: list[Stretch] = []
    while boundary > 0:
        record = state.trials[trial]
        copies = [
            d
            for d in record.decisions.values()
            if d.action == "exploit" and d.boundary < boundary and d.donor is not None
        ]
        copied = max(copies, key=lambda d: d.boundary, default=None)
        if copied is None or copied.donor is None:
            stretches.append(Stretch(trial, 0, boundary, record.first_config))
            break
        stretches.append(Stretch(trial, copied.boundary, boundary, copied.config or {}))
        trial, boundary = copied.donor, copied.boundary
    return stretches[::-1]


def schedule_of(
    state: StudyState, trial: str, boundary: int
) -> tuple[Config, list[tuple[int, Config]]]:
    """What to train to train a checkpoint's lineage again: the first configuration, the changes.

    Returns:
        The configuration from scratch on, and for each later boundary where another one came
        into force, that boundary and the whole configuration. The last one stays in force to
        the end of training, however early the checkpoint stands.
    """
    first, *others = ancestry(state, trial, boundary)
    changes: list[tuple[int, Config]] = []
    in_force = first.config
    for stretch in others:
        if stretch.config != in_force:
            changes.append((stretch.start, stretch.config))
            in_force = stretch.config
    return first.config, changes
