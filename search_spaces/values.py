"""What the sections of a sweep file are made of: their base, and values with a form of their own.

A value that a key cannot take raises `Refusal` with rule and mend in plain words, so that
pydantic's own words never reach a user.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from search_spaces.domains import is_number

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Refusal(ValueError):
    """A value that a key cannot take: the rule, and how to mend it."""

    def __init__(self, rule: str, mend: str = "") -> None:
        self.rule = rule
        self.mend = mend
        super().__init__(rule)


def check(holds: Callable[[Any], bool], rule: str, mend: str = "") -> BeforeValidator:
    """Return a validator that refuses values for which `holds` is False, before any other."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise Refusal(rule, mend)
        return value

    return BeforeValidator(check)


def is_whole(value: object, low: int) -> bool:
    """Return whether value is an int (no bool) from low on that 63 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < 2**63


class Part(BaseModel):
    """Base of all sections: frozen, no unknown keys, written back under the file's own keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )


Count = Annotated[StrictInt, Field(ge=1, lt=2**31)]
Share = Annotated[StrictFloat, Field(ge=0.0, le=1.0)]
Positive = Annotated[StrictFloat, Field(gt=0.0)]


_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)\s*d)?\s*(?:(?P<h>\d+(?:\.\d+)?)\s*h)?\s*"
    r"(?:(?P<m>\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(?P<s>\d+(?:\.\d+)?)\s*s)?\Z"
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(value: Any) -> Any:
    """Return a duration in seconds: a number of them, or text like 2h, 1h30m, 45 min, 1.5d.

    Raises:
        Refusal: value is neither, or is not above 0.
    """
    if value is None:
        return None
    total = 0.0
    if is_number(value):
        total = float(value)
    elif isinstance(value, str) and len(value) < 100 and (found := _DURATION.match(value.strip())):
        total = sum(_SECONDS[unit] * float(n) for unit, n in found.groupdict().items() if n)
    if not 0.0 < total < 1e10:
        raise Refusal("must be a duration above 0", "write for instance 2h, 90m or 1h30m")
    return total


def study_name(value: Any) -> Any:
    """Return value when it may name a study and its folder.

    Raises:
        Refusal: it does not match NAME.
    """
    if not isinstance(value, str) or not NAME.match(value):
        raise Refusal(
            "must begin with a letter or digit and hold up to 64 letters, digits, `.`, `_` and `-`",
            "write for instance rte-pbt",
        )
    return value


def storage_folder(value: Any) -> Any:
    """Return value when it is a relative folder below the working directory.

    Raises:
        Refusal: it is absolute, leads upwards, or is not a folder's name.
    """
    mend = "write a relative folder such as studies; an absolute one only by --storage"
    if not isinstance(value, str) or not value.strip() or len(value) > 1024:
        raise Refusal("must be a folder", mend)
    parts = re.split(r"[/\\]", value)
    if value.startswith(("/", "\\", "~")) or ":" in value or ".." in parts:
        raise Refusal("must be a relative folder that does not lead upwards", mend)
    return value


def study_seed(value: Any) -> Any:
    """Return value when every library takes it as a seed: 0 to 2**32 - 1.

    Raises:
        Refusal: it is not such a whole number.
    """
    if not is_whole(value, 0) or value >= 2**32:
        raise Refusal("must be a whole number from 0 to 4294967295", "write for instance 42")
    return value


StudyName = Annotated[StrictStr, BeforeValidator(study_name)]
Storage = Annotated[StrictStr, BeforeValidator(storage_folder)]
Seed = Annotated[StrictInt, BeforeValidator(study_seed)]
