"""A W&B server small enough to read: runs, their history by the file stream, files thrown away.

It answers what wandb 0.31 asks while a run is made, logged to, resumed and finished. `mode` can be
changed at any time: "works", "500" (every request fails) or "hangs" (accepted, never answered).
`refuse` closes the port, as when the server's process dies, and `accept` opens it again.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Run:
    """What the server knows of one run."""

    def __init__(self) -> None:
        self.name = self.group = self.job_type = ""
        self.tags: list[str] = []
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.starts = 0

    def curve(self, name: str) -> list[tuple[int, Any]]:
        """Return (train/global_step, value) of one name."""
        return [(row["train/global_step"], row[name]) for row in self.history if name in row]


class Server:
    """The state behind the requests."""

    def __init__(self) -> None:
        self.mode = "works"
        self.runs: dict[str, Run] = {}
        self.address = ""
        self.released = threading.Event()
        self.refuse: Callable[[], None]
        self.accept: Callable[[], None]

    def run_of(self, trial: str) -> Run:
        """Return the run of a trial; its id begins with the study's."""
        (run,) = (run for name, run in self.runs.items() if name.endswith(f"-{trial}"))
        return run

    def answer(self, path: str, body: Any) -> dict[str, Any]:
        """Return what W&B's server would."""
        if path == "/graphql":
            return {"data": self._graphql(body["query"], body.get("variables") or {})}
        if path.endswith("/file_stream"):
            self._file_stream(path.split("/")[-2], body)
            return {"exitcode": None, "limits": {}}
        return {}

    def _graphql(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        if "RunResumeStatus" in query:
            run = self.runs.get(given["name"])
            bucket = None if run is None else self._bucket(given["name"], run)
            return {"model": {"id": "p", "name": "proj", "entity": _ENTITY, "bucket": bucket}}
        if "upsertBucket" in query:
            return {"upsertBucket": self._upsert(given)}
        if "createRunFiles" in query:
            files = [
                {"name": name, "uploadUrl": f"{self.address}/upload"} for name in given["files"]
            ]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        return {}

    def _upsert(self, given: dict[str, Any]) -> dict[str, Any]:
        inserted = given["name"] not in self.runs
        run = self.runs.setdefault(given["name"], Run())
        run.starts += given.get("groupName") is not None
        run.name = given.get("displayName") or run.name
        run.group = given.get("groupName") or run.group
        run.job_type = given.get("jobType") or run.job_type
        run.tags = given.get("tags") or run.tags
        if given.get("config"):
            run.config = {k: v["value"] for k, v in json.loads(given["config"]).items()}
        return {"bucket": self._bucket(given["name"], run), "inserted": inserted}

    def _bucket(self, name: str, run: Run) -> dict[str, Any]:
        return {
            "id": name,
            "name": name,
            "displayName": run.name,
            "description": None,
            "sweepName": None,
            "summaryMetrics": json.dumps(run.summary),
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
            "eventsTail": "[]",
            "config": json.dumps({k: {"value": v} for k, v in run.config.items()}),
            "tags": run.tags,
            "notes": None,
            "wandbConfig": "{}",
            "project": {"id": "p", "name": "proj", "entity": _ENTITY},
        }

    def _file_stream(self, name: str, body: dict[str, Any]) -> None:
        run = self.runs[name]
        files = body.get("files") or {}
        if "wandb-history.jsonl" in files:
            part = files["wandb-history.jsonl"]
            del run.history[part["offset"] :]
            run.history += [json.loads(line) for line in part["content"]]
        if "wandb-summary.json" in files:
            run.summary = json.loads(files["wandb-summary.json"]["content"][0])
        if body.get("complete"):
            run.exit_code = body["exitcode"]


_ENTITY = {"id": "e", "name": "ent"}


@contextlib.contextmanager
def wandb_server() -> Iterator[Server]:
    """Serve on a free port of this machine."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            if not listening:
                self.close_connection = True  # one that stood before is cut
                return
            if state.mode == "hangs":
                state.released.wait(60)
                self.close_connection = True
                return
            if self.headers.get("content-encoding") == "gzip":
                raw = gzip.decompress(raw)
            answer: dict[str, Any] = {}
            if state.mode == "works" and not self.path.startswith("/upload"):
                answer = state.answer(self.path, json.loads(raw) if raw else None)
            data = json.dumps(answer).encode()
            self.send_response(200 if state.mode == "works" else 500)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    listening: list[http.server.ThreadingHTTPServer] = []

    def accept() -> None:
        if not listening:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", known[0]), Handler)
            server.daemon_threads = True
            server.block_on_close = False
            listening.append(server)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def refuse() -> None:
        while listening:
            server = listening.pop()
            server.shutdown()
            server.server_close()

    known = [0]
    accept()
    known[0] = listening[0].server_address[1]
    state.address = f"http://127.0.0.1:{known[0]}"
    state.refuse, state.accept = refuse, accept
    try:
        yield state
    finally:
        state.released.set()
        refuse()
