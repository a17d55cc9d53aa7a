"""A task from a person's own Python file: `task.type: my_task.py:build`.

Runs that person's code, so it is reached only when `--allow-code` was given (the sweep file is
refused without it). `build(spec, cache, seed)` returns an object with the members of
`orchestrator.tasks.protocol.Task`; what it lacks is said at once, by name.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.protocol import Task
from search_spaces.errors import did_you_mean
from search_spaces.parts import TaskSpec

_MEMBERS = (
    "prepare",
    "train_dataset",
    "eval_dataset",
    "test_dataset",
    "collator",
    "compute_metrics",
    "tokenizer",
    "labels",
    "build_model",
    "model_key",
)
_PARAMETERS = "(spec, cache, seed)"


def own_task(task_spec: TaskSpec, cache: Path, seed: int) -> Task:
    """Return the task that the file's function builds.

    Raises:
        TaskError: file or function is not there, the file or the function raises, or what comes
            back is no task.
    """
    file, _, name = task_spec.type.rpartition(":")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise TaskError(
            f"task.type: there is no file {file} (working directory {Path.cwd()}).",
            mend="check the path; relative ones start at the working directory.",
        )
    module = _loaded(path)
    build = getattr(module, name, None)
    if not callable(build):
        functions = [n for n, v in vars(module).items() if inspect.isfunction(v)]
        raise TaskError(
            f"task.type: {file} has no function {name}.",
            mend=f"{did_you_mean(name, functions, 'functions there')}."
            if functions
            else f"write def {name}{_PARAMETERS} in it.",
        )
    try:
        inspect.signature(build).bind(task_spec, cache, seed)
    except TypeError as error:
        raise TaskError(
            f"task.type: {name} of {file} must take {_PARAMETERS}; it takes"
            f" {inspect.signature(build)}.",
            mend=f"write def {name}{_PARAMETERS}.",
        ) from error
    try:
        task = build(task_spec, cache, seed)
    except Exception as error:  # a person's own code may raise anything
        raise _raised(f"{name} of {file}", path, error) from error
    return _checked(task, f"{name} of {file}")


def _loaded(path: Path) -> ModuleType:
    """Import the file under a name of its own; once a process, so that it can be pickled."""
    name = f"sweep_task_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"task.type: {path} is no Python file.", mend="name a .py file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a person's own code may raise anything
        del sys.modules[name]
        raise _raised(str(path), path, error) from error
    return module


def _raised(what: str, path: Path, error: Exception) -> TaskError:
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{path}:{line}" if line else str(path)
    return TaskError(
        f"task.type: {what} raised {type(error).__name__}: {error} ({where})",
        mend="mend the file; it is run as it stands.",
    )


def _checked(task: object, what: str) -> Task:
    # Looked up on the class, because a property may load data when it is read.
    missing = [
        name for name in _MEMBERS if not hasattr(type(task), name) and name not in _own(task)
    ]
    if missing:
        raise TaskError(
            f"task.type: {what} must return a task; what it returned"
            f" ({type(task).__name__}) lacks {', '.join(missing)}.",
            mend="see the Task protocol in orchestrator/tasks/protocol.py for each member.",
        )
    return task  # type: ignore[return-value]


def _own(task: object) -> dict[str, object]:
    return getattr(task, "__dict__", {})
