"""Which rows make which split: carving one from another, and limits on rows.

Reads no data: labels in, row numbers out. Rows are drawn per class in proportion (largest
remainders), seeded by the study's seed and the split's name, and given back in the order in
which they stand in the source, so the same seed gives the same rows on any machine and no row
is ever in two splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.tasks.errors import TaskError
from search_spaces.parts import SPLITS, SplitFrom, SplitName
from search_spaces.seeds import generator

_QUANTILES = 10


def chosen_rows(
    splits: Mapping[SplitName, str | SplitFrom],
    labels: Mapping[str, Sequence[Any]],
    problem: str,
    limits: Mapping[SplitName, int],
    seed: int,
) -> dict[str, tuple[str, list[int]]]:
    """Return for each split where its rows stand (the split read from the source) and which.

    Carved splits take their rows away from the one they come from, in the order test,
    validation; limits are applied after that, so a limited train never gets back what was
    carved.

    Args:
        splits: as in the sweep file.
        labels: labels of every split that was read.
        problem: single_label stratifies by class, regression by deciles, multi_label does not.
        limits: rows at most.
        seed: the study's.

    Raises:
        TaskError: a split is to be carved from one that does not exist or is too small.
    """
    strata = {name: _strata(values, problem) for name, values in labels.items()}
    left = {name: list(range(len(values))) for name, values in labels.items()}
    result: dict[str, tuple[str, list[int]]] = {}
    for name in reversed(SPLITS):
        split = splits.get(name)
        if not isinstance(split, SplitFrom):
            continue
        origin = split.from_split
        if origin not in left:
            raise TaskError(
                f"task.dataset.splits.{name}: from must name a split that is read from the data;"
                f" got {origin}.",
                mend=f"write one of {', '.join(left)}.",
            )
        size = (
            split.size if isinstance(split.size, int) else round(split.size * len(labels[origin]))
        )
        if not 0 < size < len(left[origin]):
            raise TaskError(
                f"task.dataset.splits.{name}: size must leave rows on both sides; got"
                f" {split.size} of the {len(left[origin])} rows of {origin}.",
                mend="write a smaller number of rows, or a fraction such as 0.1.",
            )
        rows = drawn(left[origin], strata[origin], size, seed, "carve", name)
        taken = set(rows)
        left[origin] = [row for row in left[origin] if row not in taken]
        result[name] = (origin, rows)
    result |= {read: (read, rows) for read, rows in left.items()}
    for name, limit in limits.items():
        if name in result and len(result[name][1]) > limit:
            origin, rows = result[name]
            result[name] = (origin, drawn(rows, strata[origin], limit, seed, "rows", name))
    return {name: result[name] for name in SPLITS if name in result}


def drawn(
    rows: Sequence[int], strata: Sequence[Any], size: int, seed: int, *path: str
) -> list[int]:
    """Draw `size` of `rows`, each stratum in proportion, ascending.

    Args:
        rows: row numbers to draw from.
        strata: the stratum of every row number.
        size: how many; at most len(rows).
        seed: the study's.
        path: names the draw; another name is another draw.
    """
    groups: dict[Any, list[int]] = {}
    for row in rows:
        groups.setdefault(strata[row], []).append(row)
    order = sorted(groups, key=str)
    exact = {stratum: size * len(groups[stratum]) / len(rows) for stratum in order}
    shares = {stratum: int(exact[stratum]) for stratum in order}
    by_remainder = sorted(order, key=lambda s: (shares[s] - exact[s], order.index(s)))
    for stratum in by_remainder[: size - sum(shares.values())]:
        shares[stratum] += 1
    taken: list[int] = []
    for stratum in order:
        rng = generator(seed, "rows", *path, str(stratum))
        taken += rng.sample(groups[stratum], shares[stratum])
    return sorted(taken)


def _strata(labels: Sequence[Any], problem: str) -> list[Any]:
    if problem == "single_label":
        return list(labels)
    if problem == "multi_label":
        return [0] * len(labels)
    ranked = sorted(range(len(labels)), key=lambda row: (labels[row], row))
    strata = [0] * len(labels)
    for rank, row in enumerate(ranked):
        strata[row] = rank * _QUANTILES // len(labels)
    return strata
