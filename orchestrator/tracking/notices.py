"""What a tracking backend's troubles sound like to a person: each said once, in one line."""

from __future__ import annotations

from pathlib import Path

from orchestrator.tracking.tracker import OnNotice
from search_spaces.secrets import scrubbed

_LIMIT = 300

LATER = "`sweep sync` sends them, or the study when it is next resumed"
"""When lines that were kept go out, as a person is told."""


class Notices:
    """Says each thing about one backend once.

    Args:
        name: the backend's.
        tell: takes the sentences.
    """

    def __init__(self, name: str, tell: OnNotice) -> None:
        self.name = name
        self._tell = tell
        self._said: set[str] = set()

    def outage(self, why: str, kept_in: Path) -> None:
        """Say that the backend cannot be reached, once until it answers again."""
        self._once(
            "outage",
            f"{self.name} cannot be reached ({why}). Training goes on; what it misses is kept in "
            f"{kept_in} and sent when it answers.",
        )

    def answers(self) -> None:
        """Say that the backend is back, if an outage was said."""
        if "outage" in self._said:
            self._said.discard("outage")
            self._tell(f"{self.name} answers again; what was kept is being sent.")

    def disk(self, error: Exception) -> None:
        """Say that calls cannot be kept."""
        self._once("disk", f"{self.name}: lines cannot be kept: {in_one_line(error)}.")

    def refused(self, trial: str, error: Exception, path: Path) -> None:
        """Say that the backend will not take a call, and where the call is."""
        self._once(
            "refused", f"{self.name} refused a line of {trial} ({in_one_line(error)}); see {path}."
        )

    def _once(self, topic: str, text: str) -> None:
        if topic not in self._said:
            self._said.add(topic)
            self._tell(text)


def unsent_words(name: str, lines: int, trials: int, where: Path, dropped: int) -> tuple[str, ...]:
    """Return what is to be said of lines that did not go out, nothing when all did.

    Args:
        name: the backend's.
        lines: how many log lines are kept.
        trials: of how many trials something is kept.
        where: the file or folder that keeps them.
        dropped: lines that are not kept here at all.
    """
    words: list[str] = []
    if trials:
        words.append(f"{name}: {lines} lines not sent, kept in {where}; {LATER}.")
    if dropped:
        words.append(
            f"{name}: {dropped} lines could not be kept or came after their trial's end; "
            "every line stands in trials/<id>/history.jsonl."
        )
    return tuple(words)


def in_one_line(error: BaseException) -> str:
    """Return the error's type and text in at most 300 characters, without secrets."""
    text = " ".join(scrubbed(f"{type(error).__name__}: {error}").split()).removesuffix(":")
    return text if len(text) <= _LIMIT else text[: _LIMIT - 3] + "..."
