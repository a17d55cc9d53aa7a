import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from orchestrator.errors import StudyUnreadable
from orchestrator.events import BatchHalved, SegmentStarted, StudyEnded
from orchestrator.results import read_study
from orchestrator.state import StudyState
from sweeps import views
from tests.sweeps.studies import (
    config,
    population_spec,
    population_study,
    proposed,
    random_study,
    reached,
    segment,
    spec,
    started,
    write_study,
)


def text(*renderables, width=200) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
    for renderable in renderables:
        console.print(renderable)
    return console.file.getvalue()


def result(tmp_path: Path, spec, events):
    return read_study(write_study(tmp_path, spec, events))


def test_a_study_opens_with_its_name_method_state_counts_and_best(tmp_path):
    shown = text(*views.study_view(result(tmp_path, spec(), random_study(spec())), limit=None))
    assert "tiny: random search, maximize eval_accuracy, seed 42, finished" in shown
    assert "2 trials: 1 finished, 1 failed; 2 epochs trained" in shown
    assert (
        "best: accuracy 0.8 by trial 0000 at epoch 1  learning_rate=0.5 hidden_dropout_prob=0"
        in shown
    )


def test_a_failed_trial_is_shown_with_class_message_log_file_and_last_lines(tmp_path):
    study = result(tmp_path, spec(), random_study(spec()))
    shown = text(*views.study_view(study, limit=None))
    assert "trial 0001 failed (code): boom" in shown
    assert "ValueError: boom" in shown
    assert "line 2\n" not in shown
    assert f"log: {study.folder / 'trials' / '0001' / 'log.txt'}" in shown


def test_a_population_shows_who_copied_whom_and_what_explore_changed(tmp_path):
    study = result(tmp_path, population_spec(), population_study(population_spec()))
    lines = text(*views.study_view(study, limit=None)).splitlines()
    row = next(line for line in lines if "learning_rate 0.5 -> 0.4" in line)
    assert row.split()[:3] == ["1", "0001", "0000"]


def test_a_best_that_came_with_a_copied_checkpoint_names_who_reached_it(tmp_path):
    events = [e for e in population_study(population_spec()) if getattr(e, "segment", 0) == 0]
    study = result(tmp_path, population_spec(), events)  # without what 0001 reached after
    rows = text(*views.study_view(study, limit=None)).splitlines()
    assert "0.8 by 0000" in next(row for row in rows if row.startswith("0001 "))
    assert "by" not in next(row for row in rows if row.startswith("0000 ")).split()
    bests = [trial["best"]["trial"] for trial in study.as_json()["trials"]]
    assert bests == ["0000", "0000"]


def test_trials_stand_from_best_to_worst_and_the_rest_is_counted(tmp_path):
    events = [started(spec())]
    for n in range(5):
        events += [proposed(n, config(n / 10)), segment(n, 0, config(n / 10))]
        events += reached(n, 1, n / 10)
    shown = text(*views.study_view(result(tmp_path, spec(), events), limit=2))
    assert shown.index("0004 ") < shown.index("0003 ")
    assert "0002 " not in shown
    assert "and 3 more trials: sweep show --all" in shown


def test_the_smaller_value_is_better_when_the_goal_is_to_minimize(tmp_path):
    down = spec(metric={"name": "eval_loss", "goal": "minimize"})
    study = result(tmp_path, down, random_study(down, failing=False))
    assert [t.id for t in views.ranked(study.state)] == ["0001", "0000"]


def test_a_smoke_run_says_so_wherever_numbers_are_shown(tmp_path):
    small = spec(smoke=True)
    study = result(tmp_path, small, random_study(small))
    assert "SMOKE RUN" in text(*views.study_view(study, limit=None))
    assert "SMOKE RUN" in text(*views.best_view(study))
    assert "random (smoke)" in text(views.studies_table([study]))


def test_a_study_without_trials_or_values_is_shown_too(tmp_path):
    empty = result(tmp_path, spec(), [started(spec())])
    assert "0 trials: no trials yet; 0 epochs" in text(*views.study_view(empty, limit=None))
    assert "best: none yet" in text(*views.best_view(empty))


def test_a_diverged_evaluation_shows_no_value(tmp_path):
    events = [started(spec()), proposed(0, config(0.9)), segment(0, 0, config(0.9))]
    study = result(tmp_path, spec(), [*events, *reached(0, 1, None)])
    assert "best: none yet" in text(*views.study_view(study, limit=None))


def test_a_study_that_nobody_works_on_and_that_has_no_end_is_interrupted(tmp_path):
    shown = text(*views.study_view(result(tmp_path, spec(), [started(spec())]), limit=None))
    assert "interrupted" in shown.splitlines()[0]


def test_hostile_texts_cannot_drive_the_terminal_or_the_markup(tmp_path):
    evil = "[red]\x1b[2J[/red]\u202e :smile:"
    study = result(tmp_path, spec(), random_study(spec(), message=evil))
    shown = text(*views.study_view(study, limit=None))
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "[red]\\x1b[2J[/red]" in shown and ":smile:" in shown


def test_the_list_names_a_study_that_cannot_be_read(tmp_path):
    good = result(tmp_path, spec(), random_study(spec()))
    bad = StudyUnreadable("studies/broken: the journal is damaged", mend="restore it")
    shown = text(views.studies_table([good, bad]))
    assert "tiny" in shown and "accuracy 0.8" in shown
    assert "studies/broken: the journal is damaged" in shown


def test_the_reason_of_an_end_is_told():
    state = StudyState.of([started(spec()), StudyEnded(state="finished", reason="budget is used")])
    assert "budget is used" in text(*views.headline(state, "finished"))


def test_of_a_long_lineage_the_newest_exploits_are_shown_and_the_rest_is_counted(tmp_path):
    study = result(tmp_path, population_spec(), population_study(population_spec()))
    assert len(study.state.lineage()) == 1
    [record] = [t for t in study.state.trials.values() if t.exploit]
    for boundary in range(2, 6):
        record.decisions[boundary] = replace(record.exploit, boundary=boundary)
    shown = text(*views.study_view(study, limit=2))
    assert shown.count("0.5 -> 0.4") == 2
    assert "and 3 earlier exploits: sweep show --all" in shown


def test_a_halved_batch_is_shown_and_stands_in_the_json(tmp_path):
    halved = BatchHalved(trial="0000", per_device=4, accumulation=2, message="out of memory")
    events = [started(spec()), proposed(0, config(0.9)), segment(0, 0, config(0.9)), halved]
    study = result(tmp_path, spec(), [*events, proposed(1, config(0.1))])
    assert "batch halved to" in (shown := text(*views.study_view(study, limit=None)))
    assert "4 x 2" in shown
    batches = [trial["batch"] for trial in study.as_json()["trials"]]
    assert batches == [{"per_device": 4, "accumulation": 2}, None]


def test_a_study_that_a_budget_ended_names_the_budget_to_raise(tmp_path):
    def words(state: str, reason: str) -> list[str] | None:
        events = [started(spec()), StudyEnded(state=state, reason=reason)]
        return views.going_on_words(result(tmp_path / reason.replace(" ", "-"), spec(), events))

    epochs = "budget.epochs of 7 is used up: 6 are spent"
    assert words("finished", epochs) == ["--set", "budget.epochs=MORE"]
    assert words("finished", "run_cap of 2 is reached") is None
    used_up = "budget.wall_clock of 60 s is used up"
    assert words("stopped", used_up) == ["--set", "budget.wall_clock=MORE"]
    assert words("stopped", "by sweep stop") == []
    assert words("finished", "the search is complete") is None


def test_a_study_of_several_workers_a_trial_says_so(tmp_path):
    events = [
        replace(event, world_size=2) if isinstance(event, SegmentStarted) else event
        for event in random_study(spec())
    ]
    shown = text(*views.study_view(result(tmp_path, spec(), events), limit=None))
    assert "each trial is trained by 2 workers together" in shown
    alone = result(tmp_path / "alone", spec(), random_study(spec()))
    assert "workers" not in text(*views.study_view(alone, limit=None))
