"""Trials beside the search: controls, finalists, replays; the search neither sees nor pays them."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from orchestrator.ancestry import ancestry
from orchestrator.budgets import no_more_trials, running_seconds
from orchestrator.events import (
    Decided,
    Evaluated,
    Event,
    Reported,
    SegmentStarted,
    StudyResumed,
    TrialEnded,
    TrialProposed,
)
from orchestrator.finalists import replay
from orchestrator.journal import Entry
from orchestrator.records import SEARCH
from orchestrator.schedulers import make_scheduler
from orchestrator.searchers import make_searcher
from orchestrator.segment import TrialFailure
from orchestrator.simulate import Simulation, simulate
from orchestrator.state import StudyState
from orchestrator.surfaces import History, LearningRateCurve
from search_spaces import SweepSpec
from tests.orchestrator.deciding import FINITE, sweep
from tests.orchestrator.test_dispatch_storms import PATIENT, Storm
from tests.orchestrator.world import World, population
from tests.orchestrator.world import sweep as world_sweep

SURFACE = LearningRateCurve(noise=0.01)
FINALISTS = {"top_k": 2, "seeds": 3}
STUDIES: dict[str, SweepSpec] = {
    "grid": sweep(
        "grid",
        parameters={**FINITE, "learning_rate": {"values": [1e-5, 1e-4]}},
        default_first=True,
        finalists=FINALISTS,
    ),
    "random": sweep("random", run_cap=7, finalists=FINALISTS),
    "bayes": sweep("bayes", run_cap=7, sampler="tpe", finalists=FINALISTS),
    "asha": sweep(
        "random", run_cap=9, epochs=9, early_terminate={"type": "asha"}, finalists=FINALISTS
    ),
    "pbt": sweep("pbt", finalists=FINALISTS),
    "asynchronous pbt": sweep(
        "pbt", population={"size": 4, "synchronous": False}, finalists=FINALISTS
    ),
}


def without(spec: SweepSpec) -> SweepSpec:
    """The same sweep with nothing beside its search."""
    return spec.model_copy(update={"finalists": None, "default_first": None})


def of_search(events: tuple[Event, ...]) -> list[Event]:
    """What a study without anything beside it would have journalled, but for its end."""
    state, kept = StudyState(), []
    for event in events:
        if state.searches(event) and not isinstance(event, StudyResumed):
            kept.append(event)
        state.apply(event)
    return kept


# The search is not disturbed -------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_a_search_is_the_same_with_and_without_trials_beside_it(name: str) -> None:
    spec = STUDIES[name]
    whole = simulate(spec, SURFACE, test_rows=5)
    assert whole.state.beside and whole.state.state == "finished"
    alone = simulate(without(spec), SURFACE)
    assert of_search(whole.events) == list(alone.events)
    assert whole.state.best == alone.state.best
    assert whole.state.lineage() == alone.state.lineage()
    assert whole.state.searched == alone.state.searched == len(alone.state.trials)
    assert whole.state.epochs_ended == alone.state.epochs_ended
    assert no_more_trials(spec, whole.state) == no_more_trials(spec, alone.state)


@pytest.mark.parametrize("name", STUDIES)
def test_deciders_that_replay_a_journal_do_not_see_what_stands_beside_the_search(
    name: str,
) -> None:
    spec = STUDIES[name]
    events = simulate(spec, SURFACE, test_rows=5).events
    search = of_search(events)
    for cut in range(1, len(events), max(1, len(events) // 25)):
        told, alone = make_scheduler(spec), make_scheduler(spec)
        searching, lone = make_searcher(spec), make_searcher(spec)
        kept = [event for event in events[:cut] if event in search]
        for event in events[:cut]:
            told.observe(event)
            searching.observe(event)
        for event in kept:
            alone.observe(event)
            lone.observe(event)
        assert [d for d in told.due() if d.donor != d.trial] == alone.due()
        trials = [e.trial for e in kept if isinstance(e, TrialProposed)]
        for trial in trials:
            for boundary in range(4):
                assert told.until(trial, boundary) == alone.until(trial, boundary)
                assert told.keeps(trial, boundary) == alone.keeps(trial, boundary)
        if name != "bayes" or len(trials) < 3:  # each look at its model takes a while
            assert searching.propose(len(trials)) == lone.propose(len(trials))


def test_the_time_of_what_stands_beside_a_search_is_not_its_own() -> None:
    events = simulate(STUDIES["random"], SURFACE, test_rows=5).events
    clock = [Entry(i, float(i), event) for i, event in enumerate(events)]
    proposed = next(
        i for i, e in enumerate(events) if isinstance(e, TrialProposed) and e.origin == "finalist"
    )
    seconds = running_seconds(clock)
    assert proposed - 1 <= seconds <= proposed + 1
    assert running_seconds(clock[:proposed]) == proposed - 1


# Control ---------------------------------------------------------------------------------


def test_a_grid_trains_the_default_configuration_beside_it_only_when_asked() -> None:
    grid = STUDIES["grid"].model_copy(update={"finalists": None})
    study = simulate(grid, SURFACE, slots=2, test_rows=5)
    control = study.state.trials["control"]
    assert (control.origin, control.state) == ("control", "finished")
    assert control.first_config == grid.default_config()
    assert study.state.default is control
    assert study.state.searched == grid.trial_limit
    looks = [e.trial for e in study.events if isinstance(e, Evaluated)]
    assert looks == [study.state.best.trial, "control"]  # type: ignore[union-attr]
    silent = simulate(without(grid), SURFACE)
    assert "control" not in silent.state.trials and silent.state.default is None


def test_a_control_is_no_candidate_however_good_it_is() -> None:
    spec = STUDIES["grid"].model_copy(update={"finalists": None})
    world = World(spec, value=lambda t, c, b: 100.0 if t == "control" else float(b), test_rows=7)
    world.ready("a", "b")
    world.run("a", "b")
    assert world.state.best is not None and world.state.best.trial != "control"
    assert world.state.best.value < 100
    assert world.state.state == "finished"


def test_an_old_grid_that_has_begun_without_a_control_goes_on_without() -> None:
    spec = STUDIES["grid"].model_copy(update={"finalists": None})
    past = simulate(without(spec), SURFACE)
    history = [*past.events[:20], StudyResumed()]
    resumed = simulate(spec, SURFACE, history=history, histories=past.histories)
    assert "control" not in resumed.state.trials and resumed.state.state == "finished"


# Finalists -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_the_best_configurations_are_trained_on_new_seeds_and_the_best_mean_is_crowned(
    name: str,
) -> None:
    study = simulate(STUDIES[name], SURFACE, slots=2, test_rows=5)
    state = study.state
    runs = [state.trials[t] for t in state.beside if state.trials[t].origin == "finalist"]
    assert len(runs) == 6 and all(run.state == "finished" for run in runs)
    assert len({run.seed for run in runs}) == 3, "the same seeds for each configuration"
    means: dict[str, list[float]] = {}
    for run in runs:
        assert run.best is not None and run.repeats is not None
        means.setdefault(run.repeats, []).append(run.best.value)
    assert len(means) == 2
    crown = state.crowned
    assert crown is not None
    assert crown.mean == pytest.approx(max(math.fsum(v) / 3 for v in means.values()))
    assert crown.values == tuple(means[crown.repeats])
    assert state.selected == crown.best and crown.best.value == max(crown.values)
    assert crown.best.trial in crown.trials
    look = next(e for e in study.events if isinstance(e, Evaluated))
    assert look.checkpoint == crown.best.checkpoint, "not the lucky run of the search"


def test_finalists_of_a_population_train_whole_lineages() -> None:
    study = simulate(STUDIES["pbt"], SURFACE, slots=2)
    scheduled = [r for r in study.state.trials.values() if r.schedule]
    assert scheduled
    for record in scheduled:
        source = study.state.trials[record.repeats or ""]
        assert source.best is not None and record.best is not None
        trained = study.histories[record.best.checkpoint]
        stretches = ancestry(study.state, record.id, len(trained))
        assert [s.config for s in stretches] == [
            record.first_config,
            *[c for b, c in record.schedule if b < len(trained)],
        ]
        for boundary, config in enumerate(trained):
            wanted = [c for b, c in record.schedule if b <= boundary]
            assert config == (wanted[-1] if wanted else record.first_config)


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "asynchronous pbt"])
def test_a_study_killed_anywhere_crowns_the_same(name: str) -> None:
    spec = STUDIES[name]
    whole = simulate(spec, SURFACE, test_rows=5)
    first = next(i for i, e in enumerate(whole.events) if getattr(e, "trial", "")[:5] == "final")
    cuts = {*range(1, first, max(1, first // 5)), *range(first, len(whole.events))}
    for cut in sorted(cuts):
        history = [*whole.events[:cut], StudyResumed()]
        resumed = simulate(spec, SURFACE, history=history, histories=whole.histories, test_rows=5)
        assert resumed.state.state == "finished", cut
        assert crown_of(resumed) == crown_of(whole), cut
        assert len([e for e in resumed.events if isinstance(e, Evaluated)]) == len(
            whole.state.evaluations
        )


def crown_of(study: Simulation) -> Any:
    crown = study.state.crowned
    assert crown is not None
    looks = [(look.trial, look.boundary, look.value) for look in study.state.evaluations]
    return crown.repeats, crown.values, crown.trials, crown.best.trial, looks


def test_a_finalist_that_fails_is_left_out_of_the_mean_and_told() -> None:
    class Breaks(LearningRateCurve):
        def seeded(self, seed: int) -> LearningRateCurve:
            return Broken(noise=0.01) if seed % 3 == 0 else super().seeded(seed)

    class Broken(LearningRateCurve):
        def value(self, history: History) -> Any:
            return TrialFailure(kind="code", message="boom")

    spec = sweep("random", run_cap=4, finalists={"top_k": 2, "seeds": 6})
    study = simulate(spec, Breaks(noise=0.01))
    crown = study.state.crowned
    assert crown is not None and crown.failed > 0
    assert len(crown.values) + crown.failed == 6
    assert crown.mean == pytest.approx(math.fsum(crown.values) / len(crown.values))
    assert study.state.state == "finished"


def test_finalists_that_all_fail_crown_nobody_and_the_search_keeps_its_best() -> None:
    spec = world_sweep(finalists={"top_k": 1, "seeds": 2}, failures={"stop_after": 1})
    world = World(
        spec, lambda t, c, b: None if t.startswith("finalist") else b + c["learning_rate"]
    )
    world.ready("a")
    world.run("a")
    assert world.state.crowned is None and world.state.selected == world.state.best
    assert world.state.state == "finished", "stop_after is the search's"


def test_finalists_of_an_extended_study_are_those_of_its_new_best() -> None:
    spec = sweep("random", run_cap=4, finalists={"top_k": 1, "seeds": 2})
    first = simulate(spec, SURFACE)
    more = spec.model_copy(update={"run_cap": 20})
    history = [*first.events, StudyResumed()]
    second = simulate(more, SURFACE, history=history, histories=first.histories)
    assert second.state.searched == 20
    numbers = [r.number for r in second.state.trials.values() if r.in_search]
    assert numbers == list(range(20)), "finalists take no number of the search"
    best = second.state.best
    assert best is not None and best.trial not in first.state.trials
    repeated = [second.state.trials[t].repeats for t in second.state.beside]
    assert len(repeated) == 4 and repeated[2:] == [best.trial] * 2


@pytest.mark.parametrize("diverges", [0.0, 0.15], ids=["finite", "diverging"])
@pytest.mark.parametrize("name", ["random", "pbt"])
def test_finalists_come_to_their_end_in_storms(name: str, diverges: float) -> None:
    keys: dict[str, Any] = {"finalists": FINALISTS, "failures": PATIENT}
    spec = world_sweep(run_cap=4, **keys) if name == "random" else population(4)
    spec = spec.model_copy(update={"finalists": STUDIES["pbt"].finalists})
    for seed in range(30):
        storm = Storm(spec, seed, losses=0.02, diverges=diverges)
        storm.rage()
        ended = [event.trial for event in storm.world.of(TrialEnded)]
        assert sorted(ended) == sorted(storm.world.state.trials), seed


# Replay ----------------------------------------------------------------------------------


def replayed(past: Simulation, spec: SweepSpec, cut: int | None = None) -> Simulation:
    """The study with its winner trained again."""
    proposal = replay(spec, past.state, seed=5)
    history = [*past.events, StudyResumed(), proposal]
    return simulate(without(spec), SURFACE, history=history, histories=past.histories)


def test_a_replay_trains_the_winners_schedule_from_scratch_in_one_run() -> None:
    spec = sweep("pbt", population={"size": 8})
    past = simulate(spec, SURFACE, slots=2)
    best = past.state.best
    assert best is not None and past.best_history is not None
    study = replayed(past, spec)
    run = study.state.trials["replay-001"]
    assert (run.state, run.seed, run.repeats) == ("finished", 5, best.trial)
    trained = study.histories[run.checkpoints[run.boundaries].path]
    wanted = past.best_history
    assert trained[: len(wanted)] == wanted
    assert set(map(str, trained[len(wanted) :])) <= {str(wanted[-1])}
    starts = [e for e in study.events if isinstance(e, SegmentStarted) and e.trial == run.id]
    assert {s.start_trial for s in starts[1:]} <= {run.id}
    assert study.state.best == best and study.state.selected == best, "no candidate"
    assert study.state.lineage() == past.state.lineage()


def test_a_replay_of_another_method_trains_the_winners_configuration() -> None:
    spec = sweep("random", run_cap=5)
    past = simulate(spec, SURFACE)
    study = replayed(past, spec)
    run = study.state.trials["replay-001"]
    assert run.schedule == [] and run.first_config == past.state.best.config  # type: ignore[union-attr]
    assert len([e for e in study.events if isinstance(e, Decided) and e.trial == run.id]) == 0
    again = replay(spec, study.state, seed=None)
    assert again.trial == "replay-002" and again.seed not in (None, 5)


@pytest.mark.parametrize("commit_s", [0.0, 0.4])
def test_a_replay_killed_anywhere_goes_on_by_its_schedule(commit_s: float) -> None:
    spec = sweep("pbt", population={"size": 8})
    past = simulate(spec, SURFACE, slots=2)
    whole = replayed(past, spec)
    wanted = whole.histories[whole.state.trials["replay-001"].checkpoints[4].path]
    for cut in range(len(past.events) + 2, len(whole.events)):
        history = [*whole.events[:cut], StudyResumed()]
        resumed = simulate(
            spec, SURFACE, history=history, histories=whole.histories, commit_s=commit_s
        )
        run = resumed.state.trials["replay-001"]
        assert run.state == "finished"
        assert resumed.histories[run.checkpoints[4].path] == wanted


def test_a_lost_worker_sets_a_schedule_back_to_its_last_commit() -> None:
    spec = population(2).model_copy(update={"failures": world_sweep(failures=PATIENT).failures})
    proposal = TrialProposed(
        trial="replay-001", number=1, config={"learning_rate": 0.1}, origin="replay", boundaries=4,
        epochs=4.0, seed=1, repeats="0000",
        schedule=[(1, {"learning_rate": 0.2}), (3, {"learning_rate": 0.3})],
    )  # fmt: skip
    past = World(spec)
    past.ready("a")
    past.run("a")
    rng = random.Random(3)
    for _ in range(20):
        world = World(
            spec,
            history=past.journal,
            resumed=(StudyResumed(), proposal),
            disk=past.disk,
            searching=False,
        )
        world.ready("a")
        while world.state.state == "running":
            if rng.random() < 0.15:
                world.lose("a")
                world.ready("a")
            elif world.take("a") is None:
                worker_at = world.at.get("a")
                assert worker_at is not None
                if rng.random() < 0.2:
                    world.report("a")
                    world.lose("a")
                    world.ready("a")
                else:
                    world.boundary("a")
        rates = {
            r.boundary: world.state.trials["replay-001"].segments[r.segment].config
            for r in world.of(Reported)
            if r.trial == "replay-001"
        }
        assert [rates[b]["learning_rate"] for b in (1, 2, 3, 4)] == [0.1, 0.2, 0.2, 0.3]


def test_origins_are_the_search_or_beside_it() -> None:
    assert {"control", "finalist", "replay"}.isdisjoint(SEARCH)
