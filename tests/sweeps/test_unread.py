"""Who shows a study outlives whoever reads; nothing else that goes wrong is swallowed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.unread import Unread

ROOT = Path(__file__).parents[2]

SAYING = """
import sys
from sweeps.console import opened_surface
with opened_surface() as surface:
    {before}
    sys.stdin.readline()  # whoever reads has gone by now
    for n in range(3):
        surface.say(f"line {{n}}")
        print("also", n, flush=True)
raise SystemExit(3)
"""


def said_to_nobody(before: str, stdout: int, let_go: Any) -> int:
    """The exit code of a program that speaks once nobody reads."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SAYING.format(before=before)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(stdout)
    let_go()
    process.communicate(b"\n", timeout=60)
    return process.returncode


@pytest.mark.parametrize("opened", [os.pipe, os.openpty])
def test_a_program_whose_reader_has_gone_ends_with_a_code_of_its_own(opened: Any) -> None:
    reader, writer = opened()
    assert said_to_nobody("surface.outlive_readers()", writer, lambda: os.close(reader)) == 3


def test_one_that_only_shows_something_ends_with_its_reader() -> None:
    reader, writer = os.pipe()
    assert said_to_nobody("pass", writer, lambda: os.close(reader)) not in (0, 3)


def test_a_full_disk_is_not_a_reader_that_has_gone() -> None:
    class Full:
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "full")

        flush = write

    stream: Any = Full()
    with pytest.raises(OSError, match="full"):
        Unread(stream).write("a")


def test_a_stream_that_is_read_is_written_to(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w") as stream:
        unread = Unread(stream)
        assert unread.write("abc") == 3 and unread.encoding == stream.encoding
        unread.flush()
        assert (tmp_path / "out").read_text() == "abc"
