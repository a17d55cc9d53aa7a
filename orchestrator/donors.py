"""Which standing checkpoints members of a population may still copy, as the journal tells it.

Reads no file and decides nothing: scheduler and retention are asked, on the events so far. A
donor's checkpoint of a boundary that it has left behind is where nobody stands, and is read all
the same once a slower member comes there; so a study that goes on looks at it first.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.events import Event
from orchestrator.retention import Retention
from orchestrator.schedulers import make_scheduler
from orchestrator.state import StudyState
from search_spaces import SweepSpec


def possible_donors(spec: SweepSpec, events: Iterable[Event]) -> set[str]:
    """Paths, relative to the study's folder; none for a search in which nobody copies another.

    What retention gave up once is not among them: it may be deleted.

    Args:
        spec: the sweep.
        events: of the study's journal, in order.
    """
    state, scheduler = StudyState(), make_scheduler(spec)
    if not scheduler.collective:
        return set()
    retention = Retention(state, scheduler)
    for event in events:
        state.apply(event)
        scheduler.observe(event)
        retention.observe(event)
        retention.unused()
    return retention.donors()
