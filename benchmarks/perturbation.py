"""What a perturbation costs when several processes train a trial, beside one process.

    python -m benchmarks.perturbation [--repeats N] [--workers 1,2]

Whole studies on a Ray of their own, real Trainers, one slot: a population of four on the toy model,
where a boundary is one optimizer step and an evaluation of a few rows. What is measured is the
boundary after an exploit, from the command to the report: leave the trial before, begin from the
donor's checkpoint, one step, one evaluation. Several workers share the same step's rows and have a
core each. The first boundary after the start of a worker's processes is not counted. Medians;
studies take turns. A nested `ray.train.TorchTrainer` for each perturbation was measured at 16 s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.bounds import Bound, bounds_table, ratio
from benchmarks.saved_rows import Row, SavedRows, table
from benchmarks.sources import PROGRAM
from orchestrator.events import Reported, SegmentStarted
from orchestrator.results import StudyResult
from orchestrator.study import run_study
from search_spaces import Sweep, SweepSpec

ROWS_A_STEP = 16
EPOCHS = 10
LIMIT = 2.0
"""Of the same with one worker."""

_OWN = ("benchmarks/perturbation.py",)


def perturbed_spec(workers: int) -> SweepSpec:
    """A population whose boundaries are one step each."""
    return SweepSpec.model_validate(
        {
            "name": f"perturbation-{workers}",
            "method": "pbt",
            "population": {"size": 4, "quantile_fraction": 0.5},
            "metric": {"name": "eval_loss", "goal": "minimize"},
            "task": {
                "type": "text-classification",
                "model": "toy-bert",
                "dataset": {"path": "toy-sentiment", "text": ["text"], "label": "label"},
                "rows": {"train": ROWS_A_STEP, "validation": ROWS_A_STEP},
                "max_length": 16,
            },
            "training_arguments": {
                "num_train_epochs": EPOCHS,
                "eval_strategy": "epoch",
                "save_strategy": "epoch",
                "effective_batch_size": ROWS_A_STEP,
                "use_cpu": True,
            },
            "parameters": {
                "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2}
            },
            "resources": {"workers": workers, "max_concurrent": 1, "gpus_per_worker": 0},
        }
    )


def exploits(result: StudyResult) -> Iterator[float]:
    """Seconds of each boundary after an exploit, but for those of a process's first segments."""
    exploited: set[tuple[str, int]] = set()
    warm: set[int] = set()
    for entry in result.contents.entries:
        event = entry.event
        if isinstance(event, SegmentStarted):
            copies = event.start_trial is not None and event.start_trial != event.trial
            if copies and event.pid in warm:
                exploited.add((event.trial, event.segment))
            warm.add(event.pid)
        elif isinstance(event, Reported) and (event.trial, event.segment) in exploited:
            exploited.remove((event.trial, event.segment))
            yield event.seconds


def measure(workers: int) -> list[float]:
    """Run one study; the seconds of its exploits.

    Raises:
        RuntimeError: it did not come to its end, or nobody copied anybody.
    """
    with tempfile.TemporaryDirectory(prefix="perturbation-") as storage:
        sweep = Sweep(spec=perturbed_spec(workers), path=Path("perturbation.yaml"), source="")
        result = run_study(sweep, storage=Path(storage))
        found = list(exploits(result))
    if result.status != "finished" or not found:
        raise RuntimeError(f"{workers} workers: {result.status}, {len(found)} exploits")
    return found


def page(rows: Mapping[str, Row]) -> list[str]:
    """The Markdown of the result."""
    lines = [
        [row["workers"], row["exploits"], row["seconds"], "{:.3g} to {:.3g}".format(*row["spread"])]
        for row in rows.values()
    ]
    return [
        "# A perturbation with several workers a trial",
        "",
        "The boundary after an exploit, from the command to its report, one step and one evaluation"
        " of the toy model included; one slot, a core a worker.",
        "",
        *table([">workers", ">exploits", ">seconds", ">from to"], lines),
        "",
        *bounds_table(bounds(rows)),
    ]


def bounds(rows: Mapping[str, Row]) -> list[Bound]:
    """What must hold."""
    one, two = rows.get("workers_1", {}), rows.get("workers_2", {})
    runs = frozenset(row["run"] for row in (one, two) if row)
    value = ratio(two.get("seconds"), one.get("seconds"))
    return [Bound("two workers / one worker", value, LIMIT, runs=runs)]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", default="1,2", help="comma-separated")
    options = parser.parse_args()
    counts = [int(count) for count in options.workers.split(",")]
    saved = SavedRows(
        "perturbation",
        packages=("ray", "torch", "transformers", "accelerate"),
        depends_on=lambda row: (*PROGRAM, *_OWN),
    )
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for count in counts:
        saved.conditions(f"workers_{count}")  # of now: sources that change meanwhile are noticed
    for _ in range(options.repeats):
        for count in counts:
            seconds[count] += measure(count)
    for count, found in seconds.items():
        row: Row = {
            "workers": count,
            "exploits": len(found),
            "seconds": statistics.median(found),
            "spread": [min(found), max(found)],
        }
        saved.save(f"workers_{count}", row)
    print(saved.write_page(page))


if __name__ == "__main__":
    main()
