"""A2 to A4: hostile sweep files, pickles in a study's folder, and secrets.

Everything happens in a folder of its own whose contents are listed before and after. A canary is
a file that a hostile thing would make, or a text that must be found nowhere.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.chaos import canaries
from benchmarks.chaos.checkpoints import bed
from benchmarks.chaos.processes import run_to_the_end, start_driver
from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.studies import command_line, scripted_sweep, trained_sweep, write_sweep

# A2 ------------------------------------------------------------------------------------------

_TAGS = (
    "!!python/object/apply:os.system ['touch {canary}']",
    "!!python/object/new:os.system ['touch {canary}']",
    "!!python/object/apply:subprocess.check_output [['touch', '{canary}']]",
    "!!python/object/apply:pathlib.Path.touch ['{canary}']",
    '!!python/object/apply:builtins.eval [\'__import__("os").system("touch {canary}")\']',
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:builtins.object {{}}",
    "!!python/tuple [a, b]",
    "!include /etc/passwd",
    "!include_dir /etc",
    "!ENV ${{HOME}}",
    "!env_var HOME",
    "!!binary aGVsbG8=",
)
_TEXTS = (
    "$(touch {canary})",
    "`touch {canary}`",
    "; touch {canary}",
    "| touch {canary}",
    "${{IFS}}touch${{IFS}}{canary}",
    "{{{{ ''.__class__.__mro__ }}}}",
    "%(touch {canary})s",
    "\\u0000",
    "file://{canary}",
    "~root/{canary}",
)
_NAMES = (
    "../outside", "../../outside", "/outside", "a/../../outside", "..", ".", "~/outside",
    "a/b", "-rf", ".hidden", "a\\\\b", "x" * 65, "CON ", "a b", "\\u202e",
)  # fmt: skip
_KEYS = (
    "__class__", "__init__", "task.__class__", "learning_rate.__init__", "output_dir",
    "push_to_hub", "hub_token", "resume_from_checkpoint", "deepspeed", "report_to",
    "logging_dir", "run_name",
)  # fmt: skip
_CODE = ("trust_remote_code", "own file", "own file by parameters")


def _hostile() -> dict[str, Callable[[dict[str, Any], Path], str]]:
    """Name -> what makes a sweep file's text of a sound one; the path is the canary's."""

    def value(text: str) -> Callable[[dict[str, Any], Path], str]:
        def make(data: dict[str, Any], canary: Path) -> str:
            data["description"] = "@@"
            return json.dumps(data).replace('"@@"', text.format(canary=canary))

        return make

    def at(place: str, text: str) -> Callable[[dict[str, Any], Path], str]:
        def make(data: dict[str, Any], canary: Path) -> str:
            inner = data
            *way, last = place.split("/")
            for key in way:
                inner = inner[key]
            inner[last] = text.format(canary=canary)
            return json.dumps(data)

        return make

    def key(name: str) -> Callable[[dict[str, Any], Path], str]:
        def make(data: dict[str, Any], canary: Path) -> str:
            data["training_arguments"][name] = str(canary)
            return json.dumps(data)

        return make

    cases = {f"tag {n}": value(text) for n, text in enumerate(_TAGS)}
    for n, text in enumerate(_TEXTS):
        place = ("task/model", "task/dataset/path", "description")[n % 3]
        cases[f"text {n}"] = at(place, text)
    cases |= {f"name {n}": at("name", text) for n, text in enumerate(_NAMES)}
    cases |= {f"key {n}": key(name) for n, name in enumerate(_KEYS)}
    cases["study a link"] = at("description", "its folder is a link")
    cases["storage up"] = at("storage", "../up")
    cases["model a path up"] = at("task/model", "../../../../../../etc")
    cases["data a path up"] = at("task/dataset/path", "/etc/passwd")
    for name in _CODE:
        cases[name] = _code(name)
    cases["alias bomb"] = lambda data, canary: _BOMB + json.dumps(data)
    cases["merge keys"] = lambda data, canary: "a: &a {b: 1}\n<<: *a\n" + json.dumps(data)
    return cases


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def _code(name: str) -> Callable[[dict[str, Any], Path], str]:
    def make(data: dict[str, Any], canary: Path) -> str:
        own = canary.with_name("evil.py")
        own.write_text(f"open({str(canary)!r}, 'w')\ndef build(spec, cache, seed): ...\n")
        if name == "trust_remote_code":
            data["task"]["trust_remote_code"] = True
        elif name == "own file":
            data["task"]["type"] = f"{own}:build"
        else:
            data["parameters"]["task.type"] = {"values": [f"{own}:build", "text-classification"]}
        return json.dumps(data)

    return make


HOSTILE = _hostile()


def run_file(case: str, folder: Path, bench: Bench) -> Outcome:
    """Validate it, plan it; if it is taken for right, run it too."""
    home = folder / "home"
    home.mkdir()
    outside = folder / "outside-there"
    outside.mkdir()
    canary = folder / "canary"
    data = scripted_sweep("random", slots=1, seed=1, trials=1, boundaries=1, name="study")
    text = HOSTILE[case](data, canary)
    if case == "study a link":
        (home / "studies").mkdir()
        (home / "studies" / "study").symlink_to(outside)
    file = home / "hostile.yaml"
    file.write_text(text, "utf-8")
    before = _listing(folder)
    said = []
    with contextlib.chdir(home):
        codes = {word: command_line(word, str(file)) for word in ("validate", "plan")}
    for word, (code, output) in codes.items():
        if code not in (0, 2):
            said.append(f"`sweep {word}` exited with {code}: {output[-200:]}")
        if "Traceback" in output:
            said.append(f"a traceback: {output[-200:]}")
    if codes["validate"][0] == 0:
        words = ["run", str(file), "--storage", str(home / "studies"), "--plain"]
        driver = start_driver(words, address=bench.address, seconds=0.01)
        code, output = run_to_the_end(driver, seconds=120)
        if "Traceback" in output:
            said.append(f"a traceback: {output[-200:]}")
    if canary.exists():
        said.append("the canary was made")
    new = {path for path in _listing(folder) - before if not path.startswith("home/studies/")}
    if new - {"home/studies"}:
        said.append(f"written outside the study's folder: {sorted(new)[:5]}")
    return Outcome(said)


def _listing(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


# A3 ------------------------------------------------------------------------------------------


class _Evil:
    """Makes the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self._canary), "w")


def pickles(canary: Path) -> dict[str, bytes]:
    """A malicious pickle bare, and in the archive that torch writes."""
    import torch

    archive = io.BytesIO()
    torch.save(_Evil(canary), archive)
    return {"bare": pickle.dumps(_Evil(canary)), "archive": archive.getvalue()}


def run_pickle(case: str, folder: Path, bench: Bench) -> Outcome:
    """Put one pickle into every file of a study in turn, and have every command read it."""
    canary = folder / "canary"
    evil = pickles(canary)[case.split()[0]]
    said = []
    count = 0
    whole = bed()
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        place = folder / "study"
        shutil.copytree(whole, place, symlinks=True)
        name = path.relative_to(whole)
        (place / name).write_bytes(evil)
        count += 1
        (folder / "out").mkdir()
        for words in _commands(place, folder / "out"):
            code, output = command_line(*words)
            if "Traceback" in output:
                said.append(f"{name}: `sweep {words[0]}`: a traceback ({code})")
        if name.name == "model.safetensors" or path.suffix in (".pt", ".pth", ".bin"):
            said += _begun(place, name)
        if canary.exists():
            said.append(f"{name}: the canary was made")
            canary.unlink()
        shutil.rmtree(place)
        shutil.rmtree(folder / "out", ignore_errors=True)
    return Outcome(said, count=count)


def _commands(place: Path, out: Path) -> list[list[str]]:
    return [
        ["show", str(place)],
        ["show", str(place), "--json"],
        ["list", "--storage", str(place.parent)],
        ["best", str(place)],
        ["best", str(place), "--export", str(out / "model")],
        ["report", str(place), "--output", str(out / "report")],
        ["compare", str(place), "--storage", str(out / "studies"), "--plain"],
    ]


def _begun(place: Path, name: Path) -> list[str]:
    """What a resume would do, were the damage not noticed: begin from that checkpoint."""
    from orchestrator.errors import TrialError
    from orchestrator.segment import Segment
    from orchestrator.trial import Rank
    from search_spaces import SweepSpec

    spec = SweepSpec.model_validate(trained_sweep("random", slots=1, seed=3, name="study"))
    cache = place.parent / ".cache"
    rank = Rank(spec, place, cache)
    rank.prepare()
    checkpoint = "/".join(name.parts[:4])
    boundary = 1 if "boundary-00001" in checkpoint else 2
    config = {"learning_rate": 1e-3}
    try:
        rank.begin(
            Segment(
                trial="0000", segment=1, config=config, boundaries=3, start=boundary,
                checkpoint=checkpoint,
            )
        )  # fmt: skip
        rank.advance()  # the generators are read in the first step
    except TrialError:
        return []
    finally:
        rank.close()
    return [f"{name}: training began from it"]


# A4 ------------------------------------------------------------------------------------------

CANARY = "canary7d41f0aa9c"
_IN_FILES = ("file: argument", "file: url", "file: text")


def _leaks(raw: bytes) -> Iterator[str]:
    for match in re.finditer(re.escape(CANARY.encode()), raw):
        start = max(0, match.start() - 40)
        yield repr(raw[start : match.end() + 10])
        return


def run_secret_in_file(case: str, folder: Path, bench: Bench) -> Outcome:
    """A sweep file that holds a secret is refused, and the refusal does not repeat it."""
    data = scripted_sweep("random", slots=1, seed=1, trials=1, boundaries=1, name="study")
    secret = "hf_" + CANARY + "B" * 20
    match case:
        case "file: argument":
            data["training_arguments"]["hub_token"] = secret
        case "file: url":
            data["task"]["dataset"]["path"] = f"https://me:{CANARY}@host/data.csv"
        case _:
            data["description"] = f"use {secret}"
    file = write_sweep(folder / "study.yaml", data)
    code, output = command_line("validate", str(file))
    said = [f"the refusal says it: {line}" for line in _leaks(output.encode())]
    if code != 2:
        said.append(f"exit {code}: a secret may stand in a sweep file")
    return Outcome(said)


A2 = Row(
    id="A2",
    injected="hostile sweep files (python tags, includes, environment expansion, path traversal,"
    " symlinked folders)",
    holds="canary never made, nothing outside the study's folder",
    target="60 of 60",
    cases=tuple(HOSTILE),
    few=("tag 0", "name 0", "own file", "trust_remote_code", "alias bomb"),
    run=run_file,
    counted="files",
    remark="`sweep validate` and `sweep plan`; files that are taken for right are run too.",
)
A3 = Row(
    id="A3",
    injected="a malicious pickle in every file of a study folder, then show, list, best, export,"
    " report, compare, and training from it",
    holds="canary never made",
    target="all",
    cases=("bare pickle", "archive pickle"),
    few=("bare pickle",),
    run=run_pickle,
    counted="files",
    remark="whether a resume begins from such a checkpoint is asked of a rank, without Ray.",
)
A4 = Row(
    id="A4",
    injected="canary secrets in environment, `.env`, URLs, exception texts",
    holds="found nowhere in what we write or upload",
    target="0 hits",
    cases=(*_IN_FILES, *canaries.CASES),
    few=_IN_FILES,
    run=lambda case, folder, bench: (
        run_secret_in_file(case, folder, bench)
        if case in _IN_FILES
        else canaries.run(case, folder, bench)
    ),
    counted="files searched",
    remark="a real study whose task prints, logs, warns and raises every secret it knows, with W&B"
    " offline and against a server that takes all and answers 500. Searched are the study's folder,"
    " W&B's own files, Ray's session folder, what the server was sent, and the argument lists of"
    " all processes. A sweep file that holds a secret is refused without repeating it.",
)
