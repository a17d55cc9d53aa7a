"""How many trials fit on one GPU: a few steps of the largest configuration, measured on it.

Starts neither Ray nor a study. Each model that is searched trains in a process of its own, so that
its peak is its own: the rows that are longest, in the largest batch that the space has, two steps
and an evaluation, with the optimizer's state. What CUDA takes for a process counts too. Anything
else that uses the GPU meanwhile counts as well, so it should be idle.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import StudyError, TrialError, Unfit
from orchestrator.events import Config
from orchestrator.segment import Segment
from orchestrator.tasks.configs import task_configs
from search_spaces import Choice, SweepSpec, TaskSpec

STEPS = 2
SHARE = 0.9
"""Of a GPU's memory that trials may fill: allocators fragment, and rows differ."""

_BATCHES = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "effective_batch_size",
)
_ONE_EPOCH = {"num_train_epochs": 1, "eval_strategy": "epoch", "save_strategy": "epoch"}
_LEFT_OUT = ("population", "early_terminate", "budget", "finalists", "warm_start")


@dataclass(frozen=True)
class Fit:
    """What one trial took at its peak.

    Attributes:
        peak_bytes: of the GPU's memory, CUDA's own part included.
        total_bytes: that the GPU has.
        gpu: its name.
        config: what was trained.
    """

    peak_bytes: int
    total_bytes: int
    gpu: str
    config: Config

    @property
    def trials(self) -> int:
        """How many fit side by side; 0 when one alone fills more than `SHARE`."""
        return int(SHARE * self.total_bytes / self.peak_bytes)

    @property
    def share(self) -> float:
        """What `resources.gpus_per_worker` would be; 1 when no two fit."""
        return 1.0 if self.trials < 2 else int(100 / self.trials) / 100


def largest_configs(spec: SweepSpec) -> Iterator[Config]:
    """For each model or data that is searched, the configuration with the largest batches."""
    for config in task_configs(spec):
        for name in _BATCHES:
            if name in spec.space:
                domain = spec.space[name]
                values = domain.ladder if isinstance(domain, Choice) else [domain.clip(2**31)]
                config[name] = max(values)
        if "num_train_epochs" in config:
            config["num_train_epochs"] = 1
        yield config


def measure(spec: SweepSpec, cache: Path) -> Fit:
    """Train on this machine's first visible GPU and tell what the largest trial took.

    Args:
        spec: the sweep.
        cache: where prepared data is kept.

    Raises:
        Unfit: there is no GPU here, or a trial is trained by several workers.
        StudyError: it cannot be trained; memory that is not enough is said so.
    """
    if spec.resources.workers > 1:
        raise Unfit(
            f"resources.workers is {spec.resources.workers}: a GPU is shared by trials of one"
            " worker only.",
            mend="leave --memory out.",
        )
    fits = [_in_a_process(spec, config, cache) for config in largest_configs(spec)]
    return max(fits, key=lambda fit: fit.peak_bytes)


def _in_a_process(spec: SweepSpec, config: Config, cache: Path) -> Fit:
    asked = {"spec": spec.model_dump(mode="json"), "config": config, "cache": str(cache.resolve())}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.packing"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StudyError(
            f"the largest configuration could not be trained: {last}",
            mend="`sweep run FILE --smoke` shows whether anything can be trained here.",
        )
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if told["gpu"] is None:
        raise Unfit(
            "--memory measures on a GPU, and torch finds none here.",
            mend="run it on a machine like those that will train; trials on CPUs share the"
            " machine's memory.",
        )
    if told["peak_bytes"] is None:
        raise StudyError(
            f"the largest configuration does not fit on a {told['gpu']}: {told['message']}",
            mend="smaller batches, failures.on_oom: halve_batch, or gradient_checkpointing.",
        )
    return Fit(told["peak_bytes"], told["total_bytes"], told["gpu"], config)


class Longest:
    """A task of whose rows only the longest are there."""

    def __init__(self, task: Any, train_rows: int, eval_rows: int) -> None:
        self._task = task
        self._train_rows = train_rows
        self._eval_rows = eval_rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    @property
    def train_dataset(self) -> Any:
        """The longest rows of the train split."""
        return _longest(self._task.train_dataset, self._train_rows)

    @property
    def eval_dataset(self) -> Any:
        """The longest rows of the validation split."""
        return _longest(self._task.eval_dataset, self._eval_rows)


def _longest(rows: Any, count: int) -> Any:
    from torch.utils.data import Subset

    if "input_ids" not in getattr(rows, "column_names", ()):  # a person's own: the first ones
        return Subset(rows, range(min(count, len(rows))))
    lengths = [len(ids) for ids in rows["input_ids"]]
    order = sorted(range(len(rows)), key=lengths.__getitem__, reverse=True)
    return rows.select(order[:count])


def train_steps(spec: SweepSpec, config: Config, cache: Path) -> None:
    """Train `STEPS` steps of a configuration, and evaluate as many batches.

    Raises:
        TaskError: the data or the model cannot be used.
        TrialError: training failed.
    """
    from orchestrator.tasks import make_task
    from orchestrator.trial import Rank

    short = _of_one_epoch(spec)
    batch, accumulation = short.batch_for(config)
    evaluated = int(short.setting(config, "per_device_eval_batch_size") or batch)

    def longest(task: TaskSpec, folder: Path, seed: int) -> Any:
        made = make_task(task, folder, seed)
        return Longest(made, STEPS * batch * accumulation, STEPS * evaluated)

    with tempfile.TemporaryDirectory(prefix="sweep-memory-") as study:
        rank = Rank(short, Path(study), cache, make_task=longest)
        try:
            rank.prepare()
            rank.begin(Segment(trial="0000", segment=0, config=config, boundaries=1))
            rank.advance()
            rank.stop()
        finally:
            rank.close()


def _of_one_epoch(spec: SweepSpec) -> SweepSpec:
    data = spec.model_dump(mode="json")
    given = data["training_arguments"].items()
    kept = {name: value for name, value in given if name not in ("eval_steps", "save_steps")}
    data |= {"method": "random", "run_cap": 1, "training_arguments": {**kept, **_ONE_EPOCH}}
    return SweepSpec.model_validate({k: v for k, v in data.items() if k not in _LEFT_OUT})


def main() -> None:
    """Read what to train from stdin, train it, print what it took."""
    import torch

    asked = json.load(sys.stdin)
    if not torch.cuda.is_available():
        print(json.dumps({"gpu": None}))
        return
    told: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "peak_bytes": None}
    try:
        train_steps(SweepSpec.model_validate(asked["spec"]), asked["config"], Path(asked["cache"]))
    except TrialError as error:
        if error.kind != "out_of_memory":
            raise
        told["message"] = error.message
    else:
        free, total = torch.cuda.mem_get_info()
        beside = total - free - torch.cuda.memory_reserved()
        told |= {
            "peak_bytes": torch.cuda.max_memory_reserved() + beside,
            "total_bytes": total,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
