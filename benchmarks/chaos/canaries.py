"""A4 in whole commands: secrets that a study meets, looked for in all it writes and sends.

A canary is a secret made for one case. Each stands where secrets stand: in the environment, in
an `.env` file beside the sweep file, in addresses, in what the task's code prints, logs, warns
and raises. The study is a real one, run as a person runs it, with W&B offline or against a
server that is a hole; everything it leaves is read: the study's folder, the tracker's files,
crash reports, Ray's own session folder, and the argument lists of its processes while it runs.
What the server is sent is read too, but for the header that carries W&B's key to it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from benchmarks.chaos.processes import descendants, end_all, wait_until_gone
from benchmarks.chaos.row import Bench, Outcome, seeds
from benchmarks.chaos.studies import write_sweep

IN_ENVIRONMENT = (
    "ACME_API_KEY",
    "HF_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DB_PASSWORD",
    "SIGNING_SECRET",
    "BASIC_AUTH",
    "SESSION_COOKIE",
    "AZURE_STORAGE_CONNECTION_STRING",
)
_CONNECTION = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=a.net"
"""What such a variable holds: the secret is its key, which libraries tell alone too."""
_WAIT_S = 300.0

TASK = '''
"""A task that tells every secret it meets to everybody who listens."""

import logging
import os
import sys
import warnings

from tests.orchestrator.tiny_task import TinyTask, accuracy

ADDRESS = "https://me:" + os.environ["URL_CANARY"] + "@data.example.org/rows.csv"
HUB = os.environ["HUB_CANARY_TEXT"]
NOTED = os.environ["SAID_CANARY"]  # no name says that it is one: what stands before it does
SAID = f"Server=db;Uid=me;Pwd={{NOTED}}; token: {{NOTED}}; SharedAccessKey={{NOTED}};"
KEY = os.environ["AZURE_STORAGE_CONNECTION_STRING"].split("AccountKey=")[1].split(";")[0]


def tell():
    for name in {names!r}:
        print("the value is", os.environ[name])
        sys.stderr.write("half a line of " + os.environ[name][:4])
        sys.stderr.write(os.environ[name][4:] + chr(10))
        logging.getLogger("acme").error("cannot log in with %s", os.environ[name])
        warnings.warn("old key " + os.environ[name])
    print("read", ADDRESS, "with", HUB, "by", SAID, "signed with", KEY)


class Telling(TinyTask):
    calls = 0


def metrics(prediction):
    tell()
    Telling.calls += 1
    if {raises} and Telling.calls > 1:
        raise RuntimeError("403 for " + ADDRESS + " with " + HUB + " " + SAID + " ".join(
            os.environ[name] for name in {names!r}))
    return accuracy(prediction)


def build(spec, cache, seed):
    return Telling(spec, metrics=metrics)
'''


def canaries(case: str) -> dict[str, str]:
    """The secrets of a case, by the variable that holds them."""
    rng = random.Random(case)

    def word(length: int, letters: str = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz") -> str:
        return "".join(rng.choice(letters) for _ in range(length))

    made = {name: f"canary{word(18)}" for name in IN_ENVIRONMENT}
    made["URL_CANARY"] = f"canary{word(12)}"
    made["HUB_CANARY_TEXT"] = f"hf_{word(34)}"
    made["SAID_CANARY"] = f"canary7{word(12)}"
    made["WANDB_API_KEY"] = word(40, "0123456789abcdef")
    made["DOTENV"] = f"canary{word(18)}"
    return made


def sweep_of(mode: str) -> dict[str, object]:
    """Two trials of the task above, two boundaries each."""
    return {
        "name": "study",
        "method": "random",
        "run_cap": 2,
        "metric": {"name": "accuracy"},
        "task": {"type": "task.py:build", "model": "tiny", "metrics": ["accuracy"]},
        "training_arguments": {
            "num_train_epochs": 2,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "logging_steps": 2,
        },
        "parameters": {"learning_rate": {"min": 1e-4, "max": 1e-3}},
        "tracking": {"backends": ["wandb"], "mode": mode},
        "resources": {"max_concurrent": 1},
    }


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Run one study and look for every canary."""
    raises = case.startswith("raises")
    online = "online" in case
    secrets = canaries(case)
    work = folder / "work"
    work.mkdir()
    (work / "task.py").write_text(TASK.format(names=IN_ENVIRONMENT, raises=raises))
    (work / ".env").write_text(f"DOTENV_SECRET={secrets['DOTENV']}\n")
    write_sweep(work / "study.yaml", sweep_of("online" if online else "offline"))
    with _hole() as hole, tempfile.TemporaryDirectory(prefix="ray-") as ray:
        environment = {
            **os.environ,
            **{name: value for name, value in secrets.items() if name != "DOTENV"},
            "AZURE_STORAGE_CONNECTION_STRING": _CONNECTION.format(
                secrets["AZURE_STORAGE_CONNECTION_STRING"]
            ),
            "PYTHONPATH": os.getcwd(),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "RAY_TMPDIR": ray,
            "WANDB_BASE_URL": f"http://user:{secrets['URL_CANARY']}@{hole.address}",
        }
        environment.pop("WANDB_MODE", None)
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        words = ["run", "study.yaml", "--storage", "studies", "--plain", "--allow-code"]
        with (folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "sweeps", *words],
                cwd=work,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        seen, called = _watch(process, secrets)
        wait_until_gone(seen, seconds=10.0)
        end_all(seen)
        said = [f"a process is called with {name}: {line}" for name, line in called.items()]
        if raises == (process.returncode == 0):
            said.append(f"exit {process.returncode}: {_tail(folder / 'output.txt')}")
        read = 0
        for root in (folder, Path(ray)):
            for path in sorted(root.rglob("*")):
                if path.is_file() and not path.is_symlink() and path.name != ".env":
                    read += 1
                    said += [f"{path.relative_to(root)} holds {n}" for n in _held(path, secrets)]
        said += [f"{name} was sent" for name in hole.holds(secrets)]
    if not any((work / "studies" / "study").glob("trials/*/log.txt")):
        said.append(f"the study has no trial: {_tail(folder / 'output.txt')}")
    return Outcome(said, count=read)


def _watch(
    process: subprocess.Popen[bytes], secrets: Mapping[str, str]
) -> tuple[list[tuple[int, float]], dict[str, str]]:
    """Wait for the end; return all processes there were, and the argument lists with a canary."""
    seen: dict[tuple[int, float], None] = {}
    called: dict[str, str] = {}
    deadline = time.monotonic() + _WAIT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            process.kill()
        found = descendants(process.pid)
        seen |= dict.fromkeys(found)
        for pid in (process.pid, *(pid for pid, _ in found)):
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                called |= {n: repr(line[:80]) for n, v in secrets.items() if v.encode() in line}
        time.sleep(0.1)
    return list(seen), called


def _held(path: Path, secrets: Mapping[str, str]) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError:
        return []
    return [name for name, value in secrets.items() if any(f in raw for f in _forms(value))]


def _forms(value: str) -> tuple[bytes, ...]:
    plain = value.encode()
    return plain, quote(value, safe="").encode(), base64.b64encode(plain).rstrip(b"=")


def _tail(path: Path) -> str:
    return json.dumps(path.read_text("utf-8", "replace")[-400:])


class _Hole:
    """A server that takes everything and answers nothing useful."""

    def __init__(self) -> None:
        self.address = ""
        self.bodies: list[bytes] = []

    def holds(self, secrets: Mapping[str, str]) -> list[str]:
        """Canaries that were sent to it."""
        raw = b"\n".join(self.bodies)
        return [name for name, value in secrets.items() if value.encode() in raw]


@contextlib.contextmanager
def _hole() -> Iterator[_Hole]:
    import gzip
    import http.server

    hole = _Hole()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            with contextlib.suppress(OSError, EOFError):
                raw = gzip.decompress(raw)
            hole.bodies.append(self.path.encode() + b" " + raw)
            self.send_response(500)
            self.end_headers()

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hole.address = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hole
    finally:
        server.shutdown()
        server.server_close()


CASES = seeds(3, "tells-offline", "raises-offline", "tells-online", "raises-online")
