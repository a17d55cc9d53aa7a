"""A backlog loses no call, whoever dies and whenever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.tracking import backlog as backlog_module
from orchestrator.tracking.backlog import Backlog


def log(step: int) -> dict[str, Any]:
    return {"verb": "log", "trial": "t0", "values": {"train/loss": 1.0}, "step": step}


START = {"verb": "start_run", "trial": "t0", "run": {"tags": ()}}


def steps(backlog: Backlog) -> list[int]:
    return [call["step"] for call, _ in backlog.unread(backlog.sent) if call["verb"] == "log"]


def test_another_process_goes_on_behind_the_last_sent_call(tmp_path: Path) -> None:
    first = Backlog(tmp_path / "t0.jsonl")
    first.append(START)
    for step in range(5):
        first.append(log(step))
    _, end = first.unread(0)[2]
    first.mark_sent(end)

    second = Backlog(tmp_path / "t0.jsonl")
    assert steps(second) == [2, 3, 4]
    assert (second.unsent, second.unsent_lines) == (3, 3)
    assert second.start is not None and second.start["verb"] == "start_run"


def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "t0.jsonl"
    first = Backlog(path)
    first.append(log(0))
    first.append(log(1))
    path.write_bytes(path.read_bytes()[:-9])

    second = Backlog(path)
    second.append(log(2))
    assert steps(second) == [0, 2]


@pytest.mark.parametrize("mark", ["", "x", "99999", "\x00"])
def test_a_damaged_mark_sends_nothing_past_the_end(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "t0.jsonl"
    Backlog(path).append(log(0))
    path.with_suffix(".sent").write_text(mark)
    assert steps(Backlog(path)) == ([] if mark == "99999" else [0])


def test_a_large_file_that_is_sent_shrinks_to_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "COMPACT_BYTES", 200)
    backlog = Backlog(tmp_path / "t0.jsonl")
    backlog.append(START)
    for step in range(5):
        backlog.append(log(step))
    backlog.compact()
    assert backlog.path.stat().st_size > 200, "nothing is sent yet"

    backlog.mark_sent(backlog.unread(0)[-1][1])
    backlog.compact()
    assert backlog.path.stat().st_size < 200
    backlog.append(log(9))
    assert steps(backlog) == [9]
    assert steps(Backlog(backlog.path)) == [9]


def test_what_json_cannot_hold_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path / "t0.jsonl")
    with pytest.raises(TypeError):
        backlog.append({"verb": "log", "values": object()})
    assert backlog.unsent == 0
    assert not backlog.path.exists()
