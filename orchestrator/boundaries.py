"""Stops a Trainer at each boundary of a trial: evaluates, reports, and stands still.

A TrainerCallback; it builds nothing and decides nothing (`trial.py` says when to go on).

The Trainer's own evaluation is off: its `eval_steps` fractions round differently for each batch
size, it adds an evaluation at the end, and a resumed run takes the donor's absolute steps. A
boundary is made where the Trainer logs: `on_step_end` asks for a log line at the boundary's step,
and `on_log` comes after the running loss was reset, so nothing of the interval is still open when
the snapshot is taken, and a resumed trial trains, bit by bit on a CPU, and logs what an
uninterrupted one does. (But for dataloader_persistent_workers: a loader that is kept draws a seed
once, one that is made again draws it again.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from orchestrator import watchdog
from orchestrator.checkpoints import checkpoint_path
from orchestrator.errors import TrialError
from orchestrator.evaluating import TIMINGS, finite
from orchestrator.hyperparameters import ConfiguredTrainer, follows_metric, reapply
from orchestrator.process_group import share_generator
from orchestrator.resuming import Resumed, boundary_step
from orchestrator.segment import Best, BoundaryReport, Segment
from orchestrator.snapshot import RngState, rng_state, set_rng_state
from orchestrator.trial_log import History
from search_spaces import MetricSpec

FIRST_STEP = "first step done"
"""What the trial's log says then: the time before it is what starting cost."""


class Boundaries(TrainerCallback):
    """Makes the boundaries of one segment.

    Args:
        segment: what is trained.
        metric: the study's.
        history: gets every log line.
        stand: called with the report at each boundary, and with None before the first step;
            returns when training is to go on.
        best_checkpoint: gives the folder to load at the natural end; None: there is none.
        resumed: what the checkpoint holds beside the Trainer's own; None from scratch.
        note: takes a sentence for the trial's log.
    """

    def __init__(
        self,
        segment: Segment,
        metric: MetricSpec,
        history: History,
        *,
        stand: Callable[[BoundaryReport | None], None],
        best_checkpoint: Callable[[Best], Path | None],
        resumed: Resumed | None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.trainer: ConfiguredTrainer  # the Trainer is made with its callbacks
        self.best = segment.best
        self.boundary = segment.start
        self.rng: RngState = {}
        self.epoch_rng: RngState = {}
        self._segment = segment
        self._metric = metric
        self._history = history
        self._stand = stand
        self._best_checkpoint = best_checkpoint
        self._resumed = resumed
        self._rng_due: RngState | None = None
        self._note = note
        self._has_stepped = False
        self._metrics: dict[str, Any] | None = None
        self._started = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the last boundary is behind."""
        return self.boundary >= self._segment.boundaries

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The checkpoint is loaded: put the configuration back in force, stand, go on."""
        if self._resumed is not None:
            same_steps = self._resumed.max_steps == state.max_steps
            reapply(self.trainer, state.global_step, same_steps=same_steps)
        self.rng = self.epoch_rng = rng_state()
        self._wait(None)
        # Fewer steps than boundaries: some of those ahead stand at the step already reached.
        self._report_all_here(state, diverged=False)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Samplers draw the epoch's order next: in mid-epoch from where they drew it before."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            in_mid_epoch = state.epoch != int(state.epoch)
            set_rng_state(resumed.epoch_rng if in_mid_epoch else resumed.rng)
            if in_mid_epoch and args.world_size > 1:
                self._rng_due = resumed.rng
        if args.world_size > 1:
            share_generator()
        self.epoch_rng = rng_state()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The batches up to the boundary are skipped: now the generators stand where they stood.

        Of several ranks; alone, the Trainer does it, from its own file.
        """
        rng, self._rng_due = self._rng_due, None
        if rng is not None:
            set_rng_state(rng)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for a log line where the next boundary stands; note when the first step is done."""
        watchdog.progress()
        if not self._has_stepped:
            self._has_stepped = True
            self._note(FIRST_STEP)
        if self._is_due(state):
            control.should_log = True

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A part of an accumulated batch is progress too."""
        watchdog.progress()

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """An evaluated batch is progress."""
        watchdog.progress()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the line; after a training line at a boundary's step make the boundary."""
        if logs is None:
            return
        trains = "loss" in logs
        # A training line holds what its step used, the others hold what has come of it.
        step = state.global_step - 1 if trains else state.global_step
        self._history.add(
            logs,
            boundary=self.boundary,
            step=state.global_step,
            progress=step / state.max_steps,
        )
        if trains and self._is_due(state):
            self._metrics = None
            self._report_all_here(state, diverged=self._has_diverged(logs))

    def _is_due(self, state: TrainerState) -> bool:
        if self.is_over:
            return False
        ahead = boundary_step(self.boundary + 1, self._segment.boundaries, state.max_steps)
        return state.global_step >= ahead

    def _report_all_here(self, state: TrainerState, *, diverged: bool) -> None:
        while self._is_due(state):
            if self._metrics is None:
                self._metrics = self._evaluate()
            self._report(self._metrics, state, diverged=diverged)

    def _evaluate(self) -> dict[str, Any]:
        metrics: dict[str, Any] = self.trainer.evaluate()
        name = self._metric.name
        if name not in metrics:
            raise TrialError("no_metric", _no_such_metric(name, metrics))
        if follows_metric(self.trainer.args):
            self.trainer.lr_scheduler.step(metrics[name])
        return metrics

    def _report(self, metrics: dict[str, Any], state: TrainerState, *, diverged: bool) -> None:
        value = finite(metrics[self._metric.name])
        if diverged or finite(metrics.get("eval_loss", 0.0)) is None:
            value = None
        self.boundary += 1
        is_best = value is not None and self._metric.better(
            value, self.best.value if self.best else None
        )
        if is_best and value is not None:
            path = checkpoint_path(self._segment.trial, self._segment.segment, self.boundary)
            self.best = Best(value=value, boundary=self.boundary, checkpoint=path.as_posix())
        state.best_metric = self.best.value if self.best else None
        state.best_model_checkpoint = self.best.checkpoint if self.best else None
        self._wait(
            BoundaryReport(
                boundary=self.boundary,
                metrics={
                    name: finite(number)
                    for name, number in metrics.items()
                    if name.startswith("eval_") and not name.endswith(TIMINGS)
                },
                value=value,
                is_best=is_best,
                epoch=float(state.epoch),
                step=state.global_step,
                seconds=time.monotonic() - self._started,
                last=self.is_over,
            )
        )
        if self.is_over:
            best = self._best_checkpoint(self.best) if self.best else None
            state.best_model_checkpoint = None if best is None else str(best)

    def _wait(self, report: BoundaryReport | None) -> None:
        self.rng = rng_state()
        self._stand(report)
        # Whoever else drew a number in this process meanwhile leaves no trace in the training.
        set_rng_state(self.rng)
        if report is not None:
            self._started = time.monotonic()

    def _has_diverged(self, logs: Mapping[str, Any]) -> bool:
        """Whether the last step shows it: NaN is filtered from the loss, not from the norm."""
        if self.trainer.accelerator.optimizer_step_was_skipped:
            return False  # loss scaling looks for its scale by overflowing
        return finite(logs["loss"]) is None or finite(logs.get("grad_norm", 0.0)) is None


def _no_such_metric(name: str, metrics: Mapping[str, Any]) -> str:
    there = [m for m in metrics if m.startswith("eval_") and not m.endswith(TIMINGS)]
    return (
        f"metric: the evaluation must compute the study's metric, but there is no {name}; "
        f"there are {', '.join(sorted(there))}"
    )
