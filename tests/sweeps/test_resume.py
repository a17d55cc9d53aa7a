"""`sweep resume`: what it refuses, in plain words; what it does is tested on real Ray."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.checkpoints import checkpoint_path
from orchestrator.errors import StudyError, StudyTaken, Unfit
from orchestrator.events import (
    CheckpointCommitted,
    StudyEnded,
    StudyResumed,
    StudyStarted,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.results import SPECIFICATION
from orchestrator.study import resume_study
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


def test_without_a_name_it_says_which_unreadable_studies_it_passes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.study.Driver", begins)
    older = study(tmp_path, ended=False)
    newest = study(tmp_path / "made", ended=False).rename(tmp_path / "newest")
    (newest / JOURNAL).write_bytes(b"damaged\n" * 2)
    os.utime(older / JOURNAL, (1, 1))
    answer = CliRunner().invoke(app, ["resume", "--storage", str(tmp_path)])
    assert "far enough" in answer.output
    told = " ".join(answer.output.split())
    assert "passed over" in told
    assert "newest" in told

    older.rename(tmp_path.parent / f"{tmp_path.name}-away")
    answer = CliRunner().invoke(app, ["resume", "--storage", str(tmp_path)])
    assert answer.exit_code == 5, answer.output


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


def begins(*arguments: object, **options: object) -> None:
    """In the driver's place: it would have begun."""
    raise StudyTaken("far enough")


@pytest.mark.parametrize(
    "tampered",
    [
        {"task": {"trust_remote_code": True}},
        {"task": {"type": "evil.py:build"}},
    ],
)
def test_a_study_that_runs_code_is_resumed_only_when_the_command_line_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tampered: dict[str, dict[str, object]]
) -> None:
    folder = study(tmp_path, ended=False)
    spec = json.loads((folder / SPECIFICATION).read_text())
    for section, values in tampered.items():
        spec[section] |= values
    (folder / SPECIFICATION).write_text(json.dumps(spec))
    monkeypatch.setattr("orchestrator.study.Driver", begins)
    words = ["resume", "world", "--storage", str(tmp_path)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 2
    assert "which its files alone may not ask for" in answer.output
    with pytest.raises(Unfit):
        resume_study(folder)
    with pytest.raises(StudyTaken, match="far enough"):
        resume_study(folder, allow_code=True)
    assert CliRunner().invoke(app, [*words, "--allow-code"]).exit_code == 4


@pytest.mark.parametrize("name", ["task.type", "task.trust_remote_code"])
def test_a_specification_that_searches_over_code_is_refused_whatever_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = study(tmp_path, ended=False)
    spec = json.loads((folder / SPECIFICATION).read_text())
    spec["parameters"] |= {name: {"values": ["evil.py:build"]}}
    (folder / SPECIFICATION).write_text(json.dumps(spec))
    monkeypatch.setattr("orchestrator.study.Driver", begins)
    words = ["resume", "world", "--storage", str(tmp_path), "--allow-code"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 5
    assert f"{name} is a constant of the study" in answer.output


@pytest.mark.parametrize("how", ["change", "configuration"])
def test_a_journal_does_not_ask_for_code_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("orchestrator.study.Driver", begins)
    folder = study(tmp_path, ended=False)
    journal = Journal(folder / JOURNAL, read_journal(folder / JOURNAL))
    proposed = TrialProposed(
        trial="0000",
        number=0,
        config={"task.type": "evil.py:build"},
        origin="searcher",
        boundaries=1,
        epochs=1.0,
    )
    changed = StudyResumed(changes={"task.type": "evil.py:build"})
    journal.append([changed if how == "change" else proposed])
    journal.close()
    with pytest.raises(StudyError, match=r"may not ask for|is a constant of the study"):
        resume_study(folder)


def test_a_checkpoint_that_was_committed_and_not_recorded_is_deleted_at_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(tmp_path, ended=False)
    proposed = TrialProposed(
        trial="0000", number=0, config={}, origin="searcher", boundaries=2, epochs=2.0
    )
    recorded, orphan = checkpoint_path("0000", 0, 1), checkpoint_path("0000", 0, 2)
    commit = CheckpointCommitted(
        trial="0000",
        segment=0,
        boundary=1,
        path=recorded.as_posix(),
        sha256="0" * 64,
        size_bytes=1,
    )
    journal = Journal(folder / JOURNAL, read_journal(folder / JOURNAL))
    journal.append([proposed, commit])
    journal.close()
    for path in (recorded, orphan):
        (folder / path).mkdir(parents=True)
    monkeypatch.setattr("orchestrator.study.Driver", begins)
    with pytest.raises(StudyTaken, match="far enough"):
        resume_study(folder)
    assert (folder / recorded).exists()
    assert not (folder / orphan).exists()
