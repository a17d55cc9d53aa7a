"""What a scheduler is: events in, decisions at boundaries out.

The kinds there are stand in `schedulers.py` and `population.py`; `schedules.py` keeps from them
what is not the search's.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod

from orchestrator.events import Decided, Event

NEVER = sys.maxsize
"""A boundary that no trial comes to."""


class Scheduler(ABC):
    """Lets trials continue, stops them, or changes them, at boundaries.

    Everything is learned from `observe`. A report of a (trial, boundary) that was seen before is
    a re-run after a fault: it replaces the earlier one, and a decision already made stands.
    """

    collective: bool = False
    """Whether trials advance together and a diverged one may be rescued by another's state."""

    @abstractmethod
    def observe(self, event: Event) -> None:
        """Learn of one event, in journal order; events of no concern are ignored."""

    @abstractmethod
    def until(self, trial: str, boundary: int) -> int:
        """The next boundary after `boundary` at which the trial must wait for a decision.

        K (the trial's last boundary) or more when it may train to its end. Whether that
        decision has been made already is not considered.
        """

    @abstractmethod
    def due(self) -> list[Decided]:
        """All decisions now due and not yet observed, in a fixed order.

        The caller writes them to the journal and shows them back by `observe`.
        """

    def keeps(self, trial: str, boundary: int) -> bool:
        """Whether a later decision may still name this checkpoint as a donor's."""
        return False
