"""What changes of the program gave: which program a row runs, and what the page shows."""

import subprocess

import pytest

from benchmarks import changes
from benchmarks.sources import ROOT


def test_the_page_has_a_line_for_every_state_and_method_that_was_measured():
    run = {"seconds": 14.0, "first_step_s": 8.0, "end_s": 0.5}
    rows = {f"{changes.TODAY} pbt": {"runs": [run, {**run, "seconds": 16.0}]}}
    lines = changes.page(rows)
    assert any("| today | pbt | 2 | 15 | 14.0..16.0 | 8 | 0.5 |" in line for line in lines)
    assert not any("| grid |" in line for line in lines)


def test_today_is_the_checkout_and_a_commit_is_taken_out_of_the_history(tmp_path):
    assert changes.sources_of(changes.TODAY, tmp_path) == ROOT
    history = subprocess.run(["git", "log", "--format=%h", "-1"], cwd=ROOT, capture_output=True)
    if history.returncode:
        pytest.skip("not a checkout with a history")
    folder = changes.sources_of(history.stdout.decode().strip(), tmp_path)
    assert (folder / "orchestrator" / "study.py").is_file()
    assert not (folder / "benchmarks").exists()
