"""A sweep file -> its text, or a fault that says why it has none.

Bytes come from anywhere: a folder, a named pipe, a picture, 10 GB. Nothing is read beyond 1 MiB,
nothing waits, and nothing is guessed: a sweep file is UTF-8.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from search_spaces.errors import Fault, Place, SpecError

MAX_BYTES = 1 << 20
# What a YAML file may not hold as a character, escapes aside (YAML 1.2, production c-printable).
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a sweep file and its lines.

    Raises:
        SpecError: there is no such file, it is not a regular file, is larger than 1 MiB, cannot
            be read, or is not UTF-8 text.
    """
    source = str(path)

    def refuse(rule: str, mend: str = "", place: Place = Place(), got: str = "") -> SpecError:
        return SpecError([Fault("", place, rule, got, mend)], source)

    if "\0" in source:
        raise refuse("a file name cannot hold a NUL character", "name another file")
    try:
        # Non-blocking, because a named pipe would wait for ever for someone who writes.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
                raise refuse(f"must be a sweep file, but is {kind}", "name a YAML file")
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise refuse("no such file", "check the path; `sweep init METHOD` writes one") from error
    except IsADirectoryError as error:
        raise refuse("must be a sweep file, but is a folder", "name a YAML file in it") from error
    except (OSError, ValueError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise refuse(f"cannot be read: {reason}", "check the path and its permissions") from error
    if len(raw) > MAX_BYTES:
        raise refuse(
            "a sweep file has 1 MiB at most",
            "name the sweep file, not the data; long lists belong into the data set",
            Place(0, 1, 1, 2),
        )
    return decode(raw, source)


def decode(raw: bytes, source: str) -> tuple[str, tuple[str, ...]]:
    """Return bytes as text and its lines.

    Raises:
        SpecError: the bytes are not UTF-8, or hold a character that no YAML file may hold.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        fault = Fault("", Place(0, 1, 1, 2), "must be UTF-8 text", "UTF-16", "save it as UTF-8")
        raise SpecError([fault], source)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        got = f"the byte 0x{error.object[error.start]:02x}"
        fault = Fault(
            "", Place(0, line, column, column + 1), "must be UTF-8 text", got, "save it as UTF-8"
        )
        raise SpecError([fault], source) from error
    lines = split_lines(text)
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - (text.rfind("\n", 0, found.start()) + 1) + 1
        got = f"U+{ord(found.group()):04X}"
        fault = Fault(
            "",
            Place(0, line, column, column + 1),
            "a sweep file holds no control characters",
            got,
            "remove it",
        )
        raise SpecError([fault], source, lines)
    return text, lines


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines as YAML counts them (not at every character str.splitlines takes)."""
    return tuple(re.split(r"\r\n|\r|\n|\x85|\u2028|\u2029", text))
