"""How values are written for a person: numbers, durations, configurations, foreign text.

Pure functions from plain data to str; no rich, no console. Text that came from outside (names,
error messages, log lines) goes through `printable` before it reaches a terminal, because a
control sequence in it would be obeyed.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from search_spaces.errors import printable as one_line


def printable(text: str) -> str:
    """The text with control characters written as escapes; line breaks stay.

    What no encoding can hold (lone surrogates) is written as an escape too.
    """
    whole = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "\n".join(one_line(line.replace("\t", "    ")) for line in whole.split("\n"))


def number(value: float | None) -> str:
    """A metric or setting in at most five significant digits; `-` for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    return f"{value:.5g}"


def setting(value: Any) -> str:
    """One value of a configuration: floats shortened, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, float):
        return printable(str(value))
    return number(value)


def duration(seconds: float) -> str:
    """Seconds as `42 s`, `3 min 10 s`, `2 h 05 min`; negative counts as 0."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """Seconds since the start as `m:ss` or `h:mm:ss`."""
    whole = int(max(0.0, seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(n_bytes: float) -> str:
    """Bytes in binary units, as `1.3 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TiB"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 trial`, `3 trials`; plural when it is not noun + s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each dotted name's shortest ending that no other name shares."""
    names = list(names)
    return {name: _shortest_ending(name, names) for name in names}


def _shortest_ending(name: str, names: list[str]) -> str:
    parts = name.split(".")
    for start in range(len(parts) - 1, 0, -1):
        ending = parts[start:]
        if not any(other != name and other.split(".")[-len(ending) :] == ending for other in names):
            return ".".join(ending)
    return name


def config_text(config: Mapping[str, Any]) -> str:
    """A configuration in one line: `learning_rate=3e-05 weight_decay=0.1`."""
    short = short_names(config)
    return " ".join(f"{short[name]}={setting(value)}" for name, value in config.items())


def changes_text(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What an explore changed: `learning_rate 3e-05 -> 2.4e-05`; `nothing` when nothing did."""
    short = short_names(after)
    parts = [
        f"{short[name]} {setting(before[name]) if name in before else '-'} -> {setting(value)}"
        for name, value in after.items()
        if name not in before or before[name] != value
    ]
    return ", ".join(parts) or "nothing"


def metric_name(metric: str) -> str:
    """`eval_accuracy` as a person says it: `accuracy`."""
    return metric.removeprefix("eval_")


def last_lines(text: str, lines: int) -> str:
    """The last lines of a log, without trailing blanks."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def command(*words: str) -> str:
    """A command line that a shell reads back as these words."""
    return shlex.join(words)
