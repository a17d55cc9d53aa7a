"""One trial of Syne Tune: a training script with the hyperparameters as arguments."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from syne_tune import Reporter
from transformers import Trainer, TrainerCallback

from benchmarks.trials.marks import Marks
from benchmarks.trials.peers.parts import Parts


class Report(TrainerCallback):
    """Reports each epoch to Syne Tune."""

    def __init__(self) -> None:
        self._report = Reporter()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Print the epoch and its accuracy as Syne Tune reads them."""
        accuracy = kwargs["metrics"]["eval_accuracy"]
        self._report(epoch=round(state.epoch), accuracy=accuracy)


def main() -> None:
    """Train one configuration."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float, required=True)
    parser.add_argument("--weight_decay", type=float, required=True)
    parser.add_argument("--job_folder", type=Path, required=True)
    parser.add_argument("--run_folder", type=Path, required=True)
    parser.add_argument("--st_checkpoint_dir", type=Path, required=True)
    options, _ = parser.parse_known_args()
    torch.set_num_threads(1)  # one core a slot; the backend does not see to it
    parts = Parts(options.job_folder)
    trainer = Trainer(
        model=parts.model(),
        args=parts.arguments(
            options.st_checkpoint_dir,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
        ),
        callbacks=[Marks(options.run_folder), Report()],
        **parts.trainer_parts(),
    )
    trainer.train()


if __name__ == "__main__":
    main()
