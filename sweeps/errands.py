"""`sweep evaluate`, `finalists` and `replay`: take a study up for something beside its search.

Starts nothing by itself and decides nothing: `orchestrator/errands.py` says what an errand is and
whether it can be run, `orchestrator/study.py` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.errands import Errand
from orchestrator.results import StudyResult, read_study
from orchestrator.study import take_up
from sweeps.console import Surface
from sweeps.live import view_of
from sweeps.running import close
from sweeps.studies import DEFAULT_STORAGE, find_study
from sweeps.views import SMOKE


def run_errand(
    surface: Surface,
    study: str,
    errand_for: Callable[[StudyResult], Errand],
    what: str,
    *,
    storage: Path | None,
    address: str | None,
    allow_code: bool,
) -> int:
    """Run it to its end and show the study like at the end of a run.

    Args:
        study: its name or folder.
        errand_for: what is to be done with the study; raises when it cannot be.
        what: the same in a few words.
        storage: None for the default.
        allow_code: whether code that the study's specification names may be run.

    Returns:
        The exit code, as `sweeps.running.run_sweep`.

    Raises:
        UsageError: there is no such study.
        SweepError: it cannot be done; the error owns its exit code.
    """
    folder = find_study(study, storage or DEFAULT_STORAGE)
    before = read_study(folder)
    errand = errand_for(before)
    if before.spec.smoke:
        surface.say(SMOKE, style="bold yellow")
    surface.say(f"{before.spec.name}: {what}, in {folder}")
    with view_of(surface, errand.spec, folder) as view:
        result = take_up(
            folder,
            errand_for,
            address=address,
            allow_code=allow_code,
            on_event=view,
            on_notice=surface.say,
        )
    return close(surface, result, storage)
