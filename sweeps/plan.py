"""What a sweep file would run, worked out and shown: pure arithmetic on a `SweepSpec`.

Starts nothing, and loads Ray only to ask a cluster's size (`--address`). Numbers are upper bounds:
early stopping, a budget or failures end a study sooner. The configurations listed are those the
searcher hands out whatever the results (all of a grid, random's draws, a population's members);
a Bayesian search depends on results, so only its fixed start is known.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from orchestrator.cluster import join_ray, slots, slots_for
from orchestrator.disk import Need, free_bytes, need, stored_parameters
from orchestrator.events import Config, TrialProposed
from orchestrator.searchers import given_proposals, make_searcher
from orchestrator.tasks.configs import task_configs
from search_spaces import SweepSpec
from sweeps.text import count, number, setting, short_names, size
from sweeps.views import METHOD_WORDS, SMOKE, cell, table

LISTED = 100
"""Configurations worked out at most."""

SHOWN = 24
"""Configurations shown to a person; more are counted."""


@dataclass(frozen=True)
class Plan:
    """What would run.

    Attributes:
        trials: at most; None when only a budget of time ends the study.
        epochs_each: the fewest and the most epochs of a trial's budget.
        epochs: of all trials together at most; None when trials is.
        boundaries: evaluations a trial, fewest and most; None when that depends on the data.
        slots: trials at the same time.
        workers: processes that train each of them together.
        rounds: how often all slots are filled; None when trials is.
        first: number, origin and configuration of the trials known beforehand.
        beside: what is trained or evaluated beside the search, one sentence each.
        disk: what the checkpoints take; None when the model's size is not known beforehand.
        disk_free: bytes free where the study would stand.
    """

    trials: int | None
    epochs_each: tuple[float, float]
    epochs: float | None
    boundaries: tuple[int, int] | None
    slots: int
    workers: int
    rounds: int | None
    first: tuple[tuple[int, str, Config], ...]
    beside: tuple[str, ...]
    disk: Need | None
    disk_free: int

    def as_json(self) -> dict[str, Any]:
        """Plain data for `sweep plan --json`."""
        return {
            "trials": self.trials,
            "epochs_per_trial": {"min": self.epochs_each[0], "max": self.epochs_each[1]},
            "epochs": self.epochs,
            "boundaries_per_trial": None
            if self.boundaries is None
            else {"min": self.boundaries[0], "max": self.boundaries[1]},
            "slots": self.slots,
            "workers_per_trial": self.workers,
            "rounds": self.rounds,
            "beside": list(self.beside),
            "disk": {
                "checkpoint_bytes": None if self.disk is None else self.disk.checkpoint,
                "kept_bytes": None if self.disk is None else self.disk.bytes_kept,
                "most_bytes": None if self.disk is None else self.disk.bytes_most,
                "free_bytes": self.disk_free,
            },
            "first": [
                {"number": number, "origin": origin, "config": config}
                for number, origin, config in self.first
            ],
        }


def make_plan(spec: SweepSpec, address: str | None = None) -> Plan:
    """Work out what would run.

    Args:
        address: a running Ray cluster to plan for; None for this machine.

    Raises:
        StudyError: not even one trial fits, or the cluster cannot be reached.
    """
    first = _first_configs(spec)
    trials = spec.trial_limit
    known = [config for _, _, config in first]
    exact = len(known) == trials
    bounds = known if exact else [*known, *_extremes(spec)]
    lengths = [spec.epochs(config) for config in bounds]
    fit = _slots(spec, address)
    epochs = None if trials is None else math.fsum(lengths) if exact else trials * max(lengths)
    if spec.budget.epochs is not None:
        epochs = spec.budget.epochs if epochs is None else min(epochs, spec.budget.epochs)
    return Plan(
        trials=trials,
        epochs_each=(min(lengths), max(lengths)),
        epochs=epochs,
        boundaries=_boundaries(spec, bounds),
        slots=fit,
        workers=spec.resources.workers,
        rounds=None if trials is None else math.ceil(trials / fit),
        first=first,
        beside=_beside(spec),
        disk=_disk(spec, fit),
        disk_free=free_bytes(Path(spec.storage)),
    )


def _beside(spec: SweepSpec) -> tuple[str, ...]:
    """What budgets do not count: the control of a grid, finalists, and the look at the test split.

    Whether the test split's labels are hidden, only the data can say.
    """
    said = []
    if spec.method == "grid" and spec.tries_default:
        said.append("beside the grid: the default configuration, 1 trial")
    if spec.finalists is not None:
        runs = spec.finalists.top_k * spec.finalists.seeds
        said.append(
            f"after the search: {count(runs, 'finalist')}, the best"
            f" {count(spec.finalists.top_k, 'configuration')} on"
            f" {count(spec.finalists.seeds, 'new seed')} each"
        )
    if "test" in spec.task.dataset.splits:
        said.append(
            "at the end: the selected checkpoint is evaluated on the test split, once (unless its"
            " labels are hidden)"
        )
    elif not spec.task.is_own_file:
        said.append("no test split: the best has no figure but the one that it is chosen by")
    return tuple(said)


def _disk(spec: SweepSpec, slots: int) -> Need | None:
    """What the checkpoints of the largest model take, when every model's size is known."""
    models = {spec.task_for(config).model for config in task_configs(spec)}
    sizes = [None if spec.smoke else stored_parameters(model) for model in models]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        return None
    return need(spec, max(known), slots, smallest=min(known))


def _first_configs(spec: SweepSpec) -> tuple[tuple[int, str, Config], ...]:
    """The trials whose configuration no result can change."""
    if spec.method == "bayes":
        return tuple((n, p.origin, p.config) for n, p in enumerate(given_proposals(spec)))
    searcher = make_searcher(spec)
    found: list[tuple[int, str, Config]] = []
    for n in range(LISTED):
        proposal = searcher.propose(n)
        if proposal is None:
            break
        found.append((n, proposal.origin, proposal.config))
        searcher.observe(
            TrialProposed(
                trial=str(n),
                number=n,
                config=proposal.config,
                origin=proposal.origin,
                boundaries=1,
                epochs=1.0,
            )
        )
    return tuple(found)


def _extremes(spec: SweepSpec) -> list[Config]:
    """Configurations with the smallest and the largest budget of the space."""
    default = spec.default_config()
    domain = spec.space.get("num_train_epochs")
    if domain is None:
        return [default]
    return [{**default, "num_train_epochs": domain.clip(end)} for end in (0, 2**31)]


def _boundaries(spec: SweepSpec, configs: list[Config]) -> tuple[int, int] | None:
    """The fewest and most evaluations of these trials; None when the data decides."""
    try:
        each = [spec.boundaries(config) for config in configs]
    except ValueError:
        return None  # a count of steps: how many there are, only the data can say
    return min(each), max(each)


def _slots(spec: SweepSpec, address: str | None) -> int:
    """Trials at the same time, here or on the cluster at the address."""
    if address is not None:
        join_ray(address)  # left when this process ends
        return slots(spec)
    gpus = len([p for p in Path("/dev").glob("nvidia*") if p.name[6:].isdigit()])
    return slots_for(spec, float(os.cpu_count() or 1), float(gpus))


def plan_view(spec: SweepSpec, plan: Plan) -> list[RenderableType]:
    """What would run: the arithmetic, the space, the configurations that are known."""
    trials = "trials until the budget ends" if plan.trials is None else count(plan.trials, "trial")
    boundaries = (
        "as many as the data has steps for"
        if plan.boundaries is None
        else (f"{between(*plan.boundaries)} boundaries (evaluations)")
    )
    epochs = "" if plan.epochs is None else f", {number(plan.epochs)} epochs in all at most"
    rounds = "" if plan.rounds is None else f", {count(plan.rounds, 'round')}"
    shown: list[RenderableType] = [cell(SMOKE, "bold yellow")] if spec.smoke else []
    shown += [
        Text.assemble(
            cell(spec.name, "bold"),
            cell(f": {METHOD_WORDS[spec.method]}, {spec.metric.goal} {spec.metric.name}"),
        ),
        cell(f"{trials}, each {between(*plan.epochs_each)} epochs and {boundaries}{epochs}"),
        cell(f"{count(plan.slots, 'slot')} here: so many trials train at the same time{rounds}"),
        *map(cell, _together(spec)),
        *map(cell, plan.beside),
        *([_disk_line(plan.disk, plan.disk_free)] if plan.disk else []),
        "",
        table(["searched", "domain"], [[name, str(domain)] for name, domain in spec.space.items()]),
    ]
    if plan.first:
        names = list(plan.first[0][2])
        short = short_names(names)
        rows = [
            [n, origin, *[setting(config.get(name, "-")) for name in names]]
            for n, origin, config in plan.first[:SHOWN]
        ]
        shown += ["", table([">trial", "from", *[f">{short[name]}" for name in names]], rows)]
        hidden = (plan.trials or len(rows)) - len(rows)
        if hidden > 0:
            chosen = ", each chosen from the results so far" if spec.method == "bayes" else ""
            shown.append(cell(f"and {count(hidden, 'more trial')}{chosen}", "dim"))
    return shown


def _together(spec: SweepSpec) -> list[str]:
    """What a trial of several processes takes; nothing of one process."""
    resources = spec.resources
    if resources.workers == 1:
        return []
    share = resources.gpus_per_worker
    gpus = "one GPU each if there are any" if share == "auto" else f"{number(share)} GPU each"
    return [
        f"each trial is trained by {resources.workers} workers together"
        f" ({number(resources.cpus_per_worker)} CPU each, {gpus};"
        f" placement {resources.placement})"
    ]


def _disk_line(need: Need, free: int) -> Text:
    fits = free >= need.bytes_kept
    each = size(need.checkpoint)
    if need.smallest != need.checkpoint:
        each = f"{size(need.smallest)} to {each}" if need.smallest else f"up to {each}"
    words = (
        f"checkpoints of {each} each: at least {size(need.bytes_kept)} at the end,"
        f" {size(need.bytes_most)} at most; {size(free)} are free"
    )
    return cell(words if fits else f"{words}: it does not fit", "" if fits else "bold red")


def between(low: float, high: float) -> str:
    """`4`, or `2 to 4` when the two differ."""
    return number(low) if low == high else f"{number(low)} to {number(high)}"
