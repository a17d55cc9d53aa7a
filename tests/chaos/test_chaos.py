"""A few cases of each fault test; `make chaos` runs them all (`benchmarks/chaos`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.__main__ import run_case
from benchmarks.chaos.ledger import Ledger
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


def test_every_case_is_kept_and_an_interrupted_row_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    x1 = row(("a", "b"), {})
    assert ledger.read(x1) == {}
    ledger.write(x1, "a", Outcome(["bad"], count=3, figure=2.0), seconds=1.0)
    with (tmp_path / "X1.jsonl").open("a") as file:
        file.write('{"case": "b", "sec')  # cut off in mid-write
    assert list(ledger.read(x1)) == ["a"]
    assert measured(x1, ledger.read(x1)) == {
        "cases": 1,
        "of": 2,
        "count": 3,
        "counted": "faults",
        "groups": {},
        "violations": 1,
        "named": ["a: bad"],
        "worst": 2.0,
        "figure": "s",
        "seconds": 1,
    }


def test_a_case_that_cannot_be_run_through_is_a_violation() -> None:
    def broken(case: str, folder: Path, bench: Bench) -> Outcome:
        raise ValueError("the test itself is wrong")

    x1 = Row("X1", "a", "b", "c", ("a",), ("a",), broken, "faults")
    (violation,) = run_case(x1, "a", Bench()).violations
    assert "the test itself is wrong" in violation


def test_the_table_keeps_rows_that_were_not_run_again(tmp_path: Path) -> None:
    x1 = row(("a", "b"), {})
    other = Row("X2", "a", "b", "c", ("a",), ("a",), x1.run, "faults")
    found: dict[str, Any] = {
        "case": "a", "seconds": 1.0, "violations": ["a | b"], "count": 1, "figure": None,
        "groups": {"pbt": 1},
    }  # fmt: skip
    write_table([x1, other], {"X1": measured(x1, {"a": found})}, {}, tmp_path)
    page = write_table([x1, other], {"X2": measured(other, {})}, {"X1": "all lost"}, tmp_path)
    text = page.read_text()
    assert (
        "| X1 | a fault | a promise | never | 1 | 1 faults (pbt 1); 1 of 2 cases so far |" in text
    )
    assert "| X1 | all lost |" in text
    assert "a: a \\| b" in text
    assert set(json.loads((tmp_path / "chaos.json").read_text())["rows"]) == {"X1", "X2"}
