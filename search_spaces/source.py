"""YAML text -> plain data, and where each key and value of it stands.

It does not know what a sweep is; `reading.py` does.

PyYAML gives the events, nothing more: its resolver follows YAML 1.1 (`1e-5` is text, `no` is
False, `12:30` a number), its constructor lets a repeated key win silently, runs tags and expands
a 300-byte alias bomb to 387 million items. So scalars are resolved here by YAML 1.2's core
schema, the tree is built here, and everything that a sweep file does not need is a fault: tags,
merge keys, several documents, more than 1 MiB, 32 levels or 50,000 values.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import Fault, Place, SpecError, shown

MAX_BYTES = 1 << 20
MAX_LEVELS = 32
MAX_VALUES = 50_000
_MAX_DIGITS = 400

_PARSER = getattr(yaml, "CParser", None)  # libyaml: 1 MiB in well under a second
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z|0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = {
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# What a YAML file may not hold as a character, escapes aside (YAML 1.2, production c-printable).
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One value: where it stands and, by kind, its scalar value, its items or its entries.

    Attributes:
        place: where the value stands.
        kind: scalar, sequence or mapping.
        value: the resolved scalar; None for the others.
        items: of a sequence.
        entries: of a mapping: key -> (place of the key, value).
        quoted: whether a scalar stood in quotes or in a block, so that it is text for certain.
        text: a plain number as it was written (1e-5); None for everything else.
    """

    place: Place
    kind: str
    value: Any = None
    items: tuple[Node, ...] = ()
    entries: dict[str, tuple[Place, Node]] | None = None
    quoted: bool = False
    text: str | None = None

    def data(self) -> Any:
        """Return the value as plain data: dict, list, str, int, float, bool, None."""
        if self.entries is not None:
            return {key: node.data() for key, (_, node) in self.entries.items()}
        if self.kind == "sequence":
            return [node.data() for node in self.items]
        return self.value


class Document:
    """A parsed file: its plain data and the place of each part of it."""

    def __init__(self, root: Node, source: str, lines: Sequence[str]) -> None:
        self.root = root
        self.source = source
        self.lines = tuple(lines)

    def data(self) -> Any:
        """Return the whole as plain data."""
        return self.root.data()

    def node(self, path: Path_) -> Node | None:
        """Return the value at path, None when there is none."""
        found = self._walk(path)
        return found[1] if found is not None and found[2] == len(path) else None

    def place(self, path: Path_, *, key: bool = False) -> Place:
        """Return where the value at path stands; of what is not there, its nearest parent.

        Args:
            path: keys and list positions from the top.
            key: the place of the key instead of its value's.
        """
        key_place, node, depth = self._walk(path)
        parent_of_missing = depth < len(path)
        if (key or parent_of_missing) and key_place is not None:
            return key_place
        return node.place

    def _walk(self, path: Path_) -> tuple[Place | None, Node, int]:
        key_place: Place | None = None
        node = self.root
        for depth, step in enumerate(path):
            if node.entries is not None and isinstance(step, str) and step in node.entries:
                key_place, node = node.entries[step]
            elif isinstance(step, int) and 0 <= step < len(node.items):
                node = node.items[step]
                key_place = node.place
            else:
                return key_place, node, depth
        return key_place, node, len(path)


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


def parse(text: str, source: str, lines: Sequence[str] = (), place: Place | None = None) -> Node:
    """Return the tree of one YAML document.

    Args:
        text: the YAML.
        source: the file as named in faults.
        lines: the file's lines, for the faults' excerpts.
        place: given for an override: every part of it stands there.

    Raises:
        SpecError: the text is not YAML, or uses what a sweep file may not (see the module).
    """
    try:
        return _Builder(text, place).document()
    except _Refused as refused:
        raise SpecError([refused.fault], source, lines) from None
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as error:
        raise SpecError([_yaml_fault(error, text, place)], source, lines) from error


class _Refused(Exception):
    def __init__(self, place: Place, rule: str, got: str = "", mend: str = "") -> None:
        self.fault = Fault("", place, rule, got, mend)
        super().__init__(rule)


class _Builder:
    """Builds the tree from the parser's events, iteratively in effect: at most 32 levels deep."""

    def __init__(self, text: str, place: Place | None) -> None:
        parser = (_PARSER or yaml.Loader)(text)
        self._events: Iterator[Any] = iter(parser.get_event, None)
        self._fixed = place
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._count = 0

    def _place(self, event: Any) -> Place:
        if self._fixed is not None:
            return self._fixed
        start, end = event.start_mark, event.end_mark
        end_column = end.column + 1 if end.line == start.line else start.column + 2
        return Place(0, start.line + 1, start.column + 1, max(end_column, start.column + 2))

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _Refused(
                        self._place(event),
                        "a sweep file holds one document",
                        "a second one",
                        "remove the line `---` before it, or make two files",
                    )
                root = self._value(next(self._events), 1)
        if root is None:
            place = self._fixed or Place(0, 1, 1, 2)
            raise _Refused(place, "the file is empty", "", "`sweep init METHOD` writes one")
        return root

    def _counted(self, place: Place, values: int = 1) -> None:
        self._count += values
        if self._count > MAX_VALUES:
            raise _Refused(
                place,
                f"a sweep file holds {MAX_VALUES:,} values at most, aliases counted in full",
                "",
                "write ranges instead of lists, and no alias of an alias",
            )

    def _value(self, event: Any, level: int) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, place)
        if event.tag not in (None, "!") or (event.tag == "!" and event.implicit is False):
            raise _Refused(place, "tags are not allowed", shown(event.tag), "remove the tag")
        if level > MAX_LEVELS:
            raise _Refused(place, f"{MAX_LEVELS} levels at most", "", "nest less deeply")
        before = self._count
        self._counted(place)
        if event.anchor is not None:
            self._open.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            quoted = event.style is not None
            value = event.value if quoted else resolve(event.value, place)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            text = event.value if is_number and not quoted else None
            node = Node(place, "scalar", value, quoted=quoted, text=text)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(inner, level + 1))
            node = Node(place, "sequence", items=tuple(items))
        else:
            node = Node(place, "mapping", entries=self._entries(level))
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, anchor: str, place: Place) -> Node:
        if anchor in self._open:
            raise _Refused(place, "a value cannot hold itself", f"*{anchor}", "write the value out")
        if anchor not in self._anchors:
            raise _Refused(
                place, "an alias needs an anchor before it", f"*{anchor}", "write the value out"
            )
        node, values = self._anchors[anchor]
        self._counted(place, values)
        return replace(node, place=place)

    def _entries(self, level: int) -> dict[str, tuple[Place, Node]]:
        entries: dict[str, tuple[Place, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = self._place(event)
            key_node = self._value(event, level + 1)
            key = key_node.value
            if key_node.kind != "scalar" or not isinstance(key, str):
                got = shown(key_node.data())
                raise _Refused(place, "a key must be text", got, "put the key in quotes")
            if key == "<<" and not key_node.quoted:
                raise _Refused(place, "merge keys are not allowed", "<<", "write the keys out")
            if key in entries:
                first = entries[key][0]
                where = f" (first in line {first.line})" if first.line else ""
                raise _Refused(place, f"repeated key{where}", shown(key), "keep one of the two")
            entries[key] = (place, self._value(next(self._events), level + 1))
        return entries


def resolve(text: str, place: Place) -> Any:
    """Return the value of a plain scalar by YAML 1.2's core schema: null, bool, int, float, text.

    Raises:
        _Refused: a number that has too many digits or is too large for a float.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not (_INT.match(text) or _FLOAT.match(text) or _HEX.match(text)):
        return text
    if len(text) > _MAX_DIGITS:
        mend = "write it shorter, or in quotes if it is text"
        raise _Refused(place, f"a number has {_MAX_DIGITS} digits at most", shown(text, 40), mend)
    if _INT.match(text):
        return int(text)
    if _HEX.match(text):
        return int(text, 0)
    value = float(text)
    if value in (float("inf"), float("-inf")):
        mend = "write a smaller number, or quotes if it is text"
        raise _Refused(place, "the number is too large", shown(text, 40), mend)
    return value


# libyaml's words, which name its own states -> the rule in plain words, and the mend.
_YAML_WORDS = (
    ("cannot start any token", "a tab or a reserved character stands where a value should begin",
     "indent with spaces, and put text that begins with @ ` % or a tab in quotes"),
    ("mapping values are not allowed", "a second `:` in this place makes no mapping",
     "put text with a colon in quotes, or check the indentation"),
    ("could not find expected ':'", "a key needs a `:` after it", "write `key: value`"),
    ("did not find expected ',' or", "a bracket is not closed, or a comma is missing",
     "check the brackets and commas of this line and those before it"),
    ("did not find expected key", "the indentation does not fit",
     "give the keys of one section the same indentation, in spaces"),
    ("did not find expected '-' indicator", "the indentation of the list does not fit",
     "give the items of one list the same indentation"),
    ("did not find expected node content", "a value is missing", "write a value"),
    ("found unexpected end of stream", "a quote or bracket is not closed", "close it"),
    ("found unexpected document indicator", "a quote is not closed before the document's end",
     "close it"),
    ("unknown escape character", "an unknown escape in double quotes",
     "double the backslash, or use single quotes"),
    ("did not find expected hexdecimal", "an escape in double quotes lacks digits",
     "double the backslash, or use single quotes"),
    ("block sequence entries are not allowed", "a list item cannot stand here",
     "begin the list on its own line"),
    ("block mapping", "the indentation does not fit", "indent with spaces, evenly"),
    ("simple key", "a key needs a `:` after it", "write `key: value`"),
    ("undefined tag handle", "tags are not allowed", "remove the tag"),
    ("tag", "tags are not allowed", "remove the tag, or put the text in quotes"),
    ("anchor", "an anchor or alias needs a name", "put text that begins with & or * in quotes"),
    ("alias", "an anchor or alias needs a name", "put text that begins with & or * in quotes"),
    ("directive", "YAML directives are not allowed", "remove the line that begins with %"),
    ("expected the document start", "text follows after the document's end",
     "remove it, or put it above"),
    ("document start", "text follows after the document's end", "remove it, or put it above"),
)  # fmt: skip


def _yaml_fault(error: Exception, text: str, place: Place | None) -> Fault:
    """Return a parser's error as a fault in plain words."""
    if isinstance(error, RecursionError):
        return Fault("", place or Place(0, 1, 1, 2), f"{MAX_LEVELS} levels at most")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if place is None:
        line = mark.line + 1 if mark is not None else 1
        column = mark.column + 1 if mark is not None else 1
        place = Place(0, line, column, column + 1)
    said = f"{getattr(error, 'problem', '') or ''} {getattr(error, 'context', '') or ''}"
    for words, rule, mend in _YAML_WORDS:
        if words in said:
            return Fault("", place, f"not valid YAML: {rule}", "", mend)
    return Fault(
        "", place, "not valid YAML here", "", "check indentation, quotes and brackets around it"
    )
