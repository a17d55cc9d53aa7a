"""What the orchestrator itself costs: scripted studies that train nothing, shown and resumed.

    python -m benchmarks.control_plane [--only NAME,NAME] [--folder DIR]

Each study runs in a process of its own (`scripted_study.py`), one after the other, with a fresh
local Ray and its journal on disk. Rows are saved as they are done; `--only` measures some again.

- random, asha, pbt at 1,000 and 10,000: wall time from the first segment to the last end, by
  trial, with the view that a terminal gets. A population has 20 members, so its unit is one
  boundary of one member: what is shared out is copying and comparing. bayes at 1,000 has no
  bound: it is mostly its sampler that thinks, in a process of its own.
- memory: the largest resident size of the driver's process, less that of a bare process that
  started Ray and imported Ray Tune (`plain_ray.py`).
- show: the whole command `sweep show`, the median of three.
- resume: a study of 1,000 whose driver was cut off near its end, taken up by a new process with a
  new Ray: from Ray being up to the first command to train. Bayesian searches (their history is
  that of the random study) have nothing left to train, so they must propose first, from 1,000
  observations.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.bounds import Bound, bounds_table, ratio
from benchmarks.saved_rows import Row, SavedRows, table
from benchmarks.scripted_study import scripted_spec
from benchmarks.sources import PROGRAM
from orchestrator.journal import JOURNAL, Journal, length_file, read_journal
from orchestrator.specification import write_specification

SIZES = (1_000, 10_000)
METHODS = ("random", "asha", "pbt")
STUDIES = (*((m, n) for n in SIZES for m in METHODS), ("bayes", SIZES[0]))
RESUMED = (*METHODS, "bayes-tpe", "bayes-gp")
LIMITS = {"per_second": 25.0, "ratio": 1.5, "memory_mb": 300.0, "show_s": 2.0, "ready_s": 10.0}
_MB = 1e6
_OWN = ("benchmarks/control_plane.py", "benchmarks/scripted_study.py", "benchmarks/plain_ray.py")
_TIMEOUT_S = 580


def child(*arguments: str, module: str = "scripted_study") -> Row:
    """Run a module of the benchmarks, by default `scripted_study`; give its answer."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        stdout=subprocess.PIPE,
        timeout=_TIMEOUT_S,
        check=True,
        text=True,
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def shown(folder: Path) -> float:
    """Seconds of the whole command `sweep show`, the median of three."""
    command = [sys.executable, "-m", "sweeps", "show", str(folder)]
    # As installed, with the program's own modules compiled once and not at each start.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


def measure_study(method: str, units: int, storage: Path) -> Row:
    """One study to its end, and what `sweep show` of it costs."""
    done = child("run", method, str(units), str(storage))
    folder = Path(done.pop("folder"))
    return {
        "method": method,
        "units": units,
        **done,
        "per_second": units / done["seconds"],
        "journal_mb": (folder / JOURNAL).stat().st_size / _MB,
        "show_s": shown(folder),
    }


def measure_resume(method: str, storage: Path) -> Row:
    """A study of 1,000 taken up."""
    units = SIZES[0]
    if method.startswith("bayes"):
        folder = told(method.removeprefix("bayes-"), units, storage)
    else:
        folder = Path(child("cut", method, str(units), str(storage))["folder"])
    return {"method": method, "units": units, **child("resume", str(folder))}


def told(sampler: str, units: int, storage: Path) -> Path:
    """A Bayesian study of so many ended trials, which may begin more: a random study's history."""
    ran = Path(child("run", "random", str(units), str(storage))["folder"])
    spec = scripted_spec("bayes", units, sampler=sampler, run_cap=2 * units, name=ran.name)
    digest = write_specification(ran, spec)
    path = ran / JOURNAL
    entries = read_journal(path).entries
    path.unlink()
    length_file(path).unlink()
    journal = Journal(path)
    first: Any = entries[0].event
    history = [entry.event for entry in entries[1:-1]]  # all but the study's end
    journal.append([dataclasses.replace(first, spec_sha256=digest), *history])
    journal.close()
    return ran


def measurements() -> dict[str, Callable[[Path], Row]]:
    """Row name -> how it is measured, in a storage folder of its own."""

    def study(method: str, units: int) -> Callable[[Path], Row]:
        return lambda storage: measure_study(method, units, storage)

    def resume(method: str) -> Callable[[Path], Row]:
        return lambda storage: measure_resume(method, storage)

    found: dict[str, Callable[[Path], Row]] = {"bare": lambda storage: child(module="plain_ray")}
    found |= {f"{m}-{n}": study(m, n) for m, n in STUDIES}
    found |= {f"resume-{m}": resume(m) for m in RESUMED}
    return found


def bounds(rows: Mapping[str, Row]) -> list[Bound]:
    """What must hold, for every method; at a size that was not measured it is not known."""
    small, large = SIZES
    found = []
    for method in METHODS:
        few, many = f"{method}-{small}", f"{method}-{large}"
        rates = [_figure(rows, name, "per_second") for name in (few, many)]
        shown = _figure(rows, many, "show_s")
        found += [
            Bound(f"{method}: a second at {small:,}", rates[0], LIMITS["per_second"],
                  at_most=False, runs=_runs(rows, few)),
            Bound(f"{method}: cost at {large:,} / at {small:,}", ratio(*rates), LIMITS["ratio"],
                  runs=_runs(rows, few, many)),
            Bound(f"{method}: MB above Ray's own at {large:,}", _above_ray(rows, many),
                  LIMITS["memory_mb"], runs=_runs(rows, "bare", many)),
            Bound(f"{method}: seconds of `sweep show` at {large:,}", shown, LIMITS["show_s"],
                  strict=True, runs=_runs(rows, many)),
        ]  # fmt: skip
    for method in RESUMED:
        name = f"resume-{method}"
        ready = _figure(rows, name, "ready_s")
        text = f"{method}: seconds from Ray being up to the first command, resumed at {small:,}"
        found.append(Bound(text, ready, LIMITS["ready_s"], runs=_runs(rows, name)))
    return found


def page(rows: Mapping[str, Row]) -> list[str]:
    """The Markdown of the result: a line for every row, measured or not."""
    studies = [_study_line(rows, method, units) for method, units in sorted(STUDIES)]
    resumed = [
        [method, SIZES[0], *(_figure(rows, f"resume-{method}", k) for k in ("ray_up_s", "ready_s"))]
        for method in RESUMED
    ]
    headings = ["method", ">size", ">trials", ">events", ">a second", ">MB above Ray",
                ">journal MB", ">show s"]  # fmt: skip
    bare = rows.get("bare")
    own = f"{bare['peak_bytes'] / _MB:.0f} MB" if bare else "not measured"
    return [
        "# The control plane, with trials that train nothing",
        "",
        "Size counts trials (random: one boundary each; asha: up to nine, compared at two of"
        " them), for pbt boundaries of its 20 members. Two workers. Memory is told above Ray's"
        f" own driver process ({own}).",
        "",
        *table(headings, studies),
        "",
        "Resume, from Ray being up to the first command to train. The Bayesian ones propose"
        " first, from 1,000 observations.",
        "",
        *table(["method", ">size", ">Ray up after s", ">then ready after s"], resumed),
        "",
        "## Bounds",
        "",
        *bounds_table(bounds(rows)),
    ]


def _study_line(rows: Mapping[str, Row], method: str, units: int) -> list[Any]:
    name = f"{method}-{units}"
    if name not in rows:
        return [method, units, "not measured", *[None] * 5]
    keys = ("trials", "events", "per_second")
    figures = [_figure(rows, name, key) for key in keys]
    rest = [_figure(rows, name, key) for key in ("journal_mb", "show_s")]
    return [method, units, *figures, _above_ray(rows, name), *rest]


def _figure(rows: Mapping[str, Row], name: str, key: str) -> Any:
    return rows.get(name, {}).get(key)


def _above_ray(rows: Mapping[str, Row], name: str) -> float | None:
    """Megabytes; None unless both were measured."""
    peak, bare = (_figure(rows, row, "peak_bytes") for row in (name, "bare"))
    return None if peak is None or bare is None else (peak - bare) / _MB


def _runs(rows: Mapping[str, Row], *names: str) -> frozenset[str]:
    return frozenset(rows[name]["run"] for name in names if name in rows)


def main() -> None:
    """Measure what was asked for, saving each row when it is done."""
    rows = measurements()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(rows), help="rows: " + ", ".join(rows))
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    unknown = [name for name in options.only.split(",") if name not in rows]
    if unknown:
        parser.error(f"no such rows: {', '.join(unknown)}; there are {', '.join(rows)}")
    saved = SavedRows(
        "control_plane", packages=("ray", "optuna"), depends_on=lambda row: (*PROGRAM, *_OWN)
    )
    for name in options.only.split(","):
        saved.conditions(name)  # of now: sources that change on the way are noticed
        storage = Path(tempfile.mkdtemp(prefix="control-plane-", dir=options.folder))
        try:
            saved.save(name, rows[name](storage))
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        print(name, json.dumps(saved.rows[name]), flush=True)
    print(saved.write_page(page))


if __name__ == "__main__":
    main()
