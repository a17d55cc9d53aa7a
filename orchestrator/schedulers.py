"""Which trials go on at a boundary: no early stopping, ASHA, and Hyperband's bands of ASHA.

Knows nothing of workers, checkpoints or Ray: events in, decisions out (population-based training,
the third kind of scheduler, has `population.py`). A decision is made when its report is observed
and kept until it is seen in the journal, so it depends on the events before it and on nothing
else; a replayed journal gives the same decisions.

ASHA here is the stopping variant: a trial that is not good enough at a rung ends there, none is
paused to be promoted later, because a paused trial would need its checkpoint kept and loaded
again, while trials that start afresh keep workers warm and slots busy.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence

from orchestrator.events import Decided, Event, Reported, TrialEnded, TrialProposed
from orchestrator.scheduler import NEVER, Scheduler
from orchestrator.schedules import Beside
from search_spaces import SweepSpec

_ROUNDING = 1e-9
"""So that 27 / 3 ** 2, as a float, is not rounded down to 2."""
_MOST_RUNGS = 64


class Fifo(Scheduler):
    """Every trial trains to its end."""

    def observe(self, event: Event) -> None:
        """Ignore everything."""

    def until(self, trial: str, boundary: int) -> int:
        """No boundary at all."""
        return NEVER

    def due(self) -> list[Decided]:
        """Nothing, ever."""
        return []


class Asha(Scheduler):
    """Asynchronous successive halving, stopping variant (Li et al. 2020, arXiv:1810.05934).

    At each rung (a boundary: r * eta^k in the paper, its `min_iter` and `eta`) a trial is compared
    with every trial that has come to the same rung so far, itself included: of n values the best
    floor(n / eta) go on (the paper's top 1/eta of a rung), at least one; ties go on. As long as
    fewer than eta values stand at the rung nobody can be told to lie outside the best 1/eta, so
    all go on. A value that is not finite is the worst there is: it counts in n, and its trial
    stops.

    Hyperband (`type: hyperband`) is the same with bands: the trials of band b skip the first b
    rungs, as a hedge against curves that cross. Bands are dealt out by trial number in the
    proportions of the Hyperband paper (Li et al. 2018, arXiv:1603.06560).

    Args:
        sign: +1.0 when a higher value is better, -1.0 when a lower one is.
        rungs: boundaries, ascending, each above 0. A rung at or beyond a trial's end does
            not concern it.
        eta: the reduction factor, above 1.
        banded: deal trials to Hyperband's bands.
    """

    def __init__(
        self,
        sign: float,
        rungs: Sequence[int],
        eta: float,
        *,
        banded: bool = False,
    ) -> None:
        self._sign = sign
        self._rungs = tuple(rungs)
        self._eta = eta
        self._bands: dict[int, Callable[[int], int]] = {}
        self._banded = banded
        self._rungs_of: dict[str, tuple[int, ...]] = {}
        self._standings = {rung: _Standings() for rung in rungs}
        self._decided: set[tuple[str, int]] = set()
        self._due: dict[tuple[str, int], Decided] = {}

    def observe(self, event: Event) -> None:
        """Learn of proposals, reports, decisions and ends."""
        match event:
            case TrialProposed(trial=trial):
                own = tuple(rung for rung in self._rungs if rung < event.boundaries)
                self._rungs_of[trial] = own[self._skipped(event.number, len(own)) :]
            case Reported(trial=trial, boundary=boundary):
                if boundary in self._rungs_of[trial]:
                    self._standings[boundary].enter(trial, self._cost(event.value))
                    if (trial, boundary) not in self._decided:
                        self._due[trial, boundary] = self._decide(trial, boundary)
            case Decided(trial=trial, boundary=boundary):
                self._decided.add((trial, boundary))
                self._due.pop((trial, boundary), None)
            case TrialEnded(trial=trial):
                self._due = {key: due for key, due in self._due.items() if key[0] != trial}

    def until(self, trial: str, boundary: int) -> int:
        """The trial's next rung after `boundary`."""
        return next((rung for rung in self._rungs_of[trial] if rung > boundary), NEVER)

    def due(self) -> list[Decided]:
        """Decisions whose reports have been observed, in the order of the reports."""
        return list(self._due.values())

    def _skipped(self, number: int, rung_count: int) -> int:
        if not self._banded:
            return 0
        if rung_count not in self._bands:
            self._bands[rung_count] = hyperband_bands(rung_count, self._eta)
        return self._bands[rung_count](number)

    def _cost(self, value: float | None) -> float:
        """The value as something to be small; infinite when it is not a finite number."""
        return -self._sign * value if value is not None and math.isfinite(value) else math.inf

    def _decide(self, trial: str, boundary: int) -> Decided:
        rank, count = self._standings[boundary].rank(trial)
        if self._standings[boundary].costs[trial] == math.inf:
            reason = f"the metric was not finite at boundary {boundary}"
            return Decided(trial=trial, boundary=boundary, action="stop", reason=reason)
        good = count if count < self._eta else max(1, math.floor(count / self._eta))
        return Decided(
            trial=trial,
            boundary=boundary,
            action="continue" if rank <= good else "stop",
            reason=f"rank {rank} of {count} at boundary {boundary}; the best {good} go on",
        )


class _Standings:
    """Who came to a rung with which cost; kept sorted, so that 10,000 trials stay cheap."""

    def __init__(self) -> None:
        self.costs: dict[str, float] = {}
        self._sorted: list[float] = []

    def enter(self, trial: str, cost: float) -> None:
        """Set the trial's cost; replaces an earlier one."""
        if trial in self.costs:
            del self._sorted[bisect.bisect_left(self._sorted, self.costs[trial])]
        self.costs[trial] = cost
        bisect.insort(self._sorted, cost)

    def rank(self, trial: str) -> tuple[int, int]:
        """The trial's rank from 1 (ties share the better one), and how many have one."""
        return 1 + bisect.bisect_left(self._sorted, self.costs[trial]), len(self._sorted)


def rungs(*, min_iter: int, max_iter: int | None, s: int | None, eta: float) -> tuple[int, ...]:
    """The boundaries where trials are compared, from the keys of W&B's `early_terminate`.

    min_iter, min_iter * eta, min_iter * eta^2 ... below max_iter if that is given, at most `s` of
    them if that is given. With both max_iter and s they are counted from the other end, as W&B
    does: max_iter / eta, max_iter / eta^2 ..., `s` of them, none below min_iter. Fractions
    of a boundary are rounded down, repeats dropped.
    """
    exponents = range(_MOST_RUNGS)
    if max_iter is not None and s is not None:
        downward = [math.floor(max_iter / eta ** (k + 1) + _ROUNDING) for k in exponents]
        return tuple(sorted({rung for rung in downward[:s] if rung >= min_iter}))
    upward = [math.floor(min_iter * eta**k + _ROUNDING) for k in exponents]
    return tuple(sorted({rung for rung in upward[:s] if rung < (max_iter or NEVER)}))


def hyperband_bands(rung_count: int, eta: float) -> Callable[[int], int]:
    """Deal trials to Hyperband's bands by number: number -> how many of the lowest rungs to skip.

    With m rungs there are m + 1 bands; the one that skips b rungs has m - b left and gets
    a share ceil((m + 1) / (m - b + 1) * eta^(m - b)) of the trials (Li et al. 2018, algorithm 1,
    line 3, with s = m - b). They are dealt smoothly: at each number the band that lags
    furthest behind its share, so that the proportions hold for any number of trials.
    """
    m = rung_count
    shares = [math.ceil((m + 1) / (m - b + 1) * eta ** (m - b) - _ROUNDING) for b in range(m + 1)]
    total = sum(shares)
    dealt: list[int] = []

    def band_of(number: int) -> int:
        while len(dealt) <= number:
            counts = [dealt.count(b) for b in range(m + 1)] if len(dealt) < total else []
            if counts:
                lag = [shares[b] * (len(dealt) + 1) / total - counts[b] for b in range(m + 1)]
                dealt.append(max(range(m + 1), key=lambda b: lag[b]))
            else:
                dealt.append(dealt[len(dealt) - total])
        return dealt[number]

    return band_of


def _fifo(spec: SweepSpec) -> Scheduler:
    return Fifo()


def _asha(spec: SweepSpec) -> Scheduler:
    rule = spec.early_terminate
    if rule is None:
        raise ValueError("asha needs the sweep's early_terminate section, but got none")
    levels = rungs(min_iter=rule.min_iter, max_iter=rule.max_iter, s=rule.s, eta=rule.eta)
    return Asha(spec.metric.sign, levels, rule.eta, banded=rule.type == "hyperband")


def _population(spec: SweepSpec) -> Scheduler:
    from orchestrator.population import Population

    return Population.of(spec)


SCHEDULERS: dict[str, Callable[[SweepSpec], Scheduler]] = {
    "fifo": _fifo,
    "asha": _asha,
    "hyperband": _asha,
    "pbt": _population,
}


def make_scheduler(spec: SweepSpec) -> Beside:
    """The scheduler that a sweep asks for: its population, its early stopping, or none.

    It comes behind one that keeps from it what is not the search's.
    """
    kind = spec.early_terminate.type if spec.early_terminate else "fifo"
    return Beside(SCHEDULERS["pbt" if spec.method == "pbt" else kind](spec))
