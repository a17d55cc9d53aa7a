"""Syne Tune's local backend, as its documentation shows it; runs in an environment of its own.

    python -m benchmarks.trials.peers.syne_search random|asha JOB_FOLDER RUN_FOLDER

Each trial is a process of `syne_trial.py` that reports its metrics as lines of its output. The
tuner's own defaults are kept, the seconds that it sleeps between two looks among them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import loguniform, uniform
from syne_tune.optimizer.baselines import ASHA, RandomSearch

from benchmarks.trials.jobs import ASHA_ETA, read_job


def main(variant: str, job_folder: Path, run_folder: Path) -> None:
    """Search by random or asha."""
    job = read_job(job_folder)
    os.environ["SYNETUNE_FOLDER"] = str(run_folder / "syne_tune")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    space: dict[str, Any] = {
        "learning_rate": loguniform(min(job.learning_rates), max(job.learning_rates)),
        "weight_decay": uniform(min(job.weight_decays), max(job.weight_decays)),
        "job_folder": str(job_folder),
        "run_folder": str(run_folder),
    }
    if variant == "random":
        scheduler = RandomSearch(space, metrics=["accuracy"], do_minimize=False)
    else:
        scheduler = ASHA(
            space,
            metric="accuracy",
            time_attr="epoch",
            max_t=job.epochs,
            reduction_factor=ASHA_ETA,
            do_minimize=False,
        )
    tuner = Tuner(
        trial_backend=LocalBackend(str(Path(__file__).with_name("syne_trial.py"))),
        scheduler=scheduler,
        # It stops once more than so many have been started.
        stop_criterion=StoppingCriterion(max_num_trials_started=job.trials - 1),
        wait_trial_completion_when_stopping=True,
        n_workers=job.slots,
    )
    tuner.run()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
