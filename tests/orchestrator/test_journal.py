"""The journal keeps what it was given, drops a torn tail, and refuses damage."""

from __future__ import annotations

import dataclasses
import json
import random
import zlib
from pathlib import Path

import pytest

from orchestrator.errors import StudyTaken, StudyUnreadable
from orchestrator.events import (
    CheckpointCommitted,
    Decided,
    Evaluated,
    Event,
    Reported,
    StudyStarted,
    TrialProposed,
)
from orchestrator.journal import Contents, Entry, Journal, encode, length_file, read_journal

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


LOOK = Evaluated(
    trial="0000",
    boundary=1,
    checkpoint="trials/0000/checkpoints/boundary-00001-segment-0000",
    split="test",
    value=0.5,
    metrics={"accuracy": 0.5},
    rows=7,
    seconds=1.0,
)


def line_of(**fields: object) -> bytes:
    """A line with a valid checksum that our writer would not write."""
    raw = json.dumps(fields, separators=(",", ":")).encode()
    return raw[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(raw)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"seq": 6, "event": "trial_cloned"}, "a newer version wrote this line: .*trial_cloned"),
        ({"seq": 6, "event": "trial_ended"}, "its event is not as this version writes it"),
        ({"seq": 6, **proposed(9).as_dict(), "trial": "../0000"}, "its trial cannot be a trial's"),
        ({"seq": 6, **proposed(9).as_dict(), "repeats": "../0"}, "its repeats cannot be a trial's"),
        (
            {"seq": 6, **LOOK.as_dict(), "checkpoint": "trials/../x"},
            "its checkpoint does not stand",
        ),
        ({"seq": 7, **proposed(9).as_dict()}, "should be event 6, but says 7"),
        ({"seq": "x", **proposed(9).as_dict()}, "damaged here"),
    ],
)
def test_a_whole_last_line_is_never_taken_for_half_an_event(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    path = tmp_path / "j"
    written(path)
    with path.open("ab") as file:
        file.write(line_of(time=1.0, writer=1, **fields))
    with pytest.raises(StudyUnreadable, match=f"7: .*{words}") as caught:
        read_journal(path)
    assert caught.value.exit_code == 5


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
        with pytest.raises(StudyUnreadable, match=r"journal is (damaged|cut off) here"):
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


class Guarding:
    """A lock that is lost when told so."""

    is_lease = True

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.lost_at_check = 0
        self.checks = 0

    @property
    def overtaken(self) -> bool:
        return bool(self.lost_at_check)

    def check(self) -> None:
        self.checks += 1
        if self.lost_at_check and self.checks >= self.lost_at_check:
            raise StudyTaken("another process has taken this study over")


@pytest.mark.parametrize("notices_at", [1, 2])
def test_what_a_writer_writes_that_was_taken_for_dead_counts_nowhere(
    tmp_path: Path, notices_at: int
) -> None:
    path = tmp_path / "j"
    asleep = Guarding(epoch=1)
    first = Journal(path, guard=asleep)
    first.append([STARTED, proposed(0)])
    second = Journal(path, read_journal(path), Guarding(epoch=2))
    asleep.checks, asleep.lost_at_check = 0, notices_at
    with pytest.raises(StudyTaken, match="taken this study over"):
        first.append([proposed(1), proposed(2)])
    second.append([proposed(3)])
    contents = read_journal(path)
    assert [entry.event for entry in contents.entries] == [STARTED, proposed(0), proposed(3)]
    assert [entry.epoch for entry in contents.entries] == [1, 1, 2]
    assert contents.epoch == 2


@pytest.mark.parametrize("late_first", [False, True])
def test_lines_of_a_lower_epoch_are_told_apart_where_both_wrote_to_one_file(
    tmp_path: Path, late_first: bool
) -> None:
    path = tmp_path / "j"
    events = written(path, 3)
    kept = path.read_bytes()
    late = encode(Entry(3, 1.0, proposed(7), epoch=1))
    taken_over = encode(Entry(3, 1.0, proposed(8), epoch=2))
    path.write_bytes(kept + (late + taken_over if late_first else taken_over + late))
    contents = read_journal(path)
    assert [entry.event for entry in contents.entries] == [*events, proposed(8)]
    assert (contents.late, contents.torn_bytes) == (1, 0)


def test_no_line_of_a_resumed_journal_is_lost_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, 4)
    for number in range(4, 10):
        journal = Journal(path, read_journal(path))
        journal.append([proposed(number), proposed(number + 10)])
        journal.close()
    events = [entry.event for entry in read_journal(path).entries]
    lines = path.read_bytes().splitlines(keepends=True)
    length_file(path).unlink()
    rng = random.Random(0)
    for _ in range(300):
        mutant = list(lines)
        for _ in range(rng.randint(1, 3)):
            a, b = rng.randrange(len(mutant)), rng.randrange(len(mutant))
            match rng.randrange(4):
                case 0:
                    mutant[a], mutant[b] = mutant[b], mutant[a]
                case 1:
                    mutant.insert(b, mutant[a])
                case 2 if a < len(mutant) - 2:
                    del mutant[a]
                case 3:
                    mutant.append(mutant[a])
        path.write_bytes(b"".join(mutant))
        try:
            contents = read_journal(path)
        except StudyUnreadable:
            continue
        found = [entry.event for entry in contents.entries]
        assert found == events or (contents.torn_bytes and found == events[: len(found)])


def test_each_writer_has_a_higher_epoch(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, 2)
    for number in (5, 6):
        journal = Journal(path, read_journal(path))
        journal.append([proposed(number)])
        journal.close()
    assert [entry.epoch for entry in read_journal(path).entries] == [1, 1, 2, 3]


def test_a_journal_from_before_there_were_epochs_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "j"
    body = b'{"seq":0,"time":1.0,' + json.dumps(STARTED.as_dict()).encode()[1:]
    path.write_bytes(body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body))
    assert read_journal(path).entries == (Entry(0, 1.0, STARTED, epoch=0),)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../../../etc"},
        {"path": "/etc/cron.d"},
        {"path": "trials/0000/checkpoints/../../../../x"},
        {"path": "trials/0000/checkpoints/.."},
        {"trial": "../0000"},
    ],
)
def test_an_event_that_leads_out_of_the_studys_folder_is_refused(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    commit = CheckpointCommitted(
        trial="0000",
        segment=0,
        boundary=1,
        path="trials/0000/checkpoints/boundary-00001-segment-0000",
        sha256="0" * 64,
        size_bytes=1,
    )
    for number, event in enumerate((commit, dataclasses.replace(commit, **changes))):
        path = tmp_path / str(number)
        journal = Journal(path)
        journal.append([STARTED, proposed(0), event, proposed(1)])
        journal.close()
    assert len(read_journal(tmp_path / "0").entries) == 4
    with pytest.raises(
        StudyUnreadable, match=r"1:3: the journal is damaged here: its (path|trial)"
    ):
        read_journal(tmp_path / "1")


def test_a_second_journal_does_not_write_over_the_first(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "j")
