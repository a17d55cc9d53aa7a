"""What a search had spent when it came to each value: best so far against its costs.

From the journal's lines in their order. A report counts when it is written, with all that every
trial of the search had trained by then: stopped, failed and re-run trials too, so a population
costs its size times its epochs. Trials beside the search (control, finalists, replays) are
accounted apart. Epochs and device seconds are those of whole intervals between evaluations: what
a failure cut off in mid-interval stands in no report, and shows in the wall time alone.

Wall seconds are those that the search ran (`budgets.timed`, which its limit goes by too): without
the pauses between its sittings, and without what is trained or evaluated beside it alone.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.budgets import timed
from orchestrator.events import Reported, TrialExtended, TrialProposed
from orchestrator.results import StudyResult
from sweeps.report.model import Band
from sweeps.report.repetition import Cost, Device, Point
from sweeps.report.statistics import FEWEST_FOR_INTERVAL, half_width

MOST_POINTS = 400
"""Of one curve or band; more are thinned, and the report says so."""


@dataclass(frozen=True)
class Account:
    """What a study spent, and what it had for it when.

    Attributes:
        curve: ascending in every cost: a point for each improvement, and one for the end of the
            search; empty before the first finite value.
        search: the cost of the search; `beside`: of the other trials, by origin.
        epochs, device_s: what each trial trained itself, re-runs too.
    """

    curve: tuple[Point, ...]
    search: Cost
    beside: dict[str, Cost]
    epochs: dict[str, float]
    device_s: dict[str, float]


def account(study: StudyResult) -> Account:
    """Add a study's journal up."""
    records, state = study.state.trials, study.state
    resources = study.spec.resources
    device = device_of(study)
    cpus = resources.workers * resources.cpus_per_worker
    epochs = dict.fromkeys(records, 0.0)
    device_s = dict.fromkeys(records, 0.0)
    width: dict[str, float] = {}
    searching = {trial for trial, record in records.items() if record.in_search}
    curve: list[Point] = []
    spent_epochs = spent_s = wall_s = 0.0
    best: float | None = None
    for entry, wall_s in timed(study.contents.entries):
        event = entry.event
        if isinstance(event, TrialProposed | TrialExtended):
            width[event.trial] = event.epochs / event.boundaries
        elif isinstance(event, Reported):
            seconds = event.seconds * (event.gpus if device == "gpu" else cpus)
            epochs[event.trial] += width[event.trial]
            device_s[event.trial] += seconds
            if event.trial in searching:
                spent_epochs += width[event.trial]
                spent_s += seconds
                if event.value is not None and (best is None or state.better(event.value, best)):
                    best = event.value
                    curve.append(Point(spent_epochs, spent_s, wall_s, best))
    if best is not None:
        curve.append(Point(spent_epochs, spent_s, wall_s, best))
    price = study.spec.budget.usd_per_gpu_hour if device == "gpu" else None
    origins = {record.origin for record in records.values() if not record.in_search}
    beside = {
        origin: _cost(
            sum(epochs[t] for t, r in records.items() if r.origin == origin),
            sum(device_s[t] for t, r in records.items() if r.origin == origin),
            device,
            price,
        )
        for origin in sorted(origins)
    }
    search = _cost(spent_epochs, spent_s, device, price, wall_s=wall_s)
    return Account(tuple(curve), search, beside, epochs, device_s)


def device_of(study: StudyResult) -> Device:
    """Which seconds a study is counted in: gpu when any of its trials held one."""
    events = (entry.event for entry in study.contents.entries)
    return "gpu" if any(isinstance(e, Reported) and e.gpus > 0 for e in events) else "cpu"


def _cost(
    epochs: float, seconds: float, device: Device, price: float | None, *, wall_s: float = 0.0
) -> Cost:
    usd = None if price is None else price * seconds / 3600
    return Cost(epochs=epochs, device_s=seconds, device=device, wall_s=wall_s, usd=usd)


def total(costs: Sequence[Cost]) -> Cost:
    """The sum of what repetitions cost; usd is None unless every one of them has a price.

    Raises:
        ValueError: there are none.
    """
    if not costs:
        raise ValueError("a sum of costs needs one at least, but got none")
    prices = [cost.usd for cost in costs if cost.usd is not None]
    devices = {cost.device for cost in costs if cost.device_s > 0} or {costs[0].device}
    return Cost(
        epochs=sum(cost.epochs for cost in costs),
        device_s=sum(cost.device_s for cost in costs),
        device="gpu" if devices == {"gpu"} else "cpu",
        wall_s=sum(cost.wall_s for cost in costs),
        usd=sum(prices) if len(prices) == len(costs) else None,
    )


def thinned(curve: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most so many points of a curve: the first, the last, and evenly between."""
    if len(curve) <= most:
        return tuple(curve)
    return tuple(curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most))


def band(
    curves: Sequence[Sequence[Point]], axis: int, ended: Sequence[bool] | None = None
) -> Band | None:
    """The mean over repetitions of best so far against one cost.

    Each curve is a staircase: its value holds until it is improved, and that of a search that has
    ended holds from then on, at no further cost. The band stands at every cost where one of them
    steps, from the cost at which all have a value to where it is known of all: to the most that
    one of them spent, or to what those spent that have not ended.

    Args:
        curves: one for each repetition; those without a point do not count.
        axis: 0 epochs, 1 device seconds, 2 wall seconds.
        ended: of each curve, whether its search has; None: all have.

    Returns:
        None when there is no such cost, or no curve.
    """
    drawn = [curve for curve in curves if curve]
    if not drawn:
        return None
    over = [True] * len(curves) if ended is None else ended
    going_on = [c[-1][axis] for c, done in zip(curves, over, strict=True) if c and not done]
    first = max(curve[0][axis] for curve in drawn)
    last = min(going_on) if going_on else max(curve[-1][axis] for curve in drawn)
    if first > last:
        return None
    steps = itertools.chain.from_iterable((point[axis] for point in curve) for curve in drawn)
    x = sorted({first, last, *(at for at in steps if first <= at <= last)})
    if len(x) > MOST_POINTS:
        x = [x[round(i * (len(x) - 1) / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]
    values = np.array([[_value_at(curve, axis, at) for at in x] for curve in drawn])
    mean = values.mean(axis=0).clip(values.min(axis=0), values.max(axis=0))
    if len(drawn) < FEWEST_FOR_INTERVAL:
        return Band(x=tuple(x), mean=tuple(mean.tolist()))
    half = np.array([half_width(column) for column in values.T])
    return Band(
        x=tuple(x),
        mean=tuple(mean.tolist()),
        low=tuple((mean - half).tolist()),
        high=tuple((mean + half).tolist()),
    )


def _value_at(curve: Sequence[Point], axis: int, cost: float) -> float:
    """The staircase's value at a cost that is not below its first."""
    at = bisect.bisect_right(curve, cost, key=lambda point: point[axis])
    return curve[at - 1].value
