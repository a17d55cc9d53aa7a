"""Population-based training: who copies whom at a boundary, and how it goes on.

The rules of Jaderberg et al. 2017 (arXiv:1711.09846) with truncation selection: at every
`interval` boundaries a member of the lowest quantile takes over (exploit) the state of a member
drawn from the highest quantile and a perturbed copy of its configuration (explore). Copies no
checkpoints and starts nothing: it says what to do.

Members are compared, and donors copied, at the same boundary; a donor is named only once its
checkpoint of that boundary is committed. Each decision draws from generators made for its member
and boundary, so it depends on the values alone, not on who came first: a synchronous population
gives the same lineage with any number of slots. Nobody copies at a member's last boundary:
nothing would be trained after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Config,
    Decided,
    Event,
    Reported,
    SearchExhausted,
    TrialEnded,
    TrialExtended,
    TrialProposed,
)
from orchestrator.scheduler import NEVER, Scheduler
from search_spaces import SweepSpec
from search_spaces.seeds import generator

Explore = Callable[[Config, str, int], Config]
"""(the donor's configuration, receiver, boundary) -> the receiver's new configuration."""
_ROUNDING = 1e-9


@dataclass
class _Member:
    id: str
    number: int
    boundaries: int
    first_config: Config
    costs: dict[int, float] = field(default_factory=dict)
    """Boundary -> the value as something to be small; infinite when it was not finite."""
    committed: set[int] = field(default_factory=set)
    ever_committed: set[int] = field(default_factory=set)
    """With those that were lost: of these the newest two are kept while the member is open."""
    outranked: set[int] = field(default_factory=set)
    """Boundaries whose checkpoint was no donor's once, so that it may be deleted by now."""
    decided: dict[int, Decided] = field(default_factory=dict)
    ended: str | None = None

    def config_at(self, boundary: int) -> Config:
        """The configuration that was trained up to this boundary."""
        copies = [d for b, d in self.decided.items() if b < boundary and d.action == "exploit"]
        newest = max(copies, key=lambda d: d.boundary, default=None)
        return newest.config if newest and newest.config is not None else self.first_config

    def awaits(self, boundary: int) -> bool:
        """Whether a decision about this boundary is still to come."""
        return not self.ended and boundary < self.boundaries and boundary not in self.decided

    def may_donate(self, boundary: int) -> bool:
        """Whether its checkpoint of this boundary is committed or can still be.

        Commits come in order: with a later one on disk this one was left out. A member that
        failed is no model for others, one that finished is.
        """
        if self.ended == "failed" or self.costs.get(boundary, math.inf) == math.inf:
            return False
        if boundary in self.outranked:
            return False
        passed = self.ended or any(b > boundary for b in self.committed)
        return boundary in self.committed or not passed


class Population(Scheduler):
    """Decides for every member at every `interval` boundaries: continue, or exploit and explore.

    Synchronous: the members of a generation are compared when the last living one has come to
    the boundary. Asynchronous: a member is compared at once with those that have come to the
    same boundary before it, and waits for nobody but its donor's commit; it goes on unchanged
    while fewer than half of the population (two at least) have come there, because among fewer
    the last is last by chance.

    Of n members compared the last ceil(n * quantile_fraction) are receivers, as many of the
    first donors, at most half each, at least one when n is 2 or more. A receiver only copies who
    is strictly better: among equals there is nothing to learn and variety to lose. A member whose
    value is not finite is the last; it waits for a donor as long as one can still come. Ties go
    by member number.

    Args:
        size: how many members there will be.
        interval: boundaries between decisions.
        quantile_fraction: the paper's truncation share, above 0, at most 0.5.
        synchronous: whether to decide by generations.
        sign: +1.0 when a higher value is better, -1.0 when a lower one is.
        seed: the study's seed; donors are drawn from ("exploit", member, boundary).
        explore: makes the new configuration; must draw from the seed, member and boundary alone.
    """

    collective = True

    def __init__(
        self,
        *,
        size: int,
        interval: int,
        quantile_fraction: float,
        synchronous: bool,
        sign: float,
        seed: int,
        explore: Explore,
    ) -> None:
        self._size = size
        self._interval = interval
        self._quantile_fraction = quantile_fraction
        self._synchronous = synchronous
        self._sign = sign
        self._seed = seed
        self._explore = explore
        self._members: dict[str, _Member] = {}
        self._open: set[int] = set()
        self._wanted: dict[int, frozenset[str]] = {}

    @classmethod
    def of(cls, spec: SweepSpec) -> Population:
        """The population of a sweep.

        Raises:
            ValueError: the sweep has no population section.
        """
        rule = spec.population
        if rule is None:
            raise ValueError("pbt needs the sweep's population section, but got none")

        def explore(config: Config, member: str, boundary: int) -> Config:
            return spec.space.perturb(
                config,
                generator(spec.seed, "explore", member, boundary),
                rule.perturbation_factors,
                rule.resample_probability,
            )

        return cls(
            size=rule.size,
            interval=rule.interval,
            quantile_fraction=rule.quantile_fraction,
            synchronous=rule.synchronous,
            sign=spec.metric.sign,
            seed=spec.seed,
            explore=explore,
        )

    def observe(self, event: Event) -> None:
        """Learn of members, reports, commits, decisions and ends."""
        self._wanted.clear()
        match event:
            case TrialProposed(trial=trial):
                self._members[trial] = _Member(trial, event.number, event.boundaries, event.config)
            case SearchExhausted():
                self._size = len(self._members)
            case Reported(trial=trial, boundary=boundary):
                member = self._members[trial]
                finite = event.value is not None and math.isfinite(event.value)
                member.costs[boundary] = -self._sign * (event.value or 0.0) if finite else math.inf
                if boundary % self._interval == 0 and member.awaits(boundary):
                    self._open.add(boundary)
            case CheckpointCommitted(trial=trial, boundary=boundary):
                self._members[trial].committed.add(boundary)
                self._members[trial].ever_committed.add(boundary)
            case CheckpointLost(trial=trial, boundary=boundary):
                self._members[trial].committed.discard(boundary)
            case Decided(trial=trial, boundary=boundary, action="withdraw"):
                self._reopen(self._members[trial], boundary)
            case Decided(trial=trial, boundary=boundary):
                self._members[trial].decided[boundary] = event
            case TrialEnded(trial=trial, state=state):
                self._members[trial].ended = state
            case TrialExtended(trial=trial):
                member = self._members[trial]
                member.boundaries = event.boundaries
                member.ended = None if member.ended == "finished" else member.ended
                # Its last boundary of before is one like any other now.
                self._open |= {
                    b for b in member.costs if b % self._interval == 0 and member.awaits(b)
                }

        if not self._synchronous and isinstance(event, Reported | CheckpointCommitted):
            self._outrank(event.boundary)

    def _reopen(self, member: _Member, boundary: int) -> None:
        """Compare a member anew at a boundary that others have left behind.

        A checkpoint that nobody waited for since may be deleted by now, and is no donor's.
        """
        member.decided.pop(boundary, None)
        if not any(m.awaits(boundary) for m in self._members.values() if m is not member):
            for other in self._members.values():
                kept = () if other.ended else sorted(other.ever_committed)[-2:]
                if boundary in other.committed and boundary not in kept:
                    other.outranked.add(boundary)
        self._open.add(boundary)

    def _outrank(self, boundary: int) -> None:
        """Give up those who are no donors now: should a donor fail, they do not come back.

        In a synchronous population they stand at the boundary meanwhile, and so it is kept.
        """
        ranking = self._ranking(boundary)
        for member in ranking[_share(self._size, self._quantile_fraction) :]:
            if boundary in member.committed:
                member.outranked.add(boundary)

    def until(self, trial: str, boundary: int) -> int:
        """The next boundary at which this member's generation is compared."""
        following = (boundary // self._interval + 1) * self._interval
        return following if following < self._members[trial].boundaries else NEVER

    def due(self) -> list[Decided]:
        """Decisions by boundary, then member number."""
        due: list[Decided] = []
        for boundary in sorted(self._open):
            waiting = [m for m in self._members.values() if m.awaits(boundary)]
            here = [m for m in waiting if boundary in m.costs]
            if not here:
                self._open.discard(boundary)
            elif self._synchronous and (len(here) < len(waiting) or self._incomplete):
                continue
            ranking = self._ranking(boundary)
            places = {member.id: place for place, member in enumerate(ranking, start=1)}
            for member in sorted(here, key=lambda m: m.number):
                decision = self._decide(member, boundary, ranking, places[member.id])
                due += [decision] if decision is not None else []
        return due

    def keeps(self, trial: str, boundary: int) -> bool:
        """Whether a member that is still to decide at this boundary may choose this donor."""
        if boundary % self._interval or boundary >= self._members[trial].boundaries:
            return False
        if boundary not in self._wanted:  # asked for every member between two events
            self._wanted[boundary] = frozenset(self._donors(boundary))
        return trial in self._wanted[boundary]

    def _donors(self, boundary: int) -> list[str]:
        """Whom members that are still to decide at this boundary may choose."""
        if not self._incomplete and not any(m.awaits(boundary) for m in self._members.values()):
            return []
        first = self._ranking(boundary)[: _share(self._size, self._quantile_fraction)]
        return [m.id for m in first if m.may_donate(boundary)]

    @property
    def _incomplete(self) -> bool:
        """Whether members are still to be proposed."""
        return len(self._members) < self._size

    def _ranking(self, boundary: int) -> list[_Member]:
        """Members compared at this boundary, best first; those that failed are out of it."""
        here = [m for m in self._members.values() if m.ended != "failed" and boundary in m.costs]
        return sorted(here, key=lambda m: (m.costs[boundary], m.number))

    def _decide(
        self, member: _Member, boundary: int, ranking: list[_Member], place: int
    ) -> Decided | None:
        """The decision about a member that has come to this boundary; None: not yet."""
        share = _share(len(ranking), self._quantile_fraction)
        diverged = member.costs[boundary] == math.inf
        if self._synchronous and place <= share and not self._saved(member, boundary):
            return None  # going on now, it could overtake the checkpoint that others will ask for
        reason = f"rank {place} of {len(ranking)} at boundary {boundary}"
        stay = Decided(trial=member.id, boundary=boundary, action="continue", reason=reason)
        if not diverged and (place <= len(ranking) - share or self._too_few(len(ranking))):
            return stay
        better = (m for m in ranking if m.costs[boundary] < member.costs[boundary])
        donors = [m for m in better if m.may_donate(boundary)][: max(share, 1)]
        if not donors:
            return None if diverged and self._donor_may_come(boundary) else stay
        donor = generator(self._seed, "exploit", member.id, boundary).choice(donors)
        if boundary not in donor.committed:
            return None
        return Decided(
            trial=member.id,
            boundary=boundary,
            action="exploit",
            donor=donor.id,
            config=self._explore(donor.config_at(boundary), member.id, boundary),
            reason=reason,
        )

    def _saved(self, member: _Member, boundary: int) -> bool:
        return boundary in member.committed or not member.may_donate(boundary)

    def _too_few(self, count: int) -> bool:
        """Whether an asynchronous comparison among so many says nothing yet."""
        taking_part = sum(m.ended != "failed" for m in self._members.values())
        return not self._synchronous and count < max(2, math.ceil(taking_part / 2))

    def _donor_may_come(self, boundary: int) -> bool:
        """Whether somebody is still on the way to this boundary, or its checkpoint to disk."""
        return self._incomplete or any(
            m.may_donate(boundary) or (boundary not in m.costs and m.awaits(boundary))
            for m in self._members.values()
        )


def _share(count: int, quantile_fraction: float) -> int:
    """How many of `count` members are donors, and as many receivers."""
    return min(math.ceil(count * quantile_fraction - _ROUNDING), count // 2)
