"""What checking a sweep file has found so far: faults with their places, and notes.

The rules speak of paths in the data as it stands after translation (`normalise.py`); a value that
was moved there still stands in the file where its writer put it, and that is what is named.
"""

from __future__ import annotations

from typing import Any

from search_spaces.errors import Fault, Place, printable, shown
from search_spaces.tree import Document, KeyPath, dotted


class Findings:
    """Collects faults and notes about one document.

    Attributes:
        faults: in the order they were found.
        notes: what was translated or is not used, a sentence each.
        moved: path after translation -> path in the document.
    """

    def __init__(self, document: Document, *, force: bool = False) -> None:
        self.document = document
        self.force = force
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        self.moved: dict[KeyPath, KeyPath] = {}
        self._bad: set[KeyPath] = set()

    def where(self, path: KeyPath) -> KeyPath:
        """Return the path in the document of a path after translation."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                return self.moved[path[:length]] + path[length:]
        return path

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Return where the value (or the key) of a path after translation stands."""
        return self.document.place(self.where(path), key=key)

    def written(self, path: KeyPath) -> str:
        """Return the value at a path after translation as its writer wrote it, "" for none."""
        node = self.document.node(self.where(path))
        if node is None:
            return ""
        return printable(node.text, 80) if node.text is not None else shown(node.data())

    def fault(
        self,
        path: KeyPath,
        rule: str,
        *,
        got: object = ...,
        mend: str = "",
        at_key: bool = False,
        sense: bool = False,
    ) -> None:
        """Add a fault.

        Args:
            path: of the value, after translation.
            rule: what must hold.
            got: a text for what was given; by default the value that stands there.
            mend: what to write instead.
            at_key: whether the place is the key, not the value.
            sense: whether `--force` lets it through.
        """
        if sense and self.force:
            self.note(f"{dotted(self.where(path))}: {rule}; let through by --force")
            return
        self._bad.add(path)
        original = self.where(path)
        if got is ...:
            got = "" if at_key else self.written(path)
        if sense:
            mend = f"{mend}, or pass --force" if mend else "pass --force if you mean it"
        place = self.document.place(original, key=at_key)
        self.faults.append(Fault(dotted(original), place, rule, str(got), mend, sense))

    def note(self, text: str) -> None:
        """Add a note, once."""
        safe = printable(text, 500)
        if safe not in self.notes:
            self.notes.append(safe)

    def is_bad(self, *path: str | int) -> bool:
        """Return whether a fault was found at path, above or below it."""
        return any(b[: len(path)] == path or path[: len(b)] == b for b in self._bad)


def section(data: Any, key: str) -> dict[str, Any]:
    """Return the mapping under a key of data, an empty one when there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}
