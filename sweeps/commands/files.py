"""The commands about sweep files, which start nothing: validate, plan, init, schema.

They read no study. What they call is imported when they run, so that `sweep --help` stays quick.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweeps.app import app, read_file, reading_words
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import Address, AllowCode, AsJson, File, Force, Overrides
from sweeps.text import command, count


class Method(StrEnum):
    """The search methods, as `sweep init` takes them."""

    grid = "grid"
    random = "random"
    bayes = "bayes"
    pbt = "pbt"


@app.command()
@guarded
def validate(
    surface: Surface,
    file: File,
    overrides: Overrides = None,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> None:
    """Check a sweep file; starts nothing and loads neither model nor data."""
    sweep = read_file(surface, file, overrides, force=force, allow_code=allow_code)
    spec = sweep.spec
    surface.say(
        f"{file}: valid: {spec.method} over {count(len(spec.space), 'name')},"
        f" {spec.metric.goal} {spec.metric.name}."
    )
    surface.next_step(
        command("sweep", "plan", str(file), *reading_words(overrides, force, allow_code))
    )
    surface.give({"valid": True, "name": spec.name, "method": spec.method, "notes": [*sweep.notes]})


@app.command()
@guarded
def plan(
    surface: Surface,
    file: File,
    overrides: Overrides = None,
    address: Address = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Plan the smoke run.")] = False,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            help="Train two steps of the largest configuration on this machine's GPU: how many"
            " trials fit on one.",
        ),
    ] = False,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> None:
    """Tell what a sweep file would run: trials, epochs, boundaries, slots. Starts no study."""
    from sweeps.memory import measure_memory
    from sweeps.plan import make_plan, plan_view

    sweep = read_file(surface, file, overrides, force=force, allow_code=allow_code)
    spec = sweep.spec.shrunk() if smoke else sweep.spec
    made = make_plan(spec, address=address)
    surface.show(*plan_view(spec, made))
    data = made.as_json() | ({"memory": measure_memory(surface, spec)} if memory else {})
    words = ["sweep", "run", str(file), *reading_words(overrides, force, allow_code)]
    surface.next_step(command(*words, "--smoke"), command(*words))
    surface.give({"name": spec.name, "method": spec.method, "smoke": spec.smoke, **data})


@app.command()
@guarded
def init(
    surface: Surface,
    method: Annotated[
        Method,
        typer.Argument(metavar="METHOD", help="grid, random, bayes or pbt.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file to write. Default: METHOD.yaml.", show_default=False
        ),
    ] = None,
) -> None:
    """Write an annotated sweep file to start from; never overwrites."""
    from sweeps.scaffold import write_template

    path = output or Path(f"{method.value}.yaml")
    write_template(method.value, path)
    surface.say(f"wrote {path}")
    surface.next_step(
        command("sweep", "validate", str(path)), command("sweep", "run", str(path), "--smoke")
    )


@app.command()
@guarded
def schema(surface: Surface) -> None:
    """Print the JSON Schema of sweep files, for editors."""
    from search_spaces.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
