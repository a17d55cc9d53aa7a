"""What `sweep plan --memory` says."""

from __future__ import annotations

import pytest

from orchestrator.packing import Fit
from sweeps.memory import memory_line

GB = 10**9


@pytest.mark.parametrize(
    ("peak", "said"),
    [
        (10, "7 trials fit on one GPU by memory: resources.gpus_per_worker: 0.14"),
        (50, "one trial a GPU"),
        (79, "one trial fills more than 90% of a GPU"),
    ],
)
def test_the_key_that_packs_trials_is_named(peak: int, said: str) -> None:
    line = memory_line(Fit(peak * GB, 80 * GB, "a GPU", {"per_device_train_batch_size": 64}))
    assert said in line and "per_device_train_batch_size=64" in line
