"""F9: every damage to every file of a checkpoint is noticed, and the one before is used.

A tiny BERT is trained here for two boundaries by the real rank, each committed; then, for each
file and each damage, a copy of that study is damaged and asked where its trial goes on from and
which model is its best. No Ray, but for one case that resumes the study for real.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.studies import trained_sweep
from orchestrator.checkpoints import MANIFEST, checkpoint_path, commit
from orchestrator.damage import damaged_checkpoints
from orchestrator.events import (
    CheckpointCommitted,
    Event,
    Reported,
    SegmentStarted,
    StudyStarted,
    TrialProposed,
)
from orchestrator.journal import JOURNAL, Journal
from orchestrator.results import SPECIFICATION, read_study
from orchestrator.segment import Segment
from orchestrator.state import StudyState
from search_spaces import SweepSpec

TRIAL = "0000"
FILES = (
    "config.json",
    "generators.pt",
    "manifest.json",
    "model.safetensors",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "special_tokens_map.json",
    "state.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "trainer_state.json",
    "training_args.bin",
    "vocab.txt",
)
"""What a checkpoint may hold; those that this version does not write are left out below."""


def _flip(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def _truncate(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def _swap(path: Path, rng: random.Random) -> None:
    """With another file of the same checkpoint."""
    other = rng.choice(sorted(p for p in path.parent.iterdir() if p != path and p.is_file()))
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


def _of_the_one_before(path: Path, rng: random.Random) -> None:
    before = sorted(path.parent.parent.iterdir())[0] / path.name
    if before.read_bytes() == path.read_bytes():  # weights differ, a configuration does not
        _flip(path, rng)
    else:
        shutil.copyfile(before, path)


def _linked(path: Path, rng: random.Random) -> None:
    elsewhere = path.parent.parent.parent / f"elsewhere-{path.name}"
    shutil.copyfile(path, elsewhere)
    path.unlink()
    path.symlink_to(elsewhere)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "truncated": _truncate,
    "emptied": lambda path, rng: os.truncate(path, 0),
    "flipped": _flip,
    "zeroed": lambda path, rng: path.write_bytes(b"\0" * path.stat().st_size) and None,
    "longer": lambda path, rng: path.write_bytes(path.read_bytes() + b"\0") and None,
    "missing": lambda path, rng: path.unlink(),
    "swapped": _swap,
    "of-the-one-before": _of_the_one_before,
    "linked": _linked,
}
WHOLE = ("folder gone", "folder of the one before", "file added", "folder emptied")


@functools.cache
def bed() -> Path:
    """A study whose one trial was cut off after its second checkpoint; made once a process."""
    from orchestrator.trial import Rank

    root = Path(tempfile.mkdtemp(prefix="chaos-bed-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    spec = SweepSpec.model_validate(trained_sweep("random", slots=1, seed=3, name="study"))
    folder, cache = root / "study", root / ".cache"
    folder.mkdir()
    config = {"learning_rate": 1e-3}
    events: list[Event] = [
        StudyStarted(name="study", method="random", metric="eval_loss", goal="minimize", seed=3),
        TrialProposed(
            trial=TRIAL, number=0, config=config, origin="searcher", boundaries=3, epochs=3.0
        ),
        SegmentStarted(
            trial=TRIAL, segment=0, boundary=0, config=config, worker="w0", pid=1, node="n"
        ),
    ]
    rank = Rank(spec, folder, cache)
    rank.prepare()
    rank.begin(Segment(trial=TRIAL, segment=0, config=config, boundaries=3))
    for boundary in (1, 2):
        report = rank.advance()
        path = checkpoint_path(TRIAL, 0, boundary)
        manifest = commit(folder, path, rank.snapshot())
        events += [
            Reported(
                trial=TRIAL, segment=0, boundary=boundary, value=report.value,
                metrics=report.metrics, epoch=report.epoch, step=report.step, seconds=1.0,
            ),
            CheckpointCommitted(
                trial=TRIAL, segment=0, boundary=boundary, path=path.as_posix(),
                sha256=manifest.sha256, size_bytes=manifest.size_bytes,
            ),
        ]  # fmt: skip
    rank.close()
    journal = Journal(folder / JOURNAL)
    journal.append(events)
    journal.close()
    (folder / SPECIFICATION).write_text(json.dumps(spec.model_dump(mode="json")))
    return folder


def run(case: str, folder: Path, bench: Bench) -> Outcome:
    """Damage one file of the newest checkpoint, or the whole of it."""
    study = folder / "study"
    shutil.copytree(bed(), study, symlinks=True)
    older, newest = sorted((study / "trials" / TRIAL / "checkpoints").iterdir())
    name, _, damage = case.partition(" ")
    if name == "resumed":
        _flip(newest / damage, random.Random(case))
        return Outcome(_resumed(study, damage, bench))
    if name == "whole:":
        _damage_whole(damage, older, newest)
        named = newest.name if damage != "file added" else "added.pt"
    elif name == "every-file":
        listed = sorted(p.name for p in newest.iterdir())
        missing = [known for known in listed if known not in FILES]
        return Outcome([f"no case damages {', '.join(missing)}"] if missing else [])
    else:
        if not (newest / name).exists():
            return Outcome(count=0)
        DAMAGES[damage](newest / name, random.Random(case))
        named = name
    return Outcome(_judge(study, older, newest, named, swapped=damage == "swapped"))


def _judge(study: Path, older: Path, newest: Path, named: str, *, swapped: bool) -> list[str]:
    read = read_study(study)
    lost = damaged_checkpoints(read)
    path = newest.relative_to(study).as_posix()
    if [event.path for event in lost] != [path]:
        return [f"damaged was {path}, named was {[event.path for event in lost]}"]
    said = []
    # Of two swapped files the first in the alphabet is told.
    if named not in lost[0].reason and not (swapped and newest.name in lost[0].reason):
        said.append(f"the reason does not name {named}: {lost[0].reason}")
    state = StudyState.of([*(entry.event for entry in read.contents.entries), *lost])
    standing = state.standing(TRIAL)
    if standing.checkpoint != older.relative_to(study).as_posix() or standing.boundary != 1:
        said.append(f"the trial would go on from {standing}")
    if state.best is not None and state.best.checkpoint == path:
        said.append("it is still the study's best")
    return said


def _damage_whole(damage: str, older: Path, newest: Path) -> None:
    match damage:
        case "folder gone":
            shutil.rmtree(newest)
        case "folder of the one before":
            shutil.rmtree(newest)
            shutil.copytree(older, newest)
        case "folder emptied":
            shutil.rmtree(newest)
            newest.mkdir()
        case _:
            (newest / "added.pt").write_bytes(b"x")


def _resumed(study: Path, name: str, bench: Bench) -> list[str]:
    """Resume it for real: told, gone on from the one before, finished."""
    from benchmarks.chaos.judge import events_of
    from benchmarks.chaos.processes import run_to_the_end, start_driver

    driver = start_driver(["resume", str(study), "--plain"], address=bench.address, trains=True)
    code, output = run_to_the_end(driver, seconds=300)
    said = [] if code == 0 else [f"exit {code}: {output[-300:]}"]
    if name not in output:
        said.append(f"{name} was not named: {output[:500]}")
    segments = [e for e in events_of(study) if isinstance(e, SegmentStarted) and e.trial == TRIAL]
    if len(segments) != 2 or segments[1].boundary != 1:
        said.append(f"it went on from {[s.boundary for s in segments]}")
    return said


CASES = (
    *(f"{file} {damage}" for file in FILES for damage in DAMAGES),
    *(f"whole: {damage}" for damage in WHOLE),
    "every-file is damaged by a case",
    "resumed model.safetensors",
    "resumed trainer_state.json",
)
ROW = Row(
    id="F9",
    injected="newest checkpoint truncated, bit-flipped, file missing, files swapped",
    holds="falls back, names the bad file",
    target="every damage x every file",
    cases=CASES,
    few=(*(f"{file} {damage}" for file in ("model.safetensors", MANIFEST) for damage in DAMAGES),
         "trainer_state.json flipped", *(f"whole: {damage}" for damage in WHOLE),
         "every-file is damaged by a case"),
    run=run,
    counted="damaged checkpoints",
    remark="a checkpoint of the real Trainer; two cases resume the damaged study on Ray, the"
    " others ask what a resume would go on from.",
)  # fmt: skip
