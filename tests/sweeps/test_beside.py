"""What stands beside a search, as a person sees it: test figures, crowns, refusals, exports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.errands import crowning, evaluating, replaying, resuming
from orchestrator.errors import StudyError, StudyTaken, Unfit
from orchestrator.events import (
    Evaluated,
    Event,
    StudyEnded,
    StudyResumed,
    TrialEnded,
    TrialProposed,
)
from orchestrator.finalists import finalist_seed
from orchestrator.results import StudyResult, read_study
from search_spaces import SweepSpec
from sweeps import views
from sweeps.cli import app
from sweeps.export import candidates
from sweeps.model_card import model_card
from sweeps.views_beside import looking_words
from tests.sweeps.studies import (
    checkpoint,
    config,
    population_spec,
    population_study,
    random_study,
    reached,
    segment,
    spec,
    write_study,
)
from tests.sweeps.test_views import text

TASK = {
    "model": "bert-tiny",
    "dataset": {"path": "d", "text": ["a"], "label": "l", "splits": {"test": "test"}},
}


def looked(
    number: int, boundary: int, value: float, trial: str | None = None, **more: Any
) -> Evaluated:
    """A look at seven rows."""
    return Evaluated(
        trial=trial or f"{number:04d}",
        boundary=boundary,
        checkpoint=checkpoint(number, boundary),
        split="test",
        value=value,
        metrics={"accuracy": value, "loss": 0.5},
        rows=7,
        seconds=1.0,
        **more,
    )


def finalist(number: int, value: float | None, seed: int, source: str = "0000") -> list[Event]:
    """A finalist whose last boundary has this value; None: it failed."""
    trial = f"{number:04d}"
    events: list[Event] = [
        TrialProposed(
            trial=trial, number=number, config=config(0.5), origin="finalist", boundaries=2,
            epochs=2.0, seed=seed, repeats=source,
        ),
        segment(number, 0, config(0.5)),
    ]  # fmt: skip
    if value is None:
        return [*events, TrialEnded(trial=trial, state="failed", failure="code", message="boom")]
    return [*events, *reached(number, 1, 0.1), *reached(number, 2, value),
            TrialEnded(trial=trial, state="finished")]  # fmt: skip


def study(tmp_path: Path, *more: Event, made: SweepSpec | None = None) -> StudyResult:
    """The random study with a test split; its end comes after what is given."""
    made = made or spec(task=TASK)
    *events, end = random_study(made)
    return read_study(write_study(tmp_path, made, [*events, *more, end]))


def shown(result: StudyResult) -> str:
    return " ".join(text(*views.study_view(result, limit=None), width=400).split())


# The test figure ---------------------------------------------------------------------------


def test_the_test_figure_stands_beside_the_validation_one_which_is_marked(tmp_path: Path) -> None:
    result = study(tmp_path, looked(0, 1, 0.625))
    assert "best: accuracy 0.8 by trial 0000" in shown(result)
    assert "test: accuracy 0.625 on 7 rows (the best was chosen by its own number" in shown(result)
    data = result.as_json()
    assert data["best"]["value"] == 0.8 and data["best"]["test"]["value"] == 0.625
    assert data["evaluations"] == [data["best"]["test"]]
    assert json.loads(json.dumps(data)) == data
    said = CliRunner().invoke(app, ["best", str(result.folder)])
    assert "test: accuracy 0.625 on 7 rows" in said.output
    said = CliRunner().invoke(app, ["best", str(result.folder), "--json"])
    assert json.loads(said.stdout)["best"]["test"]["rows"] == 7


def test_a_figure_of_what_was_selected_before_is_told_as_such(tmp_path: Path) -> None:
    result = study(tmp_path, looked(0, 2, 0.5))
    assert "test: accuracy 0.5 on 7 rows, by trial 0000 at boundary 2, which was selected then" in (
        shown(result)
    )
    assert result.as_json()["best"]["test"] is None


def test_the_end_of_a_command_says_how_to_get_a_figure_that_is_missing(tmp_path: Path) -> None:
    made = spec(task=TASK)
    hidden = spec()
    events = random_study(made)
    assert looking_words(study(tmp_path / "a")) == []
    assert looking_words(study(tmp_path / "b", looked(0, 1, 0.6))) is None
    assert looking_words(study(tmp_path / "c", looked(0, 2, 0.6))) == ["--again"]
    assert looking_words(study(tmp_path / "d", made=hidden)) is None
    assert looking_words(read_study(write_study(tmp_path / "e", made, events[:-1]))) is None


def test_a_second_look_is_told(tmp_path: Path) -> None:
    result = study(tmp_path, looked(0, 1, 0.6), looked(0, 1, 0.6, again=True))
    assert "on 7 rows, looked at again" in shown(result)


def test_without_a_look_nothing_is_said_of_a_test(tmp_path: Path) -> None:
    assert "test:" not in shown(study(tmp_path))


def test_the_card_of_an_evaluated_model_has_both_figures(tmp_path: Path) -> None:
    result = study(tmp_path, looked(0, 1, 0.625))
    assert result.state.selected is not None
    card = model_card(result, result.state.selected)
    front = yaml.safe_load(card.split("---")[1])
    figures = {
        entry["dataset"]["split"]: entry["metrics"][0]["value"]
        for entry in front["model-index"][0]["results"]
    }
    assert figures == {"validation": 0.8, "test": 0.625}
    assert "On the test split (7 rows), which nothing was chosen by" in card
    assert "measure it on data that no trial has seen" not in card
    plain = model_card(study(tmp_path / "b"), result.state.selected)
    assert "measure it on data that no trial has seen" in plain


# Finalists ---------------------------------------------------------------------------------


def crowned(tmp_path: Path) -> StudyResult:
    runs = [*finalist(10, 0.7, 1), *finalist(11, 0.6, 2), *finalist(12, None, 3)]
    return study(tmp_path, *runs)


def test_the_crowned_configurations_best_run_is_the_best_everywhere(tmp_path: Path) -> None:
    result = crowned(tmp_path)
    state = result.state
    assert state.best is not None and state.best.value == 0.8, "the search keeps its own"
    assert state.selected is not None and state.selected.trial == "0010"
    assert "best: accuracy 0.7 by trial 0010" in shown(result)
    assert "crowned: the configuration of trial 0000, mean accuracy 0.65 over 3 new seeds, 1" in (
        shown(result)
    )
    assert "in the search it had 0.8" in shown(result)
    assert "beside the search: 3 trials: 2 finished, 1 failed; 4 epochs trained" in shown(result)
    assert "2 trials: 1 finished, 1 failed; 2 epochs trained" in shown(result)
    data = result.as_json()
    assert data["best"]["trial"] == "0010"
    assert data["crowned"] == {
        "repeats": "0000", "mean": pytest.approx(0.65), "values": [0.7, 0.6],
        "trials": ["0010", "0011"], "failed": 1,
    }  # fmt: skip
    (row,) = [t for t in data["trials"] if t["id"] == "0011"]
    assert (row["origin"], row["seed"], row["repeats"]) == ("finalist", 2, "0000")
    card = model_card(result, state.selected)
    assert "found by trial 0000 and trained again on 2 new seeds; 1 more failed: mean" in card


def test_a_damaged_crowned_run_is_followed_by_the_other_runs_not_by_a_lucky_search(
    tmp_path: Path,
) -> None:
    result = crowned(tmp_path)
    for number, boundary in ((0, 1), (0, 2), (10, 1), (10, 2), (11, 1), (11, 2)):
        (result.folder / checkpoint(number, boundary)).mkdir(parents=True)
    order = [best.trial for best, _ in candidates(result)]
    assert order == ["0010", "0011", "0010", "0011", "0000", "0000"]


def test_a_replay_is_shown_beside_its_original(tmp_path: Path) -> None:
    made = population_spec(task=TASK)
    *events, end = population_study(made)
    result = read_study(write_study(tmp_path, made, [*events, end]))
    (proposal,) = replaying(result, 77).proposals
    assert proposal.config == config(0.5)
    assert [[boundary, c["learning_rate"]] for boundary, c in proposal.schedule] == [[1, 0.4]]
    result = read_study(
        write_study(
            tmp_path / "after", made, [*events, end, StudyResumed(), proposal,
            StudyEnded(state="finished")],
        )
    )  # fmt: skip
    row = next(
        line
        for line in text(*views.study_view(result, limit=None), width=300).splitlines()
        if line.startswith("replay-001")
    )
    assert row.split()[1:7] == ["waiting", "0/2", "-", "0.9", "0001", "77"]
    assert "from 1: learning_rate 0.5 -> 0.4" in row


# Refusals ----------------------------------------------------------------------------------


def test_a_second_look_is_refused_unless_it_is_asked_for_again(tmp_path: Path) -> None:
    result = study(tmp_path, looked(0, 1, 0.625))
    with pytest.raises(Unfit, match=r"looked at once, and was: trial 0000 gave 0.625.*\n.*--again"):
        evaluating(result, again=False)
    assert evaluating(result, again=True).again
    said = CliRunner().invoke(app, ["evaluate", str(result.folder)])
    assert said.exit_code == 2 and "--again" in said.output


def test_a_study_without_a_test_split_is_told_how_to_carve_one(tmp_path: Path) -> None:
    result = study(tmp_path, made=spec())
    with pytest.raises(Unfit, match=r"no test split.*\n.*from: train, size"):
        evaluating(result, again=False)


def test_an_errand_is_for_studies_that_have_ended_with_a_result(tmp_path: Path) -> None:
    made = spec(task=TASK)
    events = random_study(made)
    cut = read_study(write_study(tmp_path, made, events[:-1]))
    for errand in (
        lambda s: evaluating(s, again=False),
        lambda s: crowning(s, None, None),
        lambda s: replaying(s, None),
    ):
        with pytest.raises(StudyError, match=r"interrupted.*\n.*sweep resume"):
            errand(cut)
    with pytest.raises(StudyTaken, match="is running"):
        replaying(replace(cut, running="process 1"), None)
    failed = read_study(
        write_study(tmp_path / "f", made, [events[0], StudyEnded(state="failed", reason="none")])
    )
    with pytest.raises(StudyError, match="no usable result"):
        replaying(failed, None)


def test_finalists_are_recorded_so_that_a_resume_knows(tmp_path: Path) -> None:
    result = study(tmp_path)
    errand = crowning(result, 1, 2)
    assert errand.changes == {"finalists": {"top_k": 1, "seeds": 2}}
    assert not errand.searching and errand.evaluates
    assert errand.spec.finalists is not None and errand.spec.finalists.seeds == 2
    made = spec(task=TASK)
    *events, end = random_study(made)
    resumed = StudyResumed(changes=errand.changes)
    again = read_study(write_study(tmp_path / "again", made, [*events, end, resumed]))
    assert again.spec.finalists == errand.spec.finalists
    assert resuming(again, ()).spec.finalists == errand.spec.finalists


def test_finalists_that_are_all_there_are_not_trained_twice(tmp_path: Path) -> None:
    made = spec(task=TASK, finalists={"top_k": 1, "seeds": 2})
    runs = [*finalist(10, 0.7, finalist_seed(made, 0)), *finalist(11, 0.6, finalist_seed(made, 1))]
    result = study(tmp_path, *runs, made=made)
    with pytest.raises(StudyError, match=r"trained on 2 new seeds each.*\n.*--seeds 3"):
        crowning(result, None, None)
    assert crowning(result, 1, 3).changes == {"finalists": {"top_k": 1, "seeds": 3}}


def test_a_study_that_a_person_stopped_is_not_evaluated_along_with_its_finalists(
    tmp_path: Path,
) -> None:
    made = spec(task=TASK)
    events = random_study(made)[:-1]
    for reason, looks in (("by `sweep stop`", False), ("budget.epochs of 4 is used up", True)):
        end = StudyEnded(state="stopped", reason=reason)
        result = read_study(write_study(tmp_path / str(looks), made, [*events, end]))
        assert crowning(result, 1, 1).evaluates is looks
        assert evaluating(result, again=False).evaluates


# The plan ----------------------------------------------------------------------------------


def plan_of(*words: str) -> Any:
    splits = "task.dataset.splits={train: train, validation: validation}"
    file = ["spaces/quickstart.yaml", "--set", splits]
    said = CliRunner().invoke(app, ["plan", *file, "--json", *words])
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)["beside"]


def test_a_plan_tells_what_comes_beside_the_search() -> None:
    (sentence,) = plan_of()
    assert sentence.startswith("no test split")
    splits = "task.dataset.splits.test={from: train, size: 20}"
    finalists, look = plan_of("--set", splits, "--set", "finalists={top_k: 2, seeds: 4}")
    assert finalists == (
        "after the search: 8 finalists, the best 2 configurations on 4 new seeds each"
    )
    assert "evaluated on the test split, once" in look
    words = [
        "--set",
        "method=grid",
        "--set",
        "default_first=true",
        "--set",
        "parameters={learning_rate: {values: [1e-4]}}",
    ]
    assert len(plan_of(*words, "--set", "default_first=false")) == 1
    control, _ = plan_of(*words)
    assert control == "beside the grid: the default configuration, 1 trial"
