"""Other spellings of the same thing -> ours: W&B's keys, shorter forms, renamed arguments.

Nothing is checked here beyond what a translation needs; what does not fit passes through as it is
and is found later. Each translation says so in a note, and remembers where its value stood.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from search_spaces.argument_tables import RENAMED, Renamed
from search_spaces.domains import is_number
from search_spaces.findings import Findings
from search_spaces.installed_arguments import installed_arguments, installed_version
from search_spaces.parts import METRICS, canonical_metric, natural_goal
from search_spaces.tree import KeyPath

_TASK_SAYS = "the task section says what is trained"
UNUSED = {
    "program": _TASK_SAYS,
    "command": _TASK_SAYS,
    "job": _TASK_SAYS,
    "image_uri": _TASK_SAYS,
    "controller": "method decides",
    "prior_runs": "use warm_start",
}
_UNUSED_IN = {
    "metric": ("target", "impute", "impute_while_running"),
    "early_terminate": ("strict",),
}


def normalise(data: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """Return data with other spellings translated; data itself is not changed.

    A key at the top that stands without a value is as if it were not there.
    """
    result: dict[str, Any] = {}
    for key, value in data.items():
        if key in UNUSED:
            findings.note(f"{key} is W&B's and not used here: {UNUSED[key]}")
        elif value is not None:
            result[key] = value
    for key, unused in _UNUSED_IN.items():
        if isinstance(result.get(key), dict):
            for inner in [k for k in unused if k in result[key]]:
                result[key] = {k: v for k, v in result[key].items() if k != inner}
                findings.note(f"{key}.{inner} is W&B's and not used here")
    _metric(result, findings)
    _tracking(result, findings)
    _early_terminate(result)
    if isinstance(result.get("parameters"), dict):
        result["parameters"] = _parameters(result["parameters"], findings)
    if isinstance(result.get("training_arguments"), dict):
        path: KeyPath = ("training_arguments",)
        result["training_arguments"] = _renamed(
            result["training_arguments"], path, findings, _translated_constant
        )
    return result


def _metric(data: dict[str, Any], findings: Findings) -> None:
    metric = data.get("metric")
    if isinstance(metric, str):
        metric = {"name": metric}
        findings.moved[("metric", "name")] = ("metric",)
    if not isinstance(metric, dict):
        return
    name = metric.get("name")
    if "goal" not in metric and isinstance(name, str):
        # W&B minimizes what is not named; an accuracy is never meant to be.
        metric = {**metric, "goal": natural_goal(name)}
        if canonical_metric(name).removeprefix("eval_") not in (*METRICS, "loss"):
            findings.note(f"metric.goal is not given: {metric['goal']} {name}")
    data["metric"] = metric


def _tracking(data: dict[str, Any], findings: Findings) -> None:
    """Move W&B's project and entity from the top into tracking."""
    tracking = data.get("tracking", {})
    if not isinstance(tracking, dict):
        return
    for key in ("project", "entity"):
        if key not in data:
            continue
        value = data.pop(key)
        if key in tracking:
            if tracking[key] != value:
                findings.moved[("tracking", key)] = (key,)
                findings.fault((key,), f"tracking.{key} says otherwise", mend="keep one of them")
            continue
        tracking = {**tracking, key: value}
        findings.moved[("tracking", key)] = (key,)
        data["tracking"] = tracking


def _early_terminate(data: dict[str, Any]) -> None:
    """Give W&B's other form (max_iter, s brackets) its first rung: max_iter / eta**s."""
    rungs = data.get("early_terminate")
    if not isinstance(rungs, dict) or "min_iter" in rungs:
        return
    longest, brackets, eta = rungs.get("max_iter"), rungs.get("s"), rungs.get("eta", 3)
    if is_number(longest) and is_number(brackets) and is_number(eta) and 1 < eta <= 100:
        first = longest / eta ** min(max(brackets, 0), 40)
        data["early_terminate"] = {**rungs, "min_iter": max(1, math.floor(first))}


def _parameters(entries: dict[str, Any], findings: Findings) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    _flatten(entries, (), ("parameters",), flat, findings)
    return _renamed(flat, ("parameters",), findings, _translated_domain)


def _flatten(
    entries: Mapping[str, Any],
    prefix: tuple[str, ...],
    path: KeyPath,
    flat: dict[str, Any],
    findings: Findings,
) -> None:
    """Write W&B's nested parameters as dotted names: {task: {parameters: {model: ...}}}."""
    for name, raw in entries.items():
        names = (*prefix, name)
        if isinstance(raw, dict) and isinstance(raw.get("parameters"), dict) and len(raw) == 1:
            _flatten(raw["parameters"], names, (*path, name, "parameters"), flat, findings)
            continue
        dotted = ".".join(names).removeprefix("training_arguments.")
        if dotted in flat:
            findings.fault((*path, name), f"{dotted} is there twice", mend="keep one of them")
            continue
        flat[dotted] = raw
        if (*path, name) != ("parameters", dotted):
            findings.moved[("parameters", dotted)] = (*path, name)


def _renamed(
    entries: dict[str, Any], path: KeyPath, findings: Findings, translated: Any
) -> dict[str, Any]:
    """Return entries with names of older versions replaced, where that is possible."""
    result: dict[str, Any] = {}
    for name, value in entries.items():
        renamed = RENAMED.get(name)
        fields = installed_arguments()
        if renamed is None or name in fields or renamed.to not in fields:
            result[name] = value
            continue
        if renamed.to in entries:
            findings.fault(
                (*path, name),
                f"is gone in transformers {installed_version()}, and {renamed.to} is there too",
                got="",
                mend="remove it",
                at_key=True,
            )
            continue
        done, new = translated(renamed, value)
        if not done:
            result[name] = value  # refused by name where names are checked
            continue
        result[renamed.to] = new
        findings.moved[(*path, renamed.to)] = findings.where((*path, name))
        findings.note(f"{name} is called {renamed.to} in transformers {installed_version()}")
    return result


def _translated_constant(renamed: Renamed, value: Any) -> tuple[bool, Any]:
    if renamed.values is not None:
        fits = isinstance(value, bool)
        return fits, renamed.values.get(value) if fits else value
    if renamed.to == "warmup_steps":
        return is_number(value) and value < 1, value
    return True, value


def _translated_domain(renamed: Renamed, raw: Any) -> tuple[bool, Any]:
    if not isinstance(raw, dict):
        return False, raw
    keys = [k for k in ("value", "values", "min", "max") if k in raw]
    new = dict(raw)
    for key in keys:
        listed = raw[key] if isinstance(raw[key], list) else [raw[key]]
        done = [_translated_constant(renamed, v) for v in listed]
        if not all(fits for fits, _ in done):
            return False, raw
        new[key] = [v for _, v in done] if isinstance(raw[key], list) else done[0][1]
    return bool(keys), new
