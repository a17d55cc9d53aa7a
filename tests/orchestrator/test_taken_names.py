"""Whether a name is free for a new study, and what is said of the study that has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import StudyTaken, StudyUnreadable
from orchestrator.events import Event, StudyEnded, StudyStarted
from orchestrator.journal import JOURNAL, Journal, encode, length_file, read_journal
from orchestrator.results import SPECIFICATION
from orchestrator.study_folder import refuse_taken
from tests.orchestrator.world import sweep

STARTED = StudyStarted(
    name="world", method="random", metric="eval_accuracy", goal="maximize", seed=1
)


def study(folder: Path, *events: Event) -> Path:
    folder.mkdir()
    (folder / SPECIFICATION).write_text(sweep().model_dump_json())
    journal = Journal(folder / JOURNAL)
    journal.append(events)
    journal.close()
    return folder


@pytest.mark.parametrize("length", [True, False, None])
def test_a_study_killed_before_its_first_line_has_not_taken_the_name(
    tmp_path: Path, length: bool | None
) -> None:
    folder = study(tmp_path / "world")
    assert (folder / JOURNAL).read_bytes() == b""
    if not length:
        length_file(folder / JOURNAL).unlink()
    if length is None:
        length_file(folder / JOURNAL).touch()
    refuse_taken(folder)


def test_nor_has_one_killed_in_the_middle_of_it(tmp_path: Path) -> None:
    whole = study(tmp_path / "whole", STARTED)
    line = encode(read_journal(whole / JOURNAL).entries[0])
    folder = study(tmp_path / "world")
    (folder / JOURNAL).write_bytes(line[:-1])
    refuse_taken(folder)
    (folder / JOURNAL).write_bytes(line)  # on disk, and the length not yet
    with pytest.raises(StudyTaken, match="interrupted"):
        refuse_taken(folder)


@pytest.mark.parametrize("damage", ["emptied", "gone"])
def test_a_journal_that_held_something_is_no_free_name(tmp_path: Path, damage: str) -> None:
    folder = study(tmp_path / "world", STARTED)
    if damage == "emptied":
        (folder / JOURNAL).write_bytes(b"")
    else:
        (folder / JOURNAL).unlink()
    with pytest.raises((StudyTaken, StudyUnreadable), match=r"no whole line|is gone"):
        refuse_taken(folder)


def test_an_empty_journal_beside_trials_is_no_free_name(tmp_path: Path) -> None:
    folder = study(tmp_path / "world")
    (folder / "trials").mkdir()
    with pytest.raises(StudyTaken, match="cannot be read"):
        refuse_taken(folder)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ([], r"was interrupted before its end.*\n.*sweep resume .*world"),
        ([StudyEnded(state="stopped")], r"was stopped before its end.*\n.*sweep resume .*world"),
        ([StudyEnded(state="finished")], r"come to its end \(finished\).*\n.*--name"),
    ],
)
def test_who_has_the_name_and_what_can_be_done_about_it_is_told(
    tmp_path: Path, end: list[Event], words: str
) -> None:
    folder = study(tmp_path / "world", STARTED, *end)
    with pytest.raises(StudyTaken, match=words) as taken:
        refuse_taken(folder)
    assert taken.value.exit_code == 4
    refuse_taken(tmp_path / "other")
