"""Mutated sweep files for the fuzz tests: bytes, tokens, types, tags, aliases, depth, encodings.

`mutants(text, count, seed)` yields (what was done, bytes). The same seed gives the same mutants.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

VALUES = (
    "",
    "null",
    "~",
    "yes",
    "no",
    "true",
    "1",
    "0",
    "-1",
    "1e999",
    "-1e400",
    ".nan",
    ".inf",
    "1e-5",
    "'1e-5'",
    '"16"',
    "1_000",
    "0x1F",
    "0o17",
    "12:30",
    "2024-01-01",
    "[]",
    "{}",
    "[[]]",
    "[1, [2]]",
    "{a: {b: {c: d}}}",
    "[null]",
    "{null: 1}",
    "{1: 2}",
    "{true: 1}",
    "{? [a] : b}",
    "!!python/object:os.system x",
    "!!python/object/apply:os.system [id]",
    "!foo bar",
    "!!str 1",
    "&a [*a]",
    "*nowhere",
    "&x 1",
    "<<: {a: 1}",
    "'",
    '"',
    "[",
    "{",
    "}",
    "]",
    "- -",
    ": :",
    "a: b: c",
    "|",
    ">",
    "|+1",
    "@x",
    "`x`",
    "%TAG",
    "---",
    "...",
    "\t",
    "\u00e9\u4e2d\U0001f600",
    "\\x00",
    '"\\x00"',
    '"\\ud800"',
    '"\\uFFFF"',
    '"\\e[31m"',
    "../../etc/passwd",
    "/etc/passwd",
    "${HOME}",
    "$(id)",
    "9" * 50,
    "9" * 5000,
    "1." + "0" * 3000,
    "a" * 5000,
    "[" * 40 + "]" * 40,
    "{a: " * 40 + "1" + "}" * 40,
    "[1, 2, 3, 4, 5]",
    "[a, b]",
    "{value: 1}",
    "{values: [1, 1]}",
    "{min: 1}",
    "{min: 1, max: 0}",
    "{min: a, max: b}",
    "{min: .nan, max: .inf}",
    "{min: 0, max: 1, q: 0}",
    "{distribution: normal, mu: a, sigma: .inf}",
    "{distribution: log_uniform, min: 900, max: -900}",
    "{distribution: [1]}",
    "{distribution: q_uniform, min: 1e-300, max: 1e300, q: 1e-300}",
    "{distribution: q_log_uniform_values, min: 1e99, max: 1e100, q: 7}",
    "{values: [[1], {a: 1}, null]}",
    "{parameters: {a: {parameters: {b: {value: 1}}}}}",
    "{parameters: 1}",
    "{from: train}",
    "{from: x, size: -1}",
    "99999999999999999999",
    "-99999999999999999999",
    "4294967296",
    "1.5",
    "-0.0",
    "1e100",
    "5e-324",
)
KEYS = ("", "null", "a.b.c", "task.", "task..x", "parameters", '"\\x1b[2J"', "=", "1", "<<")
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
Mutation = Callable[[str, random.Random], bytes]


def _bytes(text: str, rng: random.Random) -> bytes:
    raw = bytearray(text.encode())
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(raw))
        raw[at] = rng.choice((0, 9, 10, 13, 255, 0x85, 0xC0, 0xE2, rng.randrange(256)))
    return bytes(raw)


def _cut(text: str, rng: random.Random) -> bytes:
    a, b = sorted(rng.randrange(len(text)) for _ in range(2))
    return (text[:a] + text[b:]).encode() if rng.random() < 0.5 else text[:a].encode()


def _tokens(text: str, rng: random.Random) -> bytes:
    parts = re.split(r"(\s+|[:,\[\]{}])", text)
    for _ in range(rng.randint(1, 5)):
        a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
        parts[a], parts[b] = parts[b], parts[a]
    return "".join(parts).encode()


def _values(text: str, rng: random.Random) -> bytes:
    spots = list(re.finditer(r"(?<=: )[^\n,{}\[\]]+", text))
    for spot in sorted(
        rng.sample(spots, min(len(spots), rng.randint(1, 3))), key=lambda m: -m.start()
    ):
        text = text[: spot.start()] + rng.choice(VALUES) + text[spot.end() :]
    return text.encode("utf-8", "surrogatepass")


def _keys(text: str, rng: random.Random) -> bytes:
    spots = list(re.finditer(r"[A-Za-z_.]+(?=:)", text))
    for spot in sorted(
        rng.sample(spots, min(len(spots), rng.randint(1, 3))), key=lambda m: -m.start()
    ):
        word = spot.group()
        at = rng.randrange(len(word))
        near = (word + "s", word[:at] + word[at + 1 :], word.upper(), word[::-1], "? " + word)
        new = rng.choice((*near, *KEYS))
        text = text[: spot.start()] + new + text[spot.end() :]
    return text.encode()


def _lines(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                lines.insert(at, lines[at])
            case 1:
                lines[at] = " " * rng.randint(1, 5) + lines[at]
            case 2:
                lines[at] = "\t" + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case _:
                lines.insert(
                    at, rng.choice(("---\n", "...\n", "%YAML 1.1\n", "- x\n", "<<: *a\n", "}\n"))
                )
    return "".join(lines).encode()


def _whole(text: str, rng: random.Random) -> bytes:
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-32"),
        lambda: ("é" + text).encode("latin-1", "replace"),
        lambda: b"\xef\xbb\xbf\xef\xbb\xbf" + text.encode(),
        lambda: b"\x00" + text.encode(),
        lambda: b"\x80\x04\x95.",
        lambda: _BOMB.encode() + text.encode(),
        lambda: (text + "x: " + "[" * 3000).encode(),
        lambda: ("x: " + "{a: " * 500 + "\n" + text).encode(),
        lambda: (text + "y: [" + "1, " * 60_000 + "]\n").encode(),
        lambda: (text + "# " + "x" * (1 << 20)).encode(),
        lambda: text.encode() * 40,
        lambda: b"- " + text.encode().replace(b"\n", b"\n  "),
        lambda: b"just text",
        lambda: b"42",
        lambda: text.replace("\n", "\r").encode() + b"\x0c",
        lambda: ("? " * 200 + "a\n" + text).encode(),
        lambda: ("- " * 400 + "a\n").encode(),
        lambda: ("&a " * 3 + "b\n").encode(),
    )
    return rng.choice(kinds)()


MUTATIONS: dict[str, Mutation] = {
    "bytes": _bytes, "cut": _cut, "tokens": _tokens, "values": _values, "keys": _keys,
    "lines": _lines, "whole": _whole,
}  # fmt: skip


def mutants(text: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield mutants of a sweep file, each kind of mutation in its turn."""
    names = list(MUTATIONS)
    for number in range(count):
        name = names[number % len(names)]
        rng = random.Random(f"{seed}/{number}")
        yield f"{name} {seed}/{number}", MUTATIONS[name](text, rng)
