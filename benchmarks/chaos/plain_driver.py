"""`python -m benchmarks.chaos.plain_driver PLAN`: the same work by plain Ray Tune.

A function trainable with checkpoints and `Tuner.restore`, as Ray Tune's documentation shows them;
nothing of the orchestrator. PLAN is JSON. A line for every boundary trained goes to a file beside
the experiment, so that what was trained twice can be counted.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune


def train(config: dict[str, Any]) -> None:
    """Sleep, report, checkpoint; go on from a checkpoint if there is one."""
    start = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            start = json.loads((Path(folder) / "state.json").read_text())["boundary"]
    if config["wandb"]:
        import wandb

        wandb.init(project="proj", name=str(config["number"]), reinit=True)
    for boundary in range(start + 1, config["boundaries"] + 1):
        time.sleep(config["seconds"])
        with open(config["log"], "a") as log:
            log.write(json.dumps([config["number"], boundary]) + "\n")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "state.json").write_text(json.dumps({"boundary": boundary}))
            (Path(folder) / "ballast.bin").write_bytes(b"\0" * config["ballast"])
            tune.report(
                {"eval_loss": 1.0 / boundary, "boundary": boundary},
                checkpoint=tune.Checkpoint.from_directory(folder),
            )
    if config["wandb"]:
        import wandb

        wandb.finish()


def main() -> None:
    """Run or restore; print how the trials stand, as JSON."""
    plan = json.loads(sys.argv[1])
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
    storage = Path(plan["storage"])
    if plan.get("restore"):
        tuner = tune.Tuner.restore(
            str(storage / plan["name"]),
            trainable=train,
            resume_unfinished=True,
            resume_errored=True,
        )
    else:
        space = {
            "number": tune.grid_search(list(range(plan["trials"]))),
            "boundaries": plan["boundaries"],
            "seconds": plan["seconds"],
            "ballast": plan.get("ballast", 0),
            "wandb": plan.get("wandb", False),
            "log": plan["log"],
        }
        tuner = tune.Tuner(
            train,
            param_space=space,
            tune_config=tune.TuneConfig(metric="eval_loss", mode="min", max_concurrent_trials=2),
            run_config=tune.RunConfig(
                name=plan["name"],
                storage_path=str(storage),
                failure_config=tune.FailureConfig(max_failures=2),
                verbose=0,
            ),
        )
    results = tuner.fit()
    done = [
        result.metrics.get("boundary", 0) if result.metrics else 0
        for result in results  # one a trial
    ]
    print("RESULT " + json.dumps({"trials": len(results), "at": done,
                                  "errors": len(results.errors)}))  # fmt: skip


if __name__ == "__main__":
    main()
