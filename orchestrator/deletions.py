"""Deletes checkpoints that nobody refers to any more, beside the study.

Does not choose them (`retention.py` does). One after the other, in a thread of its own: a slow
disk holds up no report. What was not begun when a study is interrupted is named again by the one
who resumes it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Deletions:
    """A queue of checkpoints to delete.

    Args:
        folder: the study's.
        on_notice: takes sentences for a person, from this thread: what could not be deleted.
    """

    def __init__(self, folder: Path, on_notice: Callable[[str], None]) -> None:
        self._folder = folder
        self._on_notice = on_notice
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="delete")

    def add(self, path: str) -> None:
        """Delete a checkpoint, its path relative to the study's folder; returns at once."""
        self._thread.submit(self._delete, path)

    def end(self, *, hurried: bool) -> None:
        """Wait for all that is queued; hurried: for nothing, and what is not begun is left."""
        self._thread.shutdown(wait=not hurried, cancel_futures=hurried)

    def _delete(self, path: str) -> None:
        from orchestrator.checkpoints import remove

        try:
            remove(self._folder / path)
        except OSError as error:
            self._on_notice(f"{path} is not needed, but cannot be deleted: {error}")
