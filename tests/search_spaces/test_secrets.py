"""Secrets are taken out of texts, and what is no secret stays."""

from __future__ import annotations

import json
import time

import pytest

from search_spaces import SpecError, read_sweep
from search_spaces.secrets import holds_secret, names_secret, scrubbed, scrubbed_data

HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "name",
    ["WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "my_password", "API_KEYS",
     "DJANGO_SECRET_KEY", "TOKEN2", "SSH_PASSPHRASE"],
)  # fmt: skip
def test_values_of_the_environment_are_known_by_their_names(name: str) -> None:
    assert scrubbed("said: canary-7 !", {name: "canary-7"}) == "said: *** !"


@pytest.mark.parametrize("name", ["PATH", "TOKENIZERS_PARALLELISM", "RAY_AUTH_TOKEN_PATH", "HOME"])
def test_names_that_only_look_like_it_hide_nothing(name: str) -> None:
    assert not names_secret(name)
    assert scrubbed("said: canary-7", {name: "canary-7"}) == "said: canary-7"


def test_a_value_is_found_in_the_forms_in_which_it_is_written() -> None:
    secret = 'pa"ss/wörd\\1'
    environ = {"DB_PASSWORD": secret}
    from urllib.parse import quote

    for text in (secret, quote(secret, safe=""), json.dumps(secret), repr(secret)):
        assert "ss" not in scrubbed(text, environ).replace("***", ""), text


def test_the_longer_of_two_values_is_taken_out_whole() -> None:
    environ = {"A_KEY": "canary", "B_KEY": "canary-and-more"}
    assert scrubbed("x canary-and-more y canary", environ) == "x *** y ***"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET https://me:pw@host/a failed", "GET https://***@host/a failed"),
        ("s3://key:se@cret@bucket/a", "s3://***@bucket/a"),
        ("https://hf.co/x?token=abcdef&page=2", "https://hf.co/x?token=***&page=2"),
        ("https://b/x?X-Amz-Signature=ab12&y=1", "https://b/x?X-Amz-Signature=***&y=1"),
        ("token hf_" + "aB3" * 10 + " is invalid", "token *** is invalid"),
        (f"login with {HEX} failed", "login with *** failed"),
        ("AKIAIOSFODNN7EXAMPLE denied", "*** denied"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key=***"),
        ('{"api_key": "abcdefgh"}', '{"api_key": "***"}'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("ghp_" + "a1" * 18, "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-na_ture", "***"),
    ],
)
def test_what_stands_where_secrets_stand_or_looks_like_one_is_taken_out(
    text: str, clean: str
) -> None:
    assert scrubbed(text, {}) == clean


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: shape mismatch at layer 3: [16, 128] against [32, 128]",
        "eos_token=</s> pad_token=[PAD] num_tokens: 123456 learning_rate: 3e-05",
        f"cache/models--a/snapshots/{HEX}/config.json",
        "sha256 " + "0123456789abcdef" * 4,
        "mail me@example.org or see https://example.org/a?page=2#key",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrubbed(text, {}) == text


def test_data_is_scrubbed_at_every_depth_and_keeps_its_shape() -> None:
    data = {"a": ["https://u:p@h", 1, None, True], "hub_token": "short", "n": {"key_size": 128}}
    assert scrubbed_data(data) == {
        "a": ["https://***@h", 1, None, True],
        "hub_token": "***",
        "n": {"key_size": 128},
    }


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("https://me:pw@host/data.csv", True),
        ("https://abcdefghijklmnopqrstuv@host/data.csv", True),
        ("ssh://git@host/repo", False),
        ("hf_" + "a" * 30, True),
        (HEX, False),
        ("data/a@b.csv", False),
    ],
)
def test_a_text_of_a_file_that_holds_a_secret_itself_is_told(text: str, holds: bool) -> None:
    assert holds_secret(text) is holds


def test_long_texts_take_linear_time() -> None:
    started = time.monotonic()
    for text in ("a" * 10**6, "://" * 10**5, "password=" * 10**5, "?" * 10**6, "://a" * 10**5):
        scrubbed(text, {"A_KEY": "canary-7"})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("description: see https://me:pw-of-mine@host/x", (2, 14)),
        ("tracking: {project: p}  # hf_" + "a" * 30, (2, 1)),
    ],
)
def test_a_sweep_file_with_a_secret_is_refused_at_its_place_and_not_repeated(
    tmp_path, line: str, place: tuple[int, int]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"method: random\n{line}\n")
    with pytest.raises(SpecError) as refused:
        read_sweep(path)
    faults = [f for f in refused.value.faults if "must hold no secret" in f.rule]
    assert [(f.place.line, f.place.column) for f in faults] == [place]
    assert "pw-of-mine" not in faults[0].message() + faults[0].mend
    assert refused.value.exit_code == 2


def test_an_override_may_hold_no_secret_either(tmp_path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("method: random\n")
    with pytest.raises(SpecError, match=r"--set .*must hold no secret"):
        read_sweep(path, ["description=hf_" + "a" * 30])
