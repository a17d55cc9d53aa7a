"""Log lines get the names that the Trainer's own integrations use."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import numpy
import pytest

from orchestrator.tracking.tracker import SUMMARY_NAMES, trainer_names

LINES = [
    {"loss": 0.69, "grad_norm": 1.5, "learning_rate": 1e-5, "epoch": 0.5},
    {"eval_loss": 0.6, "eval_accuracy": 0.5, "eval_runtime": 1.0, "epoch": 1.0},
    {"test_accuracy": 0.4},
]


def test_step_and_values_part() -> None:
    assert trainer_names({"loss": 1.0, "step": 3}) == ({"train/loss": 1.0}, 3)
    assert trainer_names({"eval_loss": 1.0, "global_step": 4}) == ({"eval/loss": 1.0}, 4)
    assert trainer_names({"eval_loss": 1.0}) == ({"eval/loss": 1.0}, None)


def test_our_own_position_has_a_section_of_its_own() -> None:
    line = {"trial": "t0", "segment": 1, "boundary": 2, "progress": 0.5, "step": 9, "loss": 1.0}
    values = {"sweep/segment": 1, "sweep/boundary": 2, "sweep/progress": 0.5, "train/loss": 1.0}
    assert trainer_names(line) == (values, 9)


def test_what_no_tracker_can_chart_is_left_out() -> None:
    line = {"a": None, "b": [1], "c": numpy.float32(0.5), "d": "text"}
    assert trainer_names(line) == ({"train/c": 0.5, "train/d": "text"}, None)


def integration_source() -> ast.Module:
    """Parse the installed transformers' integrations; importing them would load torch."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("transformers is not installed")
    folder = Path(spec.submodule_search_locations[0])
    return ast.parse((folder / "integrations" / "integration_utils.py").read_text())


def test_the_names_are_those_of_transformers() -> None:
    tree = integration_source()
    (function,) = (
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "rewrite_logs"
    )
    found: dict[str, Any] = {}
    exec(compile(ast.Module([function], []), "rewrite_logs", "exec"), found)
    for line in LINES:
        assert trainer_names(line)[0] == found["rewrite_logs"](line)


def test_the_totals_are_those_that_transformers_shows_as_summary() -> None:
    lists = [
        {item.value for item in node.value.elts if isinstance(item, ast.Constant)}
        for node in ast.walk(integration_source())
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.List)
        and any(isinstance(t, ast.Name) and t.id == "single_value_scalars" for t in node.targets)
    ]
    assert SUMMARY_NAMES in lists
