"""`sweep init`: an annotated sweep file to start from.

The templates are real sweep files beside this module; a test validates each of them.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from sweeps.studies import UsageError


def template(method: str) -> str:
    """The annotated sweep file of a method.

    Raises:
        FileNotFoundError: there is no such method.
    """
    return (files("sweeps") / "templates" / f"{method}.yaml").read_text(encoding="utf-8")


def write_template(method: str, path: Path) -> None:
    """Write a method's annotated sweep file.

    Raises:
        UsageError: something stands there already, or it cannot be written.
    """
    text = template(method)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise UsageError(
            f"init never overwrites; {path} exists.", mend="give another --output."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", mend="give another --output."
        ) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
