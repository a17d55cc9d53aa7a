"""Preparing a task in a process of its own, whose environment is the one of this moment.

Libraries read HF_HOME, HF_ENDPOINT and the like once, at their import.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.tasks import HubUnreachable, Prepared, TaskError, make_task
from search_spaces.parts import TaskSpec

_ERRORS: dict[str, type[TaskError]] = {cls.__name__: cls for cls in (TaskError, HubUnreachable)}
_ROOT = Path(__file__).parents[3]


def prepare_apart(task_spec: TaskSpec, cache: Path, seed: int) -> Prepared:
    """Prepare a task in a child process and wait for it; see `Task.prepare`.

    Raises:
        TaskError: what the task cannot use.
        RuntimeError: the child ended otherwise; the message holds its last words.
    """
    question = {"task": task_spec.model_dump(mode="json"), "cache": str(cache), "seed": seed}
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    # -P: a file of the working directory must not stand in for a library.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.orchestrator.tasks.apart"],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(
            f"the data could not be prepared; the process ended with {done.returncode}:\n"
            f"{done.stderr[-4000:]}"
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["rule"], mend=answer["mend"])
    tuples = {name: tuple(answer[name]) for name in ("labels", "metrics", "notes")}
    return Prepared(**{**answer, **tuples})


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        spec = TaskSpec.model_validate(question["task"])
        prepared = make_task(spec, Path(question["cache"]), question["seed"]).prepare()
    except TaskError as error:
        return {"error": type(error).__name__, "rule": error.rule, "mend": error.mend}
    return dataclasses.asdict(prepared)


def _main() -> None:
    """The child: the question on stdin, the answer on stdout, everything else on stderr."""
    output = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(json.load(sys.stdin))
    with os.fdopen(output, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    _main()
