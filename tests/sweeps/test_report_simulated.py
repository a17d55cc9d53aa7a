"""Whole studies by the real deciders, on a virtual clock: their reports add up."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.simulate import simulate
from orchestrator.surfaces import LearningRateCurve
from sweeps.report.gather import gather
from sweeps.report.methods import grouped
from tests.orchestrator.deciding import sweep
from tests.sweeps.reported import result


def simulated(spec, *, slots=2, seed=0, test_rows=None):
    surface = LearningRateCurve(noise=0.02).seeded(seed)
    made = simulate(spec, surface, slots=slots, commit_s=0.1, test_rows=test_rows)
    return result(spec, made.events), made


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.booleans(), st.integers(1, 4))
def test_a_populations_lineage_is_whole(seed, size, synchronous, slots):
    spec = sweep("pbt", seed=seed, population={"size": size, "synchronous": synchronous})
    study, made = simulated(spec, slots=slots, seed=seed)
    (method,) = gather(grouped([study])).methods
    lineage = method.repetitions[0].lineage
    best = study.state.best
    winner = lineage.winner
    assert [s.start for s in winner] == [0, *(s.end for s in winner[:-1])]
    assert (winner[-1].trial, winner[-1].end) == (best.trial, best.boundary)
    assert tuple(c for s in winner for c in [s.config] * (s.end - s.start)) == made.best_history
    assert winner[-1].config == method.repetitions[0].selected.config
    for member in lineage.members:
        for a, b in itertools.pairwise(member.stretches):
            assert a.end == b.start
    stretches = sum(len(member.stretches) - 1 for member in lineage.members)
    assert stretches == len(lineage.exploits) == len(study.state.lineage())
    for exploit in lineage.exploits:
        donor = next(m for m in lineage.members if m.trial == exploit.donor)
        under = [s for s in donor.stretches if s.start < exploit.boundary <= s.end]
        assert [s.config for s in under] == [exploit.before]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["random", "pbt", "asha"]))
def test_what_trials_trained_adds_up_to_what_the_search_cost(seed, kind):
    keys = {} if kind == "pbt" else {"run_cap": 25}
    if kind == "asha":
        keys["early_terminate"] = {"type": "asha"}
    spec = sweep("pbt" if kind == "pbt" else "random", seed=seed, **keys)
    study, _ = simulated(spec, seed=seed)
    report = gather(grouped([study]))
    (method,) = report.methods
    assert sum(row.epochs for row in report.trials) == pytest.approx(method.cost.epochs)
    assert sum(row.device_s for row in report.trials) == pytest.approx(method.cost.device_s)
    repetition = method.repetitions[0]
    assert repetition.curve[-1].value == study.state.best.value == repetition.selected.value
    assert repetition.curve[-1].epochs == pytest.approx(repetition.cost.epochs)
    counts = dataclasses.asdict(repetition.counts)
    assert counts.pop("started") == sum(counts.values()) == len(report.trials)
    if kind == "pbt":
        boundaries = next(iter(study.state.trials.values())).epochs
        assert method.cost.epochs == pytest.approx(spec.population.size * boundaries)


def test_a_study_that_looked_at_its_test_split_by_itself_has_a_test_value_and_no_red_note():
    task = sweep("random").task.model_dump()
    task["dataset"]["splits"] = {"train": "train", "validation": "validation", "test": "test"}
    spec = sweep("random", run_cap=3, task=task)
    study, _ = simulated(spec, test_rows=50)
    report = gather(grouped([study]))
    looked = report.methods[0].repetitions[0].selected.test
    assert looked is not None
    assert looked.rows == 50
    assert [note.text for note in report.notes if note.severity == "red"] == []
