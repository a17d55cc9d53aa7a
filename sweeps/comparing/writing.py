"""Writes a comparison's report: after each study, so that there is something to look at, and last.

What it says is `sweeps/report/`'s. A report that cannot be written in between is said and does not
end a comparison, whatever the reason: hours of training must not be lost to a defect of the page.
The last one raises.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.errors import Interrupted
from orchestrator.results import StudyResult
from search_spaces.errors import SweepError
from sweeps.comparing.manifest import Manifest
from sweeps.console import Surface
from sweeps.report.folder import refuse_foreign, write_report
from sweeps.report.gather import gather
from sweeps.report.methods import Method, grouped
from sweeps.report.model import Report
from sweeps.reporting import say_report

Write = Callable[[Sequence[Method], Path], Report]


def gathered(methods: Sequence[Method], folder: Path, command: str = "") -> Report:
    """Make the report of these methods and write it into the folder.

    Args:
        command: the `sweep compare` that it is the report of.
    """
    report = gather(methods, command=command)
    write_report(report, folder)
    return report


class Reporting:
    """The report of one comparison.

    Args:
        given: studies that are only read; they come after those that are run.
        output: the report's folder.
        write: makes and writes it; None: `gathered`.

    Raises:
        UsageError: the folder holds something else.
    """

    def __init__(
        self,
        surface: Surface,
        manifest: Manifest,
        storage: Path,
        given: Sequence[StudyResult],
        output: Path,
        write: Write | None = None,
    ) -> None:
        self._surface = surface
        self._labels = manifest.labels(storage)
        self._given = given
        self._output = output
        self._write = write or functools.partial(gathered, command=manifest.command)
        refuse_foreign(output)

    def so_far(self, studies: Sequence[StudyResult]) -> None:
        """Write it while the comparison goes on."""
        try:
            self._written(studies)
        except Interrupted:  # a signal came meanwhile
            raise
        except SweepError as error:
            self._surface.say(f"the report is not written yet: {error}", style="yellow")
        except Exception as error:
            self._surface.say(
                "the report is not written yet, for a defect in sweep"
                f" ({type(error).__name__}: {error}); the comparison goes on.",
                style="yellow",
            )

    def last(self, studies: Sequence[StudyResult]) -> Report | None:
        """Write it and say its verdict; None when no study can be read.

        Raises:
            SweepError: it cannot be written.
        """
        report = self._written(studies)
        if report is not None:
            say_report(self._surface, report, self._output)
        return report

    def _written(self, studies: Sequence[StudyResult]) -> Report | None:
        methods = grouped([*studies, *self._given], self._labels)
        return self._write(methods, self._output) if methods else None
