"""The first signal is told; the second ends the process, whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from orchestrator.signals import SIGNALS, Signals, name_of


class Exited(BaseException):
    """Stands for the end of the process: nothing after it would run."""


@pytest.fixture(autouse=True)
def _not_by_nohup() -> Iterator[None]:
    """As in a terminal, however the tests were started."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended."""
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise Exited

    monkeypatch.setattr(os, "_exit", leave)
    return codes


def test_the_first_signal_is_told_and_the_second_ends_the_process(exits: list[int]) -> None:
    told: list[object] = []
    signals = Signals(told.append, lambda: told.append("at once"))
    with signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        assert (told, signals.number) == ([signal.SIGTERM], signal.SIGTERM)
        with pytest.raises(Exited):
            os.kill(os.getpid(), signal.SIGINT)
    assert told == [signal.SIGTERM, "at once"]
    assert exits == [130]


@pytest.mark.parametrize("error", [RuntimeError("changed size"), PermissionError(1, "no")])
def test_the_second_signal_ends_the_process_when_ending_the_workers_fails(
    exits: list[int], error: Exception
) -> None:
    def fails() -> None:
        raise error

    with Signals(lambda number: None, fails).held():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Exited):
            os.kill(os.getpid(), signal.SIGTERM)
    assert exits == [143]


def test_who_had_the_signals_before_gets_them_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    signals = Signals(lambda number: None, lambda: None)
    with signals.held():
        assert all(signal.getsignal(number) == signals._arrived for number in SIGNALS)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert name_of(signal.SIGUSR1) == "SIGUSR1"


def test_a_closed_terminal_is_told_as_the_others_are() -> None:
    told: list[int] = []
    with Signals(told.append, lambda: None).held():
        os.kill(os.getpid(), signal.SIGHUP)
    assert told == [signal.SIGHUP]


def test_who_was_started_to_outlive_the_terminal_does() -> None:
    told: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals(told.append, lambda: None).held():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert told == []
