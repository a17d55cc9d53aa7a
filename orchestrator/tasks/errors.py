"""What a task finds wrong with the user's data, model or task file, before a trial starts.

A `TaskError` is one mistake with its rule, what was given and how to mend it; it never carries
a library's own words as its only text. Nothing was started when one is raised by `prepare`.
"""

from __future__ import annotations

from search_spaces.errors import SweepError, printable


class TaskError(SweepError):
    """Data, model, tokenizer or task file cannot be used as the sweep file says.

    Args:
        rule: what must hold and what was found, with its place (file, split, row, column).
        mend: what to do about it, without the word "mend".
    """

    exit_code = 2

    def __init__(self, rule: str, *, mend: str = "") -> None:
        self.rule = printable(rule, 1500)
        self.mend = printable(mend, 1500)
        super().__init__(f"{self.rule}\n    mend: {self.mend}" if mend else self.rule)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.rule, self.mend)


class HubUnreachable(TaskError):
    """The Hugging Face Hub does not answer and what is needed is not on this machine."""

    exit_code = 7


ERRORS: dict[str, type[TaskError]] = {cls.__name__: cls for cls in (TaskError, HubUnreachable)}
"""By name, for those that come from another process."""


def _rebuilt(cls: type[TaskError], rule: str, mend: str) -> TaskError:
    return cls(rule, mend=mend)


def first_line(error: BaseException) -> str:
    """The first line of a library's message, or the error's name when it says nothing."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
