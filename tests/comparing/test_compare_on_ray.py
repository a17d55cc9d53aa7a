"""A comparison on real Ray, killed in its second study: nothing is left of it, and it goes on.

The first study is made up: it only has to be there.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import DiskFull
from orchestrator.events import StudyResumed
from orchestrator.journal import JOURNAL, read_journal
from orchestrator.results import StudyResult, list_studies, read_study
from orchestrator.scripted import ScriptedRank
from sweeps.comparing.compare import Asked, OnRay, compare
from sweeps.comparing.running import Turn
from sweeps.console import Surface
from tests.comparing.files import WritesStudies, write_file

DRIVER = """
import functools, sys
from pathlib import Path
from orchestrator.scripted import ScriptedRank
from sweeps.comparing.compare import Asked, OnRay, compare
from sweeps.console import Surface
surface = Surface(plain=True)
rank = functools.partial(ScriptedRank, seconds=1.0)
asked = Asked(tuple(sys.argv[2:]), storage=Path(sys.argv[1]), name="toy", repetitions=1)
compare(surface, asked, lambda ray: OnRay(surface, ray, make_rank=rank))
"""


class OnlyTheFirst(WritesStudies):
    """There is room for one study."""

    def run(self, turn: Turn, storage: Path) -> StudyResult:
        if turn.place > 1:
            raise DiskFull("the disk is full")
        return super().run(turn, storage)


@pytest.mark.slow
def test_a_comparison_that_is_killed_leaves_no_process_and_goes_on(
    ray_address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        str(write_file(tmp_path, "grid")),
        str(write_file(tmp_path, "random", run_cap=2)),
    ]
    storage = tmp_path / "studies"
    asked = Asked(tuple(files), storage=storage, name="toy", repetitions=1, address=ray_address)
    surface = Surface(plain=True)
    with pytest.raises(DiskFull):
        compare(surface, asked, lambda ray: OnlyTheFirst())
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(storage), *files],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.DEVNULL,
    )
    second = storage / "toy-random-r1" / JOURNAL
    deadline = time.monotonic() + 90
    while not second.exists() or second.read_bytes().count(b'"reported"') < 1:
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    left = psutil.Process(driver.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in left)
    driver.send_signal(signal.SIGKILL)
    driver.wait()

    first = (storage / "toy-grid-r1" / JOURNAL).read_bytes()
    rank = functools.partial(ScriptedRank, seconds=0.0)
    code = compare(surface, asked, lambda ray: OnRay(surface, ray, make_rank=rank))
    assert code == 0, capsys.readouterr().out
    assert {f.name: read_study(f).status for f in list_studies(storage)} == {
        f"toy-{method}-r1": "finished" for method in ("grid", "random")
    }
    assert (storage / "toy-grid-r1" / JOURNAL).read_bytes() == first
    events = [entry.event for entry in read_journal(second).entries]
    assert sum(isinstance(event, StudyResumed) for event in events) == 1
    assert psutil.wait_procs(left, timeout=20)[1] == []
