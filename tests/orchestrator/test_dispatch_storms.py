"""The dispatcher in storms: workers die, commits come late; every study ends all the same."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from orchestrator.commands import Leave
from orchestrator.events import StudyEnded, TrialEnded
from orchestrator.segment import Segment
from search_spaces import SweepSpec
from tests.orchestrator.world import World, population, sweep

PATIENT = {"max_retries": 50}
SPECS = {
    "random": sweep(run_cap=6, failures=PATIENT),
    "asha": sweep(
        run_cap=9,
        early_terminate={"type": "asha", "min_iter": 1, "eta": 2},
        failures=PATIENT,
    ),
    "synchronous pbt": population(4, synchronous=True),
    "asynchronous pbt": population(4, synchronous=False),
    "pbt every second boundary": population(4, synchronous=True, interval=2),
}


class Storm:
    """A world whose workers do whatever is possible next, drawn from a seed."""

    def __init__(self, spec: SweepSpec, seed: int, *, losses: float, diverges: float) -> None:
        self.rng = random.Random(seed)
        spec = spec.model_copy(update={"failures": spec.failures.model_copy(update=PATIENT)})

        def value(trial: str, config: dict[str, Any], boundary: int) -> float | None:
            rng = random.Random(f"{seed} {trial} {sorted(config.items())} {boundary}")
            return None if rng.random() < diverges else rng.random()

        self.world = World(spec, value)
        self.names = [f"w{i}" for i in range(1 + seed % 4)]
        self.alive: set[str] = set()
        self.unwritten: defaultdict[str, list[tuple[Segment, int]]] = defaultdict(list)
        self.losses = losses

    def rage(self, limit: int = 4000) -> None:
        for _ in range(limit):
            if self.world.state.state != "running":
                return
            if self.alive and self.rng.random() < self.losses:
                self.lose(self.rng.choice(sorted(self.alive)))
            else:
                act, worker = self.rng.choice(self.possible())
                act(worker)
        raise AssertionError("the study does not come to its end")

    def possible(self) -> list[Any]:
        world, acts = self.world, []
        for worker in self.names:
            if worker not in self.alive:
                acts.append((self.ready, worker))
                continue
            if world.commands[worker]:
                acts.append((self.take, worker))
            elif (at := world.at.get(worker)) and at[1] < min(
                world.until[worker], at[0].boundaries
            ):
                acts.append((self.report, worker))
            if self.unwritten[worker]:
                acts.append((self.commit, worker))
        return acts

    def ready(self, worker: str) -> None:
        self.alive.add(worker)
        self.world.ready(worker)

    def lose(self, worker: str) -> None:
        self.alive.discard(worker)
        self.unwritten[worker].clear()
        self.world.lose(worker)

    def take(self, worker: str) -> None:
        if isinstance(self.world.commands[worker][0], Leave):
            while self.unwritten[worker]:  # a worker writes all it has before it leaves
                self.commit(worker)
        self.world.take(worker)

    def report(self, worker: str) -> None:
        segment = self.world.at[worker][0]
        self.world.report(worker)
        self.unwritten[worker].append((segment, self.world.at[worker][1]))

    def commit(self, worker: str) -> None:
        self.world.commit(worker, *self.unwritten[worker].pop(0))


@pytest.mark.parametrize("losses", [0.0, 0.02], ids=["no losses", "losses"])
@pytest.mark.parametrize("diverges", [0.0, 0.15], ids=["finite", "diverging"])
@pytest.mark.parametrize("name", SPECS)
def test_every_study_ends_with_every_trial_ended_once(
    name: str, diverges: float, losses: float
) -> None:
    for seed in (*range(60), 202):  # 202: a decision takes a checkpoint from under a start
        storm = Storm(SPECS[name], seed, losses=losses, diverges=diverges)
        storm.rage()
        world = storm.world
        ended = [event.trial for event in world.of(TrialEnded)]
        assert sorted(ended) == sorted(world.state.trials), seed
        assert isinstance(world.journal[-1], StudyEnded), seed
