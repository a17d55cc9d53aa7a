"""Puts the hand-written cluster in the place of Ray's client, and time that passes by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator import jobs
from orchestrator.jobs import Jobs
from tests.submission.clusters import ADDRESS, Client


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attached(clock: Clock) -> Callable[[Client], Jobs]:
    """Makes the jobs of a cluster on that clock."""

    def make(client: Client, *, has_token: bool = True, answer_s: float = 5.0) -> Jobs:
        made = Jobs(ADDRESS, has_token=has_token, clock=clock, sleep=clock.sleep, answer_s=answer_s)
        made.attach(lambda: client)
        return made

    return make


@pytest.fixture
def installed(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[Client], Client]:
    """Lets every command reach this cluster; ray[default] is not needed for it."""

    def install(client: Client) -> Client:
        monkeypatch.setattr(jobs, "_NEEDED", ())
        monkeypatch.setattr(jobs, "open_client", lambda address, headers: client)
        defaults = Jobs.__init__.__kwdefaults__
        monkeypatch.setitem(defaults, "clock", clock)
        monkeypatch.setitem(defaults, "sleep", clock.sleep)
        return client

    return install
