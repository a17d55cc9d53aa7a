"""What is compared: sweep files, each a method that is run once a seed, and studies that exist.

Runs nothing and writes nothing. Files are read before anything starts and not again: one may be
edited while the comparison runs for hours, and every repetition must be the same sweep. What the
comparison sets beside the file (seed, budget, the default configuration) goes through the same
checks as `--set`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.results import StudyResult, read_study
from search_spaces import Sweep, SweepSpec, read_sweep
from search_spaces.checking import file_name
from sweeps.comparing.epochs import EPOCHS, fitting_population, planned
from sweeps.studies import UsageError, find_study
from sweeps.views import METHOD_WORDS

CONTROL = "random"


@dataclass(frozen=True)
class Entry:
    """A sweep file as one method of a comparison.

    Attributes:
        key: short, unique; part of its studies' names.
        label: what the report calls it.
        path: the sweep file.
        overrides: what was set beside the file, `key=value` each; name and seed come on top.
        read: the file with the overrides.
        changes: what was derived from the budget, in words.
    """

    key: str
    label: str
    path: Path
    overrides: tuple[str, ...]
    read: Sweep
    changes: tuple[str, ...] = ()

    @property
    def spec(self) -> SweepSpec:
        """The sweep as every repetition has it, but for name and seed."""
        return self.read.spec

    def sweep(self, name: str, seed: int) -> Sweep:
        """One repetition: a study's name, and the seed of search, data and training.

        Raises:
            ValueError: the seed is none.
        """
        data = {**self.spec.model_dump(mode="json"), "name": name, "seed": seed}
        return self.read.model_copy(update={"spec": SweepSpec.model_validate(data)})


@dataclass(frozen=True)
class Work:
    """What the arguments of `sweep compare` name."""

    entries: tuple[Entry, ...]
    studies: tuple[StudyResult, ...]


def read_work(
    arguments: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    storage: Path,
    budget_epochs: float | None = None,
    control: bool = False,
    allow_code: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> Work:
    """Read what is to be compared.

    Args:
        arguments: each a sweep file, or a study's name or folder.
        overrides: `key=value` each, for every file.
        storage: where studies that are named stand.
        budget_epochs: epochs that each method may train; None: as the files say.
        control: whether random search is added.
        note: told the notes of the files.

    Raises:
        SpecError: a file is not a valid sweep file.
        UsageError: there is no such study, or the budget does not fit.
        StudyUnreadable: a study is damaged.
    """
    files = [Path(a) for a in arguments if is_file(a)]
    studies = [read_study(find_study(a, storage)) for a in arguments if not is_file(a)]
    plain = [read_sweep(file, overrides, allow_code=allow_code) for file in files]
    entries = []
    for sweep, (key, label) in zip(plain, _names(plain), strict=True):
        for text in sweep.notes:
            note(f"{sweep.path}: {text}")
        entries.append(_entry(key, label, sweep, overrides, budget_epochs, allow_code))
    if control:
        entries = _with_control(entries, overrides, budget_epochs, allow_code, note)
    return Work(tuple(entries), tuple(studies))


def is_file(argument: str) -> bool:
    """Whether an argument is meant as a sweep file rather than a study."""
    return Path(argument).is_file() or argument.endswith((".yaml", ".yml"))


def storage_of(arguments: Sequence[str], overrides: Sequence[str], default: Path) -> Path:
    """The storage folder that the first sweep file names; `default` when there is no file."""
    first = next((a for a in arguments if is_file(a)), None)
    if first is None:
        return default
    return Path(read_sweep(first, overrides, allow_code=True).spec.storage)


def _names(sweeps: Sequence[Sweep]) -> list[tuple[str, str]]:
    """Key and label of each file: its method's, or where methods repeat, its own name."""
    shared = Counter(sweep.spec.method for sweep in sweeps)
    names: list[tuple[str, str]] = []
    for sweep in sweeps:
        method, stem = sweep.spec.method, file_name(sweep.path)
        word = METHOD_WORDS[method]
        key, label = (method, word) if shared[method] == 1 else (stem, f"{word} ({stem})")
        taken, n = [k for k, _ in names], 1
        while (key if n == 1 else f"{key}-{n}") in taken:
            n += 1
        names.append((key, label) if n == 1 else (f"{key}-{n}", f"{label} {n}"))
    return names


def _entry(
    key: str,
    label: str,
    plain: Sweep,
    overrides: Sequence[str],
    budget_epochs: float | None,
    allow_code: bool,
) -> Entry:
    spec, path = plain.spec, plain.path
    added = ["default_first=true"]
    changes: tuple[str, ...] = ()
    if budget_epochs is not None:
        budgeted, changes = _budgeted(spec, path, budget_epochs)
        added += budgeted
    sets = (*overrides, *added)
    return Entry(key, label, path, sets, read_sweep(path, sets, allow_code=allow_code), changes)


def _budgeted(spec: SweepSpec, path: Path, budget: float) -> tuple[list[str], tuple[str, ...]]:
    """What to set so that a file's method trains close to `budget` epochs and never more."""
    if spec.method == "pbt" and spec.population is not None:
        return _population(spec, path, budget)
    if spec.method == "grid":
        # Not `budget.epochs`: it lets a trial begin only while the default's epochs are left.
        needs = planned(spec).high
        if needs > budget * (1 + 1e-9):
            raise UsageError(
                f"--budget-epochs {budget:g}: the grid of {path} needs {needs:g} epochs, and a"
                " grid is never cut short.",
                mend=f"write --budget-epochs {needs:g}, or give the file fewer values.",
            )
        return ["budget.epochs=null"], ()
    least = spec.epochs(spec.default_config())
    if least > budget:
        raise UsageError(
            f"--budget-epochs {budget:g}: not one trial of {path} fits, which takes {least:g}.",
            mend=f"write --budget-epochs {8 * least:g} or so.",
        )
    changes = () if spec.run_cap is None else (f"run_cap {spec.run_cap} gives way to the budget",)
    return ["run_cap=null", f"budget.epochs={budget!r}"], changes


def _population(spec: SweepSpec, path: Path, budget: float) -> tuple[list[str], tuple[str, ...]]:
    fitted = fitting_population(spec, budget)
    if fitted is None or spec.population is None:
        raise UsageError(
            f"--budget-epochs {budget:g}: no population fits of {path}: it takes two members of"
            " more boundaries than population.interval.",
            mend=f"write --budget-epochs {8 * spec.epochs({}):g} or so.",
        )
    size, epochs = fitted
    before = (spec.population.size, spec.epochs({}))
    value = repr(int(epochs) if epochs == int(epochs) else epochs)
    constant = f"training_arguments.{EPOCHS}={value}"
    if EPOCHS in spec.space:
        constant = f"parameters.{EPOCHS}={{value: {value}}}"
    added = ["budget.epochs=null", "run_cap=null", f"population.size={size}", constant]
    if (size, epochs) == before:
        return added, ()
    return added, (
        f"{size} members x {epochs:g} epochs, for the budget; the file has {before[0]} x"
        f" {before[1]:g}",
    )


def _with_control(
    entries: list[Entry],
    overrides: Sequence[str],
    budget_epochs: float | None,
    allow_code: bool,
    note: Callable[[str], None],
) -> list[Entry]:
    """Random search over the space of the first file that is no grid, within the same epochs.

    Of a grid only if there is no other: its few points would be the grid in another order.
    """
    if not entries:
        raise UsageError(
            "--control derives random search from a sweep file, and none is given.",
            mend="give a sweep file too, or leave --control out.",
        )
    if any(entry.spec.method == CONTROL for entry in entries):
        note("--control: random search is already compared, so none is added.")
        return entries
    base = next((entry for entry in entries if entry.spec.method != "grid"), entries[0])
    budget = budget_epochs if budget_epochs is not None else planned(base.spec).high
    if budget == float("inf"):
        raise UsageError(
            f"--control: how many epochs {base.path} trains is not known beforehand.",
            mend="give --budget-epochs N.",
        )
    gone = ("population", "sampler", "early_terminate", "warm_start", "run_cap", "budget")
    sets = (
        *base.overrides,
        f"method={CONTROL}",
        *(f"{key}=null" for key in gone),
        f"budget.epochs={budget!r}",
    )
    read = read_sweep(base.path, sets, allow_code=allow_code)
    label = METHOD_WORDS[CONTROL]
    why = (f"added by --control: the space and the budget of {base.path.name}",)
    return [*entries, Entry(CONTROL, label, base.path, sets, read, why)]
