"""What cannot be a sweep file is refused with a place, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search_spaces import Fault, SpecError, read_sweep


def refusal(path: str | Path) -> Fault:
    with pytest.raises(SpecError) as caught:
        read_sweep(path)
    (fault,) = caught.value.faults
    assert fault.mend
    return fault


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.yaml").rule


def test_a_folder_is_not_a_sweep_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path).rule


def test_a_path_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot be read" in refusal(tmp_path / "file" / "a.yaml").rule


def test_a_named_pipe_does_not_make_the_reader_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a regular file" in refusal(tmp_path / "pipe.yaml").rule


def test_a_device_is_not_a_sweep_file() -> None:
    assert "not a regular file" in refusal("/dev/null").rule


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    refusal(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("x")
    path.chmod(0)
    assert "cannot be read: Permission denied" in refusal(path).rule


@pytest.mark.parametrize(
    ("raw", "line", "column", "rule"),
    [
        (b"", 1, 1, "the file is empty"),
        (b"# only a comment\n", 1, 1, "the file is empty"),
        ("method: pbt".encode("utf-16"), 1, 1, "must be UTF-8 text"),
        (b"method: pbt\nname: \xff\n", 2, 7, "must be UTF-8 text"),
        ("name: \u00e9 x".encode("latin-1"), 1, 7, "must be UTF-8 text"),
        (b"method: pbt\na\x00b: 1\n", 2, 2, "holds no control characters"),
        (b"a: \x1b[2J", 1, 4, "holds no control characters"),
        (b"a: 1\n\x0c", 2, 1, "holds no control characters"),
        (b"a: [1\n", 2, 1, "not valid YAML"),
        (b"a: 1\n---\nb: 2\n", 2, 1, "one document"),
    ],
)
def test_text_that_is_none_is_refused_at_its_place(
    raw: bytes, line: int, column: int, rule: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    fault = refusal(path)
    assert rule in fault.rule
    assert (fault.place.line, fault.place.column) == (line, column)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfmethod: pbt\r\nrun_cap: x\r\n")
    with pytest.raises(SpecError) as caught:
        read_sweep(path)
    places = {f.path: (f.place.line, f.place.column) for f in caught.value.faults}
    assert places["run_cap"] == (2, 10)
