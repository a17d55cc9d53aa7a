"""The thread in which a rank trains: builds the Trainer and runs it from stand to stand.

It evaluates checkpoints too (`evaluating.py`): torch's pools and the model at hand are its.

Says nothing of when to go on; it is given orders and gives answers (`trial.py`).

It is one thread for all trials of a process, because `train()` is one call that lasts as long as
the trial, and because torch keeps thread counts and thread pools by thread. At a boundary the
thread waits inside the Trainer's callback. A trial is left early by our own BaseException out of
`train()`: stopping by `should_training_stop` would run the Trainer's final logging, its loading
of the best model and its cleaning of folders.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.trainer_callback import PrinterCallback

from orchestrator.boundaries import Boundaries
from orchestrator.errors import TrialError
from orchestrator.evaluating import evaluate
from orchestrator.hyperparameters import ConfiguredTrainer, training_arguments
from orchestrator.resuming import make_start_folder, read_checkpoint, remove_old_starts, start_name
from orchestrator.segment import Best, BoundaryReport, Evaluation, EvaluationReport, Segment
from orchestrator.tasks import Task
from orchestrator.trial_failures import device_is_lost, trial_error
from orchestrator.trial_log import (
    HISTORY,
    LOG,
    Capture,
    History,
    LogLine,
    TrialLog,
    quieten_libraries,
)
from orchestrator.warm_model import WarmModel
from orchestrator.warm_tasks import WarmTasks
from search_spaces import SweepSpec

GO, LEAVE, END = "go", "leave", "end"
"""Orders beside a Segment to begin and an Evaluation: go on, leave the trial, end the thread."""


@dataclass(frozen=True)
class Standing:
    """Training stands: at a boundary with its report, or before a segment's first step."""

    report: BoundaryReport | None


@dataclass(frozen=True)
class Ended:
    """The segment was left or came to its end; `failure` says if it failed.

    Or an evaluation is over: `measured`, unless it failed.
    """

    failure: TrialError | None = None
    measured: EvaluationReport | None = None


@dataclass(frozen=True)
class Running:
    """What trains now."""

    segment: Segment
    trainer: ConfiguredTrainer
    boundaries: Boundaries
    task: Task


class _Left(BaseException):
    """Leaves `train()`; no `except Exception` on the way may swallow it."""


class TrainingThread:
    """Trains one segment after another.

    Args:
        spec: the sweep.
        study_folder: trials live in its `trials/`.
        tasks: gives tasks.
        log_line: is given the trial's id and every line of its history.
        best_checkpoint: see `Rank`.
        rank: rank 0 writes the history; the others only a log of their own.
        world_size: how many ranks share a trial.

    Attributes:
        running: what trains; None between trials.
        usable: see `Rank`.
    """

    def __init__(
        self,
        spec: SweepSpec,
        study_folder: Path,
        tasks: WarmTasks,
        *,
        log_line: LogLine | None,
        best_checkpoint: Callable[[Best], Path | None],
        rank: int,
        world_size: int,
    ) -> None:
        self.running: Running | None = None
        self.usable = True
        self._spec = spec
        self._study_folder = study_folder
        self._tasks = tasks
        self._log_line = log_line
        self._best_checkpoint = best_checkpoint
        self._world_size = world_size
        self._rank = rank
        self._start: Path | None = None
        self._is_sharded = False
        self._log_name = LOG if rank == 0 else f"rank-{rank}/{LOG}"
        self._history_name = HISTORY if rank == 0 else os.devnull
        self._model = WarmModel()
        self._orders: queue.SimpleQueue[Segment | Evaluation | str] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Standing | Ended] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="training", daemon=True)
        self._thread.start()

    def ask(self, order: Segment | Evaluation | str) -> Standing | Ended:
        """Give an order and wait for what comes of it."""
        self._orders.put(order)
        return self._answers.get()

    def end(self) -> None:
        """End the thread; nothing may be training."""
        self._orders.put(END)
        self._thread.join()

    def _serve(self) -> None:
        torch.set_num_threads(max(1, int(self._spec.resources.cpus_per_worker)))
        quieten_libraries()
        # Everything imported so far stays: without this each collection of the few objects of
        # a trial (the Trainer asks for one in every train()) walks all of it, 0.2 s a time.
        gc.freeze()
        while (order := self._orders.get()) is not END:
            if isinstance(order, Segment):
                failure = self._run(order)
                self._answers.put(Ended(self._collected() or failure))
            elif isinstance(order, Evaluation):
                ended = self._evaluate(order)
                self._answers.put(Ended(self._collected() or ended.failure, ended.measured))

    def _run(self, segment: Segment) -> TrialError | None:
        """Train a segment until it is left or ends; what went wrong comes back as a value."""
        folder = self._study_folder / "trials" / segment.trial
        log = None
        try:
            with contextlib.ExitStack() as exits:
                log = self._open_log(folder)
                exits.callback(Capture(log).close)
                exits.callback(self._let_go)
                log.note(
                    f"segment {segment.segment} from boundary {segment.start}: {segment.config}"
                )
                if self._world_size > 1:
                    log.note(f"rank {self._rank} of {self._world_size}, process {os.getpid()}")
                history = History(folder / self._history_name, segment, self._log_line)
                with contextlib.closing(history), _traceback_in(log):
                    self._train(segment, folder, history, log)
        except _Left:
            return None
        except BaseException as error:  # one trial's error, whatever it is, ends that trial only
            self.usable = self.usable and not device_is_lost(error)
            self._model.forget()  # whatever state it is in
            return trial_error(error, log.tail() if log else "", self._study_folder)
        return None

    def _evaluate(self, evaluation: Evaluation) -> Ended:
        """Evaluate a checkpoint; nothing may be training."""
        started = time.monotonic()
        folder = self._study_folder / "trials" / evaluation.trial
        log = None
        try:
            with contextlib.ExitStack() as exits:
                log = self._open_log(folder)
                exits.callback(Capture(log).close)
                exits.callback(self._let_go)
                log.note(f"boundary {evaluation.boundary} on the {evaluation.split} split")
                exits.enter_context(_traceback_in(log))
                spec, config = self._spec, evaluation.config
                task = self._tasks.take(spec.task_for(config))
                arguments = training_arguments(
                    spec, config, folder, self._world_size, evaluation.batch_at_most
                )
                self._is_sharded = bool(arguments.fsdp)
                seed = arguments.seed
                measured = evaluate(
                    evaluation,
                    task=task,
                    model=self._model.take(
                        (task.model_key, seed), lambda: task.build_model(seed), weights=False
                    ),
                    arguments=arguments,
                    metric=spec.metric,
                    study_folder=self._study_folder,
                    started=started,
                )
        except BaseException as error:  # it ends the evaluation only
            self.usable = self.usable and not device_is_lost(error)
            self._model.forget()
            return Ended(trial_error(error, log.tail() if log else "", self._study_folder))
        return Ended(measured=measured)

    def _train(self, segment: Segment, folder: Path, history: History, log: TrialLog) -> None:
        spec = self._spec
        task = self._tasks.take(spec.task_for(segment.config))
        arguments = training_arguments(
            spec, segment.config, folder, self._world_size, segment.batch_at_most, segment.seed
        )
        self._is_sharded = bool(arguments.fsdp)
        if arguments.n_gpu > 1:
            raise TrialError(
                "code",
                f"a process must see one GPU at most, but sees {arguments.n_gpu}: the Trainer "
                "would split each batch over them; set CUDA_VISIBLE_DEVICES",
            )
        seed = arguments.seed
        model = self._model.take(
            (task.model_key, seed),
            lambda: task.build_model(seed),
            weights=segment.checkpoint is None,
        )
        checkpoint = None if segment.checkpoint is None else self._study_folder / segment.checkpoint
        boundaries = Boundaries(
            segment,
            spec.metric,
            history,
            stand=self._stand,
            best_checkpoint=self._best_checkpoint,
            resumed=None if checkpoint is None else read_checkpoint(checkpoint, self._rank),
            note=log.note,
        )
        trainer = ConfiguredTrainer(
            model=model,
            args=arguments,
            data_collator=task.collator,
            train_dataset=task.train_dataset,
            eval_dataset=task.eval_dataset,
            processing_class=task.tokenizer,
            compute_metrics=task.compute_metrics,
            callbacks=[boundaries],
        )
        trainer.remove_callback(PrinterCallback)
        if not spec.task.is_own_file:
            # Classifiers take the count of rows that the Trainer hands them and ignore it; it
            # believes them, and an accumulated step gets the sum of its passes' means. Without
            # the count it divides: a step is the mean over its rows, however they are split.
            trainer.model_accepts_loss_kwargs = False
        boundaries.trainer = trainer
        self.running = Running(segment, trainer, boundaries, task)
        start = None
        if checkpoint is not None:
            remove_old_starts(folder, segment)
            self._start = folder / start_name(segment, self._rank)
            start = str(make_start_folder(checkpoint, self._start, trainer, segment))
        trainer.train(resume_from_checkpoint=start)

    def _stand(self, report: BoundaryReport | None) -> None:
        self._answers.put(Standing(report))
        if self._orders.get() is not GO:
            raise _Left

    def _let_go(self) -> None:
        """Let go of what the trial held: optimizer and gradients are as large as the model."""
        if self.running is not None:
            # Without the circle the Trainer is freed at once and in order; processes that load
            # data and are freed by the collector are waited for in vain, 5 s each.
            del self.running.boundaries.trainer
        self.running = None
        if self._is_sharded:
            self._model.forget()  # its tensors are parts now
            os.environ.pop("ACCELERATE_USE_FSDP", None)  # else every later trial is sharded
        else:
            self._model.release()
        self._is_sharded = False
        if self._start is not None:
            shutil.rmtree(self._start, ignore_errors=True)
        self._start = None

    def _open_log(self, folder: Path) -> TrialLog:
        file = folder / self._log_name
        file.parent.mkdir(parents=True, exist_ok=True)
        return TrialLog(file)

    def _collected(self) -> TrialError | None:
        """Collect what the libraries left in circles."""
        gc.collect()
        try:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        except RuntimeError as error:
            self.usable = False
            return trial_error(error, "")
        return None


@contextlib.contextmanager
def _traceback_in(log: TrialLog) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.write(traceback.format_exc())
        raise
