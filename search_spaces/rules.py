"""Rules across the keys of a sweep file: what each key may hold by itself stands in `parts.py`.

A rule looks at a draft in which everything that was wrong by itself has been replaced by its
default, so it asks `findings.is_bad` first where such a default would mislead it.
"""

from __future__ import annotations

from collections.abc import Callable

from search_spaces import rules_task, rules_training
from search_spaces.domains import Choice, is_number, same
from search_spaces.draft import Draft
from search_spaces.errors import did_you_mean, shown

_HUGE_GRID = 100_000
_SAMPLED = 1000


def check_rules(draft: Draft) -> None:
    """Add the faults and notes of every rule."""
    rules: tuple[Callable[[Draft], None], ...] = (
        _search,
        _grid,
        _population,
        _early_terminate,
        _limits,
        _warm_start,
        _resources,
        _unused,
        rules_task.check,
        rules_training.check,
    )
    for rule in rules:
        rule(draft)


def _search(draft: Draft) -> None:
    if not draft.given.get("parameters") and not draft.findings.is_bad("parameters"):
        draft.findings.fault(
            ("parameters",),
            "nothing is searched",
            got="",
            mend="write parameters: {learning_rate: {distribution: log_uniform_values, "
            "min: 1e-5, max: 1e-4}}",
            at_key=True,
        )


def _grid(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    if spec.method != "grid" or findings.is_bad("method"):
        for name, domain in draft.space.items():
            if getattr(domain, "count", None) is not None:
                findings.note(f"parameters.{name}.count is used by method grid only")
        return
    for name, domain in draft.space.items():
        if domain.grid_size() is None:
            findings.fault(
                ("parameters", name),
                "a grid needs finitely many values",
                got=f"a range, {domain}",
                mend="add count: 5, spaced evenly on its own scale, or write {values: [...]}",
                at_key=True,
            )
    if findings.is_bad("parameters"):
        return
    size = draft.space.grid_size()
    if spec.run_cap is not None and size > spec.run_cap:
        mend = f"write run_cap: {size}, or fewer values; a grid is never cut short"
        findings.fault(
            ("run_cap",), f"the grid has {size:,} configurations", got=spec.run_cap, mend=mend
        )
    if size > _HUGE_GRID:
        findings.fault(
            ("parameters",),
            f"the grid has {size:,} configurations; {_HUGE_GRID:,} at most",
            got="",
            mend="use method random with run_cap, or fewer values",
            at_key=True,
        )
        return
    epochs = _grid_epochs(draft, size)
    if spec.budget.epochs is not None and epochs is not None and epochs > spec.budget.epochs:
        findings.fault(
            ("budget", "epochs"),
            f"the grid's {size:,} configurations need {epochs:g} epochs",
            mend=f"write epochs: {epochs:g}, or fewer values; a grid is never cut short",
        )


def _grid_epochs(draft: Draft, size: int) -> float | None:
    """Return the epochs that a whole grid trains, None when they are not known."""
    if "num_train_epochs" in draft.space:
        values = draft.space["num_train_epochs"].grid()
        return float(size / len(values) * sum(values))
    epochs = draft.most("num_train_epochs")
    return size * float(epochs) if is_number(epochs) else None


def _population(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    if spec.method != "pbt" or findings.is_bad("method"):
        return
    if draft.space and not draft.space.searched and not findings.is_bad("parameters"):
        findings.fault(
            ("parameters",),
            "nothing is searched: every name has one value, and pbt would have nothing to change",
            got="",
            mend="give learning_rate a range",
            at_key=True,
        )
    if draft.has("early_terminate"):
        findings.fault(
            ("early_terminate",),
            "does not go with pbt: its weak members copy the strong ones instead of stopping",
            got="",
            mend="remove it",
            at_key=True,
        )
    population = spec.population
    if population is None:
        return
    if spec.run_cap is not None and spec.run_cap < population.size:
        mend = f"write run_cap: {population.size}, or a smaller population"
        findings.fault(("run_cap",), f"the population has {population.size} members", mend=mend)
    if any(findings.is_bad("population", k) for k in ("interval", "size")):
        return
    epochs, limit = draft.most("num_train_epochs"), spec.budget.epochs
    if limit is not None and is_number(epochs) and epochs * population.size > limit:
        findings.note(
            f"the population needs {epochs * population.size:g} epochs, more than budget.epochs "
            f"({limit:g}): no member will be trained to its end"
        )
    boundaries = draft.boundaries()
    if boundaries is not None and boundaries <= population.interval:
        key = ("population", "interval") if draft.has("population", "interval") else ("method",)
        findings.fault(
            key,
            "no member would ever change: perturbations happen before the last boundary, "
            f"and a member has {_counted(boundaries, 'boundary', 'boundaries')}",
            got=f"interval {population.interval}",
            mend=_more_boundaries(draft),
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _more_boundaries(draft: Draft) -> str:
    strategy = draft.spec.setting({}, "eval_strategy")
    if strategy == "no":
        return "write training_arguments: {eval_strategy: epoch}, and more epochs than one"
    return "train for more epochs, or write eval_strategy: steps with eval_steps: 0.1"


def _early_terminate(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    rungs = spec.early_terminate
    if rungs is None or spec.method == "pbt" or findings.is_bad("early_terminate"):
        return
    if rungs.type == "asha" and rungs.s is not None:
        mend = "remove it, or write type: hyperband"
        findings.fault(("early_terminate", "s"), "asha has one bracket", mend=mend)
    if rungs.max_iter is not None and rungs.max_iter <= rungs.min_iter:
        mend = f"write max_iter above {rungs.min_iter}, or leave it out"
        findings.fault(("early_terminate", "max_iter"), "must be above min_iter", mend=mend)
    boundaries = draft.boundaries()
    if boundaries is not None and boundaries <= rungs.min_iter:
        key: tuple[str, ...] = ("early_terminate",)
        if draft.has("early_terminate", "min_iter"):
            key = ("early_terminate", "min_iter")
        findings.fault(
            key,
            "no trial could ever be stopped: a trial has "
            f"{_counted(boundaries, 'boundary', 'boundaries')}",
            got=f"min_iter {rungs.min_iter}",
            mend=_more_boundaries(draft),
        )


def _limits(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    if spec.method not in ("random", "bayes") or findings.is_bad("method"):
        return
    if draft.has("run_cap") or findings.is_bad("budget") or spec.budget.is_limit:
        return
    findings.fault(
        ("method",),
        f"{spec.method} goes on for ever without a limit",
        got="neither run_cap nor a budget",
        mend="write run_cap: 16, or budget: {epochs: 64}",
    )


def _warm_start(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    if not spec.warm_start or findings.is_bad("warm_start"):
        return
    if findings.is_bad("parameters"):
        return
    limit = spec.trial_limit
    if limit is not None and len(spec.warm_start) > limit:
        findings.fault(
            ("warm_start",),
            f"there can be only {_counted(limit, 'trial', 'trials')}",
            got=_counted(len(spec.warm_start), "configuration", "configurations"),
            mend="try fewer, or allow more trials",
        )
    for i, config in enumerate(spec.warm_start):
        for name, value in config.items():
            path = ("warm_start", i, name)
            if name not in draft.space:
                mend = did_you_mean(name, list(draft.space), "Searched")
                findings.fault(path, "is not searched", mend=mend, at_key=True)
                continue
            domain = draft.space[name]
            if not domain.contains(value):
                mend = f"write {shown(domain.clip(value))}, or widen the domain"
                findings.fault(path, f"must be one of its domain's values: {domain}", mend=mend)
            elif spec.method == "grid" and not any(same(value, v) for v in domain.grid()):
                points = ", ".join(shown(v) for v in domain.grid()[:10])
                findings.fault(path, f"must be a point of the grid: {points}", mend="write one")


def _resources(draft: Draft) -> None:
    resources, findings = draft.spec.resources, draft.findings
    if findings.is_bad("resources"):
        return
    share = resources.gpus_per_worker
    if resources.workers > 1 and share != "auto" and 0 < share < 1:
        findings.fault(
            ("resources", "gpus_per_worker"),
            "a fraction goes with workers: 1 only; workers of one trial cannot share a GPU",
            mend="write 1, or workers: 1",
        )
    if "effective_batch_size" not in draft.space or resources.workers == 1:
        return
    domain = draft.space["effective_batch_size"]
    wrong = [v for v in domain.grid(_SAMPLED) if v % resources.workers]
    if wrong:
        key = ("values",) if isinstance(domain, Choice) else ()
        findings.fault(
            ("parameters", "effective_batch_size", *key),
            f"must be multiples of the {resources.workers} workers",
            got=", ".join(shown(v) for v in wrong[:5]),
            mend=f"write multiples of {resources.workers}",
            at_key=not key,
        )


def _unused(draft: Draft) -> None:
    """Notes, not faults: a file whose method was changed by --set keeps its other sections."""
    spec, findings = draft.spec, draft.findings
    if findings.is_bad("method"):
        return
    if spec.method != "bayes" and spec.sampler != "auto":
        findings.note(f"sampler is used by method bayes only, not by {spec.method}")
    if spec.method != "pbt" and draft.has("population"):
        findings.note(f"population is used by method pbt only, not by {spec.method}")
    if spec.method == "grid" and spec.tries_default:
        findings.note(
            "default_first: the default configuration is trained beside the grid, one trial more "
            "that is no candidate for its best"
        )
    both = [name for name in draft.space.searched if name in spec.training_arguments]
    if both:
        findings.note(
            f"searched and constant: {', '.join(both)}; the search wins, and the constant is the "
            "default configuration's value"
        )
