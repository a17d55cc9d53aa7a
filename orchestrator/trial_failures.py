"""Which kind of failure an exception in a trial is; nothing is retried or counted here."""

from __future__ import annotations

import errno
from pathlib import Path

import torch

from orchestrator.disk import full_elsewhere
from orchestrator.errors import TrialError
from search_spaces import SweepError
from search_spaces.secrets import scrubbed

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def trial_error(error: BaseException, log: str, folder: Path | None = None) -> TrialError:
    """Return the trial's failure for an exception out of its training.

    Args:
        error: what was raised. A failure of ours keeps its kind; running out of memory, on the
            device or the host, is out_of_memory; no room on the study's disk is disk_full; the
            rest is code, no room on another disk too: waiting for room here would not help it.
        log: the last lines of the trial's log.
        folder: the study's; None: no room anywhere is disk_full.
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
        elsewhere = None if folder is None else full_elsewhere(folder, error)
        if elsewhere is None:
            return TrialError("disk_full", message, log)
        message += f"; the study's own disk is not what is full, but that of {elsewhere}"
    return TrialError("code", message, log)


def device_is_lost(error: BaseException) -> bool:
    """Whether no other trial can use the device from this process any more."""
    return isinstance(error, torch.AcceleratorError) and not isinstance(
        error, torch.OutOfMemoryError
    )
