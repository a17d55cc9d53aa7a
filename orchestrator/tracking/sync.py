"""Sends what a study's trackers missed, after it: lines kept in outboxes, runs kept in files.

Needs neither Ray nor a running study, and must not run beside one: the caller holds the study's
lock. Files go first: a run that goes on at the server is told nothing before it holds all that
came earlier.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.backends import in_force, open_outboxes
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.tracker import OnNotice
from orchestrator.tracking.wandb_files import (
    SYNC_LOG,
    UPLOAD_QUIET_S,
    scrub_logs,
    upload,
    waiting_runs,
)
from orchestrator.tracking.wandb_mode import has_key

if TYPE_CHECKING:
    from search_spaces import SweepSpec


@dataclass(frozen=True)
class Unsent:
    """What trackers do not hold yet.

    Attributes:
        calls: of any kind that wait in outboxes.
        lines: those of them that are log lines.
        runs: W&B's run folders that wait to be uploaded.
    """

    calls: int
    lines: int
    runs: int

    def __bool__(self) -> bool:
        return bool(self.calls or self.runs)


@dataclass(frozen=True)
class Synced:
    """What came of it: how much there was, and how much is left."""

    before: Unsent
    left: Unsent


def unsent(tracking_folder: Path) -> Unsent:
    """Count what waits in a study's tracking folder; nothing without one."""
    backlogs = [Backlog(path) for path in sorted(tracking_folder.glob("unsent/*/*.jsonl"))]
    return Unsent(
        calls=sum(backlog.unsent for backlog in backlogs),
        lines=sum(backlog.unsent_lines for backlog in backlogs),
        runs=len(waiting_runs(tracking_folder)),
    )


def sync_study(
    spec: SweepSpec,
    tracking_folder: Path,
    *,
    on_notice: OnNotice,
    timeout_s: float = 30.0,
    quiet_s: float = UPLOAD_QUIET_S,
) -> Synced:
    """Send what a study could not send while it ran.

    Args:
        spec: the study's sweep.
        tracking_folder: `tracking` in the study's folder, absolute.
        on_notice: told why something stays unsent; may be called from any thread.
        timeout_s: waits no longer for a call that does not get through.
        quiet_s: waits no longer for one more run to be uploaded.

    Raises:
        OSError: what was kept cannot be read.
    """
    before = unsent(tracking_folder)
    if not before:
        return Synced(before, before)
    spec, words = in_force(spec)
    for word in words:
        on_notice(word)
    backends = spec.tracking.backends
    if "wandb" in backends and not _uploaded(tracking_folder, on_notice, quiet_s):
        backends = tuple(name for name in backends if name != "wandb")
    if backends and before.calls:
        tracking = spec.tracking.model_copy(update={"backends": backends})
        kept = spec.model_copy(update={"tracking": tracking})
        open_outboxes(kept, tracking_folder, on_notice).close(timeout_s)
        if "wandb" in backends:  # lines of an offline study went into one more file
            _uploaded(tracking_folder, on_notice, quiet_s)
    scrub_logs(tracking_folder)
    return Synced(before, unsent(tracking_folder))


def _uploaded(tracking_folder: Path, on_notice: OnNotice, quiet_s: float) -> bool:
    """Upload the runs that wait; False: the server did not take them all."""
    waiting = waiting_runs(tracking_folder)
    if not waiting:
        return True
    if os.environ.get("WANDB_MODE", "").strip().lower() in ("offline", "dryrun"):
        on_notice(f"wandb: WANDB_MODE is offline, so {len(waiting)} runs stay in their files.")
        return True
    if not has_key(os.environ):
        on_notice(
            f"wandb: {len(waiting)} runs wait in their files; uploading needs an API key.\n"
            "    mend: run `wandb login`."
        )
        return True
    left = upload(waiting, quiet_s=quiet_s)
    if left:
        on_notice(
            f"wandb: its server did not take {len(left)} of {len(waiting)} runs in time; "
            f"see {tracking_folder / SYNC_LOG}."
        )
    return not left
