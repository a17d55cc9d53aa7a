"""The searcher beside the driver: it answers, outlives what it should, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StudyError
from orchestrator.sampler_process import Answer, InlineSearcher, SamplerProcess, open_searcher
from orchestrator.searchers import Proposal, make_searcher
from tests.orchestrator.deciding import ended, proposed, reported, sweep

SPEC = sweep("bayes", run_cap=30, sampler="tpe")
LONG_S = 60.0


class Answers:
    """Collects answers and waits for them."""

    def __init__(self) -> None:
        self._all: list[Answer] = []
        self._arrived = threading.Condition()

    def __call__(self, answer: Answer) -> None:
        with self._arrived:
            self._all.append(answer)
            self._arrived.notify_all()

    def wait(self, count: int = 1) -> Answer:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._all) >= count, LONG_S)
            return self._all[count - 1]


@pytest.fixture
def process() -> Iterator[SamplerProcess]:
    searcher = SamplerProcess(SPEC)
    yield searcher
    searcher.close()


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie that nobody waited for counts as ended)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def live(searcher: Any, count: int) -> list[Answer]:
    """Run this many trials, one after the other; return what was proposed."""
    answers = Answers()
    found: list[Answer] = []
    for number in range(count):
        searcher.request(number, answers)
        proposal = answers.wait(number + 1)
        assert isinstance(proposal, Proposal)
        found.append(proposal)
        searcher.observe(proposed(number, proposal.config, boundaries=1))
        searcher.observe(reported(number, 1, -abs(proposal.config["learning_rate"] - 1e-4)))
        searcher.observe(ended(number))
    return found


def test_it_proposes_what_the_searcher_in_this_process_proposes(process: SamplerProcess) -> None:
    assert live(process, 6) == live(InlineSearcher(make_searcher(SPEC)), 6)


def test_a_request_returns_before_the_answer(process: SamplerProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    answers = Answers()
    process.request(0, answers)
    for number in range(3000):
        process.observe(reported(0, number, 0.5))
    os.kill(process.pid, signal.SIGCONT)
    process.close()


def test_a_child_that_dies_is_replaced_and_goes_on_with_the_same_proposals(
    process: SamplerProcess,
) -> None:
    expected = live(InlineSearcher(make_searcher(SPEC)), 6)
    assert live(process, 5) == expected[:5]
    answers = Answers()
    os.kill(process.pid, signal.SIGSTOP)
    process.request(5, answers)
    first = process.pid
    os.kill(first, signal.SIGKILL)
    assert answers.wait() == expected[5]
    assert process.pid != first


def test_a_child_that_dies_twice_is_an_error_not_a_hang(process: SamplerProcess) -> None:
    answers = Answers()
    live(process, 1)
    first = process.pid
    os.kill(first, signal.SIGSTOP)
    process.request(1, answers)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + LONG_S
    while process.pid == first and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    error = answers.wait()
    assert isinstance(error, StudyError)
    assert "status -9" in str(error)
    process.request(2, answers)
    assert isinstance(answers.wait(2), StudyError)


def test_a_child_that_cannot_be_started_again_is_an_error_not_a_hang(
    process: SamplerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*arguments: object, **keys: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    answers = Answers()
    live(process, 1)
    os.kill(process.pid, signal.SIGSTOP)
    process.request(1, answers)
    monkeypatch.setattr(subprocess, "Popen", no_memory)
    os.kill(process.pid, signal.SIGKILL)
    error = answers.wait()
    assert isinstance(error, StudyError)
    assert "status -9; another one cannot be started" in str(error)
    process.request(2, answers)
    assert isinstance(answers.wait(2), StudyError)
    with pytest.raises(StudyError, match="cannot be started"):
        SamplerProcess(SPEC)


def test_a_child_that_thinks_for_too_long_is_replaced() -> None:
    process = SamplerProcess(SPEC)
    try:
        live(process, 1)
        answers, first = Answers(), process.pid
        os.kill(first, signal.SIGSTOP)
        process._patience_s = 0.5
        process.request(1, answers)
        deadline = time.monotonic() + LONG_S
        while process.pid == first and time.monotonic() < deadline:
            time.sleep(0.01)
        process._patience_s = LONG_S
        assert gone(first) and isinstance(answers.wait(), Proposal)
    finally:
        process.close()


def test_what_the_searcher_raises_arrives_as_an_error(process: SamplerProcess) -> None:
    answers = Answers()
    process.observe(reported(99, 1, 0.5))  # of a trial that was never proposed
    process.request(0, answers)
    error = answers.wait()
    assert isinstance(error, StudyError)
    assert "KeyError" in str(error)
    assert "mend:" in str(error)


def test_ctrl_c_does_not_end_it(process: SamplerProcess) -> None:
    live(process, 1)
    os.kill(process.pid, signal.SIGINT)
    answers = Answers()
    process.request(1, answers)
    assert isinstance(answers.wait(), Proposal)


def test_close_ends_it_at_once_and_may_be_called_twice() -> None:
    searcher = SamplerProcess(SPEC)
    answers = Answers()
    searcher.request(0, answers)
    started = time.monotonic()
    searcher.close()
    searcher.close()
    assert time.monotonic() - started < 5
    assert gone(searcher.pid)
    searcher.observe(reported(0, 1, 0.5))
    searcher.request(1, answers)


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "import time\n"
        "from orchestrator.sampler_process import SamplerProcess\n"
        "from tests.orchestrator.test_sampler_process import SPEC, live\n"
        "searcher = SamplerProcess(SPEC)\n"
        "live(searcher, 1)\n"
        "print(searcher.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


def test_only_the_bayesian_searcher_gets_a_process() -> None:
    searcher = open_searcher(sweep("random", run_cap=3))
    assert isinstance(searcher, InlineSearcher)
    answers = Answers()
    searcher.request(0, answers)
    assert isinstance(answers.wait(), Proposal)
    searcher.request(3, answers)
    assert answers.wait(2) is None
    searcher.close()
