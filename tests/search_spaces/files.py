"""Sweep files for tests: a right one, and ways to change it."""

from __future__ import annotations

from pathlib import Path

from search_spaces import Sweep, SweepSpec, read_sweep

TASK = """
task:
  model: some/model
  dataset: {path: nyu-mll/glue, name: rte, text: [sentence1, sentence2]}
"""
RANDOM = f"""
method: random
run_cap: 4
{TASK}
training_arguments: {{num_train_epochs: 3, eval_strategy: epoch}}
parameters:
  learning_rate: {{distribution: log_uniform_values, min: 1e-5, max: 1e-4}}
"""
PBT = f"""
method: pbt
metric: accuracy
{TASK}
training_arguments: {{num_train_epochs: 4, eval_strategy: epoch}}
parameters:
  learning_rate: {{distribution: log_uniform_values, min: 1e-5, max: 1e-4}}
  weight_decay: {{min: 0.0, max: 0.3}}
  per_device_train_batch_size: {{values: [16, 32]}}
population: {{size: 4}}
"""
GRID = f"""
method: grid
{TASK}
parameters:
  learning_rate: {{values: [2e-5, 3e-5, 5e-5]}}
  per_device_train_batch_size: {{values: [16, 32]}}
"""


def read(folder: Path, text: str, *overrides: str, **options: object) -> Sweep:
    """Write text as a sweep file into folder and read it."""
    path = folder / "a_sweep.yaml"
    path.write_text(text, encoding="utf-8")
    return read_sweep(path, overrides, **options)  # type: ignore[arg-type]


def spec(folder: Path, text: str, *overrides: str) -> SweepSpec:
    """Return the spec of a sweep file."""
    return read(folder, text, *overrides).spec
