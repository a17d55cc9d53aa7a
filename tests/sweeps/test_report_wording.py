"""What a report claims, and what it must not: repetitions, budgets, the test split."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.events import StudyEnded
from sweeps.report.gather import gather
from sweeps.report.markdown import markdown
from sweeps.report.methods import grouped
from sweeps.report.model import as_json
from tests.sweeps.reported import looked_at, repeated, result, trial
from tests.sweeps.studies import spec, started

GRID = {"parameters": {"learning_rate": {"values": [0.001, 0.002]}}, "run_cap": None}


def report(*methods):
    return gather(grouped([study for method in methods for study in method]))


def two(n, *, lead=0.05, spread=0.01, test=True, **keys):
    """Grid and Bayesian search, n repetitions each, Bayesian ahead by `lead` or so."""
    grid = [(0.8 + spread * i, 0.7 + spread * i if test else None) for i in range(n)]
    wobble = [spread / 3 * (i % 3) for i in range(n)]
    bayes = [
        (v + lead, None if t is None else t + lead + w)
        for (v, t), w in zip(grid, wobble, strict=True)
    ]
    return repeated("grid", grid, **GRID, **keys), repeated("bayes", bayes, **keys)


def red(made):
    return [note.text for note in made.notes if note.severity == "red"]


def everything(made):
    return json.dumps(as_json(made)) + markdown(made)


# --- repetitions -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2])
def test_with_one_or_two_repetitions_there_is_no_claim(n):
    made = report(*two(n, lead=0.2))
    assert made.verdict.claim == "none"
    assert "No claim" in made.verdict.text
    assert "may be chance" in made.verdict.text
    assert [pair.claim for pair in made.pairs] == [f"No claim: {n} repetition{'s' * (n > 1)}."]
    assert "No claim" in made.captions["pairwise"]
    assert "No claim" in made.captions["best_so_far.epochs"]
    assert made.methods[0].test.low is None
    assert "significant" not in everything(made)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_from_three_on_an_interval_speaks_and_no_test_does(n):
    ahead, close = report(*two(n, lead=0.2)), report(*two(n, lead=0.0, spread=0.05))
    assert (ahead.verdict.claim, close.verdict.claim) == ("interval", "chance")
    assert "outside the 95 % interval" in ahead.verdict.text
    assert "may be chance" in close.verdict.text
    assert "no test can bear it out" in ahead.pairs[0].claim
    assert ahead.pairs[0].p is None
    assert ahead.methods[0].test.low is not None


def test_from_six_on_a_lead_is_tested():
    ahead = report(*two(6, lead=0.2))
    assert ahead.verdict.claim == "significant"
    assert "significantly better than the other method (p = 0.031" in ahead.verdict.text
    assert ahead.pairs[0].p == ahead.pairs[0].p_holm == 2 / 64
    grid = repeated("grid", [(0.8, 0.7 + 0.01 * i) for i in range(6)], **GRID)
    bayes = repeated("bayes", [(0.8, 0.71 - 0.01 * (-1) ** i * i) for i in range(6)])
    close = report(grid, bayes)
    assert "not significant and may be chance" in close.verdict.text
    assert "Not significant" in close.pairs[0].claim


outcome = st.tuples(
    st.integers(0, 100).map(lambda n: n / 100),
    st.one_of(st.none(), st.integers(0, 100).map(lambda n: n / 100)),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(outcome, min_size=1, max_size=5),
    st.lists(outcome, min_size=1, max_size=5),
    st.lists(outcome, min_size=0, max_size=5),
    st.sampled_from(["maximize", "minimize"]),
)
def test_below_six_repetitions_the_word_significant_is_nowhere(grid, bayes, random, goal):
    made = report(
        repeated("grid", grid, goal=goal, **GRID),
        repeated("bayes", bayes, goal=goal),
        repeated("random", random, goal=goal),
    )
    assert "significan" not in everything(made).lower()
    assert (made.verdict.claim == "none") or made.verdict.repetitions >= 3
    for pair in made.pairs:
        assert (len(pair.seeds) >= 3) or "o claim" in pair.claim


def test_holm_counts_every_pair_that_was_tested():
    methods = [*two(6, lead=0.2), repeated("random", [(0.7, 0.6)] * 6)]
    made = report(*methods)
    assert [pair.p for pair in made.pairs] == [2 / 64] * 3
    assert [pair.p_holm for pair in made.pairs] == [pytest.approx(6 / 64)] * 3
    assert [pair.p_least for pair in made.pairs] == [pytest.approx(6 / 64)] * 3
    assert "6 repetitions cannot reach p < 0.05 over 3 pairs, but 7 can" in made.verdict.text
    assert "significan" not in everything(made)


def test_seeds_that_only_one_of_them_has_are_not_compared():
    grid = repeated("grid", [(0.8, 0.7)] * 3, seeds=[1, 2, 3], **GRID)
    bayes = repeated("bayes", [(0.9, 0.8)] * 3, seeds=[2, 3, 4])
    made = report(grid, bayes)
    assert made.pairs[0].seeds == (2, 3)
    assert made.verdict.claim == "none"
    apart = report(grid, repeated("bayes", [(0.9, 0.8)] * 3, seeds=[7, 8, 9]))
    assert apart.pairs[0].difference is None
    assert "No seed was run with both" in apart.pairs[0].claim
    assert "No claim: no seed" in apart.verdict.text


def test_a_seed_that_was_run_twice_is_a_red_note():
    (first,) = repeated("bayes", [(0.9, 0.8)])
    (again,) = repeated("bayes", [(0.9, 0.8)], description="once more", storage="elsewhere")
    renamed = result(
        again.spec.model_copy(update={"name": "again"}),
        [entry.event for entry in again.contents.entries],
    )
    made = report([first, renamed])
    assert len(made.methods) == 1
    assert any("more than once with seed 1" in text for text in red(made))


# --- budgets ---------------------------------------------------------------------------------


def test_budgets_that_differ_by_more_than_5_percent_are_a_red_note():
    unequal = report(
        repeated("random", [(0.8, 0.7)] * 3, trials=20),
        repeated("bayes", [(0.8, 0.7)] * 3, trials=22),
    )
    assert any("Budgets differ by 9 %" in text for text in red(unequal))
    assert "Unequal" in unequal.captions["budget"]
    assert "40 to 44 epochs a repetition" in unequal.verdict.text
    equal = report(
        repeated("random", [(0.8, 0.7)] * 3, trials=20),
        repeated("bayes", [(0.8, 0.7)] * 3, trials=21),
    )
    assert not any("Budgets" in text for text in red(equal))
    assert "Equal" in equal.captions["budget"]


def test_a_method_that_trained_nothing_has_an_unequal_budget_too():
    empty = result(spec("empty", method="bayes"), [started(spec("empty", method="bayes"))])
    made = report(repeated("random", [(0.8, 0.7)]), [empty])
    assert any("Budgets differ by 100 %" in text for text in red(made))


def test_repetitions_of_unequal_length_are_a_red_note():
    short, long = (
        repeated("random", [(0.8, 0.7)], trials=2, seeds=[1]),
        repeated("random", [(0.8, 0.7)], trials=3, seeds=[2]),
    )
    assert any("not repetitions of one budget" in text for text in red(report(short + long)))


def test_studies_of_different_tasks_are_a_red_note():
    other = {"model": "another", "dataset": {"path": "d", "text": ["a"], "label": "l"}}
    made = report(repeated("random", [(0.8, 0.7)]), repeated("bayes", [(0.8, 0.7)], task=other))
    assert any("do not share one task" in text for text in red(made))


# --- the test split --------------------------------------------------------------------------


def test_without_a_look_at_the_test_split_there_is_a_red_note_and_optimism_is_named():
    made = report(*two(3, test=False))
    assert sum("not evaluated on a test split" in text for text in red(made)) == 2
    assert "optimistic" in made.verdict.text
    assert "On validation, which is optimistic." in made.pairs[0].claim
    assert all(row.test is None for row in made.final)


def test_with_every_look_there_is_no_red_note():
    made = report(*two(3))
    assert red(made) == []
    assert "test accuracy" in made.verdict.text
    assert made.pairs[0].split == "test"


def test_one_missing_look_is_a_red_note_of_its_method():
    made = report(*two(3)[:1], repeated("bayes", [(0.8, 0.7), (0.8, None), (0.8, 0.7)]))
    notes = [note for note in made.notes if note.severity == "red"]
    assert [note.method for note in notes] == ["Bayesian search"]
    assert "bayes-2" in notes[0].text


def test_validation_is_marked_optimistic_with_its_distance_to_test():
    made = report(*two(3))
    assert made.final[0].gap.mean == pytest.approx(0.1)
    assert "optimistic" in made.captions["final"]
    assert "0.1" in made.captions["final"]
    assert "(optimistic)" in markdown(made)


def test_only_the_first_look_counts_and_a_second_is_told():
    sweep = spec()
    events = [started(sweep), *trial(0, [0.7, 0.8]), looked_at(0, 2, 0.6)]
    events += [looked_at(0, 2, 0.9, again=True), StudyEnded(state="finished")]
    made = report([result(sweep, events)])
    assert made.methods[0].test.mean == 0.6
    assert any("looked at more than once" in note.text for note in made.notes)


def test_a_look_at_another_checkpoint_is_no_look_at_the_selected_one():
    sweep = spec()
    events = [started(sweep), *trial(0, [0.9, 0.8]), looked_at(0, 2, 0.6)]
    made = report([result(sweep, [*events, StudyEnded(state="finished")])])
    assert made.methods[0].test is None
    assert any("not evaluated on a test split" in text for text in red(made))


# --- rows that are always there --------------------------------------------------------------


def test_random_search_and_the_default_have_a_row_even_when_they_were_not_run():
    sweep = spec("g", method="grid", **GRID)
    events = [started(sweep), *trial(0, [0.8]), StudyEnded(state="finished")]
    made = report([result(sweep, events)])
    assert [(row.role, row.validation is None) for row in made.final] == [
        ("method", False),
        ("random", True),
        ("default", True),
    ]
    assert "--control" in made.final[1].note
    assert "default_first" in made.final[2].note
    told = [note.text for note in made.notes if note.severity == "warn"]
    assert made.final[1].note in told
    assert made.final[2].note in told


def test_random_search_that_was_run_has_its_row_with_numbers():
    made = report(repeated("random", [(0.8, 0.7)] * 3), repeated("bayes", [(0.9, 0.8)] * 3))
    rows = {row.role: row for row in made.final}
    assert rows["random"].test.mean == 0.7
    assert rows["random"].note == ""
    assert rows["default"].validation.mean == pytest.approx(0.79)
    assert rows["default"].config["learning_rate"] == 0.001
    assert "The default configuration is learning_rate=0.001" in made.captions["final"]


def test_a_default_is_one_configuration_whichever_names_a_method_searches():
    fixed = {"weight_decay": 0.1, "num_train_epochs": 2, "eval_strategy": "epoch"}
    grid = repeated("grid", [(0.8, 0.7)], seeds=[1], training_arguments=fixed, **GRID)
    both = {"learning_rate": {"min": 0.0, "max": 1.0}, "weight_decay": {"min": 0.0, "max": 0.3}}
    bayes = repeated("bayes", [(0.8, 0.7)], seeds=[2], parameters=both)
    own = {"learning_rate": 0.001, "weight_decay": 0.1}
    events = [entry.event for entry in bayes[0].contents.entries]
    others = [e for e in events[1:] if getattr(e, "trial", "") != "0000"]
    default = trial(0, [0.5, 0.6], config=own, origin="default")
    made = report(grid, [result(bayes[0].spec, [events[0], *default, *others])])
    row = made.final[-1]
    assert "different configurations" not in row.note
    assert row.config["learning_rate"] == 0.001 and row.config["weight_decay"] == 0.1


def test_defaults_that_two_spaces_made_different_are_told():
    narrow = {"learning_rate": {"min": 0.0, "max": 0.01}}
    grid = repeated("grid", [(0.8, 0.7)], seeds=[1], **GRID)
    bayes = repeated("bayes", [(0.8, 0.7)], seeds=[2], parameters=narrow)
    changed = [
        e
        for entry in bayes[0].contents.entries
        for e in [entry.event]
        if getattr(e, "trial", "") != "0000"
    ]
    own = trial(0, [0.5, 0.6], config={"learning_rate": 0.01}, origin="default")
    made = report(grid, [result(bayes[0].spec, [changed[0], *own, *changed[1:]])])
    assert "2 different configurations" in made.final[-1].note
    assert made.final[-1].config is None


def test_a_study_that_was_stopped_says_so():
    sweep = spec()
    events = [started(sweep), *trial(0, [0.8]), StudyEnded(state="stopped", reason="asked to")]
    made = report([result(sweep, events)])
    assert any("was stopped before its end" in note.text for note in made.notes)
    assert "Not every study has come to its end" in made.verdict.text


def test_minimizing_turns_everything_round():
    made = report(
        repeated("grid", [(0.3, 0.4)] * 3, goal="minimize", **GRID),
        repeated("bayes", [(0.2, 0.3)] * 3, goal="minimize"),
    )
    assert made.verdict.text.startswith("Bayesian search reached test accuracy 0.3")
    assert made.pairs[0].superiority == 0.0
    assert made.pairs[0].difference.mean == pytest.approx(0.1)
