"""A rank with its study's folder, driven from boundary to boundary; every boundary is committed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.checkpoints import checkpoint_path, commit
from orchestrator.segment import Best, BoundaryReport, Segment
from orchestrator.trial import Rank
from search_spaces import SweepSpec
from tests.orchestrator.tiny_task import tiny


class Bench:
    """Trains segments and keeps what they reported."""

    def __init__(self, spec: SweepSpec, study: Path, **task: Any) -> None:
        self.spec = spec
        self.study = study
        self.lines: list[dict[str, Any]] = []
        self.rank = Rank(
            spec,
            study,
            study / "cache",
            make_task=tiny(**task),
            log_line=lambda trial, line: self.lines.append(line),
        )

    def segment(
        self,
        config: dict[str, Any] | None = None,
        *,
        trial: str = "0000",
        number: int = 0,
        boundaries: int | None = None,
        start: Segment | None = None,
        at: int = 0,
        best: Best | None = None,
    ) -> Segment:
        """A segment from scratch, or from what `start` committed at boundary `at`.

        Args:
            best: of the lineage; default: what the checkpoint says.
        """
        config = config or {}
        checkpoint = None
        if start is not None:
            checkpoint = checkpoint_path(start.trial, start.segment, at).as_posix()
            state = self.study / checkpoint / "state.json"
            saved = json.loads(state.read_text())["best"] if state.exists() else None
            best = best or (Best(**saved) if saved else None)
        return Segment(
            trial=trial,
            segment=number,
            config=config,
            boundaries=boundaries or self.spec.boundaries(config),
            start=at,
            checkpoint=checkpoint,
            best=best,
        )

    def train(self, segment: Segment, until: int | None = None) -> list[BoundaryReport]:
        """Train to a boundary (default: the last), committing each; then leave the trial."""
        reports = list(self.stands(segment, until))
        self.rank.stop()
        return reports

    def stands(self, segment: Segment, until: int | None = None) -> Iterator[BoundaryReport]:
        """The same, one boundary at a time, standing there; the trial is not left."""
        self.rank.begin(segment)
        for boundary in range(segment.start + 1, (until or segment.boundaries) + 1):
            report = self.rank.advance()
            path = checkpoint_path(segment.trial, segment.segment, boundary)
            commit(self.study, path, self.rank.snapshot())
            yield report

    def folder(self, segment: Segment, boundary: int) -> Path:
        """Where a boundary's checkpoint stands."""
        return self.study / checkpoint_path(segment.trial, segment.segment, boundary)

    def training_lines(self, segment: Segment) -> list[dict[str, Any]]:
        """A segment's lines about training, from its history.jsonl."""
        history = self.study / "trials" / segment.trial / "history.jsonl"
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        return [x for x in lines if "loss" in x and x["segment"] == segment.segment]

    def log(self, trial: str = "0000") -> str:
        """A trial's log.txt."""
        return (self.study / "trials" / trial / "log.txt").read_text()


@contextmanager
def bench(spec: SweepSpec, study: Path, **task: Any) -> Iterator[Bench]:
    """A Bench whose rank is closed after."""
    made = Bench(spec, study, **task)
    try:
        yield made
    finally:
        made.rank.close()


def timeless(reports: list[BoundaryReport]) -> list[BoundaryReport]:
    """Reports without their seconds: what must be equal between equal trainings."""
    return [replace(report, seconds=0.0) for report in reports]
