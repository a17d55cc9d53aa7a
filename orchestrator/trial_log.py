"""What a trial leaves to read: `history.jsonl` (the Trainer's log lines) and `log.txt` (the rest).

It interprets nothing; tables and trackers are built elsewhere. Everything is appended and
flushed, nothing is ever rewritten: after a crash the lines of the lost interval stand twice,
told apart by their segment.

What the training thread prints, and what is logged and warned anywhere in the process while a
trial trains, goes to its log.txt: one process trains one trial at a time.
"""

from __future__ import annotations

import collections
import io
import json
import logging
import math
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import transformers

from orchestrator.segment import Segment
from search_spaces.secrets import scrubbed, scrubbed_data

HISTORY = "history.jsonl"
LOG = "log.txt"
TAIL_LINES = 30
_LONGEST_LINE = 1 << 16

_ROUTING = threading.Lock()

LogLine = Callable[[str, dict[str, Any]], None]


class History:
    """Appends to one trial's history.jsonl.

    Args:
        path: the file.
        segment: what is trained; its trial and number stand in every line.
        log_line: is given the trial's id and every line too.
    """

    def __init__(self, path: Path, segment: Segment, log_line: LogLine | None = None) -> None:
        self._trial = segment.trial
        self._segment = segment.segment
        self._log_line = log_line
        self._file = path.open("a", encoding="utf-8")

    def add(self, values: Mapping[str, Any], **position: Any) -> None:
        """Write one line; numbers that are not finite become null.

        Args:
            values: what the Trainer logged, under its own names.
            position: boundary (the last one passed), step and progress.
        """
        line = {"trial": self._trial, "segment": self._segment, **position}
        line.update((name, _plain(value)) for name, value in values.items())
        line = scrubbed_data(line)
        self._file.write(
            json.dumps(line, allow_nan=False, default=lambda value: scrubbed(str(value))) + "\n"
        )
        self._file.flush()
        if self._log_line is not None:
            self._log_line(self._trial, line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TrialLog(io.TextIOBase):
    """One trial's log.txt, as a text stream that remembers its last lines.

    A line is written when it is whole, so that no secret in it is missed.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._open_line = ""

    def write(self, text: str) -> int:
        """Append text; a progress bar's carriage returns begin new lines in the tail."""
        if self._file.closed:
            return len(text)  # a stream that somebody kept
        pending = self._open_line + text
        end = max(pending.rfind("\n"), pending.rfind("\r")) + 1
        if not end and len(pending) > _LONGEST_LINE:
            end = len(pending)
        whole, self._open_line = scrubbed(pending[:end]), pending[end:]
        if whole:
            self._file.write(whole)
            self._file.flush()
            lines = whole.replace("\r", "\n").split("\n")
            self._tail.extend(line for line in lines if line.strip())
        return len(text)

    def note(self, text: str) -> None:
        """Append a line of our own, with the local time in milliseconds."""
        now = datetime.now().isoformat(sep=" ", timespec="milliseconds")
        self.write(f"{now} {text}\n")

    def tail(self) -> str:
        """Return the last lines written, at most TAIL_LINES."""
        return "\n".join([*self._tail, *filter(str.strip, [scrubbed(self._open_line)])])

    def writable(self) -> bool:
        """Say that this stream takes text."""
        return True

    def fileno(self) -> int:
        """Return the file's descriptor, for those who write below Python."""
        return self._file.fileno()

    def close(self) -> None:
        """Write what is left and close the file; later writes are dropped, not an error."""
        if not self._file.closed:
            self._file.write(scrubbed(self._open_line))
            self._file.close()


class Capture:
    """Sends to a log, until closed, what this thread prints and what the process logs and warns."""

    def __init__(self, log: TrialLog) -> None:
        self._log = log
        self._thread = threading.get_ident()
        with _ROUTING:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if not isinstance(stream, _ByThread):
                    stream = _ByThread(stream)
                    setattr(sys, name, stream)
                stream.logs[self._thread] = log
        self._handler = logging.StreamHandler(log)
        self._handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        )
        logging.getLogger().addHandler(self._handler)

    def close(self) -> None:
        """Give everything back to whom it belonged, and close the log."""
        logging.getLogger().removeHandler(self._handler)
        with _ROUTING:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if isinstance(stream, _ByThread):
                    stream.logs.pop(self._thread, None)
                    if not stream.logs:
                        setattr(sys, name, stream.stream)
        self._log.close()


def quieten_libraries() -> None:
    """Make transformers log like everybody else, and draw no progress bars; for good.

    By itself it keeps a handler on the stderr that it was imported with.
    """
    transformers.utils.logging.disable_default_handler()
    transformers.utils.logging.enable_propagation()
    transformers.utils.logging.disable_progress_bar()


class _ByThread(io.TextIOBase):
    """Stands in for stdout or stderr: a training thread's text goes to its log, the rest on."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.logs: dict[int, TrialLog] = {}

    def write(self, text: str) -> int:
        written: int = self._mine().write(text)
        return written

    def flush(self) -> None:
        self._mine().flush()

    def fileno(self) -> int:
        descriptor: int = self._mine().fileno()
        return descriptor

    def isatty(self) -> bool:
        return bool(self._mine().isatty())

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self.stream, "encoding", None) or "utf-8"

    def _mine(self) -> Any:
        return self.logs.get(threading.get_ident(), self.stream)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item"):
        return _plain(value.item())
    return value
