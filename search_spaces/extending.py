"""What may change about a study that has begun: its limits, never what its trials are.

Reads `--set` of `sweep resume`. The folder's own specification stays as it was written; a change
stands in the journal and is put over it whenever the study is read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.domains import is_number
from search_spaces.errors import Fault, Place, SpecError, printable, shown
from search_spaces.findings import Findings
from search_spaces.models import NOT_IN_FILES, fitted
from search_spaces.overrides import apply_overrides
from search_spaces.spec import SweepSpec
from search_spaces.tree import Document, Node

EPOCHS = "training_arguments.num_train_epochs"
_EVERY = "training_arguments.eval_steps"
CHANGEABLE = (
    "run_cap",
    "budget.epochs",
    "budget.wall_clock",
    "budget.gpu_hours",
    "budget.usd_per_gpu_hour",
    "failures.max_retries",
    "failures.stop_after",
    "failures.on_oom",
    "failures.hung_after",
    "resources.max_concurrent",
    EPOCHS,
)
"""Keys that `sweep resume --set` takes; the epochs only of a population."""
_ROUNDING = 1e-9


def changed(spec: SweepSpec, changes: Mapping[str, Any]) -> SweepSpec:
    """Return spec with the changes over it.

    Args:
        spec: a study's specification.
        changes: dotted key -> value as `read_changes` returned it; None takes the key out.

    Raises:
        ValueError: a value does not fit.
    """
    data = copy.deepcopy(spec.model_dump(mode="json"))
    for key, value in changes.items():
        *sections, last = key.split(".")
        holder = data
        for section in sections:
            holder = holder.setdefault(section, {})
        if value is None:
            holder.pop(last, None)
        else:
            holder[last] = value
    return SweepSpec.model_validate(data)


def read_changes(spec: SweepSpec, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what `--set key=value` asks to change about a study that has begun.

    Args:
        spec: the study's specification as it stands.
        overrides: `a.b=value` each; the value is YAML, null takes a limit away.

    Returns:
        Dotted key -> JSON value; empty when nothing differs from what is. With more epochs of
        a population whose boundaries are fractions of the whole, those fractions too.

    Raises:
        SpecError: a key may not change, or a value does not fit.
    """
    root, faults = apply_overrides(Node(Place(), "mapping", entries={}), overrides)
    document = Document(root, "", ())
    findings = Findings(document)
    findings.faults += faults
    changes: dict[str, Any] = {}
    for number, text in enumerate(overrides, start=1):
        key = text.partition("=")[0].strip()
        if "=" in text and all(key.split(".")):
            _refuse(spec, key, Place(origin=number, label=f"--set {text}"), findings)
            node = document.node(tuple(key.split(".")))
            changes[key] = None if node is None else node.data()
    if not findings.faults:
        fitted(_partial(spec, document.data()), findings)
    if findings.faults:
        raise SpecError(findings.faults, "")
    if EPOCHS in changes:
        changes |= _more_epochs(spec, changes[EPOCHS], findings)
    after = changed(spec, changes)
    if after.method in ("random", "bayes") and not (after.run_cap or after.budget.is_limit):
        findings.fault((), "the study would go on for ever", got="", mend="leave it one limit")
    if findings.faults:
        raise SpecError(findings.faults, "")
    return {} if after == spec else changes


def _refuse(spec: SweepSpec, key: str, place: Place, findings: Findings) -> None:
    rule, mend = "", ""
    if key not in CHANGEABLE or (key == EPOCHS and spec.method != "pbt"):
        names = [k for k in CHANGEABLE if k != EPOCHS or spec.method == "pbt"]
        rule = "cannot change: it is part of what the study's trials are, and some have begun"
        mend = f"these can: {', '.join(names)}; or run the file under another --name"
    elif key == "run_cap" and spec.method == "grid":
        rule = "a grid tries every point of its space; there are no more trials"
        mend = "run a file with more values under another --name"
    elif key == "run_cap" and spec.method == "pbt":
        rule = "a population keeps its size; it can train for more generations"
        mend = f"write --set {EPOCHS}=N"
    if rule:
        findings.faults.append(Fault(printable(key), place, rule, "", mend))


def _partial(spec: SweepSpec, given: dict[str, Any]) -> dict[str, Any]:
    """Data that fits but for what was given."""
    whole = spec.model_dump(mode="json")
    hidden = NOT_IN_FILES["task",]
    task = {k: v for k, v in whole["task"].items() if k not in hidden}
    sections = {k: {**whole[k], **v} if isinstance(v, dict) else v for k, v in given.items()}
    return {"name": spec.name, "method": spec.method, "task": task, **sections}


def _more_epochs(spec: SweepSpec, epochs: Any, findings: Findings) -> dict[str, Any]:
    """What goes along with more epochs of a population, so that its boundaries stay in place."""
    path = tuple(EPOCHS.split("."))
    before = spec.epochs({})
    if not is_number(epochs) or epochs <= before:
        findings.fault(
            path,
            f"must be more than the {before:g} epochs of before: nothing trained is taken back",
            got=shown(epochs),
            mend=f"write --set {EPOCHS}={2 * before:g}",
        )
        return {}
    every = spec.setting({}, "eval_steps")
    strategy = spec.setting({}, "eval_strategy")
    along: dict[str, Any] = {}
    if strategy == "steps" and every and every >= 1:
        return {}  # the same steps; whether that comes out even is known with the data
    if strategy == "steps":
        count = spec.boundaries({}) * epochs / before
        along = {_EVERY: 1.0 / round(count)}
    after = changed(spec, {EPOCHS: epochs, **along})
    was, now = spec.boundaries({}), after.boundaries({})
    if abs(now * before - was * epochs) > _ROUNDING * was * epochs:
        findings.fault(
            path,
            "the boundaries that were passed must stay where they are, and so the epochs of one"
            f" must divide the new epochs; there were {was} in {before:g} epochs",
            got=shown(epochs),
            mend=f"write --set {EPOCHS}={2 * before:g}",
        )
    return along
