"""The watchdog: a process without progress ends and leaves its stacks; a slow one lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestrator.watchdog import stack_file, take_stacks, training_stack

SLOW = """
import sys, time
from pathlib import Path
from orchestrator import watchdog
watchdog.watch(Path(sys.argv[1]), 0.4)
for _ in range(8):
    time.sleep(0.1)
    watchdog.progress()
watchdog.rest()
time.sleep(0.6)
watchdog.watch(Path(sys.argv[1]), 0.4)
watchdog.leave()
time.sleep(0.6)
print("alive")
"""

HUNG = """
import ctypes, sys
from pathlib import Path
from orchestrator import watchdog
def hang_with_the_lock_held():
    ctypes.PyDLL(None).sleep(20)
watchdog.watch(Path(sys.argv[1]), 0.3)
hang_with_the_lock_held()
"""


def run(code: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=15
    )


def test_a_process_that_makes_progress_or_rests_lives_and_leaves_no_file(tmp_path: Path) -> None:
    file = stack_file(tmp_path / "trial", "w0", 1)
    ended = run(SLOW, file)
    assert (ended.returncode, ended.stdout.strip()) == (0, "alive"), ended.stderr
    assert not file.exists()


def test_a_process_that_hangs_with_the_interpreters_lock_held_ends_and_leaves_its_stack(
    tmp_path: Path,
) -> None:
    file = stack_file(tmp_path, "w0", 7)
    assert run(HUNG, file).returncode != 0
    assert "hang_with_the_lock_held" in take_stacks(tmp_path, "w0", 7)
    assert "in hang_with_the_lock_held" in (tmp_path / "log.txt").read_text()
    assert not file.exists()


def test_a_process_that_was_killed_left_no_stack(tmp_path: Path) -> None:
    assert take_stacks(tmp_path, "w0", 7) == ""
    stack_file(tmp_path, "w0", 7).touch()
    assert take_stacks(tmp_path, "w0", 7) == ""
    assert [*tmp_path.iterdir()] == []


def test_the_stack_that_is_told_is_the_training_threads_with_the_newest_call_last() -> None:
    dump = """Timeout (0:00:05)!
Thread 0x01 (most recent call first):
  File "/x/orchestrator/training.py", line 9 in ask
  File "/x/orchestrator/worker.py", line 8 in _serve

Thread 0x02 (most recent call first):
  File "/x/lib.py", line 1 in spin
  File "/x/orchestrator/training.py", line 2 in _serve

Thread 0x03 (most recent call first):
  File "/x/ray.py", line 3 in loop
"""
    assert training_stack(dump).splitlines() == [
        "Thread 0x02 (most recent call last):",
        '  File "/x/orchestrator/training.py", line 2 in _serve',
        '  File "/x/lib.py", line 1 in spin',
    ]
