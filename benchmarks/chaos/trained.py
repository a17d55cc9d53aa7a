"""F23, F24, F11 and F12: what only the real Trainer can show, on a BERT of one layer and 32 rows.

F23 loads best models and evaluates them anew. F24 compares a study that was killed with one that
was not, bit by bit. F11 and F12 give the Trainer numbers that are none, and metrics that are not
there.
"""

from __future__ import annotations

import functools
import math
import random
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.chaos import judge
from benchmarks.chaos.killing import counted, kill_until_done
from benchmarks.chaos.processes import (
    Driver,
    live_for,
    run_to_the_end,
    start_driver,
    wait_for,
)
from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import trained_sweep, write_sweep
from orchestrator.events import Event, Reported
from orchestrator.journal import JOURNAL
from orchestrator.results import read_study
from search_spaces import MetricSpec

_KILLS = 3
_REPORTED = b'"event":"reported"'
_TOLERANCE = 1e-6
_TASK = '''
import functools
import math
from orchestrator.tasks.text_classification import TextClassification

WHAT, STEP = {what!r}, {step}


class Broken(TextClassification):
    """Text classification whose model computes no number from some step on."""

    def build_model(self, seed):
        model = super().build_model(seed)
        forward, steps = model.forward, [0]

        @functools.wraps(forward)  # the Trainer looks at its arguments
        def broken(*arguments, **named):
            output = forward(*arguments, **named)
            steps[0] += model.training
            bad = math.inf if WHAT == "inf" else math.nan
            if WHAT == "eval" and not model.training:
                output.loss = output.loss * bad
            if WHAT != "eval" and model.training and steps[0] > STEP:
                output.loss = output.loss * bad
            return output

        if self.breaks:
            model.forward = broken
        return model


def build(spec, cache, seed):
    task = Broken(spec.model_copy(update={{"type": "text-classification"}}), cache, seed)
    rate = spec.model_config_overrides.get("hidden_dropout_prob")
    task.breaks = WHAT == "all" or rate == 0.5
    return task
'''


# F23 -----------------------------------------------------------------------------------------

_SHAPES: dict[str, dict[str, Any]] = {
    # Rates by which the loss falls, of one trial at least to the end: the first boundary is the
    # best where the highest loss is asked for, the last where the lowest is. And rates that change
    # nothing, so that all boundaries are equal and the first must be the best.
    "early": {"learning_rate": {"values": [2e-3, 3e-3]}},
    "late": {"learning_rate": {"values": [2e-3, 5e-3]}},
    "tied": {"learning_rate": {"values": [1e-12, 1e-11]}},
    "mixed": {"learning_rate": {"values": [1e-12, 1e-1, 1e-3, 1e-2]}},
}


_AT = {"early": 1, "tied": 1, "late": 3}
"""Where a trial of most seeds must have its best, else the case shows nothing."""
_CASES = ("early/0-12", "late/13-25", "tied/26-38", *(f"mixed/{seed}" for seed in range(39, 50)))
"""Shape and seeds. A grid searches its seeds in one study, which saves a driver and workers for
each; a population cannot, because a seed is used once, at the start: each is a study of its own."""


def _first_best(reports: Iterable[Reported], metric: MetricSpec) -> int:
    """The boundary of the best value, of equal ones the first."""
    best: Reported | None = None
    for report in sorted(reports, key=lambda report: report.boundary):
        if report.value is not None and metric.better(report.value, best and best.value):
            best = report
    return best.boundary if best else 0


def run_best(case: str, folder: Path, bench: Bench) -> Outcome:
    """Run a study and evaluate every trial's best checkpoint anew."""
    name, seeds_of_case = _shape_and_seeds(case)
    seed = seeds_of_case[0]
    space = _SHAPES[name]
    if name != "mixed":
        space = {"seed": {"values": list(seeds_of_case)}, **space}
    sweep = trained_sweep("grid", slots=2, seed=seed, name="study", parameters=space)
    if name == "early":
        sweep["metric"] = {"name": "eval_loss", "goal": "maximize"}
    if name == "mixed":
        sweep |= {"method": "pbt", "population": {"size": 4, "quantile_fraction": 0.5}}
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain", "--force"]
    code, output = run_to_the_end(start_driver(words, address=bench.address, trains=True))
    study = folder / "study"
    if code != 0:
        return Outcome([f"exit {code}: {output[-400:]}"])
    read = read_study(study)
    said = [*judge.finished(study), *judge.best_loads(study)]
    worst, checked = 0.0, 0
    at: dict[int, set[int]] = {own: set() for own in seeds_of_case}
    for record in read.state.trials.values():
        best = record.best
        if best is None:
            said.append(f"trial {record.id} has no best")
            continue
        value = evaluated(study / best.checkpoint, read.spec, folder / ".cache")
        worst, checked = max(worst, abs(value - best.value)), checked + 1
        if abs(value - best.value) > _TOLERANCE:
            said.append(f"trial {record.id}: logged {best.value}, evaluated {value}")
        first = _first_best(record.reports.values(), read.spec.metric)
        if name != "mixed" and best.boundary != first:
            said.append(f"trial {record.id}: the best is at {first}, taken was {best.boundary}")
        at[record.config.get("seed", seed)].add(best.boundary)
    wanted = [own for own, boundaries in at.items() if _AT.get(name) in boundaries]
    if name in _AT and 2 * len(wanted) < len(at):
        said.append(f"only seeds {wanted} have a trial whose best is at {_AT[name]}: {at}")
    return Outcome(said, count=checked, figure=worst)


def _shape_and_seeds(case: str) -> tuple[str, range]:
    """`early/0-12` as its shape and its seeds."""
    name, _, span = case.partition("/")
    first, _, last = span.partition("-")
    return name, range(int(first), int(last or first) + 1)


def evaluated(checkpoint: Path, spec: Any, cache: Path) -> float:
    """eval_loss of a checkpoint by a fresh Trainer; only the data is the study's."""
    from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

    from orchestrator.tasks import make_task

    task = make_task(spec.task, cache, spec.seed)
    task.prepare()
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(checkpoint),
            args=TrainingArguments(
                output_dir=output, report_to="none", disable_tqdm=True, use_cpu=True
            ),
            data_collator=task.collator,
            eval_dataset=task.eval_dataset,
        )
        return float(trainer.evaluate()["eval_loss"])


# F24 -----------------------------------------------------------------------------------------


def _bit_equal_sweep(seed: int) -> dict[str, Any]:
    method = ("random", "pbt", "grid", "asha", "bayes")[seed % 5]
    return trained_sweep(method, slots=1, seed=seed, name="study")


@functools.cache
def _undisturbed(seed: int, address: str) -> list[Event]:
    folder = Path(tempfile.mkdtemp(prefix="chaos-reference-"))
    try:
        file = write_sweep(folder / "study.yaml", _bit_equal_sweep(seed))
        words = ["run", str(file), "--storage", str(folder), "--plain"]
        code, output = run_to_the_end(start_driver(words, address=address, trains=True))
        if code != 0:
            raise RuntimeError(f"the study without faults exited with {code}: {output[-500:]}")
        return judge.events_of(folder / "study")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_bit_equal(case: str, folder: Path, bench: Bench) -> Outcome:
    """Kill the driver a few times; every metric must be bit-equal to the undisturbed study's."""
    _, seed = parts(case)
    rng = random.Random(case)
    reference = _undisturbed(seed, bench.address)
    file = write_sweep(folder / "study.yaml", _bit_equal_sweep(seed))
    study = folder / "study"

    def moment(journal: Path, driver: Driver) -> None:
        wanted = counted(journal, _REPORTED) + rng.randint(1, 4)
        wait_for(lambda: driver.has_ended or counted(journal, _REPORTED) >= wanted, seconds=180)
        live_for(driver, rng.uniform(0, 0.2))

    killed = kill_until_done(file, study, _KILLS, moment, address=bench.address, trains=True)
    said = list(killed.violations)
    kills = len(killed.copies)
    if kills == 0:
        said.append("the study ended before it could be killed")
    events = judge.events_of(study)
    said += [*judge.nothing_damaged(events), *judge.same_study(events, reference)]
    return Outcome(said, count=kills)


# F11 -----------------------------------------------------------------------------------------


def run_not_finite(case: str, folder: Path, bench: Bench) -> Outcome:
    """One of three trials computes no number, or all; it fails as diverged and is never best."""
    what, seed = parts(case)
    task = folder / "my_task.py"
    task.write_text(_TASK.format(what=what, step=seed))
    sweep = trained_sweep("grid", slots=2, seed=seed, name="study")
    sweep["task"]["type"] = f"{task}:build"
    sweep["parameters"] = {
        "learning_rate": {"values": [1e-3]},
        "task.model_config.hidden_dropout_prob": {"values": [0.0, 0.5, 0.1]},
    }
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain", "--allow-code"]
    code, output = run_to_the_end(start_driver(words, address=bench.address, trains=True))
    study = folder / "study"
    if not (study / JOURNAL).exists():
        return Outcome([f"exit {code}: {output[-400:]}"])
    read = read_study(study)
    records = list(read.state.trials.values())
    broken = records if what == "all" else [records[1]]
    expected = 1 if what == "all" else 3
    said = [] if code == expected else [f"exit {code} instead of {expected}: {output[-300:]}"]
    steps = math.ceil(32 / 16)
    first_bad = 1 if what in ("eval", "all") else seed // steps + 1
    for record in broken:
        if record.failure != "diverged":
            said.append(f"trial {record.id}: {record.state} {record.failure}: {record.message}")
        values = [r.value for r in record.reports.values() if isinstance(r, Reported)]
        if sum(value is None for value in values) > 1:
            said.append(f"trial {record.id} went on after a value that was none: {values}")
        if max(record.reports, default=0) > first_bad:
            said.append(f"trial {record.id} was stopped at {max(record.reports)}, not {first_bad}")
    best = read.state.best
    if best is not None and any(r.id == best.trial for r in broken) and first_bad == 1:
        said.append(f"the best is trial {best.trial}, which diverged")
    if what == "all" and best is not None:
        said.append("there is a best, though all trials diverged")
    if what == "all" and "diverged" not in output:
        said.append(f"nobody was told: {output[-300:]}")
    return Outcome(said)


# F12 -----------------------------------------------------------------------------------------


def run_metric(case: str, folder: Path, bench: Bench) -> Outcome:
    """A metric that is not there is refused before the second boundary, with those there are."""
    name, seed = parts(case)
    sweep = trained_sweep("random", slots=2, seed=seed, name="study")
    metric = {"missing": "eval_f1", "misspelt": "eval_acuracy", "unprefixed": "los"}[name]
    sweep["metric"] = {"name": metric, "goal": "maximize"}
    sweep["task"]["metrics"] = ["accuracy"]
    file = write_sweep(folder / "study.yaml", sweep)
    words = ["run", str(file), "--storage", str(folder), "--plain"]
    code, output = run_to_the_end(start_driver(words, trains=True))
    journal = folder / "study" / JOURNAL
    said = [] if code in (1, 2) else [f"exit {code}"]
    if "Traceback" in output:
        said.append(f"a traceback: {output[-300:]}")
    if "accuracy" not in output:
        said.append(f"the metrics there are were not named: {output[-400:]}")
    if journal.exists():
        reported = [e for e in judge.events_of(folder / "study") if isinstance(e, Reported)]
        if any(event.boundary >= 2 for event in reported):
            said.append("a trial trained past its first boundary")
    return Outcome(said)


F11 = Row(
    id="F11",
    injected="loss NaN at step k; inf; eval NaN only; NaN hidden in the log; all trials",
    holds="failed as diverged, never best; all: exit 1, says so",
    target="stopped within one boundary",
    cases=("nan/0", "nan/1", "nan/3", "inf/0", "inf/2", "eval/0", "all/0"),
    few=(),
    run=run_not_finite,
    counted="studies",
    remark="the Trainer's own log drops NaN from the training loss: it is hidden in all of them."
    " The tests: `tests/orchestrator/test_trial.py`.",
)
F12 = Row(
    id="F12",
    injected="metric missing, misspelt, unprefixed",
    holds="refused before the start, or at the first boundary with the names there are",
    target="before the second boundary",
    cases=seeds(1, "missing", "misspelt", "unprefixed"),
    few=("missing/0", "misspelt/0"),
    run=run_metric,
    counted="studies",
)
F23 = Row(
    id="F23",
    injected="best early, late, tied, retention at its lowest",
    holds="best loads and evaluates to its logged metric",
    target="difference <= 1e-6, 50 seeds",
    cases=_CASES,
    few=(),
    run=run_best,
    counted="best checkpoints",
    figure="largest difference",
    remark="seeds 0 to 49: 39 in three grids that search theirs beside the learning rate, 11 in"
    " populations. The best checkpoint of each trial is loaded by `from_pretrained` and evaluated"
    " by a fresh Trainer. The tests do it for a study's exported best"
    " (`tests/integration/test_whole_studies.py`).",
)
F24 = Row(
    id="F24",
    injected="same seed, one trial at a time, with and without F1",
    holds="same proposals, same metrics",
    target="bit-equal on CPU, 10 seeds",
    cases=seeds(10, "seed"),
    few=(),
    run=run_bit_equal,
    counted="kills",
    remark="the real Trainer; each of the five methods with two seeds. The tests do it with"
    " scripted trials (F1) and, without kills, with real ones"
    " (`tests/integration/test_determinism.py`).",
)
