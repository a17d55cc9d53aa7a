"""Reads a sweep file with its overrides: the way in to this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_spaces.checking import check
from search_spaces.findings import Findings
from search_spaces.overrides import apply_overrides, with_name
from search_spaces.source import read_text
from search_spaces.spec import Sweep
from search_spaces.tree import Document
from search_spaces.yaml_reader import parse


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
        overrides: `a.b.c=value` each, replacing, adding or (with null) removing one key; the
            value is parsed as YAML.
        allow_code: whether the file may name a person's own Python file or trust remote code.
        force: whether values that can be used but make no sense are let through.
        name: the study's name instead of the file's.

    Raises:
        SpecError: the file has faults; all of them are in it.
        SweepError: transformers, whose fields the file names, is not installed.
    """
    path = Path(path)
    text, lines = read_text(path)
    root, faults = parse(text, str(path), lines)
    if root.kind == "mapping":
        root, refused = apply_overrides(root, overrides)
        faults += refused
        if name is not None:
            root = with_name(root, name)
    document = Document(root, str(path), lines)
    findings = Findings(document, force=force)
    findings.faults += faults
    return check(document, path, text, findings, allow_code=allow_code)
