"""The JSON Schema is in step with the models, and agrees with the reader on files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from search_spaces.installed_arguments import installed_arguments
from search_spaces.schema import FILE, json_schema, schema_text
from search_spaces.yaml_reader import parse
from tests.search_spaces.test_cases import CASES
from tests.search_spaces.test_reading import WANDB

ROOT = Path(__file__).parents[2]
RIGHT = [*sorted((ROOT / "spaces").glob("*.yaml")), *sorted((ROOT / "sweeps").rglob("*.yaml"))]
# Their faults lie between keys, in the YAML, or in values that a schema cannot know.
SCHEMA_SEES = (
    "keys_unknown", "missing_everything", "types", "task_values", "names_unknown", "names_ours",
    "names_of_older_versions", "argument_types", "domains", "distributions", "nothing_searched",
    "yaml_list", "yaml_text",
)  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def data(text: str) -> Any:
    return parse(text, "f")[0].data()


def test_the_file_is_in_step_with_the_models() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), (
        "write it anew: python -m search_spaces.schema"
    )


@pytest.mark.parametrize("path", RIGHT, ids=lambda p: p.stem)
def test_right_files_fit_the_schema(path: Path, validator: Any) -> None:
    assert list(validator.iter_errors(data(path.read_text(encoding="utf-8")))) == []


def test_a_wandb_file_fits_the_schema(validator: Any) -> None:
    errors = list(validator.iter_errors(data(WANDB.replace("from wandb", "from-wandb"))))
    assert errors == []


@pytest.mark.parametrize("path", [p for p in CASES if p.stem in SCHEMA_SEES], ids=lambda p: p.stem)
def test_bad_files_do_not(path: Path, validator: Any) -> None:
    assert not validator.is_valid(data(path.read_text(encoding="utf-8")))


def test_an_editor_can_complete_every_argument_that_may_be_set() -> None:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    constants = schema["properties"]["training_arguments"]["properties"]
    assert "learning_rate" in constants
    assert "cosine" in constants["lr_scheduler_type"]["enum"]
    assert "output_dir" not in constants
    assert set(constants) <= {*installed_arguments(), "effective_batch_size"}
    assert "task.max_length" in schema["properties"]["parameters"]["properties"]
