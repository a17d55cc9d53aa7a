"""Around every command: its surface, and the one place where an error becomes an exit code.

A `SweepError` owns its exit code; anything else that comes this far is a bug (1) and is told in
one message, its traceback in a file. Parsing is typer's, which exits with 2 by itself.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from search_spaces.errors import SweepError
from search_spaces.secrets import scrubbed
from sweeps.console import Surface, opened_surface, report_crash
from sweeps.text import printable

_debug = False


def show_tracebacks(shown: bool) -> None:
    """Whether a bug is told by its traceback from now on (`--debug`)."""
    global _debug
    _debug = shown


def guarded(function: Callable[..., int | None]) -> Callable[..., None]:
    """Give a command its surface, and turn what it returns or raises into an exit code.

    Args:
        function: takes a Surface before its options, which is not an option of the command's.
    """
    signature = inspect.signature(function, eval_str=True)

    @functools.wraps(function)
    def run(**options: Any) -> None:
        as_json = bool(options.get("as_json"))
        if as_json and options.get("plain"):
            raise typer.BadParameter("--plain and --json exclude each other")
        with opened_surface(as_json=as_json, plain=bool(options.get("plain"))) as surface:
            code = _exit_code(functools.partial(function, surface, **options), surface)
        raise typer.Exit(code)

    parameters = list(signature.parameters.values())[1:]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _exit_code(command: Callable[[], int | None], surface: Surface) -> int:
    """Run a command; what went wrong is said on stderr, and with --json in the object too."""
    try:
        return command() or 0
    except SweepError as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = 130, "interrupted"
    except BrokenPipeError:
        raise  # whoever read us went away; typer ends quietly
    except Exception as error:  # the outermost frame: a person gets a message, not a traceback
        code, message = 1, report_crash(error, debug=_debug)
    message = scrubbed(message)
    typer.echo(printable(message), err=True)
    surface.give({"error": {"message": message, "exit_code": code}})
    return code
