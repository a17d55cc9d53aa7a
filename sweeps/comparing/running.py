"""Runs what a comparison consists of: every method under every seed, one study after the other.

Decides nothing within a study. Repetition by repetition, each method in turn, so that a machine
that slows down slows all; each study has all slots to itself, so that its wall time is its own. A
study that is there is read when it came to its end and gone on with when it did not, so a
comparison that was cut off goes on by the same command.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from orchestrator.errors import Interrupted, StudyError, StudyTaken, StudyUnreadable
from orchestrator.extending import going_on
from orchestrator.journal import JOURNAL, is_unbegun
from orchestrator.results import StudyResult, read_study
from orchestrator.signals import Signals, name_of
from search_spaces import Sweep
from search_spaces.errors import SweepError
from sweeps.comparing.entries import Work
from sweeps.comparing.manifest import Manifest

_GOES_ON = (1, 5)
"""Exit codes of errors that concern one study only; any other ends the comparison."""


@dataclass(frozen=True)
class Turn:
    """One study of a comparison, in the order in which they run.

    Attributes:
        place: from 1.
        repetition: from 1.
    """

    place: int
    label: str
    repetition: int
    seed: int
    sweep: Sweep
    folder: Path


@dataclass
class Outcome:
    """What a comparison came to.

    Attributes:
        studies: those that could be read, in the order of turns.
        failures: study's name -> why it gave no result, in words.
        unfinished: names of studies that were stopped before their end.
    """

    studies: list[StudyResult] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done, 3 done with failed trials, 1 when a study failed or was stopped."""
        if self.failures or self.unfinished:
            return 1
        return 3 if any(study.state.with_state("failed") for study in self.studies) else 0


class Runner(Protocol):
    """Runs studies; the real one does so on Ray."""

    def run(self, turn: Turn, storage: Path) -> StudyResult:
        """Run a study from its start to its end."""

    def resume(self, turn: Turn) -> StudyResult:
        """Go on with a study that did not come to its end."""


def turns(work: Work, manifest: Manifest, storage: Path) -> list[Turn]:
    """Every study in its order: each method's first repetition, then each one's second ..."""
    found: list[Turn] = []
    for n, seed in enumerate(manifest.seeds):
        for entry, method in zip(work.entries, manifest.methods, strict=True):
            name = method.studies[n]
            sweep = entry.sweep(name, seed)
            place = len(found) + 1
            found.append(Turn(place, entry.label, n + 1, seed, sweep, storage / name))
    return found


def run_turns(
    order: Sequence[Turn],
    runner: Runner,
    storage: Path,
    *,
    before: Callable[[Turn], None] = lambda turn: None,
    after: Callable[[Turn, StudyResult | None, Outcome], None] = lambda turn, study, outcome: None,
) -> Outcome:
    """Bring every study to its end.

    Args:
        before: told of each turn for which something runs.
        after: told of each turn that is over, its study (None: it cannot be read) and all so far.

    Raises:
        SweepError: what keeps every study from running (a signal, a full disk, no cluster, a
            study that another process is at); what was finished is kept.
    """
    outcome = Outcome()
    for turn in order:
        study: StudyResult | None = None
        try:
            study = _settled(turn, runner, storage, before)
        except SweepError as error:
            if error.exit_code not in _GOES_ON:
                raise
            outcome.failures[turn.folder.name] = str(error)
            with contextlib.suppress(StudyUnreadable):  # said already
                study = read_study(turn.folder) if not is_unbegun(turn.folder / JOURNAL) else None
        if study is not None:
            outcome.studies.append(study)
            name = turn.folder.name
            if name not in outcome.failures and not is_over(study):
                outcome.unfinished.append(name)
            elif study.state.best is None:
                outcome.failures.setdefault(name, study.state.reason or "no usable result")
        after(turn, study, outcome)
        if turn.folder.name in outcome.unfinished:  # somebody asked for that: `sweep stop`
            break
    return outcome


def _settled(
    turn: Turn, runner: Runner, storage: Path, before: Callable[[Turn], None]
) -> StudyResult:
    if is_unbegun(turn.folder / JOURNAL):
        before(turn)
        return runner.run(turn, storage)
    study = read_study(turn.folder)
    if study.running is not None:
        raise StudyTaken(
            f"{turn.folder}: another process writes to this study: {study.running}.",
            mend="wait for it, then give the same command again.",
        )
    if is_over(study):
        return study
    before(turn)
    return runner.resume(turn)


def is_over(study: StudyResult) -> bool:
    """Whether the study came to its end, or to a limit of its own: nothing is left to run."""
    try:
        going_on(study, ())
    except StudyError:
        return True
    return False


@contextlib.contextmanager
def signals_held(folder: Path, at_once: Callable[[], None]) -> Iterator[None]:
    """Hold the signals between studies too: the first ends the comparison, the second at once.

    Raises:
        Interrupted: a signal came while no study ran.
    """

    def told(number: int) -> None:
        raise Interrupted(
            number,
            f"{folder}: interrupted by {name_of(number)} between two studies; what was finished"
            " is kept.",
            mend="give the same command again to go on.",
        )

    signals = Signals(told, at_once)
    with signals.held():
        try:
            yield
        except Interrupted as error:  # a study's own: the next signal is the second one
            signals.number = error.exit_code - 128
            raise
