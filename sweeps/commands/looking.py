"""The commands that look at studies: list, show, best.

They write nothing into a study and load neither ray nor torch; `best --export` writes a folder
of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search_spaces.errors import SweepError
from sweeps.app import app, named_study, storage_words
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import AsJson, Storage, Study
from sweeps.studies import DEFAULT_STORAGE
from sweeps.text import command, metric_name, number

if TYPE_CHECKING:
    from orchestrator.errors import StudyUnreadable
    from orchestrator.results import StudyResult


@app.command("list")
@guarded
def list_(surface: Surface, storage: Storage = None, as_json: AsJson = False) -> None:
    """List the studies under the storage folder, the newest first."""
    from orchestrator.errors import StudyUnreadable
    from orchestrator.results import list_studies, read_study
    from sweeps.views import studies_table

    folder = storage or DEFAULT_STORAGE
    found: list[StudyResult | StudyUnreadable] = []
    for study in list_studies(folder):
        try:
            found.append(read_study(study))
        except StudyUnreadable as error:
            found.append(error)
    if found:
        surface.show(studies_table(found))
        surface.next_step(command("sweep", "show", "STUDY", *storage_words(storage)))
    else:
        surface.say(f"no studies under {folder}.")
        surface.next_step("sweep init pbt", "sweep run FILE")
    surface.give({"storage": str(folder), "studies": [_listed(row) for row in found]})


@app.command()
@guarded
def show(
    surface: Surface,
    study: Study,
    storage: Storage = None,
    all_trials: Annotated[
        bool, typer.Option("--all", help="Every trial and exploit, not the best and newest 30.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a study: its state, its best, its trials, its lineage and its failures."""
    from sweeps.views import going_on_words, study_view

    result = named_study(study, storage)
    surface.show(*study_view(result, limit=None if all_trials else 30))
    going_on = going_on_words(result)
    if going_on is not None:
        surface.next_step(command("sweep", "resume", study, *storage_words(storage), *going_on))
    if result.state.best is not None:
        surface.next_step(
            command("sweep", "best", study, *storage_words(storage), "--export", "DIR")
        )
    elif going_on is None:
        surface.next_step(command("sweep", "list", *storage_words(storage)))
    if surface.as_json:  # as data, a large study takes longer than its tables
        surface.give(result.as_json())


@app.command()
@guarded
def best(
    surface: Surface,
    study: Study,
    storage: Storage = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the best model into a new folder.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Name the best trial and its checkpoint, or hand its model over."""
    from sweeps.views import best_view

    result = named_study(study, storage)
    if result.state.best is None:
        surface.say(f"{result.state.name} has no usable result yet.")
        surface.next_step(command("sweep", "show", study, *storage_words(storage)))
        about = {"name": result.state.name, "smoke": result.state.smoke}
        surface.give({**about, "best": None, "exported": None})
        return 1
    surface.show(*best_view(result))
    exported: dict[str, Any] | None = None
    if export is None:
        surface.next_step(
            command("sweep", "best", study, *storage_words(storage), "--export", "DIR")
        )
    else:
        from sweeps.export import export_best

        chosen, damaged = export_best(result, export)
        for sentence in damaged:
            surface.say(f"damaged, so passed over: {sentence}", style="yellow")
        surface.say(
            f"exported trial {chosen.trial}, {metric_name(result.state.metric)}"
            f" {number(chosen.value)}, to {export}"
        )
        surface.next_step(f"AutoModelForSequenceClassification.from_pretrained({str(export)!r})")
        exported = {
            "folder": str(export),
            "trial": chosen.trial,
            "value": chosen.value,
            "checkpoint": chosen.checkpoint,
            "passed_over": list(damaged),
        }
    about = {"name": result.state.name, "smoke": result.state.smoke}
    surface.give({**about, "best": result.as_json()["best"], "exported": exported})
    return 0


def _listed(row: StudyResult | StudyUnreadable) -> dict[str, Any]:
    if isinstance(row, SweepError):
        return {"name": None, "state": "unreadable", "message": str(row)}
    data = row.as_json()
    kept = ("name", "folder", "state", "smoke", "method", "metric", "best")
    return {**{key: data[key] for key in kept}, "trials": len(data["trials"])}
