"""One entry of `parameters` -> its domain, in W&B's spelling: value, values, min, max, ...

It does not know what the name is for; `parameters.py` checks that. Problems are returned, all of
them, and not raised, because a file's faults are shown at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.domains import (
    Choice,
    Constant,
    Domain,
    IntUniform,
    LogUniform,
    Quantized,
    Uniform,
    is_number,
    same,
)
from search_spaces.errors import did_you_mean, shown

KEYS = ("value", "values", "min", "max", "distribution", "q", "count")
DISTRIBUTIONS = (
    "uniform",
    "log_uniform_values",
    "int_uniform",
    "q_uniform",
    "q_log_uniform_values",
    "categorical",
    "constant",
)
_OTHER_TOOLS = {
    "loguniform": "log_uniform_values",
    "choice": "categorical",
    "randint": "int_uniform",
    "quniform": "q_uniform",
    "qloguniform": "q_log_uniform_values",
}
_OTHER_KEYS = {
    "low": "min", "high": "max", "lower": "min", "upper": "max", "lowest": "min",
    "highest": "max", "minimum": "min", "maximum": "max", "choices": "values",
    "options": "values", "step": "q", "type": "distribution", "num": "count",
}  # fmt: skip
_LARGEST = 1e100
_MAX_COUNT = 10_000
_MAX_STEPS = 10**12


@dataclass(frozen=True)
class Problem:
    """What is wrong with an entry: under which of its keys, the rule, what was given, the mend.

    `quotes` names keys of the entry whose values are to be shown as they were written.
    """

    path: tuple[str | int, ...]
    rule: str
    got: str = ""
    mend: str = ""
    at_key: bool = False
    quotes: tuple[str, ...] = ()


class _Entry:
    """One entry being read; collects its problems."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.problems: list[Problem] = []

    def refuse(
        self, key: str | tuple[str | int, ...], rule: str, mend: str = "", got: str | None = None
    ) -> None:
        path = (key,) if isinstance(key, str) else key
        if got is None:
            head = str(path[0]) if path else ""
            got = shown(self.raw[head]) if head in self.raw else ""
        self.problems.append(Problem(path, rule, got, mend))

    def number(self, key: str, *, whole: bool = False) -> float | None:
        """Return the number under key, None with a problem when it is none."""
        value: Any = self.raw.get(key)
        if key not in self.raw:
            self.refuse((), f"{key} is missing", f"write {key}: a number", "")
        elif not is_number(value):
            self.refuse(key, "must be a number", number_mend(value))
        elif abs(value) > _LARGEST:
            self.refuse(key, f"must be within {_LARGEST:g}", "write a smaller number")
        elif whole and not isinstance(value, int):
            self.refuse(key, "must be a whole number", f"write {round(value)}")
        else:
            return value
        return None

    def bounds(self, *, whole: bool = False, log: bool = False) -> tuple[float, float] | None:
        """Return min and max, None with problems when they are no range."""
        low, high = self.number("min", whole=whole), self.number("max", whole=whole)
        if low is None or high is None:
            return None
        if log and low <= 0:
            self.refuse(
                "min", "must be above 0 on a logarithmic scale", "write a small number such as 1e-6"
            )
        elif low > high:
            rule, mend = "must be below max", "swap the two"
            self.problems.append(Problem(("min",), rule, "", mend, quotes=("min", "max")))
        elif low == high:
            mend = f"write {{value: {shown(low)}}} for a constant"
            self.refuse("min", "must be below max", mend, f"{shown(low)} for both")
        else:
            return low, high
        return None

    def count(self) -> int | None:
        value = self.raw.get("count")
        if "count" not in self.raw:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_COUNT:
            return value
        self.refuse("count", f"must be a whole number from 1 to {_MAX_COUNT:,}", "write count: 5")
        return None


def meant_bool(value: object) -> str:
    """Return true or false for a text that YAML 1.1 took for one of them, "" for all else."""
    word = value.lower() if isinstance(value, str) else ""
    if word in ("yes", "on", "true", "y"):
        return "true"
    return "false" if word in ("no", "off", "false", "n") else ""


def number_mend(value: object, *, whole: bool = False) -> str:
    """Return the mend for a value that should have been a number, or a whole one."""
    usual = "write a whole number such as 8" if whole else "write a number such as 0.1"
    if isinstance(value, float) and whole and abs(value) < 1e15:
        return f"write {round(value)}"
    if isinstance(value, str):
        try:
            number = float(value.replace("_", "").replace(",", ""))
        except ValueError:
            return usual
        if math.isfinite(number):
            return (
                f"this is text: write {value.strip().replace('_', '').replace(',', '')}, no quotes"
            )
    return usual


def _uniform(entry: _Entry) -> Domain | None:
    bounds, count = entry.bounds(), entry.count()
    return Uniform(float(bounds[0]), float(bounds[1]), count) if bounds else None


def _log_uniform(entry: _Entry) -> Domain | None:
    bounds, count = entry.bounds(log=True), entry.count()
    return LogUniform(float(bounds[0]), float(bounds[1]), count) if bounds else None


def _int_uniform(entry: _Entry) -> Domain | None:
    bounds, count = entry.bounds(whole=True), entry.count()
    return IntUniform(int(bounds[0]), int(bounds[1]), count) if bounds else None


def _quantized(entry: _Entry, *, log: bool = False) -> Domain | None:
    bounds, count, q = entry.bounds(log=log), entry.count(), entry.number("q")
    if bounds is None or q is None:
        return None
    if q <= 0:
        entry.refuse("q", "must be above 0", "write the step between values, such as 8")
        return None
    if max(abs(bounds[0]), abs(bounds[1])) / q > _MAX_STEPS:
        entry.refuse("q", "must not be that small for its range", "leave q out")
        return None
    domain = Quantized(bounds[0], bounds[1], q, log, count)
    if domain.first > domain.last:
        entry.refuse("q", "must have a multiple between min and max", "widen the range")
        return None
    return domain


def _q_log_uniform(entry: _Entry) -> Domain | None:
    return _quantized(entry, log=True)


def _categorical(entry: _Entry) -> Domain | None:
    values = entry.raw.get("values")
    if not isinstance(values, list | tuple) or not values:
        mend = "write values: [a, b]"
        if "values" in entry.raw:
            entry.refuse("values", "must be a list of one value at least", mend)
        else:
            entry.refuse((), "values is missing", mend, "")
        return None
    before = len(entry.problems)
    for i, value in enumerate(values):
        got = shown(value)
        if isinstance(value, dict | list | tuple):
            mend = "search its parts by dotted names, or write one constant"
            entry.refuse(("values", i), "must be text, a number, true, false or null", mend, got)
        elif isinstance(value, float) and not math.isfinite(value):
            entry.refuse(("values", i), "must be finite", "write a number", got)
        elif isinstance(value, int | float) and abs(value) > _LARGEST:
            entry.refuse(("values", i), f"must be within {_LARGEST:g}", "write less", got)
        elif any(same(value, other) for other in values[:i]):
            entry.refuse(("values", i), "repeated value", "remove it", got)
    return Choice(tuple(values)) if len(entry.problems) == before else None


def _constant(entry: _Entry) -> Domain | None:
    if "value" not in entry.raw:
        entry.refuse((), "value is missing", "write value: x", "")
        return None
    return Constant(entry.raw["value"])


_READERS: dict[str, tuple[Callable[[_Entry], Domain | None], tuple[str, ...]]] = {
    "uniform": (_uniform, ("min", "max", "count")),
    "log_uniform_values": (_log_uniform, ("min", "max", "count")),
    "int_uniform": (_int_uniform, ("min", "max", "count")),
    "q_uniform": (_quantized, ("min", "max", "q", "count")),
    "q_log_uniform_values": (_q_log_uniform, ("min", "max", "q", "count")),
    "categorical": (_categorical, ("values",)),
    "constant": (_constant, ("value",)),
}


def read_domain(raw: Mapping[str, Any]) -> tuple[Domain | None, list[Problem]]:
    """Return the domain of an entry, or None and what is wrong with it."""
    entry = _Entry(raw)
    known = (*KEYS, "mu", "sigma", "probabilities", "a", "b")
    for key in raw:
        if key not in known:
            meant = _OTHER_KEYS.get(key.lower())
            near = f"did you mean {meant}? Keys here: {', '.join(KEYS)}" if meant else ""
            mend = near or did_you_mean(key, KEYS)
            entry.problems.append(Problem((key,), "unknown key", "", mend, at_key=True))
    name = _distribution(entry)
    if name is None:
        return None, entry.problems
    reader, keys = _READERS[name]
    domain = reader(entry)
    for key in raw:
        if key in known and key not in (*keys, "distribution"):
            rule = f"means nothing for {name}"
            mend = f"remove it; {name} takes {', '.join(keys)}"
            entry.problems.append(Problem((key,), rule, "", mend, at_key=True))
    return (domain if not entry.problems else None), entry.problems


def _distribution(entry: _Entry) -> str | None:
    raw = entry.raw
    if "distribution" in raw:
        name = raw["distribution"]
        if not isinstance(name, str):
            entry.refuse("distribution", "must be a distribution's name", "write uniform")
            return None
        name = _OTHER_TOOLS.get(name, name)
        if name in _READERS:
            return name
        if refused := _refused_distribution(name, raw):
            entry.refuse("distribution", *refused)
        else:
            mend = did_you_mean(name, DISTRIBUTIONS, "Distributions")
            entry.refuse("distribution", "unknown distribution", mend)
        return None
    if "value" in raw:
        return "constant"
    if "values" in raw:
        return "categorical"
    if "min" in raw or "max" in raw:
        ends = (raw.get("min"), raw.get("max"))
        whole = all(isinstance(e, int) and not isinstance(e, bool) for e in ends)
        return "int_uniform" if whole else "uniform"
    if not entry.problems:
        entry.refuse(
            (), "says no values", "write {min: a, max: b}, {values: [a, b]} or {value: a}", ""
        )
    return None


def _refused_distribution(name: str, raw: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return rule and mend for W&B's distributions that are not ours, None for unknown names."""

    def number(key: str, otherwise: float) -> float:
        value: Any = raw.get(key)
        return float(value) if is_number(value) else otherwise

    def power(x: float) -> str:
        return f"{math.exp(min(max(x, -200.0), 200.0)):.4g}"

    middle, width = number("mu", 0.0), number("sigma", 1.0)
    low, high = middle - 2 * width, middle + 2 * width
    if name in ("normal", "q_normal"):
        return "is unbounded: ranges only", f"write {{min: {low:g}, max: {high:g}}} (mu +- 2 sigma)"
    if name in ("log_normal", "q_log_normal"):
        return "is unbounded: ranges only", (
            f"write {{distribution: log_uniform_values, min: {power(low)}, max: {power(high)}}} "
            "(mu +- 2 sigma)"
        )
    if name in ("beta", "q_beta"):
        return "is not a range", "write {min: 0.0, max: 1.0}"
    if name in ("log_uniform", "q_log_uniform"):
        ends = f"min: {power(number('min', 0.0))}, max: {power(number('max', 1.0))}"
        return "takes exponents of e, which are easily mistaken for values", (
            f"write {{distribution: {name}_values, {ends}}} for that range"
        )
    if name in ("inv_log_uniform", "inv_log_uniform_values"):
        return (
            "is the logarithmic scale once more",
            "write log_uniform_values, min and max in values",
        )
    if name == "categorical_w_probabilities":
        return "weights are not supported", "write {values: [...]}, all equally likely"
    return None


def domain(raw: Mapping[str, Any]) -> Domain:
    """Return the domain of an entry that was found right before.

    Raises:
        ValueError: it is not right.
    """
    found, problems = read_domain(raw)
    if found is None:
        raise ValueError(f"{dict(raw)!r} is no domain: {problems[0].rule}")
    return found
