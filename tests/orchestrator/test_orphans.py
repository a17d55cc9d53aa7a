"""At a resume: what a kill left is deleted, what the journal lost is not, and both are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.checkpoints import checkpoint_path
from orchestrator.events import (
    CheckpointCommitted,
    Event,
    Reported,
    SegmentStarted,
    StudyStarted,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, Journal
from orchestrator.orphans import clear_orphans
from orchestrator.results import StudyResult, read_study
from orchestrator.specification import write_specification
from tests.orchestrator.world import sweep


def trained(trial: str, boundaries: int, worker: str) -> list[Event]:
    """A trial that came to a boundary, a checkpoint at each."""
    number = int(trial)
    events: list[Event] = [
        TrialProposed(
            trial=trial, number=number, config={}, origin="searcher", boundaries=9, epochs=9.0
        ),
        SegmentStarted(
            trial=trial, segment=0, boundary=0, config={}, worker=worker, pid=1, node="n"
        ),
    ]
    for boundary in range(1, boundaries + 1):
        path = checkpoint_path(trial, 0, boundary).as_posix()
        about = {"trial": trial, "segment": 0, "boundary": boundary}
        events += [
            Reported(**about, value=0.5, metrics={}, epoch=1.0, step=1, seconds=1.0),
            CheckpointCommitted(**about, path=path, sha256="0" * 64, size_bytes=1),
        ]
    return events


def study(folder: Path, *events: Event) -> StudyResult:
    """On disk, with the checkpoints that the events name."""
    folder.mkdir()
    started = StudyStarted(
        name="world", method="random", metric="eval_accuracy", goal="maximize", seed=1,
        spec_sha256=write_specification(folder, sweep()),
    )  # fmt: skip
    journal = Journal(folder / JOURNAL)
    journal.append([started, *events])
    journal.close()
    for event in events:
        if isinstance(event, CheckpointCommitted):
            (folder / event.path).mkdir(parents=True)
    return read_study(folder)


def committed(result: StudyResult, trial: str, boundary: int, segment: int = 0) -> Path:
    """A checkpoint that no event names."""
    path = checkpoint_path(trial, segment, boundary)
    (result.folder / path).mkdir(parents=True)
    return path


def test_one_a_worker_is_what_a_kill_leaves_deleted_and_told(tmp_path: Path) -> None:
    past = study(tmp_path / "world", *trained("0000", 2, "w0"), *trained("0001", 1, "w1"))
    left = [committed(past, "0000", 3), committed(past, "0001", 2)]
    told: list[str] = []
    assert clear_orphans(past, told.append) == left
    assert not any((past.folder / path).exists() for path in left)
    assert (past.folder / checkpoint_path("0000", 0, 2)).exists()
    (sentence,) = told
    assert "2 checkpoints were deleted" in sentence
    assert all(str(path) in sentence for path in left)
    told.clear()
    assert clear_orphans(past, told.append) == []
    assert told == []


def test_more_than_workers_are_what_a_journal_lost_and_are_kept_and_told(tmp_path: Path) -> None:
    past = study(tmp_path / "world", *trained("0000", 2, "w0"), *trained("0001", 1, "w1"))
    lost = [committed(past, trial, 1) for trial in ("0002", "0003", "0004", "0005")]
    told: list[str] = []
    assert clear_orphans(past, told.append) == []
    assert all((past.folder / path).exists() for path in lost)
    (sentence,) = told
    assert "4 checkpoints were kept" in sentence
    assert str(lost[0]) in sentence
    assert "and 1 more" in sentence


def test_one_far_from_where_its_trial_stood_is_what_a_journal_lost(tmp_path: Path) -> None:
    past = study(tmp_path / "world", *trained("0000", 2, "w0"))
    lost = committed(past, "0000", 9)
    told: list[str] = []
    assert clear_orphans(past, told.append) == []
    assert (past.folder / lost).exists()
    assert "1 checkpoint was kept" in told[0]


def test_one_that_cannot_be_deleted_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = study(tmp_path / "world", *trained("0000", 1, "w0"))
    committed(past, "0000", 2)

    def refused(*arguments: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "rename", refused)
    told: list[str] = []
    assert clear_orphans(past, told.append) == []
    assert told == []
