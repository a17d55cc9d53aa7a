"""What the language allows is what the program has: every word has its entry where it is used."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

from search_spaces import EarlyTerminateSpec, SweepSpec
from search_spaces.mid_run import CAN_CHANGE
from search_spaces.parts import METRICS, TRACKERS
from search_spaces.rules_task import FILE_KINDS, TASKS

ORCHESTRATOR = Path(__file__).parents[2] / "orchestrator"


def table(file: str, name: str) -> set[Any]:
    """Return the keys of a dict, or the items of a tuple, that a module assigns to a name.

    Read from source, so that neither torch nor ray is loaded for a look at a table.
    """
    for node in ast.parse((ORCHESTRATOR / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        value = node.value
        if isinstance(target, ast.Name) and target.id == name:
            assert isinstance(value, ast.Dict | ast.Tuple)
            items = value.keys if isinstance(value, ast.Dict) else value.elts
            return {ast.literal_eval(item) for item in items if item is not None}
    raise AssertionError(f"{file} has no table {name}")


def choices(field: str) -> set[str]:
    return set(get_args(SweepSpec.model_fields[field].annotation))


def test_every_metric_of_the_language_is_computed() -> None:
    assert table("tasks/metrics.py", "METRICS") == set(METRICS)


def test_every_name_that_pbt_may_search_is_reapplied_to_a_running_trainer() -> None:
    assert table("hyperparameters.py", "REAPPLIED") == set(CAN_CHANGE)


def test_every_method_has_its_searcher() -> None:
    assert table("searchers.py", "SEARCHERS") >= choices("method") - {"bayes"}


def test_every_kind_of_early_stopping_has_its_scheduler() -> None:
    kinds = set(get_args(EarlyTerminateSpec.model_fields["type"].annotation))
    assert table("schedulers.py", "SCHEDULERS") >= kinds


def test_every_kind_of_file_is_read() -> None:
    assert table("tasks/sources.py", "FILE_KINDS") == set(FILE_KINDS)


def test_every_task_and_tracker_of_the_language_is_there() -> None:
    assert table("tasks/__init__.py", "TASKS") >= set(TASKS)
    assert table("tracking/backends.py", "TRACKERS") | {"none"} == set(TRACKERS)
