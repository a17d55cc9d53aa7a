"""Best so far against a slow, obvious version, on random studies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.events import (
    StudyEnded,
    StudyResumed,
    TrialExtended,
    TrialInterrupted,
    TrialProposed,
)
from sweeps.report.curves import MOST_POINTS, account, band, thinned
from sweeps.report.repetition import Point
from tests.sweeps.reported import looked_at, result, trial
from tests.sweeps.studies import population_spec, population_study, reached, spec, started

reports = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.one_of(st.none(), st.integers(0, 20).map(lambda n: n / 20)),
        st.integers(1, 9).map(float),
    ),
    max_size=30,
)


def of_reports(found, *, goal="maximize", beside=()):
    """Five trials of one boundary an epoch, and reports of them in any order."""
    sweep = spec(metric={"name": "eval_accuracy", "goal": goal})
    events = [started(sweep)]
    for number in range(5):
        origin = "finalist" if number in beside else "searcher"
        events += trial(number, [], ends="", boundaries=40, origin=origin)
    seen = dict.fromkeys(range(5), 0)
    for number, value, seconds in found:
        seen[number] += 1
        report, commit = reached(number, seen[number], value)
        events += [type(report)(**{**as_fields(report), "seconds": seconds}), commit]
    return result(sweep, events)


def as_fields(event):
    return {k: v for k, v in event.as_dict().items() if k != "event"}


@settings(max_examples=60)
@given(reports, st.sampled_from(["maximize", "minimize"]))
def test_at_each_cost_the_curve_holds_the_best_of_all_reports_up_to_then(found, goal):
    study = of_reports(found, goal=goal)
    curve = account(study).curve
    pick = max if goal == "maximize" else min
    for at in range(len(found) + 1):
        so_far = [value for _, value, _ in found[:at] if value is not None]
        spent = math.fsum(seconds for _, _, seconds in found[:at])
        told = [p.value for p in curve if p.epochs <= at]
        by_seconds = [p.value for p in curve if p.device_s <= spent + 1e-9]
        assert told[-1:] == by_seconds[-1:] == ([pick(so_far)] if so_far else [])


@given(reports)
def test_costs_are_those_of_all_reports_and_only_improvements_are_points(found):
    made = account(of_reports(found))
    assert made.search.epochs == len(found)
    assert made.search.device_s == pytest.approx(sum(s for _, _, s in found))
    values = [p.value for p in made.curve[:-1]]
    assert values == sorted(set(values))
    assert sum(made.epochs.values()) == len(found)


@given(reports)
def test_trials_beside_the_search_have_an_account_of_their_own(found):
    made = account(of_reports(found, beside=(3, 4)))
    inside = [r for r in found if r[0] < 3]
    assert made.search.epochs == len(inside)
    assert made.beside["finalist"].epochs == len(found) - len(inside)
    best = max((v for _, v, _ in inside if v is not None), default=None)
    assert (made.curve[-1].value if made.curve else None) == best


def test_a_run_again_after_a_crash_costs_twice():
    sweep = spec()
    events = [started(sweep), *trial(0, [0.5], ends="", boundaries=2)]
    events += [TrialInterrupted(trial="0000", failure="infrastructure", message="lost")]
    events += [*reached(0, 1, 0.6), *reached(0, 2, 0.7)]
    made = account(result(sweep, events))
    assert made.search.epochs == 3
    assert made.epochs["0000"] == 3
    assert [p.epochs for p in made.curve] == [1, 2, 3, 3]


def test_a_population_costs_its_size_times_its_epochs():
    sweep = population_spec()
    made = account(result(sweep, population_study(sweep)))
    assert made.search.epochs == 4
    assert [(p.epochs, p.value) for p in made.curve] == [(1, 0.8), (3, 0.85), (4, 0.9), (4, 0.9)]


def test_an_extended_population_keeps_the_width_of_its_boundaries():
    sweep = population_spec()
    more = [TrialExtended(trial=f"000{n}", boundaries=4, epochs=4.0) for n in (0, 1)]
    events = [*population_study(sweep), *more, *reached(0, 3, 0.95)]
    assert account(result(sweep, events)).search.epochs == 5


def test_pauses_between_sittings_are_no_wall_time():
    sweep = spec()
    first = [started(sweep), *trial(0, [0.5], ends="", boundaries=2)]
    events = [*first, StudyResumed(), *reached(0, 2, 0.7), StudyEnded(state="finished")]
    made = account(result(sweep, events, second=10.0))
    assert made.search.wall_s == 10.0 * (len(events) - 1 - 1)
    assert made.curve[-1].wall_s == made.search.wall_s


def test_what_stands_beside_a_search_takes_none_of_its_wall_time():
    inside = [started(spec()), *trial(0, [0.5, 0.6])]
    finalist = trial(1, [0.9, 0.9], origin="finalist")
    alone = 10.0 * (len(inside) - 1)
    for beside in (finalist, [looked_at(0, 2, 0.5)], [*finalist, looked_at(0, 2, 0.5)]):
        made = account(result(spec(), [*inside, *beside], second=10.0))
        assert made.search.wall_s == made.curve[-1].wall_s == alone
    more = trial(2, [0.7])
    extended = [*inside, *finalist, StudyResumed(), *more]
    made = account(result(spec(), extended, second=10.0))
    assert made.search.wall_s == alone + 10.0 * len(more)


def test_a_control_that_is_trained_while_no_trial_of_the_grid_is_takes_none_of_its_wall_time():
    control = trial(0, [0.5, 0.6], origin="control")
    of_grid = trial(1, [0.7, 0.8])
    made = account(result(spec(), [started(spec()), *control, *of_grid], second=10.0))
    assert made.search.wall_s == 10.0 * len(of_grid)


def test_gpu_seconds_count_every_gpu_and_have_a_price():
    sweep = spec(budget={"usd_per_gpu_hour": 3.0})
    events = [started(sweep), *trial(0, [0.5, 0.6], gpus=2.0, seconds=900.0)]
    cost = account(result(sweep, events)).search
    assert (cost.device, cost.device_s, cost.usd) == ("gpu", 3600.0, 3.0)


def test_cpu_seconds_count_every_cpu_and_have_none():
    sweep = spec(budget={"usd_per_gpu_hour": 3.0}, resources={"workers": 2, "cpus_per_worker": 3.0})
    cost = account(result(sweep, [started(sweep), *trial(0, [0.5], seconds=10.0)])).search
    assert (cost.device, cost.device_s, cost.usd) == ("cpu", 60.0, None)


curves = st.lists(
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 100)), min_size=1, max_size=8),
    min_size=1,
    max_size=5,
).map(
    lambda drawn: [
        [
            Point(float(x), float(x), float(x), max(v for _, v in sorted(steps)[: at + 1]) / 100)
            for at, (x, _) in enumerate(sorted(steps))
        ]
        for steps in drawn
    ]
)


@settings(max_examples=60)
@given(curves, st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_band_is_the_mean_of_the_staircases_where_all_of_them_are_known(drawn, over):
    over = over[: len(drawn)]
    found = band(drawn, 0, over)
    first = max(c[0].epochs for c in drawn)
    ends = [c[-1].epochs for c in drawn]
    going_on = [end for end, done in zip(ends, over, strict=True) if not done]
    last = min(going_on) if going_on else max(ends)
    if first > last:
        assert found is None
        return
    assert (found.x[0], found.x[-1]) == (first, last)
    for x, mean in zip(found.x, found.mean, strict=True):
        stairs = [[p.value for p in curve if p.epochs <= x][-1] for curve in drawn]
        assert mean == pytest.approx(sum(stairs) / len(stairs))
    assert (found.low is not None) == (len(drawn) >= 3)


def test_a_repetition_without_a_value_does_not_count_in_the_band():
    steps = [Point(1, 1, 1, 0.5), Point(2, 2, 2, 0.6)]
    assert band([steps, []], 0).mean == (0.5, 0.6)
    assert band([[], []], 0) is None


def test_long_curves_keep_their_ends():
    long = [Point(float(n), 0.0, 0.0, float(n)) for n in range(5000)]
    short = thinned(long)
    assert len(short) == MOST_POINTS
    assert (short[0], short[-1]) == (long[0], long[-1])
    assert len(band([long], 0).x) == MOST_POINTS


def test_a_study_without_a_trial_has_cost_nothing():
    made = account(result(spec(), [started(spec())]))
    assert (made.curve, made.search.epochs, made.search.wall_s) == ((), 0.0, 0.0)


def test_a_trial_that_was_proposed_only_has_trained_nothing():
    proposal = TrialProposed(
        trial="0000", number=0, config={}, origin="searcher", boundaries=1, epochs=1.0
    )
    assert account(result(spec(), [started(spec()), proposal])).epochs == {"0000": 0.0}
