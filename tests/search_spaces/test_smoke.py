"""A smoke run is the same sweep made small, and nothing but data."""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import SweepSpec, read_sweep
from tests.search_spaces.files import GRID, PBT, RANDOM, spec

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "spaces").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_ready_file_shrinks_to_two_trials_of_two_boundaries(path: Path) -> None:
    full = read_sweep(path).spec
    small = full.shrunk()
    assert small.trial_limit == 2
    configs = list(small.space.grid()) if small.method == "grid" else [small.default_config()]
    assert all(small.boundaries(config) == 2 for config in configs)
    assert small.smoke
    assert small.task.smoke
    assert small.task.rows["train"] <= 64
    assert small.name == f"{full.name}-smoke"
    assert (small.method, small.task.model) == (full.method, full.task.model)
    assert list(small.space) == list(full.space)
    assert SweepSpec.model_validate(small.model_dump(mode="json")) == small
    assert not full.smoke


def test_a_grid_keeps_two_different_configurations(tmp_path: Path) -> None:
    configs = list(spec(tmp_path, GRID).shrunk().space.grid())
    assert len(configs) == 2
    assert configs[0] != configs[1]


def test_a_small_population_still_exploits(tmp_path: Path) -> None:
    population = spec(tmp_path, PBT, "population.interval=3").shrunk().population
    assert population is not None
    assert (population.size, population.interval, population.quantile_fraction) == (2, 1, 0.5)


def test_limits_that_a_smoke_run_could_hit_are_gone(tmp_path: Path) -> None:
    small = spec(
        tmp_path, RANDOM, "budget={epochs: 1, usd_per_gpu_hour: 3}",
        "early_terminate={type: hyperband, min_iter: 2, s: 1}", "finalists={top_k: 3}",
        "warm_start=[{learning_rate: 2e-5}]", "parameters.num_train_epochs={values: [3, 4]}",
    ).shrunk()  # fmt: skip
    assert not small.budget.is_limit
    assert small.finalists is None
    assert small.warm_start == ()
    assert small.default_config()["num_train_epochs"] == 2
    assert small.early_terminate is not None
    assert small.early_terminate.min_iter == 1


def test_a_long_name_stays_a_name(tmp_path: Path) -> None:
    assert len(spec(tmp_path, RANDOM, "name=" + "a" * 64).shrunk().name) == 64
