"""The trials that figures show: learning curves, configurations, how values are distributed.

Draws nothing. A figure of 10,000 curves is a block of ink, so each is given the best trials and
evenly chosen others from the rest of the ranking, and told how many there are; the list of trials
stays whole. "Best" means by the trial's best validation value; trials without one come last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from orchestrator.axes import varies
from orchestrator.state import TrialRecord
from search_spaces import SweepSpec
from search_spaces.domains import Choice, Domain, IntUniform, LogUniform, Quantized, Uniform
from sweeps.report.model import Axis, Drawn, Edf, Line, TrialRow
from sweeps.report.repetition import At
from sweeps.text import short_names
from sweeps.views import epoch_at

MOST_CURVES = 120
MOST_CONFIGURATIONS = 500
MOST_EDF_STEPS = 300
MOST_CURVE_POINTS = 60


def ranked(
    rows: Sequence[TrialRow], *, maximize: bool, selected: Collection[str] = ()
) -> list[TrialRow]:
    """Trials from best to worst; those without a value last, in the order given.

    Args:
        selected: keys that come first among equal values.
    """
    sign = -1.0 if maximize else 1.0

    def rank(row: TrialRow) -> tuple[bool, float, bool]:
        value = 0.0 if row.value is None else sign * row.value
        return (row.value is None, value, row.key not in selected)

    return sorted(rows, key=rank)


def chosen(ranking: Sequence[TrialRow], most: int) -> list[TrialRow]:
    """At most so many of a ranking: the best half of them, and others evenly from the rest."""
    if len(ranking) <= most:
        return list(ranking)
    top = most // 2
    rest, wanted = ranking[top:], most - top
    return [*ranking[:top], *(rest[(i * len(rest)) // wanted] for i in range(wanted))]


def configurations(ranking: Sequence[TrialRow]) -> Drawn:
    """Configurations with their value, for parallel coordinates and slices."""
    lines = tuple(
        Line(key=row.key, state=row.state, value=row.value, config=row.config)
        for row in chosen(ranking, MOST_CONFIGURATIONS)
    )
    return Drawn(lines=lines, of=len(ranking))


def learning(ranking: Sequence[TrialRow], records: Mapping[str, TrialRecord]) -> Drawn:
    """Learning curves: the value at each boundary that a trial itself came to.

    Args:
        records: by the row's key. Trials without a report have no curve and do not count.
    """
    curved = [row for row in ranking if records[row.key].reports]
    lines = tuple(
        Line(key=row.key, state=row.state, value=row.value, points=_points(records[row.key]))
        for row in chosen(curved, MOST_CURVES)
    )
    return Drawn(lines=lines, of=len(curved))


def _points(record: TrialRecord) -> tuple[At, ...]:
    """The curve; a long one keeps its first point, its last and evenly chosen others."""
    points = [At(epoch_at(record, b), r.value) for b, r in sorted(record.reports.items())]
    if len(points) <= MOST_CURVE_POINTS:
        return tuple(points)
    step = (len(points) - 1) / (MOST_CURVE_POINTS - 1)
    return tuple(points[round(i * step)] for i in range(MOST_CURVE_POINTS))


def edf(rows: Sequence[TrialRow]) -> Edf:
    """The empirical distribution of the trials' best values; empty without any."""
    values = sorted(row.value for row in rows if row.value is not None)
    n = len(values)
    steps = [(value, (i + 1) / n) for i, value in enumerate(values)]
    if n > MOST_EDF_STEPS:
        at = [round(i * (n - 1) / (MOST_EDF_STEPS - 1)) for i in range(MOST_EDF_STEPS)]
        steps = [steps[i] for i in at]
    return Edf(x=tuple(x for x, _ in steps), share=tuple(y for _, y in steps), trials=n)


def space(spec: SweepSpec) -> tuple[Axis, ...]:
    """The searched names that have more than one value, in the file's order."""
    short = short_names(spec.space)
    return tuple(
        _axis(name, short[name], domain) for name, domain in spec.space.items() if varies(domain)
    )


def _axis(name: str, label: str, domain: Domain) -> Axis:
    match domain:
        case Uniform(low=low, high=high) | IntUniform(low=low, high=high):
            return Axis(name=name, label=label, kind="number", low=low, high=high)
        case LogUniform(low=low, high=high):
            return Axis(name=name, label=label, kind="number", log=True, low=low, high=high)
        case Quantized(low=low, high=high, log=log):
            return Axis(name=name, label=label, kind="number", log=log, low=low, high=high)
        case Choice():
            return Axis(name=name, label=label, kind="category", values=tuple(domain.ladder))
    raise TypeError(f"a searched domain must be one of search_spaces.domains, but got {domain!r}")
