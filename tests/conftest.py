"""What every test runs under: one thread a process, no network, no GPU pretended.

Set before any test imports torch or transformers, which read these when they are imported.
"""

from __future__ import annotations

import os
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is no NVIDIA device."""
    if Path("/dev/nvidiactl").exists():
        return
    skip = pytest.mark.skip(reason="no NVIDIA device on this machine")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)
