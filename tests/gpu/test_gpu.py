"""On an NVIDIA GPU: trials that share one, and a trial that is joined by NCCL."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from orchestrator.assembling import environments, listen
from orchestrator.events import Reported, SegmentStarted
from orchestrator.packing import measure
from orchestrator.process_group import Membership, join
from orchestrator.rank_process import Whereabouts
from orchestrator.results import read_study
from orchestrator.segment import Segment
from orchestrator.study import run_study
from search_spaces import Sweep
from tests.integration.conftest import toy

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


def test_two_trials_share_a_gpu_and_a_population_exploits_on_it(tmp_path: Path) -> None:
    shared = {"gpus_per_worker": 0.5, "max_concurrent": 2}
    spec = toy("pbt", 2, name="shared", resources=shared)
    sweep = Sweep(spec=spec, path=Path("test.yaml"), source="")
    result = run_study(sweep, storage=tmp_path, address="local")
    assert {trial.state for trial in result.state.trials.values()} == {"finished"}
    assert result.state.lineage()
    events = [entry.event for entry in read_study(result.folder).contents.entries]
    assert {e.gpus for e in events if isinstance(e, Reported)} == {0.5}
    assert len({e.pid for e in events if isinstance(e, SegmentStarted)}) == 2
    assert result.state.gpu_seconds > 0


def _train_alone(answers: Connection, study: Path) -> None:
    """In a process of its own: the device that is summed over and trained on, a trial's values."""
    listening, port = listen("127.0.0.1")
    here = Whereabouts(node="n", address="127.0.0.1", gpus=("0",), pid=os.getpid(), loopback="lo")
    os.environ.update(environments([here], port)[0])
    join(Membership(0, 1, listening))
    import torch
    from torch import distributed

    from orchestrator.trial import Rank
    from tests.orchestrator.tiny_task import tiny, tiny_sweep

    device = "cuda" if torch.cuda.is_available() else "cpu"
    summed = torch.ones(3, device=device)
    distributed.all_reduce(summed)
    rank = Rank(tiny_sweep(use_cpu=False), study, study / "cache", make_task=tiny())
    rank.prepare()
    config = {"learning_rate": 1e-3, "per_device_train_batch_size": 8}
    rank.begin(Segment(trial="0000", segment=0, config=config, boundaries=2))
    values = [rank.advance().value for _ in range(2)]
    rank.stop()
    rank.close()
    distributed.destroy_process_group()
    answers.send((str(summed.device.type), summed.tolist(), values))


def test_a_process_joined_by_nccl_trains_a_trial(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_train_alone, args=(theirs, tmp_path))
    process.start()
    theirs.close()
    try:
        assert ours.poll(120), "no answer within two minutes"
        device, summed, values = ours.recv()
    finally:
        process.join(10)
        process.kill()
    assert (device, summed) == ("cuda", [1.0, 1.0, 1.0])
    assert all(0 <= value <= 1 for value in values)


def test_how_many_trials_fit_is_measured(tmp_path: Path) -> None:
    fit = measure(toy("random", 1), tmp_path)
    assert 0 < fit.peak_bytes < fit.total_bytes
    assert fit.trials >= 2, "the toy model is tiny"
