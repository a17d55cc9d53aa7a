"""A text stream whose reader may go away before the program is done.

A study does not end when the terminal or the pipe that it is shown on does: from then on what is
written goes nowhere. Any other trouble, a full disk say, is raised.
"""

from __future__ import annotations

import errno
import os
from typing import IO, Any

_NOBODY_READS = (errno.EPIPE, errno.EIO)


class Unread:
    """Writes as its stream does, and nowhere once nobody reads that any more."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write; raises OSError for anything but a reader that has gone."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._to_nowhere(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what was written; raises as `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            self._to_nowhere(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _to_nowhere(self, error: OSError) -> None:
        """Point the descriptor to nothing: what the stream still holds must go somewhere at exit.

        Raises:
            OSError: the error is another one.
        """
        if error.errno not in _NOBODY_READS:
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
