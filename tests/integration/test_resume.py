"""Real Ray, a driver killed for real: what finished is kept, what was open goes on."""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.errors import StudyError, StudyTaken
from orchestrator.events import (
    Event,
    Reported,
    SegmentStarted,
    StudyResumed,
    TrialEnded,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.results import read_study
from orchestrator.scripted import ScriptedRank
from orchestrator.study import request_stop, resume_study, run_study
from search_spaces import Sweep
from tests.integration.conftest import Run, toy

DRIVER = """
import functools, json, sys
from pathlib import Path
from orchestrator.scripted import ScriptedRank
from orchestrator.study import run_study
from search_spaces import Sweep
from tests.integration.conftest import toy
spec = toy(sys.argv[1], 2, name="killed", **json.loads(sys.argv[4]))
run_study(
    Sweep(spec=spec, path=Path("x"), source=""), storage=Path(sys.argv[2]), address=sys.argv[3],
    make_rank=functools.partial(ScriptedRank, seconds=0.2, test_rows=9),
)
"""
BESIDE = {"random": {"finalists": {"top_k": 2, "seeds": 2}}}
"""What a killed study has beside its search: the random one is killed while it trains that."""


def events_of(folder: Path) -> list[Event]:
    return [entry.event for entry in read_journal(folder / JOURNAL).entries]


@pytest.mark.parametrize("method", ["grid", "random", "pbt"])
def test_a_killed_driver_loses_nothing_that_finished(
    run: Run, ray_address: str, tmp_path: Path, method: str
) -> None:
    folder = tmp_path / "killed"
    beside = BESIDE.get(method, {})
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, method, str(tmp_path), ray_address, json.dumps(beside)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    reports = random.Random(method).randrange(3, 9) + (15 if beside else 0)
    deadline = time.monotonic() + 90
    journal = folder / JOURNAL
    while not journal.exists() or journal.read_bytes().count(b'"reported"') < reports:
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    history = events_of(folder)
    assert read_study(folder).status == "interrupted"

    scripted = functools.partial(ScriptedRank, seconds=0.05, test_rows=9)
    result = resume_study(folder, address=ray_address, make_rank=scripted)
    assert result.status == "finished"
    after = events_of(folder)
    assert after[: len(history)] == history
    finished = {event.trial for event in history if isinstance(event, TrialEnded)}
    later = after[len(history) :]
    assert any(isinstance(event, StudyResumed) for event in later)
    assert not finished & {event.trial for event in later if isinstance(event, SegmentStarted)}
    last = {e.trial: e.boundary for e in history if isinstance(e, Reported)}
    for trial in set(last) - finished:
        first = next(e for e in later if isinstance(e, SegmentStarted) and e.trial == trial)
        assert first.boundary >= last[trial] - 1

    whole, _ = run(toy(method, 2, name="whole", **beside), make_rank=scripted)
    proposals = [
        [(e.trial, e.config) for e in events if isinstance(e, TrialProposed)]
        for events in (after, events_of(whole.folder))
    ]
    assert proposals[0] == proposals[1]
    assert result.state.lineage() == whole.state.lineage()
    values = [
        {(t.id, b): r.value for t in study.state.trials.values() for b, r in t.reports.items()}
        for study in (result, whole)
    ]
    assert values[0] == values[1]
    crowns = [study.state.crowned for study in (result, whole)]
    if beside:
        means = [(c.repeats, c.values, c.trials, c.failed) for c in crowns if c is not None]
        assert len(means) == 2 and means[0] == means[1]
    else:
        assert crowns == [None, None]
    looks = [  # equal configurations are equally good: which of them is the best is the timing's
        [(e.value, e.rows, e.again) for e in study.state.evaluations] for study in (result, whole)
    ]
    assert looks[0] == looks[1] and looks[0][0][1:] == (9, False)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    ray_address: str, run: Run, tmp_path: Path
) -> None:
    spec = toy("random", 1, run_cap=1, training_arguments={"num_train_epochs": 6,
               "eval_strategy": "epoch"})  # fmt: skip
    stopped: list[int] = []

    def stop_at_four(event: Event, state: object) -> None:
        if isinstance(event, Reported) and event.boundary == 4 and not stopped:
            stopped.append(1)
            raise RuntimeError("the test's own power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        run_study(
            Sweep(spec=spec, path=Path("x"), source=""),
            storage=tmp_path,
            address=ray_address,
            on_event=stop_at_four,
            make_rank=functools.partial(ScriptedRank, seconds=0.2),
        )
    folder = tmp_path / spec.name
    study = read_study(folder)
    standing = study.state.standing("0000")
    assert standing.checkpoint is not None
    (folder / standing.checkpoint / "state.json").write_text("{}")
    words: list[str] = []
    result = resume_study(
        folder,
        address=ray_address,
        on_notice=words.append,
        make_rank=functools.partial(ScriptedRank, seconds=0.01),
    )
    assert result.status == "finished"
    assert any("state.json" in word for word in words)
    assert Counter(t.state for t in result.state.trials.values()) == {"finished": 1}


def test_a_study_at_its_end_is_not_resumed_and_its_name_is_taken(run: Run, tmp_path: Path) -> None:
    spec = toy("random", 1, run_cap=1)
    scripted = {"make_rank": ScriptedRank}
    result, _ = run(spec, **scripted)
    with pytest.raises(StudyError, match="come to its end"):
        resume_study(result.folder)
    with pytest.raises(StudyTaken, match="sweep resume"):
        run(spec, **scripted)


def test_a_finished_study_goes_on_when_its_limit_is_extended(
    run: Run, ray_address: str, tmp_path: Path
) -> None:
    scripted = {"make_rank": ScriptedRank}
    result, _ = run(toy("random", 1, run_cap=1), **scripted)
    result = resume_study(result.folder, ["run_cap=2"], address=ray_address, **scripted)
    assert (result.status, result.spec.run_cap) == ("finished", 2)
    events = events_of(result.folder)
    assert [e.trial for e in events if isinstance(e, SegmentStarted)] == ["0000", "0001"]
    with pytest.raises(StudyError, match=r"run_cap of 2 is reached.*\n.*--set run_cap=4"):
        resume_study(result.folder)


def test_a_finished_population_trains_for_more_generations(
    run: Run, ray_address: str, tmp_path: Path
) -> None:
    spec = toy("pbt", 2)
    result, _ = run(spec, make_rank=ScriptedRank)
    before = events_of(result.folder)
    longer = ["training_arguments.num_train_epochs=4", "budget.wall_clock=1h"]
    again = {"address": ray_address, "make_rank": ScriptedRank}
    result = resume_study(result.folder, longer, **again)
    assert result.status == "finished"
    assert [t.boundary for t in result.state.trials.values()] == [4] * 4
    assert result.spec.budget.wall_clock_s == 3600
    later = [e for e in events_of(result.folder)[len(before) :] if isinstance(e, SegmentStarted)]
    assert [e.boundary for e in later] == [3] * 4
    for trial in result.state.trials:  # that no checkpoint is left shows before anything starts
        shutil.rmtree(result.folder / "trials" / trial / "checkpoints")
    with pytest.raises(StudyError, match="no checkpoint is left of 0000, 0001, 0002, 0003"):
        resume_study(result.folder, ["training_arguments.num_train_epochs=5"], **again)
    assert read_study(result.folder).status == "finished"


def test_a_study_stopped_from_another_terminal_ends_at_a_boundary_and_goes_on(
    ray_address: str, tmp_path: Path
) -> None:
    asked: list[str] = []

    def ask(event: Event, state: object) -> None:
        if isinstance(event, Reported) and not asked:
            asked.append(request_stop(tmp_path / "grid-2"))

    scripted = functools.partial(ScriptedRank, seconds=0.4)
    result = run_study(
        Sweep(spec=toy("grid", 2), path=Path("x"), source=""),
        storage=tmp_path,
        address=ray_address,
        on_event=ask,
        make_rank=scripted,
    )
    assert result.status == "stopped" and result.state.reason == "by `sweep stop`"
    assert f"process {os.getpid()} on " in asked[0]
    assert result.state.open_trials
    result = resume_study(result.folder, address=ray_address, make_rank=scripted)
    assert result.status == "finished"
    assert Counter(t.state for t in result.state.trials.values()) == {"finished": 6}
    with pytest.raises(StudyError, match="is not running"):
        request_stop(result.folder)
