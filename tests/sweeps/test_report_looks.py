"""Looks at the test split: which one counts, what a second one is, and all views say the same."""

from __future__ import annotations

from orchestrator.events import StudyEnded
from sweeps import views
from sweeps.looks import looked
from sweeps.model_card import model_card
from sweeps.report.gather import gather
from sweeps.report.html import html
from sweeps.report.markdown import markdown
from sweeps.report.methods import grouped
from tests.sweeps.reported import looked_at, repeated, result, trial
from tests.sweeps.studies import spec, started
from tests.sweeps.test_views import text

DONE = StudyEnded(state="finished")
AT_FIRST = [*trial(0, [0.7, 0.8]), looked_at(0, 2, 0.71)]
"""A study whose best was looked at; what follows selects another checkpoint."""


def study(*events):
    sweep = spec()
    return result(sweep, [started(sweep), *events, DONE])


def told(made):
    """The report's first repetition, its red notes in one, and what `sweep show` says."""
    report = gather(grouped([made]))
    red = " ".join(note.text for note in report.notes if note.severity == "red")
    shown = " ".join(text(*views.study_view(made, limit=None), width=400).split())
    return report.methods[0].repetitions[0], red, shown


def test_a_look_at_what_was_selected_before_is_told_with_its_trial_and_the_command():
    made = study(*AT_FIRST, *trial(1, [0.9]))
    repetition, red, shown = told(made)
    assert repetition.selected.trial == "0001"
    assert repetition.selected.test is None and repetition.selected.second_look is None
    assert [e.value for e in repetition.selected.looked_before] == [0.71]
    assert "not evaluated on a test split: that had been looked at for another checkpoint" in red
    assert "0.71 of trial 0000 at boundary 2" in red
    assert "sweep evaluate STUDY --again" in red
    assert "looks at it once" not in red, "it would be refused"
    assert "test: accuracy 0.71 on 100 rows, by trial 0000 at boundary 2" in shown


def test_a_second_look_is_shown_as_one_and_nothing_rests_on_it():
    made = study(*AT_FIRST, *trial(1, [0.9]), looked_at(1, 1, 0.74, again=True))
    repetition, red, shown = told(made)
    report = gather(grouped([made]))
    assert repetition.selected.test is None
    assert repetition.selected.second_look.value == 0.74
    assert report.methods[0].test is None and report.final[0].test is None
    assert "validation accuracy 0.9" in report.verdict.text
    assert "a second look at the test split gave the selected checkpoint 0.74, after 0.71" in red
    assert "The first look is shown" not in " ".join(note.text for note in report.notes)
    assert "test: accuracy 0.74 on 100 rows, a second look, after trial 0000 at boundary 2" in shown
    assert "0.74 (second look)" in markdown(report)
    assert "(second look)" in html(report)
    card = model_card(made, made.state.selected)
    assert "which nothing was chosen by" not in card
    assert "the split had been looked at before" in card


def test_second_looks_of_a_method_leave_the_comparison_to_what_was_first():
    first = repeated("random", [(0.8, 0.7), (0.8, 0.72), (0.8, 0.73)])
    later = []
    for made in repeated("bayes", [(0.9, None)] * 3):
        *events, end = [entry.event for entry in made.contents.entries]
        looks = [looked_at(1, 1, 0.5), looked_at(1, 2, 0.99, again=True)]
        later.append(result(made.spec, [*events, *looks, end]))
    report = gather(grouped([*first, *later]))
    assert [pair.split for pair in report.pairs] == ["validation"]
    assert "0.99" not in report.verdict.text + report.captions["final"]
    assert report.verdict.text.startswith("Bayesian search reached validation accuracy 0.9")


def test_of_two_looks_at_one_checkpoint_every_view_has_the_first():
    made = study(*AT_FIRST, looked_at(0, 2, 0.95, again=True))
    repetition, red, shown = told(made)
    assert repetition.selected.test.value == 0.71 and red == ""
    notes = " ".join(note.text for note in gather(grouped([made])).notes)
    assert "looked at more than once. The first look is shown" in notes
    assert "test: accuracy 0.71 on 100 rows, looked at again" in shown
    assert "0.95" not in shown
    assert made.as_json()["best"]["test"]["value"] == 0.71
    assert "0.95" not in model_card(made, made.state.selected)


def test_the_default_configurations_own_look_is_no_look_before():
    default = trial(0, [0.7], origin="default")
    made = study(*default, *trial(1, [0.9]), looked_at(1, 1, 0.8), looked_at(0, 1, 0.6))
    repetition, red, _ = told(made)
    assert repetition.selected.test.value == 0.8
    assert looked(made.state).before == () and red == ""
    extended = study(
        *default, *trial(1, [0.9]), looked_at(1, 1, 0.8), looked_at(0, 1, 0.6), *trial(2, [0.95])
    )
    assert [look.trial for look in looked(extended.state).before] == ["0001"]


def test_a_default_that_was_selected_and_looked_at_first_is_a_look_before():
    made = study(*trial(0, [0.7], origin="default"), looked_at(0, 1, 0.6), *trial(1, [0.9]))
    repetition, red, _ = told(made)
    assert [e.trial for e in repetition.selected.looked_before] == ["0000"]
    assert "0.6 of trial 0000 at boundary 1" in red


def test_nothing_selected_is_nothing_looked_at():
    assert looked(study().state).first is None
