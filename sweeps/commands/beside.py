"""The commands for what stands beside a study's search: evaluate, finalists, replay.

They parse, call and print; `sweeps/errands.py`, which loads Ray, is imported when they run.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sweeps.app import app
from sweeps.console import Surface
from sweeps.guard import guarded
from sweeps.options import Address, AllowCode, AsJson, Plain, Storage, Study


class Split(StrEnum):
    """Splits that nothing was chosen by."""

    test = "test"


@app.command()
@guarded
def evaluate(
    surface: Surface,
    study: Study,
    split: Annotated[
        Split, typer.Option("--split", metavar="SPLIT", help="The split; only test is held out.")
    ] = Split.test,
    again: Annotated[
        bool, typer.Option("--again", help="Although it was looked at before; this is recorded.")
    ] = False,
    storage: Storage = None,
    address: Address = None,
    plain: Plain = False,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> int:
    """Evaluate the selected checkpoint on the test split, once; a run does it at its end."""
    from orchestrator.errands import evaluating
    from sweeps.errands import run_errand

    return run_errand(
        surface,
        study,
        lambda result: evaluating(result, again=again),
        f"evaluating on the {split.value} split",
        storage=storage,
        address=address,
        allow_code=allow_code,
    )


@app.command()
@guarded
def finalists(
    surface: Surface,
    study: Study,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", min=1, max=1000, help="How many configurations. Default: 3."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, max=1000, help="New seeds each. Default: 5.")
    ] = None,
    storage: Storage = None,
    address: Address = None,
    plain: Plain = False,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> int:
    """Train the best configurations again on new seeds, and crown the one with the best mean."""
    from orchestrator.errands import crowning
    from sweeps.errands import run_errand

    return run_errand(
        surface,
        study,
        lambda result: crowning(result, top_k, seeds),
        "training finalists",
        storage=storage,
        address=address,
        allow_code=allow_code,
    )


@app.command()
@guarded
def replay(
    surface: Surface,
    study: Study,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**32 - 1,
            help="What it trains with. Default: one derived from the study's seed.",
        ),
    ] = None,
    storage: Storage = None,
    address: Address = None,
    plain: Plain = False,
    as_json: AsJson = False,
    allow_code: AllowCode = False,
) -> int:
    """Train the winner's configuration or schedule from the start, as one run beside the study."""
    from orchestrator.errands import replaying
    from sweeps.errands import run_errand

    return run_errand(
        surface,
        study,
        lambda result: replaying(result, seed),
        "training its winner again",
        storage=storage,
        address=address,
        allow_code=allow_code,
    )
