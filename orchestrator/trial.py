"""One trial on one rank, as a worker sees it: begin, advance, snapshot, stop; and evaluate.

It runs without Ray and decides nothing: a worker says what to begin and when to go on. Writing
checkpoints is the worker's too; a rank only takes snapshots. Training itself goes on in a thread
(`training.py`) and stands still whenever no method of the rank is being called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from orchestrator.checkpoints import CheckpointError, is_committed, verify
from orchestrator.errors import TrialError
from orchestrator.host_memory import HostMemory
from orchestrator.manifest import CheckpointUnreadable
from orchestrator.process_group import gathered
from orchestrator.segment import (
    Best,
    BoundaryReport,
    Evaluation,
    EvaluationReport,
    Readiness,
    Segment,
)
from orchestrator.sharded import whole_state
from orchestrator.snapshot import Generators, Snapshot, take_snapshot
from orchestrator.tasks import Prepared, Task, TaskError, make_task
from orchestrator.tasks.configs import task_configs
from orchestrator.training import GO, LEAVE, Ended, Standing, TrainingThread
from orchestrator.trial_log import LogLine
from orchestrator.warm_tasks import WarmTasks
from search_spaces import SweepError, SweepSpec, TaskSpec


class Rank:
    """One process of a worker, warm from one trial to the next.

    Of several that share a trial each gets the same calls at once (`ranks.py`).

    Every method is called from one thread, or at least none while another one runs.

    Args:
        spec: the sweep.
        study_folder: trials live in its `trials/`.
        cache: folder for what can be made again, shared by the node's processes.
        log_line: is given the trial's id and every line of its history.
        rank: this process's place among those that share a trial; rank 0 writes the history.
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
        self.best_checkpoint: Callable[[Best], Path | None] = self._committed
        self._spec = spec
        self._study_folder = study_folder
        self._rank = rank
        self._world_size = world_size
        self._tasks = WarmTasks(make_task, cache, spec.seed)
        self._memory = HostMemory()
        self._training = TrainingThread(
            spec,
            study_folder,
            self._tasks,
            log_line=log_line,
            best_checkpoint=lambda best: self.best_checkpoint(best),
            rank=rank,
            world_size=world_size,
        )

    @property
    def usable(self) -> bool:
        """Whether this process can train another trial; False after an error of the device."""
        return self._training.usable

    def prepare(self) -> Readiness:
        """Fetch, check and tokenise all that the trials will need, or find it done.

        Raises:
            TaskError: what cannot be used, and how to mend it.
        """
        tasks = [self._spec.task_for(config) for config in task_configs(self._spec)]
        prepared = [self._prepared(task) for task in tasks]
        notes = dict.fromkeys(note for task in prepared for note in task.notes)
        return Readiness(
            rows=prepared[0].rows["train"],
            parameters=max(task.parameters for task in prepared),
            smallest_parameters=min(task.parameters for task in prepared),
            notes=list(notes),
            test_rows=self._test_rows(prepared[0]),
        )

    def _test_rows(self, prepared: Prepared) -> int:
        """Rows of the test split; of a task from a person's own file, which need not count them."""
        counted = prepared.rows.get("test", 0)
        if counted or not self._spec.task.is_own_file:
            return counted
        config = next(task_configs(self._spec))
        rows = self._tasks.take(self._spec.task_for(config)).test_dataset
        return 0 if rows is None else len(rows)

    def _prepared(self, task: TaskSpec) -> Prepared:
        try:
            return self._tasks.take(task).prepare()
        except SweepError:
            raise
        except Exception as error:
            if not task.is_own_file:
                raise
            raise TaskError(
                f"task.type: preparing {task.type} raised {type(error).__name__}: {error}",
                mend="mend the file; it is run as it stands.",
            ) from error

    def begin(self, segment: Segment) -> None:
        """Leave what trained before, build this segment, and stand before its first step.

        Raises:
            TrialError: it cannot be built, or its checkpoint is damaged (damaged; the message
                names the file) or cannot be read (infrastructure); the rank is free.
        """
        self.stop()
        try:
            self._until_it_stands(segment)
        except TrialError as error:
            if segment.checkpoint is None or error.kind != "code":
                raise
            try:
                verify(self._study_folder / segment.checkpoint)
            except CheckpointError as damage:  # not the trial's fault, and better told
                raise TrialError("damaged", damage.rule, error.log) from error
            except CheckpointUnreadable as unread:
                raise TrialError("infrastructure", unread.rule, error.log) from error
            raise

    def advance(self) -> BoundaryReport:
        """Train up to the next boundary, evaluate, and stand there.

        Raises:
            TrialError: the trial failed; the rank is free.
            RuntimeError: nothing was begun, or the trial's last boundary is behind.
        """
        if self._training.running is None or self._training.running.boundaries.is_over:
            raise RuntimeError("there is no boundary ahead: begin a segment first")
        report = self._until_it_stands(GO)
        if report is None:
            raise RuntimeError("training stood before its first step twice")
        return report

    def evaluate(self, evaluation: Evaluation) -> EvaluationReport:
        """Evaluate a committed checkpoint; what trained before is left.

        Raises:
            TrialError: it cannot be done; damaged, if the checkpoint is (the message names the
                file).
        """
        self.stop()
        try:
            verify(self._study_folder / evaluation.checkpoint)
        except CheckpointError as damage:
            raise TrialError("damaged", damage.rule) from damage
        except CheckpointUnreadable as unread:
            raise TrialError("infrastructure", unread.rule) from unread
        answer = self._training.ask(evaluation)
        if isinstance(answer, Ended) and answer.measured is not None and not answer.failure:
            return answer.measured
        failure = answer.failure if isinstance(answer, Ended) else None
        raise failure or TrialError("code", "the evaluation ended without a result")

    def snapshot(self) -> Snapshot | None:
        """Copy to host memory what is needed to go on from the boundary where the trial stands.

        Returns:
            The snapshot, with the generators of all ranks; None on ranks beyond the first, which
            give theirs.

        Raises:
            RuntimeError: nothing is training.
        """
        running = self._training.running
        if running is None:
            raise RuntimeError("there is nothing to take a snapshot of: begin a segment first")
        segment, boundaries, trainer = running.segment, running.boundaries, running.trainer
        best = boundaries.best
        generators: list[Generators] = []
        if self._world_size > 1:
            generators = gathered({"boundary": boundaries.rng, "epoch": boundaries.epoch_rng})
        whole = whole_state(trainer)
        if self._rank > 0:
            return None
        return take_snapshot(
            trainer,
            rng=boundaries.rng,
            epoch_rng=boundaries.epoch_rng,
            others=generators[1:],
            whole=whole,
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
            files=self._tasks.tokenizer_files(running.task),
            memory=self._memory,
        )

    def stop(self) -> None:
        """Leave the trial and free it; without one, nothing happens.

        A trial at its last boundary comes to its natural end: the Trainer's closing line, and
        its loading of the best model. An error there is written to the trial's log only: all
        that counts of the trial is reported by then.
        """
        if self._training.running is None:
            return
        # No name here for what is running: a reference would keep its memory.
        order = GO if self._training.running.boundaries.is_over else LEAVE
        while not isinstance(self._training.ask(order), Ended):
            order = LEAVE

    def close(self) -> None:
        """Stop, and end the training thread; the rank cannot be used after."""
        self.stop()
        self._training.end()

    def _until_it_stands(self, order: Segment | str) -> BoundaryReport | None:
        answer = self._training.ask(order)
        if isinstance(answer, Standing):
            return answer.report
        raise answer.failure or TrialError("code", "training ended before its last boundary")

    def _committed(self, best: Best) -> Path | None:
        folder = self._study_folder / best.checkpoint
        return folder if is_committed(folder) else None
