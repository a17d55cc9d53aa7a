"""What happens to a study, one frozen dataclass an event: the lines of the journal.

Nothing here acts. Deciders (searchers, schedulers) observe events, `StudyState` folds them,
the journal writes them; a replayed journal gives the same state. Values that JSON cannot hold
(NaN, infinities) never stand in an event: a metric that is not finite is None.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

Config = dict[str, Any]
"""One point of the space: searched name -> value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Base of all events; `kind` is the word that stands in the journal line."""

    kind: ClassVar[str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON data with `event` first."""
        return {"event": self.kind, **dataclasses.asdict(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyStarted(Event):
    """First line of every journal.

    `spec_sha256`: of the specification's file beside it, in hex; None: nobody looked.
    """

    kind: ClassVar[str] = "study_started"
    name: str
    method: str
    metric: str
    goal: str
    seed: int
    smoke: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    spec_sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialProposed(Event):
    """A searcher gave configuration number `number`, or a trial beside the search was asked for.

    `origin`: default, warm_start and searcher are the search's own; control (the default
    configuration beside a grid), finalist and replay stand beside it: they are no candidates for
    its best, and its budgets do not count them.

    Attributes:
        seed: what a trial beside the search trains with; None: what any trial of the study does.
        repeats: the trial whose configuration, or schedule of configurations, this one trains
            again from scratch.
        schedule: [boundary, configuration] each, ascending: what is in force from that boundary
            on; before the first it is `config`.
    """

    kind: ClassVar[str] = "trial_proposed"
    trial: str
    number: int
    config: Config
    origin: str
    boundaries: int
    epochs: float
    seed: int | None = None
    repeats: str | None = None
    schedule: list[tuple[int, Config]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchExhausted(Event):
    """The searcher has no configuration `number`, and will have none after it."""

    kind: ClassVar[str] = "search_exhausted"
    number: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentStarted(Event):
    """A worker took the trial up at `boundary` (0: from scratch) with this configuration.

    `start_trial`, `start_boundary` and `start_checkpoint` say whose committed checkpoint the
    segment goes on from; None when it starts from scratch.
    `world_size`: how many processes share it; those beyond the first belong to the worker's.
    """

    kind: ClassVar[str] = "segment_started"
    trial: str
    segment: int
    boundary: int
    config: Config
    worker: str
    pid: int
    node: str
    start_trial: str | None = None
    start_boundary: int | None = None
    start_checkpoint: str | None = None
    world_size: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported(Event):
    """The evaluation at a boundary. `value` is the study's metric, None when not finite.

    `seconds` is the time since the segment's last boundary (or its start), training and
    evaluation together; `epoch` the position in epochs of the current configuration; `step`
    the optimizer step; `gpus` how many GPUs the trial held meanwhile.
    """

    kind: ClassVar[str] = "reported"
    trial: str
    segment: int
    boundary: int
    value: float | None
    metrics: dict[str, float | None]
    epoch: float
    step: int
    seconds: float
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointCommitted(Event):
    """The trial's state at `boundary` stands complete on disk; `path` is relative to the study."""

    kind: ClassVar[str] = "checkpoint_committed"
    trial: str
    segment: int
    boundary: int
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointLost(Event):
    """A committed checkpoint was found damaged or gone; it does not count any more."""

    kind: ClassVar[str] = "checkpoint_lost"
    trial: str
    boundary: int
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided(Event):
    """A scheduler's decision at a boundary: continue, stop or exploit; or `withdraw`.

    For exploit the trial goes on from `donor`'s checkpoint of the same boundary with `config`.
    Withdraw takes back the exploit decided at this boundary, whose checkpoint was lost before
    the trial had one of its own: it stands where it stood, and is decided anew.
    """

    kind: ClassVar[str] = "decided"
    trial: str
    boundary: int
    action: str
    donor: str | None = None
    config: Config | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialInterrupted(Event):
    """The trial lost its worker (class infrastructure or hung) and will be taken up again.

    Or (damaged) the checkpoint it was to start from; then `CheckpointLost` follows.

    `log`: for a hung trial, the stacks of its process when it was ended.
    """

    kind: ClassVar[str] = "trial_interrupted"
    trial: str
    failure: str
    message: str
    log: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchHalved(Event):
    """Memory ran out; the trial will be taken up again with fewer rows a pass.

    `per_device` rows times `accumulation` passes, the same product as before.
    """

    kind: ClassVar[str] = "batch_halved"
    trial: str
    per_device: int
    accumulation: int
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEnded(Event):
    """The trial is over. state: finished, stopped (early, by a scheduler or a budget), failed.

    failure (only with failed): code, out_of_memory, diverged, infrastructure, hung.
    """

    kind: ClassVar[str] = "trial_ended"
    trial: str
    state: str
    failure: str | None = None
    message: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialExtended(Event):
    """A member of a population has more boundaries and epochs than before.

    One that had finished is open again, at its former last boundary.
    """

    kind: ClassVar[str] = "trial_extended"
    trial: str
    boundaries: int
    epochs: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated(Event):
    """A committed checkpoint was evaluated on a split that nothing was chosen by.

    Attributes:
        boundary, checkpoint: which of the trial's lineage; `checkpoint` is relative to the study.
        split: the split's name, `test`.
        value: the study's metric there; None when not finite.
        metrics: all of them, by their names without a prefix.
        rows: how many were evaluated.
        seconds: how long it took; `gpus` were held meanwhile.
        again: whether this checkpoint's split had been looked at before.
    """

    kind: ClassVar[str] = "evaluated"
    trial: str
    boundary: int
    checkpoint: str
    split: str
    value: float | None
    metrics: dict[str, float | None]
    rows: int
    seconds: float
    gpus: float = 0.0
    again: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyResumed(Event):
    """A new driver took the study up.

    `changes`: what `sweep resume --set` changed about it; dotted key -> value, None: taken out.
    """

    kind: ClassVar[str] = "study_resumed"
    host: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyEnded(Event):
    """state: finished, failed (no usable result), interrupted."""

    kind: ClassVar[str] = "study_ended"
    state: str
    reason: str = ""


KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        StudyStarted,
        TrialProposed,
        SearchExhausted,
        SegmentStarted,
        Reported,
        CheckpointCommitted,
        CheckpointLost,
        Decided,
        TrialInterrupted,
        BatchHalved,
        TrialEnded,
        TrialExtended,
        Evaluated,
        StudyResumed,
        StudyEnded,
    )
}

_FIELDS = {kind: frozenset(f.name for f in dataclasses.fields(cls)) for kind, cls in KINDS.items()}


def event_of(kind: str, fields: dict[str, Any]) -> Event:
    """Read one journal line's event back.

    Fields that this version does not know are dropped, so that a newer minor version's journal
    can be read.

    Raises:
        KeyError: the event's kind is unknown.
        TypeError: a field is missing.
    """
    known = _FIELDS[kind]
    if not fields.keys() <= known:
        fields = {name: value for name, value in fields.items() if name in known}
    return KINDS[kind](**fields)
