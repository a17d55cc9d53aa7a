"""What every test runs under: one thread a process, no network, no GPU pretended, one Ray.

Set before any test imports torch or transformers, which read these when they are imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "WANDB_MODE": "offline",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
)


ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` where there is no NVIDIA device."""
    if Path("/dev/nvidiactl").exists():
        return
    skip = pytest.mark.skip(reason="no NVIDIA device on this machine")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _from_the_root() -> None:
    """Every test starts in the project's root: a worker in this process moves to its own folder."""
    os.chdir(ROOT)


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray of two CPUs that ends with the tests."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
    )
    logging.getLogger("ray").setLevel(logging.ERROR)
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()
