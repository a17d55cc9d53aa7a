"""Which configuration to try next: grid, random, and the members a population starts with.

The Bayesian searcher has `bayes.py`; how a slow searcher is kept off the driver's control loop is
`sampler_process.py`. A proposal is a function of (study seed, number, events observed) and draws
from a generator made for its number, so neither timing nor a replayed journal changes it.

A trial is repeatable: the same configuration gives the same metrics. So a configuration is never
tried twice where another one is left, and a space of which every point was proposed is
exhausted.
"""

from __future__ import annotations

import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.events import Config, Event, TrialProposed
from orchestrator.records import SEARCH
from search_spaces import SweepSpec
from search_spaces.domains import Choice, Constant, Domain, IntUniform, Quantized, same
from search_spaces.seeds import generator
from search_spaces.space import Space

_REDRAWS = 8
"""How often a repeated draw is drawn again before the points that are left are listed."""
_LISTABLE = 10_000
"""Spaces of at most so many points are listed when draws repeat."""


@dataclass(frozen=True)
class Proposal:
    """A configuration to try. origin: default, warm_start or searcher."""

    config: Config
    origin: str = "searcher"


class Searcher(ABC):
    """Proposes configurations, first those that the sweep file gives, then its own.

    Given ones are the default configuration (`default_first`) and `warm_start`, in that order;
    a name that a warm start leaves out takes its default. A new kind of searcher writes `search`,
    and `learn` if it looks at results; what happens beside the search is kept from both.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.space: Space = spec.space
        self.given = given_proposals(spec)
        self.proposed: dict[int, Config] = {}
        self._beside: set[str] = set()

    def observe(self, event: Event) -> None:
        """Take one event, in journal order; those of trials beside the search are ignored."""
        if isinstance(event, TrialProposed) and event.origin not in SEARCH:
            self._beside.add(event.trial)
        if getattr(event, "trial", None) not in self._beside:
            self.learn(event)

    def learn(self, event: Event) -> None:
        """Learn of one event of the search; those of no concern are ignored."""
        if isinstance(event, TrialProposed):
            self.proposed[event.number] = event.config

    def prepare(self) -> None:
        """Load what `search` will need; called when there is time, again and again."""
        return

    def propose(self, number: int) -> Proposal | None:
        """The configuration of trial `number` (from 0); None: there is none, and none after it.

        Asking twice gives the same answer as long as nothing was observed in between.
        """
        limit = self.spec.trial_limit
        if limit is not None and number >= limit:
            return None
        if number < len(self.given):
            return self.given[number]
        config = self.search(number)
        return None if config is None else Proposal(config)

    @abstractmethod
    def search(self, number: int) -> Config | None:
        """The configuration of a trial that the sweep file did not give; None: exhausted."""


class Grid(Searcher):
    """Every point of the space in the file's order, the last name changing fastest.

    Points that `warm_start` names come first and are not repeated; a warm start that is no point
    of the grid is not one of its trials.
    """

    def __init__(self, spec: SweepSpec) -> None:
        super().__init__(spec)
        values = {name: domain.grid() for name, domain in self.space.items()}
        self.given = [
            proposal
            for proposal in self.given
            if all(any(same(v, w) for w in values[k]) for k, v in proposal.config.items())
        ]
        first = {key_of(p.config) for p in self.given}
        self._points = (point for point in self.space.grid() if key_of(point) not in first)
        self._listed: list[Config] = []

    def search(self, number: int) -> Config | None:
        """The point at this place of the grid."""
        place = number - len(self.given)
        while len(self._listed) <= place:
            point = next(self._points, None)
            if point is None:
                return None
            self._listed.append(point)
        return dict(self._listed[place])


class RandomSearch(Searcher):
    """Independent draws from the space; also the first members of a population."""

    def __init__(self, spec: SweepSpec) -> None:
        super().__init__(spec)
        self._finite = point_count(self.space) is not None
        self._keys: set[str] = set()

    def learn(self, event: Event) -> None:
        """Remember what was proposed."""
        super().learn(event)
        if self._finite and isinstance(event, TrialProposed):
            self._keys.add(key_of(event.config))

    def search(self, number: int) -> Config | None:
        """A draw with this number's own generator; another one if it was proposed before."""
        rng = generator(self.spec.seed, "random", number)
        for _ in range(_REDRAWS):
            config = self.space.sample(rng)
            if not self._finite or key_of(config) not in self._keys:
                return config
        left = [c for c in points(self.space) if key_of(c) not in self._keys]
        return rng.choice(left) if left else None


class FirstMembers(RandomSearch):
    """The members a population starts with: random draws.

    Members may start alike: what a small space lacks in points, explore makes up later.
    """

    def search(self, number: int) -> Config | None:
        """As random search, but a space that has no more points starts over."""
        return super().search(number) or self.space.sample(
            generator(self.spec.seed, "random", number)
        )


def _bayes(spec: SweepSpec) -> Searcher:
    from orchestrator.bayes import Bayes

    return Bayes(spec)


SEARCHERS: dict[str, Callable[[SweepSpec], Searcher]] = {
    "grid": Grid,
    "random": RandomSearch,
    "bayes": _bayes,
    "pbt": FirstMembers,
}


def make_searcher(spec: SweepSpec) -> Searcher:
    """The searcher of the sweep's method."""
    return SEARCHERS[spec.method](spec)


def given_proposals(spec: SweepSpec) -> list[Proposal]:
    """The default configuration and the warm starts that the sweep file asks for, no repeats."""
    default = spec.default_config()
    first = spec.tries_default and spec.method != "grid"  # beside a grid: no point of it
    wanted = [Proposal(default, "default")] if first else []
    for start in spec.warm_start:
        full: Mapping[str, object] = {**default, **start}
        wanted.append(Proposal(spec.space.clip(full), "warm_start"))
    return list({key_of(p.config): p for p in reversed(wanted)}.values())[::-1]


def key_of(config: Config) -> str:
    """A text that is equal for equal configurations."""
    return json.dumps(config, sort_keys=True, default=repr)


def point_count(space: Space) -> int | None:
    """How many points a space has that can be listed; None when infinite or too many."""
    values = [_values(domain) for domain in space.values()]
    sizes = [len(v) if v is not None else math.inf for v in values]
    count = math.prod(sizes)
    return int(count) if count <= _LISTABLE else None


def points(space: Space) -> Iterator[Config]:
    """Every point of a space that `point_count` gives a number for; nothing for another."""
    if point_count(space) is None:
        return
    lists = [_values(domain) or () for domain in space.values()]
    for values in itertools.product(*lists):
        yield dict(zip(space, values, strict=True))


def _values(domain: Domain) -> tuple[object, ...] | range | None:
    match domain:
        case Choice() | Constant():
            return domain.grid()
        case IntUniform():
            return range(domain.low, domain.high + 1)
        case Quantized() if domain.last - domain.first < _LISTABLE:
            return Quantized(domain.low, domain.high, domain.q, domain.log).grid()
    return None
