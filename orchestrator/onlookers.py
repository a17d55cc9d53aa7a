"""Whoever is shown a study while it runs: the study does not end when they do.

Shows nothing itself. What is shown goes to a place that may go away before the study does: a pipe
whose reader ended, a log on a disk that is full. Then nothing more is shown there, and the study
goes on; all of it stands in the journal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


def as_long_as_it_can(show: Callable[P, None]) -> Callable[P, None]:
    """`show`, and nothing any more once its place is gone; may be called from any thread.

    Args:
        show: raises OSError when it cannot write, ValueError when its stream is closed, SystemExit
            when it takes that for the end of the process, as rich does for a pipe without reader.
            A ValueError while standard output and error are open is a mistake, and is raised.
    """
    gone = False

    def shown(*args: P.args, **keys: P.kwargs) -> None:
        nonlocal gone
        if gone:
            return
        try:
            show(*args, **keys)
        except (OSError, SystemExit):
            gone = True
        except ValueError:
            if not _is_closed():
                raise
            gone = True

    return shown


def _is_closed() -> bool:
    return any(stream is None or stream.closed for stream in (sys.stdout, sys.stderr))
