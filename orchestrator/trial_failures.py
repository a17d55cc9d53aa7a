"""Which kind of failure an exception in a trial is; nothing is retried or counted here.

What a library says is all there is to go by, and it says it in words: they are listed here.
"""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import torch

from orchestrator.disk import full_elsewhere
from orchestrator.errors import TrialError
from search_spaces import SweepError
from search_spaces.secrets import scrubbed

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of shared memory",
    "is killed by signal: killed",  # a process that loads data; nobody but the kernel does that
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "_allocation_failed",  # cuDNN 9 says which: CUDNN_STATUS_..._HOST_ALLOCATION_FAILED
)
_DEVICE_ASSERT = ("device-side assert triggered", "cudaerrorassert")
"""Not less: every error of CUDA says how to "enable device-side assertions"."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_LOST_RANK = ("/gloo/", "connection closed by peer")
"""Of gloo, whose errors have no class of their own; the first is where its files stand."""


def trial_error(error: BaseException, log: str, folder: Path | None = None) -> TrialError:
    """Return the trial's failure for an exception out of its training.

    Args:
        error: what was raised. A failure of ours keeps its kind; running out of memory, on the
            device or the host, is out_of_memory; an error of the device that is no failed
            assertion of the code on it, or of a collective operation, is infrastructure; no room on
            the study's disk is disk_full; the rest is code, no room on another disk too: waiting
            for room here would not help it.
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
    if isinstance(error, RuntimeError) and _says(text, _OUT_OF_MEMORY):
        return TrialError("out_of_memory", message, log)
    if isinstance(error, RuntimeError) and _killed_loaders(error):
        return TrialError("out_of_memory", f"{message}: killed, as memory had run out", log)
    if is_of_the_group(error):
        return TrialError("infrastructure", message, log)
    if device_is_lost(error) and not _says(text, _DEVICE_ASSERT):  # it may be the device's fault
        return TrialError("infrastructure", message, log)
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


def is_of_the_group(error: BaseException) -> bool:
    """Whether a collective operation failed: mostly because another rank is gone."""
    if isinstance(error, getattr(torch.distributed, "DistError", ())):
        return True
    return isinstance(error, RuntimeError) and _says(str(error), _LOST_RANK)


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text.lower() for word in words)


def _killed_loaders(error: BaseException) -> bool:
    """Whether the DataLoader raised this because a process that loads its data got SIGKILL.

    Outside the main thread, where training is, PyTorch says only that it "exited unexpectedly";
    by which signal, only a local variable of the function that raises knows. A test fails when it
    is called otherwise.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return False
    loaders = frame.tb_frame.f_locals.get("failed_workers") or ()
    return any(getattr(loader, "exitcode", None) == -signal.SIGKILL for loader in loaders)
