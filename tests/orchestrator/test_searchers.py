"""What every searcher must hold, and what grid and random search add."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from orchestrator.searchers import (
    SEARCHERS,
    Proposal,
    Searcher,
    key_of,
    make_searcher,
    point_count,
    points,
)
from search_spaces import SweepSpec
from tests.orchestrator.deciding import FINITE, MIXED, ended, proposed, reported, sweep

_FRESH_PROCESS = """
import json, sys
from search_spaces import SweepSpec
from tests.orchestrator.test_searchers import proposals
spec = SweepSpec.model_validate_json(sys.argv[1])
print(json.dumps([p.config for p in proposals(spec, int(sys.argv[2]))]))
"""


def worth(config: dict[str, Any]) -> float:
    """A value for any configuration, the same in every process."""
    return sum(
        len(key_of({k: v})) + (v if isinstance(v, float) else 0.0) for k, v in config.items()
    )


def follow(searcher: Searcher, number: int, proposal: Proposal) -> None:
    """Show the searcher the whole life of a trial that it proposed."""
    searcher.observe(proposed(number, proposal.config, boundaries=1))
    searcher.observe(reported(number, 1, worth(proposal.config)))
    searcher.observe(ended(number))


def proposals(spec: SweepSpec, count: int) -> list[Proposal]:
    """The first proposals of a fresh searcher, each trial run to its end before the next."""
    searcher = make_searcher(spec)
    found = []
    for number in range(count):
        proposal = searcher.propose(number)
        if proposal is None:
            break
        follow(searcher, number, proposal)
        found.append(proposal)
    return found


class SearcherContract:
    """What every searcher must hold. A suite says how to make a sweep of its method."""

    count = 5

    def spec(self, **keys: Any) -> SweepSpec:
        raise NotImplementedError

    def test_same_seed_proposes_the_same_in_a_fresh_process(self) -> None:
        spec = self.spec()
        here = [p.config for p in proposals(spec, self.count)]
        done = subprocess.run(
            [sys.executable, "-c", _FRESH_PROCESS, spec.model_dump_json(), str(self.count)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == here

    def test_a_searcher_that_observed_the_past_goes_on_as_if_it_had_proposed_it(self) -> None:
        all_at_once = proposals(self.spec(), self.count)
        resumed = make_searcher(self.spec())
        for number, proposal in enumerate(all_at_once[:-1]):
            follow(resumed, number, proposal)
        assert resumed.propose(len(all_at_once) - 1) == all_at_once[-1]

    def test_asking_twice_gives_the_same_answer(self) -> None:
        searcher = make_searcher(self.spec())
        assert searcher.propose(0) == searcher.propose(0)
        assert searcher.propose(1) == searcher.propose(1)

    def test_proposals_lie_in_the_space_and_keep_the_names_in_the_order_of_the_file(self) -> None:
        spec = self.spec()
        for proposal in proposals(spec, self.count):
            assert spec.space.contains(proposal.config)
            assert list(proposal.config) == list(spec.space)

    def test_proposals_are_plain_json(self) -> None:
        for proposal in proposals(self.spec(), self.count):
            assert json.loads(json.dumps(proposal.config)) == proposal.config

    def test_no_configuration_is_proposed_twice(self) -> None:
        keys = [key_of(p.config) for p in proposals(self.spec(), self.count)]
        assert len(keys) == self.count == len(set(keys))

    def test_it_is_exhausted_at_the_limit_and_stays_so(self) -> None:
        spec = self.spec()
        assert spec.trial_limit is not None
        searcher = make_searcher(spec)
        assert searcher.propose(spec.trial_limit) is None
        assert searcher.propose(spec.trial_limit + 7) is None


class GivenFirstContract(SearcherContract):
    """What all but grid hold: default and warm starts come first."""

    def test_trial_0_is_the_default_configuration_then_the_warm_starts(self) -> None:
        warm = {"learning_rate": 2e-5, "per_device_train_batch_size": 32}
        spec = self.spec(warm_start=[warm])
        first, second, third = proposals(spec, 3)
        assert first == Proposal(spec.default_config(), "default")
        assert second == Proposal({**spec.default_config(), **warm}, "warm_start")
        assert third.origin == "searcher"

    def test_without_default_first_the_search_begins_at_once(self) -> None:
        assert proposals(self.spec(default_first=False), 1)[0].origin == "searcher"

    def test_a_warm_start_equal_to_the_default_is_not_tried_twice(self) -> None:
        spec = self.spec(warm_start=[{}])
        assert [p.origin for p in proposals(spec, 2)] == ["default", "searcher"]


class TestGrid(SearcherContract):
    count = 6

    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("grid", parameters=FINITE, **keys)

    def test_it_goes_through_the_file_with_the_last_name_fastest(self) -> None:
        found = [tuple(p.config.values()) for p in proposals(self.spec(), 100)]
        assert found == [(b, s) for b in (8, 16, 32) for s in ("linear", "cosine")]

    def test_default_first_is_not_for_grid(self) -> None:
        assert {p.origin for p in proposals(self.spec(default_first=True), 100)} == {"searcher"}

    def test_a_warm_start_comes_first_and_the_grid_stays_whole(self) -> None:
        warm = {"per_device_train_batch_size": 32, "lr_scheduler_type": "linear"}
        outside = {"per_device_train_batch_size": 32, "lr_scheduler_type": "cosine"}
        spec = self.spec(warm_start=[warm, outside])
        found = proposals(spec, 100)
        assert [p.config for p in found[:2]] == [warm, outside]
        assert len({key_of(p.config) for p in found}) == len(found) == 6

    def test_a_range_with_a_count_is_spaced_on_its_own_scale(self) -> None:
        rates = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3, "count": 3}
        spec = sweep("grid", parameters={"learning_rate": rates})
        found = [p.config["learning_rate"] for p in proposals(spec, 100)]
        assert found == pytest.approx([1e-5, 1e-4, 1e-3])


class TestRandom(GivenFirstContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("random", **{"parameters": MIXED, "run_cap": 30, **keys})

    def test_a_proposal_depends_on_its_number_not_on_what_was_observed(self) -> None:
        busy = make_searcher(self.spec())
        for number, proposal in enumerate(proposals(self.spec(), 9)):
            follow(busy, number, proposal)
        assert busy.propose(9) == make_searcher(self.spec()).propose(9)

    def test_another_seed_proposes_something_else(self) -> None:
        first = proposals(self.spec(default_first=False, seed=1), 3)
        assert first != proposals(self.spec(default_first=False, seed=2), 3)

    def test_a_finite_space_is_tried_once_through_and_then_exhausted(self) -> None:
        found = proposals(self.spec(parameters=FINITE), 30)
        assert len(found) == len({key_of(p.config) for p in found}) == 6


class TestPopulationStart(GivenFirstContract):
    def spec(self, **keys: Any) -> SweepSpec:
        return sweep("pbt", **{"parameters": MIXED, "population": {"size": 6}, **keys})

    def test_members_may_start_alike_when_the_space_is_smaller_than_the_population(self) -> None:
        spec = self.spec(parameters=FINITE, population={"size": 9})
        assert len(proposals(spec, 100)) == 9


def test_every_method_of_a_sweep_file_has_its_searcher() -> None:
    assert set(SEARCHERS) == set(SweepSpec.model_fields["method"].annotation.__args__)


def test_points_are_counted_and_listed_only_where_they_are_few() -> None:
    space = sweep(parameters={**FINITE, "warmup_steps": {"min": 0, "max": 4}}).space
    listed = list(points(space))
    assert point_count(space) == len(listed) == len({key_of(p) for p in listed}) == 30
    assert all(space.contains(p) for p in listed)
    assert point_count(sweep(parameters=MIXED).space) is None
    assert list(points(sweep(parameters=MIXED).space)) == []


def test_deciders_import_neither_ray_nor_torch_nor_optuna() -> None:
    code = (
        "import sys, orchestrator.searchers, orchestrator.bayes, orchestrator.schedulers, "
        "orchestrator.population, orchestrator.simulate, orchestrator.sampler_process; "
        "print(sorted({'ray', 'torch', 'optuna', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
