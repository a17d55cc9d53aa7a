"""The journal: an append-only file of events, the truth about a study.

It knows nothing of what the events mean (`state.py` folds them), and of who may write only what
the lock says (`lock.py`). One JSON object a line: a sequence number, the writer's clock and
epoch, the event, and a CRC-32 of all that stands before it. Every append ends in fsync, so an
event that was returned from is on disk. A torn last line is what a kill in mid-write leaves: it
is dropped and reported. Damage before it, or a last line that is whole and cannot be, means that
somebody or something else wrote: nothing is guessed, reading stops (exit 5). Sequence numbers
order events; clocks are for people.

Each writer has a higher epoch than the one before. Where machines share a file system a writer
may be taken for dead, wake up and write once more. So it asks before and after each append
whether it still is the one; a new writer goes on in a copy of the file, which the old one does
not have open; and a line is not counted if it comes after one of a higher epoch, or if a higher
epoch has its sequence number: the new writer did not know it.

A file that was cut off looks like one that was not written further. So its length, in events,
stands in a second small file, written after each append: a journal that is shorter was damaged.
It is written later than the events it counts and read before them, so it never claims too much.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import StudyUnreadable
from orchestrator.events import KINDS, Event, event_of
from orchestrator.manifest import sync_folder
from search_spaces.errors import printable
from search_spaces.parts import NAME
from search_spaces.secrets import scrubbed

JOURNAL = "journal.jsonl"
_CRC_LENGTH = len(',"crc":"00000000"}')
_LENGTH = ".length"
_CHECKPOINT = re.compile(r"trials/[A-Za-z0-9][\w.-]*/checkpoints/[A-Za-z0-9][\w.-]*", re.ASCII)
_JSON = json.JSONDecoder()
_PATHS = {"path", "start_checkpoint", "checkpoint"}
_TRIALS = {"trial", "donor", "start_trial", "repeats"}
_FREE_TEXTS = {"message", "log", "reason"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its sequence number (from 0), seconds since 1970, the event, its writer's epoch."""

    sequence: int
    time: float
    event: Event
    epoch: int = 0


@dataclass(frozen=True)
class Contents:
    """What a journal holds: its entries in order, and how its last line was torn, if it was.

    `sound_bytes` is the length of the part that counts. `late` is how many lines in it do not:
    those of a writer that had lost the study to another one.
    """

    entries: tuple[Entry, ...]
    sound_bytes: int
    torn_bytes: int
    late: int = 0

    @property
    def epoch(self) -> int:
        """The last writer's."""
        return self.entries[-1].epoch


class _Torn(ValueError):
    """A line's checksum does not match."""


class _FromNewerVersion(ValueError):
    """A whole line whose event this version does not know."""


class Guard(Protocol):
    """What says whether this process may still write: a `StudyLock`."""

    epoch: int
    is_lease: bool

    @property
    def overtaken(self) -> bool:
        """Whether another process was seen to have taken the study over."""

    def check(self) -> None:
        """Raise when another process has taken the study over."""


def encode(entry: Entry) -> bytes:
    """One journal line, newline included, without the secrets in its free texts.

    Raises:
        ValueError: the event holds NaN or an infinity.
    """
    fields = entry.event.as_dict()
    for name in _FREE_TEXTS & fields.keys():
        fields[name] = scrubbed(fields[name])
    head = {"seq": entry.sequence, "time": round(entry.time, 3), "writer": entry.epoch}
    body = {**head, **fields}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    raw = text.encode("utf-8", "surrogatepass")
    return raw[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(raw)


def _decode(line: bytes) -> Entry:
    """Read one line without its newline; ValueError says what is wrong with it."""
    body, crc = line[:-_CRC_LENGTH] + b"}", line[-_CRC_LENGTH:]
    if crc != b',"crc":"%08x"}' % zlib.crc32(body):
        raise _Torn("its checksum does not match")
    text = body.decode("utf-8", "surrogatepass")
    data, end = _JSON.raw_decode(text)
    if end != len(text) or not isinstance(data, dict):
        raise ValueError("it is not an event")
    kind = data.pop("event", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise _FromNewerVersion(f"this version knows no event {printable(str(kind))}")
    try:
        _refuse_ways_out(data)
        sequence, when = int(data.pop("seq")), float(data.pop("time"))
        writer = int(data.pop("writer", 0))
        return Entry(sequence, when, event_of(kind, data), writer)
    except (KeyError, TypeError) as error:
        raise ValueError(f"its event is not as this version writes it ({error})") from error


def _refuse_ways_out(data: dict[str, Any]) -> None:
    """Refuse an event that names something outside the study's folder: such things are deleted."""
    for key in _PATHS & data.keys():
        if data[key] is not None and not _CHECKPOINT.fullmatch(data[key]):
            raise ValueError(f"its {key} does not stand among the study's checkpoints")
    for key in _TRIALS & data.keys():
        if data[key] is not None and not NAME.fullmatch(data[key]):
            raise ValueError(f"its {key} cannot be a trial's id")


def read_journal(path: Path) -> Contents:
    """Read a journal; a torn last line is dropped and counted.

    Raises:
        StudyUnreadable: there is no journal, it is empty, a line before the last is damaged or
            out of sequence, or the journal was cut off.
    """
    length = _read_length(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StudyUnreadable(
            f"{path}: the journal cannot be read: {error.strerror}.",
            mend="a study is a folder with a journal.jsonl; `sweep list` shows the ones there are.",
        ) from error
    entries: list[Entry] = []
    position = late = 0
    while position < len(raw):
        end = raw.find(b"\n", position)
        if end < 0:
            break
        try:
            entry = _decode(raw[position:end])
            if entries and entry.epoch < entries[-1].epoch:
                late, position = late + 1, end + 1
                continue
            if entries and entry.epoch > entries[-1].epoch and entry.sequence > 0:
                late += len(entries[entry.sequence :])
                del entries[entry.sequence :]
            if entry.sequence != len(entries):
                raise ValueError(f"it should be event {len(entries)}, but says {entry.sequence}")
        except _FromNewerVersion as error:
            raise StudyUnreadable(
                f"{path}:{len(entries) + 1}: a newer version wrote this line: {error}.",
                mend="nothing was changed. Use the version that the study was written with.",
            ) from error
        except ValueError as error:
            if isinstance(error, _Torn) and end == len(raw) - 1 and entries:
                break
            raise StudyUnreadable(
                f"{path}:{len(entries) + 1}: the journal is damaged here: {error}.",
                mend="nothing was changed. Restore the file from a copy; cutting it off before"
                " this line loses what came after.",
            ) from error
        entries.append(entry)
        position = end + 1
    if not entries:
        raise StudyUnreadable(
            f"{path}: the journal holds no whole line ({len(raw)} bytes).",
            mend="nothing had been recorded yet: then `sweep run` begins it anew. Or the file was"
            " emptied: restore it from a copy.",
        )
    if len(entries) < length:
        raise StudyUnreadable(
            f"{path}:{len(entries) + 1}: the journal is cut off here: {length} events were written"
            f" ({length_file(path).name} says so), {len(entries)} can be read.",
            mend="nothing was changed. Restore the file from a copy; to go on without the events"
            f" that are lost, delete {length_file(path)}; checkpoints that only they named stay.",
        )
    return Contents(tuple(entries), position, len(raw) - position, late)


def length_file(path: Path) -> Path:
    """Where the length of the journal `path` stands."""
    return path.with_name(path.stem + _LENGTH)


def is_unbegun(path: Path) -> bool:
    """Whether nothing was ever recorded in the journal `path`: as if it had not been made.

    That is what a kill before the end of the first append leaves: no journal or one without a
    whole line, and no length or one of 0. One that was emptied or is gone has another length.
    """
    try:
        line = path.read_bytes() if path.exists() else b""
        length = length_file(path).read_bytes() if length_file(path).exists() else b""
    except OSError:
        return False
    return b"\n" not in line and (length == _encode_length(0) or not (length or line))


def _encode_length(events: int) -> bytes:
    digits = b"%012d" % events
    return b"%s %08x\n" % (digits, zlib.crc32(digits))


def _read_length(path: Path) -> int:
    """How many events the journal holds at least; 0 when nothing says so."""
    try:
        raw = length_file(path).read_bytes()
        events = int(raw[:12])
    except (OSError, ValueError):
        return 0  # the journal is the truth, this file only guards it: without it less is noticed
    return events if raw == _encode_length(events) else 0


class Journal:
    """Appends events; the one writer of a journal.

    Args:
        path: the file; made when missing.
        contents: what `read_journal` gave for an existing one, whose torn tail is cut off.
        guard: asked at each append whether this process may still write.

    Raises:
        OSError: the file cannot be opened (also from `append`, when it cannot be written).
    """

    def __init__(
        self, path: Path, contents: Contents | None = None, guard: Guard | None = None
    ) -> None:
        self.path = path
        self._guard = guard
        self._epoch = max(guard.epoch if guard else 1, contents.epoch + 1 if contents else 1)
        self._sequence = len(contents.entries) if contents else 0
        is_new = contents is None
        if contents and guard and guard.is_lease:
            _renew_file(path, contents.sound_bytes)
            length_file(path).unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (0 if contents else os.O_EXCL)
        self._file = os.open(path, flags, 0o600)
        if is_new:
            sync_folder(path.parent)
        if contents and contents.torn_bytes:
            os.ftruncate(self._file, contents.sound_bytes)
        self._sound = contents.sound_bytes if contents else 0
        self._length = os.open(length_file(path), os.O_WRONLY | os.O_CREAT, 0o600)
        self._note_length()

    def append(self, events: Sequence[Event]) -> list[Entry]:
        """Write the events as one block and wait until it is on disk.

        A block that could not be written whole is cut off again, so that the journal stays
        readable and a later append goes on where it was.

        Raises:
            StudyTaken: another process has taken the study over; nothing that counts was written.
            OSError: the file cannot be written.
            ValueError: an event holds NaN or an infinity.
        """
        now = time.time()
        entries = [
            Entry(self._sequence + i, now, event, self._epoch) for i, event in enumerate(events)
        ]
        block = b"".join(encode(entry) for entry in entries)
        if self._guard is not None:
            self._guard.check()
        try:
            written = 0
            while written < len(block):
                written += os.write(self._file, block[written:])
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._sound)
            raise
        if self._guard is not None:
            self._guard.check()  # it may have slept since: what was written then does not count
        self._sequence += len(entries)
        self._sound += len(block)
        self._note_length()
        return entries

    def check(self) -> None:
        """Raise StudyTaken when another process was seen to have taken the study over."""
        if self._guard is not None and self._guard.overtaken:
            self._guard.check()

    def close(self) -> None:
        """Close the file; appending afterwards fails."""
        os.close(self._file)
        os.close(self._length)

    def _note_length(self) -> None:
        with contextlib.suppress(OSError):  # the events are on disk, and that is what counts
            os.pwrite(self._length, _encode_length(self._sequence), 0)


def _renew_file(path: Path, size: int) -> None:
    """Put a copy of the file's first bytes in its place: who has it open writes to no file."""
    copy = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            with path.open("rb") as old:
                file.write(old.read(size))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        copy.unlink(missing_ok=True)  # a full disk: the copy would make it fuller
        raise
    copy.replace(path)
    sync_folder(path.parent)
