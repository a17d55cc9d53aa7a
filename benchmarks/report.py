"""What a report costs: seconds and bytes at 1,000 and 10,000 trials of scripted studies.

    python -m benchmarks.report [--only 1000]

Trains nothing and starts no Ray: a random search, one with early stopping and a population of 20
are simulated (`orchestrator/simulate.py`) and their journals are written as a driver writes them.
What is timed is what `sweep report` does with such folders once Python has imported it: read them,
make the report, write each of its files; in this process, the median of three. The page's own part
(`report.html`) is shown apart. Rows are saved as they are done.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bounds import Bound, bounds_table
from benchmarks.response_surfaces import Cliff
from benchmarks.saved_rows import Row, SavedRows, table
from benchmarks.sources import imported
from orchestrator.journal import JOURNAL, Journal
from orchestrator.results import SPECIFICATION, SWEEP_FILE, read_study
from orchestrator.simulate import simulate
from search_spaces import SweepSpec
from sweeps.report.folder import write_report
from sweeps.report.gather import gather
from sweeps.report.html import html
from sweeps.report.methods import grouped

SIZES = (1_000, 10_000)
MEMBERS = 20
BOUNDARIES = 9
LIMITS = {1_000: (2.0, 1.0), 10_000: (15.0, 5.0)}
"""Trials -> seconds of the whole report, megabytes of its page."""
_PAGE_LIMITS = {1_000: 1.0, 10_000: 10.0}
_MB = 1e6


def spec_of(name: str, trials: int, **keys: Any) -> SweepSpec:
    """A sweep over the space of the surface, of so many trials with nine boundaries each."""
    data: dict[str, Any] = {
        "name": name,
        "method": "random",
        "seed": 1,
        "metric": {"name": "eval_accuracy", "goal": "maximize"},
        "task": {"model": "toy-bert", "dataset": {"path": "toy", "text": ["text"], "label": "l"}},
        "training_arguments": {"num_train_epochs": BOUNDARIES, "eval_strategy": "epoch"},
        "parameters": Cliff(0, BOUNDARIES).parameters,
        "run_cap": trials,
    }
    return SweepSpec.model_validate({**data, **keys})


def specs(trials: int) -> list[SweepSpec]:
    """Three methods which have so many trials together."""
    half = (trials - MEMBERS) // 2
    population = {"size": MEMBERS, "interval": 1}
    return [
        spec_of("random", trials - MEMBERS - half),
        spec_of("asha", half, early_terminate={"type": "asha", "min_iter": 1, "eta": 3}),
        spec_of("population", MEMBERS, method="pbt", population=population, run_cap=None),
    ]


def write_study(spec: SweepSpec, storage: Path, *, slots: int = 4) -> Path:
    """Simulate a sweep and write its folder."""
    folder = storage / spec.name
    folder.mkdir(parents=True)
    (folder / SPECIFICATION).write_text(json.dumps(spec.model_dump(mode="json")), "utf-8")
    (folder / SWEEP_FILE).write_text(f"name: {spec.name}\n", "utf-8")
    journal = Journal(folder / JOURNAL)
    journal.append(list(simulate(spec, Cliff(spec.seed, BOUNDARIES), slots=slots).events))
    journal.close()
    return folder


def seconds_of(action: Callable[[], Any], times: int = 3) -> float:
    """The median of so many times."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def measure(trials: int) -> Row:
    """One size."""
    with tempfile.TemporaryDirectory() as temporary:
        storage = Path(temporary)
        folders = [write_study(spec, storage / "studies") for spec in specs(trials)]
        studies = [read_study(folder) for folder in folders]
        report = gather(grouped(studies))
        files = write_report(report, storage / "report")

        def whole() -> None:
            again = gather(grouped([read_study(folder) for folder in folders]))
            write_report(again, storage / "report")

        return {
            "trials": len(report.trials),
            "read_s": seconds_of(lambda: [read_study(folder) for folder in folders]),
            "gather_s": seconds_of(lambda: gather(grouped(studies))),
            "page_s": seconds_of(lambda: html(report)),
            "whole_s": seconds_of(whole),
            "mb": {file.name: file.stat().st_size / _MB for file in files},
        }


def bounds(rows: Mapping[str, Row]) -> list[Bound]:
    """What must hold; at a size that was not measured it is not known."""
    found = []
    for size, (seconds, megabytes) in LIMITS.items():
        row = rows.get(str(size))
        runs = frozenset({row["run"]} if row else ())
        made = f"{size:,} trials"
        found += [
            Bound(f"{made}: seconds of the whole report", row["whole_s"] if row else None,
                  seconds, strict=True, runs=runs),
            Bound(f"{made}: seconds of the page", row["page_s"] if row else None,
                  _PAGE_LIMITS[size], strict=True, runs=runs),
            Bound(f"{made}: MB of the page", row["mb"]["report.html"] if row else None,
                  megabytes, strict=True, runs=runs),
        ]  # fmt: skip
    return found


def page(rows: Mapping[str, Row]) -> list[str]:
    """The results as Markdown."""
    headings = [">trials", ">read s", ">make s", ">page s", ">whole s", ">report.html MB",
                ">report.json MB", ">trials.csv MB"]  # fmt: skip
    cells = [
        [f"{r['trials']:,}", *(f"{r[k]:.2f}" for k in ("read_s", "gather_s", "page_s", "whole_s")),
         *(f"{r['mb'][n]:.2f}" for n in ("report.html", "report.json", "trials.csv"))]
        for r in rows.values()
    ]  # fmt: skip
    return [
        "# What a report costs",
        "",
        "Scripted studies: a random search, one with early stopping, a population of 20 members;"
        f" {BOUNDARIES} boundaries each. Made by `python -m benchmarks.report`.",
        "",
        *table(headings, cells),
        "",
        *bounds_table(bounds(rows)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="sizes, comma-separated", default="")
    only = parser.parse_args(arguments).only
    sizes = [int(size) for size in only.split(",") if size] or SIZES
    files = imported("benchmarks.report", "sweeps.report.html", "sweeps.report.folder")
    rows = SavedRows("report", packages=("jinja2", "numpy"), depends_on=lambda row: files)
    for size in sizes:
        rows.save(str(size), measure(size))
        print(rows.write_page(page), flush=True)


if __name__ == "__main__":
    main()
