"""The Hub: asked once with a deadline, fetched from once, and not asked for what is here."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.tasks import HubUnreachable, TaskError, hub
from search_spaces.parts import TaskSpec
from tests.orchestrator.tasks.apart import prepare_apart

from .conftest import sentences
from .fake_hub import fake_hub


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what the suite sets, and forget what was asked."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub._answers.cache_clear()


def test_a_hub_that_answers_is_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub(tmp_path) as (address, requests):
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert hub.reachable()
        assert hub.reachable()
    assert requests == ["HEAD /"], "it is asked once"


def test_switched_off_it_is_not_even_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub(tmp_path) as (address, requests):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert not hub.reachable()
    assert not requests


def test_a_hub_that_refuses_connections_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        start = time.monotonic()
        assert not hub.reachable()
    assert time.monotonic() - start < 5


def test_a_hub_that_accepts_and_never_answers_is_given_up_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(hub, "DEADLINE_S", 0.3)
        start = time.monotonic()
        assert not hub.reachable()
        assert time.monotonic() - start < 5


def test_the_private_switch_of_datasets_is_the_one_that_it_looks_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datasets import config
    from datasets.utils.file_utils import _raise_if_offline_mode_is_enabled

    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    _raise_if_offline_mode_is_enabled()
    with hub.data_from_cache_only(), pytest.raises(ConnectionError):
        _raise_if_offline_mode_is_enabled()
    assert config.HF_HUB_OFFLINE is False


CARD = """---
configs:
- config_name: one
  data_files: [{split: train, path: one/train.jsonl}, {split: dev, path: one/dev.jsonl}]
- config_name: two
  data_files: [{split: train, path: one/train.jsonl}]
---
"""


@pytest.fixture
def repositories(tiny_model: Path, tmp_path: Path) -> Path:
    """One model and one data set with two configurations, as the Hub has them."""
    root = tmp_path / "hub"
    shutil.copytree(tiny_model, root / "models" / "org" / "tiny")
    (root / "models" / "org" / "tiny" / "tf_model.h5").write_bytes(b"x" * 100)
    data = root / "datasets" / "org" / "reviews"
    (data / "one").mkdir(parents=True)
    (data / "README.md").write_text(CARD)
    for split, rows in (("train", sentences(20)), ("dev", sentences(8))):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (data / "one" / f"{split}.jsonl").write_text(lines)
    return root


def spec(**keys: Any) -> TaskSpec:
    dataset = {
        "path": "org/reviews",
        "name": "one",
        "text": "a",
        "splits": {"train": "train", "validation": "dev"},
        **keys.pop("dataset", {}),
    }
    return TaskSpec.model_validate(
        {"model": "org/tiny", "max_length": 16, "dataset": dataset, **keys}
    )


@pytest.mark.slow
def test_what_is_needed_is_fetched_once_and_found_again_without_the_hub(
    repositories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    with fake_hub(repositories) as (address, requests):
        monkeypatch.setenv("HF_ENDPOINT", address)
        prepared = prepare_apart(spec(), tmp_path / "cache", 1)
        assert prepared.rows == {"train": 20, "validation": 8}
        assert not [line for line in requests if "tf_model" in line], "only what is needed"
        requests.clear()
        assert prepare_apart(spec(), tmp_path / "cache", 1) == prepared
        assert not requests, "a second process asks nobody"
        refusals = {
            r"the Hub has no model of that name": spec(model="org/none"),
            r"the Hub has no revision none of org/tiny": spec(revision="none"),
            r"the Hub has no data set of that name": spec(dataset={"path": "org/none"}),
            r"org/reviews has no configuration onee\.\n.*did you mean one\? It has one, two": spec(
                dataset={"name": "onee"}
            ),
            r"org/reviews has several configurations\.\n.*It has one, two": spec(
                dataset={"name": None}
            ),
        }
        for words, wrong in refusals.items():
            with pytest.raises(TaskError, match=words) as caught:
                prepare_apart(wrong, tmp_path / "cache", 1)
            assert caught.value.exit_code == 2
    # The Hub is gone; model and data stand in the library's cache, under another cache of ours.
    assert prepare_apart(spec(max_length=8), tmp_path / "other", 1).longest <= 8
    smoke = prepare_apart(spec(smoke=True), tmp_path / "other", 1)
    assert smoke.notes == ("smoke: a tiny model in place of org/tiny, on rows of org/reviews one",)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    start = time.monotonic()
    with pytest.raises(HubUnreachable, match="org/tiny is neither a folder here nor in the local"):
        prepare_apart(spec(), tmp_path / "third", 1)
    assert time.monotonic() - start < 30
    assert os.listdir(tmp_path / "other") and not (tmp_path / "third").exists()
