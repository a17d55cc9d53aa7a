"""What the README promises of whole commands, each run as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def sweep(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=240,
    )


def test_the_quickstart_passes_0_9_and_what_it_exports_predicts(tmp_path):
    done = sweep("run", str(ROOT / "spaces" / "quickstart.yaml"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = json.loads(done.stdout)
    assert study["best"]["value"] > 0.9
    assert study["wall_seconds"] < 120
    assert study["lineage"], "nobody copied anybody"

    shown = json.loads(sweep("show", "quickstart", "--json", cwd=tmp_path).stdout)
    assert shown["best"] == study["best"]
    exported = sweep("best", "quickstart", "--export", "best", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert "population-based training" in (tmp_path / "best" / "README.md").read_text()

    from transformers import AutoModelForSequenceClassification, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "best")
    answer = pipeline("text-classification", str(tmp_path / "best"))("what a film")
    assert answer[0]["label"] in model.config.label2id


def test_a_smoke_run_of_the_flagship_needs_no_hub_and_says_that_it_was_one(tmp_path):
    file = str(ROOT / "spaces" / "rte_pbt.yaml")
    done = sweep("run", file, "--smoke", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    study = json.loads(done.stdout)
    assert (study["name"], study["smoke"]) == ("rte-pbt-smoke", True)
    assert [trial["boundaries"] for trial in study["trials"]] == [2, 2]
    assert "SMOKE RUN" in done.stderr
    assert "SMOKE RUN" in sweep("show", "rte-pbt-smoke", cwd=tmp_path).stdout
