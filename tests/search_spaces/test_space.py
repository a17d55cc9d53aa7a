"""The space: order, grid, explore step."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.domains import Choice, Constant, IntUniform, LogUniform, Uniform
from search_spaces.space import Space

SPACE = Space(
    {
        "learning_rate": LogUniform(1e-5, 1e-4),
        "weight_decay": Uniform(0.0, 0.3),
        "batch": Choice((16, 32, 64)),
        "schedule": Choice(("linear", "cosine")),
        "epochs": Constant(4),
    }
)


def test_a_grid_follows_the_files_order_with_the_last_name_fastest() -> None:
    space = Space({"a": Choice((2, 1)), "b": Choice(("x", "y")), "c": IntUniform(0, 1)})
    assert space.grid_size() == 8
    configs = [tuple(c.values()) for c in space.grid()]
    assert configs[:4] == [(2, "x", 0), (2, "x", 1), (2, "y", 0), (2, "y", 1)]
    assert configs[4] == (1, "x", 0)
    assert all(list(c) == ["a", "b", "c"] for c in space.grid())


def test_the_size_of_a_huge_grid_is_known_without_listing_it() -> None:
    assert Space({f"n{i}": IntUniform(0, 10**6) for i in range(9)}).grid_size() == (10**6 + 1) ** 9


def test_a_grid_over_a_range_without_a_count_says_which_name_lacks_it() -> None:
    with pytest.raises(ValueError, match="needs a count for the range of learning_rate"):
        SPACE.grid_size()
    with pytest.raises(ValueError, match="learning_rate"):
        next(SPACE.grid())


def test_an_empty_space_has_one_configuration() -> None:
    assert list(Space({}).grid()) == [{}]
    assert Space({}).sample(Random(0)) == {}


@given(st.integers(), st.floats(0.0, 1.0))
def test_samples_and_explored_configurations_lie_in_the_space(seed: int, resample: float) -> None:
    rng = Random(seed)
    config = SPACE.sample(rng)
    assert SPACE.contains(config)
    for _ in range(20):
        config = SPACE.perturb(config, rng, (0.8, 1.2), resample)
        assert SPACE.contains(config)


def test_exploring_brings_a_stray_configuration_back_and_drops_unknown_names() -> None:
    stray = {"learning_rate": 5.0, "weight_decay": -1.0, "batch": 48, "ghost": 1}
    assert SPACE.contains(SPACE.perturb(stray, Random(1)))
    assert SPACE.contains(SPACE.clip(stray))


def test_with_resampling_off_every_number_moves_by_a_factor_or_a_step() -> None:
    config = SPACE.clip({"learning_rate": 5e-5, "weight_decay": 0.1, "batch": 32})
    for seed in range(30):
        moved = SPACE.perturb(config, Random(seed), (0.8, 1.2), 0.0)
        assert moved["learning_rate"] / 5e-5 == pytest.approx(0.8) or moved[
            "learning_rate"
        ] / 5e-5 == pytest.approx(1.2)
        assert moved["batch"] in (16, 64)
        assert moved["epochs"] == 4


def test_the_space_is_a_mapping_that_knows_what_is_searched() -> None:
    assert list(SPACE) == ["learning_rate", "weight_decay", "batch", "schedule", "epochs"]
    assert SPACE.searched == ("learning_rate", "weight_decay", "batch", "schedule")
    assert not SPACE.contains({"learning_rate": 5e-5})
