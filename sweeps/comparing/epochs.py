"""How many epochs a sweep will train: what methods must have in common to be compared.

Pure arithmetic on a `SweepSpec`; nothing is started and nothing read. Methods spend epochs in
ways of their own: a grid what its points need, a population members x epochs, random and Bayesian
search what a budget lets begin. So one budget for all is worked out for each and said beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.events import TrialProposed
from orchestrator.searchers import given_proposals, make_searcher, point_count
from search_spaces import SweepSpec
from search_spaces.space import Config

EPOCHS = "num_train_epochs"
TOLERANCE = 0.05
"""Budgets that differ by a larger share than this are not the same."""
_ROUNDING = 1e-9
_WALKED = 10_000
"""Draws of a random search worked out at most; of what comes after only the bounds are known."""


@dataclass(frozen=True)
class Planned:
    """What a sweep will train.

    Attributes:
        trials: at most; None when only a budget of time ends the study.
        each: fewest and most epochs of one trial.
        low, high: epochs of all trials together; `high` is infinite when nothing limits them.
        at_most: whether trials may be stopped early, or a budget of time may end the study.
    """

    trials: int | None
    each: tuple[float, float]
    low: float
    high: float
    at_most: bool = False


def planned(spec: SweepSpec) -> Planned:
    """Work out the epochs of the search; trials beside it (controls, finalists) do not count."""
    each = _each(spec)
    budget = spec.budget
    early = spec.early_terminate is not None and spec.method != "pbt"
    at_most = early or budget.wall_clock_s is not None or budget.gpu_hours is not None
    trials = spec.trial_limit
    if spec.method == "pbt":
        epochs = min((trials or 0) * each[1], budget.epochs or math.inf)
        return Planned(trials, each, epochs, epochs, at_most)
    if spec.method == "grid":
        epochs = _grid_epochs(spec)
        return Planned(trials, each, epochs, epochs, at_most)
    points = point_count(spec.space)
    if points is not None:
        trials = points if trials is None else min(trials, points)
    if each[0] < each[1]:
        return _searched_epochs(spec, trials, each, at_most)
    if budget.epochs is not None and not early:
        begun = math.floor(budget.epochs / each[0] + _ROUNDING)
        trials = begun if trials is None else min(trials, begun)
    epochs = math.inf if trials is None else trials * each[0]
    if budget.epochs is not None:
        epochs = min(epochs, budget.epochs)
    return Planned(trials, each, epochs, epochs, at_most)


def _each(spec: SweepSpec) -> tuple[float, float]:
    domain = spec.space.get(EPOCHS)
    if domain is None:
        whole = spec.epochs({})
        return whole, whole
    ends = (spec.epochs({EPOCHS: domain.clip(end)}) for end in (0, 2**31))
    low, high = ends
    return low, high


def _grid_epochs(spec: SweepSpec) -> float:
    size = spec.space.grid_size()
    domain = spec.space.get(EPOCHS)
    if domain is None:
        return size * spec.epochs({})
    values = [float(value) for value in domain.grid()]
    return size * math.fsum(values) / len(values)


def _searched_epochs(
    spec: SweepSpec, trials: int | None, each: tuple[float, float], at_most: bool
) -> Planned:
    """Random and Bayesian search when the epochs of a trial are searched too.

    A trial begins as long as what was spent leaves room for the default configuration's epochs,
    so the last one may go over the budget.
    """
    budget = math.inf if spec.budget.epochs is None else spec.budget.epochs
    room = spec.epochs(spec.default_config())
    known = _known(spec, min(trials or _WALKED, _WALKED))
    spent, count = 0.0, 0
    for config in known:
        if spent + room > budget + _ROUNDING:
            return Planned(count, each, spent, spent, at_most)
        spent, count = spent + spec.epochs(config), count + 1
    left = math.inf if trials is None else trials - count
    if left == 0:
        return Planned(count, each, spent, spent, at_most)
    # The last trial begins at `budget - room` at the latest, and at least that much is spent.
    low = min(spent + left * each[0], max(spent, budget - room))
    high = min(spent + left * each[1], max(spent, budget - room + each[1]))
    return Planned(trials, each, low, high, at_most)


def _known(spec: SweepSpec, count: int) -> list[Config]:
    """The configurations, of the first `count`, that no result can change."""
    if spec.method == "bayes":
        return [proposal.config for proposal in given_proposals(spec)][:count]
    searcher = make_searcher(spec)
    found: list[Config] = []
    for number in range(count):
        proposal = searcher.propose(number)
        if proposal is None:
            break
        found.append(proposal.config)
        searcher.observe(
            TrialProposed(
                trial=str(number),
                number=number,
                config=proposal.config,
                origin=proposal.origin,
                boundaries=1,
                epochs=1.0,
            )
        )
    return found


def fitting_population(spec: SweepSpec, budget: float) -> tuple[int, float] | None:
    """How many members and epochs of each make a population that costs close to the budget.

    Never more than the budget: a population that is cut off before its last generation is not the
    same method. Of those within 5 % the one most like the file's is taken, and the epochs of a
    member, which are what other methods give a trial, count twice as much as their number.

    Args:
        spec: of method pbt.
        budget: epochs of all members together.

    Returns:
        (members, epochs of each), or None when no population fits.
    """
    population = spec.population
    if population is None:
        raise ValueError("a population is fitted to method pbt only")
    size, epochs = population.size, spec.epochs({})
    candidates = [epochs]
    if epochs == int(epochs) and _boundaries(spec, epochs) is not None:
        candidates += [float(e) for e in range(1, min(int(budget // 2), 1000) + 1) if e != epochs]
    fits = []
    for each in candidates:
        members = math.floor(budget / each + _ROUNDING)
        boundaries = _boundaries(spec, each)
        changes = boundaries is None or boundaries > population.interval
        if members >= 2 and changes:
            unlike = abs(math.log(members / size)) + 2 * abs(math.log(each / epochs))
            short = budget - members * each
            near = short <= TOLERANCE * budget + _ROUNDING
            fits.append((not near, 0.0 if near else short, unlike, members, each))
    if not fits:
        return None
    *_, members, each = min(fits)
    return members, each


def _boundaries(spec: SweepSpec, epochs: float) -> int | None:
    """Boundaries of a member of so many epochs; None when only the data can say."""
    try:
        return spec.boundaries({EPOCHS: epochs})
    except ValueError:
        return None


def unequal(plans: Mapping[str, Planned]) -> str | None:
    """What is to be said when methods may spend epochs that differ by more than 5 %; else None.

    Args:
        plans: by what each method is called.
    """
    if len(plans) < 2:
        return None
    ends = [end for plan in plans.values() for end in (plan.low, plan.high)]
    low, high = min(ends), max(ends)
    if high < math.inf and high - low <= TOLERANCE * high + _ROUNDING:
        return None
    told = ", ".join(f"{label} {epochs_text(plan)}" for label, plan in plans.items())
    by = "without limit" if high == math.inf else f"by up to {100 * (high - low) / high:.0f} %"
    return (
        f"the methods' epochs differ {by}: {told}. What spends more may look better for that"
        " alone; --budget-epochs N gives all the same."
    )


def epochs_text(plan: Planned) -> str:
    """`16`, `14 to 18`, `at most 16`, `without limit`."""
    if plan.high == math.inf:
        return "without limit"
    if plan.low < plan.high:
        return f"{plan.low:g} to {plan.high:g}"
    return f"{'at most ' if plan.at_most else ''}{plan.high:g}"
