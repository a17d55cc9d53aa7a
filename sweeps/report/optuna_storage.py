"""`--optuna-storage FILE`: studies as Optuna has them, in an SQLite file for optuna-dashboard.

Through Optuna's public interface alone. One Optuna study for each of ours, under its own name;
every trial of the search with its configuration, its value at each boundary, and what Optuna has
no field for as user attributes. Trials beside the search are left out: they are no candidates,
and a dashboard would take them for some.

The database is made in memory, where Optuna does not wait for a disk at every value, copied beside
its place and put there: whole or not at all.

States: finished is COMPLETE, stopped early PRUNED, failed FAIL; a trial without an end is RUNNING
or WAITING. A value that was not finite is NaN among the intermediate values, as Optuna has it,
and never the trial's own: a finished trial without a finite value is FAIL, Optuna's own rule.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.axes import varies
from orchestrator.distributions import distribution_of
from orchestrator.events import TrialEnded, TrialProposed
from orchestrator.results import StudyResult
from orchestrator.state import TrialRecord
from search_spaces import SweepSpec
from sweeps.report.methods import Method, unique_names
from sweeps.studies import UsageError
from sweeps.text import printable

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_STATES = {
    "finished": "COMPLETE",
    "stopped": "PRUNED",
    "failed": "FAIL",
    "running": "RUNNING",
    "waiting": "WAITING",
}


def write_optuna(methods: Sequence[Method], file: Path) -> list[str]:
    """Write studies into a new SQLite file; it appears whole or not at all.

    Returns:
        The names that the studies have there.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    import optuna

    refuse_existing(file)
    names = unique_names(methods)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage("sqlite:///:memory:")
        for method in methods:
            for study in method.studies:
                _add_study(storage, study, names[study.folder], method.label)
        storage.remove_session()
        _copy(storage.engine, file)
        storage.engine.dispose()
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{file} cannot be written: {why}.", mend="name another file.") from error
    finally:
        optuna.logging.set_verbosity(verbosity)
    return list(names.values())


def _copy(engine: Any, file: Path) -> None:
    """Write a database that is in memory into a new file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished-{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        with (
            contextlib.closing(engine.raw_connection()) as there,
            contextlib.closing(sqlite3.connect(unfinished)) as target,
        ):
            there.driver_connection.backup(target)
        refuse_existing(file)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def refuse_existing(file: Path) -> None:
    """Raise UsageError when there is something already; asked before a report is written too."""
    if file.exists() or file.is_symlink():
        raise UsageError(
            f"--optuna-storage writes a new file; {file} exists.",
            mend="name another file, or remove this one first.",
        )


def _add_study(storage: Any, study: StudyResult, name: str, label: str) -> None:
    import optuna

    made = optuna.create_study(study_name=name, direction=study.spec.metric.goal, storage=storage)
    for key, value in {
        "metric": study.spec.metric.name,
        "method": study.spec.method,
        "label": label,
        "seed": study.spec.seed,
        "state": study.status,
    }.items():
        made.set_user_attr(key, value)
    spaces = _distributions(study.spec)
    times = _times(study)
    made.add_trials(
        _frozen(study, record, spaces, times.get(record.id, (None, None)))
        for record in study.state.trials.values()
        if record.in_search
    )


def _frozen(
    study: StudyResult,
    record: TrialRecord,
    spaces: dict[str, BaseDistribution],
    times: tuple[datetime | None, datetime | None],
) -> FrozenTrial:
    """One trial. Its parameters are those in force at its best boundary."""
    from optuna.trial import TrialState, create_trial

    best = record.best
    config = record.config if best is None else record.config_up_to(best.boundary)
    inside = {n for n in spaces if n in config and study.spec.space[n].contains(config[n])}
    state = _STATES[record.state] if record.state != "finished" or best is not None else "FAIL"
    keeps_value = state in ("COMPLETE", "PRUNED") and best is not None
    attributes = {
        "trial": record.id,
        "origin": record.origin,
        "retries": record.retries,
        "failure": record.failure,
        "message": printable(record.message),
        "not_in_space": {n: v for n, v in config.items() if n in spaces and n not in inside},
        "exploits": [
            {"boundary": b, "donor": d.donor}
            for b, d in record.decisions.items()
            if d.action == "exploit"
        ],
    }
    frozen = create_trial(
        state=TrialState[state],
        value=best.value if keeps_value and best is not None else None,
        params={name: config[name] for name in spaces if name in inside},
        distributions={name: spaces[name] for name in spaces if name in inside},
        user_attrs={key: value for key, value in attributes.items() if value},
        intermediate_values={
            boundary: float("nan") if report.value is None else report.value
            for boundary, report in sorted(record.reports.items())
        },
    )
    begun, ended = times
    if frozen.datetime_start is not None:
        frozen.datetime_start = begun or frozen.datetime_start
    if frozen.datetime_complete is not None:
        frozen.datetime_complete = ended or begun or frozen.datetime_complete
    return frozen


def _times(study: StudyResult) -> dict[str, tuple[datetime | None, datetime | None]]:
    """When each trial was proposed and when it ended, in this machine's time, as Optuna has it."""
    times: dict[str, tuple[datetime | None, datetime | None]] = {}
    for entry in study.contents.entries:
        if isinstance(entry.event, TrialProposed):
            times[entry.event.trial] = (datetime.fromtimestamp(entry.time), None)
        elif isinstance(entry.event, TrialEnded):
            begun, _ = times[entry.event.trial]
            times[entry.event.trial] = (begun, datetime.fromtimestamp(entry.time))
    return times


def _distributions(spec: SweepSpec) -> dict[str, BaseDistribution]:
    """Each searched name that has more than one value, with its values as they are."""
    return {name: distribution_of(d) for name, d in spec.space.items() if varies(d)}
