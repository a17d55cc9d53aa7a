"""Tasks: what is trained, as the parts of a Trainer; one entry in TASKS a kind.

The rest of the orchestrator knows a task by the protocol only. A person's own Python file
(`my_task.py:build`) is the one way in from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.tasks.errors import HubUnreachable, TaskError
from orchestrator.tasks.own_file import own_task
from orchestrator.tasks.protocol import Prepared, Task
from orchestrator.tasks.text_classification import TextClassification
from search_spaces.errors import did_you_mean
from search_spaces.parts import TaskSpec

TASKS: dict[str, Callable[[TaskSpec, Path, int], Task]] = {
    "text-classification": TextClassification,
}


def make_task(task_spec: TaskSpec, cache: Path, seed: int) -> Task:
    """Return the task of a sweep file; nothing is loaded until it is prepared or asked.

    Args:
        task_spec: the sweep file's task, a trial's `task.` names applied.
        cache: folder for what can be made again, shared by the processes of a node.
        seed: the study's.

    Raises:
        TaskError: the type is unknown, or an own file cannot be used.
    """
    if task_spec.is_own_file:
        return own_task(task_spec, cache, seed)
    if task_spec.type not in TASKS:
        raise TaskError(
            f"task.type: {task_spec.type} is no task.",
            mend=f"{did_you_mean(task_spec.type, list(TASKS), 'tasks')}, or a file of your own:"
            " my_task.py:build.",
        )
    return TASKS[task_spec.type](task_spec, cache, seed)


__all__ = ["TASKS", "HubUnreachable", "Prepared", "Task", "TaskError", "make_task"]
