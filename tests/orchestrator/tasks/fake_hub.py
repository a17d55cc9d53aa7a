"""A Hugging Face Hub on this machine: serves folders by the few routes that fetching uses.

`root/models/<namespace>/<name>` and `root/datasets/<namespace>/<name>` are its repositories, each
with the one revision `main`. Written after the requests that huggingface_hub 2.4 and datasets 5.2
make.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

COMMIT = "a" * 40


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    requests: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _send(self, code: int, body: Any = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlparse(self.path)
        path = unquote(url.path).strip("/")
        self.requests.append(f"{self.command} /{path}")
        parts = path.split("/")
        if not path:
            self._send(200, b"the front page")
        elif parts[0] == "api":
            self._api(parts[1], "/".join(parts[2:4]), parts[4:], "recursive=true" in url.query)
        else:
            kind = "datasets" if parts[0] == "datasets" else "models"
            parts = parts[1:] if kind == "datasets" else parts
            self._file(self.root / kind / "/".join(parts[:2]), "/".join(parts[4:]))

    def _api(self, kind: str, name: str, rest: list[str], recursive: bool) -> None:
        repository = self.root / kind / name
        if not repository.is_dir():
            self._send(404, {"error": "none"}, X_Error_Code="RepoNotFound")
            return
        files = [path for path in sorted(repository.rglob("*")) if path.is_file()]
        names = [str(path.relative_to(repository)) for path in files]
        if rest[:1] != ["tree"]:
            if rest[1:2] not in ([], ["main"], [COMMIT]):
                self._send(404, {"error": "none"}, X_Error_Code="RevisionNotFound")
                return
            siblings = [{"rfilename": file} for file in names]
            self._send(200, {"id": name, "sha": COMMIT, "siblings": siblings, "private": False})
            return
        base = "/".join([*rest[2:], ""])
        entries = {}
        for path, file in zip(files, names, strict=True):
            if file.startswith(base):
                below, _, deeper = file.removeprefix(base).partition("/")
                entry = {"type": "file", "oid": _digest(path), "size": path.stat().st_size}
                if deeper and not recursive:
                    entries[base + below] = {"type": "directory", "oid": "0", "size": 0}
                else:
                    entries[file] = entry
        self._send(200, [{"path": file, **entry} for file, entry in entries.items()])

    def _file(self, repository: Path, name: str) -> None:
        if not repository.is_dir():
            self._send(404, {"error": "none"}, X_Error_Code="RepoNotFound")
        elif not (repository / name).is_file():
            headers = {"X_Error_Code": "EntryNotFound", "X_Repo_Commit": COMMIT}
            self._send(404, {"error": "none"}, **headers)
        else:
            etag = f'"{_digest(repository / name)}"'
            self._send(200, (repository / name).read_bytes(), ETag=etag, X_Repo_Commit=COMMIT)


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@contextmanager
def fake_hub(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the folders below `root`; gives the address and the list of requests made."""
    requests: list[str] = []
    handler = type("Handler", (_Handler,), {"root": root, "requests": requests})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
