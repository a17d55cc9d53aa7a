"""The verdict and the pairs: who leads, over which seeds, on which split, and with what claim."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.report import captions
from sweeps.report.claims import ahead, outcome
from sweeps.report.comparing import pairs_of
from sweeps.report.gather import gather
from sweeps.report.html import html
from sweeps.report.methods import grouped
from sweeps.report.model import Metric
from sweeps.report.page_tables import pairs as pairs_table
from sweeps.report.seeds import values_by_seed
from sweeps.report.statistics import summary
from sweeps.report.verdict import verdict
from tests.sweeps.reported import repeated

METRIC = Metric(name="eval_accuracy", goal="maximize", label="accuracy")
SOME = gather(grouped(repeated("random", [(0.8, 0.7)])))
LIKE = SOME.methods[0]


def method(label, runs):
    """A method whose repetitions have these seeds, validation values and test values."""
    like = LIKE.repetitions[0]
    made = []
    for at, (seed, validation, test) in enumerate(runs):
        look = None if test is None else dataclasses.replace(like.selected.test, value=test)
        chosen = dataclasses.replace(like.selected, value=validation, test=look)
        study = f"{label}-{at}"
        made.append(dataclasses.replace(like, study=study, seed=seed, selected=chosen))
    return dataclasses.replace(
        LIKE,
        label=label,
        repetitions=tuple(made),
        validation=summary(list(values_by_seed(made, "validation").values())),
        test=summary(list(values_by_seed(made, "test").values())),
    )


def on_test(label, values, *, first=1):
    """A method with these test values, of the seeds from `first` on."""
    return method(label, [(first + at, value + 0.05, value) for at, value in enumerate(values)])


def said(*methods, metric=METRIC):
    """The verdict and the pairs."""
    pairs = pairs_of(methods, metric)
    return verdict(methods, pairs, metric), pairs


# --- who leads -------------------------------------------------------------------------------


def test_who_leads_is_asked_over_the_seeds_that_all_have():
    long, short = on_test("long", [0.7] * 3 + [0.9] * 3), on_test("short", [0.74, 0.75, 0.77])
    assert long.test.mean > short.test.mean
    found, (pair,) = said(long, short)
    assert ahead(pair, METRIC) == "short"
    assert found.text.startswith(
        "Over 3 seeds that all of them have, short reached test accuracy 0.7533 on average"
    )
    assert "before long 0.7." in found.text
    assert (found.claim, found.repetitions) == ("interval", 3)
    assert found.basis.startswith("3 seeds that all methods have")


def test_a_method_without_a_test_value_stands_outside_an_order_of_test_values():
    lucky = method("lucky", [(seed, 0.99, None) for seed in (1, 2, 3)])
    found, pairs = said(on_test("a", [0.7, 0.71, 0.72]), on_test("b", [0.75, 0.77, 0.8]), lucky)
    assert found.text.startswith("B reached test accuracy 0.7733 (mean of 3 repetitions)")
    assert "Lucky has no test value that counts and stands outside this order." in found.text
    assert [pair.split for pair in pairs] == ["test", "validation", "validation"]
    assert found.claim == "interval"
    assert "validation" not in found.text


def test_one_test_value_alone_makes_no_order_of_test_values():
    found, _ = said(on_test("a", [0.7] * 3), method("b", [(s, 0.9, None) for s in (1, 2, 3)]))
    assert found.text.startswith("B reached validation accuracy 0.9")
    assert "nothing confirms them" in found.text
    assert "outside this order" not in found.text


def test_where_the_order_depends_on_the_seeds_none_is_named():
    a, b = on_test("a", [0.8] * 3 + [0.5] * 3), on_test("b", [0.7] * 3 + [0.9] * 3)
    found, pairs = said(a, b, on_test("c", [0.6] * 3))
    assert ahead(pairs[0], METRIC) == "b"
    assert found.text.startswith("Test accuracy, on average: a 0.8, b 0.7 and c 0.6, at ")
    assert "No claim: the order depends on the seeds" in found.text
    assert "than over the 6 that a and b share" in found.text
    assert (found.claim, found.badge) == ("none", "No claim")


def test_methods_without_a_common_seed_are_listed_and_not_ordered():
    found, _ = said(on_test("a", [0.7] * 3), on_test("b", [0.8] * 3, first=7))
    assert found.text.startswith("Test accuracy, on average: a 0.7 and b 0.8, at ")
    assert "No claim: no seed was run with all of them." in found.text
    assert found.repetitions == 0


def test_methods_that_are_level_have_no_leader():
    found, (pair,) = said(on_test("a", [0.7, 0.8, 0.9]), on_test("b", [0.9, 0.8, 0.7]))
    assert ahead(pair, METRIC) is None
    assert found.text.startswith("A and b reached the same test accuracy 0.8 ")
    assert "Neither is ahead." in found.text
    assert "before" not in found.text
    assert found.claim == "chance"


def test_a_method_that_failed_silences_no_other():
    failed = dataclasses.replace(LIKE, label="pbt", validation=None, test=None, repetitions=())
    found, pairs = said(on_test("a", [0.7, 0.71, 0.72]), failed, on_test("b", [0.8, 0.83, 0.84]))
    assert found.claim == "interval"
    assert "Pbt gave no usable result." in found.text
    assert "No claim" not in found.text
    assert pairs[0].claim == "Pbt gave no usable result: no claim."
    alone, _ = said(on_test("a", [0.7] * 3), failed)
    assert "No claim: there is nothing to compare it with." in alone.text


value = st.integers(0, 20).map(lambda n: n / 20)
runs = st.lists(st.tuples(st.integers(1, 8), value, st.one_of(st.none(), value)), max_size=9)


@settings(max_examples=400, deadline=None)
@given(runs, runs, runs, st.sampled_from(["maximize", "minimize"]))
def test_no_pair_contradicts_the_lead_that_the_verdict_names(first, second, third, goal):
    metric = dataclasses.replace(METRIC, goal=goal)
    methods = [method(label, of) for label, of in (("a", first), ("b", second), ("c", third))]
    found, pairs = said(*methods, metric=metric)
    named = re.match(r"(?:Over .* have, )?(\w) reached (test|validation)", found.text)
    if named is None:
        assert found.claim in ("none", "chance")
        return
    leader, split = named[1].lower(), named[2]
    own = [p for p in pairs if leader in (p.a, p.b) and p.split == split and p.difference]
    assert all(ahead(pair, metric) in (leader, None) for pair in own)
    if found.claim in ("interval", "significant"):
        assert own and all(outcome(pair) in ("interval", "significant") for pair in own)
    if found.claim == "significant":
        assert all(len(pair.seeds) >= 6 for pair in own)


# --- repetitions -----------------------------------------------------------------------------


def test_runs_of_one_seed_are_one_repetition_with_their_mean():
    twice = method("a", [(1, 0.8, 0.7), (1, 0.9, 0.8), (2, 0.8, 0.7), (2, 0.8, 0.7)])
    found, (pair,) = said(twice, method("b", [(1, 0.6, 0.5), (2, 0.6, 0.5), (2, 0.6, 0.6)]))
    assert pair.seeds == (1, 2)
    assert pair.difference.values == pytest.approx((0.25, 0.15))
    assert pair.claim == "No claim: 2 repetitions."
    assert (found.claim, found.repetitions) == ("none", 2)
    assert twice.test.values == pytest.approx((0.75, 0.7))
    one = repeated("bayes", [(0.9, 0.8)] * 3, seeds=[1, 2, 3])
    again = [
        dataclasses.replace(study, folder=study.folder / "again", spec=study.spec) for study in one
    ]
    (made,) = gather(grouped([*one, *again])).methods
    assert len(made.repetitions) == 6
    assert len(made.test.values) == len(made.validation.values) == 3


def test_a_share_of_wins_is_told_from_three_seeds_on():
    shares = [
        said(on_test("a", [0.7] * n), on_test("b", [0.6] * n))[1][0].superiority for n in (1, 2, 3)
    ]
    assert shares == [None, None, 1.0]


# --- what is claimed -------------------------------------------------------------------------


def test_an_interval_without_a_width_is_no_evidence():
    found, (pair,) = said(on_test("a", [0.7, 0.75, 0.8]), on_test("b", [0.75, 0.8, 0.85]))
    assert outcome(pair) == "none"
    assert pair.claim == (
        "No claim: the same difference at each of 3 seeds, so the interval has no width."
    )
    assert found.claim == "none"
    assert "Its lead over a is the same at every seed" in found.text
    _, (level,) = said(on_test("a", [0.7] * 3), on_test("b", [0.7] * 3))
    assert level.claim.startswith("No claim: no difference at each of 3 seeds")
    _, (exact,) = said(on_test("a", [0.7] * 6), on_test("b", [0.8] * 6))
    assert outcome(exact) == "significant", "the sign-flip test needs no spread"


def test_intervals_of_several_pairs_say_that_they_are_not_corrected():
    three = [on_test("a", [0.5, 0.51, 0.52]), on_test("b", [0.6, 0.63, 0.61])]
    three.append(on_test("c", [0.7, 0.74, 0.72]))
    found, pairs = said(*three)
    assert (
        "0 lies outside the 95 % interval of its paired difference to every other method (not"
        " corrected for 3 pairs). With 3 repetitions no test can bear it out." in found.text
    )
    assert all("0 lies outside the 95 % interval (not corrected" in p.claim for p in pairs)
    caption = captions.of_report(three, [], pairs, METRIC)["pairwise"]
    assert caption == (
        "0 lies outside the 95 % interval of the difference in 3 of 3 pairs (not corrected for 3"
        " pairs)."
    )
    alone, (pair,) = said(*three[:2])
    assert "not corrected" not in alone.text + pair.claim


@pytest.mark.parametrize(("of", "fewest"), [(2, 6), (3, 7), (4, 8)])
def test_what_no_test_can_reach_is_said_and_what_it_takes(of, fewest):
    def made(n):
        noise = [0.001 * (at % 3) for at in range(n)]
        return [on_test("abcd"[i], [0.5 + i * (0.1 + w) for w in noise]) for i in range(of)]

    found, pairs = said(*made(fewest))
    assert (found.claim, found.badge) == ("significant", "Significant")
    assert all("significantly better" in pair.claim for pair in pairs)
    if fewest == 6:
        return
    less, pairs = said(*made(fewest - 1))
    told = (
        f"{fewest - 1} repetitions cannot reach p < 0.05 over {len(pairs)} pairs, but {fewest} can"
    )
    assert told in less.text and all(told in pair.claim for pair in pairs)
    assert "significan" not in less.text + less.badge + less.basis
    assert (less.claim, less.badge) == ("interval", "Outside the interval")


def test_a_correction_counts_the_pairs_of_the_other_split_too():
    lucky = method("lucky", [(seed, 0.9, None) for seed in range(1, 7)])
    a, b = on_test("a", [0.7, 0.71] * 3), on_test("b", [0.8, 0.83] * 3)
    found, pairs = said(a, b, lucky)
    assert [pair.p is None for pair in pairs] == [False] * 3
    assert "6 repetitions cannot reach p < 0.05 over 3 pairs, but 7 can" in found.text
    assert "(not corrected for 3 pairs)" in found.text


def test_above_forty_repetitions_an_interval_speaks_and_says_why():
    values = [0.7 + 0.001 * (at % 5) for at in range(41)]
    found, (pair,) = said(on_test("a", values), on_test("b", [0.8] * 41))
    assert pair.p is None
    assert "above 40 repetitions no exact test is made" in pair.claim
    assert (found.claim, found.badge) == ("interval", "Outside the interval")


@pytest.mark.parametrize(
    ("a", "b", "claim", "badge"),
    [
        ([0.7] * 2, [0.8] * 2, "none", "No claim"),
        ([0.7, 0.75, 0.8], [0.71, 0.72, 0.83], "chance", "May be chance"),
        ([0.7, 0.75, 0.8], [0.8, 0.86, 0.91], "interval", "Outside the interval"),
        ([0.7] * 6, [0.6, 0.8, 0.9, 0.6, 0.8, 0.7], "chance", "May be chance"),
        ([0.7] * 6, [0.75, 0.8, 0.9, 0.75, 0.8, 0.9], "significant", "Significant"),
    ],
)
def test_the_badge_is_what_the_leads_rest_on(a, b, claim, badge):
    found, _ = said(on_test("a", a), on_test("b", b))
    assert (found.claim, found.badge) == (claim, badge)
    page = html(dataclasses.replace(SOME, verdict=found))
    assert f"<strong>{badge}</strong>" in page and f"claim-{claim}" in page
    assert f"{len(a)} repetitions of each method; " in page


def test_of_two_leads_the_weaker_one_makes_the_badge():
    best = on_test("a", [0.9, 0.91, 0.93, 0.9, 0.92, 0.94, 0.95])
    close = on_test("b", [0.91, 0.9, 0.91, 0.92, 0.92, 0.9, 0.95])
    far = on_test("c", [0.5, 0.51, 0.5, 0.52, 0.5, 0.53, 0.5])
    found, _ = said(best, close, far)
    assert found.claim == "chance"
    assert "It is significantly better than c (p = 0.047, Holm)." in found.text
    assert "Its lead over b is not significant and may be chance." in found.text


def test_a_test_that_passes_where_the_interval_holds_0_says_both():
    a = on_test("a", [0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    found, (pair,) = said(a, on_test("b", [0.89, 0.88, 0.89, 0.88, 0.89, 0.3]))
    assert pair.p_holm == 2 / 64 and pair.difference.low < 0 < pair.difference.high
    assert pair.claim == "A is significantly better (p = 0.031, Holm), though the interval holds 0."
    assert "The 95 % interval of its paired difference to b holds 0 all the same." in found.text
    found, (pair,) = said(a, on_test("b", [0.8, 0.81] * 3))
    assert "0 all the same" not in found.text and "though" not in pair.claim


def test_a_single_method_has_no_badge_and_validation_says_what_it_is():
    assert said(on_test("a", [0.7] * 6))[0].badge == ""
    assert "claim-" not in html(SOME).split("</style>")[1]
    validated = [method(m, [(s, v, None) for s in range(6)]) for m, v in (("a", 0.7), ("b", 0.8))]
    found, _ = said(*validated)
    assert found.badge == "Significant on validation"


def test_a_small_p_is_never_nought():
    _, (pair,) = said(on_test("a", [0.7] * 14), on_test("b", [0.8] * 14))
    assert pair.p < 0.0005
    cells = [str(cell) for row in pairs_table([pair]).rows for cell in row]
    assert "0.00012" in cells and "0.000" not in cells
