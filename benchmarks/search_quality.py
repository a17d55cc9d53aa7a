"""How good are the configurations that each method finds: by simulation, without training.

    python -m benchmarks.search_quality [--processes N] [--seeds N] [--results FOLDER]

Measures quality, not time. The real Dispatcher, searchers, schedulers and population run on a
virtual clock (`orchestrator/simulate.py`) over known response surfaces, as `sweep run` would run
them: default configuration first, `sampler: auto`, the best checkpoint picked by its measured
value. What counts is the *true* value of that pick, which noise does not flatter. Every
comparison is paired: same surface, same seed, and the same configuration measures the same.

Everything is a function of the seeds. A row is saved as soon as it is done; a run that was
interrupted goes on where it was, and rows that older searchers or surfaces gave are measured
again.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import inspect
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks import moving_rates, optuna_directly, sources
from benchmarks.response_surfaces import SURFACES, FineTuning
from benchmarks.saved_rows import RESULTS, Row, SavedRows
from benchmarks.search_quality_page import page
from orchestrator.events import Reported
from orchestrator.simulate import simulate
from orchestrator.surfaces import History, Surface
from search_spaces import SweepSpec

NAME = "search_quality"
SEEDS = 20
TRIALS = 32
RANDOM_TRIALS = 64
OUT = 4
EPOCHS = 4
EARLY_EPOCHS = 9
MOVING_EPOCHS = MEMBERS = 16
PACKAGES = ("optuna", "torch", "scipy", "numpy")
_SURFACES = ("benchmarks.response_surfaces", "benchmarks.moving_rates")
_MODULES = {
    "ours": (*_SURFACES, "orchestrator.simulate"),
    "optuna": (*_SURFACES, "benchmarks.optuna_directly"),
}
"""What the figures of our arms and of Optuna's depend on, with all of ours that these import."""


def spec_of(
    method: str, seed: int, parameters: Mapping[str, Any], epochs: int, goal: str, **keys: Any
) -> SweepSpec:
    """A sweep over these parameters, with an evaluation after each epoch."""
    data: dict[str, Any] = {
        "name": NAME,
        "method": method,
        "seed": seed,
        "metric": {"name": "eval_loss" if goal == "minimize" else "eval_accuracy", "goal": goal},
        "task": {"type": "text-classification", "model": "m", "dataset": {"path": "d"}},
        "training_arguments": {"num_train_epochs": epochs, "eval_strategy": "epoch"},
        "parameters": dict(parameters),
    }
    return SweepSpec.model_validate({**data, **keys})


def ours(spec: SweepSpec, surface: Surface, truth: Callable[[History], Any], slots: int) -> Row:
    """Simulate a sweep; say what its best checkpoint measured and is worth."""
    study = simulate(spec, surface, slots=slots)
    if study.state.state != "finished":
        raise RuntimeError(f"the simulated study ended as {study.state.state}")
    epochs = sum(isinstance(event, Reported) for event in study.events)
    best = study.state.best
    return _row(None if best is None else best.value, truth(study.best_history or ()), epochs)


def _row(observed: float | None, truth: float, epochs: int) -> Row:
    shown = None if observed is None else round(observed, 6)
    return {"truth": round(truth, 6), "observed": shown, "epochs": epochs}


# The three sections: (surface, seed, rows so far) -> arm -> how to measure it -------------------

Arms = dict[str, Callable[[], Row]]


def search_arms(name: str, seed: int, done: Row) -> Arms:
    """Random with 64 trials, bayes and Optuna's samplers with 32; one and four at once."""
    surface = SURFACES[name](seed, EPOCHS)
    truth = _truth(surface)

    def study(method: str, trials: int, out: int) -> Row:
        spec = spec_of(method, seed, surface.parameters, EPOCHS, surface.goal, run_cap=trials)
        return ours(spec, surface, truth, out)

    def optuna(sampler: str, out: int, default: bool = False) -> Row:
        spec = spec_of("bayes", seed, surface.parameters, EPOCHS, surface.goal, run_cap=TRIALS)
        pick = optuna_directly.search(
            surface, spec, sampler, trials=TRIALS, out=out, default=default
        )
        return _row(pick.observed, truth(pick.history), pick.epochs)

    arms: Arms = {"random": lambda: study("random", RANDOM_TRIALS, 1)}
    for out in (1, OUT):
        arms[f"bayes, {out} out"] = functools.partial(study, "bayes", TRIALS, out)
        for sampler in optuna_directly.SAMPLERS:
            arms[f"optuna {sampler}, {out} out"] = functools.partial(optuna, sampler, out)
            arms[f"optuna {sampler} + default, {out} out"] = functools.partial(
                optuna, sampler, out, default=True
            )
    return arms


def early_arms(name: str, seed: int, done: Row) -> Arms:
    """Random search; ASHA with as many trials, and with half of the epochs; random with half."""
    surface = SURFACES[name](seed, EARLY_EPOCHS)

    def study(**keys: Any) -> Row:
        spec = spec_of("random", seed, surface.parameters, EARLY_EPOCHS, surface.goal, **keys)
        return ours(spec, surface, _truth(surface), OUT)

    def half(**keys: Any) -> Row:
        # A budget admits a trial by the default configuration's epochs; the last may have more.
        default = spec_of("random", seed, surface.parameters, EARLY_EPOCHS, surface.goal)
        beyond = EARLY_EPOCHS - default.epochs(default.default_config())
        return study(budget={"epochs": done["random"]["epochs"] / 2 - beyond}, **keys)

    asha = {"type": "asha"}
    return {
        "random": lambda: study(run_cap=RANDOM_TRIALS),
        "asha, as many trials": lambda: study(run_cap=RANDOM_TRIALS, early_terminate=asha),
        "asha, half the epochs": lambda: half(early_terminate=asha),
        "random, half the epochs": half,
    }


def moving_arms(name: str, seed: int, done: Row) -> Arms:
    """A population, and the best constant that bayes finds in as many epochs."""
    surface = moving_rates.surface(name, seed, MOVING_EPOCHS)

    def truth(history: History) -> float:
        value = surface.truth(history)
        return surface.chance if value is None else value

    def study(method: str, **keys: Any) -> Row:
        spec = spec_of(method, seed, moving_rates.PARAMETERS, MOVING_EPOCHS, "maximize", **keys)
        return ours(spec, surface, truth, OUT)

    return {
        "pbt": lambda: study("pbt", population={"size": MEMBERS}),
        "bayes": lambda: study("bayes", run_cap=MEMBERS),
    }


def _truth(surface: FineTuning) -> Callable[[History], float]:
    """The true value of a checkpoint; of none, the metric before training."""

    def truth(history: History) -> float:
        value = surface.truth(history) if history else None
        return surface.start if value is None else value

    return truth


Section = Callable[[str, int, Row], Arms]
SECTIONS: dict[str, tuple[Section, tuple[str, ...]]] = {
    "moving": (moving_arms, tuple(moving_rates.MOVES)),
    "early": (early_arms, tuple(SURFACES)),
    "search": (search_arms, tuple(SURFACES)),
}


def measure(section: str, surface: str, seed: int, done: Row, arms: str = "") -> Row:
    """The arms of one section on one surface with one seed that are not done yet.

    Args:
        section, surface, seed: of the row.
        done: arms that are measured already; they are returned with the others.
        arms: measure only those whose names begin with this.
    """
    row = dict(done)
    for arm, run in SECTIONS[section][0](surface, seed, row).items():
        if arm not in row and arm.startswith(arms):
            began = time.process_time()
            measured = run()
            seconds = round(time.process_time() - began, 2)
            row[arm] = {**measured, "cpu_s": seconds, "code": digest(arm)}
    return row


def digest(arm: str) -> str:
    """Of the sources that an arm's figures depend on; with another digest they are void."""
    return _digest("optuna" if arm.startswith("optuna") else "ours")


@functools.cache
def _digest(whose: str) -> str:
    files = sources.digest(sources.imported(*_MODULES[whose]))
    constants = (TRIALS, RANDOM_TRIALS, OUT, EPOCHS, EARLY_EPOCHS, MOVING_EPOCHS, MEMBERS)
    functions: list[Callable[..., Any]] = [spec_of, search_arms, _row, _truth]
    if whose == "ours":
        functions += [ours, early_arms, moving_arms]
    code = "".join(inspect.getsource(function) for function in functions)
    return hashlib.sha256(f"{files} {constants} {code}".encode()).hexdigest()[:16]


def valid(arms: Row) -> Row:
    """The arms whose sources have not changed since."""
    return {arm: row for arm, row in arms.items() if row["code"] == digest(arm)}


def whole(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The rows that have every arm of their section, none of them void: what a page may show."""
    found = {}
    for name, row in rows.items():
        section, surface, seed = name.split("/")
        arms = valid(row["arms"])
        if set(SECTIONS[section][0](surface, int(seed), arms)) <= set(arms):
            found[name] = {**row, "arms": arms}
    return found


def limit_threads() -> None:
    """One thread a process: the processes share the cores."""
    import torch

    torch.set_num_threads(1)


def row_names(seeds: int) -> Iterator[tuple[str, str, int]]:
    """(section, surface, seed) of every row, seed by seed: what is done early is balanced."""
    for section, (_, surfaces) in SECTIONS.items():
        for seed in range(seeds):
            for surface in surfaces:
                yield section, surface, seed


def run(seeds: int, processes: int, folder: Path, arms: str = "") -> str:
    """Measure what is missing and return the page; rows with void or missing arms are not on it.

    Args:
        seeds: paired runs on each surface, from seed 0.
        processes: how many measure at once.
        folder: of the files.
        arms: measure only those whose names begin with this.
    """
    saved = SavedRows(NAME, folder=folder, packages=PACKAGES)
    spawn = multiprocessing.get_context("spawn")
    began = time.monotonic()
    with ProcessPoolExecutor(processes, spawn, initializer=limit_threads) as pool:
        jobs = {}
        for section, surface, seed in row_names(seeds):
            name = f"{section}/{surface}/{seed:02d}"
            done = valid(saved.rows.get(name, {}).get("arms", {}))
            missing = set(SECTIONS[section][0](surface, seed, done)) - set(done)
            if any(arm.startswith(arms) for arm in missing):
                jobs[pool.submit(measure, section, surface, seed, done, arms)] = name
        for count, job in enumerate(as_completed(jobs), 1):
            saved.save(jobs[job], {"arms": job.result()})
            left = (time.monotonic() - began) / count * (len(jobs) - count)
            print(f"{count}/{len(jobs)} {jobs[job]}; about {left / 60:.0f} min left", flush=True)
    return "" if arms else saved.write_page(page, whole(saved.rows))


def main() -> None:
    """Parse, run, print the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="paired runs on each surface")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the files are written")
    parser.add_argument("--arms", default="", help="measure only arms that begin so, no page")
    given = parser.parse_args()
    print(run(given.seeds, given.processes, given.results, given.arms))


if __name__ == "__main__":
    main()
