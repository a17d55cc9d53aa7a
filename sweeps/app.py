"""The program `sweep` before it has commands: its name, its own options, what commands share.

Knows no command. The groups in `sweeps/commands/` import this and register with `app`, and
`sweeps/cli.py` imports the groups, so nothing is imported in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps import __version__
from sweeps.console import Surface
from sweeps.guard import show_tracebacks
from sweeps.studies import DEFAULT_STORAGE, find_study

if TYPE_CHECKING:
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


def read_file(
    surface: Surface, file: Path, overrides: Sequence[str] | None, **options: Any
) -> Sweep:
    """Read a sweep file and say its notes.

    Args:
        options: of `search_spaces.read_sweep`.

    Raises:
        SpecError: the file is not a valid sweep file.
    """
    from search_spaces import read_sweep

    sweep = read_sweep(file, overrides or (), **options)
    for note in sweep.notes:
        surface.say(f"note: {note}", style="yellow")
    return sweep


def named_study(study: str, storage: Path | None) -> StudyResult:
    """Read the study that a person named.

    Raises:
        UsageError: there is no such study.
        StudyUnreadable: it is damaged.
    """
    from orchestrator.results import read_study

    return read_study(find_study(study, storage or DEFAULT_STORAGE))


def reading_words(overrides: Sequence[str] | None, force: bool, allow_code: bool) -> list[str]:
    """The options that the next command needs to read the file in the same way."""
    words = [word for override in overrides or () for word in ("--set", override)]
    return words + ["--force"] * force + ["--allow-code"] * allow_code


def storage_words(storage: Path | None) -> list[str]:
    """The option that the next command needs to find the study."""
    return ["--storage", str(storage)] if storage else []
