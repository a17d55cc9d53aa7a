"""Finalists in a report: their cost, their crown, repetitions that alone have them; captions."""

from __future__ import annotations

import dataclasses
import re

import pytest

from orchestrator.events import StudyEnded, StudyResumed
from orchestrator.results import read_study
from search_spaces.extending import changed
from sweeps.report import captions
from sweeps.report.gather import gather
from sweeps.report.html import html
from sweeps.report.markdown import markdown
from sweeps.report.methods import grouped
from sweeps.report.notes import notes
from tests.sweeps.reported import looked_at, repeated, result, trial
from tests.sweeps.studies import random_study, spec, started, write_study

DONE = StudyEnded(state="finished")


def crowned(seed, runs=(0.76, 0.78), *, test=0.74):
    """Bayesian search of two trials of one epoch, and finalists of the second one of them."""
    sweep = spec(f"bayes-{seed}", method="bayes", seed=seed)
    events = [started(sweep), *trial(0, [0.80]), *trial(1, [0.79])]
    given = {"config": trial(1, [])[0].config, "origin": "finalist", "repeats": "0001"}
    for at, value in enumerate(runs):
        events += trial(10 + at, [value], **given, seed=100 + at)
    best = max(range(len(runs)), key=lambda at: runs[at])
    return result(sweep, [*events, looked_at(10 + best, 1, test), DONE])


def red(made):
    return [note.text for note in made.notes if note.severity == "red"]


def test_finalists_that_one_method_trained_more_are_an_unequal_budget():
    bayes = [crowned(seed) for seed in (1, 2, 3)]
    random = repeated("random", [(0.8, 0.7), (0.8, 0.72), (0.8, 0.75)], trials=1)
    made = gather(grouped([*bayes, *random]))
    (text,) = red(made)
    assert text.startswith("The searches had equal budgets, what was selected had not")
    assert "differs by 50 %" in text
    assert "Bayesian search 2 + 2 and random search 2" in text
    assert made.captions["budget"].startswith("Unequal budgets, search + finalists: Bayesian")
    assert "Equal budgets" not in made.captions["budget"]
    assert (
        "at 2 + 2 (Bayesian search) and 2 (random search) epochs a repetition, search + finalists"
        in made.verdict.text
    )


def test_searches_that_differ_too_say_both():
    random = repeated("random", [(0.8, 0.7)], trials=4)
    made = gather(grouped([crowned(1), *random]))
    (text,) = red(made)
    assert text.startswith("Budgets differ by 75 %, which is more than 5 %. Epochs a repetition,")
    assert "search + finalists: Bayesian search 2 + 2 and random search 8." in text
    assert made.captions["budget"] == (
        "Unequal budgets: from 2 to 8 epochs a repetition, and 4 to 8 with finalists."
    )


def test_equal_budgets_with_equal_finalists_stay_equal():
    bayes = crowned(1)
    other = dataclasses.replace(
        bayes, spec=spec("b", method="bayes", seed=1, sampler="tpe"), folder=bayes.folder / "b"
    )
    made = gather(grouped([bayes, other]))
    assert red(made) == []
    assert made.captions["budget"] == (
        "Equal budgets: 2 epochs a repetition, and 4 epochs with finalists, within 5 %."
    )
    alone = gather(grouped([bayes]))
    assert alone.captions["budget"] == (
        "Bayesian search trained 2 epochs a repetition, and 2 epochs of finalists."
    )
    assert "at 2 + 2 epochs a repetition, search + finalists" in alone.verdict.text


def test_repetitions_of_which_one_has_finalists_are_not_of_one_budget():
    made = gather(grouped([crowned(1), crowned(2), *_without(3)]))
    assert any(
        "repetitions of Bayesian search trained 2 to 4 epochs, finalists included" in text
        for text in red(made)
    )


def _without(seed):
    sweep = spec(f"bayes-{seed}", method="bayes", seed=seed)
    events = [started(sweep), *trial(0, [0.80]), *trial(1, [0.79]), looked_at(0, 1, 0.7), DONE]
    return [result(sweep, events)]


def test_the_share_that_budgets_differ_by_is_rounded_and_never_to_what_is_allowed():
    (like,) = gather(grouped(repeated("random", [(0.8, 0.7)]))).methods

    def share(low, high):
        costs = [dataclasses.replace(like.cost, epochs=epochs) for epochs in (low, high)]
        (note,) = notes([dataclasses.replace(like, cost=cost) for cost in costs], [])
        return re.search(r"differ by (\S+) %", note.text)[1]

    assert [share(94, 100), share(90, 99), share(94.5, 100), share(94.99, 100)] == [
        "6", "9", "6", "5.1"
    ]  # fmt: skip


# --- the final table -------------------------------------------------------------------------


def test_the_crowned_mean_stands_below_the_luckiest_of_its_runs():
    made = gather(grouped([crowned(1, (0.72, 0.76, 0.80))]))
    best, mean = made.final[:2]
    assert (best.role, best.validation.mean) == ("method", 0.8)
    assert best.note == "The best of 3 runs of the crowned configuration."
    assert best.test.mean == 0.74
    assert (mean.role, mean.label) == ("crowned", "Bayesian search, crowned configuration")
    assert mean.validation.mean == pytest.approx(0.76)
    assert mean.validation.low < 0.72
    assert mean.test is None
    assert "mean of 3 runs on new seeds; an interval is over these runs" in mean.note
    for page in (markdown(made), html(made)):
        assert "crowned configuration" in page and "best of 3 runs" in page
    assert not any("best of 3 runs" in note.text for note in made.notes), "the table says it"


def test_over_repetitions_each_ones_mean_counts():
    runs = [(0.76, 0.78), (0.70, 0.74), (0.72, 0.80, 0.76)]
    made = gather(grouped([crowned(seed, of) for seed, of in enumerate(runs, start=1)]))
    best, mean = made.final[:2]
    assert best.note == "The best of 2 to 3 runs of the crowned configuration."
    assert mean.validation.values == pytest.approx((0.77, 0.72, 0.76))
    assert "Of each repetition the mean of 2 to 3 runs" in mean.note


# --- grouping --------------------------------------------------------------------------------


def test_what_was_changed_since_a_study_began_does_not_split_its_method():
    first, *others = repeated("bayes", [(0.8, 0.7)] * 3)
    extended = changed(first.spec, {"finalists": {"top_k": 1, "seeds": 2}, "run_cap": 9})
    first = dataclasses.replace(first, spec=extended, begun=first.spec)
    made = gather(grouped([first, *others]))
    assert [len(method.repetitions) for method in made.methods] == [3]
    told = [note.text for note in made.notes if "differ in" in note.text]
    assert told == [
        "The repetitions of Bayesian search differ in finalists.seeds: 2 in bayes-1 and unset in"
        " bayes-2 and bayes-3.",
        "The repetitions of Bayesian search differ in finalists.top_k: 1 in bayes-1 and unset in"
        " bayes-2 and bayes-3.",
        "The repetitions of Bayesian search differ in run_cap: 9 in bayes-1 and 2 in bayes-2 and"
        " bayes-3.",
    ]


def test_sweeps_that_began_otherwise_are_two_methods():
    few, many = (repeated("bayes", [(0.8, 0.7)], run_cap=cap) for cap in (2, 9))
    assert len(grouped([*few, *many])) == 2


def test_a_study_is_read_with_the_specification_that_it_began_with(tmp_path):
    sweep = spec("r")
    *events, end = random_study(sweep, failing=False)
    since = StudyResumed(changes={"finalists": {"top_k": 1, "seeds": 2}})
    study = read_study(write_study(tmp_path, sweep, [*events, end, since, end]))
    assert study.spec.finalists is not None
    assert study.begun is not None and study.begun.finalists is None


# --- captions --------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3], [0.1, 0.3, 0.3, 0.3]])
def test_half_of_the_trials_reached_what_half_of_them_are_as_good_as(values, goal):
    sweep = spec(metric={"name": "eval_accuracy", "goal": goal})
    trials = [event for n, value in enumerate(values) for event in trial(n, [value])]
    made = gather(grouped([result(sweep, [started(sweep), *trials, DONE])]))
    sign = 1 if goal == "maximize" else -1
    enough = [v for v in values if 2 * sum(sign * w >= sign * v for w in values) >= len(values)]
    best = max(enough, key=lambda v: sign * v)
    assert f"reached accuracy {best:g} or better" in made.methods[0].captions["edf"]


def test_seconds_of_methods_on_different_devices_are_called_neither():
    sweeps = [spec("r"), spec("b", method="bayes")]
    studies = [
        result(sweep, [started(sweep), *trial(0, [0.5], gpus=gpus), DONE])
        for sweep, gpus in zip(sweeps, (0.0, 1.0), strict=True)
    ]
    mixed, alone = gather(grouped(studies)), gather(grouped(studies[1:]))
    assert "of device time" in mixed.captions["best_so_far.device_s"]
    assert "of GPU time" in alone.captions["best_so_far.device_s"]


def test_a_caption_of_pairs_names_what_passed_and_what_did_not():
    methods = gather(
        grouped(
            [
                *repeated("random", [(0.8, 0.5 + 0.01 * (i % 3)) for i in range(7)]),
                *repeated("bayes", [(0.8, 0.7 + 0.01 * (i % 2)) for i in range(7)]),
                *repeated("pbt", [(0.8, 0.7 + 0.01 * (i % 3)) for i in range(7)]),
            ]
        )
    )
    assert methods.captions["pairwise"] == (
        "2 of 3 pairs are significant (Holm). Every other order may be chance."
    )
    assert captions.of_report(methods.methods, [], [], methods.metric).get("pairwise") is None
    level = [
        repeated(m, [(0.8, 0.7 + 0.01 * ((i + n) % 3)) for i in range(4)])
        for n, m in enumerate(("random", "bayes", "pbt"))
    ]
    caption = gather(grouped([study for studies in level for study in studies])).captions
    assert caption["pairwise"] == (
        "0 lies outside the 95 % interval of the difference in none of 3 pairs (not corrected for"
        " 3 pairs). Every order may be chance."
    )
