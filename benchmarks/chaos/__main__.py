"""`python -m benchmarks.chaos`: run the fault tests of the reliability page, row by row.

Judges nothing itself. Every case is saved when it is done, so an interrupted run goes on where
it was; the table is written after every row and printed at the end. In full it takes hours. Where
plain Ray Tune is put beside a row, it is injured after the row's last case.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import time
import traceback
from typing import Any

# Before ray, torch or transformers is imported: they read these once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("PYTHONPATH", os.getcwd())

from benchmarks.chaos.ledger import Ledger, plain_sources
from benchmarks.chaos.plain import INJURIES, injured
from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.rows import ROWS
from benchmarks.chaos.table import measured, printed, write_table


def main() -> int:
    """Run what was asked for; 0 when no promise was broken."""
    asked = _arguments()
    chosen = [row for row in ROWS if not asked.only or row.id in asked.only]
    unknown = set(asked.only) - {row.id for row in ROWS}
    if unknown:
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; there are "
                         + ", ".join(row.id for row in ROWS))  # fmt: skip
    logging.getLogger("ray").setLevel(logging.ERROR)
    ledger, bench = Ledger(), Bench()
    found: dict[str, dict[str, Any]] = {}
    try:
        for row in chosen:
            if asked.table and not ledger.read(row):
                continue  # not begun here: what stands in the table stays
            found[row.id] = _run_row(row, ledger, bench, asked)
            _run_plain(row, ledger, asked)
            write_table(ROWS, found, ledger)
    finally:
        bench.close()
        for row in chosen:  # also what an interrupted row has so far
            if row.id not in found and (cases := ledger.read(row)):
                found[row.id] = measured(row, cases)
        page = write_table(ROWS, found, ledger)
    printed(chosen, page)
    print(f"\nwritten: {page}")
    return int(any(row["violations"] for row in found.values()))


def _run_row(row: Row, ledger: Ledger, bench: Bench, asked: argparse.Namespace) -> dict[str, Any]:
    print(f"\n{row.id}: {row.injected}", flush=True)
    lacks = row.lacks()
    if lacks is not None:
        print(f"  not run: {lacks}")
        return {**measured(row, {}), "lacks": lacks}
    if asked.fresh:
        ledger.forget(row)
    done = ledger.read(row)
    cases = () if asked.table else row.few if asked.few else row.cases
    for case in cases:
        if time.monotonic() > asked.until:
            print("  the time is up; run it again to go on")
            break
        sources = ledger.sources(row)
        if case in done and not _once_more(done[case], sources, asked):
            continue
        started = time.monotonic()
        outcome = run_case(row, case, bench)
        seconds = time.monotonic() - started
        ledger.write(row, case, outcome, seconds, sources)
        mark = "BAD" if outcome.violations else "-- " if outcome.lacks else "ok "
        if len(cases) <= 100 or outcome.violations:
            figure = "" if outcome.figure is None else f"  {outcome.figure:.3g} {row.figure}"
            print(f"  {mark} {case}  {seconds:.1f} s{figure}", flush=True)
        for text in outcome.violations:
            print(f"      {text}", flush=True)
    together = measured(row, ledger.read(row))
    stale = sum(n for made, n in together["sources"].items() if made != ledger.sources(row))
    print(f"  {together['violations']} violations in {together['count']} {row.counted},"
          f" {together['seconds']} s" + f"; {stale} cases are of other sources (--stale runs"
          " them again)" * (stale > 0), flush=True)  # fmt: skip
    return together


def _once_more(done: dict[str, Any], sources: str, asked: argparse.Namespace) -> bool:
    """Whether a case that is there is to be run again."""
    return (asked.again and bool(done["violations"])) or (
        asked.stale and done["sources"] != sources
    )


def _run_plain(row: Row, ledger: Ledger, asked: argparse.Namespace) -> None:
    """Do the same to plain Ray Tune, once, when the row is complete."""
    complete = len(ledger.read(row)) == len(row.cases)
    if row.id not in INJURIES or asked.table or asked.few or not complete:
        return
    there = ledger.plain().get(row.id)
    sources = plain_sources()
    if there is not None and not (asked.fresh or (asked.stale and there["sources"] != sources)):
        return
    if time.monotonic() > asked.until:
        return
    started = time.monotonic()
    told = injured(row.id)
    seconds = time.monotonic() - started
    ledger.write_plain(row.id, told, seconds, sources)
    print(f"  plain Ray Tune: {told}  {seconds:.1f} s", flush=True)


def run_case(row: Row, case: str, bench: Bench) -> Outcome:
    """Run one case in a folder of its own; one that could not be run through is a violation."""
    with bench.folder() as folder:
        try:
            return row.run(case, folder, bench)
        except Exception as error:
            trace = traceback.format_exc().strip().splitlines()
            where = " <- ".join(line.strip() for line in trace[-4:])
            return Outcome([f"the case could not be run through: {error!r} ({where})"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    only = [word for word in os.environ.get("ONLY", "").split(",") if word]
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=only, metavar="F1,F6",
        help="rows to run (default: the environment's ONLY, else all)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="begin no case after so many minutes"
    )
    parser.add_argument("--few", action="store_true", help="only the cases that the tests run")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table")
    parser.add_argument("--fresh", action="store_true", help="forget what the rows have so far")
    parser.add_argument("--again", action="store_true", help="run cases with violations again")
    parser.add_argument(
        "--stale", action="store_true", help="run again the cases that other sources made"
    )
    asked = parser.parse_args()
    asked.until = math.inf if asked.minutes is None else time.monotonic() + 60 * asked.minutes
    return asked


if __name__ == "__main__":
    raise SystemExit(main())
