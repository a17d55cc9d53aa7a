"""Takes secrets out of texts before they are written or sent.

Knows nothing of where a text goes; whoever writes journals, logs, notices or tracker calls asks
here. A secret is known by one of three marks: it is the value of an environment variable whose
name says so, or the password of an address in one; it stands where secrets stand (in an address,
behind `password=`); or it looks like a token of a service that is used with this program. That
errs on the side of taking out too much: `***` in a log costs a moment, a key in a log costs the
key. Refusing a sweep file for a secret (`holds_secret`) errs a little less: a refusal costs more.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

HIDDEN = "***"
_SHORTEST = 6
"""Values of the environment that are shorter are words, not secrets."""
_SHORTEST_REFUSED = 8
_SHORTEST_TOKEN = 16
_SHORTEST_LINE = 24
"""Lines of such a value that are looked for alone: a log has them one by one."""

_SAYS_SECRET = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|COOKIE)S?(_|\d|$)|_(PASS|PWD|PAT)$"
    r"|(^|_)(AUTH|DSN)$|CONN(ECTION)?_?STR(ING)?$|WEBHOOK",
    re.IGNORECASE,
)
_SAYS_PLACE = re.compile(r"(PATH|FILE|DIR|MODE|METHOD)$", re.IGNORECASE)

_IN_ADDRESS = re.compile(r"(?<=://)[^/\s\"'<>]+@")
_IN_ADDRESS_LOGIN = re.compile(r"://[^/\s\"'<>@]*:[^/\s\"'<>]+@|://(?!git@)[^/\s\"'<>:@]{16,}@")
_PASSWORD = re.compile(r"://[^/\s\"'<>@:]*:([^/\s\"'<>]+)@")
_IN_QUERY = re.compile(
    r"([?&][\w.-]*(?:token|key|secret|password|signature|credential|sig)[\w.-]*=)[^&\s\"'#<>]+",
    re.IGNORECASE,
)
_NAME = (
    r"((?:api[_-]?key|secret(?:[_-]access)?(?:[_-]key)?|passw(?:or)?d|(?:access|auth|hub)[_-]token"
    r"|(?:account|shared|access)[_-]?key|shared[_-]?access[_-]?(?:key|signature)"
    r"|pwd(?=[\"']?\s{0,9}[=:]\s{0,9}[\"']?[^/.~\s\"']))"  # a path is where somebody works
    r"[\"']?\s*[=:]\s*[\"']?)"
)
_VALUE = r"[^\s\"',;&}\])]{6,}"
_NAMED = re.compile(_NAME + _VALUE, re.IGNORECASE)
_GIVEN = re.compile(_NAME + r"(?![$<*%{\[])" + _VALUE, re.IGNORECASE)
"""As `_NAMED`, but `password: $PASSWORD`, which says where it stands, is none."""
_LABELLED = re.compile(_NAME + f"({_VALUE})", re.IGNORECASE)
_BARE_TOKEN = re.compile(
    r"((?i:(?<![\w-])token)[\"']?\s*[=:]\s*[\"']?)(?=[^\s\"',;&}\])]{0,99}[0-9A-Z])" + _VALUE
)
"""`token: `, but not `unexpected token: identifier`, nor a tokenizer's `pad_token`."""
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")
_HEADER = re.compile(
    r"(?:\bAuthorization[\"']?\s*[:=]\s*[\"']?(?:Bearer|Basic)\s+|\bBearer\s+(?=\S*\d))[\w.~+/=-]{8,}"
)
"""As `_BEARER`, but "Basic fine-tuning" is none."""
_TOKEN = re.compile(
    r"""
      \bhf_[A-Za-z0-9]{20,}                         # Hugging Face
    | \bapi_org_[A-Za-z0-9]{20,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                 # AWS
    | \bsk-[A-Za-z0-9_-]{20,}
    | \bgh[pousr]_[A-Za-z0-9]{30,}                  # GitHub
    | \bgithub_pat_[A-Za-z0-9_]{30,}
    | \bxox[abprs]-[A-Za-z0-9-]{10,}
    | \bwandb_v\d_[A-Za-z0-9_]{20,}                 # Weights & Biases
    | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+          # JSON Web Token
    """,
    re.VERBOSE,
)
_HEX_KEY = re.compile(r"(?<![0-9a-fA-F])(?<!snapshots/)(?<!blobs/)[0-9a-f]{40}(?![0-9a-fA-F])")
"""Weights & Biases' older keys. Revisions of a repository look the same, but not in a cache."""


def scrubbed(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return a text with `***` in the place of every secret that is known as one.

    Args:
        text: any; what holds none is returned as it is.
        environ: whose secret values must not stand in it; None: this process's.
    """
    return _cleaned(text, _values_of(os.environ if environ is None else environ))


def _cleaned(text: str, values: tuple[str, ...]) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, HIDDEN)
    if text.isalnum() and len(text) < _SHORTEST_TOKEN:
        return text
    text = _IN_ADDRESS.sub(f"{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _BARE_TOKEN.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _HEX_KEY.sub(HIDDEN, _TOKEN.sub(HIDDEN, text))


def scrubbed_data(data: Any) -> Any:
    """Return JSON data with every text in it scrubbed, and what a secret's name holds hidden."""
    return _cleaned_data(data, _values_of(os.environ))


def _cleaned_data(data: Any, values: tuple[str, ...]) -> Any:
    if isinstance(data, str):
        return _cleaned(data, values)
    if isinstance(data, Mapping):
        return {
            _cleaned(key, values) if isinstance(key, str) else key: HIDDEN
            if isinstance(value, str) and value and isinstance(key, str) and names_secret(key)
            else _cleaned_data(value, values)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [_cleaned_data(value, values) for value in data]
    return data


def holds_secret(text: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a secret stands in a text that a person wrote.

    A text of forty hexadecimal digits is not called one: revisions look like that. A secret of
    the environment counts from eight characters on, and not when it is a word: what is called
    `API_KEY_HEADER` holds one.

    Args:
        text: any.
        environ: whose secret values must not stand in it; None: this process's.
    """
    return any(
        pattern.search(text) is not None
        for pattern in (_IN_ADDRESS_LOGIN, _IN_QUERY, _TOKEN, _GIVEN, _HEADER)
    ) or any(
        value in text
        for value in _values_of(os.environ if environ is None else environ)
        if len(value) >= _SHORTEST_REFUSED and not value.isalpha()
    )


@functools.lru_cache(maxsize=4096)
def names_secret(name: str) -> bool:
    """Whether a name says that what it names is a secret, as HF_TOKEN and db_password do."""
    return bool(_SAYS_SECRET.search(name)) and not _SAYS_PLACE.search(name)


def _values_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secret values of an environment, in every form in which they are looked for."""
    found = {value for name, value in environ.items() if names_secret(name)}
    for value in tuple(found):  # a connection string: its key is a secret by itself
        found |= {secret for _, secret in _LABELLED.findall(value)}
    for value in environ.values():
        if "://" in value:
            for password in _PASSWORD.findall(value):
                found |= {password, unquote(password)}
    return _forms(tuple(sorted(value for value in found if len(value) >= _SHORTEST)))


@functools.lru_cache(maxsize=16)
def _forms(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values and how they read in an address, in JSON and in a Python text; longest first."""
    forms = {
        form
        for value in values
        for form in (
            *(line for line in value.splitlines() if len(line) >= _SHORTEST_LINE),
            value,
            value.strip(),
            quote(value, safe=""),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(value)[1:-1],
        )
        if len(form) >= _SHORTEST
    }
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))
