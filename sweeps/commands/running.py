"""The commands that set workers to work or end them: run, resume, stop, sync.

They parse, call and print; what they call (`sweeps/running.py`, `sweeps/syncing.py`) is imported
when they run, because it loads Ray.
"""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.app import app, read_file, storage_words
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import (
    Address,
    AllowCode,
    AsJson,
    Extensions,
    File,
    Force,
    Name,
    Overrides,
    Plain,
    Storage,
    Study,
)
from sweeps.studies import DEFAULT_STORAGE
from sweeps.text import command


@app.command()
@guarded
def run(
    surface: Surface,
    file: File,
    overrides: Overrides = None,
    name: Name = None,
    storage: Storage = None,
    address: Address = None,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="The same sweep, tiny: proves that the file runs, nothing more."
        ),
    ] = False,
    plain: Plain = False,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> int:
    """Run a sweep file as a study and wait for its end."""
    from sweeps.running import run_sweep

    sweep = read_file(surface, file, overrides, name=name, force=force, allow_code=allow_code)
    return run_sweep(surface, sweep, storage=storage, address=address, smoke=smoke)


@app.command()
@guarded
def resume(
    surface: Surface,
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY", help="Its name or folder; left out, the last one that was cut off."
        ),
    ] = None,
    overrides: Extensions = None,
    storage: Storage = None,
    address: Address = None,
    plain: Plain = False,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> int:
    """Go on with a study that was interrupted, or extend one; what finished is not touched."""
    from sweeps.running import resume_sweep

    return resume_sweep(
        surface, study, overrides or (), storage=storage, address=address, allow_code=allow_code
    )


@app.command()
@guarded
def stop(surface: Surface, study: Study, storage: Storage = None, as_json: AsJson = False) -> None:
    """Ask a running study to end at its next boundaries; it can be resumed."""
    from orchestrator.study import request_stop
    from sweeps.studies import find_study

    folder = find_study(study, storage or DEFAULT_STORAGE)
    running = request_stop(folder)
    surface.say(f"{folder.name} will stop when its running trials reach their next boundary.")
    surface.next_step(command("sweep", "resume", folder.name, *storage_words(storage)))
    surface.give({"name": folder.name, "stopping": True, "writer": running})


@app.command()
@guarded
def sync(
    surface: Surface,
    study: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="Its name or folder; left out, every study."),
    ] = None,
    storage: Storage = None,
    as_json: AsJson = False,
) -> int:
    """Send what a study's trackers missed: an outage's lines, runs that were written offline."""
    from sweeps.studies import find_study
    from sweeps.syncing import sync_studies, with_something_unsent

    root = storage or DEFAULT_STORAGE
    folders = with_something_unsent(root) if study is None else [find_study(study, root)]
    if not folders:
        surface.say(f"nothing under {root} waits to be sent.")
    return sync_studies(surface, folders)
