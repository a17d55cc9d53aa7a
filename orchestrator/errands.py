"""What a driver takes a study up for: to go on searching, or only for something beside the search.

Checks and plans; runs nothing (`study.py` does). Beside the search means: the workers come up, do
what was asked for, and the study ends as it had ended before, so that one which was stopped can
still be resumed. An errand that is interrupted is taken up by `sweep resume`: what it asked for
stands in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.after_search import TEST, looks_at_test
from orchestrator.errors import StudyError, StudyTaken, Unfit
from orchestrator.events import TrialProposed
from orchestrator.extending import going_on
from orchestrator.finalists import finalists, replay
from orchestrator.results import StudyResult
from search_spaces import SweepSpec
from search_spaces.extending import changed
from search_spaces.parts import FinalistsSpec


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What is to be done with a study.

    Attributes:
        spec: the specification in force.
        changes: what of it changes now, for the journal.
        searching: whether the search goes on.
        proposals: trials beside the search that are asked for.
        trains: whether trials beside the search are trained.
        crowns: whether those are proposed that `spec.finalists` asks for.
        evaluates: whether the test split may be looked at.
        again: although it was looked at before.
        needs_test: whether it is for nothing without a test split.
    """

    spec: SweepSpec
    changes: dict[str, Any] = field(default_factory=dict)
    searching: bool = True
    proposals: tuple[TrialProposed, ...] = ()
    trains: bool = True
    crowns: bool = True
    evaluates: bool = True
    again: bool = False
    needs_test: bool = False


def resuming(study: StudyResult, overrides: Sequence[str]) -> Errand:
    """Go on with the search, extended by `--set`; see `extending.going_on`."""
    spec, changes = going_on(study, overrides)
    return Errand(spec=spec, changes=changes)


def evaluating(study: StudyResult, *, again: bool) -> Errand:
    """Evaluate the selected checkpoint on the test split, and the default configuration's.

    Args:
        again: although it was looked at before, which is recorded.

    Raises:
        StudyError: the study has nothing to evaluate yet.
        Unfit: it has no test split, or that was looked at.
    """
    _require_rest(study, "evaluate")
    spec, state = study.spec, study.state
    if not spec.task.is_own_file and TEST not in spec.task.dataset.splits:
        raise no_test_split(study.folder)
    looks = looks_at_test(state)
    default = state.default
    owed = default is not None and default.best is not None
    owed = owed and all(look.trial != default.id for look in looks if default is not None)
    if looks and not again and not owed:
        first = looks[0]
        raise Unfit(
            f"{study.folder}: the test split is looked at once, and was: trial {first.trial} gave"
            f" {first.value} on it.",
            mend="`sweep show` has the figure. Who looks twice chooses by what they see; if it must"
            " be, pass --again, which is recorded.",
        )
    one = spec.resources.model_copy(update={"max_concurrent": 1})
    return Errand(
        spec=spec.model_copy(update={"resources": one}),
        searching=False,
        trains=False,
        crowns=False,
        again=again,
        needs_test=True,
    )


def crowning(study: StudyResult, top_k: int | None, seeds: int | None) -> Errand:
    """Train the best configurations on new seeds and crown one.

    Args:
        top_k: how many configurations; None: what the sweep file says, else 3.
        seeds: how many runs each; None: what the sweep file says, else 5.

    Raises:
        StudyError: the study has no result yet, or all these runs are there.
    """
    _require_rest(study, "finalists")
    asked = study.spec.finalists or FinalistsSpec()
    asked = FinalistsSpec(top_k=top_k or asked.top_k, seeds=seeds or asked.seeds)
    changes = {} if asked == study.spec.finalists else {"finalists": asked.model_dump(mode="json")}
    spec = changed(study.spec, changes)
    open_ones = [study.state.trials[t] for t in study.state.open_trials]
    if not finalists(spec, study.state) and all(r.origin != "finalist" for r in open_ones):
        raise StudyError(
            f"{study.folder}: the best {asked.top_k} configurations have been trained on"
            f" {asked.seeds} new seeds each.",
            mend=f"look at them with `sweep show {study.folder}`, or ask for more:"
            f" --top-k {asked.top_k + 1}, --seeds {asked.seeds + 1}.",
        )
    return Errand(spec=spec, changes=changes, searching=False, evaluates=_search_is_over(study))


def replaying(study: StudyResult, seed: int | None) -> Errand:
    """Train the winner's schedule, or configuration, from the start as one run.

    Args:
        seed: what it trains with; None: one derived from the study's.

    Raises:
        StudyError: the study has no result yet.
    """
    _require_rest(study, "replay")
    return Errand(
        spec=study.spec,
        searching=False,
        proposals=(replay(study.spec, study.state, seed),),
        crowns=False,
        evaluates=_search_is_over(study),
    )


def no_test_split(folder: Path, *, hidden: bool = False) -> Unfit:
    """There is nothing to evaluate on."""
    has = "the labels of its test split are hidden" if hidden else "its data has no test split"
    return Unfit(
        f"{folder}: nothing can be evaluated: {has}.",
        mend="carve one in the sweep file, splits: {test: {from: train, size: 0.1}}, and run it"
        " under another --name: rows that trials have seen are no test.",
    )


def _require_rest(study: StudyResult, command: str) -> None:
    """Raise unless the study is over for now and has a result."""
    if study.status == "running":
        raise StudyTaken(
            f"{study.folder}: the study is running.",
            mend=f"wait for it: `sweep {command}` is for studies that have ended.",
        )
    if study.status == "interrupted":
        raise StudyError(
            f"{study.folder}: the study was interrupted.",
            mend=f"let it come to its end first: `sweep resume {study.folder}`.",
        )
    if study.state.selected is None:
        raise StudyError(
            f"{study.folder}: the study has no usable result ({study.status}).",
            mend=f"see why with `sweep show {study.folder}`.",
        )


def _search_is_over(study: StudyResult) -> bool:
    """Whether the study came to its end, or a limit on what it trains ended it."""
    return study.status == "finished" or study.state.reason.startswith("budget.")
