"""Before a study goes on, what it will need is verified, and nothing else is read."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checkpoints import commit
from orchestrator.damage import damaged_checkpoints
from orchestrator.errors import StudyUnreadable
from orchestrator.events import CheckpointCommitted
from orchestrator.journal import Contents, Entry
from orchestrator.results import StudyResult
from orchestrator.state import StudyState
from tests.orchestrator.world import World, population, sweep


class Weights:
    """A checkpoint of one file."""

    def write(self, folder: Path) -> None:
        (folder / "weights").write_bytes(b"w" * 100)


def interrupted_study(folder: Path) -> StudyResult:
    """Trial 0000 finished with its best at boundary 3, 0001 stands at 2, best as well."""
    world = World(sweep())
    world.ready("a")
    for _ in range(20):
        if world.take("a") is None:
            trial, boundary = world.at["a"][0].trial, world.at["a"][1]
            if (trial, boundary) == ("0001", 2):
                break
            world.boundary("a")
    return read_as(folder, world)


def read_as(folder: Path, world: World) -> StudyResult:
    """The world's study, its checkpoints on disk."""
    events = [
        replace(event, sha256=commit(folder, Path(event.path), Weights()).sha256)
        if isinstance(event, CheckpointCommitted)
        else event
        for event in world.journal
    ]
    entries = tuple(Entry(n, 0.0, event) for n, event in enumerate(events))
    return StudyResult(
        folder, world.spec, StudyState.of(events), Contents(entries, 0, 0), running=None
    )


def spoil(study: StudyResult, trial: str, boundary: int) -> None:
    path = study.folder / study.state.trials[trial].checkpoints[boundary].path
    (path / "weights").write_bytes(b"x" * 100)


def named(study: StudyResult) -> list[tuple[str, int]]:
    return [(lost.trial, lost.boundary) for lost in damaged_checkpoints(study)]


def test_only_where_open_trials_stand_and_the_best_are_read(tmp_path: Path) -> None:
    study = interrupted_study(tmp_path)
    assert study.state.open_trials == {"0001": None}
    best = study.state.best
    assert best is not None
    needless = [("0000", 1), ("0000", 2), ("0001", 1)]
    for trial, boundary in needless:
        spoil(study, trial, boundary)
    assert named(study) == []
    spoil(study, best.trial, best.boundary)
    assert named(study)[0] == (best.trial, best.boundary)


def test_when_the_newest_is_damaged_the_one_before_is_verified_too(tmp_path: Path) -> None:
    study = interrupted_study(tmp_path)
    spoil(study, "0001", 2)
    spoil(study, "0001", 1)
    assert named(study)[-2:] == [("0001", 2), ("0001", 1)]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("file", ["weights", "manifest.json"])
def test_a_file_that_cannot_be_read_is_no_lost_checkpoint_and_ends_the_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, number: int
) -> None:
    study = interrupted_study(tmp_path)
    opened = Path.open

    def failing(path: Path, *arguments: Any, **keys: Any) -> Any:
        if path.name == file:
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *arguments, **keys)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        patch.setattr(Path, "read_bytes", lambda path: failing(path, "rb").read())
        with pytest.raises(StudyUnreadable, match=f"{file} cannot be read"):
            damaged_checkpoints(study)
    assert named(study) == []


def test_a_file_that_is_gone_is_a_lost_checkpoint(tmp_path: Path) -> None:
    study = interrupted_study(tmp_path)
    path = study.folder / study.state.trials["0001"].checkpoints[2].path
    (path / "weights").unlink()
    assert ("0001", 2) in named(study)
    (path / "manifest.json").unlink()
    assert ("0001", 2) in named(study)


def test_what_a_receiver_falls_back_to_when_its_donors_is_damaged_is_verified_too(
    tmp_path: Path,
) -> None:
    world = World(population(2, synchronous=True), lambda trial, config, at: at + 0.1 * int(trial))
    world.ready("a", "b")
    for worker in ("a", "b"):
        world.take(worker)
        world.boundary(worker)
    assert world.state.standing("0000").trial == "0001"
    study = read_as(tmp_path, world)
    spoil(study, "0000", 1)
    assert named(study) == []  # nobody stands there
    spoil(study, "0001", 1)
    assert named(study) == [("0001", 1), ("0000", 1)]


def test_a_donors_checkpoint_is_verified_when_the_donor_has_left_it_behind(tmp_path: Path) -> None:
    world = World(population(2, synchronous=False), lambda trial, config, at: at - 0.1 * int(trial))
    world.ready("a", "b")
    for worker in ("a", "b"):
        world.take(worker)
    for _ in range(3):
        world.boundary("a")
        world.take("a")
    study = read_as(tmp_path, world)
    assert study.state.standing("0000").boundary == 3
    spoil(study, "0000", 1)
    assert named(study) == [("0000", 1)], "0001 is still to come to boundary 1 and would copy it"
