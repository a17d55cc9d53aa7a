"""Domains: what they draw, hold, move to and list always belongs to them."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.domains import (
    Choice,
    Constant,
    Domain,
    IntUniform,
    LogUniform,
    Quantized,
    Uniform,
    same,
)

FACTORS = (0.8, 1.2)
finite = st.floats(-1e100, 1e100, allow_nan=False)
positive = st.floats(1e-300, 1e100, exclude_min=True)
counts = st.none() | st.integers(1, 40)


def _two(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(values, values).filter(lambda p: p[0] < p[1])


def _quantized(ends: tuple[float, float], steps: int, log: bool, count: int | None) -> Domain:
    low, high = ends
    q = (high - low) / steps
    return Quantized(low, high, float(f"{q:.6g}"), log and low > 0, count)


uniform = st.builds(lambda e, c: Uniform(*e, c), _two(finite), counts)
log_uniform = st.builds(lambda e, c: LogUniform(*e, c), _two(positive), counts)
whole = st.builds(lambda e, c: IntUniform(*e, c), _two(st.integers(-(10**9), 10**9)), counts)
small = st.builds(lambda e, c: IntUniform(*e, c), _two(st.integers(-30, 30)), counts)
int_steps = st.builds(
    lambda e, q, c: Quantized(*e, q, False, c),
    _two(st.integers(0, 1000)),
    st.integers(1, 50),
    counts,
).filter(lambda d: d.first <= d.last)
real_steps = st.builds(
    _quantized, _two(st.floats(1e-6, 1e6)), st.integers(1, 500), st.booleans(), counts
).filter(lambda d: d.q > 0 and d.first <= d.last)
scalars = st.none() | st.booleans() | st.integers(-100, 100) | finite | st.text(max_size=5)
choice = st.builds(
    lambda v: Choice(tuple(v)),
    st.lists(st.integers(-50, 50) | st.floats(-5, 5), min_size=1, max_size=6, unique=True)
    | st.lists(st.text(max_size=4), min_size=1, max_size=6, unique=True),
)
constant = st.builds(Constant, scalars)
domains = uniform | log_uniform | whole | small | int_steps | real_steps | choice | constant
anything = scalars | st.just(float("nan")) | st.just(float("inf")) | st.just([1])


@given(domains, st.integers())
def test_a_sample_is_in_its_domain(domain: Domain, seed: int) -> None:
    rng = Random(seed)
    assert all(domain.contains(domain.sample(rng)) for _ in range(5))


@given(domains, st.integers(), anything)
def test_a_perturbed_value_is_in_its_domain_whatever_it_was(
    domain: Domain, seed: int, value: Any
) -> None:
    assert domain.contains(domain.perturb(value, Random(seed), FACTORS))


@pytest.mark.parametrize(
    "domain",
    [
        Uniform(0.0, 0.3),
        Uniform(-2.0, 3.0),
        LogUniform(1e-5, 1e-4),
        IntUniform(1, 7),
        IntUniform(-3, 3),
        Quantized(8, 64, 8),
        Quantized(0.0, 0.3, 0.1),
        Quantized(1, 1000, 3, log=True),
        Choice((64, 16, 32)),
        Choice(("linear", "cosine")),
        Constant("x"),
    ],
    ids=str,
)
def test_no_value_leaves_its_domain_over_1000_perturbations(domain: Domain) -> None:
    for seed in range(5):
        rng = Random(seed)
        value = domain.sample(rng)
        seen = set()
        for _ in range(1000):
            value = domain.perturb(value, rng, FACTORS)
            assert domain.contains(value)
            seen.add(value)
        assert len(seen) > 1 or domain.is_constant


@given(domains, anything)
def test_clipping_gives_a_value_of_the_domain_and_clipping_it_again_changes_nothing(
    domain: Domain, value: Any
) -> None:
    once = domain.clip(value)
    assert domain.contains(once)
    assert same(domain.clip(once), once)


@given(domains, st.integers())
def test_clipping_leaves_what_is_inside(domain: Domain, seed: int) -> None:
    value = domain.sample(Random(seed))
    assert same(domain.clip(value), value)


@given(uniform | log_uniform | small | int_steps | real_steps | choice | constant)
def test_a_grid_lies_in_its_domain_has_the_size_it_says_and_no_value_twice(domain: Domain) -> None:
    size = domain.grid_size()
    if size is None:
        with pytest.raises(ValueError, match="finitely many values"):
            domain.grid()
        return
    values = domain.grid()
    assert len(values) == size
    assert len(set(values)) == size
    assert all(domain.contains(v) for v in values)


@given(domains, st.integers())
def test_the_same_seed_gives_the_same_samples(domain: Domain, seed: int) -> None:
    assert domain.sample(Random(seed)) == domain.sample(Random(seed))


def test_a_grid_over_a_range_is_even_on_its_own_scale_and_holds_both_ends() -> None:
    assert Uniform(0.0, 0.3, 4).grid() == pytest.approx((0.0, 0.1, 0.2, 0.3))
    assert LogUniform(1e-5, 1e-3, 3).grid() == pytest.approx((1e-5, 1e-4, 1e-3))
    assert IntUniform(1, 9, 3).grid() == (1, 5, 9)
    assert Uniform(1e-5, 5e-5, 5).grid()[0] == 1e-5
    assert Uniform(1e-5, 5e-5, 5).grid()[-1] == 5e-5


def test_steps_are_exact_decimals() -> None:
    assert Quantized(0.0, 0.3, 0.1).grid() == (0.0, 0.1, 0.2, 0.3)
    assert Quantized(8, 64, 8).grid() == (8, 16, 24, 32, 40, 48, 56, 64)
    assert all(isinstance(v, int) for v in Quantized(8, 64, 8).grid())
    assert not Quantized(8, 64, 8).contains(16.0)


def test_numeric_values_are_ordered_by_size_and_move_to_their_neighbours() -> None:
    domain = Choice((64, 16, 32))
    assert domain.ordered
    assert domain.ladder == (16, 32, 64)
    moved = {domain.perturb(16, Random(seed), FACTORS) for seed in range(40)}
    assert moved == {16, 32}
    assert {domain.perturb(32, Random(seed), FACTORS) for seed in range(40)} == {16, 64}


def test_values_of_text_have_no_order_and_are_drawn_anew() -> None:
    domain = Choice(("linear", "cosine", "constant"))
    assert not domain.ordered
    assert {domain.perturb("linear", Random(s), FACTORS) for s in range(60)} == set(domain.values)


def test_true_is_not_the_number_one() -> None:
    assert not Choice((0, 1)).contains(True)
    assert not IntUniform(0, 3).contains(True)
    assert not Uniform(0.0, 3.0).contains(True)
    assert not Choice((True, False)).ordered


def test_a_weight_decay_of_zero_can_be_perturbed_away_from_zero() -> None:
    moved = {Uniform(0.0, 0.3).perturb(0.0, Random(s), FACTORS) for s in range(20)}
    assert sorted(moved) == pytest.approx([0.0, 0.06])


def test_a_small_whole_number_moves_by_one_at_least() -> None:
    assert {IntUniform(1, 10).perturb(2, Random(s), FACTORS) for s in range(20)} == {1, 3}


def test_a_logarithmic_range_draws_as_often_below_its_geometric_middle_as_above() -> None:
    rng = Random(0)
    values = [LogUniform(1e-6, 1e-2).sample(rng) for _ in range(4000)]
    assert 0.47 < sum(v < 1e-4 for v in values) / len(values) < 0.53


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "x", True])
def test_what_is_no_number_is_clipped_to_the_middle_of_a_range(value: Any) -> None:
    assert Uniform(0.0, 1.0).clip(value) == pytest.approx(0.5)
    assert LogUniform(1e-6, 1e-2).clip(value) == pytest.approx(1e-4)
    assert math.isfinite(Quantized(8, 64, 8).clip(value))
