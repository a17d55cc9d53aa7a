"""Ray Tune with a function trainable, as its documentation shows it.

    python -m benchmarks.trials.peers.ray_search fifo|asha|pbt JOB_FOLDER RUN_FOLDER

The tokenised data goes to the trials by `tune.with_parameters`; each epoch reports its metrics
with a checkpoint made from the folder that the Trainer saved; a trial that is given a checkpoint
goes on from it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Checkpoint, CheckpointConfig, RunConfig, TuneConfig, Tuner
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from benchmarks.trials.jobs import ASHA_ETA
from benchmarks.trials.marks import Marks
from benchmarks.trials.peers.parts import Parts


class Report(TrainerCallback):
    """Reports each saved epoch to Ray Tune."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {}

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the metrics until the checkpoint stands."""
        self._metrics = kwargs["metrics"]

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the metrics with the checkpoint."""
        folder = get_last_checkpoint(args.output_dir)
        tune.report(self._metrics, checkpoint=Checkpoint.from_directory(folder))


def train(config: dict[str, Any], parts: Parts, run_folder: Path) -> None:
    """One trial, from its start or from where its checkpoint stands."""
    trainer = Trainer(
        model=parts.model(),
        args=parts.arguments("trainer", **config),
        callbacks=[Marks(run_folder), Report()],
        **parts.trainer_parts(),
    )
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        trainer.train()
        return
    with checkpoint.as_directory() as folder:
        trainer.train(resume_from_checkpoint=folder)


def main(variant: str, job_folder: Path, run_folder: Path) -> None:
    """Search by one of fifo, asha, pbt."""
    parts = Parts(job_folder)
    job = parts.job
    space = {
        "learning_rate": tune.loguniform(min(job["learning_rates"]), max(job["learning_rates"])),
        "weight_decay": tune.uniform(min(job["weight_decays"]), max(job["weight_decays"])),
    }
    schedulers = {
        "fifo": FIFOScheduler,
        "asha": lambda: ASHAScheduler(
            time_attr="training_iteration",
            max_t=job["epochs"],
            grace_period=1,
            reduction_factor=ASHA_ETA,
        ),
        "pbt": lambda: PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            hyperparam_mutations=dict(space),
        ),
    }
    tuner = Tuner(
        tune.with_resources(
            tune.with_parameters(train, parts=parts, run_folder=run_folder), {"cpu": 1}
        ),
        param_space=space,
        tune_config=TuneConfig(
            metric="eval_accuracy",
            mode="max",
            num_samples=job["trials"],
            scheduler=schedulers[variant](),
        ),
        run_config=RunConfig(
            name="search",
            storage_path=str(run_folder / "ray"),
            checkpoint_config=CheckpointConfig(num_to_keep=4),
            # Else a member that exploits at its end would train on.
            stop={"training_iteration": job["epochs"]} if variant == "pbt" else None,
        ),
    )
    results = tuner.fit()
    if results.errors:
        sys.exit(f"{len(results.errors)} trials failed: {results.errors[0]}")
    print(results.get_best_result().metrics["eval_accuracy"])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
