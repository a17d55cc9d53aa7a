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


def test_the_page_holds_every_row_and_the_cost_by_that_of_1_000() -> None:
    row = {"trials": 1, "events": 1, "peak_bytes": 3e8, "journal_mb": 1.0, "show_s": 0.5}
    rows = {
        "bare": {"peak_bytes": 2e8},
        "random-1000": {**row, "method": "random", "units": 1_000, "per_second": 60.0},
        "random-10000": {**row, "method": "random", "units": 10_000, "per_second": 50.0},
        "resume-asha": {"method": "asha", "units": 1_000, "ray_up_s": 3.0, "ready_s": 1.5},
    }
    lines = control_plane.page(rows)
    assert "| random | 10000 | 1 | 1 | 50 | 1.2 | 100 | 1 | 0.5 |" in lines
    assert "| asha | 1000 | 3 | 1.5 |" in lines


def test_a_copy_for_comparison_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights").write_bytes(b"w" * 1000)
    exploit.copy_synced(source, tmp_path / "copy")
    exploit.forget_pages(source)
    assert (tmp_path / "copy" / "weights").read_bytes() == b"w" * 1000
