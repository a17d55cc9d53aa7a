"""`--set a.b.c=value`: replaces, adds or removes one key of a parsed sweep file.

The value is YAML; `null` removes the key. Names in `parameters` hold dots themselves
(`task.max_length`), so there the longest name that the file has is taken, and of a new name all
up to a domain's own key (min, max, values ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.domain_keys import KEYS
from search_spaces.errors import Fault, Place, SpecError, printable
from search_spaces.tree import Node
from search_spaces.yaml_reader import parse

_MEND = "write --set a.b.c=value, such as --set budget.epochs=8"


def apply_overrides(root: Node, overrides: Sequence[str]) -> tuple[Node, list[Fault]]:
    """Return the tree with the overrides in it, and the faults of those that cannot be applied.

    Args:
        root: the file's tree; a mapping. It is not changed.
        overrides: `a.b.c=value` each, applied one after the other.
    """
    faults: list[Fault] = []
    for number, text in enumerate(overrides, start=1):
        place = Place(origin=number, label=f"--set {text}")
        dotted, equals, value = text.partition("=")
        dotted = dotted.strip()
        if not equals or not dotted or not all(dotted.split(".")):
            faults.append(Fault("", place, "must be a dotted key, `=` and a value", "", _MEND))
            continue
        try:
            node = Node(place, "scalar")
            if value.strip():
                node, refused = parse(value, "", place=place)
                faults += [replace(f, path=_joined(dotted, f.path)) for f in refused]
            root = _put(root, split_key(root, dotted), node, place, ())
        except SpecError as error:
            faults += [replace(f, path=f.path or printable(dotted)) for f in error.faults]
    return root, faults


def with_name(root: Node, name: str) -> Node:
    """Return the tree with the study's name given by `--name`."""
    place = Place(origin=1_000_000, label=f"--name {printable(name, 100)}")
    node = Node(place, "scalar", name, quoted=True)
    return _put(root, ("name",), node, place, ())


def split_key(root: Node, dotted: str) -> tuple[str, ...]:
    """Return the keys of a dotted one; see the module for names that hold dots."""
    head, _, rest = dotted.partition(".")
    if head != "parameters" or not rest:
        return tuple(dotted.split("."))
    section = (root.entries or {}).get("parameters")
    names = sorted((section[1].entries or {}) if section else (), key=len, reverse=True)
    for name in names:
        if rest == name:
            return ("parameters", name)
        if rest.startswith(f"{name}."):
            return ("parameters", name, *rest[len(name) + 1 :].split("."))
    steps = rest.split(".")
    # task.max_length.min: a domain's key comes last, and only after a whole name.
    cut = len(steps) - 1 if len(steps) > 1 and steps[-1] in KEYS else len(steps)
    return ("parameters", ".".join(steps[:cut]), *steps[cut:])


def _joined(dotted: str, inner: str) -> str:
    return printable(".".join(filter(None, (dotted, inner))))


def _put(
    node: Node, keys: tuple[str, ...], value: Node, place: Place, above: tuple[str, ...]
) -> Node:
    key, *rest = keys
    if node.kind == "sequence":
        return _put_item(node, keys, value, place, above)
    if node.kind == "scalar" and node.value is not None:
        rule = f"{'.'.join(above)} holds a value, not keys"
        raise SpecError([Fault(".".join((*above, key)), place, rule, "", "set it whole")], "")
    entries = dict(node.entries or {})
    if not rest:
        if value.kind == "scalar" and value.value is None and not value.quoted:
            entries.pop(key, None)
        else:
            entries[key] = (place, value)
    else:
        inner = entries[key][1] if key in entries else Node(place, "mapping", entries={})
        key_place = entries[key][0] if key in entries else place
        entries[key] = (key_place, _put(inner, tuple(rest), value, place, (*above, key)))
    return replace(node, kind="mapping", value=None, entries=entries)


def _put_item(
    node: Node, keys: tuple[str, ...], value: Node, place: Place, above: tuple[str, ...]
) -> Node:
    key, *rest = keys
    items = list(node.items)
    if not key.isascii() or not key.isdigit() or len(key) > 6 or int(key) > len(items):
        rule = f"{'.'.join(above)} is a list: its items are 0 to {len(items)}"
        raise SpecError([Fault(".".join((*above, key)), place, rule, "", "set it whole")], "")
    at = int(key)
    if at == len(items):
        items.append(Node(place, "mapping", entries={}))
    items[at] = _put(items[at], tuple(rest), value, place, (*above, key)) if rest else value
    return replace(node, items=tuple(items))


__all__ = ["apply_overrides", "split_key", "with_name"]
