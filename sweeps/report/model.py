"""What a report says, as data: `report.json`, from which every other form of it is made.

Nothing is computed here (`gather.py` does) and nothing is drawn (`html.py`, `markdown.py`). All
is plain, frozen and finite: what a writer shows must stand here, so that two forms of one report
cannot disagree. Columns repeat what could be derived (means, intervals, sentences) because a
reader of the JSON should not have to do statistics to agree with the page.

Values that are missing. A metric that was NaN or infinite, or never came, is None. A tuple is
empty when there is none of what it holds: a study that has no trial yet gives a `Repetition`
with zero counts, an empty curve and no selection. Intervals (`low`, `high`) are None below three
repetitions. A part that does not apply is None (`lineage` for all but PBT) or says why it is
hidden (`Importance.hidden`). Studies are named uniquely in a report; `study/trial` is a `key`.

Units: epochs as trained, seconds, US dollars. `device` says which seconds: "gpu" seconds count
every GPU that was held; "cpu" seconds, where no trial held one, count every CPU that was.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from search_spaces.errors import SweepError
from sweeps.report.repetition import (
    At,
    Config,
    Cost,
    Counts,
    DefaultRun,
    Device,
    Evaluation,
    Exploit,
    Failure,
    Finalist,
    Lineage,
    Member,
    Point,
    Repetition,
    Retrained,
    Selected,
    Stretch,
    Summary,
)

__all__ = [
    "AXES",
    "VERSION",
    "At",
    "Axis",
    "Band",
    "Config",
    "Cost",
    "Counts",
    "DefaultRun",
    "Device",
    "Drawn",
    "Edf",
    "Evaluation",
    "Exploit",
    "Failure",
    "FinalRow",
    "Finalist",
    "Importance",
    "Line",
    "Lineage",
    "Member",
    "Method",
    "Metric",
    "Note",
    "Pair",
    "Point",
    "Repetition",
    "Report",
    "ReportUnreadable",
    "Reproduction",
    "Retrained",
    "Selected",
    "Severity",
    "Stretch",
    "Summary",
    "TrialRow",
    "Verdict",
    "as_json",
    "from_json",
]

VERSION = 1
"""Of report.json; raised when a field changes its meaning or goes."""

AXES = ("epochs", "device_s", "wall_s")
"""What a search costs, three ways; the first is what budgets are equal in."""

Severity = Literal["info", "warn", "red"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """`name` as the journal has it (eval_accuracy), `label` as a person says it (accuracy)."""

    name: str
    goal: Literal["maximize", "minimize"]
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What a reader must know. red: a comparison that this undermines. method: None for all."""

    severity: Severity
    text: str
    method: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The first sentences.

    claim: what they rest on, of the leader against each other method the weakest: none, chance (an
    interval that holds 0, or a test that did not pass), interval (0 outside each), significant
    (each passed an exact test). badge: that in a few words, basis: why; both empty where there is
    but one method. repetitions: seeds that all methods compared have a value for.
    """

    text: str
    claim: Literal["none", "chance", "interval", "significant"]
    repetitions: int
    badge: str = ""
    basis: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Mean of best so far over repetitions, against one cost axis; interval from three up.

    From the cost at which every repetition has a value to the most that one of them spent: a
    search that has ended keeps its best. To what was spent so far by one that has not.
    """

    x: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A searched name. kind: number (low, high, log) or category (values, those of the file).

    label: the name's shortest ending that is unique. values: numbers ascending, others as listed.
    """

    name: str
    label: str
    kind: Literal["number", "category"]
    log: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """PED-ANOVA shares by name, summing to 1, the largest first; `hidden` says why there are none.

    trials: how many finished ones of all repetitions they rest on.
    """

    shares: dict[str, float]
    trials: int
    hidden: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edf:
    """Share of the trials that have a value whose best is at most x; ascending, maybe thinned."""

    x: tuple[float, ...]
    share: tuple[float, ...]
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One trial in a figure. key: study/trial. value: its best; None when it never had one."""

    key: str
    state: str
    value: float | None
    config: Config = field(default_factory=dict)
    points: tuple[At, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Trials that a figure shows, the best first, and `of` how many there are."""

    lines: tuple[Line, ...]
    of: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A way to search, over its repetitions.

    kind: grid, random, bayes or pbt. validation, test: of what was selected, a value for each seed
    (the mean of its runs). bands: by axis name. configurations: for parallel
    coordinates and slices (config and value); learning: curves (points). captions: by figure:
    importance, slices, parallel, learning, edf, lineage, schedule; a caption is a whole sentence
    and is there exactly when the figure has something to show.
    """

    label: str
    kind: Literal["grid", "random", "bayes", "pbt"]
    description: str
    repetitions: tuple[Repetition, ...]
    counts: Counts
    cost: Cost
    bands: dict[str, Band]
    validation: Summary | None
    test: Summary | None
    space: tuple[Axis, ...]
    importance: Importance
    edf: Edf
    learning: Drawn
    configurations: Drawn
    captions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalRow:
    """A row of the final table. gap: validation minus test, per repetition that has both.

    role: method; random (a method that is random search); crowned (below a method that trained
    finalists: its crowned configuration's mean over new seeds); default. Rows of random and default
    are always there: with None for what was not run, and `note` says how to run it. config: the
    default configuration, when all its runs here are of one.
    """

    label: str
    role: Literal["method", "random", "crowned", "default"]
    validation: Summary | None
    test: Summary | None
    gap: Summary | None
    note: str = ""
    config: Config | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """a minus b over the seeds that both have, on the test split (validation where it is missing).

    Runs of one seed are one, with their mean. superiority: P(a > b), the share of shared seeds in
    which a is better, ties half, from 3. p: exact sign-flip, two-sided, from 6 shared seeds;
    p_holm: adjusted over all pairs that have one; p_least: the least that it could have come to.
    """

    a: str
    b: str
    split: Literal["test", "validation"]
    seeds: tuple[int, ...]
    difference: Summary | None
    superiority: float | None
    p: float | None
    p_holm: float | None
    claim: str
    p_least: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """One trial, whatever its origin. value: best of its lineage; config: the one in force there.

    epochs: trained by this trial itself, re-runs too; seconds likewise, times the GPUs held
    where there are any (`device_s`). failure: its class, else empty.
    """

    key: str
    method: str
    study: str
    seed: int
    trial: str
    number: int
    origin: str
    state: str
    value: float | None
    epoch: float | None
    last: float | None
    epochs: float
    device_s: float
    retries: int
    failure: str
    message: str
    repeats: str | None
    config: Config


@dataclass(frozen=True, kw_only=True, slots=True)
class Reproduction:
    """What it takes to get a study again. git_commit: None when it was not recorded."""

    study: str
    method: str
    command: str
    sweep_file: str
    seed: int
    versions: dict[str, str]
    hardware: dict[str, Any]
    space_hash: str
    started: str
    git_commit: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All of it, in the order in which it is read.

    captions: best_so_far.epochs, best_so_far.device_s, best_so_far.wall_s, final, pairwise,
    budget; whole sentences, there when the part is. generated: ISO 8601, UTC. thinned: one
    sentence for each thing that figures leave out; the trials list is always whole. command: the
    `sweep compare` that runs all of it; empty when it was not one comparison.
    """

    title: str
    metric: Metric
    generated: str
    generator: str
    device: Device
    verdict: Verdict
    notes: tuple[Note, ...]
    methods: tuple[Method, ...]
    final: tuple[FinalRow, ...]
    pairs: tuple[Pair, ...]
    captions: dict[str, str]
    thinned: tuple[str, ...]
    trials: tuple[TrialRow, ...]
    reproduction: tuple[Reproduction, ...]
    command: str = ""
    version: int = VERSION


class ReportUnreadable(SweepError):
    """Data that is not a report of this version."""

    exit_code = 5


@functools.cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as what JSON holds; `from_json` gives an equal one back."""
    data: dict[str, Any] = _adapter().dump_python(report, mode="json")
    return {"version": data.pop("version"), **data}


def from_json(data: Any) -> Report:
    """Read a report back.

    Raises:
        ReportUnreadable: it is another version's, or no report.
    """
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION:
        raise ReportUnreadable(
            f"a report must be of version {VERSION}, got {version!r}.\n"
            "    mend: write it again with `sweep report`."
        )
    try:
        return _adapter().validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ReportUnreadable(
            f"a report must hold {where}: {first['msg']}.\n"
            "    mend: write it again with `sweep report`."
        ) from error
