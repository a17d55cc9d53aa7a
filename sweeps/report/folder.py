"""A report's folder: its files, and the rule that nothing else is ever overwritten.

`report.json` holds the report; the other files are made from it. A report may be written again
over an older one, because it can be made again; a folder that holds anything else is refused.
Every file appears whole, and `report.json` first, because a report's folder is known by it: one
that a kill left with some of its files is a report's all the same, and is written again.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import DiskFull
from sweeps.report.html import html
from sweeps.report.markdown import markdown
from sweeps.report.model import Report, as_json
from sweeps.report.tables import trials_csv, write_parquet
from sweeps.studies import UsageError

DATA = "report.json"


def _text(make: Callable[[Report], str]) -> Callable[[Report, Path], None]:
    """A writer of a text file in UTF-8, line ends as they are."""

    def write(report: Report, file: Path) -> None:
        file.write_text(make(report), encoding="utf-8", newline="")

    return write


def report_json(report: Report) -> str:
    """The report as one JSON object; NaN never stands in it."""
    return json.dumps(as_json(report), allow_nan=False) + "\n"


FILES: dict[str, Callable[[Report, Path], None]] = {
    DATA: _text(report_json),
    "report.html": _text(html),
    "report.md": _text(markdown),
    "trials.csv": _text(trials_csv),
    "trials.parquet": write_parquet,
}
"""Every file of a report, and what writes it, in the order in which they are put into place."""


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write all files of a report.

    Args:
        folder: new, empty, or a report's.

    Returns:
        The files.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
        DiskFull: there is no room.
    """
    refuse_foreign(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    try:
        if unfinished.exists():  # of a process that was killed and had this one's number
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True)
        for name, write in FILES.items():
            write(report, unfinished / name)
        folder.mkdir(exist_ok=True)
        for name in FILES:
            (unfinished / name).replace(folder / name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"{folder}: the disk is full.", mend="make room, or give another --output."
            ) from error
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}.", mend="give another --output."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [folder / name for name in FILES]


def refuse_foreign(folder: Path) -> None:
    """Raise UsageError unless a report may be written here; asked before hours of work too."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise UsageError(
            f"--output must be a folder; {folder} is a file.", mend="give another --output."
        )
    found = sorted(entry.name for entry in folder.iterdir())
    foreign = [name for name in found if name not in FILES]
    if foreign or (found and not _is_report(folder)):
        what = foreign[0] if foreign else "files that no report is"
        raise UsageError(
            f"--output must be a new folder, an empty one, or a report's; {folder} holds {what}.",
            mend="give another --output, or remove what is there.",
        )


def _is_report(folder: Path) -> bool:
    """Whether the folder's data says that a report was written here."""
    try:
        data = json.loads((folder / DATA).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and str(data.get("generator", "")).startswith("sweep ")
