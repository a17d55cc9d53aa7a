"""`Trainer.hyperparameter_search`, as the Transformers documentation shows it.

    python -m benchmarks.trials.peers.hf_search optuna|ray|ray_pbt JOB_FOLDER RUN_FOLDER

Optuna trains one trial after the other in this process; Ray one in an actor of one CPU each. With
PBT the call is the one of Ray's own example for Transformers (`pbt_transformers.py`), but that four
checkpoints of a trial are kept, as in Ray's guide to PBT, and not one: with one a donor's may be
deleted before it is copied, and the search fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from transformers import Trainer

from benchmarks.trials.marks import Marks
from benchmarks.trials.peers.parts import Parts


def main(variant: str, job_folder: Path, run_folder: Path) -> None:
    """Search by one of optuna, ray, ray_pbt."""
    parts = Parts(job_folder)
    trainer = Trainer(
        model_init=lambda trial=None: parts.model(),
        args=parts.arguments(run_folder / "trainer"),
        callbacks=[Marks(run_folder)],
        **parts.trainer_parts(),
    )
    job = parts.job
    settings: dict[str, Any] = {
        "direction": "maximize",
        "n_trials": job["trials"],
        "compute_objective": _objective,
    }
    rates = min(job["learning_rates"]), max(job["learning_rates"])
    decays = min(job["weight_decays"]), max(job["weight_decays"])
    if variant == "optuna":
        best = trainer.hyperparameter_search(
            backend="optuna",
            hp_space=lambda trial: {
                "learning_rate": trial.suggest_float("learning_rate", *rates, log=True),
                "weight_decay": trial.suggest_float("weight_decay", *decays),
            },
            **settings,
        )
    else:
        best = _by_ray(trainer, variant, rates, decays, run_folder, settings)
    print(best.run_id, best.objective)


def _by_ray(
    trainer: Trainer,
    variant: str,
    rates: tuple[float, float],
    decays: tuple[float, float],
    run_folder: Path,
    settings: dict[str, Any],
) -> Any:
    from ray import tune
    from ray.tune import CheckpointConfig
    from ray.tune.schedulers import PopulationBasedTraining

    space = {
        "learning_rate": tune.loguniform(*rates),
        "weight_decay": tune.uniform(*decays),
    }
    if variant == "ray_pbt":
        settings["scheduler"] = PopulationBasedTraining(
            time_attr="training_iteration",
            metric="objective",
            mode="max",
            perturbation_interval=1,
            hyperparam_mutations=space,
        )
        settings["checkpoint_config"] = CheckpointConfig(
            num_to_keep=4, checkpoint_score_attribute="training_iteration"
        )
    return trainer.hyperparameter_search(
        backend="ray",
        hp_space=lambda trial: dict(space),
        resources_per_trial={"cpu": 1},
        storage_path=str(run_folder / "ray"),
        name="search",
        **settings,
    )


def _objective(metrics: dict[str, float]) -> float:
    return metrics["eval_accuracy"]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
