"""A sweep file -> Sweep, or all of its faults at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_spaces.checking import check
from search_spaces.source import Document, parse, read_text
from search_spaces.spec import Sweep


def read_sweep(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    allow_code: bool = False,
    force: bool = False,
    name: str | None = None,
) -> Sweep:
    """Read a sweep file.

    Args:
        path: the YAML file.
        overrides: `a.b.c=value`, each replacing or adding one key; the value is parsed as YAML.
        allow_code: whether the file may name a person's own Python file or trust remote code.
        force: whether values that are right but make no sense are let through.
        name: the study's name instead of the file's.

    Raises:
        SpecError: the file has faults; all of them are in it.
    """
    path = Path(path)
    text, lines = read_text(path)
    document = Document(parse(text, str(path), lines), str(path), lines)
    return check(document, path, text, allow_code=allow_code, force=force, name=name)
