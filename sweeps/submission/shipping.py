"""What travels to a cluster: the sweep file, the Python file that it names, and nothing else.

Makes a folder and sends nothing. A folder of its own, because Ray would ship the working
directory with whatever lies in it: `.env`, keys, data, checkpoints, `.git`. What travels is kept by
the cluster and can be read by whoever may look at its dashboard, so code that seems to hold a
secret is refused, like a sweep file that does.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import Unfit
from search_spaces import Sweep, SweepSpec
from search_spaces.domains import Choice
from search_spaces.secrets import holds_secret, names_secret
from sweeps.text import size

LARGEST_BYTES = 2**20
"""Of a Python file: code is smaller, and data does not travel."""

_FILE_KINDS = ("json", "csv", "parquet", "arrow")
_SHORTEST_SECRET = 8
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*\Z")


@dataclass(frozen=True)
class Parcel:
    """What was packed.

    Attributes:
        file: the sweep file's name in the folder.
        names: everything in the folder, the sweep file first.
        overrides: `key=value` each, that make the file name what travelled.
    """

    file: str
    names: tuple[str, ...]
    overrides: tuple[str, ...] = ()


def pack(sweep: Sweep, folder: Path) -> Parcel:
    """Fill an empty folder with what the study's command needs on the cluster.

    Raises:
        Unfit: the Python file is not there, too large, not text, or seems to hold a secret.
    """
    file = sweep.path.name
    (folder / file).write_text(sweep.source, "utf-8")
    if not sweep.spec.task.is_own_file:
        return Parcel(file, (file,))
    given, _, function = sweep.spec.task.type.rpartition(":")
    text = _code(given)
    path = Path(given)
    outside = path.is_absolute() or ".." in path.parts or given.startswith("~")
    target = Path(path.name) if outside else path
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    (folder / target).write_text(text, "utf-8")
    moved = (f"task.type={target.as_posix()}:{function}",) if outside else ()
    return Parcel(file, (file, target.as_posix()), moved)


def data_paths(spec: SweepSpec) -> dict[str, str]:
    """Paths that the study reads and that do not travel, by the key that names each.

    Raises:
        Unfit: one is relative: where it starts on the cluster, nothing but the parcel lies.
    """
    task = spec.task
    found: dict[str, str] = {}
    for key, value in (("task.model", task.model), ("task.dataset.path", task.dataset.path)):
        domain = spec.space.get(key)
        values = domain.values if isinstance(domain, Choice) else (value,)
        for n, one in enumerate(str(v) for v in values):
            if _is_path(one):
                found[key if n == 0 else f"{key} ({one})"] = one
    if task.dataset.path in _FILE_KINDS or "task.dataset.path" in found:
        for split, files in task.dataset.data_files.items():
            for n, one in enumerate(files):
                if "://" not in one:
                    key = f"task.dataset.data_files.{split}"
                    found[key if n == 0 else f"{key} ({one})"] = one
    for key, path in found.items():
        if not path.startswith(("/", "~")):
            raise Unfit(
                f"{key}: a relative path cannot be submitted; got {path}. Data and models do not"
                " travel with a job.",
                mend="put it where every node of the cluster sees it, and give that absolute"
                f" path: --set {key.partition(' ')[0]}=...",
            )
    return found


def _is_path(text: str) -> bool:
    return text.startswith(("/", "~", "./", "../")) or (bool(text) and Path(text).is_dir())


def _code(given: str) -> str:
    path = Path(given).expanduser()
    try:
        n_bytes = path.stat().st_size
        text = path.read_bytes().decode("utf-8") if n_bytes <= LARGEST_BYTES else ""
    except OSError as error:
        raise Unfit(
            f"task.type: {given} cannot be read: {error.strerror}.",
            mend="check the path; relative ones start at the working directory.",
        ) from error
    except UnicodeDecodeError as error:
        raise Unfit(f"task.type: {given} is no text in UTF-8.", mend="save it as UTF-8.") from error
    if n_bytes > LARGEST_BYTES:
        raise Unfit(
            f"task.type: a Python file that travels must be at most {size(LARGEST_BYTES)}; {given}"
            f" has {size(n_bytes)}.",
            mend="keep data out of it: put them where every node sees them.",
        )
    line = next(secret_lines(text), None)
    if line is not None:
        raise Unfit(
            f"task.type: {given}:{line} seems to hold a secret, and the cluster keeps what travels"
            " for whoever may look at its dashboard.",
            mend="take it from the environment there: os.environ[...] reads what the cluster has.",
        )
    return text


def secret_lines(code: str) -> Iterator[int]:
    """Lines of a Python text where a secret seems to stand: in a string or a comment.

    Names and calls are none: `token = os.environ["HF_TOKEN"]` says where a secret stands. What is
    no Python is searched as plain text.
    """
    try:
        tree = ast.parse(code)
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        yield from (n for n, line in enumerate(code.splitlines(), 1) if holds_secret(line))
        return
    lines = {t.start[0] for t in tokens if t.type == tokenize.COMMENT and holds_secret(t.string)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and holds_secret(str(node.value)):
            lines.add(node.lineno)
        for name, value in _named(node):
            if names_secret(name) and _is_secret(value):
                lines.add(value.lineno)
    yield from sorted(lines)


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Values with the name they are given: assigned, passed by keyword, in a dict, a default."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Attribute):
                yield target.attr, node.value
            elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                yield str(target.slice.value), node.value
    elif isinstance(node, ast.keyword) and node.arg is not None:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant):
                yield str(key.value), value
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args][::-1]
        for argument, default in zip(positional, node.defaults[::-1], strict=False):
            yield argument.arg, default
        for argument, given in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if given is not None:
                yield argument.arg, given


def _is_secret(value: ast.expr) -> bool:
    """Whether a value under a secret's name is one; a variable's name and a word are none."""
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return False
    text = value.value
    return len(text) >= _SHORTEST_SECRET and not text.isalpha() and _VARIABLE.match(text) is None
