"""Made-up reports for the tests of the page: plausible numbers, every part filled, any text.

No statistics: a mean is a mean, an interval is as wide as looks right. `text` puts one string into
every place of a report that holds foreign text.
"""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

from sweeps.report.model import (
    AXES,
    At,
    Axis,
    Band,
    Config,
    Cost,
    Counts,
    DefaultRun,
    Drawn,
    Edf,
    Evaluation,
    Exploit,
    Failure,
    FinalRow,
    Importance,
    Line,
    Lineage,
    Member,
    Method,
    Metric,
    Note,
    Pair,
    Point,
    Repetition,
    Report,
    Reproduction,
    Selected,
    Stretch,
    Summary,
    TrialRow,
    Verdict,
)

SPACE = (
    Axis(name="learning_rate", label="learning_rate", kind="number", log=True, low=1e-6, high=1e-3),
    Axis(name="weight_decay", label="weight_decay", kind="number", low=0.0, high=0.3),
    Axis(
        name="per_device_train_batch_size",
        label="per_device_train_batch_size",
        kind="category",
        values=(16, 32, 64),
    ),
    Axis(
        name="lr_scheduler_type",
        label="lr_scheduler_type",
        kind="category",
        values=("linear", "cosine", "constant"),
    ),
)
CAPTIONS = ("learning", "edf", "importance", "parallel", "slices", "lineage", "schedule")
METHODS = ("grid", "random", "bayes", "pbt")


def summary(values: list[float]) -> Summary:
    """A mean, with an interval from three values up."""
    mean = statistics.fmean(values)
    if len(values) < 3:
        return Summary(values=tuple(values), mean=mean)
    half = 2.5 * statistics.stdev(values) / math.sqrt(len(values))
    return Summary(values=tuple(values), mean=mean, low=mean - half, high=mean + half)


def drawn_config(rng: random.Random) -> Config:
    """A point of the space."""
    return {
        "learning_rate": 10 ** rng.uniform(-6, -3),
        "weight_decay": rng.uniform(0.0, 0.3),
        "per_device_train_batch_size": rng.choice((16, 32, 64)),
        "lr_scheduler_type": rng.choice(("linear", "cosine", "constant")),
    }


def worth(config: Config, rng: random.Random) -> float:
    """A made-up accuracy, best at 3e-5."""
    decades = math.log10(config["learning_rate"] / 3e-5)
    return 0.55 + 0.32 * math.exp(-(decades**2) / 1.2) + rng.gauss(0.0, 0.008)


def trial_rows(rng: random.Random, label: str, study: str, seed: int, n: int) -> list[TrialRow]:
    """The trials of one study: most finish, some are stopped, some fail."""
    rows = []
    for number in range(n):
        config = drawn_config(rng)
        state = rng.choices(("finished", "stopped", "failed"), (8, 2, 1))[0]
        value = None if state == "failed" else worth(config, rng)
        epochs = 4.0 if state == "finished" else float(rng.randint(1, 3))
        rows.append(
            TrialRow(
                key=f"{study}/{number:04d}",
                method=label,
                study=study,
                seed=seed,
                trial=f"{number:04d}",
                number=number,
                origin="default" if number == 0 else "searcher",
                state=state,
                value=value,
                epoch=epochs,
                last=value,
                epochs=epochs,
                device_s=epochs * 11.3,
                retries=0,
                failure="diverged" if state == "failed" else "",
                message="the loss is not finite" if state == "failed" else "",
                repeats=None,
                config=config,
            )
        )
    return rows


def population(rng: random.Random, members: int = 6, generations: int = 8) -> Lineage:
    """A population in which the weakest two copy the strongest two after each generation."""
    names = [f"{i:04d}" for i in range(members)]
    configs = {name: drawn_config(rng) for name in names}
    level = dict.fromkeys(names, 0.5)
    lines: dict[str, list[Stretch]] = {name: [] for name in names}
    ancestry: dict[str, list[Stretch]] = {name: [] for name in names}
    exploits = []
    for g in range(generations):
        for name in names:
            level[name] += 0.3 * (worth(configs[name], rng) - level[name])
            stretch = Stretch(
                trial=name,
                start=g,
                end=g + 1,
                start_epoch=g / 2,
                end_epoch=(g + 1) / 2,
                config=configs[name],
                values=(At((g + 1) / 2, level[name]),),
            )
            lines[name].append(stretch)
            ancestry[name] = [*ancestry[name], stretch]
        if g == generations - 1:
            break
        order = sorted(names, key=lambda n: level[n])
        for loser, donor in zip(order[:2], order[:-3:-1], strict=True):
            after = dict(configs[donor])
            after["learning_rate"] *= rng.choice((0.8, 1.2))
            exploits.append(
                Exploit(
                    trial=loser,
                    donor=donor,
                    boundary=g + 1,
                    epoch=(g + 1) / 2,
                    before=configs[donor],
                    after=after,
                )
            )
            configs[loser], level[loser] = after, level[donor]
            ancestry[loser] = ancestry[donor]
    best = max(names, key=lambda n: level[n])
    return Lineage(
        members=tuple(Member(trial=n, state="finished", stretches=tuple(lines[n])) for n in names),
        exploits=tuple(exploits),
        winner=tuple(ancestry[best]),
        of_members=members,
        of_exploits=len(exploits),
    )


def evaluation(rng: random.Random, trial: str, value: float) -> Evaluation:
    """A look at the test split, a little below the validation value."""
    test = value - 0.012 + rng.gauss(0.0, 0.006)
    return Evaluation(
        trial=trial,
        boundary=4,
        split="test",
        value=test,
        metrics={"accuracy": test},
        rows=277,
        seconds=1.0,
        standard_error=0.02,
    )


def repetition(
    rng: random.Random, kind: str, study: str, seed: int, rows: list[TrialRow]
) -> Repetition:
    """A study from its trials."""
    best, spent, curve = 0.0, 0.0, []
    for row in rows:
        spent += row.epochs
        if row.value is not None and row.value > best:
            best = row.value
            curve.append(Point(spent, spent * 11.3, spent * 6.1, best))
    if curve:
        curve.append(Point(spent, spent * 11.3, spent * 6.1, best))
    top = max((r for r in rows if r.value is not None), key=lambda r: r.value or 0, default=None)
    selected = None
    if top is not None and top.value is not None:
        selected = Selected(
            trial=top.trial,
            boundary=4,
            epoch=top.epoch or 0.0,
            value=top.value,
            config=top.config,
            test=evaluation(rng, top.trial, top.value),
        )
    lineage = population(rng) if kind == "pbt" else None
    if lineage is not None and selected is not None:
        last = lineage.winner[-1]
        selected = Selected(
            trial=last.trial,
            boundary=last.end,
            epoch=last.end_epoch,
            value=selected.value,
            config=last.config,
            test=selected.test,
        )
    states = [row.state for row in rows]
    return Repetition(
        study=study,
        seed=seed,
        status="finished",
        reason="",
        smoke=False,
        counts=Counts(
            started=len(rows),
            finished=states.count("finished"),
            stopped=states.count("stopped"),
            failed=states.count("failed"),
        ),
        cost=Cost(epochs=spent, device_s=spent * 11.3, device="cpu", wall_s=spent * 6.1),
        curve=tuple(curve),
        curve_of=len(curve),
        selected=selected,
        default=DefaultRun(
            trial="0000",
            config=rows[0].config,
            state="finished",
            value=0.7,
            beside=False,
            epochs=4.0,
            whole=True,
        )
        if rows
        else None,
        lineage=lineage,
        failures=tuple(
            Failure(
                trial=r.trial,
                kind=r.failure,
                message=r.message,
                config=r.config,
                log="step 41 loss 7.3e8\nstep 42 loss nan\nFloatingPointError: not finite",
            )
            for r in rows
            if r.state == "failed"
        ),
        failures_of=states.count("failed"),
    )


def bands(repetitions: list[Repetition]) -> dict[str, Band]:
    """Means over the repetitions at the costs where one of them steps."""
    found = {}
    curves = [r.curve for r in repetitions if r.curve]
    for position, axis in enumerate(AXES):
        if not curves:
            continue
        first = max(c[0][position] for c in curves)
        last = min(c[-1][position] for c in curves)
        xs = sorted({p[position] for c in curves for p in c if first <= p[position] <= last})
        means = [summary([_at(c, position, x) for c in curves]) for x in xs]
        wide = len(curves) >= 3
        found[axis] = Band(
            x=tuple(xs),
            mean=tuple(m.mean for m in means),
            low=tuple(m.low or 0.0 for m in means) if wide else None,
            high=tuple(m.high or 0.0 for m in means) if wide else None,
        )
    return found


def _at(curve: tuple[Point, ...], position: int, x: float) -> float:
    return [p.value for p in curve if p[position] <= x][-1]


def lines(rng: random.Random, rows: list[TrialRow], most: int) -> Drawn:
    """The trials as lines, the best first."""
    order = sorted(rows, key=lambda r: -(r.value if r.value is not None else -1.0))
    return Drawn(
        lines=tuple(
            Line(
                key=r.key,
                state=r.state,
                value=r.value,
                config=r.config,
                points=tuple(
                    At(
                        e,
                        None
                        if r.value is None and e > 1
                        else 0.5
                        + ((r.value or 0.6) - 0.5)
                        * (1 - math.exp(-1.2 * e))
                        / (1 - math.exp(-1.2 * r.epochs)),
                    )
                    for e in map(float, range(1, int(r.epochs) + 1))
                ),
            )
            for r in order[:most]
        ),
        of=len(rows),
    )


def method(
    rng: random.Random, label: str, kind: Any, repetitions: int, trials: int, most_lines: int
) -> tuple[Method, list[TrialRow]]:
    """A method and its trials."""
    rows = [
        trial_rows(rng, label, f"{kind}-seed-{seed}", seed, trials) for seed in range(repetitions)
    ]
    studies = [
        repetition(rng, kind, f"{kind}-seed-{seed}", seed, rows[seed])
        for seed in range(repetitions)
    ]
    everything = [row for study in rows for row in study]
    values = sorted(r.value for r in everything if r.value is not None)
    chosen = [s.selected for s in studies if s.selected]
    tested = [c.test.value for c in chosen if c.test and c.test.value is not None]
    wanted = CAPTIONS if kind == "pbt" else CAPTIONS[:5]
    if kind == "pbt":
        wanted = tuple(c for c in wanted if c != "importance")
    shares = {
        "learning_rate": 0.71,
        "weight_decay": 0.17,
        "lr_scheduler_type": 0.08,
        "per_device_train_batch_size": 0.04,
    }
    made = Method(
        label=label,
        kind=kind,
        description=f"{trials} trials of up to 4 epochs each",
        repetitions=tuple(studies),
        counts=Counts(
            started=len(everything),
            finished=sum(s.counts.finished for s in studies),
            stopped=sum(s.counts.stopped for s in studies),
            failed=sum(s.counts.failed for s in studies),
        ),
        cost=Cost(
            epochs=sum(s.cost.epochs for s in studies),
            device_s=sum(s.cost.device_s for s in studies),
            device="cpu",
            wall_s=sum(s.cost.wall_s for s in studies),
        ),
        bands=bands(studies),
        validation=summary([c.value for c in chosen]) if chosen else None,
        test=summary(tested) if tested else None,
        space=SPACE,
        importance=Importance(
            shares={} if kind == "pbt" else shares,
            trials=len(values),
            hidden="a population's trials change their settings." if kind == "pbt" else None,
        ),
        edf=Edf(
            x=tuple(values[:400]),
            share=tuple((i + 1) / len(values) for i in range(len(values[:400]))),
            trials=len(values),
        ),
        learning=lines(rng, everything, most_lines),
        configurations=lines(rng, everything, most_lines),
        captions={name: f"What {name} shows of {label}." for name in wanted} if values else {},
    )
    return made, everything


def report(
    *,
    methods: tuple[str, ...] = METHODS,
    repetitions: int = 3,
    trials: int = 8,
    seed: int = 0,
    most_lines: int = 400,
) -> Report:
    """A report of these kinds of methods."""
    rng = random.Random(seed)
    made = [method(rng, kind, kind, repetitions, trials, most_lines) for kind in methods]
    found = [m for m, _ in made]
    pairs = [
        Pair(
            a=a.label,
            b=b.label,
            split="test",
            seeds=tuple(range(repetitions)),
            difference=summary([x - y for x, y in zip(a.test.values, b.test.values, strict=False)]),
            superiority=0.67,
            p=None,
            p_holm=None,
            claim="A difference this small may be chance.",
        )
        for i, a in enumerate(found)
        for b in found[i + 1 :]
        if a.test and b.test
    ]
    return Report(
        title="RTE: " + ", ".join(methods),
        metric=Metric(name="eval_accuracy", goal="maximize", label="accuracy"),
        generated="2026-01-01T00:00:00+00:00",
        generator="sweep-orchestrator 0.1",
        device="cpu",
        verdict=Verdict(
            text="The mean test accuracy is highest for bayes (0.861), but the interval of its"
            " difference to the next holds zero: the order may be chance.",
            claim="none" if repetitions < 3 else "chance" if repetitions < 6 else "significant",
            badge="No claim" if repetitions < 3 else "Significant" if repetitions > 5 else "Chance",
            basis=f"{repetitions} repetitions of each method; see the pairs.",
            repetitions=repetitions,
        ),
        notes=(
            Note(severity="red", text="Budgets differ by 12 %: bayes trained 96 epochs, pbt 84."),
            Note(severity="warn", text="One trial failed.", method=methods[0] if methods else None),
            Note(severity="info", text="A rerun of `sweep report` writes this page again."),
        ),
        methods=tuple(found),
        final=tuple(
            [
                FinalRow(
                    label=m.label,
                    role="method",
                    validation=m.validation,
                    test=m.test,
                    gap=m.validation,
                )
                for m in found
            ]
            + [
                FinalRow(
                    label="default configuration",
                    role="default",
                    validation=summary([0.71, 0.7, 0.72][: max(1, min(3, repetitions))]),
                    test=None,
                    gap=None,
                    note="Not evaluated on the test split.",
                ),
                FinalRow(
                    label="random search",
                    role="random",
                    validation=None,
                    test=None,
                    gap=None,
                    note="Not run; `sweep compare --control` runs it.",
                ),
            ]
        ),
        pairs=tuple(pairs),
        captions={
            **{
                f"best_so_far.{axis}": f"Against {axis}, bayes is ahead at every cost."
                for axis in AXES
            },
            "final": "Validation is above test for every method.",
            "pairwise": "No difference is shown.",
            "budget": "Every method trained about as much.",
        },
        thinned=("Learning curves show the best 200 trials and a sample.",),
        trials=tuple(row for _, rows in made for row in rows),
        reproduction=tuple(
            Reproduction(
                study=r.study,
                method=m.label,
                command=f"sweep run {m.kind}.yaml --seed {r.seed}",
                sweep_file=f"name: {r.study}\nmethod: {m.kind}\n",
                seed=r.seed,
                versions={"python": "3.11.7", "torch": "2.13.0"},
                hardware={"cpus": 2},
                space_hash="1f3a" * 16,
                started="2026-01-01T00:00:00+00:00",
                git_commit="c0ffee",
            )
            for m in found
            for r in m.repetitions
        ),
    )


def hostile(text: str) -> Report:
    """A report that holds one string wherever foreign text can stand."""
    base = report(methods=("bayes", "pbt"), repetitions=2, trials=3)
    return _replaced(base, text)


def _replaced(value: Any, text: str, name: str = "") -> Any:
    """The same data with every free text replaced; what ties its parts together is prefixed."""
    if isinstance(value, str):
        if name in _FIXED:
            return value
        return f"{text}{value}" if name in _TIED else text
    if isinstance(value, dict):
        tied = name in ("config", "before", "after", "shares")
        return {
            (f"{text}{k}" if tied else k): _replaced(v, text, "setting")
            if not isinstance(v, int | float)
            else v
            for k, v in value.items()
        }
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return value
    if isinstance(value, tuple):
        return tuple(_replaced(v, text, name) for v in value)
    if hasattr(value, "__dataclass_fields__"):
        fields = {
            f: getattr(value, f) if f == "bands" else _replaced(getattr(value, f), text, f)
            for f in value.__dataclass_fields__
        }
        return type(value)(**fields)
    return value


_FIXED = {"kind", "claim", "severity", "goal", "device", "split", "state", "status", "by", "role"}
_TIED = {"key", "study", "trial", "donor", "name", "label", "method", "a", "b", "values"}
