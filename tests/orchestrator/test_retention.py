"""What is deleted is never needed again: populations cut off anywhere, bests of every kind."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from orchestrator.donors import possible_donors
from orchestrator.events import (
    CheckpointCommitted,
    CheckpointLost,
    Decided,
    Event,
    Reported,
    SegmentStarted,
    StudyResumed,
)
from orchestrator.state import StudyState
from search_spaces import SweepSpec
from tests.orchestrator.world import World, population, sweep


class Killed(Exception):
    """The driver's end."""


class Mortal(World):
    """Dies when its journal holds so many events, before or after it has deleted anything."""

    dies_at = 10**9
    deletes_first = False

    def append(self, events: Iterable[Event]) -> None:
        if self.deletes_first:
            super().append(events)
        else:
            self.journal.extend(events)
        if len(self.journal) >= self.dies_at:
            raise Killed
        if not self.deletes_first:
            super().append([])


def values(seed: int) -> Any:
    """A value of its own for each trial, configuration and boundary."""

    def value(trial: str, config: dict[str, Any], boundary: int) -> float:
        return random.Random(f"{seed} {trial} {config} {boundary}").random()

    return value


def lived(spec: SweepSpec, seed: int, dies_at: int, *, deletes_first: bool) -> Mortal:
    world = Mortal(spec, values(seed))
    world.dies_at, world.deletes_first = dies_at, deletes_first
    try:
        world.ready("a", "b")
        world.run("a", "b")
    except Killed:
        pass
    return world


@pytest.mark.parametrize("deletes_first", [True, False], ids=["after deleting", "before deleting"])
@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
@pytest.mark.parametrize("seed", range(3))
def test_a_population_killed_anywhere_never_copies_a_deleted_checkpoint(
    seed: int, synchronous: bool, deletes_first: bool
) -> None:
    spec = population(4, synchronous=synchronous, quantile_fraction=0.5)
    whole = lived(spec, seed, 10**9, deletes_first=True)
    assert whole.state.lineage() and len(whole.disk) < len(whole.of(CheckpointCommitted))
    for cut in range(2, len(whole.journal), 2):
        first = lived(spec, seed, cut, deletes_first=deletes_first)
        second = World(spec, values(seed), history=first.journal, disk=first.disk)
        second.ready("a", "b")
        second.run("a", "b")
        assert second.state.state == "finished", cut
        assert_whole_lineage(second)
        if synchronous:
            assert second.state.lineage() == whole.state.lineage(), cut


def assert_whole_lineage(world: World) -> None:
    """Each exploit was from a donor's committed checkpoint, and trained inside the bounds."""
    committed = {(e.trial, e.boundary): e.path for e in world.of(CheckpointCommitted)}
    started = {(e.trial, e.boundary) for e in world.of(SegmentStarted) if e.start_trial != e.trial}
    for decided in world.of(Decided):
        assert decided.config is None or world.spec.space.contains(decided.config)
        if decided.action == "exploit":
            assert (decided.donor, decided.boundary) in committed
            assert (decided.trial, decided.boundary) in started


CURVES = {
    "early": lambda boundary: 1.0 / boundary,
    "late": lambda boundary: 1.0 - 1.0 / (boundary + 1),
    "tied": lambda boundary: 0.5,
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(
    "spec", [sweep(run_cap=4), population(4, synchronous=True)], ids=["random", "pbt"]
)
def test_the_best_is_kept_wherever_it_came(spec: SweepSpec, curve: str) -> None:
    for seed in range(25):
        noise = values(seed)
        scale = 0.0 if curve == "tied" else 0.01

        def value(
            trial: str, config: dict[str, Any], boundary: int, noise: Any = noise, by: float = scale
        ) -> float:
            return CURVES[curve](boundary) + by * noise(trial, config, boundary)

        world = World(spec, value)
        world.ready("a", "b")
        world.run("a", "b")
        best = world.state.best
        assert best is not None and best.checkpoint in world.disk
        assert best.value == max(report.value for report in world.of(Reported))
        assert {t.best.checkpoint for t in world.state.trials.values() if t.best} <= world.disk
        if curve == "tied":
            assert best.boundary == 1


@pytest.mark.parametrize("spec", [sweep(), population(4)], ids=["random", "pbt"])
def test_a_damaged_checkpoint_is_passed_over_and_not_deleted(spec: SweepSpec) -> None:
    first = World(spec)
    first.ready("a")
    first.take("a")
    for _ in range(2 if spec.method == "random" else 1):
        first.boundary("a")
    commit = first.of(CheckpointCommitted)[-1]
    lost = CheckpointLost(
        trial=commit.trial, boundary=commit.boundary, path=commit.path, reason="damaged"
    )
    world = World(spec, history=first.journal, resumed=[StudyResumed(), lost])
    world.ready("a")
    world.run("a")
    assert world.state.state == "finished"
    assert commit.path in world.disk


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
@pytest.mark.parametrize("seed", range(2))
def test_a_population_killed_and_then_damaged_anywhere_never_copies_a_deleted_checkpoint(
    seed: int, synchronous: bool
) -> None:
    spec = population(4, synchronous=synchronous, quantile_fraction=0.5)
    whole = lived(spec, seed, 10**9, deletes_first=True)
    for cut in range(4, len(whole.journal), 3):
        first = lived(spec, seed, cut, deletes_first=True)
        state = StudyState.of([*first.journal, StudyResumed()])
        for path in {state.standing(trial).checkpoint for trial in state.open_trials} - {None}:
            disk = first.disk - {path}
            resumed = [StudyResumed(), *found_lost(spec, first.journal, disk)]
            second = World(spec, values(seed), history=first.journal, resumed=resumed, disk=disk)
            second.ready("a", "b")
            second.run("a", "b")
            assert second.state.state == "finished", (cut, path)
            best = second.state.best
            assert best is not None and best.checkpoint in second.disk, (cut, path)


@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
def test_whoever_may_still_be_copied_is_on_disk(synchronous: bool) -> None:
    """Else a resume would look for what was deleted, and take it for damaged."""
    spec = population(4, synchronous=synchronous, quantile_fraction=0.5)
    for seed in range(3):
        whole = lived(spec, seed, 10**9, deletes_first=True)
        for cut in range(4, len(whole.journal), 2):
            world = lived(spec, seed, cut, deletes_first=True)
            assert possible_donors(spec, world.journal) <= world.disk, (seed, cut)
            assert found_lost(spec, world.journal, world.disk) == [], (seed, cut)


def found_lost(spec: SweepSpec, history: list[Event], disk: set[str]) -> list[Event]:
    """What a resume finds gone: as `damaged_checkpoints` does, by names alone."""
    state = StudyState.of([*history, StudyResumed()])
    lost: list[Event] = []
    while True:
        wanted = {state.standing(trial).checkpoint for trial in state.open_trials}
        wanted |= {state.best.checkpoint} if state.best else set()
        wanted |= possible_donors(spec, [*history, *lost])
        found = [
            CheckpointLost(trial=c.trial, boundary=c.boundary, path=c.path, reason="gone")
            for record in state.trials.values()
            for c in record.checkpoints.values()
            if c.path in wanted - disk
        ]
        if not found:
            return lost
        for event in found:
            state.apply(event)
        for trial in state.open_trials:
            while (withdrawn := state.withdrawal(trial)) is not None:
                state.apply(withdrawn)
        lost += found
