"""The commands for a cluster that is somewhere else: submit, and job status, logs, stop, wait.

They parse, call and print; `sweeps/submission/` is imported when they run. What acts on a job is a
group of its own because `sweep stop` takes a STUDY, which is a folder that this machine sees, and
a JOB is a name that only the cluster knows: one word for both would have to guess which is meant,
and ending the wrong one is dear.
"""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.app import app, read_file, reading_words
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import AllowCode, AsJson, File, Force, Name, Overrides, Plain, Storage
from sweeps.studies import UsageError

Cluster = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        help="The dashboard of a Ray cluster, http://HEAD:8265.",
        show_default=False,
    ),
]
JobName = Annotated[
    str,
    typer.Argument(metavar="JOB", help="What `sweep submit` named it.", show_default=False),
]

job_app = typer.Typer(
    name="job",
    help="Look at, follow and end a job that `sweep submit` started: status, logs, wait, stop.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(job_app)


@app.command()
@guarded
def submit(
    surface: Surface,
    file: File,
    address: Cluster,
    overrides: Overrides = None,
    name: Name = None,
    storage: Storage = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow its log; exit with the study's own code.")
    ] = False,
    ship: Annotated[
        bool,
        typer.Option(
            "--ship", help="Send this package along, for a cluster that has only what it needs."
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the study of that name instead of starting it."),
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="The same sweep, tiny: proves that the file runs, nothing more."
        ),
    ] = False,
    python: Annotated[
        str,
        typer.Option("--python", metavar="PYTHON", help="The interpreter to use on the cluster."),
    ] = "python",
    plain: Plain = False,
    as_json: AsJson = False,
    force: Force = False,
    allow_code: AllowCode = False,
) -> int:
    """Run a sweep file on a Ray cluster, as a job that outlives this command."""
    from sweeps.submission.submitting import Submission, checked_storage, submit_sweep

    if resume and smoke:
        raise UsageError(
            "--resume goes on with a study, and --smoke begins one.", mend="leave one of them out."
        )
    where = checked_storage(storage)
    sweep = read_file(surface, file, overrides, name=name, force=force, allow_code=allow_code)
    words = reading_words(overrides, force and not resume, allow_code)
    if not resume and name is not None:
        words += ["--name", name]
    return submit_sweep(
        surface,
        sweep,
        Submission(
            address=address,
            storage=where,
            words=words,
            smoke=smoke,
            resume=resume,
            ship=ship,
            python=python,
            wait=wait,
        ),
    )


@job_app.command()
@guarded
def status(surface: Surface, job: JobName, address: Cluster, as_json: AsJson = False) -> None:
    """Say how a job stands: pending, running, succeeded, failed or stopped."""
    from orchestrator.jobs import connect
    from sweeps.submission import following

    jobs = connect(address)
    told = jobs.job(job)
    following.tell(surface, told, jobs.address)
    surface.give(following.as_json(told, jobs.address))


@job_app.command()
@guarded
def logs(
    surface: Surface,
    job: JobName,
    address: Cluster,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job is over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a job has written so far."""
    from orchestrator.jobs import connect
    from sweeps.submission import following

    if follow and as_json:
        raise UsageError(
            "--json prints one object, and --follow prints lines as they come.",
            mend="leave --follow out, or use `sweep job wait --json`.",
        )
    jobs = connect(address)
    if follow:
        following.tell(surface, following.shown(surface, jobs, job), jobs.address)
        return
    text = jobs.log(job)
    if as_json:
        surface.give(following.log_data(job, jobs.address, text))
    else:
        surface.say(text.rstrip("\n"))


@job_app.command()
@guarded
def wait(surface: Surface, job: JobName, address: Cluster, as_json: AsJson = False) -> int:
    """Wait for a job's end and exit with its study's code."""
    from orchestrator.jobs import connect
    from sweeps.submission import following

    return following.follow(surface, connect(address), job, show_log=False)


@job_app.command()
@guarded
def stop(surface: Surface, job: JobName, address: Cluster, as_json: AsJson = False) -> None:
    """End a job now; its study keeps what was committed and can be resumed."""
    from orchestrator.jobs import connect
    from sweeps.submission import following

    jobs = connect(address)
    running = jobs.stop(job)
    ended = jobs.wait(job, limit_s=following.STOPPING_S)
    following.tell(surface, ended, jobs.address)
    surface.give({**following.as_json(ended, jobs.address), "was_running": running})
