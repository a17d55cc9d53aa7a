"""One trial on one rank: builds the Trainer and runs it from boundary to boundary.

It runs without Ray and decides nothing: a worker says what to begin and when to go on. Writing
checkpoints is the worker's too; a rank only takes snapshots.

Training runs in one thread of the process for all trials, because `train()` is one call that
lasts as long as the trial, and because torch keeps thread counts and thread pools by thread. At
a boundary the thread waits inside the callback. A trial is left early by our own BaseException
out of `train()`: stopping by `should_training_stop` would run the Trainer's final logging, its
loading of the best model and its cleaning of folders.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import shutil
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers.trainer_callback import PrinterCallback

from orchestrator.boundaries import Boundaries
from orchestrator.checkpoints import is_committed
from orchestrator.errors import TrialError
from orchestrator.host_memory import HostMemory
from orchestrator.hyperparameters import ConfiguredTrainer, training_arguments
from orchestrator.resuming import make_start_folder, read_checkpoint
from orchestrator.segment import Best, BoundaryReport, Segment
from orchestrator.snapshot import Snapshot, take_snapshot, tokenizer_files
from orchestrator.tasks import Task, make_task
from orchestrator.trial_failures import device_is_lost, trial_error
from orchestrator.trial_log import Capture, History, LogLine, TrialLog, quieten_libraries
from orchestrator.warm_model import WarmModel
from search_spaces import SweepSpec, TaskSpec

_TASKS_KEPT = 8
_START = "start"


class _Left(BaseException):
    """Leaves `train()`; no `except Exception` on the way may swallow it."""


@dataclass(frozen=True)
class _Standing:
    report: BoundaryReport | None


@dataclass(frozen=True)
class _Ended:
    failure: TrialError | None = None


_GO, _LEAVE, _END = "go", "leave", "end"


class Rank:
    """One process of a worker, warm from one trial to the next.

    Every method is called from one thread, and none while another one runs.

    Args:
        spec: the sweep.
        study_folder: trials live in its `trials/`.
        cache: folder for what can be made again, shared by the node's processes.
        log_line: is given the trial's id and every line of its history.
        rank: this process's place among those that share a trial; rank 0 writes and reports.
        world_size: how many those are.
        make_task: gives the task of a TaskSpec.

    Attributes:
        best_checkpoint: asked at a trial's natural end for the folder of its lineage's best
            checkpoint, which `load_best_model_at_end` then loads; every commit must be done by
            then. None: there is none.
    """

    def __init__(
        self,
        spec: SweepSpec,
        study_folder: Path,
        cache: Path,
        *,
        log_line: LogLine | None = None,
        rank: int = 0,
        world_size: int = 1,
        make_task: Callable[[TaskSpec, Path, int], Task] = make_task,
    ) -> None:
        self._spec = spec
        self._study_folder = study_folder
        self._cache = cache
        self._log_line = log_line
        self._rank = rank
        self._world_size = world_size
        self._make_task = make_task
        self.best_checkpoint: Callable[[Best], Path | None] = self._committed
        self._orders: queue.SimpleQueue[Segment | str] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Standing | _Ended] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._tokenizers: dict[str, dict[str, bytes]] = {}
        self._model = WarmModel()
        self._memory = HostMemory()
        self._running: _Running | None = None
        self._usable = True

    @property
    def usable(self) -> bool:
        """Whether this process can train another trial; False after an error of the device."""
        return self._usable

    def begin(self, segment: Segment) -> None:
        """Leave what trained before, build this segment, and stand before its first step.

        Raises:
            TrialError: it cannot be built; the rank is free.
        """
        self.stop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="training", daemon=True)
            self._thread.start()
        self._orders.put(segment)
        self._standing()

    def advance(self) -> BoundaryReport:
        """Train up to the next boundary, evaluate, and stand there.

        Raises:
            TrialError: the trial failed; the rank is free.
            RuntimeError: nothing was begun, or the trial's last boundary is behind.
        """
        if self._running is None or self._running.boundaries.is_over:
            raise RuntimeError("there is no boundary ahead: begin a segment first")
        self._orders.put(_GO)
        report = self._standing().report
        if report is None:
            raise RuntimeError("training stood before its first step twice")
        return report

    def snapshot(self) -> Snapshot:
        """Copy to host memory what is needed to go on from the boundary where the trial stands.

        Raises:
            RuntimeError: nothing is training.
        """
        running = self._running
        if running is None:
            raise RuntimeError("there is nothing to take a snapshot of: begin a segment first")
        segment, boundaries, trainer = running.segment, running.boundaries, running.trainer
        best = boundaries.best
        return take_snapshot(
            trainer,
            rng=boundaries.rng,
            epoch_rng=boundaries.epoch_rng,
            state={
                "trial": segment.trial,
                "segment": segment.segment,
                "boundary": boundaries.boundary,
                "boundaries": segment.boundaries,
                "progress": boundaries.boundary / segment.boundaries,
                "step": trainer.state.global_step,
                "max_steps": trainer.state.max_steps,
                "config": segment.config,
                "best": None if best is None else asdict(best),
            },
            files=self._tokenizer_files(running.task_key, running.task),
            memory=self._memory,
        )

    def stop(self) -> None:
        """Leave the trial and free it; without one, nothing happens.

        A trial at its last boundary comes to its natural end: the Trainer's closing line, and
        its loading of the best model. An error there is written to the trial's log only: all
        that counts of the trial is reported by then.
        """
        if self._running is None:
            return
        # No name here for what is running: a reference would keep its memory.
        self._orders.put(_GO if self._running.boundaries.is_over else _LEAVE)
        while not isinstance(self._answers.get(), _Ended):
            self._orders.put(_LEAVE)
        self._running = None

    def close(self) -> None:
        """Stop, and end the training thread."""
        self.stop()
        if self._thread is not None:
            self._orders.put(_END)
            self._thread.join()
            self._thread = None

    def _standing(self) -> _Standing:
        answer = self._answers.get()
        if isinstance(answer, _Standing):
            return answer
        self._running = None
        raise answer.failure or TrialError("code", "training ended before its last boundary")

    def _committed(self, best: Best) -> Path | None:
        folder = self._study_folder / best.checkpoint
        return folder if is_committed(folder) else None

    # In the training thread ---------------------------------------------------------------

    def _serve(self) -> None:
        torch.set_num_threads(max(1, int(self._spec.resources.cpus_per_worker)))
        quieten_libraries()
        # Everything imported so far stays: without this each collection of the few objects of
        # a trial (the Trainer asks for one in every train()) walks all of it, 0.2 s a time.
        gc.freeze()
        while (order := self._orders.get()) is not _END:
            if isinstance(order, Segment):
                failure = self._run(order)
                gc.collect()  # a Trainer and its callbacks refer to each other
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
                self._answers.put(_Ended(failure))

    def _run(self, segment: Segment) -> TrialError | None:
        """Train a segment until it is left or ends; what went wrong comes back as a value."""
        folder = self._study_folder / "trials" / segment.trial
        log = None
        try:
            with contextlib.ExitStack() as exits:
                folder.mkdir(parents=True, exist_ok=True)
                log = TrialLog(folder)
                exits.callback(Capture(log).close)
                exits.callback(self._free, folder)
                log.note(
                    f"segment {segment.segment} from boundary {segment.start}: {segment.config}"
                )
                with (
                    contextlib.closing(
                        History(folder, segment.trial, segment.segment, self._log_line)
                    ) as history,
                    _traceback_in(log),
                ):
                    self._train(segment, folder, history)
        except _Left:
            return None
        except BaseException as error:  # one trial's error, whatever it is, ends that trial only
            self._usable = self._usable and not device_is_lost(error)
            return trial_error(error, log.tail() if log else "")
        return None

    def _train(self, segment: Segment, folder: Path, history: History) -> None:
        spec = self._spec
        task_key, task = self._task(segment)
        arguments = training_arguments(spec, segment.config, folder, self._world_size)
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
        resumed = None if checkpoint is None else read_checkpoint(checkpoint)
        boundaries = Boundaries(
            segment,
            spec.metric,
            history,
            stand=self._stand,
            best_checkpoint=self.best_checkpoint,
            resumed=resumed,
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
        boundaries.trainer = trainer
        self._running = _Running(segment, trainer, boundaries, task_key, task)
        start = None
        if checkpoint is not None:
            start = str(make_start_folder(checkpoint, folder / _START, trainer, segment))
        trainer.train(resume_from_checkpoint=start)

    def _stand(self, report: BoundaryReport | None) -> None:
        self._answers.put(_Standing(report))
        if self._orders.get() is not _GO:
            raise _Left

    def _task(self, segment: Segment) -> tuple[str, Task]:
        task_spec = self._spec.task_for(segment.config)
        key = task_spec.model_dump_json()
        task = self._tasks.get(key)
        if task is None:
            task = self._make_task(task_spec, self._cache, self._spec.seed)
            task.prepare()
            self._tasks[key] = task
            if len(self._tasks) > _TASKS_KEPT:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(key)
        return key, task

    def _tokenizer_files(self, key: str, task: Task) -> dict[str, bytes]:
        if key not in self._tokenizers:
            self._tokenizers = {key: tokenizer_files(task.tokenizer)}
        return self._tokenizers[key]

    def _free(self, folder: Path) -> None:
        """Free what the trial held: optimizer state and gradients are as large as the model."""
        running, self._running = self._running, None
        shutil.rmtree(folder / _START, ignore_errors=True)
        if running is None:
            return
        if running.trainer.optimizer is not None:
            running.trainer.optimizer.state.clear()
        self._model.release()


@contextlib.contextmanager
def _traceback_in(log: TrialLog) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.write(traceback.format_exc())
        raise


@dataclass(frozen=True)
class _Running:
    segment: Segment
    trainer: ConfiguredTrainer
    boundaries: Boundaries
    task_key: str
    task: Task
