"""The command that writes a report of studies that exist.

It writes nothing into a study, and loads neither ray nor torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.app import app, storage_words
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import AsJson, Storage
from sweeps.studies import DEFAULT_STORAGE


@app.command()
@guarded
def report(
    surface: Surface,
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY...",
            help="Studies' names, or paths of their folders; those of one sweep under several"
            " seeds are repetitions of one method.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The report's folder. Default: under reports, by the studies' names.",
            show_default=False,
        ),
    ] = None,
    storage: Storage = None,
    optuna_storage: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the studies into a new SQLite file, for optuna-dashboard.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write a report: methods side by side, with as much claim as the repetitions carry."""
    from sweeps.reporting import report_studies

    report_studies(
        surface,
        studies,
        storage=storage or DEFAULT_STORAGE,
        output=output,
        optuna_storage=optuna_storage,
        storage_words=storage_words(storage),
    )
    return 0
