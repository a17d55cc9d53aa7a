"""What can go wrong while a study runs; each error owns its exit code.

SweepError (search_spaces)          1
├── SpecError (search_spaces)       2   the user's sweep file
├── StudyError                      1   a study cannot start, go on or be read
│   ├── Unfit                       2   machine or folder cannot run it; nothing was started
│   ├── StudyTaken                  4   its name is taken, or another process writes to it
│   ├── StudyUnreadable             5   its state cannot be read; nothing was changed
│   ├── DiskFull                    6   resumable once there is room
│   ├── Unreachable                 7   cluster or backend
│   └── Interrupted           128 + its number, by a signal; resumable
└── TrialError                      -   one trial; never ends a study by itself
"""

from __future__ import annotations

from search_spaces.errors import SweepError


class StudyError(SweepError):
    """A study cannot start, go on or be read.

    Args:
        rule: what is wrong: the rule, what was given, where.
        mend: what to do about it, without the word "mend".
    """

    exit_code = 1

    def __init__(self, rule: str, *, mend: str = "") -> None:
        super().__init__(f"{rule}\n    mend: {mend}" if mend else rule)
        self.rule = rule
        self.mend = mend


class Unfit(StudyError):
    """The machine or the folder cannot run what was asked for; nothing was started."""

    exit_code = 2


class StudyTaken(StudyError):
    """The study's name is taken, or another process writes to it."""

    exit_code = 4


class StudyUnreadable(StudyError):
    """The study's state cannot be read; nothing was changed."""

    exit_code = 5


class DiskFull(StudyError):
    """There is no room to go on; resumable."""

    exit_code = 6


class Unreachable(StudyError):
    """The cluster or a backend cannot be reached."""

    exit_code = 7


class Interrupted(StudyError):
    """A signal ended the run; resumable. `exit_code` is 128 + the signal's number."""

    def __init__(self, signal_number: int, rule: str, *, mend: str = "") -> None:
        super().__init__(rule, mend=mend)
        self.exit_code = 128 + signal_number


class TrialError(SweepError):
    """One trial failed.

    Args:
        kind: code, out_of_memory, diverged, infrastructure or hung; damaged, the checkpoint it
            was to start from; disk_full, which ends the study, resumable, and not the trial;
            no_metric (code), which ends the study for good.
        message: one line for a person.
        log: the last lines of the trial's log.
    """

    def __init__(self, kind: str, message: str, log: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.log = log

    def __reduce__(self) -> tuple[type[TrialError], tuple[str, str, str]]:
        return type(self), (self.kind, self.message, self.log)
