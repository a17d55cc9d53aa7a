"""Every kind of study gives a sensible report: empty, running, failed, NaN, one boundary, PBT."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime

import pytest

from orchestrator.events import Decided, StudyEnded, StudyResumed, TrialProposed
from sweeps.report import beside as beside_search
from sweeps.report import page_tables
from sweeps.report.gather import ReportRefused, gather
from sweeps.report.html import html
from sweeps.report.markdown import markdown
from sweeps.report.methods import grouped
from sweeps.report.model import ReportUnreadable, as_json, from_json
from sweeps.report.reproduction import space_hash
from tests.sweeps.reported import looked_at, many, repeated, result, trial
from tests.sweeps.studies import (
    config,
    population_spec,
    population_study,
    random_study,
    reached,
    segment,
    spec,
    started,
)

DONE = StudyEnded(state="finished")


def report(*studies):
    """The report, once every form of it could be written and its JSON gives it back."""
    made = gather(grouped(studies), generated=datetime(2026, 1, 2, tzinfo=UTC))
    assert from_json(json.loads(json.dumps(as_json(made), allow_nan=False))) == made
    assert made.title.split(":")[0] in markdown(made)
    assert "<!doctype html>" in html(made)[:100].lower()
    return made


def of(*events, **more):
    return result(spec(), [started(spec()), *events], **more)


# --- studies of every kind -------------------------------------------------------------------


def test_an_empty_study_says_that_there_is_nothing():
    made = report(of(running="pid 1"))
    assert made.verdict.text.startswith("No trial has begun yet")
    assert made.methods[0].counts.started == 0
    assert made.methods[0].bands == {}
    assert made.methods[0].repetitions[0].selected is None
    assert made.trials == ()
    assert "is still running" in made.notes[0].text


def test_a_running_study_is_told_as_far_as_it_is():
    made = report(of(*trial(0, [0.5]), *trial(1, [0.7], ends="", boundaries=2), running="pid 1"))
    method = made.methods[0]
    assert (method.counts.started, method.counts.finished, method.counts.running) == (2, 1, 1)
    assert method.validation.mean == 0.7
    assert "Not every study has come to its end." in made.verdict.text
    assert method.repetitions[0].status == "running"


def test_a_study_that_was_cut_off_says_how_to_go_on():
    made = report(of(*trial(0, [0.5])))
    assert made.methods[0].repetitions[0].status == "interrupted"
    assert any("`sweep resume`" in note.text for note in made.notes)


def test_a_study_whose_trials_all_failed_has_no_result_and_shows_why():
    failed = [e for n in range(3) for e in trial(n, [], ends="failed")]
    made = report(of(*failed, StudyEnded(state="failed", reason="all trials failed")))
    assert made.verdict.text.startswith("All 3 trials failed")
    assert made.methods[0].edf.x == ()
    assert made.methods[0].captions == {}
    failure = made.methods[0].repetitions[0].failures[0]
    assert (failure.kind, failure.message) == ("code", "boom")
    assert failure.log.endswith("ValueError: boom")
    assert any("without a usable result: all trials failed" in note.text for note in made.notes)
    assert "ValueError: boom" in markdown(made)


def test_a_study_without_a_value_says_yet_only_while_it_goes_on():
    open_one = report(of(*trial(0, [], ends=""), running="pid 1"))
    assert open_one.verdict.text == "The only trial has no usable result yet. No claim."
    failed = [e for n in range(2) for e in trial(n, [], ends="failed")]
    assert report(of(*failed, DONE)).verdict.text.startswith("Both trials failed: ")


def test_metrics_that_are_not_finite_are_gaps_and_never_best():
    made = report(of(*trial(0, [None, 0.4]), *trial(1, [0.6, None], ends="failed"), DONE))
    method = made.methods[0]
    assert [row.value for row in made.trials] == [0.4, 0.6]
    assert made.trials[1].last is None
    assert method.learning.lines[0].points == ((1.0, 0.6), (2.0, None))
    assert method.edf.trials == 2
    assert method.repetitions[0].curve[0].value == 0.4


def test_a_study_of_nothing_but_nan_has_no_value():
    made = report(of(*trial(0, [None]), *trial(1, [None]), DONE))
    assert made.verdict.text == "None of 2 trials has a usable result. No claim."
    made = report(of(*trial(0, [None], ends="failed"), DONE))
    assert made.methods[0].validation is None
    assert made.methods[0].repetitions[0].curve == ()
    assert made.methods[0].cost.epochs == 1


def test_a_test_value_that_is_not_finite_is_a_red_note():
    made = report(of(*trial(0, [0.8]), looked_at(0, 1, None), DONE))
    assert made.methods[0].test is None
    assert any("not finite on the test split" in note.text for note in made.notes)


def test_one_trial_of_one_boundary_is_a_report_too():
    made = report(of(*trial(0, [0.8]), looked_at(0, 1, 0.75), DONE))
    assert "reached test accuracy 0.75 at 1 epoch a repetition. No claim" in made.verdict.text
    assert made.methods[0].bands["epochs"].x == (1.0,)
    told = made.methods[0].captions
    assert told["slices"].startswith("The best trial has")
    assert told["learning"] == "The only trial ended at its best evaluation."
    assert told["edf"] == "The only trial reached accuracy 0.8."
    assert told["parallel"].startswith("The only trial, tiny/0000, reached accuracy 0.8 with ")
    assert "on test, random search is 0.05 worse." in made.captions["final"]


def test_failures_of_the_example_study_are_told_with_configuration_and_log():
    made = report(result(spec(), random_study(spec())))
    failure = made.methods[0].repetitions[0].failures[0]
    assert failure.config == config(0.25, 0.1)
    assert len(failure.log.splitlines()) == 20


def test_a_smoke_run_is_a_red_note():
    sweep = spec(smoke=True)
    made = report(result(sweep, [started(sweep), *trial(0, [0.5]), DONE]))
    assert any(n.severity == "red" and "smoke" in n.text for n in made.notes)


# --- populations -----------------------------------------------------------------------------


def test_a_populations_lineage_is_stretches_exploits_and_the_winners_schedule():
    sweep = population_spec()
    made = report(result(sweep, population_study(sweep)))
    lineage = made.methods[0].repetitions[0].lineage
    assert [[(s.start, s.end) for s in m.stretches] for m in lineage.members] == [
        [(0, 2)],
        [(0, 1), (1, 2)],
    ]
    (exploit,) = lineage.exploits
    assert (exploit.trial, exploit.donor, exploit.epoch) == ("0001", "0000", 1.0)
    assert (exploit.before, exploit.after) == (config(0.5), config(0.4))
    assert [(s.trial, s.start_epoch, s.end_epoch) for s in lineage.winner] == [
        ("0000", 0.0, 1.0),
        ("0001", 1.0, 2.0),
    ]
    assert [s.config["learning_rate"] for s in lineage.winner] == [0.5, 0.4]
    captions = made.methods[0].captions
    assert (
        captions["lineage"] == "1 exploit over 1 population. The winner's training is that of"
        " 2 members."
    )
    assert "learning_rate 0.5 to 0.4" in captions["schedule"]
    assert "importance" not in captions


def test_a_value_that_a_member_copied_stands_beside_the_configuration_that_reached_it():
    sweep = population_spec()
    events = [started(sweep)]
    events += trial(0, [], config=config(0.1), boundaries=2, ends="")
    events += trial(1, [], config=config(0.5), boundaries=2, ends="")
    events += [*reached(0, 1, 0.4), *reached(1, 1, 0.8)]
    copy = Decided(trial="0000", boundary=1, action="exploit", donor="0001", config=config(0.6))
    events += [copy, segment(0, 1, config(0.6), donor=1), *reached(0, 2, 0.7, segment=1)]
    rows = {row.trial: row for row in report(result(sweep, events)).trials}
    assert (rows["0000"].value, rows["0000"].epoch, rows["0000"].last) == (0.8, 1.0, 0.7)
    assert rows["0000"].config == rows["0001"].config == config(0.5)


def test_the_default_member_counts_until_it_copies_another():
    sweep = population_spec()
    events = [started(sweep)]
    events += trial(0, [], config=config(0.1), origin="default", boundaries=2, ends="")
    events += trial(1, [], config=config(0.5), boundaries=2, ends="")
    events += [*reached(0, 1, 0.4), *reached(1, 1, 0.8)]
    copy = Decided(trial="0000", boundary=1, action="exploit", donor="0001", config=config(0.6))
    events += [copy, segment(0, 1, config(0.6), donor=1), *reached(0, 2, 0.9, segment=1)]
    made = report(result(sweep, events))
    default = made.methods[0].repetitions[0].default
    assert (default.value, default.epochs, default.whole) == (0.4, 1.0, False)
    assert "not trained to its end" in made.final[-1].note


# --- beside the search -----------------------------------------------------------------------


def test_finalists_have_means_costs_and_a_crown_and_are_no_candidates():
    events = [*trial(0, [0.80]), *trial(1, [0.79])]
    values = {(0, 2): 0.70, (0, 3): 0.72, (1, 4): 0.76, (1, 5): 0.78}
    for (source, number), value in values.items():
        given = {"config": trial(source, [])[0].config, "origin": "finalist"}
        events += trial(number, [value], **given, repeats=f"000{source}", seed=100 + number)
    events += [looked_at(5, 1, 0.74), DONE]
    made = report(of(*events))
    repetition = made.methods[0].repetitions[0]
    first, second = repetition.finalists
    assert (first.found, first.validation.mean, first.crowned) == (0.8, pytest.approx(0.71), False)
    assert (second.repeats, second.validation.mean, second.crowned) == ("0001", 0.77, True)
    assert [run.seed for run in second.runs] == [104, 105]
    assert (repetition.selected.by, repetition.selected.trial) == ("finalists", "0005")
    assert repetition.selected.test.value == 0.74
    assert (repetition.cost.epochs, repetition.finalists_cost.epochs) == (2, 4)
    assert made.methods[0].counts.started == 2
    assert len(made.trials) == 6
    assert made.methods[0].edf.trials == 2


def test_a_control_beside_a_grid_is_the_default_row():
    sweep = spec("g", method="grid", parameters={"learning_rate": {"values": [1, 2]}}, run_cap=None)
    events = [started(sweep), *trial(0, [0.8], config={"learning_rate": 1.0})]
    control = trial(1, [0.7], config={"learning_rate": 2.0}, origin="control")
    made = report(result(sweep, [*events, *control, looked_at(1, 1, 0.65), DONE]))
    assert made.final[-1].test.mean == 0.65
    assert made.methods[0].repetitions[0].default.beside
    assert made.methods[0].repetitions[0].control_cost.epochs == 1


def test_the_distributions_mark_is_what_its_caption_says_of_half_of_the_trials():
    trials = [e for n, value in enumerate((0.5, 0.6, 0.7, 0.9)) for e in trial(n, [value])]
    made = report(of(*trials, DONE))
    assert "Half of 4 trials reached accuracy 0.7 or better" in made.methods[0].captions["edf"]
    assert "half reached 0.7<" in html(made)


def test_a_method_is_a_heading_in_sentence_case_and_a_name_that_was_given_stays_as_it_is():
    made = report(of(*trial(0, [0.5]), DONE))
    assert ">Random search</h2>" in html(made)
    (method,) = made.methods
    named = dataclasses.replace(made, methods=(dataclasses.replace(method, label="mine"),))
    assert ">mine</h2>" in html(named)


def test_a_replay_stands_beside_its_original():
    sweep = population_spec()
    replay = trial(2, [0.7, 0.88], config=config(0.5), origin="replay", repeats="0001", seed=9)
    events = population_study(sweep)
    made = report(result(sweep, [*events[:-1], *replay, events[-1]]))
    repetition = made.methods[0].repetitions[0]
    assert (repetition.replays[0].value, repetition.replays[0].seed) == (0.88, 9)
    assert [run.trial for run in repetition.replayed] == ["0001"]
    page = markdown(made)
    assert "| 0001 (original) | the study's | finished | 0.9 | - |" in page
    assert "| 0002, of 0001 | 9 | finished | 0.88 | - |" in page
    assert repetition.selected.trial == "0001"


def crowned_population(*more):
    """Member 1 has the best value; the schedule of member 0, which never copied, is crowned."""
    sweep = population_spec()
    events = population_study(sweep)
    schedules = {1: ((1, config(0.4)),), 0: ()}
    values = {(1, 2): 0.70, (1, 3): 0.72, (0, 4): 0.84, (0, 5): 0.86}
    for (source, number), value in values.items():
        events[-1:-1] = trial(
            number,
            [value - 0.1, value],
            config=config(0.5),
            origin="finalist",
            repeats=f"000{source}",
            schedule=list(schedules[source]),
            seed=100 + number % 2,
        )
    return result(sweep, [*events, *more])


def test_once_a_schedule_is_crowned_the_lineage_is_that_of_its_member():
    made = report(crowned_population())
    repetition = made.methods[0].repetitions[0]
    assert (repetition.selected.by, repetition.selected.trial) == ("finalists", "0005")
    assert repetition.lineage.crowned
    assert [(s.trial, s.start, s.end) for s in repetition.lineage.winner] == [("0000", 0, 2)]
    page = html(made)
    assert "ancestry of the crowned schedule" in page
    assert "ancestry of the selected model" not in page
    sweep = population_spec()
    alone = report(result(sweep, population_study(sweep)))
    assert "ancestry of the selected model" in html(alone)


def test_each_replay_stands_beside_what_it_repeats_also_after_another_winner():
    first = trial(6, [0.7, 0.88], config=config(0.5), origin="replay", repeats="0001", seed=9)
    second = trial(7, [0.7, 0.83], config=config(0.5), origin="replay", repeats="0000", seed=8)
    looks = [looked_at(1, 2, 0.81), looked_at(0, 2, 0.79)]
    made = report(crowned_population(*looks, *first, *second))
    repetition = made.methods[0].repetitions[0]
    assert [run.value for run in repetition.replayed] == [0.9, 0.85]
    assert [run.repeats for run in repetition.replays] == ["0001", "0000"]
    rows = [row[1:] for row in page_tables.retrained(made.methods[0]).rows if "repla" in row[1]]
    none = "\u2013"
    assert rows == [
        ("replayed below", "0.9000", "0001", "the study's", "finished", "0.9000", rows[0][6]),
        ("replayed below", "0.8500", "0000", "the study's", "finished", "0.8500", rows[1][6]),
        ("replay of 0001", "0.9000", "0006", "9", "finished", "0.8800", none),
        ("replay of 0000", "0.8500", "0007", "8", "finished", "0.8300", none),
    ]
    assert [row[6].split()[0] for row in rows[:2]] == ["0.8100", "0.7900"]
    page = markdown(made)
    assert "| 0000 (original) | the study's | finished | 0.85 | 0.79 |" in page
    assert "| 0007, of 0000 | 8 | finished | 0.83 | - |" in page


def test_what_stands_beside_a_search_is_on_the_page_and_in_markdown_with_its_cost():
    sweep = spec(budget={"usd_per_gpu_hour": 3600.0})
    events = [started(sweep), *trial(0, [0.8], gpus=1.0, seconds=2.0)]
    beside = {"control": 1, "finalist": 2, "replay": 3}
    for origin, number in beside.items():
        values = [0.7] * number
        events += trial(number, values, origin=origin, repeats="0000", gpus=1.0, seconds=2.0)
    made = report(result(sweep, [*events, DONE]))
    assert beside_search.costs(made.methods[0])["replays"].epochs == 3
    words = (
        "default configuration 1 epoch, 2 s of GPU time, $2.00;"
        " finalists 2 epochs, 4 s of GPU time, $4.00; replays 3 epochs, 6 s of GPU time, $6.00"
    )
    assert words in html(made)
    assert words in markdown(made)
    (row,) = page_tables.budget(made).rows
    assert row[6] == "1"  # the search's epochs
    alone = report(of(*trial(0, [0.8]), DONE))
    assert "beside the search" not in html(alone)


def test_a_failure_beside_the_search_alone_is_on_the_page_and_says_where_it_stands():
    finalist = trial(1, [], ends="failed", origin="finalist", repeats="0000")
    made = report(of(*trial(0, [0.8]), *finalist, DONE))
    assert made.methods[0].counts.failed == 0
    page = html(made)
    assert "1 trial failed, 1 of them beside the search." in page
    assert "code (a finalist)" in page and "ValueError: boom" in page
    assert "(code, a finalist): boom" in markdown(made)


# --- grouping --------------------------------------------------------------------------------


def test_studies_of_one_sweep_under_several_seeds_are_repetitions():
    methods = grouped(repeated("random", [(0.8, 0.7)] * 3) + repeated("bayes", [(0.8, 0.7)] * 2))
    assert [(m.label, len(m.studies)) for m in methods] == [
        ("random search", 3),
        ("Bayesian search", 2),
    ]


def test_one_method_with_two_settings_is_told_apart_by_name():
    small = repeated("random", [(0.8, 0.7)] * 2, trials=2)
    large = repeated("random", [(0.8, 0.7)] * 2, budget={"epochs": 9})
    assert [m.label for m in grouped(small + large)] == [
        "random search (random)",
        "random search (random) 2",
    ]


def test_the_same_folder_twice_counts_once():
    (study,) = repeated("random", [(0.8, 0.7)])
    assert len(report(study, study).methods[0].repetitions) == 1


def test_a_comparisons_labels_win():
    studies = repeated("random", [(0.8, 0.7)] * 2)
    labels = {study.folder.resolve(): "mine" for study in studies}
    assert [m.label for m in grouped(studies, labels)] == ["mine"]


def test_studies_of_one_name_in_two_storages_stay_apart(tmp_path):
    (study,) = repeated("random", [(0.8, 0.7)])
    events = [entry.event for entry in study.contents.entries]
    other = result(study.spec, events, folder=tmp_path / "elsewhere")
    made = report(study, other)
    assert [r.study for r in made.methods[0].repetitions] == ["random-1", "random-1 (2)"]
    assert len({row.key for row in made.trials}) == len(made.trials)


def test_different_metrics_are_refused():
    f1 = spec("f1", metric={"name": "eval_f1", "goal": "maximize"})
    with pytest.raises(ReportRefused, match=r"one metric and goal; got maximize eval_a.*eval_f1"):
        gather(grouped([of(DONE), result(f1, [started(f1)])]))
    with pytest.raises(ReportRefused, match="one study at least"):
        gather([])


# --- circumstances -----------------------------------------------------------------------------


def on(machine, name, *later, seed=1, **keys):
    """A finished study that this machine began and others went on with."""
    sweep = spec(name, seed=seed, **keys)
    first = dataclasses.replace(started(sweep), host={"name": "secret", **machine})
    resumed = [StudyResumed(host={"name": "secret", **host}) for host in later]
    return result(sweep, [first, *trial(0, [0.5]), *resumed, DONE])


SMALL = {"cpus": 2, "cpu": "Xeon", "memory_gib": 16.0}
LARGE = {"cpus": 16, "cpu": "EPYC", "memory_gib": 128.0, "gpus": "1 x NVIDIA H200"}


def test_studies_of_different_machines_are_a_note_that_names_no_machine():
    made = report(on(SMALL, "r-1"), on(LARGE, "r-2", seed=2))
    (note,) = [n for n in made.notes if "one machine" in n.text]
    assert note.severity == "warn"
    assert "2 CPUs (Xeon), 16.0 GiB: r-1" in note.text
    assert "16 CPUs (EPYC), 128.0 GiB, 1 x NVIDIA H200: r-2" in note.text
    assert "secret" not in json.dumps(as_json(made))
    assert made.reproduction[1].hardware["gpus"] == "1 x NVIDIA H200"


def test_a_study_that_moved_to_another_machine_is_a_note_and_one_that_stayed_is_none():
    moved = report(on(SMALL, "r-1", SMALL, LARGE))
    assert any("one machine" in note.text for note in moved.notes)
    without_gpus = {k: v for k, v in LARGE.items() if k != "gpus"}
    assert any("one machine" in n.text for n in report(on(LARGE, "r-1", without_gpus)).notes)
    for later in (SMALL, {}, {"cpus": 2}):
        stayed = report(on(SMALL, "r-1", later))
        assert not any("one machine" in note.text for note in stayed.notes)


def test_settings_that_differ_and_nobody_searched_are_notes():
    keys = {"training_arguments": {"num_train_epochs": 2, "warmup_steps": 3}}
    other = on(SMALL, "b", method="bayes", finalists={"top_k": 2, "seeds": 3}, **keys)
    made = report(on(SMALL, "r"), other)
    told = [note.text for note in made.notes if note.severity == "warn"]
    assert any(re.match(r"warmup_steps is \S+ in random search and 3 in Bay", t) for t in told)
    assert any(t.startswith("finalists: none in random search, the best 2 on 3") for t in told)
    assert not any("learning_rate" in t for t in told)


# --- the data --------------------------------------------------------------------------------


def test_a_report_of_another_version_is_refused():
    data = as_json(report(of(DONE)))
    with pytest.raises(ReportUnreadable, match="version 1, got 2"):
        from_json({**data, "version": 2})
    with pytest.raises(ReportUnreadable, match="got None"):
        from_json([])
    with pytest.raises(ReportUnreadable, match=r"must hold metric\.goal"):
        from_json({**data, "metric": {**data["metric"], "goal": "up"}})


def test_reproduction_tells_seed_versions_space_and_what_a_resume_changed():
    resumed = StudyResumed(changes={"run_cap": 4})
    (facts,) = report(of(*trial(0, [0.5]), resumed, DONE)).reproduction
    assert facts.seed == 42
    assert facts.versions["torch"] == "2.13.0"
    assert facts.hardware == {"cpus": 2, "nodes": 1, "workers": 1, "gpus_per_trial": 0.0}
    assert facts.space_hash == space_hash(spec()) != space_hash(spec(parameters={}))
    assert facts.changes == {"run_cap": 4}
    assert facts.started == "2023-11-14T22:13:20+00:00"
    assert facts.command == "sweep run sweep.yaml --name tiny --set seed=42"


def test_many_trials_are_thinned_for_figures_and_it_says_so():
    made = report(many(700))
    method = made.methods[0]
    assert len(made.trials) == 700
    assert len(method.learning.lines) < method.learning.of == 700
    assert len(method.configurations.lines) < method.configurations.of == 700
    values = [row.value for row in made.trials if row.value is not None]
    assert method.configurations.lines[0].value == max(values)
    assert any("of 700 learning curves" in text for text in made.thinned)
    assert "of 700 learning curves" in markdown(made)
    assert sum(method.importance.shares.values()) == pytest.approx(1.0)


def test_a_trial_that_waits_for_its_first_worker_is_in_the_list():
    proposal = TrialProposed(
        trial="0000",
        number=0,
        config=config(0.5),
        origin="searcher",
        boundaries=2,
        epochs=2.0,
    )
    made = report(of(proposal, running="pid 1"))
    assert [(row.state, row.value, row.epochs) for row in made.trials] == [("waiting", None, 0.0)]
    assert made.methods[0].learning.of == 0
