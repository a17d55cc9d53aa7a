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
    assert "\n".join(control_plane.page({})).count("not measured") == 7 + 17 + 1


def test_an_exploit_beside_the_receivers_own_commit_has_a_bound_of_its_own() -> None:
    row = {name: 1.0 for name in exploit.SHARES} | {"copy_s": 4.0, "size_bytes": 1.3e9}
    row |= {f"{name}_spread": [0.9, 1.1] for name in exploit.SHARES}
    row |= {"cold": 0.9, "warm": 0.25, "beside": 1.25, "repetitions": 6, "run": "2026-01-01T10"}
    lines = exploit.page({"bert-base": row})
    assert any(line.endswith("| 1.25 | at most 1 | NO | one run |") for line in lines)
    assert sum("not measured" in line for line in exploit.page({})) == 4


class Asked:
    """A worker's process that answers at once and keeps what it was asked."""

    def __init__(self, study: Path, asked: list[str]) -> None:
        self._study = study
        self._asked = asked

    def ask(self, method: str, *arguments: object) -> object:
        self._asked.append(method)
        if method != "commit":
            return 1.0
        folder = self._study / f"checkpoint-{len(self._asked)}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"w")
        sizes = {"snapshot_s": 0.1, "commit_s": 0.2, "size_bytes": 1}
        return {"boundary": 1, "path": folder.name, **sizes}


def test_the_copy_takes_turns_at_coming_first_and_the_receiver_saves_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(exploit, "copied", lambda folder: float(asked.append("copy") or 1.0))
    worker = Asked(tmp_path, asked)
    run, first = exploit.repetition(tmp_path, worker, worker, None)
    exploits = ["begin", "advance", "submit", "begin", "settle", "advance", "begin", "advance"]
    assert asked == ["advance", "commit", *exploits, "copy"]
    assert set(exploit.SHARES) <= set(run)
    asked.clear()
    exploit.repetition(tmp_path, worker, worker, first)
    assert asked == ["advance", "copy", "commit", *exploits]


def test_a_copy_for_comparison_is_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights").write_bytes(b"w" * 1000)
    exploit.copy_synced(source, tmp_path / "copy")
    exploit.forget_pages(source)
    assert (tmp_path / "copy" / "weights").read_bytes() == b"w" * 1000
