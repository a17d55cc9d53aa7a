"""Which kind of failure an exception in a trial is; nothing is retried or counted here."""

from __future__ import annotations

import errno

import torch

from orchestrator.errors import TrialError
from search_spaces import SweepError
from search_spaces.secrets import scrubbed

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def trial_error(error: BaseException, log: str) -> TrialError:
    """Return the trial's failure for an exception out of its training.

    Args:
        error: what was raised. A failure of ours keeps its kind; running out of memory, on the
            device or the host, is out_of_memory; no room on the disk is disk_full; the rest is
            code.
        log: the last lines of the trial's log.
    """
    if isinstance(error, TrialError):
        return TrialError(error.kind, scrubbed(error.message), log)
    if isinstance(error, SweepError):
        return TrialError("code", scrubbed(str(error)), log)
    text = scrubbed(str(error)).strip()
    message = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return TrialError("out_of_memory", message, log)
    if isinstance(error, RuntimeError) and any(words in text.lower() for words in _OUT_OF_MEMORY):
        return TrialError("out_of_memory", message, log)
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:  # a fork of those that load data
        return TrialError("out_of_memory", message, log)
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return TrialError("disk_full", message, log)
    return TrialError("code", message, log)


def device_is_lost(error: BaseException) -> bool:
    """Whether no other trial can use the device from this process any more."""
    return isinstance(error, torch.AcceleratorError) and not isinstance(
        error, torch.OutOfMemoryError
    )
