"""Real Ray: a mailbox that dies takes the study's time with it and none of its trials."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from orchestrator.errors import Unreachable
from orchestrator.events import StudyEnded, TrialEnded
from orchestrator.results import read_study
from orchestrator.scripted import ScriptedRank
from orchestrator.segment import BoundaryReport
from tests.integration.conftest import Run, toy


class KillingRank(ScriptedRank):
    """Ends the mailbox's process in the second boundary of a trial."""

    def __init__(self, context: object, log_line: object, *, seconds: float) -> None:
        super().__init__(context, log_line, seconds=seconds)
        self._mailbox = context.mailbox  # type: ignore[attr-defined]

    def advance(self) -> BoundaryReport:
        if self._boundary == 1:
            import ray

            ray.kill(self._mailbox)
        return super().advance()


def test_a_study_whose_mailbox_dies_is_interrupted_and_loses_no_trial(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable, match="commands reach no worker") as told:
        run(toy("grid", 2), make_rank=functools.partial(KillingRank, seconds=1.0))
    assert told.value.exit_code == 7
    study = read_study(tmp_path / "grid-2")
    events = [entry.event for entry in study.contents.entries]
    assert not [e for e in events if isinstance(e, TrialEnded)]
    assert isinstance(events[-1], StudyEnded) and events[-1].state == "interrupted"
