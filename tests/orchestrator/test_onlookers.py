"""Who looks on a study may go away; the study stays."""

from __future__ import annotations

import io
import os
import sys

import pytest

from orchestrator.onlookers import as_long_as_it_can
from sweeps.console import Surface


@pytest.mark.parametrize("error", [SystemExit(1), BrokenPipeError(), OSError(28, "full")])
def test_who_cannot_show_any_more_is_not_asked_again(error: BaseException) -> None:
    asked: list[str] = []

    def show(text: str) -> None:
        asked.append(text)
        if text == "two":
            raise error

    shown = as_long_as_it_can(show)
    for text in ("one", "two", "three"):
        shown(text)
    assert asked == ["one", "two"]


def test_a_mistake_of_ours_is_not_taken_for_a_closed_terminal() -> None:
    def show(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        as_long_as_it_can(show)("one")


def test_a_wrong_value_is_a_mistake_unless_the_terminal_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def show(text: str) -> None:
        raise ValueError(text)

    shown = as_long_as_it_can(show)
    with pytest.raises(ValueError, match="one"):
        shown("one")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    shown("two")


def test_a_pipe_without_a_reader_is_a_place_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with io.TextIOWrapper(io.FileIO(write, "w"), write_through=True) as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        surface = Surface(plain=True)
        with pytest.raises(SystemExit):
            surface.say("one")
        shown = as_long_as_it_can(surface.say)
        shown("two")
        shown("three")
