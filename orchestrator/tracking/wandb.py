"""Weights & Biases: one process holds the runs of all trials open, online or offline.

It waits for nobody's sake and retries nothing: calls block as wandb does, `outbox.py` stands in
front. Ours, not the Trainer's own callback: that one opens a run a process, which an exploit or
another worker would split, and it would block training while the server does not answer (90 s,
in every trial). Runs are made with `reinit="create_new"`, so that several are open at once;
`mode="shared"` is experimental and does not work offline.

A run's id is the study's (random, kept in `tracking/wandb-id`) and the trial's. Online a later
process goes on with the same run. Offline it must not: two offline folders with one id replace
each other at sync; so the id gets `-2`, `-3` ..., and the run is tagged with the trial.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.tracking.notices import in_one_line
from orchestrator.tracking.tracker import SUMMARY_NAMES, BestModel, OnNotice, Run, TrackerDied
from orchestrator.tracking.wandb_files import note_finished, note_opened, scrub_logs, upload, waits
from orchestrator.tracking.wandb_mode import address_without_login, wandb_mode

if TYPE_CHECKING:
    from search_spaces import SweepSpec

PROJECT = "huggingface"
"""The project when the sweep file and WANDB_PROJECT name none: the Trainer's own default."""

EXIT_CODES = {"finished": 0, "stopped": 0, "failed": 1, "interrupted": 255}
"""What a run ends with: 0 shows as finished, 255 as killed, the rest as failed."""

INIT_TIMEOUT_S = 20.0
FINISH_TIMEOUT_S = 20.0
MODEL_TIMEOUT_S = 120.0

_PROCESS_IS_GONE = ("MailboxClosedError", "HandleAbandonedError")
"""What wandb raises, beside ConnectionError, when its own process (wandb-core) is gone."""

_SETTINGS: dict[str, Any] = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "label_disable": True,
    "program": "sweep",  # else the path of this process's script
    "init_timeout": INIT_TIMEOUT_S,
    "finish_timeout": FINISH_TIMEOUT_S,
    "finish_timeout_raises": True,
    # The rest describes this process: it is not the one that trains, and one sampler a run would
    # cost a thread each. Host names and paths stay where they are.
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    # A killed process loses at most these seconds of an offline run, not wandb's 15.
    "x_transaction_log_flush_interval": 2.0,
}
"""Names with `x_` are wandb's experimental ones: they stand here only, and a test makes them."""


class WandbTracker:
    """Every trial's run, in one process.

    Args:
        spec: names the project, the entity and the mode.
        folder: the study's tracking folder; wandb's files go to `wandb` in it.
        on_notice: told when the mode is not the one the sweep file asks for.
    """

    def __init__(self, spec: SweepSpec, folder: Path, on_notice: OnNotice) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # wandb's reports about itself
        os.environ.update(address_without_login(os.environ))
        import wandb

        self._wandb = wandb
        self._spec = spec
        self._folder = folder
        mode, notice = wandb_mode(spec.tracking.mode, os.environ)
        if notice:
            on_notice(notice)
        self._mode: Any = mode
        folder.mkdir(parents=True, exist_ok=True)
        self._study_id = _study_id(folder / "wandb-id")
        self._runs: dict[str, Any] = {}
        self._stuck: set[str] = set()
        self._offline_folders = 0
        self._unfinished = 0
        scrub_logs(folder)  # of a process that was killed
        self._begin_library()

    def start_run(self, run: Run) -> None:
        """Open the trial's run, or take its changed configuration over.

        Raises:
            TrackerDied: wandb's own process is gone.
            Exception: the server did not answer in time, or refuses.
        """
        if run.trial in self._runs:
            self._guarded(self._runs[run.trial].config.update, run.config, allow_val_change=True)
        else:
            self._runs[run.trial] = self._guarded(self._open, run)

    def log(self, trial: str, values: Mapping[str, Any], step: int | None) -> None:
        """Log values at `train/global_step`, as the Trainer's integration does.

        Raises:
            TrackerDied: wandb's own process is gone.
            Exception: wandb refuses the values.
        """
        run = self._runs[trial]
        totals = {name: value for name, value in values.items() if name in SUMMARY_NAMES}
        if totals:
            self._guarded(run.summary.update, totals)
        rest: dict[str, Any] = {n: v for n, v in values.items() if n not in SUMMARY_NAMES}
        if rest and step is not None:
            rest["train/global_step"] = step
        if rest:
            self._guarded(run.log, rest)

    def finish_run(self, trial: str, state: str, summary: Mapping[str, Any]) -> None:
        """Close the run with an exit code by its state.

        What the server does not take within `FINISH_TIMEOUT_S` stays in the run's folder, and
        `close` says how to upload it.

        Raises:
            TrackerDied: wandb's own process is gone.
        """
        run = self._runs[trial]
        self._guarded(run.summary.update, dict(summary))
        self._finish(self._runs.pop(trial), EXIT_CODES.get(state, 1))

    def log_best_model(self, model: BestModel) -> None:
        """Upload the folder as one artifact of a run of its own, `<study>-best`.

        The best trial's run is finished by then, and offline cannot be opened again.

        Raises:
            TrackerDied: wandb's own process is gone.
            Exception: wandb refuses the folder.
        """
        run = self._guarded(
            self._open,
            Run(
                trial="best-model",
                name=f"{model.study}-best",
                group=self._spec.tracking.group or model.study,
                job_type="best-model",
                tags=tuple(self._spec.tracking.tags),
                config=model.metadata,
            ),
            finish_timeout=MODEL_TIMEOUT_S,
        )
        artifact = self._wandb.Artifact(
            f"{model.study}-best-model", type="model", metadata=model.metadata
        )
        artifact.add_dir(model.folder, skip_cache=True, policy="immutable")  # no second copy
        self._guarded(run.log_artifact, artifact, aliases=["best", model.trial])
        self._finish(run, 0)

    def close(self, timeout_s: float) -> tuple[str, ...]:
        """Close what is open as interrupted, and end wandb's process."""
        try:
            for trial in list(self._runs):
                self._finish(self._runs.pop(trial), EXIT_CODES["interrupted"])
            self._wandb.teardown()
        except (ConnectionError, TrackerDied) as error:
            return (f"wandb: closing failed: {in_one_line(error)}.", *self._words())
        return self._words()

    def _open(self, run: Run, **settings: Any) -> Any:
        base = f"{self._study_id}-{run.trial}"
        earlier = self._folders(base)
        if self._mode == "online":
            self._upload_first([folder for folder in earlier if waits(folder)])
        identity = self._identity(run.trial, base, len(earlier))
        again = self._mode == "offline" and earlier
        try:
            opened = self._wandb.init(
                project=self._spec.tracking.project or os.environ.get("WANDB_PROJECT") or PROJECT,
                entity=self._spec.tracking.entity,
                dir=self._folder,
                id=identity,
                name=run.name,
                group=run.group,
                job_type=run.job_type,
                tags=[*run.tags, *([run.trial] if again else [])],
                config=run.config,
                mode=self._mode,
                reinit="create_new",
                resume="allow" if self._mode == "online" else None,
                settings=self._wandb.Settings(**{**_SETTINGS, **settings}),
            )
        except Exception:
            for stump in set(self._folders(base)) - set(earlier):  # nothing was logged to it
                shutil.rmtree(stump, ignore_errors=True)
            self._give_up(identity)
            raise
        if identity != base and self._mode == "online":
            (self._folder / f"wandb-id-{run.trial}").write_text(f"{identity}\n")
        if self._mode == "online":
            note_opened(Path(opened.dir).parent)
        self._offline_folders += self._mode == "offline"
        opened.define_metric("train/global_step")
        opened.define_metric("*", step_metric="train/global_step", step_sync=True)
        return opened

    def _upload_first(self, waiting: list[Path]) -> None:
        """Upload what an earlier process left of a run that now goes on: afterwards it would
        replace what came later.

        Raises:
            TimeoutError: the server does not take it.
        """
        if upload(waiting, quiet_s=INIT_TIMEOUT_S):
            raise TimeoutError("what an earlier process left of the run cannot be uploaded yet")

    def _identity(self, trial: str, base: str, earlier: int) -> str:
        """Return the id that the trial's run gets in this process."""
        if self._mode == "offline":
            return f"{base}-{earlier + 1}" if earlier else base
        try:
            identity = (self._folder / f"wandb-id-{trial}").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            identity = base
        numbers = itertools.count(2)
        while identity in self._stuck:
            identity = f"{base}-r{next(numbers)}"
        return identity

    def _give_up(self, identity: str) -> None:
        """Let go of a run that did not begin.

        wandb's process holds its id as "in use" for ever. A new process frees it, but must not
        cost the runs that are open; beside them the trial's next attempt takes another id.
        """
        if self._runs:
            self._stuck.add(identity)
        else:
            self._end_library()

    def _finish(self, run: Any, exit_code: int) -> None:
        try:
            self._guarded(run.finish, exit_code=exit_code)
        except TimeoutError:
            self._unfinished += 1
        else:
            note_finished(Path(run.dir).parent)

    def _guarded(self, do: Any, *args: Any, **options: Any) -> Any:
        """Do it; when wandb's process is gone, end what is left of it, so that a new one starts."""
        try:
            return do(*args, **options)
        except Exception as error:
            if isinstance(error, ConnectionError) or type(error).__name__ in _PROCESS_IS_GONE:
                self._end_library()
                raise TrackerDied(in_one_line(error)) from error
            raise

    def _begin_library(self) -> None:
        self._wandb.setup(self._wandb.Settings(silent=True, console="off"))

    def _end_library(self) -> None:
        self._runs.clear()
        self._stuck.clear()
        with contextlib.suppress(ConnectionError):  # its process is the one that is gone
            self._wandb.teardown()
        self._begin_library()

    def _folders(self, base: str) -> list[Path]:
        """Return the run folders of a trial that earlier processes left."""
        named = re.compile(rf"(offline-)?run-\d+_\d+-{re.escape(base)}(-r?\d+)?")
        return [p for p in (self._folder / "wandb").glob("*run-*") if named.fullmatch(p.name)]

    def _words(self) -> tuple[str, ...]:
        words = []
        if self._offline_folders:
            words.append("wandb: runs are offline.")
        if self._unfinished:
            words.append(f"wandb: {self._unfinished} runs could not be uploaded in time.")
        if words:
            words[-1] += f" Upload them with: sweep sync {self._folder.parent}"
        return tuple(words)


def _study_id(path: Path) -> str:
    """Return the study's part of every run id: made once, so that a study of the same name in
    another folder never writes into this one's runs."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        made = secrets.token_hex(4)
        path.write_text(f"{made}\n", encoding="ascii")
        return made
