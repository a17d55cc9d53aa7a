"""Where the mailbox stands, without starting a Ray: any other node may be lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.mailbox import open_mailbox

HERE = "0" * 56


def test_the_mailbox_stands_on_the_drivers_node_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}

    def remote(**options: Any) -> Any:
        given.update(options)
        handle = SimpleNamespace(stay=SimpleNamespace(remote=lambda: "its death"))
        return lambda actor: SimpleNamespace(remote=lambda: handle)

    monkeypatch.setattr(ray, "remote", remote)
    monkeypatch.setattr(
        ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: HERE)
    )
    _, its_death = open_mailbox()
    place = given["scheduling_strategy"]
    assert isinstance(place, NodeAffinitySchedulingStrategy)
    assert (place.node_id, place.soft, given["num_cpus"]) == (HERE, False, 0)
    assert its_death == "its death"
