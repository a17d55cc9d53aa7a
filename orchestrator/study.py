"""Run a sweep, or go on with one: from a sweep file to a study's folder and its result.

Owns the study's first files, and the order of things: nothing is written before
the data was found usable. What runs is `driver.py`'s.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator import disk
from orchestrator.budgets import running_seconds
from orchestrator.checkpoints import remove_remnants
from orchestrator.damage import damaged_checkpoints
from orchestrator.driver import Driver, OnEvent, OnNotice
from orchestrator.errands import Errand, no_test_split, resuming
from orchestrator.errors import StudyError, StudyUnreadable, Unfit
from orchestrator.events import (
    Event,
    StudyResumed,
    StudyStarted,
    TrialExtended,
)
from orchestrator.extending import extended_trials, not_extended, refuse_lost
from orchestrator.journal import JOURNAL, Journal
from orchestrator.lock import StudyLock, refuse_running
from orchestrator.orphans import clear_orphans
from orchestrator.provenance import host, versions
from orchestrator.results import SWEEP_FILE, StudyResult, read_study
from orchestrator.segment import Readiness
from orchestrator.specification import write_specification
from orchestrator.state import StudyState
from orchestrator.stop_request import forget_stop, stop_asked_at, stop_request
from orchestrator.study_folder import (
    beginning,
    make_storage,
    refuse_taken,
    remove_journal,
    taken_folder,
)
from search_spaces import Sweep, SweepSpec

__all__ = [
    "make_storage",
    "refuse_taken",
    "request_stop",
    "resume_study",
    "run_study",
    "take_up",
]

CACHE = ".cache"


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
        lock = taken_folder(folder, on_notice)
        locked.callback(lock.release)
        driver.on_written(lock.release)
        refuse_taken(folder)
        remove_journal(folder)
        with beginning(folder):
            (folder / SWEEP_FILE).write_text(sweep.source, "utf-8")
            started = _started(spec, sweep.path, write_specification(folder, spec))
            driver.open(
                Journal(folder / JOURNAL, guard=lock),
                [],
                [started],
                Errand(spec=spec),
            )
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
    return take_up(
        folder,
        lambda study: resuming(study, overrides),
        address=address,
        allow_code=allow_code,
        on_event=on_event,
        on_notice=on_notice,
        make_rank=make_rank,
    )


def take_up(
    folder: Path,
    errand_for: Callable[[StudyResult], Errand],
    *,
    address: str | None = None,
    allow_code: bool = False,
    on_event: OnEvent = lambda event, state: None,
    on_notice: OnNotice = lambda text: None,
    make_rank: Callable[[Any, Any], Any] | None = None,
) -> StudyResult:
    """Take a study up for an errand: to go on with it, or for something beside its search.

    Args:
        folder: the study's folder.
        errand_for: says what is to be done with the study as it stands, or raises; called again
            once nobody else writes to it. The others are those of `resume_study`, and so is what
            is raised.
    """
    before = read_study(folder)
    errand_for(before)
    asked_at = stop_asked_at(folder)
    with contextlib.ExitStack() as exits:
        lock = StudyLock(folder, floor=before.contents.epoch, on_notice=on_notice)
        exits.callback(lock.release)
        past = read_study(folder)  # again: nobody else writes from here on
        errand = errand_for(_at_rest(past))
        spec = errand.spec
        _refuse_code(past, spec, allow_code=allow_code)
        lock.check()  # reading took a while, and what follows deletes
        remove_remnants(folder)
        clear_orphans(past, on_notice)
        forget_stop(folder, asked_at)
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
        first: list[Event] = [StudyResumed(host=host(), changes=errand.changes), *extended]
        first += errand.proposals
        state = StudyState.of([*history, *first])
        lost = damaged_checkpoints(past, state)
        for event in lost:
            on_notice(f"trial {event.trial}: {event.reason}; the checkpoint before it is used.")
        refuse_lost(state, extended, past.state)
        readiness = driver.ready()  # not before: Ray comes up while large checkpoints are summed
        if errand.needs_test and not readiness.test_rows:
            raise no_test_split(folder, hidden=True)
        _require_room(spec, folder, readiness, on_notice)
        with beginning(folder):
            journal = Journal(folder / JOURNAL, past.contents, lock)
            spent_s = running_seconds(past.contents.entries)
            driver.open(journal, history, [*first, *lost], errand, spent_s)
        driver.wait()
    return read_study(folder)


def _at_rest(study: StudyResult) -> StudyResult:
    """The study as it is to the one who holds its lock: nobody else is at it."""
    return dataclasses.replace(study, running=None)


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


def _started(spec: SweepSpec, file: Path, spec_sha256: str) -> StudyStarted:
    return StudyStarted(
        name=spec.name,
        method=spec.method,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        seed=spec.seed,
        smoke=spec.smoke,
        versions=versions(),
        host=host(file),
        spec_sha256=spec_sha256,
    )
