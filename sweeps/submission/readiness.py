"""Whether a cluster has what a study needs, before it is submitted: asked there, judged here.

The asking itself is `orchestrator/cluster_check.py`, a job of a few seconds. A look from here would
be a guess: which storage nodes share, which keys and versions they have, only they know. What would
make the study fail is an error now, everything at once; what would only change how it runs
is a note.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster import slots_for
from orchestrator.cluster_check import MARK, QUESTION
from orchestrator.errors import StudyError, Unfit, Unreachable
from orchestrator.jobs import Jobs
from search_spaces import SweepSpec
from sweeps import __version__
from sweeps.submission.shipping import data_paths
from sweeps.submission.wheel import DISTRIBUTION, requirements
from sweeps.text import command, count, last_lines, number

CHECK = "orchestrator.cluster_check"
LIMIT_S = 300.0
"""For the check: a node may have to download the job's environment, or come up first."""

_SHOWN_LINES = 8
_TOKENS: dict[str, dict[str, list[str]]] = {
    "Hugging Face": {
        "variables": ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"],
        "files": ["~/.cache/huggingface/token"],
    }
}


@dataclass(frozen=True)
class Readiness:
    """A cluster that can run the study.

    Attributes:
        nodes: how many were alive.
        cpus, gpus: of all of them.
        slots: trials that it trains at once.
        notes: sentences about what will be otherwise than one may expect.
    """

    nodes: int
    cpus: float
    gpus: float
    slots: int
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The cluster in half a sentence."""
        gpus = f", {number(self.gpus)} GPUs" if self.gpus else ""
        return (
            f"{count(self.nodes, 'node')}, {number(self.cpus)} CPUs{gpus}:"
            f" {count(self.slots, 'trial')} at a time"
        )


def question(spec: SweepSpec, storage: str, *, ship: bool) -> dict[str, Any]:
    """What the cluster is asked; holds no secret.

    Raises:
        Unfit: a path of the sweep file is relative.
    """
    return {
        "storage": storage,
        "requirements": list(requirements()) if ship else [],
        "paths": data_paths(spec),
        "tracking": spec.tracking.mode if "wandb" in spec.tracking.backends else "",
        "tokens": _TOKENS,
    }


def ask(
    jobs: Jobs,
    asked: Mapping[str, Any],
    *,
    python: str = "python",
    modules: tuple[Path, ...] = (),
) -> dict[str, Any]:
    """Run the check on the cluster and return its answer.

    Raises:
        Unreachable: no answer came; the job's last lines say why, and it stays in the cluster's
            list to be looked at.
    """
    job = f"sweep-check-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="sweep-check-") as folder:
        script = importlib.util.find_spec(CHECK)
        if script is None or script.origin is None:
            raise Unfit(f"{CHECK} is not installed as a file.", mend="install the package anew.")
        shutil.copy(script.origin, Path(folder) / "cluster_check.py")
        (Path(folder) / QUESTION).write_text(json.dumps(asked), "utf-8")
        jobs.submit(
            f"exec {command(python, 'cluster_check.py')}",
            job=job,
            folder=Path(folder),
            modules=modules,
            metadata={"what": "the check before sweep submit"},
        )
    try:
        ended = jobs.wait(job, limit_s=LIMIT_S)
    except KeyboardInterrupt:
        jobs.stop(job)
        raise
    if not ended.is_over:
        jobs.stop(job)
        raise Unreachable(
            f"the check on {jobs.address} did not end within {LIMIT_S:g} s (job {job}, last"
            f" {ended.state}).",
            mend="look at the cluster with `ray status` on its head: has it a node that can start"
            " a process?",
        )
    log = jobs.log(job)
    answer = _answer_in(log)
    if answer is None:
        raise _no_answer(jobs.address, job, ended.exit_code, log or ended.message, python)
    jobs.forget(job)
    return answer


def _answer_in(log: str) -> dict[str, Any] | None:
    for line in reversed(log.splitlines()):
        if line.startswith(MARK):
            try:
                answer = json.loads(line.removeprefix(MARK))
            except ValueError:
                return None
            return answer if isinstance(answer, dict) else None
    return None


def _no_answer(address: str, job: str, code: int | None, log: str, python: str) -> Unreachable:
    if code in (126, 127):
        return Unreachable(
            f"{address}: Ray's processes there find no {python} that can be run.",
            mend="name the interpreter that Ray and this package are installed for on the cluster:"
            " --python ENVIRONMENT/bin/python.",
        )
    ended = "never ran" if code is None else f"ended with {code}"
    return Unreachable(
        f"the check on {address} {ended} (job {job}). The last it said:\n"
        f"{last_lines(log, _SHOWN_LINES) or '(nothing)'}",
        mend="mend what it names on the cluster. With --ship, pip must be there for Ray to install"
        " the wheel.",
    )


def judged(
    spec: SweepSpec,
    answer: Mapping[str, Any],
    *,
    storage: str,
    ship: bool,
    environ: Mapping[str, str] | None = None,
) -> Readiness:
    """What the answer means for the study.

    Args:
        answer: from `ask`.
        environ: this process's, for what is there here and not on the cluster.

    Raises:
        Unreachable: the package is not on every node, or of another version.
        Unfit: storage, data or room would not do. All that is wrong is in the one error.
    """
    nodes: list[Mapping[str, Any]] = answer["nodes"]
    asked = [node for node in nodes if "silent" not in node]
    silent = [node for node in nodes if "silent" in node]
    everywhere = [answer["driver"], *asked]
    faults: list[StudyError] = []
    if silent:
        faults.append(
            Unreachable(
                f"{_hosts(silent)} did not answer: {silent[0]['silent']}.",
                mend="look at it with `ray status` on the head, or take it out of the cluster.",
            )
        )
    faults += _package_faults(everywhere, ship=ship)
    faults += _storage_faults(storage, answer, asked)
    faults += _data_faults(spec, everywhere)
    cpus, gpus = (float(answer["resources"].get(name, 0.0)) for name in ("CPU", "GPU"))
    slots = 0
    try:
        slots = slots_for(spec, cpus, gpus)
    except Unfit as error:
        faults.append(error)
    if faults:
        kind = Unreachable if any(isinstance(f, Unreachable) for f in faults) else Unfit
        raise kind("\n".join(str(fault) for fault in faults) + "\nNothing was started.")
    notes = [*_key_notes(spec, answer["driver"], os.environ if environ is None else environ)]
    if len(nodes) == 1:
        notes.append(
            f"the cluster has one node now; if it grows, every node must see {storage} as the same"
            " folder."
        )
    return Readiness(len(nodes), cpus, gpus, slots, tuple(notes))


def _package_faults(everywhere: list[Mapping[str, Any]], *, ship: bool) -> list[StudyError]:
    wrong = [node for node in everywhere if node["package"] != __version__]
    if wrong:
        there = sorted({node["package"] or "none" for node in wrong})
        python = ", ".join(sorted({node["python"] for node in wrong}))
        mend = (
            "the wheel did not get there: look whether pip can be found by Ray's processes."
            if ship
            else f'pip install "{DISTRIBUTION}=={__version__}" on every node, into Ray\'s'
            " environment; or let it travel with the job: --ship."
        )
        return [
            Unreachable(
                f"{DISTRIBUTION} {__version__} must be on the cluster; on {_hosts(wrong)} there is"
                f" {' and '.join(there)} (Python {python}).",
                mend=mend,
            )
        ]
    lacking = [node for node in everywhere if node["lacking"]]
    if lacking:
        needed = sorted({name for node in lacking for name in node["lacking"]})
        return [
            Unreachable(
                f"{DISTRIBUTION} travels without what it needs, and {_hosts(lacking)} lacks"
                f" {', '.join(needed)}.",
                mend=f'pip install "{DISTRIBUTION}=={__version__}" there, or those.',
            )
        ]
    return []


def _storage_faults(
    storage: str, answer: Mapping[str, Any], asked: list[Mapping[str, Any]]
) -> list[StudyError]:
    if answer["storage_fault"]:
        return [
            Unfit(
                f"--storage: {storage} cannot be used on {answer['driver']['host']}:"
                f" {answer['storage_fault']}.",
                mend="name a folder there that can be made or written to.",
            )
        ]
    blind = [node for node in asked if not node["sees_storage"]]
    if blind:
        return [
            Unfit(
                f"--storage: all {len(asked)} nodes must see {storage} as the same folder; a file"
                f" made on {answer['driver']['host']} is not there on {_hosts(blind)}. Checkpoints"
                " would be lost with the node that wrote them.",
                mend="name a folder on a file system that they share (NFS, Lustre ...).",
            )
        ]
    locked = [node for node in asked if not node["writes_storage"]]
    if locked:
        return [
            Unfit(
                f"--storage: {storage} cannot be written to on {_hosts(locked)}.",
                mend="let the user that Ray runs as there write to it.",
            )
        ]
    return []


def _data_faults(spec: SweepSpec, everywhere: list[Mapping[str, Any]]) -> list[StudyError]:
    faults: list[StudyError] = []
    for key, path in data_paths(spec).items():
        without = [node for node in everywhere if key in node["missing"]]
        if without:
            faults.append(
                Unfit(
                    f"{key.partition(' ')[0]}: there is no {path} on {_hosts(without)}.",
                    mend="put it where every node sees it; data and models do not travel.",
                )
            )
    return faults


def _key_notes(spec: SweepSpec, driver: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    notes = []
    host = driver["host"]
    if "wandb" in spec.tracking.backends and driver["tracking"] == "offline":
        asked = spec.tracking.mode
        if asked in ("auto", "online"):
            notes.append(
                f"{host} has no W&B key: runs are written offline into the study's folder, and"
                " `sweep sync` sends them from a machine that has one. Keys do not travel: set"
                " WANDB_API_KEY for the cluster's Ray, or log in there with `wandb login`."
            )
    for name, places in _TOKENS.items():
        here = any(environ.get(variable) for variable in places["variables"]) or any(
            Path(path.replace("~", environ.get("HOME", "~"), 1)).exists()
            for path in places["files"]
        )
        if here and name not in driver["tokens"]:
            notes.append(
                f"there is a token for {name} here and none on {host}: private and gated models"
                " cannot be loaded there. Tokens do not travel: set"
                f" {places['variables'][0]} for the cluster's Ray, or log in there."
            )
    return notes


def _hosts(nodes: list[Mapping[str, Any]]) -> str:
    names = sorted({str(node["host"]) for node in nodes})
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
