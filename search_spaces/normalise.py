"""Other spellings of the same thing -> ours: W&B's keys, shorter forms, renamed arguments."""

from __future__ import annotations

from typing import Any

from search_spaces.findings import Findings
from search_spaces.parts import natural_goal

_UNUSED = {
    "program": "the task section says what is trained",
    "command": "the task section says what is trained",
    "job": "the task section says what is trained",
    "image_uri": "the task section says what is trained",
    "controller": "the sweep's method decides",
    "prior_runs": "use warm_start",
}


def normalise(data: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """Return data with other spellings translated; notes say what was."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        if key in _UNUSED:
            findings.note(f"{key} is W&B's and not used here: {_UNUSED[key]}")
        elif value is not None:
            result[key] = value
    _metric(result, findings)
    for key in ("project", "entity"):
        if key in result:
            tracking = dict(result["tracking"]) if isinstance(result.get("tracking"), dict) else {}
            tracking.setdefault(key, result.pop(key))
            findings.moved[("tracking", key)] = (key,)
            result["tracking"] = tracking
    return result


def _metric(data: dict[str, Any], findings: Findings) -> None:
    metric = data.get("metric")
    if isinstance(metric, str):
        data["metric"] = metric = {"name": metric}
        findings.moved[("metric", "name")] = ("metric",)
    if not isinstance(metric, dict):
        return
    metric = dict(metric)
    for key in ("target", "impute", "impute_while_running"):
        if key in metric:
            del metric[key]
            findings.note(f"metric.{key} is W&B's and not used here")
    name = metric.get("name")
    if "goal" not in metric and isinstance(name, str):
        metric["goal"] = natural_goal(name)
    data["metric"] = metric
