"""F10: a journal that was cut, flipped, emptied or lost is refused, or nothing is missing.

So is a specification that is not the one that the study began with.

Starts no Ray: what is asked is what reading gives, by `read_study` and by the command line, over
copies of studies that finished and of studies that were cut off. All events of a copy were on
disk before it was damaged, so whoever reads fewer and exits with 0 has lost some in silence; the
one exception is a kill in mid-write, whose event nobody had acted on yet.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.row import Bench, Outcome, Row, parts, seeds
from benchmarks.chaos.studies import command_line, scripted_spec
from orchestrator.errors import StudyUnreadable
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.results import SWEEP_FILE, read_study
from orchestrator.simulate import simulate
from orchestrator.specification import SPECIFICATION, write_specification
from orchestrator.surfaces import LearningRateCurve

_EVERY = 64
_TRUNCATED = 100
"""Truncations of each study: together they go over its whole length."""
_SITTING = 9
"""Events of each sitting of the population: its journal has several epochs."""
Damage = Callable[[bytes, random.Random], bytes]


def _lines(change: Callable[[list[bytes], int], None]) -> Damage:
    def damage(raw: bytes, rng: random.Random) -> bytes:
        lines = raw.splitlines(keepends=True)
        change(lines, rng.randrange(len(lines) - 1))
        return b"".join(lines)

    return damage


def _swap(lines: list[bytes], at: int) -> None:
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def _flip(raw: bytes, rng: random.Random, start: int = 0) -> bytes:
    damaged = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        damaged[rng.randrange(start, len(raw))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _last_line(raw: bytes) -> int:
    return raw.rstrip(b"\n").rfind(b"\n") + 1


def _zeroed(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + b"\0" * (len(raw) - at)


DAMAGES: dict[str, Damage] = {
    "flip": _flip,
    "flip-last-line": lambda raw, rng: _flip(raw, rng, _last_line(raw)),
    "cut-last-line": lambda raw, rng: raw[: rng.randrange(_last_line(raw), len(raw))],
    "cut-at-a-line": lambda raw, rng: b"".join(
        raw.splitlines(keepends=True)[: rng.randrange(1, raw.count(b"\n"))]
    ),
    "line-gone": _lines(lambda lines, at: lines.pop(at) and None),
    "line-twice": _lines(lambda lines, at: lines.insert(at, lines[at])),
    "lines-swapped": _lines(_swap),
    "zeros-at-the-end": _zeroed,
    "block-gone": lambda raw, rng: raw[: (at := rng.randrange(len(raw)))] + raw[at + 512 :],
    "lines-of-another": lambda raw, rng: raw + raw.splitlines(keepends=True)[-1],
    "emptied": lambda raw, rng: b"",
}
_OF_THE_SPECIFICATION: dict[str, Damage] = {
    "flipped": _flip,
    "truncated": lambda raw, rng: raw[: rng.randrange(1, len(raw))],
    "emptied": lambda raw, rng: b"",
    "block-gone": lambda raw, rng: raw[: (at := rng.randrange(len(raw)))] + raw[at + 64 :],
    # Whole JSON that says something else: nobody but the sum can tell.
    "another-seed": lambda raw, rng: raw.replace(b'"seed": ', b'"seed": 1'),
    "another-range": lambda raw, rng: raw.replace(b"1e-05", b"1e-06"),
}
_SPECIFICATION = "specification-"
_KINDS = tuple(f"{study}-{damage}" for study in ("random", "pbt", "cut-off") for damage in DAMAGES)
CASES = (
    *seeds(_TRUNCATED, "random-truncated", "cut-off-truncated"),
    *seeds(8, *_KINDS),
    *seeds(20, "random-missing", "random-torn-in-mid-write", "pbt-torn-in-mid-write"),
    *seeds(4, *(f"random-{_SPECIFICATION}{damage}" for damage in _OF_THE_SPECIFICATION)),
    f"random-{_SPECIFICATION}gone/0",
)


@functools.cache
def _events(study: str) -> tuple[tuple, object]:  # type: ignore[type-arg]
    method = "pbt" if study == "pbt" else "random"
    spec = scripted_spec(method, slots=2, seed=5, trials=4, boundaries=2, name="study")
    events = simulate(spec, LearningRateCurve(), slots=2).events
    return (events[: len(events) * 2 // 3] if study == "cut-off" else events), spec


def write_study(folder: Path, study: str) -> bytes:
    """Write a simulated study as a driver does, the population in sittings; returns its journal."""
    events, spec = _events(study)
    folder.mkdir(parents=True)
    started = dataclasses.replace(events[0], spec_sha256=write_specification(folder, spec))  # type: ignore[arg-type]
    journal = Journal(folder / JOURNAL)
    for number, event in enumerate((started, *events[1:]), start=1):
        journal.append([event])
        if study == "pbt" and number % _SITTING == 0:
            journal.close()
            journal = Journal(folder / JOURNAL, read_journal(folder / JOURNAL))
    journal.close()
    (folder / SWEEP_FILE).write_text("method: random\n")
    return (folder / JOURNAL).read_bytes()


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Damage one copy and read it."""
    name, seed = parts(case)
    study = next(known for known in ("random", "pbt", "cut-off") if name.startswith(known))
    kind = name.removeprefix(f"{study}-")
    place = folder / "study"
    raw = write_study(place, study)
    whole = raw.count(b"\n")
    journal = place / JOURNAL
    rng = random.Random(case)
    if kind == "missing":
        journal.unlink()
        return Outcome(_started_over(folder))
    if kind == "torn-in-mid-write":
        return Outcome(_recovered(place, study, rng))
    if kind.startswith(_SPECIFICATION):
        return Outcome(_other_specification(place, kind.removeprefix(_SPECIFICATION), rng))
    if kind == "truncated":
        length = len(raw) // _EVERY
        damaged = raw[: _EVERY * (seed * length // _TRUNCATED)]
    else:
        damaged = DAMAGES[kind](raw, rng)
    if damaged == raw:  # several flips undid each other
        damaged = raw[:-1]
    journal.write_bytes(damaged)
    return Outcome([*_judge(place, whole), *_left_alone(journal, damaged)])


def _judge(place: Path, whole: int) -> list[str]:
    said = []
    try:
        read = len(read_study(place).contents.entries)
    except StudyUnreadable as error:
        if "mend:" not in str(error) or str(place / JOURNAL) not in str(error):
            said.append(f"refused without place or way out: {error}")
        return [*said, *_exits_5(place)]
    if read < whole:
        said.append(f"silent loss: {read} of {whole} events were read, without an error")
    code, output = command_line("show", str(place), "--json")
    if code != 0 or "Traceback" in output:
        said.append(f"`sweep show` exited with {code}: {output[-200:]}")
    return said


def _exits_5(place: Path) -> list[str]:
    """Of a study that cannot be read; and it is listed as such, not left out."""
    said = []
    for word in ("show", "best", "resume"):
        code, output = command_line(word, str(place))
        if code != 5 or "Traceback" in output:
            said.append(f"`sweep {word}` exited with {code}: {output[-200:]}")
    code, output = command_line("list", "--storage", str(place.parent))
    if code != 0 or "unreadable" not in output:
        said.append(f"`sweep list` exited with {code} and did not name it: {output[-200:]}")
    return said


def _other_specification(place: Path, damage: str, rng: random.Random) -> list[str]:
    path = place / SPECIFICATION
    if damage == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        damaged = _OF_THE_SPECIFICATION[damage](whole, rng)
        path.write_bytes(whole[:-1] if damaged == whole else damaged)
    said = _exits_5(place)
    try:
        read_study(place)
    except StudyUnreadable as error:
        if "mend:" not in str(error) or str(path) not in str(error):
            said.append(f"refused without place or way out: {error}")
    else:
        said.append("another specification was read, without an error")
    return said


def _left_alone(journal: Path, damaged: bytes) -> list[str]:
    return [] if journal.read_bytes() == damaged else ["the damaged journal was written to"]


def _started_over(storage: Path) -> list[str]:
    """A study whose journal is gone must not be begun again in its folder."""
    (storage / "study" / "trials" / "0000").mkdir(parents=True)
    sweep = storage / "study.yaml"
    sweep.write_text(json.dumps(_asked()))
    said = _exits_5(storage / "study")
    code, output = command_line("run", str(sweep), "--storage", str(storage), "--plain")
    if code != 5:
        said.append(f"`sweep run` exited with {code}: {output[-200:]}")
    if (storage / "study" / JOURNAL).exists():
        said.append("a new journal was begun in the folder")
    return said


def _asked() -> dict[str, object]:
    from benchmarks.chaos.studies import scripted_sweep

    return scripted_sweep("random", slots=2, seed=5, trials=4, boundaries=2, name="study")


def _recovered(place: Path, study: str, rng: random.Random) -> list[str]:
    """A kill in mid-write: the half event is dropped, told, and written over by the next."""
    events, _ = _events(study)
    journal = place / JOURNAL
    before = read_journal(journal)
    whole = journal.read_bytes()
    shutil.copytree(place, copy := place.with_name("copy"))
    writer = Journal(copy / JOURNAL, before)
    writer.append([events[-1]])
    writer.close()
    line = (copy / JOURNAL).read_bytes()[len(whole) :]
    journal.write_bytes(whole + line[: rng.randrange(1, len(line))])
    study_read = read_study(place)
    said = []
    if study_read.contents.entries != before.entries:
        said.append("events before the torn line were lost")
    if not study_read.notes:
        said.append("nobody is told of the torn line")
    writer = Journal(journal, study_read.contents)
    writer.append([events[-1]])
    writer.close()
    if len(read_journal(journal).entries) != len(before.entries) + 1:
        said.append("what was written after the torn line does not read")
    return said


ROW = Row(
    id="F10",
    injected="journal truncated at every 64 bytes, bytes flipped, emptied, missing; specification"
    " flipped, truncated, changed, missing",
    holds="recovers or exit 5, never fewer trials with exit 0",
    target="500 mutants, 0 silent losses",
    cases=CASES,
    few=(*seeds(4, "random-truncated"), *seeds(1, *_KINDS, "random-missing"),
         "pbt-torn-in-mid-write/0",
         *seeds(1, *(f"random-{_SPECIFICATION}{damage}" for damage in _OF_THE_SPECIFICATION))),
    run=run,
    counted="damaged files",
    remark="read by `read_study`, `sweep show`, `best`, `resume`, `list` and, where the journal is"
    " gone, `sweep run`, without Ray; every event was on disk before the damage, so one event"
    " fewer with exit 0 counts as a silent loss. A line torn by a kill in mid-write is dropped and"
    " told.",
)  # fmt: skip
