"""A parsed sweep file -> Sweep, or a SpecError with everything that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from search_spaces.errors import SpecError
from search_spaces.findings import Findings
from search_spaces.models import draft
from search_spaces.normalise import normalise
from search_spaces.parameters import check_parameters
from search_spaces.parts import canonical_metric, natural_goal
from search_spaces.source import Document
from search_spaces.spec import Sweep, SweepSpec


def check(
    document: Document,
    path: Path,
    text: str,
    *,
    allow_code: bool,
    force: bool,
    name: str | None,
) -> Sweep:
    """Return the sweep of a parsed file; arguments as of `read_sweep`.

    Raises:
        SpecError: the file has faults.
    """
    findings = Findings(document, force=force)
    raw = document.data()
    if not isinstance(raw, dict):
        findings.fault((), "must be a mapping of keys", mend="`sweep init METHOD` writes one")
        raise SpecError(findings.faults, document.source, document.lines)
    data = normalise(raw, findings)
    if name is not None:
        data["name"] = name
    data.setdefault("name", _file_name(path))
    check_parameters(data, findings)
    for key in [k for k in data.get("parameters", {}) if findings.is_bad("parameters", k)]:
        data["parameters"].pop(key)
    spec, _ = draft(data, findings)
    if findings.faults:
        raise SpecError(findings.faults, document.source, document.lines)
    return Sweep(spec=_filled(spec, data), notes=tuple(findings.notes), path=path, source=text)


def _file_name(path: Path) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return cleaned[:64] or "sweep"


def _filled(spec: SweepSpec, data: dict[str, Any]) -> SweepSpec:
    """Return spec with the defaults that depend on other keys."""
    changes: dict[str, Any] = {}
    metrics = spec.task.metrics or ("accuracy",)
    metric = spec.metric
    if "metric" not in data:
        metric = type(metric)(name=canonical_metric(metrics[0]), goal=natural_goal(metrics[0]))
        changes["metric"] = metric
    if not spec.task.metrics:
        changes["task"] = spec.task.model_copy(update={"metrics": metrics})
    return spec.model_copy(update=changes)
