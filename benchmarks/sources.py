"""With what sources and on what processor a figure was made, so that none is mixed with others.

Runs nothing. A digest over files: a row whose digest differs from today's was made by other code
and counts no more. Whole packages are taken where a figure depends on most of one; `imported`
follows imports where it depends on part of one, so that no list of files can be forgotten.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = ("orchestrator", "search_spaces", "sweeps")
"""The program's packages: what our own figures depend on, beside the benchmark's own files."""

_PACKAGES = (*PROGRAM, "benchmarks")


def digest(paths: Iterable[str]) -> str:
    """Of Python sources.

    Args:
        paths: files, and folders with all that is below them; relative to the project.

    Raises:
        FileNotFoundError: one does not exist.
    """
    whole = hashlib.sha256()
    for file in sorted({file for path in paths for file in _files(ROOT / path)}):
        whole.update(file.relative_to(ROOT).as_posix().encode("utf-8") + b"\0")
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:16]


def imported(*modules: str) -> tuple[str, ...]:
    """The files of these modules and of all of the project's that they import, however far.

    Imports inside of functions count; a package counts with its `__init__`.
    """
    found: set[Path] = set()
    left = list(modules)
    while left:
        for file in _module_files(left.pop()):
            if file not in found:
                found.add(file)
                left += _imports(file)
    return tuple(sorted(file.relative_to(ROOT).as_posix() for file in found))


@functools.cache
def processor() -> str:
    """The processor's model; empty where the system does not tell."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text("utf-8", "replace").splitlines() if cpus.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from path.rglob("*.py")
    elif path.is_file():
        yield path
    else:
        raise FileNotFoundError(f"{path}: a benchmark's figures are said to depend on it")


def _module_files(module: str) -> Iterator[Path]:
    """A module's file and its packages' `__init__`; nothing for what is not the project's."""
    parts = module.split(".")
    if parts[0] not in _PACKAGES:
        return
    for end in range(1, len(parts) + 1):
        here = ROOT.joinpath(*parts[:end])
        yield from (f for f in (here / "__init__.py", here.with_suffix(".py")) if f.is_file())


@functools.cache
def _imports(file: Path) -> tuple[str, ...]:
    return tuple(_named(file))


def _named(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
