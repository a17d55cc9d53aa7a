"""Keeps prepared tasks from trial to trial: their data and tokenizers stay loaded.

Almost every study has one; searching `task.` names makes more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from orchestrator.snapshot import tokenizer_files
from orchestrator.tasks import Task
from search_spaces import TaskSpec

KEPT = 8
"""Tasks kept at most; data is memory-mapped, tokenizers take a few MB."""


class WarmTasks:
    """The tasks used last.

    Args:
        make_task: gives the task of a TaskSpec.
        cache: folder for what can be made again.
        seed: the study's.
    """

    def __init__(
        self, make_task: Callable[[TaskSpec, Path, int], Task], cache: Path, seed: int
    ) -> None:
        self._make_task = make_task
        self._cache = cache
        self._seed = seed
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._files: tuple[Task, dict[str, bytes]] | None = None

    def take(self, spec: TaskSpec) -> Task:
        """Return the task, prepared.

        Raises:
            TaskError: see `Task.prepare`.
        """
        key = spec.model_dump_json()
        if key not in self._tasks:
            task = self._make_task(spec, self._cache, self._seed)
            task.prepare()
            self._tasks[key] = task
            if len(self._tasks) > KEPT:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(key)
        return self._tasks[key]

    def tokenizer_files(self, task: Task) -> dict[str, bytes]:
        """Return what `from_pretrained` needs beside a model of this task."""
        if self._files is None or self._files[0] is not task:
            self._files = task, tokenizer_files(task.tokenizer)
        return self._files[1]
