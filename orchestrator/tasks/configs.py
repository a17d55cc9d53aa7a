"""Which tasks a study has: one, or more where names under `task.` are searched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from search_spaces import Choice, Config, SweepSpec


def task_configs(spec: SweepSpec) -> Iterator[Config]:
    """Each combination of searched values that asks for other data or another model."""
    names = [
        name
        for name, domain in spec.space.items()
        if name.startswith("task.")
        and not name.startswith("task.model_config.")
        and isinstance(domain, Choice)
    ]
    default = spec.default_config()
    for values in itertools.product(*(spec.space[name].grid() for name in names)):
        yield {**default, **dict(zip(names, values, strict=True))}
