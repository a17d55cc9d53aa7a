"""What is decided once a search is over: the runs beside it, then the look at the test split.

Pure, like the Dispatcher that asks it: state in, proposals and evaluations out. A test split is
looked at once: the first look of a study is that of its selected checkpoint, and the best
checkpoint of the default configuration gets one of its own, so that there is something to compare
with. The selected one's comes first or not at all, so the journal tells whose was whose. What is
selected later (the study was extended, finalists were trained) gets a look only if a person asks
for it again, and that is recorded: who looks twice chooses by what they see.
"""

from __future__ import annotations

from orchestrator.events import CheckpointLost, Evaluated, TrialProposed
from orchestrator.finalists import finalists
from orchestrator.segment import Evaluation, EvaluationReport, TrialFailure
from orchestrator.state import StudyState
from search_spaces import SweepSpec

TEST = "test"


class AfterSearch:
    """Says what is still to be done beside the search, and keeps count of failed evaluations.

    Args:
        spec: the sweep.
        state: the study's state.
        test_rows: of the test split; 0: there is none to look at.
        again: look at it for the selected checkpoint although it was looked at before.
        trains: whether trials beside the search are trained; else checkpoints are only evaluated.
        crowns: whether those are proposed that the sweep's finalists ask for.
    """

    def __init__(
        self,
        spec: SweepSpec,
        state: StudyState,
        *,
        test_rows: int = 0,
        again: bool = False,
        trains: bool = True,
        crowns: bool = True,
    ) -> None:
        self._spec = spec
        self._state = state
        self._test_rows = test_rows
        self._again = again
        self._trains = trains
        self._crowns = crowns
        self._given_up: set[str] = set()
        self._failures: dict[tuple[str, str], int] = {}

    def proposals(self) -> list[TrialProposed]:
        """Trials to propose before anything else beside the search."""
        return finalists(self._spec, self._state) if self._crowns else []

    @property
    def is_training(self) -> bool:
        """Whether a trial beside the search is still to be trained."""
        trials = self._state.trials
        return self._trains and any(not trials[t].in_search for t in self._state.open_trials)

    def evaluation(self) -> Evaluation | None:
        """The next look at the test split; None: nothing is left to be looked at."""
        if not self._test_rows or self.is_training:
            return None
        look = self._of_selected() or self._of_default()
        return None if look is None or look.checkpoint in self._given_up else look

    def _of_selected(self) -> Evaluation | None:
        selected, looked_at = self._state.selected, bool(looks_at_test(self._state))
        if selected is None or (looked_at and not self._again):
            return None
        return Evaluation(
            trial=selected.trial,
            boundary=selected.boundary,
            checkpoint=selected.checkpoint,
            config=selected.config,
            batch_at_most=self._state.trials[selected.trial].batch_at_most,
        )

    def _of_default(self) -> Evaluation | None:
        record = self._state.default
        best = record.best if record is not None else None
        if record is None or best is None or not record.ended:
            return None
        if any(look.trial == record.id for look in looks_at_test(self._state)):
            return None
        return Evaluation(
            trial=record.id,
            boundary=best.boundary,
            checkpoint=best.checkpoint,
            config=record.first_config,
            batch_at_most=record.batch_at_most,
        )

    def evaluated(self, evaluation: Evaluation, report: EvaluationReport, gpus: float) -> Evaluated:
        """The event of an evaluation that was done; the state is to be shown it."""
        selected = self._state.selected
        is_selected = selected is not None and selected.checkpoint == evaluation.checkpoint
        again = is_selected and bool(looks_at_test(self._state))
        self._again = self._again and not is_selected
        return Evaluated(
            trial=evaluation.trial,
            boundary=evaluation.boundary,
            checkpoint=evaluation.checkpoint,
            split=evaluation.split,
            value=report.value,
            metrics=report.metrics,
            rows=report.rows,
            seconds=report.seconds,
            gpus=gpus,
            again=again,
        )

    def failed(
        self, evaluation: Evaluation, failure: TrialFailure
    ) -> tuple[CheckpointLost | None, str]:
        """What follows a failed evaluation: it is tried again, or given up.

        Returns:
            The loss of its checkpoint if that was found damaged (then the next best is looked at),
            and a sentence for a person.
        """
        what = f"trial {evaluation.trial} on the {evaluation.split} split"
        if failure.kind == "damaged":
            return self._lost(evaluation, failure.message), f"{what}: {failure.message}"
        limits = {"infrastructure": self._spec.failures.max_retries}
        limits["hung"] = min(1, limits["infrastructure"])
        key = evaluation.checkpoint, failure.kind
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] <= limits.get(failure.kind, 0):
            return None, f"{what} was interrupted ({failure.message}) and is evaluated again"
        self._given_up.add(evaluation.checkpoint)
        return None, (
            f"{what} could not be evaluated ({failure.kind}: {failure.message}); the study has no"
            f" such figure. `sweep evaluate {self._state.name}` tries again"
        )

    def _lost(self, evaluation: Evaluation, reason: str) -> CheckpointLost | None:
        for record in self._state.trials.values():
            commit = record.checkpoints.get(evaluation.boundary)
            if commit is not None and commit.path == evaluation.checkpoint:
                return CheckpointLost(
                    trial=record.id,
                    boundary=evaluation.boundary,
                    path=commit.path,
                    reason=reason,
                )
        self._given_up.add(evaluation.checkpoint)
        return None


def looks_at_test(state: StudyState) -> list[Evaluated]:
    """Every look at the test split, in order; the first is that of the selected checkpoint."""
    return [look for look in state.evaluations if look.split == TEST]
