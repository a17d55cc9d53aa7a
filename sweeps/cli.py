"""The commands: parse, call, print.

Everything that thinks stands elsewhere; here is what each command is called, what it takes and
what it says at its end. Commands import what they need when they run, so that `sweep --help`
and `sweep validate` load neither ray nor torch nor transformers.
"""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.errors import Unreachable
from search_spaces.errors import SweepError
from sweeps import __version__
from sweeps.console import Surface
from sweeps.guard import guarded, show_tracebacks
from sweeps.options import (
    Address,
    AllowCode,
    AsJson,
    Extensions,
    File,
    Force,
    Name,
    Overrides,
    Storage,
    Study,
)
from sweeps.studies import DEFAULT_STORAGE
from sweeps.text import command, count, metric_name, number

if TYPE_CHECKING:
    from orchestrator.errors import StudyUnreadable
    from orchestrator.results import StudyResult
    from search_spaces import Sweep

app = typer.Typer(
    name="sweep",
    help="Tune Hugging Face models: one YAML file, four search methods, warm workers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Method(StrEnum):
    """The search methods, as `sweep init` takes them."""

    grid = "grid"
    random = "random"
    bayes = "bayes"
    pbt = "pbt"


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sweep {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="SWEEP_DEBUG", help="Show the traceback of a bug in sweep."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    show_tracebacks(debug)


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
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")] = False,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> int:
    """Run a sweep file as a study and wait for its end."""
    from sweeps.running import run_sweep

    sweep = _read(surface, file, overrides, name=name, force=force, allow_code=allow_code)
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
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live view.")] = False,
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
    surface.next_step(command("sweep", "resume", folder.name, *_storage_option(storage)))
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
    sweep = _read(surface, file, overrides, force=force, allow_code=allow_code)
    spec = sweep.spec
    surface.say(
        f"{file}: valid: {spec.method} over {count(len(spec.space), 'name')},"
        f" {spec.metric.goal} {spec.metric.name}."
    )
    surface.next_step(command("sweep", "plan", str(file), *_again(overrides, force, allow_code)))
    surface.give({"valid": True, "name": spec.name, "method": spec.method, "notes": [*sweep.notes]})


@app.command()
@guarded
def plan(
    surface: Surface,
    file: File,
    overrides: Overrides = None,
    address: Address = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Plan the smoke run.")] = False,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> None:
    """Tell what a sweep file would run: trials, epochs, boundaries, slots. Starts nothing."""
    from sweeps.plan import make_plan, plan_view

    sweep = _read(surface, file, overrides, force=force, allow_code=allow_code)
    spec = sweep.spec.shrunk() if smoke else sweep.spec
    made = make_plan(spec, address=address)
    surface.show(*plan_view(spec, made))
    words = ["sweep", "run", str(file), *_again(overrides, force, allow_code)]
    surface.next_step(command(*words, "--smoke"), command(*words))
    surface.give({"name": spec.name, "method": spec.method, "smoke": spec.smoke, **made.as_json()})


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
        surface.next_step(command("sweep", "show", "STUDY", *_storage_option(storage)))
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

    result = _study(study, storage)
    surface.show(*study_view(result, limit=None if all_trials else 30))
    going_on = going_on_words(result)
    if going_on is not None:
        surface.next_step(command("sweep", "resume", study, *_storage_option(storage), *going_on))
    if result.state.best is not None:
        surface.next_step(
            command("sweep", "best", study, *_storage_option(storage), "--export", "DIR")
        )
    elif going_on is None:
        surface.next_step(command("sweep", "list", *_storage_option(storage)))
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

    result = _study(study, storage)
    if result.state.best is None:
        surface.say(f"{result.state.name} has no usable result yet.")
        surface.next_step(command("sweep", "show", study, *_storage_option(storage)))
        about = {"name": result.state.name, "smoke": result.state.smoke}
        surface.give({**about, "best": None, "exported": None})
        return 1
    surface.show(*best_view(result))
    exported: dict[str, Any] | None = None
    if export is None:
        surface.next_step(
            command("sweep", "best", study, *_storage_option(storage), "--export", "DIR")
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


def _read(surface: Surface, file: Path, overrides: list[str] | None, **options: Any) -> Sweep:
    """Read a sweep file and say its notes."""
    from search_spaces import read_sweep

    sweep = read_sweep(file, overrides or (), **options)
    for note in sweep.notes:
        surface.say(f"note: {note}", style="yellow")
    return sweep


def _again(overrides: list[str] | None, force: bool, allow_code: bool) -> list[str]:
    """The options that the next command needs to read the file in the same way."""
    words = [word for override in overrides or () for word in ("--set", override)]
    return words + ["--force"] * force + ["--allow-code"] * allow_code


def _storage_option(storage: Path | None) -> list[str]:
    return ["--storage", str(storage)] if storage else []


def _listed(row: StudyResult | StudyUnreadable) -> dict[str, Any]:
    if isinstance(row, SweepError):
        return {"name": None, "state": "unreadable", "message": str(row)}
    data = row.as_json()
    kept = ("name", "folder", "state", "smoke", "method", "metric", "best")
    return {**{key: data[key] for key in kept}, "trials": len(data["trials"])}


def _study(study: str, storage: Path | None) -> StudyResult:
    from orchestrator.results import read_study
    from sweeps.studies import find_study

    return read_study(find_study(study, storage or DEFAULT_STORAGE))


def main() -> None:
    """The console script.

    When the cluster is gone, Ray's own goodbye at the interpreter's exit would wait for it for a
    minute and then end the process with a code of its own; all is said by then, so there is none.
    """
    try:
        app()
    except SystemExit as ended:
        if ended.code == Unreachable.exit_code:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(Unreachable.exit_code)
        raise
