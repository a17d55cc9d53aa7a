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
     "DJANGO_SECRET_KEY", "TOKEN2", "SSH_PASSPHRASE", "DB_PASS", "MYSQL_PWD", "GITHUB_PAT",
     "SLACK_WEBHOOK_URL", "webhook", "BASIC_AUTH", "MY_AUTH", "auth", "COOKIE", "SESSION_COOKIES",
     "AZURE_STORAGE_CONNECTION_STRING", "DB_CONN_STR", "SENTRY_DSN"],
)  # fmt: skip
def test_values_of_the_environment_are_known_by_their_names(name: str) -> None:
    assert scrubbed("said: canary-7 !", {name: "canary-7"}) == "said: *** !"


@pytest.mark.parametrize("name", ["PATH", "TOKENIZERS_PARALLELISM", "RAY_AUTH_TOKEN_PATH", "HOME",
                                  "PWD", "OLDPWD", "SSH_ASKPASS", "RUST_COMPAT", "AUTHOR",
                                  "SSH_AUTH_SOCK", "XAUTHORITY", "AUTH_METHOD", "COOKIE_FILE",
                                  "GIT_AUTHOR_NAME"])  # fmt: skip
def test_names_that_only_look_like_it_hide_nothing(name: str) -> None:
    assert not names_secret(name)
    assert scrubbed("said: canary-7", {name: "canary-7"}) == "said: canary-7"


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("postgres://me:canary-7@db:5432/x", "canary-7"),
        ("redis://:can@ry-7@cache", "can@ry-7"),
        ("http://me:canary%2F7@proxy", "canary/7"),
        ("a://u:first-7@h/x,b://u:second-7@i/y", "second-7"),
    ],
)
def test_the_password_of_an_address_is_known_whatever_the_variable_s_name(
    address: str, password: str
) -> None:
    assert scrubbed(f"said: {password} !", {"ANY": address}) == "said: *** !"
    assert scrubbed("said: db:5432 me", {"ANY": address}) == "said: db:5432 me"


def test_the_key_in_a_connection_string_is_known_alone_too() -> None:
    environ = {
        "AZURE_STORAGE_CONNECTION_STRING": "Protocol=https;AccountName=me;AccountKey=canary+7==;"
    }
    assert scrubbed("signed with canary+7==", environ) == "signed with ***"
    assert scrubbed("me at https", environ) == "me at https"


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
        ("AccountName=me;AccountKey=ab+cd/ef==;X=y", "AccountName=me;AccountKey=***;X=y"),
        (
            "SharedAccessKeyName=me;SharedAccessKey=ab+cd/ef=",
            "SharedAccessKeyName=me;SharedAccessKey=***",
        ),
        ("shared_access_signature: sv=2020-01-01", "shared_access_signature: ***"),
        ("access_key='abcdef123'", "access_key='***'"),
        ("Server=db;Uid=me;Pwd=hunter2x;Port=1", "Server=db;Uid=me;Pwd=***;Port=1"),
        ("login failed, token: abcDEF123", "login failed, token: ***"),
        ('{"token": "abcDEF123"}', '{"token": "***"}'),
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
        "PWD=/home/me/work OLDPWD=/home/me pwd: ~/work",
        "SyntaxError: unexpected token: identifier",
        "eos_token: <|endoftext|> pad-token: [PAD_TOKEN]",
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
        (f"api_key: {HEX}", True),
        ("# password: hunter2-and-more", True),
        ("{'hub_token': 'abcdefgh'}", True),
        ("Authorization: Bearer abcdefghij", True),
        ("curl with Bearer abc123.def", True),
        ("Basic finetuning of a model", False),
        ("Bearer authentication", False),
        ("password: $DB_PASSWORD", False),
        ("api_key: <from the environment>", False),
        ("hub_token: null", False),
        ("max_tokens: 123456", False),
        ("tokenizer: bert-base-uncased", False),
        ("pad_token: '[PAD-TOKEN]'", False),
        ("sort_key: label_of_row", False),
        ("use_auth_token: false", False),
        ("AccountKey=ab+cd/ef==", True),
        ("Server=db;Pwd=hunter2x", True),
        ("# one label for each token: B-PER1 or O", False),
        ("# run it with pwd: /home/me/work", False),
    ],
)
def test_a_text_of_a_file_that_holds_a_secret_itself_is_told(text: str, holds: bool) -> None:
    assert holds_secret(text, {}) is holds


@pytest.mark.parametrize(
    ("value", "holds"), [("canary-77", True), ("short-7", False), ("Authorization", False)]
)
def test_a_secret_of_the_environment_may_not_stand_in_a_file(value: str, holds: bool) -> None:
    assert holds_secret(f"description: {value}", {"API_KEY_OF_MINE": value}) is holds
    assert not holds_secret(f"description: {value}", {"HOME": value})


def test_long_texts_take_linear_time() -> None:
    started = time.monotonic()
    for text in ("a" * 10**6, "://" * 10**5, "password=" * 10**5, "?" * 10**6, "://a" * 10**5,
                 "token=" * 10**5, "pwd=" * 10**5, "accesskey" * 10**5):  # fmt: skip
        scrubbed(text, {"A_KEY": "canary-7"})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("description: see https://me:pw-of-mine@host/x", (2, 14)),
        ("tracking: {project: p}  # hf_" + "a" * 30, (2, 1)),
        (f"tracking: {{api_key: {HEX}}}", (2, 21)),
        ("task:\n  password:\n    pw-of-mine", (4, 5)),
        ("seed: 1  # password: pw-of-mine", (2, 1)),
        ("password: 1234567", (2, 1)),
        ("description: canary-of-mine", (2, 14)),
    ],
)
def test_a_sweep_file_with_a_secret_is_refused_at_its_place_and_not_repeated(
    tmp_path, monkeypatch: pytest.MonkeyPatch, line: str, place: tuple[int, int]
) -> None:
    monkeypatch.setenv("MY_TOKEN", "canary-of-mine")
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
