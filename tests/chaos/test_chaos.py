"""A few cases of each fault test; `make chaos` runs them all (`benchmarks/chaos`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos import __main__ as main_module
from benchmarks.chaos import ledger as ledger_module
from benchmarks.chaos import plain
from benchmarks.chaos.__main__ import run_case
from benchmarks.chaos.ledger import MIXED, Ledger, sources_of
from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.rows import ROWS
from benchmarks.chaos.table import measured, write_table

CASES = [pytest.param(row, case, id=f"{row.id} {case}") for row in ROWS for case in row.few]


@pytest.mark.parametrize(("row", "case"), CASES)
def test_what_reliability_promises_holds(
    row: Row, case: str, request: pytest.FixtureRequest
) -> None:
    lacks = row.lacks()
    if lacks is not None:
        pytest.skip(lacks)
    bench = Bench(lambda: request.getfixturevalue("ray_address"))
    outcome = run_case(row, case, bench)
    assert list(outcome.violations) == []


def row(cases: tuple[str, ...], found: dict[str, Outcome]) -> Row:
    return Row(
        id="X1",
        injected="a fault",
        holds="a promise",
        target="never",
        cases=cases,
        few=cases[:1],
        run=lambda case, folder, bench: found[case],
        counted="faults",
        figure="s",
    )


def ledger_of(folder: Path, sources: str = "now") -> Ledger:
    return Ledger(folder, lambda row: sources)


def test_every_case_is_kept_and_an_interrupted_row_goes_on(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    x1 = row(("a", "b"), {})
    assert ledger.read(x1) == {}
    ledger.write(x1, "a", Outcome(["bad"], count=3, figure=2.0), 1.0, "now")
    with (tmp_path / "X1.jsonl").open("a") as file:
        file.write('{"case": "b", "sec')  # cut off in mid-write
    assert list(ledger.read(x1)) == ["a"]
    assert measured(x1, ledger.read(x1)) == {
        "cases": 1,
        "of": 2,
        "lacking": {},
        "sources": {"now": 1},
        "count": 3,
        "counted": "faults",
        "groups": {},
        "violations": 1,
        "named": ["a: bad"],
        "worst": 2.0,
        "figure": "s",
        "seconds": 1,
    }
    ledger.write(x1, "b", Outcome(), 1.0, "now")
    assert list(ledger.read(x1)) == ["a", "b"]


def test_a_case_knows_by_what_sources_it_was_made(tmp_path: Path) -> None:
    x1 = row(("a", "b", "c"), {})
    (tmp_path / "X1.jsonl").write_text(
        '{"case": "a", "seconds": 1.0, "violations": [], "count": 1, "figure": null}\n'
    )  # as it was written before anybody asked
    ledger_of(tmp_path, "then").write(x1, "b", Outcome(), 1.0, "then")
    now = ledger_of(tmp_path)
    now.write(x1, "c", Outcome(), 1.0, "a moment ago")
    assert {case: line["sources"] for case, line in now.read(x1).items()} == {
        "a": "",
        "b": "then",
        "c": MIXED,
    }


def test_the_program_and_the_row_s_own_modules_are_what_a_case_depends_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[set[str]] = []
    monkeypatch.setattr(ledger_module, "digest", lambda paths: asked.append(set(paths)) or "")
    sources_of(next(row for row in ROWS if row.id == "F8"))
    assert {"orchestrator", "search_spaces", "sweeps"} < asked[0]
    assert {"benchmarks/chaos/disks.py", "benchmarks/chaos/judge.py"} < asked[0]
    assert not {"benchmarks/chaos/table.py", "benchmarks/chaos/nodes.py"} & asked[0]


@pytest.mark.parametrize(
    ("words", "runs"),
    [([], ["b"]), (["--stale"], ["a", "b"]), (["--again"], ["b"]), (["--table"], [])],
)
def test_stale_cases_are_run_again_only_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], runs: list[str]
) -> None:
    ran: list[str] = []

    def run(case: str, folder: Path, bench: Bench) -> Outcome:
        ran.append(case)
        return Outcome()

    x1 = Row("X1", "a fault", "b", "c", ("a", "b"), (), run, "faults")
    ledger_of(tmp_path / ".cache/chaos", "then").write(x1, "a", Outcome(), 1.0, "then")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main_module, "ROWS", (x1,))
    monkeypatch.setattr(main_module, "Ledger", lambda: ledger_of(tmp_path / ".cache/chaos"))
    monkeypatch.setattr(sys, "argv", ["chaos", *words])
    assert main_module.main() == 0
    assert ran == runs
    text = (tmp_path / "benchmarks/results/chaos.md").read_text()
    assert ("stale: 1 of" in text) is ("--stale" not in words)


def test_plain_ray_tune_is_injured_once_when_its_row_is_complete_and_stands_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x1 = row(("a", "b"), {"a": Outcome(["bad"]), "b": Outcome(lacks="no root")})
    injuries = {"X1": lambda folder: f"all lost in {len(list(folder.iterdir()))} files"}
    monkeypatch.setattr(main_module, "INJURIES", injuries)
    monkeypatch.setattr(plain, "INJURIES", injuries)
    monkeypatch.setattr(main_module, "ROWS", (x1,))
    monkeypatch.setattr(main_module, "Ledger", lambda: ledger_of(tmp_path / ".cache/chaos"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["chaos"])
    assert main_module.main() == 1
    del injuries["X1"]  # and not once more
    assert main_module.main() == 1
    printed = " ".join(capsys.readouterr().out.split())
    for word in ("must hold", "measured", "all lost", "no root"):
        assert word in printed
    text = (tmp_path / "benchmarks/results/chaos.md").read_text()
    assert "| X1 | all lost in 0 files |" in text
    assert "2 faults; 1 cases not run: no root |" in text


def test_a_case_that_cannot_be_run_through_is_a_violation() -> None:
    def broken(case: str, folder: Path, bench: Bench) -> Outcome:
        raise ValueError("the test itself is wrong")

    x1 = Row("X1", "a", "b", "c", ("a",), ("a",), broken, "faults")
    (violation,) = run_case(x1, "a", Bench()).violations
    assert "the test itself is wrong" in violation


def test_the_table_keeps_rows_that_were_not_run_again(tmp_path: Path) -> None:
    x1 = row(("a", "b"), {})
    other = Row("X2", "a", "b", "c", ("a",), ("a",), x1.run, "faults")
    ledger = ledger_of(tmp_path / "ledger")
    ledger.write(x1, "a", Outcome(["a | b"], groups={"pbt": 1}), 1.0, "now")
    ledger.write_plain("X1", "all | lost", 1.0, "then")
    found: dict[str, Any] = {"X1": measured(x1, ledger.read(x1))}
    write_table([x1, other], found, ledger, tmp_path)
    later = ledger_of(tmp_path / "none", "later")
    page = write_table([x1, other], {"X2": measured(other, {})}, later, tmp_path)
    text = page.read_text()
    assert (
        "| X1 | a fault | a promise | never | 1 |"
        " 1 faults (pbt 1); stale: 1 of 1 cases; 1 of 2 cases so far |" in text
    )
    assert "| X1 | all \\| lost (stale) |" in text
    assert "a: a \\| b" in text
    assert set(json.loads((tmp_path / "chaos.json").read_text())["rows"]) == {"X1", "X2"}
