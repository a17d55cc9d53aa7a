"""Settings that differ between what is compared and that nobody searched.

Refuses nothing (`sweeps/comparing/likeness.py` does) and reads nothing but specifications, so that
a comparison says the same before it runs as its report does afterwards. A name that either side
searches is left out: that is what is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search_spaces import SweepSpec
from search_spaces.errors import shown

_RESOURCES = ("workers", "cpus_per_worker", "gpus_per_worker", "max_concurrent")


def setting_notes(named: Sequence[tuple[str, SweepSpec]]) -> list[str]:
    """What a reader of the comparison should know, a sentence without its full stop each.

    Args:
        named: what each is called, and its specification; the others are held against the first.
    """
    told: list[str] = []
    for name, spec in named[1:]:
        told += _differences(*named[0], name, spec)
    for name, spec in named:
        if "seed" in spec.space:
            told.append(f"{name} searches the seed: its repetitions share it")
    return list(dict.fromkeys(told))


def _differences(first: str, a: SweepSpec, other: str, b: SweepSpec) -> list[str]:
    told = []
    names = {*a.training_arguments, *b.training_arguments} - {"seed", *a.space, *b.space}
    for name in sorted(names):
        ours, theirs = a.setting({}, name), b.setting({}, name)
        if ours != theirs:
            told.append(_told(name, first, ours, other, theirs))
    for key in _RESOURCES:
        ours, theirs = getattr(a.resources, key), getattr(b.resources, key)
        if ours != theirs:
            text = _told(f"resources.{key}", first, ours, other, theirs)
            told.append(f"{text}: wall times do not compare")
    ours, theirs = _finalists(a), _finalists(b)
    if ours != theirs:
        text = f"finalists: {ours} in {first}, {theirs} in {other}"
        told.append(f"{text}: what is selected rests on unequal training")
    return told


def _told(name: str, first: str, a: Any, other: str, b: Any) -> str:
    return f"{name} is {shown(a)} in {first} and {shown(b)} in {other}"


def _finalists(spec: SweepSpec) -> str:
    if spec.finalists is None:
        return "none"
    return f"the best {spec.finalists.top_k} on {spec.finalists.seeds} seeds each"
