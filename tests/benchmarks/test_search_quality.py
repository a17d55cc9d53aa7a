"""The search-quality benchmark: surfaces are what they say, rows and tables are whole.

What comes out of it is not tested here: a few seeds would show luck.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random

import pytest

from benchmarks import search_quality, sources
from benchmarks.moving_rates import MOVES
from benchmarks.moving_rates import surface as moving
from benchmarks.response_surfaces import SURFACES
from benchmarks.saved_rows import Row, SavedRows
from benchmarks.search_quality_page import (
    COMPARISONS,
    Comparison,
    Paired,
    differences,
    page,
    paired,
    summary,
)
from orchestrator.surfaces import History, ResponseSurface
from search_spaces import SweepSpec

QUICK = (
    "random",
    "asha, as many trials",
    "pbt",
    "optuna tpe, 1 out",
    "optuna multivariate tpe, 4 out",
)


def spec_on(surface_name: str, seed: int = 0) -> SweepSpec:
    surface = SURFACES[surface_name](seed, 4)
    return search_quality.spec_of("random", seed, surface.parameters, 4, surface.goal, run_cap=4)


def histories(name: str, count: int = 40) -> list[History]:
    space, rng = spec_on(name).space, Random(1)
    surface = SURFACES[name](0, 4)
    configs = [space.sample(rng) for _ in range(count)]
    return [(config,) * surface.length(config) for config in configs]


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_measures_the_same_for_the_same_configuration(name: str) -> None:
    for history in histories(name):
        first, again = SURFACES[name](0, 4), SURFACES[name](0, 4)
        assert first.value(history) == again.value(history)
        assert (first.value(history) is None) == (first.truth(history) is None)


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_ends_where_it_says_and_starts_near_its_start(name: str) -> None:
    surface = SURFACES[name](0, 4)
    for history in histories(name):
        config = history[0]
        if surface.lasts(config) < 1.0:
            assert surface.truth(history) is None
            continue
        final = surface.final(config)
        assert surface.truth(history) == pytest.approx(final)
        first = surface.truth(history[:1])
        assert first is not None
        assert min(surface.start, final) <= first <= max(surface.start, final)


@pytest.mark.parametrize("name", [name for name in SURFACES if name != "collapse"])
def test_the_noise_between_runs_is_that_of_fine_tuning(name: str) -> None:
    """0.5 to 1.5 points, and errors of one run are alike."""
    errors = [
        (surface.error(history), surface.error(history[:1]))
        for seed in range(40)
        for surface in [SURFACES[name](seed, 4)]
        for history in histories(name, 10)
    ]
    spread = math.sqrt(sum(end**2 for end, _ in errors) / len(errors))
    assert spread == pytest.approx(SURFACES[name].noise, rel=0.15)
    assert 0.005 <= SURFACES[name].noise <= 0.015
    shared = sum(end * first for end, first in errors) / len(errors) / spread**2
    assert shared == pytest.approx(SURFACES[name].run_share, abs=0.15)


def test_a_collapsing_run_is_worth_what_its_seeds_give_in_the_mean() -> None:
    config = {
        "learning_rate": 6e-5,
        "warmup_steps": 0.1,
        "per_device_train_batch_size": 16,
        "weight_decay": 0.1,
    }
    values, truths = [], []
    for seed in range(400):
        surface = SURFACES["collapse"](seed, 4)
        surface.best = -4.6
        values.append(surface.value((config,) * 4) or 0.0)
        truths.append(surface.truth((config,) * 4) or 0.0)
    assert sum(values) / 400 == pytest.approx(truths[0], abs=0.02)
    assert len(set(truths)) == 1


def test_a_surface_of_ones_own_writes_what_it_ends_at() -> None:
    class Flat(ResponseSurface):
        def final(self, config: dict[str, float]) -> float:
            return 0.8

    surface = Flat(seed=1, boundaries=2)
    assert surface.truth(({}, {})) == pytest.approx(0.8)
    assert surface.value(({}, {})) != surface.value(({},))


@pytest.mark.parametrize("name", MOVES)
def test_no_constant_rate_is_as_good_as_the_one_that_moves(name: str) -> None:
    surface = moving(name, 0, 16)
    first, last = surface.best, surface.best_at_end
    assert last is not None
    following = [first * (last / first) ** (k / 15) for k in range(16)]
    best = surface.truth(tuple({"learning_rate": rate} for rate in following))
    constants = [surface.truth(({"learning_rate": 1e-6 * 10 ** (k / 20)},) * 16) for k in range(60)]
    assert best is not None
    assert best > max(value for value in constants if value is not None) + 0.01


def test_intervals_are_students() -> None:
    """By the table of the t distribution: 2.776 at four degrees of freedom."""
    found = paired([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.mean, found.pairs, found.wins) == (3.0, 5, 1.0)
    assert found.high - found.mean == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert paired([1.0]).low == -math.inf
    with pytest.raises(ValueError, match="at least one"):
        paired([])


def test_an_arm_measures_the_same_again() -> None:
    for section, (arms, surfaces) in search_quality.SECTIONS.items():
        name = surfaces[-1]
        for arm, run in arms(name, 3, {}).items():
            if arm in QUICK:
                assert run() == arms(name, 3, {})[arm](), (section, arm)


def made_up(seeds: int) -> dict[str, Row]:
    """Whole rows without a fit: every arm of a pair is worth what its place says."""
    rows = {}
    for section, surface, seed in search_quality.row_names(seeds):
        arms = search_quality.SECTIONS[section][0](surface, seed, {})
        rows[f"{section}/{surface}/{seed:02d}"] = {
            "arms": {
                arm: {
                    "truth": 0.8 - 0.01 * place,
                    "epochs": 100 - place,
                    "cpu_s": 1.0,
                    "code": search_quality.digest(arm),
                }
                for place, arm in enumerate(arms)
            }
        }
    return rows


def test_the_page_holds_every_comparison_and_every_surface() -> None:
    rows = made_up(2)
    text = "\n".join(page(rows))
    for comparison in COMPARISONS:
        assert f"| {comparison.first} | {comparison.second} |" in text
    for name in (*SURFACES, *MOVES):
        assert f"| {name} | " in text
    assert len(summary(rows)) == len(COMPARISONS)


def test_a_lower_loss_is_better() -> None:
    comparison = COMPARISONS[0]  # bayes is made up as worth a point less than random
    rows = made_up(2)
    assert differences(rows, comparison, "cliff") == pytest.approx([-1.0, -1.0])
    assert differences(rows, comparison, "loss") == pytest.approx([1.0, 1.0])


def test_only_arms_that_are_missing_are_measured() -> None:
    done: Row = {arm: {"truth": 1.0} for arm in search_quality.early_arms("cliff", 0, {})}
    done["random"]["epochs"] = 64 * 9
    del done["asha, half the epochs"]
    row = search_quality.measure("early", "cliff", 0, done)
    assert row["random"] == {"truth": 1.0, "epochs": 64 * 9}
    assert 32 * 9 - 20 < row["asha, half the epochs"]["epochs"] <= 32 * 9


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = SavedRows("search_quality", folder=tmp_path, packages=search_quality.PACKAGES)
    for name, row in made_up(1).items():
        saved.save(name, row)
    text = search_quality.run(1, 1, tmp_path)
    assert (tmp_path / "search_quality.md").read_text() == text
    rows = json.loads((tmp_path / "search_quality.json").read_text())["rows"]
    assert {name: row["arms"] for name, row in rows.items()} == {
        name: row["arms"] for name, row in made_up(1).items()
    }


def test_arms_that_other_sources_gave_are_not_on_the_page(tmp_path: Path) -> None:
    saved = SavedRows("search_quality", folder=tmp_path, packages=search_quality.PACKAGES)
    rows = made_up(2)
    rows["early/cliff/01"]["arms"]["random"]["code"] = "of yesterday"
    for name, row in rows.items():
        saved.save(name, row)
    whole = search_quality.whole(saved.rows)
    assert set(rows) - set(whole) == {"early/cliff/01"}
    text = saved.write_page(page, whole)
    assert "another machine (1): early/cliff/01." in text


def test_the_figures_of_every_arm_depend_on_all_that_decides_there() -> None:
    def files(whose: str) -> tuple[str, ...]:
        return sources.imported(*search_quality._MODULES[whose])

    deciding = ("simulate", "dispatch", "budgets", "state", "searchers", "schedulers", "population")
    searching = ("axes", "bayes", "gaussian_process", "surfaces")
    for module in (*deciding, *searching):
        assert f"orchestrator/{module}.py" in files("ours")
    assert {"search_spaces/space.py", "benchmarks/moving_rates.py"} <= set(files("ours"))
    assert "benchmarks/optuna_directly.py" in files("optuna")
    assert "orchestrator/bayes.py" not in files("optuna")


def test_optunas_best_sampler_is_whichever_of_them_is_best() -> None:
    rules = {c.second: c.rule for c in COMPARISONS if c.first.startswith("bayes")}
    for sampler in search_quality.optuna_directly.SAMPLERS:
        for out in (1, search_quality.OUT):
            assert rules[f"optuna {sampler}, {out} out"] == "not below"
            assert rules[f"optuna {sampler} + default, {out} out"] == "not below"


def test_the_same_is_neither_worse_nor_too_noisy_to_tell():
    same = Comparison("early", "asha", "random", "same")
    assert same.holds(Paired(0.0, -0.2, 0.3, 0.5, 20))
    assert not same.holds(Paired(0.0, -0.9, 0.9, 0.5, 20))
    assert not same.holds(Paired(-0.3, -0.4, -0.2, 0.5, 20))
