"""`sweep run` and `sweep resume`: hand the sweep to the engine, show its events, say how it ended.

Starts nothing by itself (`orchestrator/study.py` does). A smoke run never takes the name that
the real run will want: it is called NAME-smoke, and counted up when that is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import StudyUnreadable
from orchestrator.extending import going_on
from orchestrator.results import StudyResult, list_studies, read_study
from orchestrator.study import resume_study, run_study
from search_spaces import Sweep
from sweeps.comparing.manifest import refuse_comparison
from sweeps.console import Surface
from sweeps.live import view_of
from sweeps.studies import DEFAULT_STORAGE, UsageError, find_study, inside
from sweeps.text import command, count
from sweeps.views import METHOD_WORDS, RESUMABLE, SMOKE, going_on_words, study_view
from sweeps.views_beside import looking_words

SHOWN_AT_END = 10
"""Trials in the closing table."""


def run_sweep(
    surface: Surface, sweep: Sweep, *, storage: Path | None, address: str | None, smoke: bool
) -> int:
    """Run it to its end.

    Args:
        storage: None for the sweep file's own.

    Returns:
        The exit code: 0 done, 3 done with failed trials, 1 no usable result.

    Raises:
        SweepError: it could not start, or could not go on; the error owns its exit code.
    """
    root = storage or Path(sweep.spec.storage)
    if smoke:
        sweep = as_smoke(sweep, root)
    spec = sweep.spec
    folder = inside(root, spec.name)
    refuse_comparison(folder)
    if spec.smoke:
        surface.say(SMOKE, style="bold yellow")
    surface.say(
        f"{spec.name}: {METHOD_WORDS[spec.method]} over {count(len(spec.space), 'name')},"
        f" {spec.metric.goal} {spec.metric.name}, in {folder}"
    )
    with view_of(surface, spec, folder) as view:
        result = run_study(
            sweep, storage=root, address=address, on_event=view, on_notice=surface.say
        )
    return close(surface, result, storage)


def resume_sweep(
    surface: Surface,
    study: str | None,
    overrides: Sequence[str] = (),
    *,
    storage: Path | None,
    address: str | None,
    allow_code: bool = False,
) -> int:
    """Go on with a study that did not come to its end, and show it like a run.

    Args:
        overrides: what extends it, `key=value` each.
        study: its name or folder; None for the one under the storage folder that was written
            to last and can be resumed.
        storage: None for the default.
        allow_code: whether code that the study's specification names may be run.

    Returns:
        The exit code, as `run_sweep`.

    Raises:
        UsageError: there is no such study.
        StudyUnreadable: it cannot be read; without a name: none can go on, and one cannot be read.
        SweepError: it cannot go on; the error owns its exit code.
    """
    root = storage or DEFAULT_STORAGE
    folder = find_study(study, root) if study is not None else _newest_resumable(surface, root)
    spec, changes = going_on(read_study(folder), overrides)
    if spec.smoke:
        surface.say(SMOKE, style="bold yellow")
    surface.say(f"{spec.name}: going on, in {folder}")
    for key, value in changes.items():
        surface.say(f"from now on {key} is {'not set' if value is None else value}")
    with view_of(surface, spec, folder) as view:
        result = resume_study(
            folder,
            overrides,
            address=address,
            allow_code=allow_code,
            on_event=view,
            on_notice=surface.say,
        )
    return close(surface, result, storage)


def _newest_resumable(surface: Surface, root: Path) -> Path:
    """The one written to last; those passed over because they cannot be read are named."""
    passed_over: list[StudyUnreadable] = []
    for folder in list_studies(root):
        try:
            status = read_study(folder).status
        except StudyUnreadable as error:
            passed_over.append(error)
            continue
        if status in RESUMABLE:
            for unreadable in passed_over:
                surface.say(f"passed over, it cannot be read: {unreadable}", style="yellow")
            return folder
    if passed_over:
        raise passed_over[0]  # perhaps the one that was meant
    raise UsageError(
        f"{root}: there is no study here that was interrupted or stopped.",
        mend="name one: `sweep list` shows them all.",
    )


def close(surface: Surface, result: StudyResult, storage: Path | None) -> int:
    """Show how a study ended and what to do next; return the exit code."""
    spec, root = result.spec, result.folder.parent
    surface.show(*study_view(result, limit=SHOWN_AT_END))
    option = [] if storage is None and str(root) == "studies" else ["--storage", str(root)]
    if result.state.selected is not None:
        surface.next_step(command("sweep", "best", spec.name, *option, "--export", "DIR"))
    surface.next_step(command("sweep", "show", spec.name, *option))
    looking = looking_words(result)
    if looking is not None:
        surface.next_step(command("sweep", "evaluate", spec.name, *option, *looking))
    going_on = going_on_words(result)
    if going_on is not None:
        surface.next_step(command("sweep", "resume", spec.name, *option, *going_on))
    surface.give(result.as_json())
    return exit_code(
        usable=result.state.best is not None, some_failed=bool(result.state.with_state("failed"))
    )


def as_smoke(sweep: Sweep, storage: Path) -> Sweep:
    """The same sweep shrunk, under a name that is free."""
    small = sweep.spec.shrunk()
    stem = small.name.removesuffix("-smoke")[:54] + "-smoke"
    name, n = stem, 1
    while (storage / name).exists():
        n += 1
        name = f"{stem}-{n}"
    return sweep.model_copy(update={"spec": small.model_copy(update={"name": name})})


def exit_code(*, usable: bool, some_failed: bool) -> int:
    """0 done; 3 done, some trials failed; 1 no usable result."""
    if not usable:
        return 1
    return 3 if some_failed else 0
