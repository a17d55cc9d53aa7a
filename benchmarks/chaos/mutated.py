"""A1: whatever a sweep file was turned into, it ends with exit 2 and a place, or it is right.

Asked of `sweep validate`, in this process, each with a memory mark; every tenth again in a
fresh process, so that time and memory include everything a person waits for. The mutants are
those of the language's own fuzz tests, of every sweep file that comes with the project.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import command_line

REFUSED = 500
_SECONDS = 2.0
_MIB = 300.0
_FRESH_EVERY = 10
_SPACES = sorted(Path("spaces").glob("*.yaml"))
_PLACE = re.compile(r"mutant\.yaml:[1-9]\d*:[1-9]\d*: ")
_TEN_MEGABYTES = "ten-megabytes/0"


@functools.cache
def _mutants(seed: int) -> list[tuple[str, bytes]]:
    from tests.search_spaces.mutants import mutants

    path = _SPACES[seed % len(_SPACES)]
    return list(mutants(path.read_text("utf-8"), 60, seed=1000 + seed))


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """One mutant that is refused; one that is still right is passed over for the next."""
    name, number = parts(case)
    target = folder / "mutant.yaml"
    if case == _TEN_MEGABYTES:
        target.write_bytes(b"a: [" + b"1, " * 3_500_000 + b"]")
    else:
        made = _nth_refused(number, target)
        if made is None:
            return Outcome(["too few mutants were refused"])
    said, seconds = _validate(target)
    if name == "fresh":
        fresh, seconds = _validate_in_a_fresh_process(target)
        said += fresh
    if os.listdir(folder) != ["mutant.yaml"]:
        said.append(f"it wrote {os.listdir(folder)}")
    if seconds > _SECONDS:
        said.append(f"it took {seconds:.1f} s")
    return Outcome(said, figure=seconds)


@functools.cache
def _refused(batch: int) -> list[bytes]:
    """Which mutants of a batch no reader takes as right."""
    from search_spaces import read_sweep

    found = []
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"chaos-mutants-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    path = folder / "mutant.yaml"
    for _, raw in _mutants(batch):
        path.write_bytes(raw)
        try:
            read_sweep(path)
        except Exception:  # also what would be a traceback: the case judges it
            found.append(raw)
    path.unlink()
    folder.rmdir()
    return found


def _nth_refused(number: int, target: Path) -> bytes | None:
    for batch in range(100):
        refused = _refused(batch)
        if number < len(refused):
            target.write_bytes(refused[number])
            return refused[number]
        number -= len(refused)
    return None


def _validate(target: Path) -> tuple[list[str], float]:
    tracemalloc.start()
    started = time.process_time()
    code, output = command_line("validate", str(target))
    seconds = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    said = _judge(code, output)
    if peak > _MIB:
        said.append(f"it took {peak:.0f} MiB")
    return said, seconds


def _validate_in_a_fresh_process(target: Path) -> tuple[list[str], float]:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(target)],
        capture_output=True, text=True, errors="replace", timeout=120,
    )  # fmt: skip
    said = _judge(done.returncode, done.stdout + done.stderr)
    measured = re.search(r"peak (\d+) KiB, ([\d.]+) s$", done.stderr.strip())
    if measured is None:
        return [*said, "nothing was measured"], 0.0
    peak, seconds = int(measured[1]) / 1024, float(measured[2])
    if peak > _MIB:
        said.append(f"a fresh process took {peak:.0f} MiB")
    return said, seconds


# VmHWM, not ru_maxrss: that one keeps what the process was before exec.
_MEASURED = """
import pathlib, sys, time
from sweeps.cli import app
try:
    app(["validate", sys.argv[1]])
finally:
    peak = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(f"peak {peak} KiB, {time.process_time()} s", file=sys.stderr)
"""


def _judge(code: int, output: str) -> list[str]:
    said = []
    if code != 2:
        said.append(f"exit {code}: {output[-200:]}")
    if "Traceback" in output:
        said.append(f"a traceback: {output[-300:]}")
    if not _PLACE.search(output):
        said.append(f"no place in {output[:200]!r}")
    return said


ROW = Row(
    id="A1",
    injected="mutated sweep files (bytes, tokens, types, tags, aliases, depth, encodings, 10 MB)",
    holds="exit 2, file:line:column and the key, no traceback, no file written",
    target="500 of 500, 2 s and 300 MB each",
    cases=(
        *seeds(REFUSED - REFUSED // _FRESH_EVERY - 1, "here"),
        *(f"fresh/{number}" for number in range(0, REFUSED, _FRESH_EVERY)),
        _TEN_MEGABYTES,
    ),
    few=("here/0", "here/7", "here/77", "fresh/0", _TEN_MEGABYTES),
    run=run,
    counted="refused files",
    figure="s of CPU (slowest)",
    remark="mutants that are still right sweep files are not counted. 449 and the one of 10 MB are"
    " read in one process, 50 each in a fresh one, where time and memory are all that a person"
    " waits for: interpreter and imports included.",
)
