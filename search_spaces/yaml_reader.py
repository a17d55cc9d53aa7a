"""YAML text -> a tree of plain values and their places.

It does not know what a sweep is; `checking.py` does.

PyYAML gives the events, nothing more: its resolver follows YAML 1.1 (`1e-5` is text, `no` is
False, `12:30` a number), its constructor lets a repeated key win silently, runs tags and expands
a 300-byte alias bomb to 387 million items. So scalars are resolved here by YAML 1.2's core
schema, the tree is built here, and everything that a sweep file does not need is a fault: tags,
merge keys, several documents, more than 32 levels or 20,000 values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from search_spaces.errors import Fault, Place, SpecError, shown
from search_spaces.tree import KeyPath, Node, dotted
from search_spaces.yaml_words import in_plain_words

MAX_LEVELS = 32
MAX_VALUES = 20_000
_MAX_DIGITS = 400

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where it was built in
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z|0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = {sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {
    ".nan",
    ".NaN",
    ".NAN",
}
# Escapes in double quotes can write what the file itself may not hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def parse(
    text: str, source: str, lines: Sequence[str] = (), place: Place | None = None
) -> tuple[Node, list[Fault]]:
    """Return the tree of one YAML document, and what in it a sweep file may not use.

    Args:
        text: the YAML.
        source: the file as named in faults.
        lines: the file's lines, for the faults' excerpts.
        place: given for an override: every part of it stands there.

    Raises:
        SpecError: the text is not YAML, has more than one document, or is too deep or too large.
    """
    try:
        builder = _Builder(text, place)
        return builder.document(), builder.faults
    except _Hopeless as hopeless:
        raise SpecError([hopeless.fault], source, lines) from None
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as error:
        raise SpecError([_yaml_fault(error, place)], source, lines) from error


class _Hopeless(Exception):
    """Reading cannot go on after this fault."""

    def __init__(self, place: Place, rule: str, got: str = "", mend: str = "") -> None:
        self.fault = Fault("", place, rule, got, mend)
        super().__init__(rule)


class _Builder:
    """Builds the tree from the parser's events; what can be read past is collected as a fault."""

    def __init__(self, text: str, place: Place | None) -> None:
        parser = _PARSER(text)
        self._events: Iterator[Any] = iter(parser.get_event, None)
        self._fixed = place
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._open: set[str] = set()
        self._count = 0
        self.faults: list[Fault] = []

    def _place(self, event: Any) -> Place:
        if self._fixed is not None:
            return self._fixed
        start, end = event.start_mark, event.end_mark
        end_column = end.column + 1 if end.line == start.line else start.column + 2
        return Place(0, start.line + 1, start.column + 1, max(end_column, start.column + 2))

    def _refuse(self, path: KeyPath, place: Place, rule: str, got: str, mend: str) -> None:
        self.faults.append(Fault(dotted(path), place, rule, got, mend))

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _Hopeless(
                        self._place(event),
                        "a sweep file holds one document",
                        "a second one",
                        "remove the line `---` before it, or make two files",
                    )
                root = self._value(next(self._events), ())
        if root is None:
            place = self._fixed or Place(0, 1, 1, 2)
            raise _Hopeless(place, "the file is empty", "", "`sweep init METHOD` writes one")
        return root

    def _counted(self, place: Place, values: int = 1) -> None:
        self._count += values
        if self._count > MAX_VALUES:
            raise _Hopeless(
                place,
                f"a sweep file holds {MAX_VALUES:,} values at most, aliases counted in full",
                "",
                "write ranges instead of lists, and no alias of an alias",
            )

    def _value(self, event: Any, path: KeyPath, depth: int = 1) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, place)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(path, place, "tags are not allowed", shown(tag), "remove the tag")
        if depth > MAX_LEVELS:
            raise _Hopeless(place, f"{MAX_LEVELS} levels at most", "", "nest less deeply")
        before = self._count
        self._counted(place)
        if event.anchor is not None:
            self._open.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, path, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(inner, (*path, len(items)), depth + 1))
            node = Node(place, "sequence", items=tuple(items))
        else:
            node = Node(place, "mapping", entries=self._entries(path, depth))
        if event.anchor is not None:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _scalar(self, event: Any, path: KeyPath, place: Place) -> Node:
        quoted = bool(event.style)  # None or empty when plain, by the parser that runs
        value = event.value if quoted else resolve(event.value)
        if isinstance(value, BadNumber):
            self._refuse(path, place, value.rule, shown(event.value, 40), value.mend)
            value = 0
        if isinstance(value, str) and _CONTROL.search(value):
            mend = "remove them; a line break is the only one that text may hold"
            self._refuse(path, place, "text holds no control characters", shown(value, 40), mend)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return Node(place, "scalar", value, quoted=quoted, text=event.value if is_number else None)

    def _alias(self, anchor: str, place: Place) -> Node:
        if anchor in self._open:
            raise _Hopeless(place, "a value cannot hold itself", f"*{anchor}", "write it out")
        if anchor not in self._anchors:
            rule, mend = "an alias needs an anchor before it", "write the value out"
            raise _Hopeless(place, rule, f"*{anchor}", mend)
        node, values = self._anchors[anchor]
        self._counted(place, values)
        return replace(node, place=place)

    def _entries(self, path: KeyPath, depth: int) -> dict[str, tuple[Place, Node]]:
        entries: dict[str, tuple[Place, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place = self._place(event)
            key_node = self._value(event, path, depth + 1)
            key = key_node.value
            is_text = key_node.kind == "scalar" and isinstance(key, str)
            inner = (*path, key) if is_text else path
            value = self._value(next(self._events), inner, depth + 1)
            if not is_text:
                got = shown(key_node.data())
                self._refuse(path, place, "a key must be text", got, "put the key in quotes")
            elif key == "<<" and not key_node.quoted:
                rule, mend = "merge keys are not allowed", "write the keys out"
                self._refuse(path, place, rule, "<<", mend)
            elif key in entries:
                first = entries[key][0]
                where = f"; it stood first in line {first.line}" if first.line else ""
                self._refuse(inner, place, f"repeated key{where}", "", "keep one of the two")
            else:
                entries[key] = (place, value)
        return entries


@dataclass(frozen=True)
class BadNumber:
    """A plain scalar that is a number, but none that a sweep file can hold."""

    rule: str
    mend: str


def resolve(text: str) -> Any:
    """Return the value of a plain scalar by YAML 1.2's core schema: null, bool, int, float, text.

    A number that is not finite, or has too many digits, is a BadNumber.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _SPECIAL:
        return BadNumber("must be finite", "write a number, or quotes if it is text")
    if not (_INT.match(text) or _FLOAT.match(text) or _HEX.match(text)):
        return text
    if len(text) > _MAX_DIGITS:
        mend = "write it shorter, or in quotes if it is text"
        return BadNumber(f"a number has {_MAX_DIGITS} digits at most", mend)
    if _INT.match(text):
        return int(text)
    if _HEX.match(text):
        return int(text, 0)
    value = float(text)
    if math.isinf(value):
        return BadNumber("the number is too large", "write a smaller one, or quotes for text")
    return value


def _yaml_fault(error: Exception, place: Place | None) -> Fault:
    """Return the parser's error as a fault in plain words."""
    if isinstance(error, RecursionError):
        return Fault("", place or Place(0, 1, 1, 2), f"{MAX_LEVELS} levels at most")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if place is None:
        line = mark.line + 1 if mark is not None else 1
        column = mark.column + 1 if mark is not None else 1
        place = Place(0, line, column, column + 1)
    said = f"{getattr(error, 'problem', '') or ''} {getattr(error, 'context', '') or ''}"
    rule, mend = in_plain_words(said)
    return Fault("", place, f"not valid YAML: {rule}", "", mend)
