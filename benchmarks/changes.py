"""What changes of the program gave: its own former commits on the tiny job, beside today's.

    python -m benchmarks.changes [--repeats N] [--only COMMIT,...]

Profiles nothing. A claim that a change made a study quicker is a figure here or it is not made. A
row is the whole program as a commit left it, from its sources in the repository's history, so what
else landed since the row before is in it too; the page names each by its commit. Rows take turns,
and every finished run is saved.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.saved_rows import Row, SavedRows, table
from benchmarks.sources import ROOT
from benchmarks.trials import ours
from benchmarks.trials.jobs import JOBS, Job, lay_out
from benchmarks.trials.processes import run
from benchmarks.trials.segments import figures
from benchmarks.trials.table import median

METHODS = ("grid", "pbt")
TODAY = "today"


@dataclass(frozen=True)
class State:
    """The program as a commit left it, and what it has that the one before it had not."""

    commit: str
    what: str


STATES = (
    State("105df04", "before any work on starting and ending"),
    State("24d6146", "hangs, locks, secrets, disk, extension: nothing that was meant for speed"),
    State("4344c71", "workers prepare the data, the driver never loads torch; Ray is left in the"
          " thread that started it; idle processes of Ray import ahead"),
    State("2e1ff57", "no process of Ray's is left; its agents are ended by process id at the exit"),
    State("99f5566", "Ray Tune is imported while Ray starts; workers take processes that Ray has"
          " ready; idle processes import nothing ahead any more"),
    State(TODAY, "what resuming, watching and ending safely asked for since"),
)  # fmt: skip


def main() -> int:
    """Measure what is missing and print the table; 1 when a commit's program failed."""
    options = _options()
    saved = SavedRows(
        "changes",
        packages=("ray", "torch", "transformers"),
        depends_on=lambda name: ("benchmarks/trials", *_program(name.partition(" ")[0])),
    )
    work = options.work.resolve() / "changes"
    job = lay_out(JOBS["tiny"], work / "job", Path())
    chosen = [s for s in STATES if not options.only or s.commit in options.only.split(",")]
    names = [(state, method) for state in chosen for method in METHODS]
    rows: dict[str, Row] = {
        f"{state.commit} {method}": {"runs": []} for state, method in names
    } | saved.current()
    failed = False
    for number in range(1, options.repeats + 1):
        for state, method in names:
            name = f"{state.commit} {method}"
            if len(rows[name]["runs"]) >= number:
                continue
            print(f"{name} {number}/{options.repeats} ...", end=" ", flush=True)
            found = _measured(job, sources_of(state.commit, work), method, work / "study")
            print("failed" if found is None else f"{found['seconds']:.2f} s", flush=True)
            if found is None:
                failed = True
                continue
            rows[name]["runs"].append({**found, "run": saved.run})
            saved.save(name, rows[name])
            saved.write_page(page)
    print(saved.write_page(page))
    return int(failed)


def page(rows: Mapping[str, Row]) -> list[str]:
    """The Markdown of what was measured."""
    lines = []
    for state in STATES:
        for method in METHODS:
            name = f"{state.commit} {method}"
            if name not in rows:
                continue
            runs = sorted(one["seconds"] for one in rows[name]["runs"])
            lines.append([
                state.commit, method, len(runs), median(rows, name),
                f"{runs[0]:.1f}..{runs[-1]:.1f}", median(rows, name, "first_step_s"),
                median(rows, name, "end_s"), state.what,
            ])  # fmt: skip
    heads = ["program as of", "", ">runs", ">s", ">min..max", ">first step s", ">end s", "has also"]
    return [
        "# What changes of the program gave",
        "",
        "Made by `python -m benchmarks.changes`; do not edit. The tiny job of `trials_tiny`, from"
        " command to exit; medians. First step: from the command to the first optimizer step."
        " End: from the last boundary's report to the exit.",
        "",
        *table(heads, lines),
    ]


def sources_of(commit: str, work: Path) -> Path:
    """The folder of the program as of a commit, taken out of the history.

    Raises:
        CalledProcessError: the history does not have the commit (a shallow clone, say).
    """
    if commit == TODAY:
        return ROOT
    folder = work / commit
    if not folder.is_dir():
        folder.mkdir(parents=True)
        packed = subprocess.run(
            ["git", "archive", commit, *_program(TODAY)], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    return folder


def _program(commit: str) -> tuple[str, ...]:
    """What changes today's figures; a commit does not change."""
    return ("orchestrator", "search_spaces", "sweeps") if commit == TODAY else ()


def _measured(job: Job, program: Path, method: str, folder: Path) -> dict[str, Any] | None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PYTHONPATH"] = str(program)  # workers too must not find today's program
    ran = run(ours.command(job, method, folder), folder / "output.txt", cwd=program)
    if ran.code != 0:
        print((folder / "output.txt").read_text("utf-8", "replace")[-2000:])
        return None
    study = ours.study_of(folder)
    segments = ours.segments(study)
    last = max(segment.end for segment in segments)
    return {
        "seconds": ran.seconds,
        "first_step_s": figures(segments, ran.started, job.slots)["first_step_s"],
        "end_s": ran.started + ran.seconds - last,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.changes", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--only", default="", help="commits, separated by commas; default: all")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "benchmarks")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
