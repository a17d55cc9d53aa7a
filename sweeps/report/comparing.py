"""Methods side by side: each pair over the seeds that both have, and what does not fit together.

Numbers, and the notes on studies that are not of one task or one setting; what may be said of a
pair is in `claims.py`. Test values decide; a pair that no seed has test values for is compared on
validation, and says so.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.report.claims import pair_claim
from sweeps.report.methods import Method as Studies
from sweeps.report.methods import specification
from sweeps.report.model import Method, Metric, Note, Pair
from sweeps.report.seeds import Split, values_by_seed
from sweeps.report.statistics import (
    FEWEST_FOR_INTERVAL,
    holm,
    least_p,
    sign_flip_p,
    summary,
    superiority,
)
from sweeps.report.wording import listed, sentence
from sweeps.text import setting

# --- pairs -----------------------------------------------------------------------------------


def pairs_of(methods: Sequence[Method], metric: Metric) -> tuple[Pair, ...]:
    """Every two methods, in the order given, with p values adjusted over all that have one."""
    pairs = [_pair(a, b, metric) for a, b in itertools.combinations(methods, 2)]
    tested = [at for at, pair in enumerate(pairs) if pair.p is not None]
    adjusted = holm([pairs[at].p or 0.0 for at in tested])
    # Holm's adjustment rises with every p, so this is the least that each could have come to.
    least = holm([least_p(len(pairs[at].seeds)) for at in tested])
    for at, p, p_least in zip(tested, adjusted, least, strict=True):
        pairs[at] = dataclasses.replace(pairs[at], p_holm=p, p_least=p_least)
    barren = {method.label for method in methods if method.validation is None}
    return tuple(
        dataclasses.replace(pair, claim=_nothing(pair, barren) or pair_claim(pair, pairs, metric))
        for pair in pairs
    )


def _nothing(pair: Pair, barren: set[str]) -> str:
    """What is said of a pair of which one has nothing to compare; empty when both have."""
    without = [label for label in (pair.a, pair.b) if label in barren]
    return f"{sentence(listed(without))} gave no usable result: no claim." if without else ""


def _pair(a: Method, b: Method, metric: Metric) -> Pair:
    split: Split = "test"
    ours, theirs = values_by_seed(a.repetitions, split), values_by_seed(b.repetitions, split)
    if not ours.keys() & theirs.keys():
        split = "validation"
        ours, theirs = values_by_seed(a.repetitions, split), values_by_seed(b.repetitions, split)
    shared = sorted(ours.keys() & theirs.keys())
    differences = [_minus(ours[seed], theirs[seed]) for seed in shared]
    sign = 1.0 if metric.goal == "maximize" else -1.0
    enough = len(shared) >= FEWEST_FOR_INTERVAL
    return Pair(
        a=a.label,
        b=b.label,
        split=split,
        seeds=tuple(shared),
        difference=summary(differences),
        superiority=superiority([sign * d for d in differences]) if enough else None,
        p=sign_flip_p(differences),
        p_holm=None,
        claim="",
    )


def _minus(a: float, b: float) -> float:
    """The difference; 0 where it is but the rounding of a mean."""
    difference = a - b
    return 0.0 if abs(difference) <= 1e-12 * max(abs(a), abs(b)) else difference


# --- what is compared ------------------------------------------------------------------------


def task_notes(methods: Sequence[Studies]) -> tuple[Note, ...]:
    """A red note where the studies do not train the same thing."""
    tasks = {
        json.dumps(study.spec.task.model_dump(mode="json"), sort_keys=True)
        for method in methods
        for study in method.studies
    }
    if len(tasks) == 1:
        return ()
    text = (
        "The studies do not share one task (model, data, splits, lengths): their values are not"
        " comparable."
    )
    return (Note(severity="red", text=text),)


def repetition_notes(methods: Sequence[Studies], names: Mapping[Path, str]) -> tuple[Note, ...]:
    """A note where repetitions of one method, which began alike, were changed since.

    Args:
        names: what the report calls each study, by its folder.
    """
    found: list[Note] = []
    for method in methods:
        of = [(names[study.folder], _leaves(specification(study.spec))) for study in method.studies]
        for key in sorted({key for _, leaves in of for key in leaves}):
            told: dict[str, list[str]] = {}
            for name, leaves in of:
                told.setdefault(setting(leaves.get(key, "unset")), []).append(name)
            if len(told) > 1:
                each = listed([f"{value} in {listed(who)}" for value, who in told.items()])
                text = f"The repetitions of {method.label} differ in {key}: {each}."
                found.append(Note(severity="warn", text=text, method=method.label))
    return tuple(found)


def _leaves(data: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value of nested mappings by its dotted name."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, f"{above}{key}.")
        elif value is not None:
            found[f"{above}{key}"] = value
    return found
