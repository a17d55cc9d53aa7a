"""A searched domain as the Optuna distribution that a user of Optuna would write for it.

For files and comparisons that speak Optuna. What our own searcher is given are axes (`axes.py`),
on which ordered values and steps are evenly spaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.domains import Choice, Domain, IntUniform, LogUniform, Quantized, Uniform

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distribution_of(domain: Domain) -> BaseDistribution:
    """The domain with its values as they are; a choice keeps its values as categories.

    Raises:
        TypeError: a domain that has no such distribution: a constant.
    """
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    match domain:
        case Uniform(low=low, high=high):
            return FloatDistribution(low, high)
        case LogUniform(low=low, high=high):
            return FloatDistribution(low, high, log=True)
        case IntUniform(low=low, high=high):
            return IntDistribution(low, high)
        case Quantized(q=int() as q, log=False):
            return IntDistribution(
                int(domain.clip(domain.low)), int(domain.clip(domain.high)), step=q
            )
        case Quantized(q=q, log=log):
            low, high = domain.clip(domain.low), domain.clip(domain.high)
            step = None if log else q
            return FloatDistribution(float(low), float(high), log=log, step=step)
        case Choice():
            return CategoricalDistribution(tuple(domain.ladder))
    raise TypeError(f"a searched domain must be one of search_spaces.domains, but got {domain!r}")
