"""F8: a small disk that fills up, in mid-save or for the journal alone.

The disk is a tmpfs of its own, so root is needed. Trials are scripted with checkpoints of a few
MiB. `sized`: the disk has 1.5, 1 or 0.5 times what the study needs. `filled`: something else
takes the last byte at a random moment. `journal`: so it does where only the journal is, trials
stand elsewhere. Then there is room again, and the study goes on.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted
from benchmarks.chaos.processes import live_for, run_to_the_end, start_driver, wait_for
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, write_sweep
from orchestrator.journal import JOURNAL
from orchestrator.results import read_study

_CHECKPOINT = 4 << 20
_TRIALS = 6
_SLOTS = 2
_NEED = _CHECKPOINT * (_TRIALS + 4 * _SLOTS)
"""What the study has on disk at once, at most: a best of each trial, and what runs."""
_REPORTED = b'"event":"reported"'


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A tmpfs of `size` bytes."""
    place = folder / "disk"
    place.mkdir()
    _mount(place, size)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _mount(place: Path, size: int, *, again: bool = False) -> None:
    options = f"size={size}" + (",remount" if again else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Fill it up; exit 6, nothing torn; make room; go on to the end."""
    name, seed = parts(case)
    rng = random.Random(case)
    kind, _, factor = name.partition("-")
    size = int(_NEED * (float(factor) if kind == "sized" else 2.0))
    (elsewhere := folder / "trials").mkdir()
    sweep = scripted_sweep(
        "random", slots=_SLOTS, seed=seed, trials=_TRIALS, boundaries=5, name="study"
    )
    file = write_sweep(folder / "study.yaml", sweep)
    options = {"address": bench.address, "seconds": 0.2, "ballast": _CHECKPOINT}
    if kind == "journal":
        options["trials_at"] = str(elsewhere)
    with small_disk(folder, size) as disk:
        study = disk / "study"
        words = ["run", str(file), "--storage", str(disk), "--plain"]
        driver = start_driver(words, save_seconds=0.1, **options)  # type: ignore[arg-type]
        if kind != "sized":
            wanted = rng.randint(1, 12)
            wait_for(
                lambda: driver.has_ended or counted(study / JOURNAL, _REPORTED) >= wanted,
                seconds=120,
            )
            _fill(disk / "somebody-elses")
        live_for(driver, 240)
        code, output = run_to_the_end(driver, seconds=5)
        said = _full(code, output, study, must=kind != "sized" or float(factor) < 1.0)
        full = code != 0
        _mount(disk, 4 * _NEED, again=True)
        (disk / "somebody-elses").unlink(missing_ok=True)
        if (study / JOURNAL).exists() and not judge.is_over(study):
            before = (study / JOURNAL).read_bytes()
            words = ["resume", str(study), "--plain"]
            code, output = run_to_the_end(start_driver(words, **options))  # type: ignore[arg-type]
            if code != 0:
                said.append(f"resume with room: exit {code}: {output[-300:]}")
            said += judge.history_kept(study, [before])
        if (study / JOURNAL).exists():
            events = judge.events_of(study)
            said += [
                *judge.finished(study),
                *judge.nothing_twice(events),
                *judge.back_by_one(events),
                *judge.nothing_damaged(events),
                *judge.best_loads(study),
            ]
    return Outcome(said, count=int(full), groups={kind: int(full)})


def _full(code: int, output: str, study: Path, *, must: bool) -> list[str]:
    """What must hold while the disk is full."""
    if code == 0:
        return ["the disk was full and the study went on"] if must else []
    said = [] if code == 6 else [f"exit {code} instead of 6: {output[-300:]}"]
    if "Traceback" in output:
        said.append(f"a traceback: {output[-300:]}")
    if "free" not in output or str(study) not in output:
        said.append(f"path and room were not told: {output[-300:]}")
    if not (study / JOURNAL).exists():
        return said
    read = read_study(study)
    if read.contents.torn_bytes:
        said.append("the journal ends in a torn line")
    if read.state.best is not None:
        said += judge.best_loads(study)
    return said


def _fill(path: Path) -> None:
    """Take all that is free, to the last byte."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def _lacks() -> str | None:
    return None if os.geteuid() == 0 else "mounting a tmpfs needs root"


ROW = Row(
    id="F8",
    injected="small tmpfs of 1.5, 1 and 0.5 times the need; full in mid-save; journal alone cannot"
    " write",
    holds="exit 6, best so far loads, resumes once there is room",
    target="0 torn states in 30",
    cases=(
        *seeds(2, "sized-1.5", "sized-1.0"),
        *seeds(8, "sized-0.5", "journal"),
        *seeds(14, "filled"),
    ),
    few=("filled/0",),
    run=run,
    counted="full disks",
    remark="`sized`: with 1.5 and 1 times the need the study may well end without meeting the end"
    " of the disk, and is not counted then; `filled`: another program takes the last byte at a"
    " random moment; `journal`: so it does, and nothing but the journal is on that disk.",
    lacks=_lacks,
)
