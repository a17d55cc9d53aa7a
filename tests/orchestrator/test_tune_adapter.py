"""What Ray Tune would do by itself and must not."""

from __future__ import annotations

from ray.tune.execution import class_cache

from orchestrator.tune_adapter import keep_secrets_out_of_runtime_environments
from search_spaces.secrets import names_secret


def test_no_key_of_aws_is_copied_into_runtime_environments(monkeypatch) -> None:
    copied = set(class_cache.ENV_VARS_TO_PROPAGATE)
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", copied)
    copied.add("AWS_SECRET_ACCESS_KEY")
    keep_secrets_out_of_runtime_environments()
    assert [name for name in copied if names_secret(name) or name.startswith("AWS_")] == []


def test_ray_tune_still_reads_its_list_where_it_is_changed() -> None:
    used = class_cache._ActorClassCache.get.__code__.co_names
    assert "ENV_VARS_TO_PROPAGATE" in used
