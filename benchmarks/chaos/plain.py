"""What the same injuries do to plain Ray Tune; `python -m benchmarks.chaos` puts it beside ours.

Judges by the same questions as the rows of the same names: what of the finished trials is trained
again, what exit code there is, what is left behind. It is told as it comes out, a sentence a row.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.chaos.disks import small_disk
from benchmarks.chaos.processes import (
    Driver,
    descendants,
    end_all,
    live_for,
    run_to_the_end,
    wait_for,
    wait_until_gone,
)

_NAME = "plain"
_BOUNDARIES = 5
_TRIALS = 8


def _start(folder: Path, **plan: Any) -> Driver:
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), **plan.pop("environment", {})}
    data = {"storage": str(plan.pop("storage", folder)), "log": str(folder / "log"), "name": _NAME,
            "trials": _TRIALS, "boundaries": _BOUNDARIES, "seconds": 0.3, **plan}  # fmt: skip
    handle, name = tempfile.mkstemp(prefix="chaos-output-")
    with os.fdopen(handle, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.plain_driver", json.dumps(data)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=environment,
        )  # fmt: skip
    return Driver(process, Path(name))


def _log(folder: Path) -> list[tuple[int, int]]:
    file = folder / "log"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(trial, boundary) for trial, boundary in map(json.loads, lines)]


def _finished(folder: Path) -> set[int]:
    return {trial for trial, boundary in _log(folder) if boundary == _BOUNDARIES}


def _result(output: str) -> dict[str, Any] | None:
    found = [line for line in output.splitlines() if line.startswith("RESULT ")]
    return json.loads(found[-1].removeprefix("RESULT ")) if found else None


def _until_finished(folder: Path, driver: Driver, trials: int) -> None:
    wait_for(lambda: driver.has_ended or len(_finished(folder)) >= trials, seconds=180)


def _end(driver: Driver, number: int = signal.SIGKILL) -> tuple[float, list[str]]:
    """Signal it; how long it took to end, and who is left ten seconds later."""
    known = descendants(driver.pid)
    started = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(driver.pid, number)
    live_for(driver, 60)
    seconds = time.monotonic() - started
    if not driver.has_ended:
        os.kill(driver.pid, signal.SIGKILL)
        driver.process.wait()
    _, left = wait_until_gone(known, seconds=10)
    end_all(known)
    return seconds, left


def _restored(folder: Path, **plan: Any) -> tuple[int, dict[str, Any] | None, Counter[int]]:
    """Restore and fit; exit code, result, and how many boundaries each trial trained again."""
    before = Counter(_log(folder))
    code, output = run_to_the_end(_start(folder, restore=True, **plan), seconds=240)
    again: Counter[int] = Counter()
    for (trial, boundary), times in (Counter(_log(folder)) - before).items():
        if before[trial, boundary]:
            again[trial] += times
    return code, _result(output), again


def killed(folder: Path) -> str:
    """F1."""
    driver = _start(folder)
    _until_finished(folder, driver, 4)
    done = _finished(folder)
    _end(driver)
    code, result, again = _restored(folder)
    rerun = [trial for trial in done if again[trial]]
    words = f"SIGKILL with {len(done)} of {_TRIALS} trials finished, then `Tuner.restore`:"
    if result is None:
        return f"{words} exit {code}, no result"
    return (
        f"{words} {len(rerun)} of the {len(done)} finished trials were trained again;"
        f" {sum(again.values())} boundaries trained twice; {result['trials']} trials in the result"
    )


def signalled(folder: Path) -> str:
    """F6."""
    told = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        place = folder / number.name
        place.mkdir()
        driver = _start(place)
        _until_finished(place, driver, 3)
        done = _finished(place)
        seconds, left = _end(driver, number)
        code = driver.process.returncode
        driver.output_file.unlink(missing_ok=True)
        _, _, again = _restored(place)
        rerun = sum(1 for trial in done if again[trial])
        told.append(
            f"{number.name}: exit {code} after {seconds:.1f} s, {len(left)} processes left after"
            f" 10 s, {rerun} of {len(done)} finished trials trained again after `Tuner.restore`"
        )
    return "; ".join(told)


def full_disk(folder: Path) -> str:
    """F8."""
    if os.geteuid() != 0:
        return "not run: mounting a tmpfs needs root"
    size = 4 << 20
    with small_disk(folder, 10 * size) as disk:
        driver = _start(folder, storage=disk, ballast=size)
        live_for(driver, 180)
        code, output = run_to_the_end(driver, seconds=5)
        result = _result(output)
        done = _finished(folder)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={100 * size},remount", "tmpfs", str(disk)],
            check=True,
        )
        again_code, restored, again = _restored(folder, storage=disk)
    words = f"a disk of half the need: exit {code}, {len(done)} of {_TRIALS} trials finished"
    if result is not None:
        words += f", {result['errors']} with errors"
    words += f"; with room again `Tuner.restore` ended with exit {again_code}"
    if restored is not None:
        words += f", {sum(at == _BOUNDARIES for at in restored['at'])} trials finished"
    return f"{words}, {sum(again.values())} boundaries trained twice"


def damaged(folder: Path) -> str:
    """F10."""
    told = []
    for damage in ("truncated", "emptied", "missing"):
        place = folder / damage
        place.mkdir()
        driver = _start(place)
        _until_finished(place, driver, 4)
        time.sleep(11)  # a snapshot is taken every ten seconds at most
        done = _finished(place)
        _end(driver)
        states = sorted((place / _NAME).glob("experiment_state-*.json"))
        for state in states[-1:]:
            if damage == "missing":
                state.unlink()
            else:
                half = state.stat().st_size // 2 if damage == "truncated" else 0
                os.truncate(state, half)
        code, result, again = _restored(place)
        rerun = sum(1 for trial in done if again[trial])
        trials = "no result" if result is None else f"{result['trials']} trials in the result"
        told.append(
            f"{damage} state: exit {code}, {trials}, {rerun} of {len(done)} finished trials"
            " trained again"
        )
    return "; ".join(told)


def tracked(folder: Path) -> str:
    """F13."""
    from tests.orchestrator.tracking.wandb_server import wandb_server

    seconds = {}
    errors = 0
    for name in ("without", "hangs"):
        place = folder / name
        place.mkdir()
        with wandb_server() as server:
            server.mode = "hangs"
            environment = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": "a" * 40,
                           "WANDB_MODE": "online", "WANDB_SILENT": "true"}  # fmt: skip
            started = time.monotonic()
            driver = _start(
                place, trials=2, boundaries=2, wandb=name == "hangs", environment=environment
            )
            live_for(driver, 600)
            _, output = run_to_the_end(driver, seconds=5)
            seconds[name] = time.monotonic() - started
            result = _result(output)
            errors = result["errors"] if result is not None else 2
    longer = seconds["hangs"] - seconds["without"]
    return (
        "`wandb.init` in each trial, a server that accepts and never answers, 2 trials at once,"
        f" 2 retries: {longer:.0f} s longer, {errors} of 2 trials failed"
    )


def doubled(folder: Path) -> str:
    """F15."""
    drivers = [_start(folder), _start(folder)]
    ended = []
    for driver in drivers:
        live_for(driver, 240)
        ended.append(run_to_the_end(driver, seconds=5))
    twice = sum(1 for times in Counter(_log(folder)).values() if times > 1)
    codes = [code for code, _ in ended]
    return (
        f"two runs of one name: both ran in one folder, exit codes {codes[0]} and {codes[1]};"
        f" {twice} of {_TRIALS * _BOUNDARIES} boundaries were trained by both"
    )


INJURIES: dict[str, Callable[[Path], str]] = {
    "F1": killed,
    "F6": signalled,
    "F8": full_disk,
    "F10": damaged,
    "F13": tracked,
    "F15": doubled,
}


def injured(row: str) -> str:
    """Injure plain Ray Tune as a row of `INJURIES` does; one that could not be run says so."""
    with tempfile.TemporaryDirectory(prefix="chaos-plain-", ignore_cleanup_errors=True) as name:
        try:
            return INJURIES[row](Path(name))
        except Exception as error:
            return f"could not be run through: {error!r}"
