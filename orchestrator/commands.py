"""What the driver tells a worker: five frozen commands."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.segment import Evaluation, Segment

HUNG_AFTER_S = 600.0
"""A trial that makes no progress for so long hangs, as long as nothing better is known."""


@dataclass(frozen=True)
class Train:
    """Begin this segment and train until boundary `until` (K or more: to the end).

    A worker whose training makes no progress for `hung_after_s` seconds ends its own process.
    """

    segment: Segment
    until: int
    hung_after_s: float = HUNG_AFTER_S


@dataclass(frozen=True)
class GoOn:
    """Go on with the segment at hand until boundary `until`; 0: stand still at the next one."""

    until: int
    hung_after_s: float = HUNG_AFTER_S


@dataclass(frozen=True)
class Evaluate:
    """Evaluate this checkpoint, and answer `evaluated` or `not_evaluated`; no trial is at hand."""

    evaluation: Evaluation
    hung_after_s: float = HUNG_AFTER_S


@dataclass(frozen=True)
class Leave:
    """Leave the trial at hand, write what is still unwritten, and answer `left`."""


@dataclass(frozen=True)
class Release:
    """There is no more work: end."""


Command = Train | GoOn | Evaluate | Leave | Release
