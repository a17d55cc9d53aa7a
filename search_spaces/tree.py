"""A parsed sweep file: a tree of values, each with the place it stands at.

How text becomes a tree is in `yaml_reader.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search_spaces.errors import Place

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a file down to one value."""


def dotted(path: KeyPath) -> str:
    """Return a path as it is written in a message: `a.b[0].c`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


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

    def node(self, path: KeyPath) -> Node | None:
        """Return the value at path, None when there is none."""
        found = self._walk(path)
        return found[1] if found is not None and found[2] == len(path) else None

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
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

    def _walk(self, path: KeyPath) -> tuple[Place | None, Node, int]:
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
