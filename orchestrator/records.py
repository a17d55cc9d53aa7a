"""What is known of one trial, and of the study's best: the records that `StudyState` keeps.

Plain data with the questions that it answers alone; what an event does to it is `state.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.events import (
    BatchHalved,
    CheckpointCommitted,
    Config,
    Decided,
    Reported,
    SegmentStarted,
)
from orchestrator.segment import Best

SEARCH = ("default", "warm_start", "searcher")
"""Origins of the trials that are the search; the others stand beside it."""


@dataclass(frozen=True)
class Standing:
    """Where a trial can be taken up: whose committed checkpoint of which boundary.

    `checkpoint` is None at boundary 0, and also while the donor's commit is still awaited
    (then `boundary` is above 0).
    """

    trial: str
    boundary: int
    checkpoint: str | None

    @property
    def ready(self) -> bool:
        """Whether training can start from here now."""
        return self.boundary == 0 or self.checkpoint is not None


@dataclass(slots=True)
class TrialRecord:
    """One trial. state: waiting, running, finished, stopped, failed.

    Attributes:
        boundary: the last boundary reported on the current line of descent.
        reports: the newest report of each boundary this trial itself came to.
        best: the best committed evaluation of the trial's lineage; None until there is one.
        best_at: the same, as it stood after each committed boundary, which ascend (donors are
            read there).
        exploit: the last decision to copy a donor; None when there was none.
        newest: the last boundary whose checkpoint is committed; 0 when there is none.
        halvings: each time that memory ran out and the batch was halved.
        interruptions: how often it lost its worker, by class (infrastructure, hung), or its
            start (damaged).
    """

    id: str
    number: int
    origin: str
    first_config: Config
    boundaries: int
    epochs: float
    state: str = "waiting"
    boundary: int = 0
    reports: dict[int, Reported] = field(default_factory=dict)
    checkpoints: dict[int, CheckpointCommitted] = field(default_factory=dict)
    decisions: dict[int, Decided] = field(default_factory=dict)
    segments: list[SegmentStarted] = field(default_factory=list)
    best: Best | None = None
    best_at: dict[int, Best] = field(default_factory=dict)
    exploit: Decided | None = None
    newest: int = 0
    halvings: list[BatchHalved] = field(default_factory=list)
    interruptions: dict[str, int] = field(default_factory=dict)
    failure: str | None = None
    message: str = ""
    log: str = ""
    seed: int | None = None
    repeats: str | None = None
    schedule: list[tuple[int, Config]] = field(default_factory=list)

    @property
    def in_search(self) -> bool:
        """Whether the trial is one of the search, rather than one trained beside it."""
        return self.origin in SEARCH

    @property
    def config(self) -> Config:
        """The configuration in force."""
        exploit = self.exploit
        return exploit.config if exploit and exploit.config is not None else self.first_config

    @property
    def ended(self) -> bool:
        """Whether the trial is over."""
        return self.state in ("finished", "stopped", "failed")

    @property
    def batch_at_most(self) -> int | None:
        """Rows of one pass on a device since memory last ran out; None: it never did."""
        return self.halvings[-1].per_device if self.halvings else None

    @property
    def retries(self) -> int:
        """Interruptions so far."""
        return sum(self.interruptions.values())

    @property
    def epochs_done(self) -> float:
        """Epochs trained on the current line of descent, by its last report."""
        return self.epochs * self.boundary / self.boundaries

    @property
    def seconds(self) -> float:
        """Seconds of training and evaluation reported so far, this trial's own only."""
        return sum(report.seconds for report in self.reports.values())

    def config_up_to(self, boundary: int) -> Config:
        """The configuration that was trained last before this boundary, on the trial's own line."""
        copies = [d for b, d in self.decisions.items() if b < boundary and d.action == "exploit"]
        newest = max(copies, key=lambda d: d.boundary, default=None)
        return newest.config if newest and newest.config is not None else self.first_config

    def best_before(self, boundary: int) -> Best | None:
        """The lineage's best committed evaluation up to and including `boundary`."""
        return next((self.best_at[b] for b in reversed(self.best_at) if b <= boundary), None)


@dataclass(frozen=True)
class StudyBest:
    """The best committed evaluation of the whole study."""

    trial: str
    boundary: int
    value: float
    config: Config
    checkpoint: str
