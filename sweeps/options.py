"""The arguments and options that several commands share, each with its help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="The sweep file (YAML).", show_default=False)
]
Study = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study's name, or the path of its folder.", show_default=False
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the file, for example --set population.size=4. Repeatable.",
        show_default=False,
    ),
]
Extensions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Extend a limit, for example --set run_cap=32 or --set budget.wall_clock=4h."
        " Repeatable.",
        show_default=False,
    ),
]
Storage = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The folder that studies stand in. Default: the file's storage, else studies.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, words on stderr.")]
Plain = Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")]
Force = Annotated[
    bool, typer.Option("--force", help="Accept values that sense forbids, like a rate of 3.")
]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Let the file name Python code that will be run.")
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The study's name. Default: the file's name.", show_default=False
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A running Ray cluster. Default: this machine.",
        show_default=False,
    ),
]
