"""What the driver keeps up with every event: right, and no dearer in an old study."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from orchestrator.errors import StudyUnreadable
from orchestrator.events import CheckpointLost, Event
from orchestrator.results import read_study
from orchestrator.retention import Retention
from orchestrator.schedulers import make_scheduler
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from tests.orchestrator.world import World, sweep


def population(generations: int, *, synchronous: bool = True) -> SweepSpec:
    section = {"size": 4, "synchronous": synchronous, "quantile_fraction": 0.5}
    training = {"num_train_epochs": generations}
    return sweep(method="pbt", population=section, training=training)


def journal(spec: SweepSpec) -> list[Event]:
    world = World(spec)
    world.ready("a", "b")
    world.run("a", "b")
    return world.journal


@pytest.mark.parametrize("synchronous", [True, False])
def test_what_is_kept_of_a_population_does_not_grow_with_its_age(synchronous: bool) -> None:
    spec = population(60, synchronous=synchronous)
    state, scheduler = StudyState(), make_scheduler(spec)
    retention = Retention(state, scheduler)
    asked, standing, kept = 0, 0, []
    keeps = scheduler.keeps

    def counted(trial: str, boundary: int) -> bool:
        nonlocal asked
        asked += 1
        return keeps(trial, boundary)

    scheduler.keeps = counted  # type: ignore[method-assign]
    for event in journal(spec):
        state.apply(event)
        scheduler.observe(event)
        retention.observe(event)
        standing += event.kind == "checkpoint_committed"
        standing -= len(retention.unused())
        kept.append((asked, standing))
    half = len(kept) // 2
    assert max(standing for _, standing in kept) <= 5 * 4
    assert kept[-1][0] - kept[half][0] < 1.2 * kept[half][0]


@pytest.mark.parametrize("synchronous", [True, False])
def test_where_a_trial_stands_is_its_newest_commit_after_its_last_exploit(
    synchronous: bool,
) -> None:
    state = StudyState()
    for event in journal(population(12, synchronous=synchronous)):
        state.apply(event)
        for record in state.trials.values():
            copies = [d for d in record.decisions.values() if d.action == "exploit"]
            assert record.exploit is (copies[-1] if copies else None)
            since = record.exploit.boundary if record.exploit else 0
            own = [boundary for boundary in record.checkpoints if boundary > since]
            assert state.standing(record.id).boundary == max(own, default=since)
            assert list(record.best_at) == sorted(record.best_at)


def test_a_lost_checkpoint_is_nobodys_newest() -> None:
    spec = sweep()
    world = World(spec)
    world.ready("a")
    world.take("a")
    for _ in range(2):
        world.boundary("a")
    record = world.state.trials["0000"]
    lost = record.checkpoints[2]
    world.state.apply(CheckpointLost(trial="0000", boundary=2, path=lost.path, reason="damaged"))
    assert record.newest == 1 and world.state.standing("0000").checkpoint


def test_epochs_of_ended_trials_are_counted_as_they_end() -> None:
    world = World(sweep(run_cap=5, early_terminate={"type": "asha", "min_iter": 1, "eta": 2}))
    world.ready("a")
    world.run("a")
    trials = world.state.trials.values()
    assert {t.state for t in trials} == {"finished", "stopped"}
    assert world.state.epochs_ended == sum(t.epochs_done for t in trials)


def test_reading_a_study_leaves_pythons_collector_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(StudyUnreadable):
        read_study(tmp_path)
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(StudyUnreadable):
            read_study(tmp_path)
        assert not gc.isenabled()
    finally:
        gc.enable()
