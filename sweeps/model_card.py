"""The card of an exported model: what it is, how good, from what, and how to get it again.

Pure: a study's result in, Markdown with the Hub's metadata out. Paths of this machine stay out
of it, because a card is made to be passed on; text from outside is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from orchestrator.ancestry import Stretch, ancestry
from orchestrator.crowning import Crowned
from orchestrator.events import Evaluated
from orchestrator.results import StudyResult
from orchestrator.state import StudyBest, StudyState
from search_spaces import SplitFrom, TaskSpec
from sweeps import __version__
from sweeps.text import count, metric_name, number, printable, setting
from sweeps.views import METHOD_WORDS, SMOKE, epoch_at

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""`owner/name`; what does not look like it is taken for a local folder."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


def model_card(result: StudyResult, best: StudyBest) -> str:
    """Write the card.

    Args:
        best: the checkpoint that was exported.
    """
    spec, state = result.spec, result.state
    task = spec.task_for(best.config)
    record = state.trials[best.trial]
    metric = metric_name(state.metric)
    metrics = record.reports[best.boundary].metrics
    look, crown = state.test_of(best.checkpoint), state.crowned
    parts = [
        "---\n" + yaml.safe_dump(_metadata(result, best, task), sort_keys=False) + "---",
        f"# {escaped(state.name)}",
    ]
    if state.smoke:
        parts.append(f"> **{SMOKE}**")
    if spec.description:
        parts.append(escaped(spec.description))
    parts += [
        f"{escaped(shown_source(task.model))}{_FROM[task.weights]} trained for"
        f" {escaped(task.type)}; the best of {count(state.searched, 'trial')} found by"
        f" {METHOD_WORDS[state.method]}"
        f" ({state.goal} {escaped(metric)}).",
        f"## Result\n\nTrial {escaped(best.trial)} at epoch"
        f" {number(epoch_at(record, best.boundary))} of {number(record.epochs)}, on the validation"
        " split. It was selected by these numbers, so they are optimistic"
        + (": measure it on data that no trial has seen." if look is None else ".")
        + "\n\n"
        + markdown_table(
            ("metric", "value"), ((metric_name(name), number(v)) for name, v in metrics.items())
        ),
        *([] if look is None else [_held_out(look)]),
        *([] if crown is None or best.trial not in crown.trials else [_crowned(state, crown)]),
        "## Configuration\n\n" + _configuration(result, best),
        "## Data\n\n" + _data(task),
    ]
    stretches = ancestry(state, best.trial, best.boundary)
    if len(stretches) > 1:
        parts.append("## Lineage\n\n" + _lineage(state, stretches))
    parts += ["## Use\n\n" + _USE, "## Made with\n\n" + _made_with(result)]
    return "\n\n".join(parts) + "\n"


def _held_out(look: Evaluated) -> str:
    """The figure that nothing was chosen by, or that it may have been chosen by."""
    chosen = ", which nothing was chosen by"
    if look.again:
        chosen = "; the split had been looked at before, so the choice may have known it"
    return (
        f"On the {escaped(look.split)} split ({count(look.rows, 'row')}){chosen}:\n\n"
        + markdown_table(
            ("metric", "value"), ((name, number(value)) for name, value in look.metrics.items())
        )
    )


def _crowned(state: StudyState, crown: Crowned) -> str:
    """How the configuration fared on seeds that chose nothing."""
    failed = f"; {crown.failed} more failed" if crown.failed else ""
    return (
        f"Its configuration was found by trial {escaped(crown.repeats)} and trained again on"
        f" {count(len(crown.values), 'new seed')}{failed}: mean"
        f" {escaped(metric_name(state.metric))} {number(crown.mean)}, from"
        f" {number(min(crown.values))} to {number(max(crown.values))}. This"
        " model is the best of these runs."
    )


_FROM = {"pretrained": "", "random": " (from random weights)"}

_USE = """```python
from transformers import pipeline

classify = pipeline("text-classification", "PATH/OF/THIS/FOLDER")
```"""


def _metadata(result: StudyResult, best: StudyBest, task: TaskSpec) -> dict[str, Any]:
    """The front matter that the Hub reads."""
    spec, state = result.spec, result.state
    dataset = task.dataset
    from_hub = bool(HUB_ID.fullmatch(dataset.path)) and not dataset.data_files
    data: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["sweep-orchestrator", spec.method, *(["smoke-run"] if state.smoke else [])],
    }
    if HUB_ID.fullmatch(task.model) and task.weights == "pretrained" and not state.smoke:
        data |= {"base_model": task.model}
    if from_hub:
        data |= {"datasets": [dataset.path]}
    metric = metric_name(state.metric)
    about = {"name": printable(dataset_name(task)), "type": dataset.path if from_hub else "local"}
    if dataset.name:
        about["config"] = dataset.name
    figures = [("validation", best.value)]
    look = state.test_of(best.checkpoint)
    if look is not None and look.value is not None:
        figures.append((look.split, look.value))
    results: list[dict[str, Any]] = [
        {
            "task": {"type": "text-classification"},
            "dataset": {**about, "split": split},
            "metrics": [{"type": metric, "name": metric, "value": value}],
        }
        for split, value in figures
    ]
    return {
        **data,
        "metrics": [metric],
        "model-index": [{"name": state.name, "results": results}],
    }


def _configuration(result: StudyResult, best: StudyBest) -> str:
    """What was searched, then what was constant."""
    spec = result.spec
    constants = {k: v for k, v in spec.training_arguments.items() if k not in best.config}
    rows = [(name, setting(value), "searched") for name, value in best.config.items()]
    rows += [(name, setting(value), "constant") for name, value in constants.items()]
    return markdown_table(("name", "value", ""), rows)


def _data(task: TaskSpec) -> str:
    dataset = task.dataset
    splits = {
        name: f"{source.size} of {source.from_split}" if isinstance(source, SplitFrom) else source
        for name, source in dataset.splits.items()
    }
    rows = [
        ("data set", dataset_name(task)),
        ("text", ", ".join(dataset.text)),
        ("label", dataset.label),
        *((f"{name} split", source) for name, source in splits.items()),
        ("max_length", str(task.max_length)),
    ]
    if task.rows:
        rows.append(("rows", ", ".join(f"{n} of {split}" for split, n in task.rows.items())))
    return markdown_table(("", ""), rows)


def _lineage(state: StudyState, stretches: Sequence[Stretch]) -> str:
    rows = []
    for stretch in stretches:
        record = state.trials[stretch.trial]
        start, end = (number(epoch_at(record, b)) for b in (stretch.start, stretch.end))
        config = ", ".join(f"{name} {setting(value)}" for name, value in stretch.config.items())
        rows.append((f"{start} to {end}", stretch.trial, config))
    return (
        "This model is the end of a schedule, not of one configuration. Each line goes on from the"
        " checkpoint of the line before:\n\n"
        + markdown_table(("epochs", "trial", "configuration"), rows)
    )


def _made_with(result: StudyResult) -> str:
    started = result.state.started
    versions = {"sweep-orchestrator": __version__, **(started.versions if started else {})}
    listed = ", ".join(f"{escaped(name)} {escaped(v)}" for name, v in versions.items())
    return f"Method {result.spec.method}, seed {result.state.seed}. {listed}."


def dataset_name(task: TaskSpec) -> str:
    """The data set as a person names it: path and configuration, or the files' names."""
    dataset = task.dataset
    if dataset.data_files:
        files = [PurePath(f).name for listed in dataset.data_files.values() for f in listed]
        return ", ".join(dict.fromkeys(files))
    return " ".join(part for part in (shown_source(dataset.path), dataset.name) if part)


def shown_source(source: str) -> str:
    """A Hub id as it is, of a local path only the last part."""
    return source if HUB_ID.fullmatch(source) else PurePath(source).name or source


def escaped(text: str) -> str:
    """Text that Markdown and HTML take for nothing but text, in one line."""
    return _SPECIAL.sub(r"\\\1", printable(text).replace("\n", " "))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are escaped."""
    lines = [headings, ["---"] * len(headings), *[[escaped(c) for c in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
