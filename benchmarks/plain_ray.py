"""A local Ray as `sweep run` starts it and nothing of ours beside it, to compare ours with.

    python -m benchmarks.plain_ray    (peak memory of such a process that imported Ray Tune)

The program itself is not imported: its own start is what is compared with this. So arguments and
environment are written here once more; a test compares them with the program's.
"""

from __future__ import annotations

import json
import os
import resource
import time
from typing import Any

ARGUMENTS: dict[str, Any] = {
    "address": "local",
    "include_dashboard": False,
    "log_to_driver": False,
    "logging_level": "ERROR",
}
ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",
}
_IDLE_S = 3.0


def start() -> None:
    """Import Ray and start a fresh local one."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    ray.init(**ARGUMENTS)


def memory() -> dict[str, int]:
    """Start Ray, import Ray Tune, do nothing for some seconds: the process's largest size."""
    import ray

    start()
    from ray import tune

    tune.with_parameters  # noqa: B018 - touched, so that the import is whole
    time.sleep(_IDLE_S)
    ray.shutdown()
    return {"peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """This process's largest resident size so far, by the kernel; shared memory included."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(memory()), flush=True)
