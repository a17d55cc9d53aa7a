"""The floor: the same trials by bare Trainers, and nothing else.

One process a slot; each has imported everything and trained a step before the clock starts, then
all take trial after trial until none is left. Nothing is searched, nobody reports. What the trials
are made of (rows, tokens, model) is our own task's, so it is the very same.

    python -m benchmarks.trials.floor JOB RUN epoch|no

JOB is the folder that the job was laid out in, RUN the one for what this run leaves: `floor.json`
and the marks. The last word is the Trainer's `save_strategy`: `no` shows how much of the floor is
waiting for its own saves.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.trials.jobs import SEED, Job, read_job, sweep_file
from benchmarks.trials.processes import written_bytes

FLOOR = "floor.json"


def main(job_folder: Path, run_folder: Path, saves: str) -> None:
    """Train all trials of the job; write when the clock was started and when the last one ended."""
    job = read_job(job_folder)
    context = multiprocessing.get_context("spawn")
    trials: Any = context.Queue()
    for number, config in enumerate(job.configurations()):
        trials.put((number, config))
    barrier = context.Barrier(job.slots)
    clocks: Any = context.Queue()
    processes = [
        context.Process(
            target=_slot,
            args=(job, saves, run_folder, run_folder / f"slot-{n}", trials, barrier, clocks),
        )
        for n in range(job.slots)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit("a slot of the floor failed")
    slots = [clocks.get(timeout=10) for _ in processes]
    started = min(slot["started"] for slot in slots)
    found = {
        "started": started,
        "seconds": max(slot["ended"] for slot in slots) - started,
        "written_bytes": sum(slot["written_bytes"] for slot in slots),
    }
    (run_folder / FLOOR).write_text(json.dumps(found), "utf-8")


def _slot(
    job: Job, saves: str, run: Path, folder: Path, trials: Any, barrier: Any, clocks: Any
) -> None:
    import torch

    from benchmarks.trials.marks import Marks
    from orchestrator.tasks import make_task
    from search_spaces import read_sweep

    torch.set_num_threads(1)
    folder.mkdir()
    file = folder / "sweep.yaml"
    file.write_text(sweep_file(job, "grid"), "utf-8")
    task = make_task(read_sweep(file).spec.task, folder / "cache", SEED)
    task.prepare()
    _train(job, task, folder / "warm", max_steps=1)
    barrier.wait()
    started = ended = time.time()
    written = written_bytes("self") or 0
    marks = Marks(run)
    while True:
        try:
            number, config = trials.get(timeout=0.1)
        except queue.Empty:
            break
        settings = {**config, "save_strategy": saves}
        _train(job, task, folder / str(number), callbacks=[marks], **settings)
        ended = time.time()
    written = (written_bytes("self") or 0) - written
    clocks.put({"started": started, "ended": ended, "written_bytes": written})
    shutil.rmtree(folder)


def _train(job: Job, task: Any, folder: Path, callbacks: Any = None, **settings: Any) -> None:
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    arguments = TrainingArguments(
        output_dir=str(folder),
        seed=SEED,
        report_to="none",
        disable_tqdm=True,
        save_total_limit=1,
        **{**job.training_arguments(), **settings},
    )
    trainer = Trainer(
        model=task.build_model(SEED),
        args=arguments,
        data_collator=task.collator,
        train_dataset=task.train_dataset,
        eval_dataset=task.eval_dataset,
        processing_class=task.tokenizer,
        compute_metrics=task.compute_metrics,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
