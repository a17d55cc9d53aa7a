"""The two ways out: words for a person and, with `--json`, one object for a program.

Knows nothing of studies (`views.py` makes the tables). Off `--json` a person reads stdout; with
it stdout holds exactly one object and everything else goes to stderr, also what libraries print
from C or from child processes, because file descriptor 1 itself points to stderr until the
object is written.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO, cast

from rich.console import Console, RenderableType
from rich.text import Text

from search_spaces.secrets import scrubbed
from sweeps.text import printable
from sweeps.unread import Unread

JSON_VERSION = 1
"""Version of every `--json` object; raised when a key changes its meaning or goes."""

PIPE_WIDTH = 160
"""Columns when nobody's terminal says: enough that no table cell is cut."""


class Surface:
    """Where one command writes; `opened_surface` makes it.

    Args:
        as_json: `--json`: one object on stdout, the rest on stderr.
        plain: `--plain`: no live view, no colour.
    """

    def __init__(self, *, as_json: bool = False, plain: bool = False) -> None:
        self.as_json = as_json
        self._out = _claim_stdout() if as_json else sys.stdout
        stream = sys.stderr if as_json else sys.stdout
        tty = stream.isatty()
        self.live = tty and not plain and not as_json
        self.human = Console(
            file=stream,
            markup=False,
            highlight=False,
            emoji=False,
            no_color=True if plain else None,
            width=None if tty else PIPE_WIDTH,
        )

    def outlive_readers(self) -> None:
        """From now on whoever reads may go away: a study goes on, and its exit code is its own."""
        sys.stdout, sys.stderr = _unread(sys.stdout), _unread(sys.stderr)
        self.human.file = _unread(self.human.file)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Write one or more lines for a person; long lines are left to the terminal."""
        self.human.print(printable(scrubbed(text)), style=style, soft_wrap=True)

    def show(self, *renderables: RenderableType) -> None:
        """Write tables and texts; long texts are left to the terminal."""
        for renderable in renderables:
            self.human.print(renderable, soft_wrap=isinstance(renderable, str | Text))

    def next_step(self, *commands: str) -> None:
        """End a command with what to type next."""
        for command in commands:
            self.say(f"next: {command}", style="dim")

    def give(self, data: dict[str, Any]) -> None:
        """Write the one object; does nothing without `--json`."""
        if self.as_json:
            self._out.write(json.dumps({"version": JSON_VERSION, **data}, indent=2) + "\n")
            self._out.flush()


@contextmanager
def opened_surface(*, as_json: bool = False, plain: bool = False) -> Iterator[Surface]:
    """A surface for as long as a command runs; then `sys.stdout` and `sys.stderr` are given back.

    After `--json` descriptor 1 stays on stderr, for what libraries print at exit.
    """
    before = sys.stdout, sys.stderr
    try:
        yield Surface(as_json=as_json, plain=plain)
    finally:
        sys.stdout, sys.stderr = before


def _unread(stream: IO[str]) -> TextIO:
    return cast(TextIO, stream if isinstance(stream, Unread) else Unread(stream))


def _claim_stdout() -> TextIO:
    """Take stdout for the one object; whoever else writes there reaches stderr from now on."""
    real = sys.stdout
    sys.stdout = sys.stderr
    try:
        descriptor = real.fileno()
    except (io.UnsupportedOperation, OSError):
        return real  # a buffer in memory: nobody else can write to it
    real.flush()
    out = os.fdopen(os.dup(descriptor), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), descriptor)
    return out


def report_crash(error: BaseException, *, debug: bool) -> str:
    """A short message for an exception nobody expected; its traceback goes into a file.

    Returns:
        Words for a person that name the file; with debug, the traceback itself.
    """
    text = "".join(traceback.format_exception(error))
    if debug:
        return text
    handle, path = tempfile.mkstemp(prefix="sweep-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(scrubbed(text))
    summary = str(error).strip().splitlines()
    return (
        f"This is a bug in sweep: {type(error).__name__}"
        f"{': ' + summary[0] if summary else ''}\n"
        f"    mend: report it with {path}, which holds the traceback; --debug shows it here."
    )
