"""Checks the values of training arguments and of names into the task: types, limits, sense.

The types are those of the installed TrainingArguments; what goes beyond them is data in
`argument_tables.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from search_spaces.argument_tables import (
    DROPOUT_LIMITS,
    DROPOUT_SENSIBLE,
    FIXED,
    LIMITS,
    OTHER_NAMES,
    OWNED,
    RENAMED,
    SENSIBLE,
    Bounds,
)
from search_spaces.domain_keys import meant_bool, number_mend
from search_spaces.domains import is_number
from search_spaces.errors import nearest, shown
from search_spaces.installed_arguments import Argument, installed_arguments, installed_version
from search_spaces.mid_run import DROPOUT

EFFECTIVE = Argument("effective_batch_size", frozenset({"int"}), (), None)
TASK_NAMES = {
    "task.model": Argument("task.model", frozenset({"str"}), (), None),
    "task.revision": Argument("task.revision", frozenset({"str"}), (), "main"),
    "task.weights": Argument(
        "task.weights", frozenset({"str"}), ("pretrained", "random"), "pretrained"
    ),
    "task.max_length": Argument("task.max_length", frozenset({"int"}), (), 128),
}
"""Names into the task that may be searched, beside those below."""
FREE_PREFIXES = ("task.model_config.", "task.options.")
OWNED_MODEL_CONFIG = {
    "num_labels": "the data's labels decide",
    "id2label": "the data's labels decide",
    "label2id": "the data's labels decide",
    "problem_type": "use task.problem",
    "auto_map": "use trust_remote_code and --allow-code",
    "architectures": "use task.model",
    "model_type": "use task.model",
}
_ANY = frozenset({"bool", "int", "float", "str", "list", "dict", "None"})
_WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "dict": "a mapping",
    "None": "null",
}


@dataclass(frozen=True)
class Objection:
    """What speaks against a name or a value; `sense`: only `--force` is needed."""

    rule: str
    mend: str = ""
    sense: bool = False


def known_names() -> list[str]:
    """Return every name that a sweep file may set or search, for did-you-mean."""
    fields = [n for n in installed_arguments() if n not in OWNED]
    return ["effective_batch_size", *fields, *TASK_NAMES]


def find(name: str) -> Argument | Objection:
    """Return what a name stands for, or why it may not stand in a sweep file."""
    if name in OWNED:
        return Objection("is ours to set", OWNED[name])
    if name == EFFECTIVE.name:
        return EFFECTIVE
    if name in TASK_NAMES:
        return TASK_NAMES[name]
    if name.startswith(FREE_PREFIXES):
        return _free(name)
    if name == "task" or name.startswith("task."):
        return _into_task(name)
    fields = installed_arguments()
    if name in fields:
        return fields[name]
    if name in RENAMED:
        mend = RENAMED[name].mend or f"write {RENAMED[name].to}"
        return Objection(f"is gone in transformers {installed_version()}", mend)
    return _unknown(name)


def _free(name: str) -> Argument | Objection:
    key = name.split(".")[2]
    if not all(name.split(".")):
        return Objection("is not a dotted name", "write task.model_config.hidden_dropout_prob")
    if name.startswith("task.model_config.") and key in OWNED_MODEL_CONFIG:
        return Objection("is ours to set", OWNED_MODEL_CONFIG[key])
    types = frozenset({"float", "int"}) if DROPOUT.match(name) else _ANY
    return Argument(name, types, (), None)


def _into_task(name: str) -> Objection:
    if name.startswith(("task.dataset", "task.rows")):
        return Objection(
            "cannot be searched: trials are compared on the same data", "make a sweep file for each"
        )
    if name.startswith(("task.metrics", "task.problem", "task.type", "task.trust_remote_code")):
        return Objection("is a constant of the study", "write it in the task section")
    searchable = [*TASK_NAMES, *(f"{p}NAME" for p in FREE_PREFIXES)]
    near = nearest(name, searchable)
    start = f"did you mean {near}? " if near else ""
    return Objection("unknown name", f"{start}Names into the task: {', '.join(searchable)}")


def _unknown(name: str) -> Objection:
    near = OTHER_NAMES.get(name.lower()) or nearest(name, known_names())
    where = "names are fields of the installed TrainingArguments, or dotted paths into task"
    return Objection(
        "unknown name", f"did you mean {near}?" if near else f"check the spelling: {where}"
    )


def why_not_searched(name: str) -> str | None:
    """Return why a name that may be set may not be searched, None when it may."""
    return FIXED.get(name)


def check_value(argument: Argument, value: Any) -> Objection | None:
    """Return what speaks against a value of an argument, None when nothing does."""
    return _check_type(argument, value) or next(_check_bounds(argument.name, value), None)


def _check_type(argument: Argument, value: Any) -> Objection | None:
    types = argument.types
    if not types or types >= _ANY:
        return None
    if value is None:
        fits = "None" in types
    elif isinstance(value, bool):
        fits = "bool" in types
    elif isinstance(value, int):
        fits = bool(types & {"int", "float"})
    elif isinstance(value, float):
        fits = "float" in types and is_number(value)
    elif isinstance(value, str):
        fits = "str" in types and not argument.choices
        if argument.choices:
            return _check_choice(argument, value)
        # A text for a mapping would be the path of a file that the library then reads.
        fits = fits and "dict" not in types
    else:
        fits = ("list" if isinstance(value, list | tuple) else "dict") in types
    if fits:
        return None
    return Objection(f"must be {_type_words(argument)}", _type_mend(argument, value))


def _check_choice(argument: Argument, value: str) -> Objection | None:
    if value in argument.choices:
        return None
    near = nearest(value, argument.choices)
    known = _some(argument.choices)
    return Objection(
        "is not one of the known values",
        f"did you mean {near}? Known: {known}" if near else f"known: {known}",
    )


def _some(choices: tuple[str, ...]) -> str:
    return ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")


def _type_words(argument: Argument) -> str:
    names = [t for t in _WORDS if t in argument.types]
    if "float" in names and "int" in names:
        names.remove("int")
    if "dict" in names and "str" in names:
        names.remove("str")
    return " or ".join(_WORDS[n] for n in names)


def _type_mend(argument: Argument, value: Any) -> str:
    types = argument.types
    if types & {"int", "float"} and not isinstance(value, bool):
        return number_mend(value, whole="float" not in types)
    if "bool" in types:
        return f"write {meant_bool(value) or 'true or false'}"
    if argument.choices:
        return f"known: {_some(argument.choices)}"
    if types <= {"str", "None"} and isinstance(value, int | float):
        return f"put it in quotes: '{shown(value)}'"
    return f"write {_type_words(argument)}"


def _check_bounds(name: str, value: Any) -> Iterator[Objection]:
    if not is_number(value):
        return
    limits, sensible = LIMITS.get(name), SENSIBLE.get(name)
    if DROPOUT.match(name):
        limits, sensible = DROPOUT_LIMITS, DROPOUT_SENSIBLE
    if limits is not None and not limits.contains(value):
        yield Objection(f"must be {limits}", _bounds_mend(name, limits))
    elif name in ("eval_steps", "save_steps", "logging_steps", "warmup_steps") and (
        value > 1 and value != int(value)
    ):
        yield Objection("must be a whole number of steps, or a fraction below 1", "round it")
    elif sensible is not None and not sensible.contains(value):
        yield Objection(
            f"makes no sense as a {name}: it should be {sensible}",
            _bounds_mend(name, sensible),
            sense=True,
        )


def _bounds_mend(name: str, bounds: Bounds) -> str:
    usual = {
        "learning_rate": "usual values lie between 1e-6 and 1e-2",
        "weight_decay": "usual values lie between 0 and 0.3",
        "num_train_epochs": "write for instance 3",
    }
    return usual.get(name, f"write a number that is {bounds}")
