"""Runs the sections' models over a file's data and says their findings in plain words.

All faults at once: what does not fit is reported, taken out, and the rest is tried again, so that
the rules across keys still see everything that is right.
"""

from __future__ import annotations

import copy
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from search_spaces.domain_keys import meant_bool, number_mend
from search_spaces.errors import did_you_mean, shown
from search_spaces.findings import Findings
from search_spaces.parts import Refusal
from search_spaces.spec import SweepSpec
from search_spaces.tree import KeyPath

NOT_IN_FILES: dict[KeyPath, tuple[str, ...]] = {
    (): ("smoke",),
    ("task",): ("smoke", "model_config_overrides"),
}
"""Fields of the models that no sweep file sets."""
_PLACEHOLDERS: dict[KeyPath, Any] = {
    ("name",): "unnamed",
    ("method",): "random",
    ("task",): {},
}
_KIND = {
    "string_type": ("must be text", "put it in quotes"),
    "int_type": ("must be a whole number", ""),
    "float_type": ("must be a number", ""),
    "bool_type": ("must be true or false", "write true or false"),
    "tuple_type": ("must be a list", "write [a, b]"),
    "list_type": ("must be a list", "write [a, b]"),
    "dict_type": ("must be a mapping", "write {key: value}"),
    "model_type": ("must be a mapping", "write {key: value}"),
    "model_attributes_type": ("must be a mapping", "write {key: value}"),
    "finite_number": ("must be finite", "write a number"),
    "string_too_short": ("must not be empty", "write a text"),
}


def keys_of(model: type[BaseModel], path: KeyPath = ()) -> list[str]:
    """Return the keys that a section of a sweep file may have, in the models' order."""
    hidden = NOT_IN_FILES.get(path, ())
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [n for n in names if n not in hidden]


def model_at(path: KeyPath) -> type[BaseModel] | None:
    """Return the model of the section at path, None when there is none."""
    model: type[BaseModel] | None = SweepSpec
    for step in path:
        if model is None:
            return None
        field = next((f for n, f in model.model_fields.items() if step in (n, f.alias)), None)
        model = _model_in(field.annotation) if field is not None else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(a) for a in get_args(annotation))
    return next((m for m in found if m is not None), None)


def fitted(data: dict[str, Any], findings: Findings) -> tuple[SweepSpec, dict[str, Any]]:
    """Return a spec of all that fits in data, and that data; what does not fit is a fault.

    Args:
        data: the file's data after translation; not changed.
        findings: takes the faults.
    """
    data = copy.deepcopy(data)
    for path, hidden in NOT_IN_FILES.items():
        holder = _at(data, path)
        for key in hidden:
            if isinstance(holder, dict) and key in holder:
                _unknown((*path, key), findings)
                del holder[key]
    for _ in range(100):
        try:
            return SweepSpec.model_validate(data), data
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                _report(found, data, findings)
    raise RuntimeError("a sweep file's faults do not come to an end")


def _report(found: Any, data: dict[str, Any], findings: Findings) -> None:
    """Add one of pydantic's errors as a fault and take its value out of data."""
    path = _real_path(tuple(found["loc"]), data)
    kind, context = found["type"], found.get("ctx", {})
    if kind == "missing":
        missing = (*path, found["loc"][-1])
        if not findings.is_bad(*missing):
            _missing(missing, findings)
        if missing in _PLACEHOLDERS:
            data[found["loc"][-1]] = _PLACEHOLDERS[missing]
        else:
            _take_out(data, path)
        return
    if kind == "extra_forbidden":
        _unknown(path, findings)
    elif kind == "value_error" and isinstance(refusal := context.get("error"), Refusal):
        findings.fault(path, refusal.rule, mend=refusal.mend)
    else:
        is_key = found["loc"][-1] == "[key]"
        rule, mend = _words(kind, context, path[-1] if is_key else _at(data, path))
        findings.fault(path, "unknown key" if is_key else rule, mend=mend, at_key=is_key)
    _take_out(data, path)
    if path in _PLACEHOLDERS:
        data[str(path[0])] = _PLACEHOLDERS[path]


def _words(kind: str, context: dict[str, Any], value: Any) -> tuple[str, str]:
    if kind in ("int_type", "float_type"):
        mend = number_mend(value, whole=kind == "int_type")
        return _KIND[kind][0], mend
    if kind == "bool_type" and (meant := meant_bool(value)):
        return _KIND[kind][0], f"write {meant}"
    if kind == "string_type" and not isinstance(value, int | float):
        return _KIND[kind][0], "write one text"
    if kind in ("tuple_type", "list_type") and value is not None:
        return _KIND[kind][0], f"write [{shown(value).strip(chr(39))}]"
    if kind in _KIND:
        return _KIND[kind]
    if kind == "literal_error":
        choices = [c.strip("' ") for c in str(context["expected"]).replace(" or ", ", ").split(",")]
        return "must be one of " + ", ".join(choices), _nearest_choice(value, choices)
    limits = {
        "greater_than": ("above", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("below", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in limits:
        word, key = limits[kind]
        return f"must be {word} {context[key]:g}", f"write a number {word} {context[key]:g}"
    if kind == "string_too_long":
        return f"must have {context['max_length']} characters at most", "shorten it"
    return "is not what this key takes", "see the sweep file's format in the README"


def _nearest_choice(value: Any, choices: list[str]) -> str:
    mend = did_you_mean(str(value), choices, "Known")
    return mend if mend.startswith("did") else "write one of these"


def _unknown(path: KeyPath, findings: Findings) -> None:
    model = model_at(path[:-1])
    keys = keys_of(model, path[:-1]) if model is not None else []
    mend = did_you_mean(str(path[-1]), keys)
    findings.fault(path, "unknown key", mend=mend, at_key=True)


def _missing(path: KeyPath, findings: Findings) -> None:
    mends = {
        "task": "say what is trained: task: {model: ..., dataset: {path: ..., text: [...]}}",
        "method": "write method: grid, random, bayes or pbt",
        "name": "write name: my-sweep",
        "from": "write {from: train, size: 0.1}",
        "size": "write {from: train, size: 0.1}",
    }
    mend = mends.get(str(path[-1]), f"write {path[-1]}: ...")
    findings.fault(path, "is missing", got="", mend=mend, at_key=True)


def _inside(data: Any, step: Any) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)


def _at(data: Any, path: KeyPath) -> Any:
    step: Any
    for step in path:
        if not _inside(data, step):
            return None
        data = data[step]
    return data


def _real_path(loc: KeyPath, data: Any) -> KeyPath:
    """Return the part of pydantic's location that is in data (it adds names of union members)."""
    real: list[str | int] = []
    step: Any
    for step in loc:
        if _inside(data, step):
            real.append(step)
            data = data[step]
    return tuple(real)


def _take_out(data: Any, path: KeyPath) -> None:
    holder = _at(data, path[:-1]) if path else None
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
    elif isinstance(holder, list) and path[:-1]:
        # A list with a hole would shift the places of what follows: the whole list goes.
        _take_out(data, path[:-1])
