"""A study's specification is written whole, known by its sum, and no other is taken for it."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import StudyUnreadable
from orchestrator.events import StudyStarted
from orchestrator.journal import JOURNAL, Journal
from orchestrator.results import read_study
from orchestrator.specification import SPECIFICATION, read_specification, write_specification
from tests.orchestrator.world import sweep

STARTED = StudyStarted(
    name="world", method="random", metric="eval_accuracy", goal="maximize", seed=1
)


def study(folder: Path) -> Path:
    folder.mkdir()
    started = dataclasses.replace(STARTED, spec_sha256=write_specification(folder, sweep()))
    journal = Journal(folder / JOURNAL)
    journal.append([started])
    journal.close()
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_study(study(tmp_path / "world")).spec == sweep()
    assert read_specification(tmp_path / "world", None) == sweep()


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b'"seed": ', b'"seed": 1'),  # a whole specification, another one
        lambda raw: raw + b"\n",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
    ],
)
def test_one_that_was_changed_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    folder = study(tmp_path / "world")
    damaged = damage((folder / SPECIFICATION).read_bytes())
    (folder / SPECIFICATION).write_bytes(damaged)
    with pytest.raises(StudyUnreadable, match=r"not the specification that the study began with"):
        read_study(folder)
    assert (folder / SPECIFICATION).read_bytes() == damaged
    (folder / SPECIFICATION).unlink()
    with pytest.raises(StudyUnreadable, match=r"spec\.json: .* cannot be read: No such file"):
        read_study(folder)


def test_a_journal_of_an_older_version_takes_the_one_that_is_there(tmp_path: Path) -> None:
    folder = study(tmp_path / "world")
    (folder / JOURNAL).unlink()
    journal = Journal(folder / JOURNAL)
    journal.append([STARTED])
    journal.close()
    (folder / SPECIFICATION).write_text(sweep(seed=77).model_dump_json())
    assert read_study(folder).spec.seed == 77
    (folder / SPECIFICATION).write_text("{")
    with pytest.raises(StudyUnreadable, match="cannot be read"):
        read_study(folder)


def test_a_full_disk_leaves_no_half_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_specification(tmp_path, sweep())
    assert list(tmp_path.iterdir()) == []
