"""The command that sets methods side by side: compare.

It parses and calls; what it calls (`sweeps/comparing/`) is imported when it runs, because it
loads Ray.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.app import app
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import Address, AllowCode, AsJson, Overrides, Plain, Storage


@app.command()
@guarded
def compare(
    surface: Surface,
    compared: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|STUDY...",
            help="Sweep files, which are run, and studies, which are only read.",
            show_default=False,
        ),
    ],
    repetitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="R",
            help="Run each file so often, each time with another seed. Default: 3.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="1,2,3",
            help="The seeds of the repetitions, the same for every method. Default: the first"
            " file's seed and those after it.",
            show_default=False,
        ),
    ] = None,
    budget_epochs: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Epochs that each method may train in all. Default: as the files say.",
            show_default=False,
        ),
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Add random search over the same space.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The comparison's name; its studies are called NAME-METHOD-r1 and so on."
            " Default: made from the names of what is compared.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The report's folder. Default: report in the comparison's folder.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    storage: Storage = None,
    address: Address = None,
    plain: Plain = False,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> int:
    """Run sweeps against each other, several times under one budget, and report; goes on when
    given again."""
    from sweeps.comparing.compare import Asked
    from sweeps.comparing.compare import compare as run

    asked = Asked(
        arguments=tuple(compared),
        overrides=tuple(overrides or ()),
        repetitions=repetitions,
        seeds=seeds,
        budget_epochs=budget_epochs,
        name=name,
        output=output,
        storage=storage,
        address=address,
        control=control,
        allow_code=allow_code,
    )
    return run(surface, asked)
