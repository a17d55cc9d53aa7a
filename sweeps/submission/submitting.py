"""`sweep submit`: pack, ask the cluster, start `sweep run` there, say how to follow it.

Knows no HTTP (`orchestrator/jobs.py`) and reads no sweep file (the command does). What can be
refused here is refused before the cluster is asked, and what only the cluster knows before the
study is started.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.errors import Unfit
from orchestrator.jobs import connect
from search_spaces import Sweep
from search_spaces.secrets import holds_secret
from sweeps import __version__
from sweeps.console import Surface
from sweeps.submission.following import as_json, follow
from sweeps.submission.readiness import ask, judged, question
from sweeps.submission.shipping import Parcel, pack
from sweeps.submission.wheel import write_wheel
from sweeps.text import command


@dataclass(frozen=True)
class Submission:
    """What was asked for beside the file.

    Attributes:
        storage: absolute, on the cluster.
        words: options of `sweep run`, or of `sweep resume`, that go with it as they are.
        smoke: the same sweep, tiny.
        resume: go on with the study of that name instead of beginning it.
        ship: send this package along.
        python: the interpreter on the cluster.
        wait: follow the job to its end.
    """

    address: str
    storage: str
    words: Sequence[str] = ()
    smoke: bool = False
    resume: bool = False
    ship: bool = False
    python: str = "python"
    wait: bool = False


def checked_storage(storage: Path | None) -> str:
    """Return the storage folder's path on the cluster.

    Raises:
        Unfit: none is named, or not by an absolute path of a file system.
    """
    mend = "give --storage with an absolute path that every node of the cluster sees."
    if storage is None:
        raise Unfit(
            "--storage: a submitted study needs a folder on the cluster. The working directory of"
            " a job, where the sweep file's own storage would lie, is deleted after it.",
            mend=mend,
        )
    text = str(storage)
    if not PurePosixPath(text).is_absolute() or ".." in storage.parts:
        raise Unfit(
            f"--storage: must be an absolute path on the cluster; got {text}. Object stores"
            " (s3://, gs://) are not supported.",
            mend=mend,
        )
    return text


def submit_sweep(surface: Surface, sweep: Sweep, asked: Submission) -> int:
    """Submit it, and with `wait` follow it to its end.

    Returns:
        The exit code: 0 once it is submitted; with `wait` the study's own.

    Raises:
        Unfit: something of it, or of the cluster, would not do; nothing was started.
        Unreachable: the cluster cannot be reached, or lacks the package; nothing was started.
    """
    spec = sweep.spec.shrunk() if asked.smoke else sweep.spec
    study = smoke_name(spec.name) if asked.smoke else spec.name
    looked_for = question(spec, asked.storage, ship=asked.ship)
    with tempfile.TemporaryDirectory(prefix="sweep-submit-") as made:
        folder = Path(made) / "parcel"
        folder.mkdir()
        parcel = pack(sweep, folder)
        entrypoint = run_command(parcel, asked, study)
        jobs = connect(asked.address)
        modules = (write_wheel(Path(made)),) if asked.ship else ()
        surface.say(f"asking {jobs.address} what it has ...", style="dim")
        answer = ask(jobs, looked_for, python=asked.python, modules=modules)
        ready = judged(spec, answer, storage=asked.storage, ship=asked.ship)
        surface.say(f"{jobs.address}: {ready.words}")
        for note in ready.notes:
            surface.say(f"note: {note}", style="yellow")
        job = f"{study}-{secrets.token_hex(3)}"
        jobs.submit(
            entrypoint,
            job=job,
            folder=folder,
            modules=modules,
            metadata={"study": study, "storage": asked.storage, "sweep": __version__},
        )
    travelled = ", ".join([*parcel.names, *(f"sweep {__version__} as a wheel" for _ in modules)])
    surface.say(f"submitted {job}: {study} in {asked.storage}; {travelled} travelled with it.")
    about = {"nodes": ready.nodes, "slots": ready.slots, "notes": list(ready.notes)}
    if asked.wait:
        return follow(surface, jobs, job, more=about)
    at = ["--address", jobs.address]
    surface.next_step(
        command("sweep", "job", "logs", job, "-f", *at),
        command("sweep", "job", "wait", job, *at),
        command("sweep", "job", "stop", job, *at),
    )
    surface.give({**as_json(jobs.job(job), jobs.address), **about})
    return 0


def smoke_name(name: str) -> str:
    """What `sweep run --smoke` calls the study, unless that is taken: then it counts up."""
    return name.removesuffix("-smoke")[:54] + "-smoke"


def run_command(parcel: Parcel, asked: Submission, study: str) -> str:
    """The command line that the job runs.

    `exec`, so that the signal and the exit code of the job are the study's own and not a shell's.

    Raises:
        Unfit: a secret seems to stand in it: everybody on the cluster can read it.
    """
    address = ["--address", "auto", "--storage", asked.storage, "--plain"]
    if asked.resume:
        words = ["resume", study, *address, *asked.words]
    else:
        moved = [word for override in parcel.overrides for word in ("--set", override)]
        file = f"./{parcel.file}" if parcel.file.startswith("-") else parcel.file
        smoke = ["--smoke"] if asked.smoke else []
        words = ["run", file, *address, *asked.words, *moved, *smoke]
    line = f"exec {command(asked.python, '-m', 'sweeps', *words)}"
    if holds_secret(line):
        raise Unfit(
            "a secret seems to stand in what the job would run (--storage, --set or --python),"
            " where everybody on the cluster can read it.",
            mend="take it out: keys and tokens come from the cluster's own environment.",
        )
    return line
