"""The journal keeps what it was given, drops a torn tail, and refuses damage."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from orchestrator.errors import StudyUnreadable
from orchestrator.events import Decided, Event, Reported, StudyStarted, TrialProposed
from orchestrator.journal import Contents, Journal, encode, length_file, read_journal

STARTED = StudyStarted(name="s", method="random", metric="eval_accuracy", goal="maximize", seed=1)


def proposed(number: int) -> TrialProposed:
    return TrialProposed(
        trial=f"{number:04d}",
        number=number,
        config={"learning_rate": 1e-5 * (number + 1), "text": 'ü\u2028"\\ \ud800'},
        origin="searcher",
        boundaries=3,
        epochs=3.0,
    )


def written(path: Path, count: int = 6) -> list[Event]:
    events: list[Event] = [STARTED, *(proposed(n) for n in range(count - 1))]
    journal = Journal(path)
    journal.append(events[:2])
    for event in events[2:]:
        journal.append([event])
    journal.close()
    return events


def test_events_come_back_equal_and_in_order(tmp_path: Path) -> None:
    events = written(tmp_path / "j")
    contents = read_journal(tmp_path / "j")
    assert [entry.event for entry in contents.entries] == events
    assert [entry.sequence for entry in contents.entries] == list(range(len(events)))


def test_appending_goes_on_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "j"
    events = written(path)
    journal = Journal(path, read_journal(path))
    decision = Decided(trial="0001", boundary=1, action="exploit", donor="0000", config={"a": 1})
    journal.append([decision])
    journal.close()
    assert [entry.event for entry in read_journal(path).entries] == [*events, decision]


def tear(path: Path, cut: int) -> list[Event]:
    """Leave what a kill in the middle of the last append leaves; all events, that one included."""
    events = written(path)
    contents = read_journal(path)
    last = encode(contents.entries[-1])
    path.write_bytes(path.read_bytes()[: -len(last)])
    Journal(path, read_journal_again(path)).close()
    with path.open("ab") as file:
        file.write(last[:-cut])
    return events


def read_journal_again(path: Path) -> Contents:
    """Read a journal that this test has cut."""
    length_file(path).unlink()
    return read_journal(path)


@pytest.mark.parametrize("cut", [1, 2, 17, 60])
def test_a_torn_last_line_is_dropped_counted_and_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j"
    events = tear(path, cut)
    contents = read_journal(path)
    assert [entry.event for entry in contents.entries] == events[:-1]
    assert contents.torn_bytes > 0
    journal = Journal(path, contents)
    journal.append([events[-1]])
    journal.close()
    assert [entry.event for entry in read_journal(path).entries] == events
    assert read_journal(path).torn_bytes == 0


def test_no_flipped_byte_before_the_last_line_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path)
    whole = path.read_bytes()
    last_line = whole[:-1].rindex(b"\n") + 1
    rng = random.Random(0)
    for _ in range(200):
        at = rng.randrange(last_line)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(StudyUnreadable, match="journal is damaged here"):
            read_journal(path)


def test_a_missing_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(StudyUnreadable, match="should be event 2, but says 3"):
        read_journal(path)


def test_a_journal_cut_off_anywhere_is_noticed_and_told_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(StudyUnreadable, match=r"cut off here|holds no whole line"):
            read_journal(path)
    path.write_bytes(whole[:-1])
    assert len(read_journal_again(path).entries) == 5


@pytest.mark.parametrize("raw", [b"", b"000000000099 00000000\n", b"\0" * 22, b"99"])
def test_a_damaged_length_is_not_believed(tmp_path: Path, raw: bytes) -> None:
    events = written(tmp_path / "j")
    length_file(tmp_path / "j").write_bytes(raw)
    assert len(read_journal(tmp_path / "j").entries) == len(events)


@pytest.mark.parametrize("raw", [b"", b"{", b"garbage without an end"])
def test_an_emptied_journal_is_unreadable_and_exits_5(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "j").write_bytes(raw)
    with pytest.raises(StudyUnreadable, match="no whole line") as caught:
        read_journal(tmp_path / "j")
    assert caught.value.exit_code == 5


def test_a_missing_journal_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(StudyUnreadable, match="cannot be read"):
        read_journal(tmp_path / "none")


def test_nan_never_reaches_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    report = Reported(
        trial="0000",
        segment=0,
        boundary=1,
        value=float("nan"),
        metrics={},
        epoch=1.0,
        step=1,
        seconds=1.0,
    )
    with pytest.raises(ValueError, match="JSON compliant"):
        journal.append([STARTED, report])
    journal.append([STARTED])
    journal.close()
    assert [entry.event for entry in read_journal(tmp_path / "j").entries] == [STARTED]


def test_a_second_journal_does_not_write_over_the_first(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "j")
