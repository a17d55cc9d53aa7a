"""The benchmarks of the control plane and of an exploit: what they run and what they print."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import control_plane, exploit
from benchmarks.scripted_study import MEMBERS, scripted_spec
from orchestrator.results import read_study


@pytest.mark.parametrize("method", control_plane.METHODS)
def test_a_scripted_study_has_as_many_trials_or_boundaries_as_asked_for(method: str) -> None:
    spec = scripted_spec(method, 1_000)
    default = spec.default_config()
    if method == "pbt":
        assert spec.trial_limit == MEMBERS
        assert spec.boundaries(default) * MEMBERS == 1_000
    else:
        assert spec.trial_limit == 1_000


def test_a_told_study_may_begin_more_trials_and_has_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.sweeps.studies import random_study, spec, write_study

    folder = write_study(tmp_path, spec(), random_study(spec()))
    monkeypatch.setattr(control_plane, "child", lambda *arguments: {"folder": str(folder)})
    told = read_study(control_plane.told("gp", 2, tmp_path))
    assert told.status == "interrupted" and told.spec.method == "bayes"
    assert told.spec.trial_limit == 4 and len(told.state.trials) == 2


def test_the_page_has_a_line_for_every_row_and_says_which_were_not_measured() -> None:
    row = {"trials": 1, "events": 1, "peak_bytes": 3e8, "journal_mb": 1.0, "show_s": 0.5}
    row["run"] = "2026-01-01T10:00:00+00:00"
    rows = {
        "bare": {"peak_bytes": 2e8, "run": row["run"]},
        "random-1000": {**row, "per_second": 60.0},
        "random-10000": {**row, "per_second": 30.0},
        "resume-asha": {"ray_up_s": 3.0, "ready_s": 1.5, "run": row["run"]},
    }
    lines = control_plane.page(rows)
    assert "| random | 10000 | 1 | 1 | 30 | 100 | 1 | 0.5 |" in lines
    assert "| asha | 10000 | not measured | - | - | - | - | - |" in lines
    assert "| asha | 1000 | 3 | 1.5 |" in lines
    assert "| pbt | 1000 | - | - |" in lines
    assert "| random: cost at 10,000 / at 1,000 | 2 | at most 1.5 | NO | one run |" in lines
    for method in control_plane.METHODS:
        assert sum(line.startswith(f"| {method}: ") for line in lines) == 5
    assert "\n".join(control_plane.page({})).count("not measured") == 6 + 17 + 1


def test_a_copy_for_comparison_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights").write_bytes(b"w" * 1000)
    exploit.copy_synced(source, tmp_path / "copy")
    exploit.forget_pages(source)
    assert (tmp_path / "copy" / "weights").read_bytes() == b"w" * 1000
