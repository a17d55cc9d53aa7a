"""What trials cost, measured side by side: the floor, our methods, and peers on the same work.

    python -m benchmarks.trials --size tiny|ten_seconds [--only NAME,...] [--repeats N] [--fresh]

Each measurement runs alone, one after the other, in rounds. Every finished one is saved in
`benchmarks/results/` before the next begins, so an interrupted run goes on where it was. A row
measured under other conditions (sources, versions, machine, job) is not added to: it starts over,
and until then it is not on the page. A command that takes too long is ended, counted and shown.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.metadata
import shutil
import sys
from pathlib import Path

from benchmarks.saved_rows import Row, SavedRows
from benchmarks.sources import ROOT
from benchmarks.trials.jobs import JOBS, Job, lay_out
from benchmarks.trials.measuring import (
    Bench,
    MeasurementFailed,
    depends_on,
    measure,
    names,
    note,
)
from benchmarks.trials.table import page

PACKAGES = (
    "sweep-orchestrator",
    "ray",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "tokenizers",
    "optuna",
)


def main(arguments: list[str] | None = None) -> int:
    """Measure what is missing, print the table; 1 when a measurement failed."""
    options = _options(arguments)
    for package in ("search_spaces", "orchestrator", "sweeps", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=1)  # as an installed program is
    job = JOBS[options.size]
    work = options.work.resolve() / job.size
    laid = lay_out(job, work / "job", options.data)
    bench = Bench(laid, work / "job", options.work.resolve() / "syne_tune")
    chosen = _chosen(job, options.only)
    saved = SavedRows(f"trials_{job.size}", packages=_installed(), depends_on=depends_on)
    kept = {} if options.fresh else rows_to_keep(saved, job)
    rows: dict[str, Row] = {
        name: {"runs": [], "failures": [], **kept.get(name, {}), "note": note(name)}
        for name in chosen
    }
    for name in chosen:
        saved.conditions(name)  # of now: sources that change on the way are noticed
    failed = []
    for number in range(1, options.repeats + 1):
        start = (number - 1) * 5 % len(chosen)  # so that nobody always comes after the same one
        for name in chosen[start:] + chosen[:start]:
            row = rows[name]
            if len(row["runs"]) >= number or name in failed:
                continue
            print(f"{name} {number}/{options.repeats} ...", end=" ", flush=True)
            folder = _emptied(work / name)
            try:
                row["runs"].append({**measure(bench, name, folder), "run": saved.run})
                print(f"{row['runs'][-1]['seconds']:.2f} s", flush=True)
            except MeasurementFailed as error:
                print(error, flush=True)
                row["failures"].append(str(error).splitlines()[0])
                failed.append(name)
            saved.save(name, {**row, "job": job.as_dict()})
            _write_page(saved, job)
            if not options.keep:
                shutil.rmtree(folder)
    print(_write_page(saved, job))
    return 1 if failed else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trials", description=__doc__)
    parser.add_argument("--size", choices=list(JOBS), default="tiny")
    parser.add_argument("--only", default="", help="names, separated by commas; default: all")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--fresh", action="store_true", help="forget saved runs of what is chosen")
    parser.add_argument("--keep", action="store_true", help="keep what the last runs wrote")
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared" / "data" / "rte",
        help="folder with RTE's train.jsonl and validation.jsonl (ten_seconds)",
    )
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "benchmarks")
    return parser.parse_args(arguments)


def _chosen(job: Job, only: str) -> list[str]:
    there = names(job)
    chosen = [name for name in only.split(",") if name] or there
    if unknown := [name for name in chosen if name not in there]:
        sys.exit(f"--only: no measurement is called {unknown[0]}; there are {', '.join(there)}")
    return chosen


def rows_to_keep(saved: SavedRows, job: Job) -> dict[str, Row]:
    """The saved rows that were made of this job under today's conditions."""
    return {name: row for name, row in saved.current().items() if row["job"] == job.as_dict()}


def _write_page(saved: SavedRows, job: Job) -> str:
    kept = rows_to_keep(saved, job)
    return saved.write_page(lambda rows: page(job.size, job.as_dict(), rows), kept)


def _installed() -> list[str]:
    """Those of PACKAGES that are installed: from a checkout the program itself may not be."""
    there = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    return [package for package in PACKAGES if package in there]


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
