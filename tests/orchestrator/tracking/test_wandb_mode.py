"""In which mode W&B runs is known before the start, without a prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.tracking.backends import TRACKERS, in_force
from orchestrator.tracking.wandb_mode import address_without_login, has_key, wandb_mode
from search_spaces import parts
from tests.orchestrator.tracking.fakes import toy_spec


@pytest.fixture
def no_key(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("asked", "environment", "key", "mode"),
    [
        ("auto", "", True, "online"),
        ("auto", "", False, "offline"),
        ("online", "", True, "online"),
        ("online", "", False, "offline"),
        ("offline", "", True, "offline"),
        ("disabled", "", True, "disabled"),
        ("online", "offline", True, "offline"),
        ("online", "dryrun", True, "offline"),
        ("offline", "online", True, "online"),
        ("online", "disabled", True, "disabled"),
        ("auto", "nonsense", True, "online"),
    ],
)
def test_the_environment_beats_the_file_and_a_missing_key_beats_online(
    no_key: dict[str, str], asked: str, environment: str, key: bool, mode: str
) -> None:
    environ = no_key | {"WANDB_MODE": environment} | ({"WANDB_API_KEY": "k"} if key else {})
    assert wandb_mode(asked, environ)[0] == mode


def test_online_without_a_key_says_the_rule_and_the_mend(no_key: dict[str, str]) -> None:
    _, notice = wandb_mode("online", no_key)
    assert notice is not None
    assert "online needs an API key; none was found in WANDB_API_KEY or the netrc file" in notice
    assert "mend: run `wandb login`" in notice


def test_what_was_asked_for_and_holds_needs_no_words(no_key: dict[str, str]) -> None:
    assert wandb_mode("offline", no_key)[1] is None
    assert wandb_mode("auto", no_key | {"WANDB_API_KEY": "k"})[1] is None
    assert wandb_mode("auto", no_key | {"WANDB_MODE": "offline"})[1] is None
    assert wandb_mode("auto", no_key)[1] == "wandb: no API key was found; runs are written offline."


def test_an_unknown_wandb_mode_is_named(no_key: dict[str, str]) -> None:
    _, notice = wandb_mode("offline", no_key | {"WANDB_MODE": "nonsense"})
    assert notice is not None and "got 'nonsense'" in notice


def test_keys_are_found_where_wandb_finds_them(tmp_path: Path, no_key: dict[str, str]) -> None:
    assert not has_key(no_key)
    assert has_key(no_key | {"WANDB_IDENTITY_TOKEN_FILE": "token"})
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password k\n")
    assert has_key(no_key)
    assert not has_key(no_key | {"WANDB_BASE_URL": "https://wandb.example.org"})
    other = tmp_path / "other"
    other.write_text("machine wandb.example.org login user password k\n")
    elsewhere = no_key | {"NETRC": str(other)}
    assert not has_key(elsewhere)
    assert has_key(elsewhere | {"WANDB_BASE_URL": "https://wandb.example.org"})
    settings = tmp_path / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nbase_url = https://wandb.example.org\n")
    assert has_key(elsewhere)


@pytest.mark.parametrize(
    ("backends", "more", "left"),
    [
        ("wandb", "mode: offline", ("wandb",)),
        ("none", "mode: offline", ()),
        ("", "mode: offline", ()),
        ("wandb", "mode: disabled", ()),
        ("wandb, wandb", "mode: auto", ("wandb",)),
    ],
)
def test_no_backend_or_disabled_means_nothing_is_started(
    tmp_path: Path, no_key: dict[str, str], backends: str, more: str, left: tuple[str, ...]
) -> None:
    spec, _ = in_force(toy_spec(tmp_path, backends=backends, more=more), no_key)
    assert spec.tracking.backends == left


def test_what_is_not_recorded_yet_is_said_and_not_ignored(
    tmp_path: Path, no_key: dict[str, str]
) -> None:
    spec = toy_spec(tmp_path, more="mode: offline, watch: all, eval_samples: 5")
    _, words = in_force(spec, no_key)
    assert [word.split(":")[0] for word in words] == ["tracking.watch", "tracking.eval_samples"]


def test_every_backend_of_the_language_has_its_tracker() -> None:
    assert set(parts.TRACKERS) - {"none"} <= set(TRACKERS)


def test_a_login_in_the_servers_address_is_left_out_where_wandb_would_log_it() -> None:
    given = {"WANDB_BASE_URL": "https://me:pass@word@wandb.example.org:8443/x"}
    assert address_without_login(given) == {"WANDB_BASE_URL": "https://wandb.example.org:8443/x"}
    assert address_without_login({"WANDB_BASE_URL": "https://wandb.example.org"}) == {}
    assert address_without_login({}) == {}
