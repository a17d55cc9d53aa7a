"""The space of a sweep: searched names and their domains, in the order of the file.

It does not propose in any clever way (the searchers do) and knows nothing about training.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from search_spaces.domains import Domain, Factors

Config = dict[str, Any]
"""One point of the space: searched name -> value."""


class Space(Mapping[str, Domain]):
    """Named domains; a mapping from name to domain that keeps the file's order."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._domains = dict(domains)

    def __getitem__(self, name: str) -> Domain:
        return self._domains[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._domains)

    def __len__(self) -> int:
        return len(self._domains)

    def __repr__(self) -> str:
        return f"Space({self._domains!r})"

    @property
    def searched(self) -> tuple[str, ...]:
        """The names that have more than one value."""
        return tuple(name for name, domain in self.items() if not domain.is_constant)

    def grid_size(self) -> int:
        """Return how many configurations the grid has; 1 for an empty space.

        Raises:
            ValueError: a range has no count.
        """
        size = 1
        for name, domain in self.items():
            here = domain.grid_size()
            if here is None:
                raise ValueError(f"a grid needs a count for the range of {name} ({domain})")
            size *= here
        return size

    def grid(self) -> Iterator[Config]:
        """Yield every configuration, in the file's order, the last name changing fastest.

        Raises:
            ValueError: a range has no count.
        """
        self.grid_size()
        for values in itertools.product(*(domain.grid() for domain in self.values())):
            yield dict(zip(self, values, strict=True))

    def sample(self, rng: Random) -> Config:
        """Return a configuration drawn from the domains' distributions."""
        return {name: domain.sample(rng) for name, domain in self.items()}

    def perturb(
        self,
        config: Mapping[str, Any],
        rng: Random,
        factors: Factors = (0.8, 1.2),
        resample_probability: float = 0.25,
    ) -> Config:
        """Return a configuration near `config`: population-based training's explore step.

        Each name by itself is drawn anew with `resample_probability`, else moved by one of
        `factors` or to a neighbouring value. The result lies in the space, also when `config`
        does not. Names that `config` lacks are drawn anew; names the space lacks are dropped.

        Source: Jaderberg et al., Population Based Training of Neural Networks, 2017, section 4
        ("perturb" and "resample").
        """
        result: Config = {}
        for name, domain in self.items():
            draw_anew = rng.random() < resample_probability or name not in config
            result[name] = (
                domain.sample(rng) if draw_anew else domain.perturb(config[name], rng, factors)
            )
        return result

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Return whether config has exactly the space's names, each inside its domain."""
        return config.keys() == self._domains.keys() and all(
            domain.contains(config[name]) for name, domain in self.items()
        )

    def clip(self, config: Mapping[str, Any]) -> Config:
        """Return config moved into the space; names that it lacks get their domain's middle."""
        return {name: domain.clip(config.get(name)) for name, domain in self.items()}
