"""The table of the search-quality benchmark: paired differences with their intervals.

Measures nothing; everything comes from the saved rows. Differences are in points (hundredths of
the metric; of a loss, hundredths less), above 0 when the first named is better. Intervals are 95 %
Student t intervals over paired runs, which keep their coverage at few pairs, where a bootstrap
does not. A share of wins counts a tie as half.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.moving_rates import MOVES
from benchmarks.response_surfaces import SURFACES
from benchmarks.saved_rows import Row, table

POINTS = 100.0
MARGIN = 0.5
"""Points by which two arms that find the same may differ at most, by the interval: without it a
noisier benchmark would call anything the same."""
_RULES = {
    "above": "interval above 0",
    "not below": "interval not below 0",
    "same": f"interval not below 0, and above -{MARGIN:g}",
    "": "",
}


@dataclass(frozen=True)
class Paired:
    """Paired differences: their mean with a 95 % interval, and how often they are above 0.

    With one pair the interval is unbounded.
    """

    mean: float
    low: float
    high: float
    wins: float
    pairs: int


@dataclass(frozen=True)
class Comparison:
    """Two arms of a section. rule: what must hold, one of `_RULES`; "": it is only shown."""

    section: str
    first: str
    second: str
    rule: str = ""

    def holds(self, paired: Paired) -> bool | None:
        """Whether the rule holds; None: there is none."""
        if not self.rule:
            return None
        if self.rule == "above":
            return paired.low > 0.0
        return paired.high >= 0.0 and (self.rule == "not below" or paired.low > -MARGIN)


_OPTUNA = ("gp", "tpe", "multivariate tpe")
COMPARISONS = (
    Comparison("search", "bayes, 1 out", "random", "above"),
    Comparison("search", "bayes, 4 out", "random", "above"),
    *(
        Comparison(
            "search", f"bayes, {out} out", f"optuna {sampler}{default}, {out} out", "not below"
        )
        for sampler in _OPTUNA
        for default in ("", " + default")
        for out in (1, 4)
    ),
    Comparison("search", "optuna gp, 1 out", "random"),
    Comparison("early", "asha, half the epochs", "random", "same"),
    Comparison("early", "asha, as many trials", "random"),
    Comparison("early", "asha, half the epochs", "random, half the epochs"),
    Comparison("moving", "pbt", "bayes", "above"),
)


def paired(differences: Sequence[float]) -> Paired:
    """The statistics of paired differences.

    Raises:
        ValueError: there are none.
    """
    from scipy import stats

    count = len(differences)
    if not count:
        raise ValueError("paired differences must be at least one, but got none")
    mean = statistics.fmean(differences)
    half = math.inf
    if count > 1:
        half = (
            float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
        )
    wins = statistics.fmean((d > 0) + (d == 0) / 2 for d in differences)
    return Paired(mean, mean - half, mean + half, wins, count)


def differences(
    rows: Mapping[str, Row], comparison: Comparison, surface: str | None = None
) -> list[float]:
    """First minus second arm of each pair, in points, better above 0; a pair needs both arms."""
    found = []
    for name, row in rows.items():
        section, where, _ = name.split("/")
        both = {comparison.first, comparison.second} <= set(row["arms"])
        if section == comparison.section and surface in (None, where) and both:
            first, second = (
                row["arms"][arm]["truth"] for arm in (comparison.first, comparison.second)
            )
            sign = -1.0 if where in SURFACES and SURFACES[where].goal == "minimize" else 1.0
            found.append(POINTS * sign * (first - second))
    return found


def epoch_shares(rows: Mapping[str, Row], arm: str) -> list[float]:
    """The epochs of an arm as shares of random search's on the same surface, one a pair."""
    early = [row["arms"] for name, row in rows.items() if name.startswith("early/")]
    return [arms[arm]["epochs"] / arms["random"]["epochs"] for arms in early]


def summary(rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Every comparison over all surfaces: arms, rule, statistics and whether the rule holds."""
    found = []
    for comparison in COMPARISONS:
        given = paired(differences(rows, comparison))
        found.append({**asdict(comparison), **asdict(given), "holds": comparison.holds(given)})
    return found


def page(rows: Mapping[str, Row]) -> list[str]:
    """The Markdown page; every comparison has at least one pair, or there are no rows at all."""
    if not rows:
        return ["# Search quality", "", "Not measured."]
    return [
        "# Search quality",
        "",
        "True value of the configuration that each method picks by what it measured, on known",
        "response surfaces with noise; no training. Differences in points, above 0 when the first",
        "is better, with 95 % t intervals over paired runs. bayes and Optuna's samplers have 32",
        "trials, random 64; `out` says how many train at once. Our first trial is the default",
        "configuration; `+ default` gives it to Optuna as well.",
        "",
        *_comparisons(rows),
        "",
        *_epochs(rows),
        "",
        *_by_surface(rows),
        "",
        "## Mean true values, points",
        "",
        *_means(rows),
        "",
        *_times(rows),
    ]


def _comparisons(rows: Mapping[str, Row]) -> list[str]:
    lines = []
    for one in summary(rows):
        interval = f"{one['low']:+.2f} to {one['high']:+.2f}"
        holds = {True: "yes", False: "**no**", None: ""}[one["holds"]]
        mean, wins = f"{one['mean']:+.2f}", f"{one['wins']:.0%}"
        rule = _RULES[one["rule"]]
        lines.append([one["first"], one["second"], mean, interval, wins, one["pairs"], rule, holds])
    head = ["first", "second", ">mean", ">95 % interval", ">wins", ">pairs", "must", "holds"]
    return table(head, lines)


def _epochs(rows: Mapping[str, Row]) -> list[str]:
    lines = ["Epochs trained, as shares of random search's with 64 trials:", ""]
    for arm in ("asha, half the epochs", "asha, as many trials", "random, half the epochs"):
        shares = epoch_shares(rows, arm)
        mean, low, high = (f"{x:.1%}" for x in (statistics.fmean(shares), min(shares), max(shares)))
        lines.append(f"- {arm}: {mean} (from {low} to {high} over {len(shares)} pairs)")
    moving = [row["arms"] for name, row in rows.items() if name.startswith("moving/")]
    equal = sum(arms["pbt"]["epochs"] == arms["bayes"]["epochs"] for arms in moving)
    lines += ["", f"pbt and bayes trained equally many epochs in {equal} of {len(moving)} pairs."]
    return lines


def _times(rows: Mapping[str, Row]) -> list[str]:
    spent: dict[str, list[float]] = {}
    for name, row in rows.items():
        for arm, measured in row["arms"].items():
            spent.setdefault(arm if name.startswith("search/") else "", []).append(
                measured["cpu_s"]
            )
    whole = sum(map(sum, spent.values())) / 60
    shown = ("bayes, 1 out", "bayes, 4 out", "optuna gp, 1 out", "optuna gp, 4 out")
    each = ", ".join(f"{arm}: {statistics.fmean(spent[arm]):.1f} s" for arm in shown)
    return [
        f"Processor time of a whole search of 32 trials, in the mean: {each}. Of all runs together:"
        f" {whole:.0f} min.",
    ]


def _by_surface(rows: Mapping[str, Row]) -> list[str]:
    lines: list[str] = []
    for section in dict.fromkeys(comparison.section for comparison in COMPARISONS):
        shown = [c for c in COMPARISONS if c.section == section and c.rule]
        heads = [f">{c.first} - {c.second}" for c in shown]
        cells: list[list[str]] = []
        for surface in _surfaces(rows, section):
            each = [paired(differences(rows, c, surface)) for c in shown]
            cells.append(
                [surface, *(f"{p.mean:+.2f} ({p.low:+.2f} to {p.high:+.2f})" for p in each)]
            )
        lines += ["", *table(["surface", *heads], cells)]
    return ["## By surface", *lines]


def _means(rows: Mapping[str, Row]) -> list[str]:
    lines: list[str] = []
    for section in dict.fromkeys(comparison.section for comparison in COMPARISONS):
        surfaces = _surfaces(rows, section)
        arms: dict[str, list[str]] = {}
        for surface in surfaces:
            here = [row["arms"] for name, row in rows.items() if _at(name) == (section, surface)]
            for arm in dict.fromkeys(arm for measured in here for arm in measured):
                mean = statistics.fmean(POINTS * m[arm]["truth"] for m in here if arm in m)
                arms.setdefault(arm, []).append(f"{mean:.2f}")
        lines += [
            "",
            *table(["", *(f">{s}" for s in surfaces)], [[k, *v] for k, v in arms.items()]),
        ]
    return lines[1:]


def _surfaces(rows: Mapping[str, Row], section: str) -> list[str]:
    there = {s for t, s in map(_at, rows) if t == section}
    return [surface for surface in (*SURFACES, *MOVES) if surface in there]


def _at(name: str) -> tuple[str, str]:
    section, surface, _ = name.split("/")
    return section, surface
