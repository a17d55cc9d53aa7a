"""`sweep compare`: plan, run what is missing, report after each study and at the end.

Where the parts meet: entries are read and checked (`entries.py`, `likeness.py`), said and recorded
(`view.py`, `manifest.py`), run on one Ray (`running.py`, `orchestrator/shared_ray.py`), and
written up (`sweeps/report/`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import StudyTaken
from orchestrator.results import StudyResult
from orchestrator.shared_ray import SharedRay
from orchestrator.study import resume_study, run_study
from search_spaces.errors import SweepError
from sweeps.comparing.entries import Work, read_work, storage_of
from sweeps.comparing.likeness import notes, require_alike
from sweeps.comparing.opening import make_manifest, opened, repetition_seeds
from sweeps.comparing.running import Outcome, Runner, Turn, run_turns, signals_held, turns
from sweeps.comparing.view import as_json, end_view, outcome_line, plan_view, turn_line
from sweeps.comparing.writing import Reporting, Write
from sweeps.console import Surface
from sweeps.live import view_of
from sweeps.studies import DEFAULT_STORAGE, UsageError, inside
from sweeps.text import command

REPORT = "report"


@dataclass(frozen=True)
class Asked:
    """The command line of `sweep compare`.

    Attributes:
        arguments: sweep files, and names or folders of studies.
        name: None: made from the names of what is compared.
        output: the report's folder; None: `report` in the comparison's.
    """

    arguments: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    repetitions: int | None = None
    seeds: str | None = None
    budget_epochs: float | None = None
    name: str | None = None
    output: Path | None = None
    storage: Path | None = None
    address: str | None = None
    control: bool = False
    allow_code: bool = False

    def again(self) -> str:
        """The same command once more."""
        words = ["sweep", "compare", *self.arguments]
        for option, value in (
            ("--repetitions", self.repetitions),
            ("--seeds", self.seeds),
            ("--budget-epochs", None if self.budget_epochs is None else f"{self.budget_epochs:g}"),
            ("--name", self.name),
            ("--output", self.output),
            ("--storage", self.storage),
            ("--address", self.address),
        ):
            words += [] if value is None else [option, str(value)]
        words += [word for override in self.overrides for word in ("--set", override)]
        return command(*words, *["--control"] * self.control, *["--allow-code"] * self.allow_code)

    def reproduced(self, name: str, seeds: Sequence[int]) -> str:
        """The command for a reader of the report: files by their names, no place of this machine.

        Args:
            name: the comparison's.
            seeds: of its repetitions.
        """
        short = tuple(Path(argument).name for argument in self.arguments)
        alone = len(set(short)) == len(short)
        told = dataclasses.replace(
            self,
            arguments=short if alone else self.arguments,
            repetitions=None,
            seeds=",".join(map(str, seeds)) or None,
            name=name,
            output=None,
            storage=None,
            address=None,
        )
        return told.again()


class OnRay:
    """Runs studies on one Ray, each shown like `sweep run` shows it.

    Args:
        allow_code: whether code that a study's specification names may be run.
        make_rank: makes a worker's rank; None: one that trains.
    """

    def __init__(
        self,
        surface: Surface,
        ray: SharedRay,
        *,
        allow_code: bool = False,
        make_rank: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self._surface = surface
        self._ray = ray
        self._allow_code = allow_code
        self._make_rank = make_rank

    def run(self, turn: Turn, storage: Path) -> StudyResult:
        """Run a study from its start to its end."""
        with view_of(self._surface, turn.sweep.spec, turn.folder) as view:
            return run_study(
                turn.sweep,
                storage=storage,
                address=self._ray.address(),
                on_event=view,
                on_notice=self._surface.say,
                make_rank=self._make_rank,
            )

    def resume(self, turn: Turn) -> StudyResult:
        """Go on with a study that did not come to its end."""
        with view_of(self._surface, turn.sweep.spec, turn.folder) as view:
            return resume_study(
                turn.folder,
                address=self._ray.address(),
                allow_code=self._allow_code,
                on_event=view,
                on_notice=self._surface.say,
                make_rank=self._make_rank,
            )


def compare(
    surface: Surface,
    asked: Asked,
    make_runner: Callable[[SharedRay], Runner] | None = None,
    write: Write | None = None,
) -> int:
    """Run a comparison to its end, or go on with it.

    Args:
        make_runner: makes what runs the studies; None: `OnRay`.
        write: makes and writes the report; None: as `sweep report` does.

    Returns:
        The exit code: 0 done, 3 done with failed trials, 1 a study failed or was stopped.

    Raises:
        SweepError: it cannot start, or cannot go on; the error owns its exit code.
    """
    budget = asked.budget_epochs
    if budget is not None and not 0 < budget < math.inf:
        raise UsageError(
            f"--budget-epochs must be a number of epochs above 0; got {budget:g}.",
            mend="write for instance --budget-epochs 64.",
        )
    storage = asked.storage or storage_of(asked.arguments, asked.overrides, DEFAULT_STORAGE)
    work = read_work(
        asked.arguments,
        asked.overrides,
        storage=storage,
        budget_epochs=budget,
        control=asked.control,
        allow_code=asked.allow_code,
        note=lambda text: surface.say(f"note: {text}", style="yellow"),
    )
    require_alike(work)
    told = notes(work)
    for text in told:
        surface.say(f"note: {text}", style="yellow")
    seeds: tuple[int, ...] = ()
    if work.entries:
        seeds = repetition_seeds(asked.seeds, asked.repetitions, work.entries[0].spec.seed)
    folder = inside(storage, asked.name or default_name(work))
    again = asked.reproduced(folder.name, seeds)
    manifest = make_manifest(folder.name, work, seeds, budget, storage, again)
    surface.show(*plan_view(work, manifest))
    output = asked.output or folder / REPORT
    reporting = Reporting(surface, manifest, storage, work.studies, output, write)
    with contextlib.ExitStack() as exits:
        exits.enter_context(signals_held(folder, lambda: None))
        exits.enter_context(opened(folder, manifest, surface.say))
        ray = SharedRay(asked.address)
        exits.callback(ray.close)
        if make_runner is None:
            runner: Runner = OnRay(surface, ray, allow_code=asked.allow_code)
        else:
            runner = make_runner(ray)
        order = turns(work, manifest, storage)
        outcome = _run(surface, asked, order, runner, reporting, storage)
        ray.close()
        surface.show(end_view(manifest, outcome, work.studies))
        report = reporting.last(outcome.studies)
    if outcome.failures or outcome.unfinished:
        _say_open(surface, asked, outcome)
    surface.give(
        {
            "folder": str(folder),
            "report": str(output) if report is not None else None,
            "verdict": report.verdict.text if report is not None else None,
            **as_json(manifest, outcome, work.studies, told),
        }
    )
    return outcome.exit_code


def _run(
    surface: Surface,
    asked: Asked,
    order: Sequence[Turn],
    runner: Runner,
    reporting: Reporting,
    storage: Path,
) -> Outcome:
    ran: set[int] = set()

    def before(turn: Turn) -> None:
        ran.add(turn.place)
        surface.say(turn_line(turn, len(order)), style="bold")

    def after(turn: Turn, study: StudyResult | None, outcome: Outcome) -> None:
        failure = outcome.failures.get(turn.folder.name)
        line = outcome_line(turn, len(order), study, failure)
        surface.say(line, style="red" if failure else None)
        if turn.place in ran and turn.place < len(order):
            reporting.so_far(outcome.studies)

    try:
        return run_turns(order, runner, storage, before=before, after=after)
    except SweepError as error:
        if not isinstance(error, StudyTaken):
            surface.next_step(asked.again())
        raise


def _say_open(surface: Surface, asked: Asked, outcome: Outcome) -> None:
    for name, why in outcome.failures.items():
        surface.say(f"{name} gave no result: {why}", style="red")
    if outcome.unfinished:
        surface.say(f"{', '.join(outcome.unfinished)}: stopped before its end.", style="yellow")
        surface.next_step(asked.again())


def default_name(work: Work) -> str:
    """What the names of what is compared begin with, and `comparison`."""
    names = [e.spec.name for e in work.entries] + [s.folder.name for s in work.studies]
    common: list[str] = []
    for words in zip(*(re.split(r"[-._]+", name) for name in names), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return "-".join([*common, "comparison"])[-40:].lstrip("-")
