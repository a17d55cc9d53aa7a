"""In which mode W&B runs here: the sweep file, the environment, and whether there is a key.

It does not import wandb (half a second) and asks nobody: wandb itself would prompt for a key on a
terminal and fail without one in a worker. The environment's WANDB_MODE beats the sweep file,
because it is said for this one command. Without a key online becomes offline: no result is lost,
and `sweep sync` uploads the runs later.
"""

from __future__ import annotations

import configparser
import netrc
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

_SERVER = "https://api.wandb.ai"
_OLD_WORDS = {"dryrun": "offline", "run": "online"}


def wandb_mode(asked: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the mode to run in, and a sentence for the person when it is not the one asked for.

    Args:
        asked: `tracking.mode`: auto, online, offline or disabled.
        environ: the process's environment.

    Returns:
        online, offline or disabled; None when there is nothing to say.
    """
    given = environ.get("WANDB_MODE", "").strip().lower()
    given = _OLD_WORDS.get(given, given)
    notice = None
    if given in ("online", "offline", "disabled"):
        if asked not in ("auto", given):
            notice = f"wandb: WANDB_MODE={given} is set; the sweep file's mode is {asked}."
        asked = given
    elif given:
        notice = (
            f"wandb: WANDB_MODE must be online, offline or disabled; got {given!r}; not used.\n"
            "    mend: unset WANDB_MODE."
        )
    if asked in ("offline", "disabled") or has_key(environ):
        return ("online" if asked == "auto" else asked), notice
    rule = "wandb: online needs an API key; none was found" if asked == "online" else None
    if rule is None:
        return "offline", notice or "wandb: no API key was found; runs are written offline."
    return "offline", (
        f"{rule} in WANDB_API_KEY or the netrc file. Runs are written offline.\n"
        "    mend: run `wandb login`, or write tracking: {mode: offline}."
    )


def has_key(environ: Mapping[str, str]) -> bool:
    """Whether wandb would find credentials without asking: environment, netrc or settings."""
    if environ.get("WANDB_API_KEY") or environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    home = Path(environ.get("HOME", "~")).expanduser()
    settings = _settings(environ, home)
    if settings.get("api_key"):
        return True
    server = environ.get("WANDB_BASE_URL") or settings.get("base_url") or _SERVER
    host = urlsplit(server).hostname or ""
    path = Path(environ["NETRC"]).expanduser() if environ.get("NETRC") else home / ".netrc"
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def address_without_login(environ: Mapping[str, str]) -> dict[str, str]:
    """Return WANDB_BASE_URL without a name and password in it, {} when there is none in it.

    wandb writes the address into its logs. It cannot use a login from there: it sends its own.
    """
    address = environ.get("WANDB_BASE_URL", "")
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return {}
    return {"WANDB_BASE_URL": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()}


def _settings(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    folder = Path(environ.get("WANDB_CONFIG_DIR") or home / ".config" / "wandb").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(folder / "settings", encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}
