"""What Ray Tune would do by itself and must not."""

from __future__ import annotations

import pytest
from ray.tune.execution import class_cache

from orchestrator.tune_adapter import workers_without_variables
from orchestrator.worker import TrialWorker


def test_workers_get_no_variables_and_so_no_keys_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-key")

    def variables() -> dict[str, str]:
        actor = class_cache._ActorClassCache().get(TrialWorker)
        return dict((actor._default_options["runtime_env"] or {}).get("env_vars") or {})

    assert variables()["AWS_SECRET_ACCESS_KEY"] == "a-key", "Ray Tune's own way has not changed"
    with workers_without_variables():
        assert variables() == {}
    assert variables(), "other users of Ray Tune in this process keep theirs"
