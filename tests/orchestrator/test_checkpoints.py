"""Committed checkpoints are whole or not there; every damage is noticed; the writer keeps up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.checkpoints import (
    CheckpointError,
    CheckpointWriter,
    Manifest,
    checkpoint_path,
    commit,
    is_committed,
    remove,
    remove_remnants,
    unnamed,
    verify,
)

PATH = checkpoint_path("0001", 2, 3)


class Files:
    """A snapshot of named contents."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents

    def write(self, folder: Path) -> None:
        for name, content in self.contents.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)


TWO = Files(weights=b"w" * 1000, templates__chat=b"hello")


def test_a_committed_checkpoint_verifies_and_says_its_size(tmp_path: Path) -> None:
    done = commit(tmp_path, PATH, TWO)
    assert verify(tmp_path / PATH, done.sha256) == done
    assert done.files.keys() == {"weights", "templates/chat"}
    assert done.size_bytes == sum(f.stat().st_size for f in (tmp_path / PATH).rglob("*.*")) + 1005
    assert [f.name for f in (tmp_path / PATH).parent.iterdir()] == [PATH.name]


def test_two_segments_at_one_boundary_have_different_paths() -> None:
    assert checkpoint_path("0001", 0, 3) != checkpoint_path("0001", 1, 3)
    assert str(checkpoint_path("0001", 0, 3)).startswith("trials/0001/checkpoints/")


def test_committing_again_replaces_what_stood_there(tmp_path: Path) -> None:
    commit(tmp_path, PATH, TWO)
    done = commit(tmp_path, PATH, Files(other=b"o"))
    assert verify(tmp_path / PATH, done.sha256).files.keys() == {"other"}


def _damages(folder: Path, name: str) -> Iterator[str]:
    """Do one damage after the other to a file, putting it back after each."""
    file = folder / name
    content = file.read_bytes()
    for what, damaged in (
        ("truncated", content[:-1]),
        ("emptied", b""),
        ("longer", content + b"\n"),
        *((f"bit {bit} flipped", _flipped(content, bit)) for bit in (0, 1, 8 * len(content) - 3)),
    ):
        file.write_bytes(damaged)
        yield what
        file.write_bytes(content)
    file.unlink()
    yield "missing"
    file.mkdir()
    yield "a folder"
    file.rmdir()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(content)
    file.symlink_to(elsewhere)
    yield "a link"
    file.unlink()
    file.write_bytes(content)


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("name", ["weights", "templates/chat", "manifest.json"])
def test_every_damage_to_every_file_is_noticed_and_the_file_named(
    tmp_path: Path, name: str
) -> None:
    commit(tmp_path, PATH, TWO)
    folder = tmp_path / PATH
    for damage in _damages(folder, name):
        with pytest.raises(CheckpointError, match=name):
            verify(folder)
            pytest.fail(f"not noticed: {name} is {damage}")
    verify(folder)


def test_flipped_bits_of_the_manifest_are_noticed(tmp_path: Path) -> None:
    commit(tmp_path, PATH, Files(w=b"w"))
    manifest = tmp_path / PATH / "manifest.json"
    content = manifest.read_bytes()
    for bit in range(0, 8 * len(content), 3):
        manifest.write_bytes(_flipped(content, bit))
        with pytest.raises(CheckpointError):
            verify(tmp_path / PATH)


def test_swapped_and_added_files_are_noticed(tmp_path: Path) -> None:
    commit(tmp_path, PATH, Files(a=b"1", b=b"2"))
    folder = tmp_path / PATH
    (folder / "a").rename(folder / "c")
    (folder / "b").rename(folder / "a")
    (folder / "c").rename(folder / "b")
    with pytest.raises(CheckpointError, match="a has SHA-256"):
        verify(folder)
    commit(tmp_path, PATH, TWO)
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin does not belong"):
        verify(folder)


def test_another_checkpoint_in_this_ones_place_is_noticed(tmp_path: Path) -> None:
    done = commit(tmp_path, PATH, TWO)
    other = commit(tmp_path, checkpoint_path("0002", 2, 3), Files(weights=b"x"))
    remove(tmp_path / PATH)
    (tmp_path / checkpoint_path("0002", 2, 3)).rename(tmp_path / PATH)
    assert verify(tmp_path / PATH) == other
    with pytest.raises(CheckpointError, match="not the one that was committed"):
        verify(tmp_path / PATH, done.sha256)


def _kill_points(study: Path) -> Iterator[int]:
    """Commit in a forked process that dies before its n-th touch of the disk, n = 0, 1, ..."""
    for point in range(200):
        pid = os.fork()
        if pid == 0:
            _die_at(point, study)
            commit(study, PATH, TWO)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        yield point
        if code == 0:
            return
    pytest.fail("the commit touches the disk more often than expected")


def _die_at(point: int, study: Path) -> None:
    seen = 0

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event.startswith(("open", "os.", "shutil.")) and str(study) in repr(arguments):
            seen += 1
            if seen > point:
                os._exit(9)

    sys.addaudithook(audit)


def test_a_commit_killed_at_any_point_leaves_nothing_that_verifies_or_all_of_it(
    tmp_path: Path,
) -> None:
    points = 0
    for _ in _kill_points(tmp_path):
        points += 1
        if is_committed(tmp_path / PATH):
            verify(tmp_path / PATH)
        else:
            with pytest.raises(CheckpointError):
                verify(tmp_path / PATH)
        remove_remnants(tmp_path)
        assert list(tmp_path.rglob(".*")) == []
        remove(tmp_path / PATH)
    assert points > 10


def test_replacing_a_checkpoint_killed_at_any_point_leaves_one_of_the_two_or_none(
    tmp_path: Path,
) -> None:
    old = commit(tmp_path, PATH, Files(old=b"old"))
    for _ in _kill_points(tmp_path):
        if is_committed(tmp_path / PATH):
            verify(tmp_path / PATH)
        remove_remnants(tmp_path)
        assert commit(tmp_path, PATH, Files(old=b"old")) == old


class Failing:
    """Writes a little, then cannot."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, folder: Path) -> None:
        (folder / "half").write_bytes(b"h")
        raise self.error


def test_a_snapshot_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        commit(tmp_path, PATH, Failing(OSError(errno.ENOSPC, "No space left on device")))
    assert list((tmp_path / PATH).parent.iterdir()) == []


def test_a_half_deleted_checkpoint_is_never_taken_for_one(tmp_path: Path) -> None:
    commit(tmp_path, PATH, TWO)
    for point in range(50):
        pid = os.fork()
        if pid == 0:
            _die_at(point, tmp_path)
            remove(tmp_path / PATH)
            os._exit(0)
        done = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        if is_committed(tmp_path / PATH):
            verify(tmp_path / PATH)
        remove_remnants(tmp_path)
        if done:
            break
        commit(tmp_path, PATH, TWO)
    assert not (tmp_path / PATH).exists()
    remove(tmp_path / PATH)


def test_checkpoints_that_the_journal_does_not_name_are_found_and_nothing_else(
    tmp_path: Path,
) -> None:
    study, outside = tmp_path / "study", tmp_path / "outside"
    orphan = checkpoint_path("0001", 0, 4)
    kept = [PATH, checkpoint_path("0001", 0, 3), checkpoint_path("0002", 0, 4)]
    for path in (orphan, *kept):
        commit(study, path, TWO)
    commit(outside, orphan, TWO)
    (study / "trials" / "0003").symlink_to(outside / "trials" / "0001")
    (study / "trials/0001/checkpoints/boundary-mine-segment-mine").mkdir()
    assert unnamed(study, {path.as_posix() for path in kept}) == [orphan]
    assert unnamed(study / "none", set()) == []


class Gate:
    """A snapshot that is being written until it is opened."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()

    def write(self, folder: Path) -> None:
        self.begun.set()
        assert self.opened.wait(10)
        TWO.write(folder)


class Outcomes:
    """Remembers what a writer said, in order."""

    def __init__(self, study: Path) -> None:
        self.writer = CheckpointWriter(study)
        self.seen: list[tuple[int, Manifest | Exception]] = []

    def submit(self, number: int, snapshot: Any, *, trial: str = "0001") -> None:
        self.writer.submit(
            snapshot,
            checkpoint_path(trial, 0, number),
            on_committed=lambda done: self.seen.append((number, done)),
            on_error=lambda error: self.seen.append((number, error)),
        )

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.seen]


@pytest.fixture
def outcomes(tmp_path: Path) -> Iterator[Outcomes]:
    outcomes = Outcomes(tmp_path)
    yield outcomes
    outcomes.writer.close()


def test_every_snapshot_is_written_and_the_next_one_waits_for_it(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    gate = Gate()
    outcomes.submit(1, gate)
    assert gate.begun.wait(10)
    second = threading.Thread(target=lambda: outcomes.submit(2, TWO))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    gate.opened.set()
    second.join(10)
    outcomes.submit(3, TWO, trial="0002")
    outcomes.writer.flush()
    assert outcomes.numbers == [1, 2, 3]
    verify(tmp_path / checkpoint_path("0001", 0, 1))


def test_the_writer_tells_of_an_error_and_goes_on(outcomes: Outcomes) -> None:
    outcomes.submit(1, Failing(ValueError("bad")))
    outcomes.submit(2, TWO)
    outcomes.writer.flush()
    assert outcomes.numbers == [1, 2]
    assert isinstance(outcomes.seen[0][1], ValueError)


def test_closing_writes_what_was_submitted_and_then_nothing_is_taken(outcomes: Outcomes) -> None:
    gate = Gate()
    outcomes.submit(1, gate)
    assert gate.begun.wait(10)
    threading.Timer(0.1, gate.opened.set).start()
    outcomes.writer.close()
    assert outcomes.numbers == [1]
    with pytest.raises(ValueError, match="closed"):
        outcomes.submit(2, TWO)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("library", ["torch", "safetensors", "python"])
def test_a_full_disk_is_told_as_one_whichever_library_writes(
    small_disk: Path, library: str
) -> None:
    import torch

    from orchestrator.snapshot import Snapshot, rng_state

    rng, large = rng_state(), torch.zeros(1 << 20)
    snapshot = Snapshot(
        weights={"w": large} if library == "safetensors" else {},
        config=None,
        optimizer={"m": large} if library == "torch" else {},
        scheduler={},
        scaler=None,
        rng=rng,
        epoch_rng=rng,
        trainer_state={},
        state={},
        files={"tokenizer.json": bytes(4 << 20)} if library == "python" else {},
    )
    with pytest.raises(OSError, match="No space left") as raised:
        commit(small_disk, PATH, snapshot)
    assert raised.value.errno == errno.ENOSPC
    assert list((small_disk / PATH).parent.iterdir()) == []
    commit(small_disk, PATH, TWO)
