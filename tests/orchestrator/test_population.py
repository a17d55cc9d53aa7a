"""Population-based training: who copies whom, that no value leaves its domain, that nobody waits
for ever."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.events import Config, Decided, Event, Reported
from orchestrator.population import Population
from orchestrator.schedulers import NEVER
from orchestrator.segment import TrialFailure
from orchestrator.simulate import Simulation, simulate
from orchestrator.surfaces import History, LearningRateCurve
from search_spaces import SweepSpec
from tests.orchestrator.deciding import (
    MIXED,
    committed,
    ended,
    name,
    proposed,
    reported,
    settle,
    sweep,
)

VALUES = st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.5, 0.9]), st.floats(0.0, 1.0))


def population(size: int = 4, **keys: Any) -> Population:
    return Population.of(sweep("pbt", parameters=MIXED, population={"size": size, **keys}))


def members(scheduler: Population, size: int, boundaries: int = 4) -> list[Decided]:
    space = sweep("pbt", parameters=MIXED).space
    configs = [space.sample(random.Random(number)) for number in range(size)]
    return settle(scheduler, *(proposed(n, c, boundaries) for n, c in enumerate(configs)))


def stand(number: int, boundary: int, value: float | None) -> list[Event]:
    """The member reports and commits."""
    return [reported(number, boundary, value), committed(number, boundary)]


def generation(values: list[float | None], boundary: int = 1) -> list[Event]:
    return [e for number, value in enumerate(values) for e in stand(number, boundary, value)]


def decide(values: list[float | None], **keys: Any) -> dict[str, Decided]:
    scheduler = population(len(values), **keys)
    members(scheduler, len(values))
    return {d.trial: d for d in settle(scheduler, *generation(values))}


# Who copies whom ----------------------------------------------------------------------------


def test_the_last_quarter_copies_the_first_quarter() -> None:
    decisions = decide([0.8, 0.1, 0.5, 0.6, 0.7, 0.2, 0.9, 0.4])
    exploits = {d.trial: d.donor for d in decisions.values() if d.action == "exploit"}
    assert set(exploits) == {name(1), name(5)}
    assert set(exploits.values()) <= {name(0), name(6)}


def test_a_receiver_goes_on_with_a_changed_configuration_of_its_donor() -> None:
    spec = sweep("pbt", parameters=MIXED, population={"size": 2, "resample_probability": 0.0})
    scheduler = Population.of(spec)
    members(scheduler, 2)
    [exploit] = [d for d in settle(scheduler, *generation([0.9, 0.1])) if d.donor]
    donor = spec.space.sample(random.Random(0))
    assert exploit.config is not None
    assert spec.space.contains(exploit.config)
    rates = [spec.space["learning_rate"].clip(donor["learning_rate"] * f) for f in (0.8, 1.2)]
    assert exploit.config["learning_rate"] in rates


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("synchronous", [True, False])
def test_small_populations_have_one_donor_and_one_receiver(size: int, synchronous: bool) -> None:
    values: list[float | None] = [0.9, 0.5, 0.3, 0.1][:size]
    decisions = decide(values, synchronous=synchronous)
    exploits = [d for d in decisions.values() if d.action == "exploit"]
    assert [d.trial for d in exploits][-1] == name(size - 1)
    assert {d.donor for d in exploits} == {name(0)}


def test_equals_learn_nothing_from_each_other() -> None:
    assert {d.action for d in decide([0.5] * 8).values()} == {"continue"}


def test_ties_go_by_number_whatever_the_order_of_reports() -> None:
    values = [0.5, 0.9, 0.5, 0.9, 0.5, 0.5, 0.5, 0.7]
    first = decide(values)
    scheduler = population(8)
    members(scheduler, 8)
    events = [e for number in (5, 2, 7, 0, 1, 3, 6, 4) for e in stand(number, 1, values[number])]
    assert {d.trial: d for d in settle(scheduler, *events)} == first


def test_a_diverged_member_is_last_and_copies_a_finite_one() -> None:
    decisions = decide([None, None, None, 0.1, 0.2])
    assert {d.trial for d in decisions.values() if d.action == "exploit"} >= {
        name(0),
        name(1),
        name(2),
    }
    assert all(d.donor in (name(3), name(4)) for d in decisions.values() if d.donor)


@pytest.mark.parametrize("synchronous", [True, False])
def test_when_all_diverged_there_is_nobody_to_copy(synchronous: bool) -> None:
    decisions = decide([None] * 4, synchronous=synchronous)
    assert [d.action for d in decisions.values()] == ["continue"] * 4


def test_nobody_copies_at_the_last_boundary() -> None:
    scheduler = population(2)
    members(scheduler, 2, boundaries=1)
    assert scheduler.until(name(0), 0) == NEVER
    assert settle(scheduler, *generation([0.9, 0.1])) == []


def test_decisions_are_made_every_interval() -> None:
    scheduler = population(2, interval=3)
    members(scheduler, 2, boundaries=8)
    assert [scheduler.until(name(0), boundary) for boundary in range(8)] == [
        *(3, 3, 3, 6, 6, 6),
        *(NEVER, NEVER),
    ]
    assert settle(scheduler, *generation([0.9, 0.1], 1), *generation([0.9, 0.1], 2)) == []
    assert len(settle(scheduler, *generation([0.9, 0.1], 3))) == 2


def test_less_is_better_when_the_goal_is_to_minimize() -> None:
    metric = {"name": "eval_loss", "goal": "minimize"}
    scheduler = Population.of(sweep("pbt", metric=metric, population={"size": 2}))
    settle(scheduler, *(proposed(n, {"learning_rate": 1e-5}) for n in range(2)))
    [exploit] = [d for d in settle(scheduler, *generation([0.9, 0.1])) if d.donor]
    assert (exploit.trial, exploit.donor) == (name(0), name(1))


def test_a_donor_s_configuration_is_the_one_of_the_boundary_it_is_copied_at() -> None:
    # Asynchronous: member 0 was at its best at boundary 1 and copied another at boundary 2.
    spec = sweep(
        "pbt",
        parameters=MIXED,
        population={"size": 3, "synchronous": False, "resample_probability": 0.0},
    )
    scheduler = Population.of(spec)
    members(scheduler, 3)
    first = spec.space.sample(random.Random(0))
    settle(scheduler, *stand(0, 1, 0.9), *stand(2, 1, 0.8), *stand(2, 2, 0.9))
    [copied] = settle(scheduler, *stand(0, 2, 0.1))
    [late] = settle(scheduler, *stand(1, 1, 0.1))
    assert (copied.donor, late.donor) == (name(2), name(0))
    assert late.config is not None
    change = late.config["learning_rate"] / first["learning_rate"]
    assert min(abs(change - factor) for factor in (0.8, 1.2)) < 1e-9


# When ---------------------------------------------------------------------------------------


def test_a_generation_waits_for_its_last_member_also_one_not_proposed_yet() -> None:
    scheduler = population(3)
    settle(scheduler, proposed(0), proposed(1))
    assert settle(scheduler, *stand(0, 1, 0.9), *stand(1, 1, 0.1)) == []
    settle(scheduler, proposed(2, dict.fromkeys(MIXED)))
    assert len(settle(scheduler, *stand(2, 1, 0.5))) == 3


def test_an_asynchronous_member_does_not_wait_for_others() -> None:
    scheduler = population(4, synchronous=False)
    members(scheduler, 4)
    assert [d.action for d in settle(scheduler, *stand(0, 1, 0.1))] == ["continue"]
    assert [d.action for d in settle(scheduler, *stand(0, 2, 0.1))] == ["continue"]
    assert [d.action for d in settle(scheduler, *stand(1, 1, 0.9))] == ["continue"]
    assert [d.donor for d in settle(scheduler, *stand(2, 1, 0.05))] == [name(1)]


def test_a_receiver_waits_for_its_donor_s_commit_and_the_donor_does_not_overtake_it() -> None:
    scheduler = population(2)
    members(scheduler, 2)
    assert settle(scheduler, reported(0, 1, 0.9), reported(1, 1, 0.1)) == []
    decisions = settle(scheduler, committed(0, 1))
    assert [(d.trial, d.action) for d in decisions] == [
        (name(0), "continue"),
        (name(1), "exploit"),
    ]


def test_a_donor_whose_checkpoint_will_not_come_is_passed_over() -> None:
    scheduler = population(8, synchronous=False, quantile_fraction=0.25)
    members(scheduler, 8)
    settle(scheduler, reported(0, 1, 0.99), *stand(0, 2, 0.99))  # 0 never committed boundary 1
    settle(scheduler, *(e for n in range(1, 7) for e in stand(n, 1, 0.9 - n / 100)))
    [late] = settle(scheduler, *stand(7, 1, 0.1))
    assert late.donor in (name(1), name(2))


def test_a_member_that_failed_drops_out_and_the_generation_goes_on_without_it() -> None:
    scheduler = population(4)
    members(scheduler, 4)
    waiting = [e for n in range(3) for e in stand(n, 1, 0.5 + n / 10)]
    assert settle(scheduler, *waiting) == []
    decisions = settle(scheduler, ended(3, "failed", "code"))
    assert {d.trial for d in decisions} == {name(0), name(1), name(2)}
    assert {d.donor for d in decisions if d.donor} == {name(2)}


def test_a_donor_that_fails_before_its_commit_is_replaced() -> None:
    scheduler = population(3)
    members(scheduler, 3)
    before = settle(scheduler, reported(0, 1, 0.9), *stand(1, 1, 0.8), *stand(2, 1, 0.1))
    assert [(d.trial, d.donor) for d in before] == [(name(1), None)]
    after = settle(scheduler, ended(0, "failed", "infrastructure"))
    assert [(d.trial, d.donor) for d in after] == [(name(2), name(1))]


def test_an_asynchronous_member_copies_nobody_who_was_outranked_when_the_donor_fails() -> None:
    scheduler = population(4, synchronous=False)
    members(scheduler, 4)
    settle(scheduler, *(e for n in range(3) for e in stand(n, 1, 0.9 - n / 10)))
    assert scheduler.keeps(name(0), 1) and not scheduler.keeps(name(1), 1)  # so it is deleted
    settle(scheduler, ended(0, "failed", "code"))
    assert not scheduler.keeps(name(1), 1)
    [late] = settle(scheduler, *stand(3, 1, 0.1))
    assert (late.action, late.donor) == ("continue", None)


def test_a_diverged_asynchronous_member_waits_while_a_donor_may_come() -> None:
    scheduler = population(2, synchronous=False)
    members(scheduler, 2)
    assert settle(scheduler, reported(0, 1, None)) == []
    assert settle(scheduler, reported(1, 1, 0.5)) == [
        Decided(trial=name(1), boundary=1, action="continue", reason="rank 1 of 2 at boundary 1")
    ]
    assert [d.donor for d in settle(scheduler, committed(1, 1))] == [name(1)]


def test_a_diverged_asynchronous_member_gives_up_when_no_donor_can_come() -> None:
    scheduler = population(2, synchronous=False)
    members(scheduler, 2)
    assert settle(scheduler, reported(0, 1, None)) == []
    decisions = settle(scheduler, ended(1, "failed", "code"))
    assert [(d.trial, d.action) for d in decisions] == [(name(0), "continue")]


def test_checkpoints_of_possible_donors_are_kept_until_everybody_decided() -> None:
    scheduler = population(4, synchronous=False)
    members(scheduler, 4)
    settle(scheduler, *stand(0, 1, 0.9), *stand(1, 1, 0.8), *stand(2, 1, 0.7), *stand(0, 2, 0.9))
    assert scheduler.keeps(name(0), 1)
    assert not scheduler.keeps(name(2), 1)  # never among the first quarter
    settle(scheduler, *stand(3, 1, 0.1))
    assert not scheduler.keeps(name(0), 1)
    assert scheduler.keeps(name(0), 2)


# Properties ---------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=st.integers(2, 9), quantile=st.sampled_from([0.1, 0.25, 0.5]))
def test_each_generation_is_decided_once_by_donors_better_than_their_receivers(
    data: st.DataObject, size: int, quantile: float
) -> None:
    scheduler = population(size, quantile_fraction=quantile)
    members(scheduler, size, boundaries=4)
    for boundary in (1, 2, 3):
        values = data.draw(st.lists(VALUES, min_size=size, max_size=size))
        order = data.draw(st.permutations(range(size)))
        events = [e for number in order for e in stand(number, boundary, values[number])]
        decisions = settle(scheduler, *events)
        assert sorted(d.trial for d in decisions) == [name(n) for n in range(size)]
        assert {d.boundary for d in decisions} == {boundary}
        donors = {d.donor for d in decisions if d.donor}
        assert donors.isdisjoint(d.trial for d in decisions if d.action == "exploit")
        for decision in decisions:
            own = values[int(decision.trial)]
            if decision.donor is not None:
                theirs = values[int(decision.donor)]
                assert theirs is not None
                assert own is None or theirs > own
            elif own is None:
                assert all(value is None for value in values)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    size=st.integers(2, 6),
    synchronous=st.booleans(),
    slots=st.integers(1, 7),
)
def test_members_that_fail_anywhere_stall_nobody(
    data: st.DataObject, size: int, synchronous: bool, slots: int
) -> None:
    failing = data.draw(st.dictionaries(st.integers(0, size - 1), st.integers(1, 4)))
    diverging = data.draw(st.dictionaries(st.integers(0, size - 1), st.integers(1, 4)))
    spec = sweep("pbt", population={"size": size, "synchronous": synchronous})
    first = [p["learning_rate"] for p in first_configs(spec)]

    class Faulty(LearningRateCurve):
        def value(self, history: History) -> float | TrialFailure | None:
            member = first.index(history[0]["learning_rate"])
            if failing.get(member) == len(history):
                return TrialFailure(kind="code", message="boom")
            if diverging.get(member) == len(history):
                return None
            return super().value(history)

    study = simulate(spec, Faulty(), slots=slots, commit_s=data.draw(st.sampled_from([0.0, 0.3])))
    assert study.state.state in ("finished", "failed")
    assert all(trial.ended for trial in study.state.trials.values())
    once(study)


def first_configs(spec: SweepSpec) -> list[Config]:
    study = simulate(spec, LearningRateCurve())
    return [trial.first_config for trial in study.state.trials.values()]


def once(study: Simulation) -> None:
    decided = [(e.trial, e.boundary) for e in study.events if isinstance(e, Decided)]
    assert len(decided) == len(set(decided))


def test_a_thousand_perturbations_never_leave_the_domains() -> None:
    spec = sweep("pbt", parameters=MIXED, population={"size": 8}, epochs=2000)
    rng = random.Random(3)
    scheduler = Population.of(spec)
    members(scheduler, 8, boundaries=2000)
    exploits = 0
    boundary = 0
    while exploits < 1000:
        boundary += 1
        values: list[float | None] = [rng.random() for _ in range(8)]
        for decision in settle(scheduler, *generation(values, boundary)):
            if decision.config is not None:
                exploits += 1
                assert spec.space.contains(decision.config)


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
def test_a_synchronous_population_has_one_lineage_whatever_the_slots(slots: int) -> None:
    spec = sweep("pbt", parameters=MIXED, population={"size": 6})
    surface = LearningRateCurve(noise=0.01)
    alone = simulate(spec, surface)
    study = simulate(spec, surface, slots=slots, commit_s=0.4)
    assert alone.state.lineage() != []
    assert study.state.lineage() == alone.state.lineage()
    assert values(study) == values(alone)


def values(study: Simulation) -> dict[tuple[str, int], float | None]:
    return {(e.trial, e.boundary): e.value for e in study.events if isinstance(e, Reported)}


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_population_follows_a_best_learning_rate_that_moves(synchronous: bool) -> None:
    moving = LearningRateCurve(
        best=3e-4, best_at_end=3e-6, boundaries=16, width=0.25, speed=0.2, ceiling=1.0
    )
    section = {"size": 12, "synchronous": synchronous}

    def ends(**keys: Any) -> list[float]:
        studies = (simulate(sweep(seed=s, epochs=16, **keys), moving, slots=4) for s in range(6))
        return [s.state.best.value for s in studies if s.state.best is not None]

    adapted = ends(method="pbt", population=section)
    constant = ends(method="random", run_cap=12)
    assert sum(adapted) / len(adapted) > sum(constant) / len(constant) + 0.03
