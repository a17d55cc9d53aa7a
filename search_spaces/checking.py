"""A parsed sweep file -> Sweep, or a SpecError with everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search_spaces.draft import Draft
from search_spaces.errors import Fault, Place, SpecError
from search_spaces.findings import Findings
from search_spaces.models import fitted
from search_spaces.normalise import normalise
from search_spaces.parameters import check_parameters, check_training_arguments
from search_spaces.parts import METRICS, MetricSpec, PopulationSpec, canonical_metric, natural_goal
from search_spaces.rules import check_rules
from search_spaces.rules_task import default_metrics
from search_spaces.secrets import holds_secret
from search_spaces.spec import Sweep, SweepSpec
from search_spaces.tree import Document, KeyPath, dotted


def check(
    document: Document,
    path: Path,
    text: str,
    findings: Findings,
    *,
    allow_code: bool = False,
) -> Sweep:
    """Return the sweep of a parsed file.

    Args:
        document: the file with the overrides in it.
        path: the file.
        text: the file's text as it was read.
        findings: may hold faults already: those of the YAML and of overrides.
        allow_code: as of `read_sweep`.

    Raises:
        SpecError: the file has faults.
    """
    raw, known = document.data(), tuple(findings.faults)
    if not isinstance(raw, dict):
        findings.fault((), "must be a mapping of keys", mend="`sweep init METHOD` writes one")
        raise SpecError(findings.faults, document.source, document.lines)
    data = normalise(raw, findings)
    data.setdefault("name", file_name(path))
    if data.get("method") == "pbt" and "population" not in data:
        data["population"] = {}
        findings.note(f"population is not given: {PopulationSpec().size} members")
    _refuse_secrets(document, findings)
    space = check_parameters(data, findings)
    constants = check_training_arguments(data, findings)
    right: dict[str, Any] = dict(data)
    for key, kept in (("parameters", space), ("training_arguments", constants)):
        if isinstance(data.get(key), dict):
            right[key] = {k: v for k, v in data[key].items() if k in kept}
    spec, given = fitted(right, findings)
    spec = _filled(spec, given)
    check_rules(Draft(spec, space, data, findings, allow_code))
    faults = _without_consequences(findings.faults, known)
    if faults:
        raise SpecError(faults, document.source, document.lines)
    return Sweep(spec=spec, notes=tuple(findings.notes), path=path, source=text)


def _refuse_secrets(document: Document, findings: Findings) -> None:
    """Refuse what the study's folder would keep, whoever reads it: the file is copied there."""
    rule = "a sweep file must hold no secret: the study's folder keeps a copy of it"
    mend = (
        "take the key, token or password out: a library finds its own in the environment "
        "(HF_TOKEN, WANDB_API_KEY, AWS_...) or in its settings"
    )
    told = set()
    for path, text in _texts(document.data(), ()):
        if holds_secret(f"{path[-1]}: {text}" if path else text):  # a name may say it
            place = document.place(path)
            told.add((place.origin, place.line))
            findings.faults.append(Fault(dotted(path), place, rule, "", mend))
    for number, line in enumerate(document.lines, 1):
        if holds_secret(line) and (0, number) not in told:
            place = Place(0, number, 1, len(line) + 1)
            findings.faults.append(Fault("", place, rule, "", mend))


def _texts(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _texts(value, (*path, number))


def _without_consequences(faults: list[Fault], first: tuple[Fault, ...]) -> list[Fault]:
    """Return faults without those at a place where the YAML itself was wrong already."""
    places = {fault.place for fault in first}
    return [f for f in faults if f in first or f.place not in places]


def file_name(path: Path) -> str:
    """Return a study's name made from a file's: its letters, digits, `.`, `_` and `-`."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return cleaned[:64] or "sweep"


def _filled(spec: SweepSpec, given: dict[str, Any]) -> SweepSpec:
    """Return spec with the defaults that depend on other keys: metrics and metric."""
    metrics = spec.task.metrics or default_metrics(spec.task.problem)
    metric = spec.metric
    named = isinstance(given.get("metric"), dict) and "name" in given["metric"]
    if not named:
        own = next((m for m in metrics if m in METRICS), METRICS[0])
        goal = natural_goal(own)
        if isinstance(given.get("metric"), dict) and "goal" in given["metric"]:
            goal = metric.goal
        metric = MetricSpec(name=canonical_metric(own), goal=goal)
    bare = metric.name.removeprefix("eval_")
    if not spec.task.metrics and named and bare in METRICS:
        # Asked for by name, and no list says otherwise: it is what the task computes.
        metrics = (bare,)
    if spec.task.is_own_file:
        metrics = spec.task.metrics
    task = spec.task.model_copy(update={"metrics": metrics})
    return spec.model_copy(update={"metric": metric, "task": task})
