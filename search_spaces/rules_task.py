"""Rules about the task and its metric, the names of what is loaded, and code that would run."""

from __future__ import annotations

import re
from pathlib import Path

from search_spaces.arguments import OWNED_MODEL_CONFIG
from search_spaces.draft import Draft
from search_spaces.errors import did_you_mean, nearest, shown
from search_spaces.parts import METRICS, SplitFrom, natural_goal

TASKS = ("text-classification",)
FILE_KINDS = ("json", "csv", "parquet", "arrow")
_OWN_FILE = re.compile(r"(?P<file>[^:\0]+\.py):(?P<function>[A-Za-z_]\w*)\Z")
_FOR_REGRESSION = ("pearson", "spearman", "mse")
_OTHER_NAMES = {
    "mcc": "matthews_correlation",
    "matthews": "matthews_correlation",
    "matthews_corrcoef": "matthews_correlation",
    "pearsonr": "pearson",
    "spearmanr": "spearman",
    "acc": "accuracy",
    "f1_score": "f1",
    "mean_squared_error": "mse",
}


def default_metrics(problem: str) -> tuple[str, ...]:
    """Return the task's own metric for a kind of problem; auto is taken as classification."""
    return {"regression": ("pearson",), "multi_label": ("f1",)}.get(problem, ("accuracy",))


def check(draft: Draft) -> None:
    """Add the faults of the task section and of the metric."""
    _goal(draft)
    if not draft.has("task"):
        return
    _code(draft)
    _model_config(draft)
    task = draft.spec.task
    if draft.findings.is_bad("task", "type"):
        return
    if task.is_own_file:
        if not draft.has("metric", "name"):
            mend = "write metric: {name: ..., goal: maximize}, as your task computes it"
            draft.findings.fault(
                ("metric",), "must be named for a task of your own", got="", mend=mend, at_key=True
            )
        return
    if task.type not in TASKS:
        mend = did_you_mean(task.type, TASKS, "Tasks")
        mend += ", or a function of your own file: my_task.py:build"
        draft.findings.fault(("task", "type"), "unknown task", mend=mend)
        return
    _data(draft)
    _metrics(draft)


def _code(draft: Draft) -> None:
    task, findings = draft.spec.task, draft.findings
    if task.trust_remote_code and not draft.allow_code:
        findings.fault(
            ("task", "trust_remote_code"),
            "runs code from the Hub on this machine, which a sweep file alone may not ask for",
            mend="pass --allow-code if you trust it, or remove the key",
        )
    if not task.is_own_file:
        return
    path = ("task", "type")
    found = _OWN_FILE.match(task.type)
    if found is None:
        findings.fault(path, "must name a file and its function", mend="write my_task.py:build")
    elif not draft.allow_code:
        findings.fault(
            path,
            "runs your own Python file, which a sweep file alone may not ask for",
            mend="pass --allow-code",
        )
    elif not Path(found["file"]).is_file():
        findings.fault(
            path,
            "there is no such Python file",
            mend="check the path; relative ones start at the working directory",
        )


def _model_config(draft: Draft) -> None:
    for key in draft.spec.task.model_config_overrides:
        if key in OWNED_MODEL_CONFIG:
            path = ("task", "model_config", key)
            mend = OWNED_MODEL_CONFIG[key]
            draft.findings.fault(path, "is ours to set", mend=mend, at_key=True)


def _data(draft: Draft) -> None:
    task, findings = draft.spec.task, draft.findings
    dataset = task.dataset
    if not task.model and not findings.is_bad("task", "model"):
        mend = "write model: a Hub id such as google-bert/bert-base-uncased, or a local folder"
        if "task.model" not in draft.space:
            findings.fault(("task", "model"), "is missing", got="", mend=mend, at_key=True)
    if not dataset.path and not findings.is_bad("task", "dataset"):
        findings.fault(
            ("task", "dataset", "path"),
            "is missing",
            got="",
            mend="write dataset: {path: a Hub id, a folder, or json with data_files}",
            at_key=True,
        )
    elif dataset.path and not dataset.text and not findings.is_bad("task", "dataset", "text"):
        findings.fault(
            ("task", "dataset", "text"),
            "is missing",
            got="",
            mend="name the text column, or two: text: [sentence1, sentence2]",
            at_key=True,
        )
    if dataset.path in FILE_KINDS and not dataset.data_files:
        findings.fault(
            ("task", "dataset", "path"),
            "needs data_files",
            mend="write data_files: {train: train.jsonl, validation: validation.jsonl}",
        )
    for name, split in dataset.splits.items():
        if isinstance(split, SplitFrom) and split.from_split == name:
            path = ("task", "dataset", "splits", name, "from")
            findings.fault(path, "a split cannot be carved from itself", mend="write from: train")


def _metrics(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    task = spec.task
    computed = task.metrics or default_metrics(task.problem)
    listed = () if findings.is_bad("task", "metrics") else task.metrics
    for i, name in enumerate(listed):
        if name not in METRICS:
            near = _OTHER_NAMES.get(name.lower()) or nearest(name, METRICS)
            known = f"Metrics: {', '.join(METRICS)}"
            mend = f"did you mean {near}? {known}" if near else known
            findings.fault(("task", "metrics", i), "unknown metric", mend=mend)
        elif task.problem != "auto" and (name in _FOR_REGRESSION) != (task.problem == "regression"):
            mend = f"write {default_metrics(task.problem)[0]}, or another problem"
            findings.fault(("task", "metrics", i), f"does not fit {task.problem}", mend=mend)
    if findings.is_bad("metric", "name") or findings.is_bad("task", "metrics"):
        return
    bare = spec.metric.name.removeprefix("eval_")
    if draft.has("metric", "name") and bare != "loss":
        _check_metric(draft, bare, computed)


def _goal(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    if findings.is_bad("metric", "name") or findings.is_bad("metric", "goal"):
        return
    bare = spec.metric.name.removeprefix("eval_")
    natural = natural_goal(bare)
    if draft.has("metric", "goal") and bare in (*METRICS, "loss") and spec.metric.goal != natural:
        findings.fault(
            ("metric", "goal"),
            f"would look for the worst {bare}",
            mend=f"write goal: {natural}",
            sense=True,
        )


def _check_metric(draft: Draft, bare: str, computed: tuple[str, ...]) -> None:
    path = ("metric", "name")
    if bare in METRICS:
        if draft.spec.task.metrics and bare not in computed:
            listed = ", ".join(draft.spec.task.metrics)
            draft.findings.fault(
                path,
                f"the task does not compute {bare}; its metrics are {listed} and loss",
                got=shown(bare),
                mend=f"write task.metrics: [{listed}, {bare}]",
            )
        return
    near = _OTHER_NAMES.get(bare.lower()) or nearest(bare, (*METRICS, "loss"))
    known = f"Metrics: {', '.join(METRICS)}, loss"
    draft.findings.fault(
        path, "unknown metric", mend=f"did you mean {near}? {known}" if near else known
    )
