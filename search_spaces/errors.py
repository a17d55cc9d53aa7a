"""What is wrong with a user's sweep file, and how it is said.

Nothing here decides what a fault is; the readers and rules of this package do, and collect them.

A fault is a value (path, place, rule, given, mend) and not an exception, because all faults of a
file are shown at once: one exception, `SpecError`, carries them sorted by place. The tree of
errors of the whole program:

    SweepError                 anything we tell a user without a traceback; exit 1
      SpecError                the sweep file (search_spaces); exit 2, nothing started
      StudyError, TrialError   a study, one trial (orchestrator/errors.py)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_EXCERPT_WIDTH = 100
_TEXT_WIDTH = 200


class SweepError(Exception):
    """Base of every error that is told to a user in one message, without a traceback."""

    exit_code: int = 1


def printable(text: str, limit: int | None = None) -> str:
    """Return text with control characters as escapes, so that no file can drive a terminal.

    Args:
        text: anything that stood in a user's file.
        limit: characters at most; what is longer ends in an ellipsis. None for no limit.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 3] + "..."
    return _CONTROL.sub(lambda m: m.group().encode("unicode_escape").decode("ascii"), text)


@dataclass(frozen=True, order=True)
class Place:
    """Where a value or a key stands.

    Attributes:
        origin: 0 for the sweep file; n for the n-th `--set`, so that those sort after the file.
        line: counted from 1; 0 when only the file as a whole can be named.
        column: counted from 1, in characters.
        end_column: the column after the last character on that line.
        label: for an override, how it is named: `--set a.b=c`.
    """

    origin: int = 0
    line: int = 0
    column: int = 0
    end_column: int = 0
    label: str = ""

    def named(self, source: str) -> str:
        """Return `file:line:column`, `file` or the override, for the start of a message."""
        if self.label:
            return printable(self.label, _TEXT_WIDTH)
        if not self.line:
            return printable(source)
        return f"{printable(source)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the rule, what was given, where, and how to mend it.

    Attributes:
        path: dotted path of the key, "" for the file as a whole.
        place: where it stands.
        rule: what must hold, without a full stop at its end.
        got: what was given, "" when the place says it all.
        mend: what to write instead, without a full stop; "" when there is nothing to add.
        sense: True for a rule of sense, which `--force` switches off.
    """

    path: str
    place: Place
    rule: str
    got: str = ""
    mend: str = ""
    sense: bool = field(default=False, compare=False)

    def message(self) -> str:
        """Return rule and value in one line, without place and mend."""
        head = f"{self.path}: " if self.path else ""
        got = f"; got {self.got}" if self.got else ""
        return printable(f"{head}{self.rule}{got}.", 1000)

    def render(self, source: str, lines: Sequence[str]) -> str:
        """Return the fault as it is shown: place, message, the line with a caret, mend."""
        parts = [f"{self.place.named(source)}: {self.message()}"]
        if not self.place.label and 0 < self.place.line <= len(lines):
            parts += _excerpt(lines[self.place.line - 1], self.place)
        if self.mend:
            stop = "" if self.mend.endswith(("?", ".")) else "."
            parts.append(f"    mend: {printable(self.mend, 1000)}{stop}")
        return "\n".join(parts)


def _excerpt(line: str, place: Place) -> list[str]:
    """Return the numbered line and its caret, cut to a window around the place if long."""
    start = max(0, place.column - 1 - _EXCERPT_WIDTH // 2) if len(line) > _EXCERPT_WIDTH else 0
    shown = _CONTROL.sub(" ", line[start : start + _EXCERPT_WIDTH])
    at = place.column - 1 - start
    width = max(1, min(place.end_column - place.column, max(1, len(shown) - at)))
    number = f"    {place.line} | "
    bar = " " * (len(number) - 2) + "| "
    return [number + shown.rstrip(), bar + " " * at + "^" * width]


class SpecError(SweepError):
    """The sweep file has faults; nothing was started.

    Attributes:
        faults: all of them, sorted by place.
        source: the file as the user named it.
        lines: the file's lines, for the excerpts; empty when it could not be read as text.
    """

    exit_code = 2

    def __init__(self, faults: Iterable[Fault], source: str, lines: Sequence[str] = ()) -> None:
        unique = dict.fromkeys(faults)
        self.faults = tuple(sorted(unique, key=lambda f: (f.place, f.path, f.rule)))
        self.source = source
        self.lines = tuple(lines)
        super().__init__(self.render())

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Fault, ...], str, tuple[str, ...]]]:
        return type(self), (self.faults, self.source, self.lines)

    def render(self) -> str:
        """Return all faults and the closing line, as printed on stderr."""
        count = len(self.faults)
        noun = "fault" if count == 1 else "faults"
        shown = [f.render(self.source, self.lines) for f in self.faults]
        return "\n".join(
            [*shown, f"{count} {noun} in {printable(self.source)}; nothing was started."]
        )


def shown(value: object, limit: int = 80) -> str:
    """Return a value of a sweep file the way YAML writes it, on one line and cut to `limit`."""
    return printable(_yaml(value, limit), limit)


def _yaml(value: object, budget: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value[: budget + 1]}'"
    if isinstance(value, dict):
        inner = ", ".join(f"{k}: {_yaml(v, 40)}" for k, v in list(value.items())[:12])
        return "{" + inner + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(v, 40) for v in value[:12]) + "]"
    return str(value)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the one of `words` that `word` most likely means, None when none is near."""
    candidates = list(words)
    if len(word) > 100:
        return None
    lowered = {w.lower().replace("-", "_"): w for w in candidates}
    wanted = word.lower().replace("-", "_").replace(" ", "_")
    if wanted in lowered:
        return lowered[wanted]
    found = difflib.get_close_matches(wanted, list(lowered), n=1, cutoff=0.7)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, words: Sequence[str], noun: str = "Keys here") -> str:
    """Return the mend for an unknown word: the nearest one if there is one, and the list."""
    near = nearest(word, words)
    listed = ", ".join(words[:40]) + (", ..." if len(words) > 40 else "")
    start = f"did you mean {near}? " if near else ""
    return f"{start}{noun}: {listed}"
