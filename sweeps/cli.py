"""The console script: the program with all its commands.

What each command is called, takes and says at its end stands in `sweeps/commands/`, everything
that thinks elsewhere. Commands import what they need when they run, so that `sweep --help` and
`sweep validate` load neither ray nor torch nor transformers.
"""

from __future__ import annotations

import os
import sys

from orchestrator.errors import Unreachable
from sweeps.app import app

# Importing a group registers it; `sweep --help` lists them in this order.
# isort: off
from sweeps.commands import running  # noqa: F401
from sweeps.commands import submitting  # noqa: F401
from sweeps.commands import comparing  # noqa: F401
from sweeps.commands import beside  # noqa: F401
from sweeps.commands import files  # noqa: F401
from sweeps.commands import looking  # noqa: F401
from sweeps.commands import reporting  # noqa: F401
# isort: on


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
