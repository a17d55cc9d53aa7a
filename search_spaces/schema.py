"""The JSON Schema of sweep files, for editors: completion, hover texts and a first check.

The last word is `read_sweep`, which knows the rules across keys; the schema is made from the same
models and tables, and a test keeps the file beside this module in step. Write it anew by
`python -m search_spaces.schema`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search_spaces.argument_tables import LIMITS, OWNED
from search_spaces.arguments import FREE_PREFIXES, TASK_NAMES
from search_spaces.domain_keys import DISTRIBUTIONS
from search_spaces.installed_arguments import Argument, installed_arguments, installed_version
from search_spaces.mid_run import can_change
from search_spaces.models import NOT_IN_FILES
from search_spaces.normalise import UNUSED
from search_spaces.parts import METRICS, TRACKERS
from search_spaces.spec import SweepSpec

FILE = Path(__file__).with_name("sweep.schema.json")
_JSON_TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "list": "array",
    "dict": "object",
    "None": "null",
}
_DURATION = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}
_HOVER = {
    "name": "Names the study and its folder; default: the file's name.",
    "description": "For people.",
    "method": "How configurations are chosen.",
    "sampler": "For bayes.",
    "default_first": "Trial 0 is the default configuration; true but for grid, which trains it only"
    " when this says so, beside its points and no candidate for its best.",
    "metric": "What is optimised; accuracy, eval_accuracy and eval/accuracy are the same.",
    "seed": "The same seed gives the same study.",
    "task": "What is trained, on what, and how it is measured.",
    "training_arguments": "Constants: fields of the installed TrainingArguments.",
    "parameters": "What is searched: name -> domain.",
    "population": "For pbt; interval in boundaries.",
    "early_terminate": "Stops weak trials early; not with pbt. Iterations are boundaries.",
    "run_cap": "Trials at most.",
    "budget": "Limits of the whole study.",
    "warm_start": "Configurations that are tried first.",
    "resources": "What a trial takes, and how many run at once.",
    "failures": "Retries, and when to give up.",
    "finalists": "After the search the best top_k configurations are trained on new seeds, and the"
    " one with the best mean is crowned.",
    "tracking": "Where runs are recorded beside the journal.",
    "storage": "A relative folder; an absolute one only by --storage.",
}


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) for the installed version of transformers.

    Raises:
        SweepError: transformers is not installed.
    """
    schema = SweepSpec.model_json_schema(by_alias=True, mode="validation")
    _tidy(schema)
    parts, keys = schema["$defs"], schema["properties"]
    for path, hidden in NOT_IN_FILES.items():
        holder = parts["TaskSpec"]["properties"] if path else keys
        for key in hidden:
            holder.pop(key, None)
    for key, text in _HOVER.items():
        keys[key]["description"] = text
    parts["Domain"] = _domain()
    keys["parameters"] |= {
        "minProperties": 1,
        "properties": _searched(),
        "patternProperties": _patterns(),
        "additionalProperties": False,
    }
    keys["training_arguments"] |= {"properties": _constants(), "additionalProperties": False}
    keys["metric"] = {"anyOf": [{"type": "string"}, keys["metric"]]} | _described("metric")
    _shorter_forms(parts)
    keys |= {name: {"description": f"W&B's; not used: {why}"} for name, why in UNUSED.items()}
    keys |= {name: {"type": "string"} for name in ("project", "entity")}
    schema["required"] = ["method", "task", "parameters"]
    schema["title"] = "Sweep file"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Made by search_spaces/schema.py; transformers {installed_version()}.",
        **schema,
    }


def _described(key: str) -> dict[str, str]:
    return {"description": _HOVER[key]}


def _tidy(node: Any) -> None:
    """Remove pydantic's titles, and the code's own docstrings from the sections."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        if isinstance(node.get("description"), str) and "properties" in node:
            node["description"] = node["description"].split("\n")[0]
        for value in node.values():
            _tidy(value)
    elif isinstance(node, list):
        for value in node:
            _tidy(value)


def _domain() -> dict[str, Any]:
    number = {"type": "number"}
    return {
        "type": "object",
        "description": "{min, max}, {values: [...]}, {value: x} or {distribution: ..., ...}",
        "additionalProperties": False,
        "properties": {
            "value": {},
            "values": {"type": "array", "minItems": 1},
            "min": number,
            "max": number,
            "distribution": {
                "enum": [*DISTRIBUTIONS, "loguniform", "choice", "randint", "quniform",
                         "qloguniform"]
            },
            "q": {"type": "number", "exclusiveMinimum": 0},
            "count": {"type": "integer", "minimum": 1, "description": "Points of a grid."},
            "parameters": {"type": "object", "description": "Nested names, as in W&B."},
        },
        "anyOf": [
            {"required": [key]} for key in ("value", "values", "min", "distribution", "parameters")
        ],
    }  # fmt: skip


def _searched() -> dict[str, Any]:
    names = ["effective_batch_size", *installed_arguments(), *TASK_NAMES]
    result = {}
    for name in names:
        if name not in OWNED:
            during = " May change mid-run (pbt)." if can_change(name) else ""
            result[name] = {"$ref": "#/$defs/Domain", "description": f"{name}.{during}"}
    return result


def _patterns() -> dict[str, Any]:
    heads = "|".join(prefix.replace(".", "\\.") for prefix in FREE_PREFIXES)
    return {f"^({heads}).+$|^(task|training_arguments)$": {"$ref": "#/$defs/Domain"}}


def _constants() -> dict[str, Any]:
    result = {"effective_batch_size": {"type": "integer", "minimum": 1}}
    for name, argument in installed_arguments().items():
        if name not in OWNED and name != "seed":
            result[name] = _value(argument)
    return result


def _value(argument: Argument) -> dict[str, Any]:
    types = sorted(_JSON_TYPES[t] for t in argument.types if t in _JSON_TYPES)
    if "string" in types and "object" in types:
        types.remove("string")  # the path of a file, which a sweep file may not name
    if argument.choices:
        choices: list[Any] = list(argument.choices)
        return {"enum": choices + ([None] if "null" in types else [])}
    result: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
    bounds = LIMITS.get(argument.name)
    if bounds is not None:
        low = "exclusiveMinimum" if bounds.open in ("low", "both") else "minimum"
        high = "exclusiveMaximum" if bounds.open in ("high", "both") else "maximum"
        ends = {low: bounds.low, high: bounds.high}
        result |= {k: v for k, v in ends.items() if abs(v) != float("inf")}
    if argument.default is not None:
        result["default"] = argument.default
    return result


def _shorter_forms(parts: dict[str, Any]) -> None:
    """Allow what the readers take beside the models' own forms."""
    task, dataset = parts["TaskSpec"]["properties"], parts["DatasetSpec"]["properties"]
    tracking, budget = parts["TrackingSpec"]["properties"], parts["BudgetSpec"]["properties"]
    texts = {"type": "array", "items": {"type": "string"}}
    dataset["text"] = {"anyOf": [{"type": "string"}, {**texts, "minItems": 1, "maxItems": 2}]}
    files = {"anyOf": [{"type": "string"}, texts]}
    dataset["data_files"] = {
        "anyOf": [*files["anyOf"], {"type": "object", "additionalProperties": files}]
    }
    task["metrics"] = {"type": "array", "items": {"enum": list(METRICS)}}
    tracking["backends"] = {"type": "array", "items": {"enum": list(TRACKERS)}}
    tracking["log_model"] = {"enum": [False, "best"]}
    tracking["watch"] = {"enum": [False, "gradients", "parameters", "all"]}
    budget["wall_clock"] = _DURATION
    parts["FailuresSpec"]["properties"]["hung_after"] = _DURATION
    for section, key in (("MetricSpec", "target"), ("EarlyTerminateSpec", "strict")):
        parts[section]["properties"][key] = {"description": "W&B's; not used."}
    # The goal follows from the metric's name; the model's own default is not the file's.
    parts["MetricSpec"]["properties"]["goal"].pop("default", None)


def schema_text() -> str:
    """Return the schema as it stands in the file."""
    return json.dumps(json_schema(), indent=2, sort_keys=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
