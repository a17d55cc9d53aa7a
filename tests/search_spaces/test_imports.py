"""The language loads no heavy library, and imports nothing of the program above it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "search_spaces"
HEAVY = ("ray", "torch", "transformers", "datasets", "numpy", "optuna", "pandas", "wandb", "rich")
PROGRAM = f"""
import sys
from search_spaces import read_sweep
from search_spaces.schema import json_schema
sweep = read_sweep({str(ROOT / "spaces" / "rte_pbt.yaml")!r})
sweep.spec.default_config(), sweep.spec.shrunk(), sweep.spec.boundaries({{}}), json_schema()
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def test_reading_a_sweep_file_loads_no_heavy_library() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_the_language_imports_only_itself_pydantic_and_yaml(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert top in {"search_spaces", "pydantic", "yaml", *sys.stdlib_module_names}, name


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
