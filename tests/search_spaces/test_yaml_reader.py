"""YAML 1.2, strictly: numbers are numbers, words are words, and nothing is clever."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import yaml

from search_spaces import SpecError, yaml_reader
from search_spaces.tree import Document
from search_spaces.yaml_reader import parse

PARSERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if yaml.__with_libyaml__ else [])]


@pytest.fixture(params=PARSERS, ids=lambda p: p.__name__, autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with libyaml and with PyYAML's own parser: either may be installed."""
    monkeypatch.setattr(yaml_reader, "_PARSER", request.param)


def value(text: str) -> Any:
    node, faults = parse(f"a: {text}", "f")
    assert not faults
    return node.data()["a"]


def refused(text: str) -> str:
    try:
        _, faults = parse(text, "f")
    except SpecError as error:
        faults = list(error.faults)
    assert faults
    return " / ".join(f.rule for f in faults)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5", 1e-5), ("1E5", 1e5), ("1.", 1.0), (".5", 0.5), ("-1", -1), ("+1", 1), ("007", 7),
        ("0x1F", 31), ("0o17", 15), ("1.5e+3", 1500.0), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None),
    ],
)  # fmt: skip
def test_numbers_and_words_of_yaml_1_2(text: str, expected: Any) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


@pytest.mark.parametrize(
    "text",
    ["no", "off", "yes", "on", "y", "12:30", "1_000", "2024-01-01", "0b11", "1,5", "e5", "1e"],
)
def test_words_that_yaml_1_1_took_for_something_else_are_text(text: str) -> None:
    assert value(text) == text


@pytest.mark.parametrize("text", ["'1'", '"1e-5"', '"true"', "'null'"])
def test_what_is_quoted_is_text(text: str) -> None:
    assert value(text) == text[1:-1]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a: 1\na: 2", "repeated key; it stood first in line 1"),
        ("a: {b: 1, b: 2}", "repeated key"),
        ("1: x", "a key must be text"),
        ("null: x", "a key must be text"),
        ("[a]: x", "a key must be text"),
        ("a: !!str x", "tags are not allowed"),
        ("a: ! x", "tags are not allowed"),
        ("!!map {a: 1}", "tags are not allowed"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "merge keys are not allowed"),
        ("a: *x", "an alias needs an anchor before it"),
        ("a: &x [*x]", "a value cannot hold itself"),
        ("a: 1e999", "the number is too large"),
        ("a: .inf", "must be finite"),
        ("a: -.INF", "must be finite"),
        ("a: .NaN", "must be finite"),
        ("a: " + "9" * 500, "400 digits at most"),
        ('a: "\\0"', "no control characters"),
        ('"\\e": 1', "no control characters"),
        ("a: " + "[" * 40 + "]" * 40, "32 levels at most"),
        ("a: [" + "1, " * 20_001 + "]", "20,000 values at most"),
        ("%YAML 1.1\n--- !x\na: b", "tags are not allowed"),
    ],
)
def test_what_a_sweep_file_may_not_hold_is_refused(text: str, rule: str) -> None:
    assert rule in refused(text)


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    names = "abcdefghi"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join(['*' + b] * 9)}]" for b, n in pairwise(names)]
    assert "20,000 values at most" in refused("\n".join(lines))


def test_a_plain_alias_is_a_copy() -> None:
    node, faults = parse("a: &x {b: [1, 2]}\nc: *x", "f")
    assert not faults
    assert node.data() == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_all_that_can_be_read_past_is_reported_at_once() -> None:
    _, faults = parse("a: !x 1\na: 2\nb: .nan\n3: 4", "f")
    assert [(f.place.line, f.place.column) for f in faults] == [(1, 4), (2, 1), (3, 4), (4, 1)]


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: {b: 1", "a: 'x", 'a: "x', "a:\n\tb: 1", "a: b: c", "a: @x", "a: `x`", "a\nb: 1",
     "a: 1\n  b: 2", "- a\nb: 1", "a: ]", "a: }", "a: |x\n y", 'a: "\\q"', "? a\nb", "a: &", "*",
     "%FOO\na: 1", "a: !<x", "a: [}", "&a &b c"],
)  # fmt: skip
def test_broken_yaml_is_explained_without_the_parsers_own_words(text: str) -> None:
    rule = refused(text)
    for word in (
        "expected",
        "token",
        "context",
        "block",
        "flow",
        "node",
        "scalar",
        "document start",
    ):
        assert word not in rule


def test_places_are_those_of_keys_and_values() -> None:
    node, _ = parse("task:\n  model: x\n  splits: {train: 'a b'}\nlist:\n- 1\n- 22", "f")
    document = Document(node, "f", ())
    assert document.place(("task", "model")).column == 10
    assert document.place(("task", "model"), key=True).column == 3
    place = document.place(("task", "splits", "train"))
    assert (place.line, place.column, place.end_column) == (3, 19, 24)
    assert (document.place(("list", 1)).line, document.place(("list", 1)).column) == (6, 3)


def test_the_place_of_what_is_missing_is_its_nearest_parents_key() -> None:
    node, _ = parse("task:\n  dataset: {path: x}", "f")
    assert Document(node, "f", ()).place(("task", "dataset", "text")).column == 3
    assert Document(node, "f", ()).place(("metric",)).line == 1
