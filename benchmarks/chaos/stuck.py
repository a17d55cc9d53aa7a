"""F7 and F17: a trial that hangs; a trial that runs out of memory, raised or by the kernel.

The deadline of a hung trial is set short. The kernel's out-of-memory killer is provoked in a
memory control group of the study's own, so that nobody else's process is the largest.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted
from benchmarks.chaos.processes import live_for, run_to_the_end, start_driver, wait_for
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import scripted_sweep, trained_sweep, write_sweep
from orchestrator.events import Reported, SegmentStarted, TrialEnded, TrialInterrupted
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.results import read_study

_DEADLINE_S = 5
_LATE_S = 10.0
_HIT = "0001"
_GROUPS = Path("/sys/fs/cgroup/memory")
_MEMORY_TASK = '''
import functools
import torch
from orchestrator.tasks.text_classification import TextClassification

WHAT = {what!r}


class Large(TextClassification):
    """Text classification whose model asks for more memory than there is."""

    def build_model(self, seed):
        model = super().build_model(seed)
        if self.large:
            @functools.wraps(model.forward)  # the Trainer looks at its arguments
            def forward(*arguments, **named):
                if WHAT == "torch":
                    torch.empty(1 << 50)
                if WHAT == "python":
                    bytearray(1 << 60)
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            model.forward = forward
        return model


def build(spec, cache, seed):
    task = Large(spec.model_copy(update={{"type": "text-classification"}}), cache, seed)
    task.large = spec.model_config_overrides.get("hidden_dropout_prob") == 0.5
    return task
'''


def run_hung(case: str, folder: Path, bench: Bench) -> Outcome:
    """Let one trial hang: it sleeps, it computes, or it holds the interpreter's lock."""
    name, seed = parts(case)
    sweep = scripted_sweep(
        "random", slots=2, seed=seed, trials=5, boundaries=4, name="study",
        failures={"hung_after": f"{_DEADLINE_S}s"},
    )  # fmt: skip
    file = write_sweep(folder / "study.yaml", sweep)
    study = folder / "study"
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    driver = start_driver(
        words, address=bench.address, seconds=0.2, hangs={_HIT: [1 + seed % 3, name]}
    )
    code, output = run_to_the_end(driver)
    if not (study / JOURNAL).exists():
        return Outcome([f"exit {code}: {output[-300:]}"])
    said = [] if code == 3 else [f"exit {code} instead of 3: {output[-300:]}"]
    state = read_study(study).state
    for record in state.trials.values():
        expected = ("failed", "hung") if record.id == _HIT else ("finished", None)
        if (record.state, record.failure) != expected:
            said.append(f"trial {record.id}: {record.state} {record.failure}: {record.message}")
    if "advance" not in state.trials[_HIT].log:
        said.append(f"the stack of the call that hangs is not told: {state.trials[_HIT].log}")
    late = max(_overdue(study), default=None)
    if late is None or late > _LATE_S:
        said.append(f"found {late} s after the deadline")
    return Outcome(said, figure=late)


def _overdue(study: Path) -> list[float]:
    """Seconds from the deadline until the hung trial's slot was free, each time."""
    found = []
    since = 0.0
    for entry in read_journal(study / JOURNAL).entries:
        event = entry.event
        if getattr(event, "trial", None) != _HIT:
            continue
        if isinstance(event, SegmentStarted | Reported):
            since = entry.time
        elif isinstance(event, TrialInterrupted | TrialEnded):
            found.append(entry.time - since - _DEADLINE_S)
    return found


def run_memory(case: str, folder: Path, bench: Bench) -> Outcome:
    """One trial needs more memory than there is; its neighbours live, its class is right."""
    name, seed = parts(case)
    if name == "kernel" and not _has_groups():
        return Outcome(count=0, lacks="it needs root and memory control groups of version 1")
    if name == "kernel":
        return Outcome(_killed_by_the_kernel(folder, seed))
    task = folder / "my_task.py"
    task.write_text(_MEMORY_TASK.format(what=name))
    sweep = trained_sweep("grid", slots=2, seed=seed, name="study")
    sweep["task"]["type"] = f"{task}:build"
    sweep["parameters"] = {
        "learning_rate": {"values": [1e-3]},
        "task.model_config.hidden_dropout_prob": {"values": [0.0, 0.5, 0.1]},
    }
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain", "--allow-code"]
    code, output = run_to_the_end(start_driver(words, address=bench.address, trains=True))
    return Outcome(_classed(folder / "study", code, output))


def _classed(study: Path, code: int, output: str) -> list[str]:
    if not (study / JOURNAL).exists():
        return [f"exit {code}: {output[-300:]}"]
    said = [] if code == 3 else [f"exit {code} instead of 3: {output[-300:]}"]
    for record in read_study(study).state.trials.values():
        expected = ("failed", "out_of_memory") if record.id == _HIT else ("finished", None)
        if (record.state, record.failure) != expected:
            said.append(f"trial {record.id}: {record.state} {record.failure}: {record.message}")
    return [*said, *judge.best_loads(study)]


def _killed_by_the_kernel(folder: Path, seed: int) -> list[str]:
    sweep = scripted_sweep("random", slots=2, seed=seed, trials=5, boundaries=4, name="study")
    file = write_sweep(folder / "study.yaml", sweep)
    study = folder / "study"
    with _memory_group() as group:
        words = ["run", str(file), "--storage", str(folder), "--plain"]
        driver = start_driver(words, seconds=1.0, group=str(group), hangs={_HIT: [2, "allocates"]})
        wait_for(
            lambda: driver.has_ended or counted(study / JOURNAL, b"segment_started") >= 2,
            seconds=120,
        )
        time.sleep(0.3)
        used = int((group / "memory.usage_in_bytes").read_text())
        (group / "memory.limit_in_bytes").write_text(str(used + (300 << 20)))
        live_for(driver, 120)
        code, output = run_to_the_end(driver, seconds=5)
    return _classed(study, code, output)


@contextlib.contextmanager
def _memory_group() -> Iterator[Path]:
    """A memory control group; a driver told of it moves there with all that it starts."""
    group = _GROUPS / f"chaos-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        yield group
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().split(), seconds=15)
        with contextlib.suppress(OSError):
            group.rmdir()


def _has_groups() -> bool:
    return os.geteuid() == 0 and os.access(_GROUPS / "cgroup.procs", os.W_OK)


F7 = Row(
    id="F7",
    injected="a trial that hangs",
    holds="classed hung, slot freed, others go on",
    target="deadline (set short) + 10 s",
    cases=seeds(4, "sleeps", "computes", "holds-the-lock"),
    few=(),
    run=run_hung,
    counted="studies",
    figure="s after the deadline",
    remark="in Python code that sleeps, that computes, and in one call that holds the interpreter's"
    f" lock; deadline {_DEADLINE_S} s. Each trial hangs twice: it is tried once more. A save may"
    " always take ten minutes, so none hangs here. The tests: `tests/integration/test_workers.py`,"
    " `tests/orchestrator/test_worker_watched.py`.",
)
F17 = Row(
    id="F17",
    injected="out of memory (raised, and by the kernel)",
    holds="classed right, neighbours live",
    target="20",
    cases=seeds(3, "torch", "python", "cuda") + seeds(11, "kernel"),
    few=(),
    run=run_memory,
    counted="trials out of memory",
    remark="raised by torch's allocator, by Python's, and as CUDA raises it; by the kernel: in a"
    " memory control group of the study's own, which needs root and control groups of version 1."
    " The tests: `tests/integration/test_workers.py`, `tests/orchestrator/test_memory_kills.py`.",
)
