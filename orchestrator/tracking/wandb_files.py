"""Runs that W&B's server does not hold whole: which run folders those are, and their upload.

Opens no run and sends no line (`wandb.py` does). An offline folder waits until wandb has put its
own mark beside the run's file. An online one waits from the moment it is opened until it was
finished in time, as a note of ours says: what a killed process or a server that went away left
behind. Uploading is `wandb sync`, in a process of its own with a bound, because it tries for ever
when the server does not answer; it sends a run whole, so a run that arrived in part is replaced.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.tracking.wandb_mode import address_without_login
from search_spaces.secrets import scrubbed

SYNC_LOG = "wandb-sync.log"
_NOTES = "wandb-open"
_MARK = ".synced"
_POLL_S = 0.05
_LARGEST_LOG = 16 << 20
UPLOAD_QUIET_S = 60.0
"""How long an upload may go on without one more run arriving."""


def note_opened(run_folder: Path) -> None:
    """Note that an online run was opened; `run_folder` stands in `wandb` of the tracking folder."""
    note = _note(run_folder)
    note.parent.mkdir(exist_ok=True)
    note.touch()


def note_finished(run_folder: Path) -> None:
    """Note that the server has all of an online run."""
    _note(run_folder).unlink(missing_ok=True)


def waits(run_folder: Path) -> bool:
    """Whether the server is not known to hold all of the folder's run."""
    if any(run_folder.glob(f"*.wandb{_MARK}")) or not any(run_folder.glob("*.wandb")):
        return False
    return run_folder.name.startswith("offline-run-") or _note(run_folder).exists()


def waiting_runs(tracking_folder: Path) -> list[Path]:
    """Run folders of a study that wait to be uploaded, the oldest first; [] without any."""
    return sorted(
        (p for p in (tracking_folder / "wandb").glob("*run-*") if not p.is_symlink() and waits(p)),
        key=lambda p: p.name.removeprefix("offline-"),
    )


def upload(run_folders: Sequence[Path], *, quiet_s: float = UPLOAD_QUIET_S) -> list[Path]:
    """Upload run folders of one study; return those that could not be.

    Args:
        run_folders: of `waiting_runs`.
        quiet_s: gives up when so long none arrived.
    """
    if not run_folders:
        return []
    tracking_folder = run_folders[0].parents[1]
    with (tracking_folder / SYNC_LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "wandb", "sync", "--include-online", *map(str, run_folders)],
            cwd=tracking_folder,  # wandb puts its own log in `wandb` there
            env={
                **os.environ,
                **address_without_login(os.environ),
                "WANDB_MODE": "online",
                "WANDB_ERROR_REPORTING": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, run_folders, quiet_s)
    finally:
        with contextlib.suppress(ProcessLookupError):  # wandb's own process is in the group too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    left = []
    for folder in run_folders:
        if any(folder.glob(f"*.wandb{_MARK}")):
            note_finished(folder)
        else:
            left.append(folder)
    return left


def scrub_logs(tracking_folder: Path) -> None:
    """Take secrets out of wandb's own logs, which hold what its server and its proxy said."""
    for path in tracking_folder.rglob("*.log"):
        with contextlib.suppress(OSError):  # another process's, or being deleted
            if path.is_symlink() or path.stat().st_size > _LARGEST_LOG:
                continue
            text = path.read_text("utf-8", "surrogateescape")
            clean = scrubbed(text)
            if clean != text:
                path.write_text(clean, "utf-8", "surrogateescape")


def _wait(process: subprocess.Popen[bytes], folders: Sequence[Path], quiet_s: float) -> None:
    arrived, since = 0, time.monotonic()
    while process.poll() is None and time.monotonic() - since < quiet_s:
        now = sum(any(folder.glob(f"*.wandb{_MARK}")) for folder in folders)
        if now > arrived:
            arrived, since = now, time.monotonic()
        time.sleep(_POLL_S)


def _note(run_folder: Path) -> Path:
    return run_folder.parents[1] / _NOTES / run_folder.name
