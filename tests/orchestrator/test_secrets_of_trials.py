"""No secret that a trial meets stands in what it leaves: log, history, journal, tracker calls."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import TrialError
from orchestrator.events import StudyEnded, TrialEnded
from orchestrator.journal import Entry, encode
from orchestrator.segment import Segment
from orchestrator.tracking.backlog import Backlog
from orchestrator.trial_failures import trial_error
from orchestrator.trial_log import Capture, History, TrialLog
from tests.orchestrator.bench import bench
from tests.orchestrator.tiny_task import accuracy, tiny_sweep

SECRET = "canary-f00-ba4"
ADDRESS = f"https://me:{SECRET}@example.org/rows.csv"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", SECRET)


def holding(folder: Path) -> list[str]:
    """Files below a folder that hold the secret."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if SECRET.encode() in path.read_bytes()]


def test_a_trial_that_tells_its_secrets_everywhere_leaves_none(tmp_path: Path) -> None:
    told = []

    def telling(prediction: Any) -> dict[str, float]:
        print("the key is", SECRET)
        sys.stderr.write(SECRET[:5])
        sys.stderr.write(SECRET[5:] + "\n")
        logging.getLogger("acme").error("no login with %s at %s", SECRET, ADDRESS)
        told.append(1)
        if len(told) == 2:
            raise RuntimeError(f"403 for {ADDRESS} with {SECRET}")
        return accuracy(prediction)

    with bench(tiny_sweep(), tmp_path, metrics=telling) as work:
        segment = work.segment()
        with pytest.raises(TrialError) as raised:
            work.train(segment)
        log = work.log()
    assert "the key is ***" in log and "no login with ***" in log and "403 for https://***" in log
    assert SECRET not in raised.value.message + raised.value.log
    assert holding(tmp_path) == []
    assert not any(SECRET in str(line) for line in work.lines)


def test_a_line_is_written_once_it_is_whole_and_the_rest_at_the_end(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "log.txt")
    log.write("half " + SECRET[:6])
    assert (tmp_path / "log.txt").read_text() == ""
    assert log.tail() == "half " + SECRET[:6]
    log.write(SECRET[6:] + "\n10%\r20%\r")
    assert (tmp_path / "log.txt").read_bytes() == b"half ***\n10%\r20%\r"
    log.write(f"last {SECRET}")
    log.close()
    assert (tmp_path / "log.txt").read_text().endswith("last ***")
    assert log.tail().splitlines() == ["half ***", "10%", "20%", "last ***"]


def test_texts_in_the_history_are_scrubbed_and_numbers_stay(tmp_path: Path) -> None:
    segment = Segment(trial="0000", segment=0, config={}, boundaries=1, start=0)
    lines: list[dict[str, Any]] = []
    history = History(tmp_path / "h", segment, lambda trial, line: lines.append(line))
    history.add({"loss": 0.1234567890123, "note": f"see {ADDRESS}"}, step=3)
    history.close()
    (line,) = [json.loads(text) for text in (tmp_path / "h").read_text().splitlines()]
    assert line == lines[0]
    assert (line["loss"], line["note"]) == (0.1234567890123, "see https://***@example.org/rows.csv")


@pytest.mark.parametrize(
    "event",
    [
        TrialEnded(trial="0000", state="failed", failure="code", message=SECRET, log=ADDRESS),
        StudyEnded(state="failed", reason=f"no {SECRET}"),
    ],
)
def test_no_free_text_of_the_journal_holds_one(event: TrialEnded | StudyEnded) -> None:
    assert SECRET.encode() not in encode(Entry(0, 0.0, event))


def test_an_error_without_a_text_does_not_show_its_arguments() -> None:
    class Refused(Exception):
        def __str__(self) -> str:
            return ""

    assert trial_error(Refused(SECRET), "").message == "Refused"


def test_what_waits_for_a_tracker_holds_none(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "t0.jsonl")
    run = {"config": {"data": ADDRESS, "hub_token": "short"}, "tags": [SECRET]}
    backlog.append({"verb": "start_run", "trial": "t0", "run": run})
    backlog.append({"verb": "log", "trial": "t0", "values": {"note": SECRET}, "step": 1})
    assert holding(tmp_path) == []
    assert backlog.start is not None
    assert backlog.start["run"]["config"]["hub_token"] == "***"


def test_what_is_captured_after_the_end_is_dropped(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / "log.txt")
    capture = Capture(log)
    print("inside")
    capture.close()
    log.write("after\n")
    assert (tmp_path / "log.txt").read_text() == "inside\n"
