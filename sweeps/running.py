"""`sweep run`: hand the sweep to the engine, show its events, say how it ended.

Starts nothing by itself (`orchestrator/study.py` does). A smoke run never takes the name that
the real run will want: it is called NAME-smoke, and counted up when that is taken.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.study import run_study
from search_spaces import Sweep
from sweeps.console import Surface
from sweeps.live import view_of
from sweeps.studies import inside
from sweeps.text import command, count
from sweeps.views import METHOD_WORDS, SMOKE, study_view

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
    surface.show(*study_view(result, limit=SHOWN_AT_END))
    option = [] if storage is None and str(root) == "studies" else ["--storage", str(root)]
    if result.state.best is not None:
        surface.next_step(command("sweep", "best", spec.name, *option, "--export", "DIR"))
    surface.next_step(command("sweep", "show", spec.name, *option))
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
