"""What a worker is told to do, and what a rank answers: the seam between driver and worker.

A segment is a stretch of one trial's training under one configuration on one worker. Plain
data: no ray, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.events import Config


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best evaluation of a trial's lineage so far and the checkpoint that holds it."""

    value: float
    boundary: int
    checkpoint: str

    @property
    def trial(self) -> str:
        """Who reached it: the trial itself, or the one whose checkpoint it has copied."""
        return self.checkpoint.split("/")[1]  # trials/TRIAL/checkpoints/NAME


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Train `trial` from boundary `start` on with `config`.

    Attributes:
        trial: the trial's id.
        segment: counts the trial's segments from 0; (trial, segment) is unique in a study.
        config: the current configuration (after an exploit: the new one).
        boundaries: K, how many boundaries the trial's whole budget has; boundary k stands at
            optimizer step ceil(k * max_steps / K) of the current batch size.
        start: the boundary the segment starts at; 0 from scratch.
        checkpoint: path relative to the study's folder of the committed checkpoint to start
            from; None when start is 0.
        best: the best of the lineage up to `start`; None when there is none.
        batch_at_most: rows of one pass on a device, after memory ran out; None: no limit.
        seed: what it trains with; None: what its configuration or the study says.
    """

    trial: str
    segment: int
    config: Config
    boundaries: int
    start: int = 0
    checkpoint: str | None = None
    best: Best | None = None
    batch_at_most: int | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Evaluate a committed checkpoint on a split that nothing was chosen by.

    Attributes:
        trial: whose checkpoint.
        boundary: of which boundary.
        checkpoint: its path relative to the study's folder.
        config: the configuration that was trained up to it.
        split: test.
        batch_at_most: as of `Segment`.
    """

    trial: str
    boundary: int
    checkpoint: str
    config: Config
    split: str = "test"
    batch_at_most: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """What a rank found in an evaluation.

    Attributes:
        value: the study's metric; None when not finite.
        metrics: all of them, by their names without a prefix; None when not finite.
        rows: how many were evaluated.
        seconds: how long it took, loading included.
    """

    value: float | None
    metrics: dict[str, float | None]
    rows: int
    seconds: float


@dataclass(frozen=True)
class Readiness:
    """What a rank found when it prepared the study's tasks.

    Attributes:
        rows: of the training split.
        parameters: of the largest model; 0 when unknown.
        smallest_parameters: of the smallest model; 0 when unknown.
        notes: what a person should know, one sentence each.
        test_rows: of the test split; 0 when there is none, or its labels are hidden.
    """

    rows: int
    parameters: int = 0
    smallest_parameters: int = 0
    notes: list[str] = field(default_factory=list)
    test_rows: int = 0


@dataclass(frozen=True, kw_only=True)
class BoundaryReport:
    """What a rank knows at a boundary, training standing still.

    Attributes:
        boundary: 1..K.
        metrics: every evaluation metric as the Trainer names it (`eval_...`); None when a value
            is not finite.
        value: the study's metric; None when not finite.
        is_best: whether value is the best of the lineage so far (ties keep the earlier one).
        epoch: epochs done, by the current configuration's count.
        step: optimizer steps done, by the current configuration's count.
        seconds: since the previous boundary or the segment's start.
        last: True at boundary K: the trial has come to its natural end.
    """

    boundary: int
    metrics: dict[str, float | None]
    value: float | None
    is_best: bool
    epoch: float
    step: int
    seconds: float
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class TrialFailure:
    """Why a trial ended. kind: code, out_of_memory, diverged, infrastructure, hung.

    Or damaged: the checkpoint it was to start from; it goes on from the one before.
    """

    kind: str
    message: str
    log: str = field(default="")
