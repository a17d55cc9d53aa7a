"""Run a sweep, or go on with one: from a sweep file to a study's folder and its result.

Owns the folder, its lock and its first files, and the order of things: nothing is written before
the data was found usable. What runs is `driver.py`'s.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator import disk
from orchestrator.budgets import running_seconds
from orchestrator.checkpoints import remove_orphans, remove_remnants
from orchestrator.disk import disk_error
from orchestrator.driver import Driver, OnEvent, OnNotice, stop_request
from orchestrator.errors import StudyError, StudyTaken, StudyUnreadable, Unfit
from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Event,
    StudyResumed,
    StudyStarted,
    TrialExtended,
)
from orchestrator.extending import extended_trials, going_on, not_extended, refuse_lost
from orchestrator.journal import JOURNAL, Journal, is_unbegun, length_file
from orchestrator.lock import StudyLock, refuse_running
from orchestrator.manifest import CheckpointError, verify
from orchestrator.results import SPECIFICATION, SWEEP_FILE, StudyResult, read_study
from orchestrator.segment import Readiness
from orchestrator.state import StudyState
from search_spaces import Sweep, SweepSpec

CACHE = ".cache"
_VERSIONS = ("sweep-orchestrator", "ray", "torch", "transformers", "optuna", "datasets")


def run_study(
    sweep: Sweep,
    *,
    storage: Path,
    address: str | None = None,
    on_event: OnEvent = lambda event, state: None,
    on_notice: OnNotice = lambda text: None,
    make_rank: Callable[[Any, Any], Any] | None = None,
) -> StudyResult:
    """Run a sweep from its start to its end.

    Args:
        sweep: what to run.
        storage: the folder under which the study's own folder is made.
        address: of a running Ray; None starts one on this machine.
        on_event: is shown every event once it is on disk, with the state after it.
        on_notice: takes plain sentences for a person.
        make_rank: makes a worker's rank; None: one that trains with the Trainer.

    Raises:
        StudyTaken: a study of this name is there already, or is being started.
        TaskError: the task's data or model cannot be used; nothing was written.
        StudyError: see `orchestrator.errors`.
    """
    spec = sweep.spec
    folder = storage / spec.name
    refuse_running(folder)
    refuse_taken(folder)
    make_storage(storage)
    cache = storage / CACHE
    driver = Driver(
        spec,
        folder,
        cache,
        address=address,
        make_rank=make_rank,
        on_event=on_event,
        on_notice=on_notice,
    )
    with contextlib.ExitStack() as exits:
        locked = exits.enter_context(contextlib.ExitStack())  # at the latest after the driver
        exits.enter_context(driver.signals())
        exits.callback(driver.close)
        driver.start()
        readiness = driver.ready()
        _require_room(spec, folder, readiness, on_notice)
        lock = _locked(folder, on_notice)
        locked.callback(lock.release)
        driver.on_written(lock.release)
        refuse_taken(folder)
        _remove_journal(folder)
        with _beginning(folder):
            (folder / SWEEP_FILE).write_text(sweep.source, "utf-8")
            (folder / SPECIFICATION).write_text(
                json.dumps(spec.model_dump(mode="json"), indent=1), "utf-8"
            )
            driver.open(Journal(folder / JOURNAL, guard=lock), [], [_started(spec)], readiness.rows)
        driver.wait()
    return read_study(folder)


def resume_study(
    folder: Path,
    overrides: Sequence[str] = (),
    *,
    address: str | None = None,
    allow_code: bool = False,
    on_event: OnEvent = lambda event, state: None,
    on_notice: OnNotice = lambda text: None,
    make_rank: Callable[[Any, Any], Any] | None = None,
) -> StudyResult:
    """Go on with a study that did not come to its end: from any process that sees its folder.

    Trials that ended are not touched; the others go on from their last committed checkpoint. A
    checkpoint that is damaged is named, and the one before it is used.

    Args:
        folder: the study's folder; the other arguments are those of `run_study`.
        overrides: `key=value` each, to extend it: limits only, and a population's epochs; one
            that came to its end by a limit goes on then. See `search_spaces/extending.py`.
        allow_code: whether code that the study's specification names may be run: it stands in a
            file, and whoever can write to that file must not be able to run code by it.

    Raises:
        Unfit: it runs code and that is not allowed.
        SpecError: a key may not change, or a value does not fit.
        StudyTaken: another process writes to it.
        StudyUnreadable: its state, or a checkpoint that it needs, cannot be read; nothing was
            changed.
        StudyError: it has come to its end, or see `orchestrator.errors`.
    """
    before = read_study(folder)
    going_on(before, overrides)
    with contextlib.ExitStack() as exits:
        lock = StudyLock(folder, floor=before.contents.epoch, on_notice=on_notice)
        exits.callback(lock.release)
        past = read_study(folder)  # again: nobody else writes from here on
        spec, changes = going_on(past, overrides)
        _refuse_code(past, spec, allow_code=allow_code)
        lock.check()  # reading took a while, and what follows deletes
        remove_remnants(folder)
        remove_orphans(folder, _named(past))
        stop_request(folder).unlink(missing_ok=True)
        cache = folder.parent / CACHE
        driver = Driver(
            spec,
            folder,
            cache,
            address=address,
            make_rank=make_rank,
            on_event=on_event,
            on_notice=on_notice,
        )
        driver.on_written(lock.release)
        exits.enter_context(driver.signals())
        exits.callback(driver.close)
        driver.start()
        for note in past.notes:
            on_notice(f"{folder}: {note}.")
        history = [entry.event for entry in past.contents.entries]
        extended: list[TrialExtended] = []
        if not_extended(spec, past.state):
            extended = extended_trials(spec, past.state, driver.ready().rows)
        first: list[Event] = [StudyResumed(host=_host(), changes=changes), *extended]
        state = StudyState.of([*history, *first])
        lost = damaged_checkpoints(past, state)
        for event in lost:
            on_notice(f"trial {event.trial}: {event.reason}; the checkpoint before it is used.")
        refuse_lost(state, extended, past.state)
        readiness = driver.ready()  # not before: Ray comes up while large checkpoints are summed
        _require_room(spec, folder, readiness, on_notice)
        with _beginning(folder):
            journal = Journal(folder / JOURNAL, past.contents, lock)
            spent_s = running_seconds(past.contents.entries)
            driver.open(journal, history, [*first, *lost], readiness.rows, spent_s)
        driver.wait()
    return read_study(folder)


def _named(study: StudyResult) -> set[str]:
    """The checkpoints that the journal names, the lost ones too."""
    events = (entry.event for entry in study.contents.entries)
    return {event.path for event in events if isinstance(event, CheckpointCommitted)}


def _refuse_code(study: StudyResult, spec: SweepSpec, *, allow_code: bool) -> None:
    """Raise when the study would run code; nothing that is read of it counts as a yes."""
    task = spec.task
    names = {name for record in study.state.trials.values() for name in record.config}
    for name in sorted(names | spec.parameters.keys()):
        try:
            spec.refuse_constant(name)
        except ValueError as error:
            raise StudyUnreadable(
                f"{study.folder}: no sweep file can have made this study: {error}.",
                mend="nothing was changed. Somebody wrote to its files: restore them from a copy.",
            ) from error
    if allow_code or not (task.is_own_file or task.trust_remote_code):
        return
    what = f"the Python file of {task.type}" if task.is_own_file else f"code that {task.model} has"
    raise Unfit(
        f"{study.folder}: this study runs {what}, which its files alone may not ask for.",
        mend=f"pass --allow-code if you trust it: `sweep resume {study.folder} --allow-code`.",
    )


def _locked(folder: Path, on_notice: OnNotice) -> StudyLock:
    """Make a study's folder, for nobody else to read, and take it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        return StudyLock(folder, on_notice=on_notice)
    except OSError as error:
        raise disk_error(folder, error) from error


@contextlib.contextmanager
def _beginning(folder: Path) -> Iterator[None]:
    """Say plainly why a study's first lines cannot be written; one without any is not there."""
    try:
        yield
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        journal = folder / JOURNAL
        if journal.exists() and not journal.stat().st_size:
            _remove_journal(folder)


def _remove_journal(folder: Path) -> None:
    """Remove a journal that holds nothing; its length last, which says that it held nothing."""
    (folder / JOURNAL).unlink(missing_ok=True)
    length_file(folder / JOURNAL).unlink(missing_ok=True)


def _require_room(spec: SweepSpec, folder: Path, readiness: Readiness, on_notice: OnNotice) -> None:
    cpus = max(1, os.cpu_count() or 1)
    needed = disk.need(
        spec,
        readiness.parameters,
        min(cpus, spec.trial_limit or cpus),
        smallest=readiness.smallest_parameters,
    )
    tight = disk.require_room(folder, needed)
    if tight is not None:
        on_notice(tight)


def request_stop(folder: Path) -> str:
    """Ask a running study to end at the next boundary of each running trial; it can be resumed.

    Returns:
        Who writes to the study: its process, host and since when, as the lock tells.

    Raises:
        StudyError: nobody does.
    """
    running = read_study(folder).running
    if running is None:
        raise StudyError(
            f"{folder}: the study is not running.",
            mend=f"look at it with `sweep show {folder}`.",
        )
    stop_request(folder).touch()
    return running


def damaged_checkpoints(
    study: StudyResult, state: StudyState | None = None
) -> list[CheckpointLost]:
    """Checkpoints that trials would go on from, or that are the best, and do not verify.

    Args:
        study: as it was read.
        state: of the study, if more is known than was read; the losses are folded in.

    Raises:
        CheckpointUnreadable: whether one is damaged cannot be told.
    """
    state = state or StudyState.of(entry.event for entry in study.contents.entries)
    lost: list[CheckpointLost] = []
    checked: set[str] = set()
    while True:
        wanted = {state.best.checkpoint} if state.best else set()
        wanted |= {state.standing(trial).checkpoint or "" for trial in state.open_trials}
        wanted -= checked
        checked |= wanted
        commits = [
            commit
            for record in state.trials.values()
            for commit in record.checkpoints.values()
            if commit.path in wanted
        ]
        pool = ThreadPoolExecutor(os.cpu_count())  # summing leaves the interpreter free
        try:
            reasons = list(pool.map(functools.partial(_damage, study.folder), commits))
        finally:  # an interruption does not wait for the gigabytes that are left
            pool.shutdown(wait=False, cancel_futures=True)
        found = [
            CheckpointLost(
                trial=commit.trial, boundary=commit.boundary, path=commit.path, reason=reason
            )
            for commit, reason in zip(commits, reasons, strict=True)
            if reason is not None
        ]
        if not found:
            return lost
        for event in found:
            state.apply(event)
        for trial in state.open_trials:  # as the dispatcher will: what it stands on then, is read
            while (withdrawn := state.withdrawal(trial)) is not None:
                state.apply(withdrawn)
        lost += found


def _damage(folder: Path, commit: CheckpointCommitted) -> str | None:
    try:
        verify(folder / commit.path, commit.sha256)
    except CheckpointError as error:
        return error.rule
    return None


def make_storage(storage: Path) -> None:
    """Make the folder under which studies stand.

    Raises:
        Unfit: it cannot be made or written to.
    """
    try:
        storage.mkdir(parents=True, exist_ok=True)
        if not os.access(storage, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Unfit(
            f"{storage}: the storage folder cannot be used: {error.strerror}.",
            mend="name another one with --storage.",
        ) from error


def refuse_taken(folder: Path) -> None:
    """Raise when there is a study in the folder: StudyTaken, or StudyUnreadable.

    The second when its journal is gone: beginning anew would write over what finished. What a
    kill before the first line leaves is no study. Call it when nobody writes to the study.
    """
    journal = folder / JOURNAL
    if is_unbegun(journal) and not (folder / "trials").exists():
        return
    if not journal.exists():
        raise StudyUnreadable(
            f"{journal}: the journal of the study in this folder is gone.",
            mend="nothing was changed. Restore it from a copy, remove the folder, or give another"
            " --name.",
        )
    try:
        state = read_study(folder).state.state
    except StudyUnreadable as error:
        raise StudyTaken(
            f"{folder}: a study of this name is there already, and cannot be read: {error.rule}",
            mend="restore it from a copy, remove the folder, or give another --name.",
        ) from error
    rule = f"{folder}: a study of this name is there already"
    if state in ("running", "stopped"):
        how = "interrupted before its end" if state == "running" else "stopped before its end"
        raise StudyTaken(
            f"{rule}; it was {how}.",
            mend=f"go on with it by `sweep resume {folder}`, or give another --name.",
        )
    raise StudyTaken(
        f"{rule}; it has come to its end ({state}).",
        mend=f"look at it with `sweep show {folder}`, extend it by `sweep resume {folder} --set"
        " KEY=VALUE`, or give another --name.",
    )


def _started(spec: SweepSpec) -> StudyStarted:
    return StudyStarted(
        name=spec.name,
        method=spec.method,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        seed=spec.seed,
        smoke=spec.smoke,
        versions=_versions(),
        host=_host(),
    )


def _host() -> dict[str, Any]:
    return {"name": socket.gethostname(), "cpus": os.cpu_count() or 0}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
