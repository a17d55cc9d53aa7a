"""`sweep resume`: what it refuses, in plain words; what it does is tested on real Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.errors import StudyTaken
from orchestrator.events import StudyEnded, StudyStarted
from orchestrator.journal import JOURNAL, Journal
from orchestrator.results import SPECIFICATION
from sweeps import running
from sweeps.cli import app
from tests.orchestrator.world import sweep


def study(storage: Path, *, ended: bool) -> Path:
    folder = storage / "world"
    folder.mkdir(parents=True)
    (folder / SPECIFICATION).write_text(sweep().model_dump_json())
    journal = Journal(folder / JOURNAL)
    started = StudyStarted(
        name="world", method="random", metric="eval_accuracy", goal="maximize", seed=1
    )
    journal.append([started, *([StudyEnded(state="finished")] if ended else [])])
    journal.close()
    return folder


def test_a_study_at_its_end_is_not_resumed(tmp_path: Path) -> None:
    study(tmp_path, ended=True)
    answer = CliRunner().invoke(app, ["resume", "world", "--storage", str(tmp_path)])
    assert answer.exit_code == 1
    assert "has come to its end (finished)" in answer.output
    assert f"sweep show {tmp_path / 'world'}" in answer.output


def test_without_a_name_and_without_an_interrupted_study_it_says_so(tmp_path: Path) -> None:
    study(tmp_path, ended=True)
    answer = CliRunner().invoke(app, ["resume", "--storage", str(tmp_path)])
    assert answer.exit_code == 2
    assert "no study here that was interrupted or stopped" in answer.output


def test_a_damaged_journal_exits_5_and_is_left_as_it_was(tmp_path: Path) -> None:
    folder = study(tmp_path, ended=False)
    damaged = (folder / JOURNAL).read_bytes().replace(b"random", b"rendom")
    (folder / JOURNAL).write_bytes(damaged + damaged)
    answer = CliRunner().invoke(app, ["resume", "world", "--storage", str(tmp_path)])
    assert answer.exit_code == 5
    assert (folder / JOURNAL).read_bytes() == damaged + damaged


def test_a_study_whose_journal_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    folder = study(tmp_path, ended=False)
    (folder / JOURNAL).unlink()
    sweep_file = tmp_path / "world.yaml"
    sweep_file.write_text(
        "{name: world, method: random, run_cap: 1, parameters: {weight_decay: {min: 0, max: 0.1}},"
        " task: {model: m, dataset: {path: d, text: t, label: l}}}"
    )
    answer = CliRunner().invoke(app, ["run", str(sweep_file), "--storage", str(tmp_path)])
    assert answer.exit_code == 5
    assert "the journal of the study in this folder is gone" in answer.output
    assert not (folder / JOURNAL).exists()


@pytest.mark.parametrize("task", [{"trust_remote_code": True}, {"type": "evil.py:build"}])
def test_a_study_that_runs_code_is_resumed_only_when_the_command_line_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: dict[str, object]
) -> None:
    folder = study(tmp_path, ended=False)
    spec = json.loads((folder / SPECIFICATION).read_text())
    spec["task"] |= task
    (folder / SPECIFICATION).write_text(json.dumps(spec))
    words = ["resume", "world", "--storage", str(tmp_path)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 2
    assert "which its files alone may not ask for" in answer.output

    reached: list[Path] = []

    def resumed(folder: Path, *arguments: object, **options: object) -> None:
        reached.append(folder)
        raise StudyTaken("far enough")

    monkeypatch.setattr(running, "resume_study", resumed)
    assert CliRunner().invoke(app, [*words, "--allow-code"]).exit_code == 4
    assert reached == [folder]
