"""The address of a cluster's dashboard and the token it asks for: the way in to Ray Jobs.

Asks nobody; `jobs.py` does. The token is read here and sent as a header, because Ray's own client
sends none unless RAY_AUTH_MODE is set on this machine too, which is easily forgotten for a cluster
that is somewhere else. It stands where Ray's documentation puts it, and never on a command line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import Unfit

TOKEN_MEND = (
    "put the cluster's token (on its head: `ray get-auth-token`) into the file ~/.ray/auth_token"
    " here, or name its file in RAY_AUTH_TOKEN_PATH"
)
TUNNEL_MEND = (
    "from outside its network use a tunnel: `ssh -L 8265:localhost:8265 HEAD`, and --address"
    " http://localhost:8265"
)


def checked_address(address: str) -> str:
    """Return the dashboard's address without a slash at its end.

    Args:
        address: as a person gave it.

    Raises:
        Unfit: it is no address of a dashboard, or a login stands in it.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        raise Unfit(
            "--address: jobs go to the dashboard of a cluster, http://HEAD:8265; got"
            f" {address.rpartition('@')[2]}.",
            mend="give the head's host and its dashboard's port (8265 unless it was changed); the"
            " port 6379 and ray:// are other doors.",
        )
    if "@" in parts.netloc:
        raise Unfit(
            "--address: a name and password in an address would stand in the list of processes.",
            mend=f"leave them out; {TOKEN_MEND}.",
        )
    return address.rstrip("/")


def auth_headers(address: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that prove who asks; {} when there is no token.

    Args:
        address: from `checked_address`.
        environ: RAY_AUTH_TOKEN, else the file in RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token;
            none when RAY_AUTH_MODE is disabled.

    Raises:
        Unfit: a token's file cannot be read; or there is no token for an address in plain http
            that is not this machine's: whoever reads along could submit jobs, too.
    """
    token = None if environ.get("RAY_AUTH_MODE", "").lower() == "disabled" else _token(environ)
    if token:
        return {"Authorization": f"Bearer {token}"}
    if address.startswith("http://") and not _is_loopback(urlsplit(address).hostname or ""):
        raise Unfit(
            f"--address: {address} is plain http to another machine, and there is no token: a"
            " cluster that takes jobs without one runs anybody's code.",
            mend=f"{TOKEN_MEND}; or {TUNNEL_MEND}.",
        )
    return {}


def _token(environ: Mapping[str, str]) -> str | None:
    given = environ.get("RAY_AUTH_TOKEN", "").strip()
    if given:
        return given
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    home = Path(environ.get("HOME") or "~").expanduser()
    path = Path(named).expanduser() if named else home / ".ray" / "auth_token"
    if not named and not path.exists():
        return None
    try:
        return path.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Unfit(
            f"{path}: the cluster's token cannot be read: {getattr(error, 'strerror', error)}.",
            mend=f"{TOKEN_MEND}.",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
