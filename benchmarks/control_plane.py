"""What the orchestrator itself costs: scripted studies that train nothing, shown and resumed.

    python -m benchmarks.control_plane [--only NAME,NAME] [--folder DIR]

Each study runs in a process of its own (`scripted_study.py`), one after the other, with a fresh
local Ray and its journal on disk. Rows are saved as they are done; `--only` measures some again.

- random, asha, pbt at 1,000 and 10,000: wall time from the first segment to the last end, by
  trial. A population has 20 members, so its unit is one boundary of one member: what is shared
  out is copying and comparing.
- memory: the largest resident size of the driver's process, less that of a bare process that
  started Ray and imported Ray Tune.
- show: the whole command `sweep show` on the study of 10,000, best of three.
- resume: a study of 1,000 whose driver was cut off near its end, taken up by a new process with a
  new Ray: from Ray being up to the first command to train. Bayesian searches (their history is
  that of the random study) have nothing left to train, so they must propose first, from 1,000
  observations.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.saved_rows import Row, SavedRows, table
from benchmarks.scripted_study import scripted_spec
from orchestrator.journal import JOURNAL, Journal, length_file, read_journal
from orchestrator.results import SPECIFICATION

SIZES = (1_000, 10_000)
METHODS = ("random", "asha", "pbt")
RESUMED = (*METHODS, "bayes-tpe", "bayes-gp")
LIMITS = {"per_second": 25.0, "ratio": 1.5, "memory_mb": 300.0, "show_s": 2.0, "ready_s": 10.0}
_MB = 1e6
_TIMEOUT_S = 580


def child(*arguments: str) -> Row:
    """Run `scripted_study` with these arguments; give its answer."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scripted_study", *arguments],
        stdout=subprocess.PIPE,
        timeout=_TIMEOUT_S,
        check=True,
        text=True,
    )
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def shown(folder: Path) -> float:
    """Seconds of the whole command `sweep show`, the best of three."""
    command = [sys.executable, "-m", "sweeps", "show", str(folder)]
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - started)
    return min(seconds)


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
    (ran / SPECIFICATION).write_text(json.dumps(spec.model_dump(mode="json")), "utf-8")
    path = ran / JOURNAL
    entries = read_journal(path).entries
    path.unlink()
    length_file(path).unlink()
    journal = Journal(path)
    journal.append([entry.event for entry in entries[:-1]])  # all but the study's end
    journal.close()
    return ran


def measurements() -> dict[str, Callable[[Path], Row]]:
    """Row name -> how it is measured, in a storage folder of its own."""

    def study(method: str, units: int) -> Callable[[Path], Row]:
        return lambda storage: measure_study(method, units, storage)

    def resume(method: str) -> Callable[[Path], Row]:
        return lambda storage: measure_resume(method, storage)

    found: dict[str, Callable[[Path], Row]] = {"bare": lambda storage: child("bare")}
    found |= {f"{m}-{n}": study(m, n) for n in SIZES for m in METHODS}
    found |= {f"resume-{m}": resume(m) for m in RESUMED}
    return found


def page(rows: Mapping[str, Row]) -> list[str]:
    """The Markdown of the result."""
    bare = rows["bare"]["peak_bytes"] if "bare" in rows else 0
    studies = []
    for method in METHODS:
        small, large = (rows.get(f"{method}-{units}") for units in SIZES)
        for row in (small, large):
            if row is None:
                continue
            ratio = None
            if small and large and row is large:
                ratio = small["per_second"] / large["per_second"]
            memory = (row["peak_bytes"] - bare) / _MB
            studies.append(
                [method, row["units"], row["trials"], row["events"], row["per_second"],
                 ratio, memory, row["journal_mb"], row["show_s"]]
            )  # fmt: skip
    resumed = [
        [rows[f"resume-{m}"][key] for key in ("method", "units", "ray_up_s", "ready_s")]
        for m in RESUMED
        if f"resume-{m}" in rows
    ]
    headings = ["method", ">size", ">trials", ">events", ">a second", ">cost by 1,000's",
                ">MB above Ray", ">journal MB", ">show s"]  # fmt: skip
    return [
        "# The control plane, with trials that train nothing",
        "",
        f"Wanted: {LIMITS['per_second']:g} a second at 1,000; cost at 10,000 at most"
        f" {LIMITS['ratio']:g} x that at 1,000; at most {LIMITS['memory_mb']:g} MB above Ray's own"
        f" driver process ({bare / _MB:.0f} MB); `sweep show` under {LIMITS['show_s']:g} s. Size"
        " counts trials (random: one boundary each; asha: up to nine, compared at two of them),"
        " for pbt boundaries of its 20 members. Two workers.",
        "",
        *table(headings, studies),
        "",
        f"Resume, from Ray being up to the first command to train; at most"
        f" {LIMITS['ready_s']:g} s wanted. The Bayesian ones propose first, from 1,000"
        " observations.",
        "",
        *table(["method", ">size", ">Ray up after s", ">then ready after s"], resumed),
    ]


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
    saved = SavedRows("control_plane", packages=("ray", "optuna"))
    for name in options.only.split(","):
        storage = Path(tempfile.mkdtemp(prefix="control-plane-", dir=options.folder))
        try:
            saved.save(name, rows[name](storage))
        finally:
            shutil.rmtree(storage, ignore_errors=True)
        print(name, json.dumps(saved.rows[name]), flush=True)
    print(saved.write_page(page))


if __name__ == "__main__":
    main()
