"""Rows of benchmarks: taken up again, and never mixed with those of other sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import sources
from benchmarks.bounds import Bound, bounds_table, made_in
from benchmarks.saved_rows import SavedRows, SourcesChanged


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of our packages' names with three modules."""
    for name, text in {
        "orchestrator/__init__.py": "",
        "orchestrator/bayes.py": "import search_spaces.space\n",
        "search_spaces/__init__.py": "",
        "search_spaces/space.py": "import math\n",
        "benchmarks/__init__.py": "",
        "benchmarks/one.py": "def f():\n    from orchestrator import bayes\n",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_a_digest_changes_with_any_file_below_a_folder(project: Path) -> None:
    before = sources.digest(["orchestrator", "benchmarks/one.py"])
    assert sources.digest(["orchestrator", "benchmarks/one.py"]) == before
    (project / "search_spaces" / "space.py").write_text("import random\n", "utf-8")
    assert sources.digest(["orchestrator", "benchmarks/one.py"]) == before
    (project / "orchestrator" / "bayes.py").write_text("import math\n", "utf-8")
    assert sources.digest(["orchestrator", "benchmarks/one.py"]) != before
    with pytest.raises(FileNotFoundError, match="depend"):
        sources.digest(["gone.py"])


def test_imports_are_followed_into_functions_and_on(project: Path) -> None:
    assert sources.imported("benchmarks.one") == (
        "benchmarks/__init__.py",
        "benchmarks/one.py",
        "orchestrator/__init__.py",
        "orchestrator/bayes.py",
        "search_spaces/__init__.py",
        "search_spaces/space.py",
    )


def test_a_row_of_other_sources_stays_in_the_file_and_off_the_page(
    project: Path, tmp_path: Path
) -> None:
    def saved() -> SavedRows:
        depends = {"ours": ["orchestrator"], "theirs": ["benchmarks"]}
        return SavedRows("b", folder=tmp_path, depends_on=depends.__getitem__)

    first = saved()
    for name in ("ours", "theirs"):
        first.save(name, {"seconds": 1.0, "rates": (1, 2)})
    assert first.rows["ours"]["rates"] == [1, 2]  # as it will be read
    assert set(saved().current()) == {"ours", "theirs"}
    (project / "orchestrator" / "bayes.py").write_text("", "utf-8")
    assert set(saved().rows) == {"ours", "theirs"}
    assert set(saved().current()) == {"theirs"}
    text = saved().write_page(lambda rows: sorted(rows))
    assert text.startswith("theirs\n") and "another machine (1): ours." in text


def test_a_row_whose_sources_changed_while_it_was_measured_is_not_saved(
    project: Path, tmp_path: Path
) -> None:
    saved = SavedRows("b", folder=tmp_path, depends_on=lambda row: ["orchestrator"])
    saved.conditions("a")
    (project / "orchestrator" / "bayes.py").write_text("", "utf-8")
    with pytest.raises(SourcesChanged, match="measure it again"):
        saved.save("a", {})
    assert saved.rows == {}


def test_a_bound_says_in_how_many_runs_its_figures_were_made() -> None:
    assert made_in(frozenset()) == "-"
    one, later = "2026-01-01T10:00:00+00:00", "2026-01-03T10:00:00+00:00"
    assert made_in(frozenset({one})) == "one run"
    assert made_in(frozenset({one, later})) == "2 runs, 2026-01-01 to 2026-01-03"
    assert made_in(frozenset({one, one.replace("10", "11")})) == "2 runs, 2026-01-01"
    lines = bounds_table(
        [Bound("a", 1.0, 2.0, runs=frozenset({one})), Bound("b", None, 1.0, runs=frozenset({one}))]
    )
    assert lines[2:] == [
        "| a | 1 | at most 2 | yes | one run |",
        "| b | - | at most 1 | not measured | - |",
    ]
