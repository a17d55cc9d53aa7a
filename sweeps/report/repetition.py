"""What a report says of one study: a repetition of a method, its costs, choices and failures.

The part of `report.json` below the methods; `model.py` says what missing values become.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Config = dict[str, Any]
Device = Literal["gpu", "cpu"]


class Point(NamedTuple):
    """Best value so far once so much was spent by all trials of the search."""

    epochs: float
    device_s: float
    wall_s: float
    value: float


class At(NamedTuple):
    """A value of a trial at an epoch; None where it was not finite."""

    epoch: float
    value: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A number over repetitions: their values in order, mean, 95 % t interval (None below 3)."""

    values: tuple[float, ...]
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Trials of a search. `running` also counts those that wait, and those cut off."""

    started: int = 0
    finished: int = 0
    stopped: int = 0
    failed: int = 0
    running: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What was spent. usd: None without a price or without GPUs. wall_s 0 for trials beside."""

    epochs: float
    device_s: float
    device: Device
    wall_s: float = 0.0
    usd: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """One look at a held-out split. value: the study's metric; None when not finite.

    `rows` were evaluated; `standard_error` is sqrt(p (1 - p) / rows) for accuracy, else None.
    `again`: the split had been looked at before, for this checkpoint or for another.
    """

    trial: str
    boundary: int
    split: str
    value: float | None
    metrics: dict[str, float | None]
    rows: int
    seconds: float
    standard_error: float | None = None
    again: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Selected:
    """The checkpoint that a study chose. value: on validation, so optimistic.

    by: "search" (best validation value), or "finalists" (best mean over new seeds; value is that of
    its best run). test: the first look at the test split; None when there was none, or when
    something else had been looked at before (`looked_before`): what this checkpoint then gave is
    its `second_look`, and nothing is claimed by that.
    """

    trial: str
    boundary: int
    epoch: float
    value: float
    config: Config
    by: Literal["search", "finalists"] = "search"
    test: Evaluation | None = None
    second_look: Evaluation | None = None
    looked_before: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DefaultRun:
    """The default configuration: trial 0 of the search, or (beside) a control of a grid.

    whole: whether it was trained for its whole budget of epochs; a search may stop it early, and
    a population's member 0 leaves it at its first exploit. value: its best over `epochs`.
    config: under every name that one of the report's studies searches, so that they can be told
    to be one configuration.
    """

    trial: str
    config: Config
    state: str
    value: float | None
    epochs: float
    whole: bool
    beside: bool
    test: Evaluation | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrained:
    """A configuration or schedule trained once more from scratch on another seed.

    repeats: the trial whose it is; None for an original of the search, told beside its replays.
    """

    trial: str
    seed: int | None
    state: str
    value: float | None
    epoch: float | None
    test: Evaluation | None = None
    repeats: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finalist:
    """One of the best configurations on new seeds. `found`: its value in the search."""

    repeats: str
    config: Config
    found: float | None
    runs: tuple[Retrained, ...]
    validation: Summary | None
    test: Summary | None
    crowned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A part of a lineage: `trial` under one configuration, from one boundary to another."""

    trial: str
    start: int
    end: int
    start_epoch: float
    end_epoch: float
    config: Config
    values: tuple[At, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exploit:
    """`trial` took `donor`'s checkpoint; before: the donor's configuration, after: explored."""

    trial: str
    donor: str
    boundary: int
    epoch: float
    before: Config
    after: Config


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A swim lane of a population: its stretches in order; exploits stand between them."""

    trial: str
    state: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Who descends from whom. winner: the ancestry of the selected checkpoint, from scratch on.

    crowned: whether that is the schedule that finalists crowned, rather than the one that had the
    best value in the search.

    Its stretches are the schedule of each hyperparameter: stretch.config[name] holds from
    start_epoch to end_epoch. Empty while nothing is selected. `of`: members and exploits
    before any were left out for size.
    """

    members: tuple[Member, ...]
    exploits: tuple[Exploit, ...]
    winner: tuple[Stretch, ...]
    of_members: int = 0
    of_exploits: int = 0
    crowned: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A failed trial. kind: code, out_of_memory, diverged, infrastructure, hung; log: its end."""

    trial: str
    kind: str
    message: str
    log: str
    config: Config


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """One study of a method.

    status: running, interrupted, stopped, finished or failed. curve: best so far of the search,
    ascending in cost, one point for each improvement and one for its end; `curve_of` points
    before thinning. cost: of the search alone; what stands beside it has its own. replayed: the
    trials of the search that replays repeat, each once. failures: also of trials beside the search.
    """

    study: str
    seed: int
    status: str
    reason: str
    smoke: bool
    counts: Counts
    cost: Cost
    curve: tuple[Point, ...]
    curve_of: int
    selected: Selected | None
    evaluations: tuple[Evaluation, ...] = ()
    default: DefaultRun | None = None
    control_cost: Cost | None = None
    finalists: tuple[Finalist, ...] = ()
    finalists_cost: Cost | None = None
    replays: tuple[Retrained, ...] = ()
    replayed: tuple[Retrained, ...] = ()
    replay_cost: Cost | None = None
    lineage: Lineage | None = None
    failures: tuple[Failure, ...] = ()
    failures_of: int = 0
