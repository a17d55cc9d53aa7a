"""The Ray that ours is compared with is started as ours is."""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks import plain_ray
from orchestrator import cluster


def test_it_is_given_the_arguments_and_the_environment_that_ours_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    before = {
        name: value for name, value in os.environ.items() if not name.startswith(("TUNE_", "RAY_"))
    }
    seen: list[tuple[dict[str, Any], dict[str, str]]] = []
    monkeypatch.setattr(cluster, "_import_ahead", lambda: None)
    for begin in (plain_ray.start, lambda: cluster.join_ray(None)):
        environment = dict(before)
        monkeypatch.setattr(os, "environ", environment)
        monkeypatch.setattr(
            ray, "init", lambda _env=environment, **arguments: seen.append((arguments, dict(_env)))
        )
        begin()
    assert seen[0] == seen[1]
    assert set(plain_ray.ENVIRONMENT) <= set(seen[0][1])
