"""What one trial still has to tell a tracker: its calls in order, on disk until they are sent.

It sends nothing itself. Calls are appended as JSON lines and a number beside them says how many
bytes are sent, so that neither a dead tracker process nor a dead driver loses one: who opens the
folder next goes on where the last one stopped. Not fsynced: a tracker's points are no result
(the journal and `history.jsonl` hold those), and training must not wait for a disk.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from orchestrator.tracking.tracker import Call
from search_spaces.secrets import scrubbed_data

COMPACT_BYTES = 1 << 20


class Backlog:
    """The calls of one trial for one tracker.

    Args:
        path: the file of JSON lines, `<trial>.jsonl`; made at the first append. What a former
            process left in it is taken up; a torn last line is cut off.

    Attributes:
        start: the last `start_run` call that was sent, else the first one that was not; None
            without one.

    Raises:
        OSError: the file is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start: Call | None = None
        self._mark = path.with_suffix(".sent")
        self._size = self._cut_torn_line()
        self._sent = self._read_mark()
        self._waiting: deque[tuple[int, bool]] = deque()  # (end, is a log line) of each unsent call
        for call, end in self._read(0):
            if call["verb"] == "start_run" and (self.start is None or end <= self._sent):
                self.start = call
            if end > self._sent:
                self._waiting.append((end, call["verb"] == "log"))

    @property
    def sent(self) -> int:
        """The position up to which everything is sent, in bytes."""
        return self._sent

    @property
    def unsent(self) -> int:
        """How many calls are not sent."""
        return len(self._waiting)

    @property
    def unsent_lines(self) -> int:
        """How many of the calls that are not sent are log lines."""
        return sum(is_line for _, is_line in self._waiting)

    def append(self, call: Call) -> Call:
        """Keep a call, without the secrets in it; return it as it will be read back.

        Raises:
            OSError: the file cannot be written.
            TypeError, ValueError: the call holds what JSON cannot.
        """
        line = (json.dumps(scrubbed_data(call)) + "\n").encode()
        if not self._size:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(line)
        self._size += len(line)
        self._waiting.append((self._size, call["verb"] == "log"))
        if call["verb"] != "start_run":
            return call
        kept: Call = json.loads(line)
        self.start = self.start or kept
        return kept

    def unread(self, position: int, limit: int = 200) -> list[tuple[Call, int]]:
        """Return up to `limit` calls after a position, each with the position behind it."""
        return list(itertools.islice(self._read(position), limit))

    def mark_sent(self, position: int) -> None:
        """Note that everything up to `position` is sent.

        Raises:
            OSError: the mark cannot be written; the calls count as sent in this process.
        """
        if position <= self._sent:
            return
        self._sent = position
        while self._waiting and self._waiting[0][0] <= position:
            self._waiting.popleft()
        self._mark.write_text(f"{position}\n")

    def compact(self) -> None:
        """Shrink a large file whose calls are all sent to its run's start; `sent` moves with it.

        A trial of a million log lines would otherwise hold them all until it ends.
        """
        if self._sent == self._size > COMPACT_BYTES and self.start is not None:
            line = (json.dumps(self.start) + "\n").encode()
            self.path.write_bytes(line)  # the mark after it: beyond the end means all is sent
            self._size = self._sent = len(line)
            self._mark.write_text(f"{len(line)}\n")

    def set_aside(self, call: Call) -> Path:
        """Keep a call that the tracker will not take in a file of its own; return the file."""
        path = self.path.with_suffix(".refused")
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(call) + "\n")
        return path

    def remove(self) -> None:
        """Forget the trial: everything is sent."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)
        self._size = self._sent = 0
        self._waiting.clear()

    def _read(self, position: int) -> Iterator[tuple[Call, int]]:
        if position >= self._size:
            return
        with self.path.open("rb") as file:
            file.seek(position)
            while position < self._size:
                line = file.readline()
                position += len(line)
                try:
                    call = json.loads(line)
                except ValueError:
                    continue  # a damaged line costs one point on a chart, not the others
                if isinstance(call, dict) and "verb" in call:
                    yield call, position

    def _cut_torn_line(self) -> int:
        if not self.path.exists():
            return 0
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        return whole

    def _read_mark(self) -> int:
        try:
            return min(int(self._mark.read_text()), self._size)
        except (FileNotFoundError, ValueError):
            return 0
