"""Whether a process that died was ended because memory ran out, as far as it can be known.

The kernel tells nobody: a process it ends looks like any other that got SIGKILL. But it counts
such endings in each control group; Ray ends processes before that comes to pass and says so. The
count says neither whom nor when, so only one that grew in the last seconds has to do with a death
now. Nothing is known of the kernel's deeds on other nodes, and without a control group.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

_RAY_SAYS = "killed due to the node running low on memory"
_RECENT_S = 5.0
"""A process's death is told within a second or two of it; the rest is for a busy machine."""
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def ended_by_ray(text: str) -> bool:
    """Whether Ray says in `text` that its memory monitor ended the process."""
    return _RAY_SAYS in text


class KernelKills:
    """Counts processes of our control group, and of those within it, that the kernel ended.

    It is only as exact as it is sampled: between two samples nobody knows when the count grew.

    Args:
        proc: where the kernel's view of processes stands.
        groups: where control groups are mounted.
        clock: gives seconds; its zero does not matter.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        groups: Path = Path("/sys/fs/cgroup"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proc = proc
        self._groups = groups
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self.sample()

    def sample(self) -> None:
        """Note the count; to be called every second or so, from one thread at a time."""
        now, count = self._clock(), self._count()
        if count is None:
            return
        self._samples.append((now, count))
        while len(self._samples) > 1 and self._samples[1][0] <= now - _RECENT_S:
            self._samples.popleft()

    def any_recent(self) -> bool:
        """Whether there were any in the last five seconds; False when it cannot be known.

        Without a sample in that time, those since the last one.
        """
        self.sample()
        return bool(self._samples) and self._samples[-1][1] > self._samples[0][1]

    def _count(self) -> int | None:
        for file in self._files():
            try:
                found = _COUNT.search(file.read_text())
            except OSError:
                continue
            if found:
                return int(found.group(1))
        return None

    def _files(self) -> list[Path]:
        """Where the count may stand: our own group first; in a container it may be the mount."""
        try:
            lines = (self._proc / "self" / "cgroup").read_text().splitlines()
        except OSError:
            return []
        files: list[Path] = []
        for line in lines:
            number, names, path = line.split(":", 2)
            if number == "0" and not names:
                base, name = self._groups, "memory.events"
            elif "memory" in names.split(","):
                base, name = self._groups / "memory", "memory.oom_control"
            else:
                continue
            files += [base / path.lstrip("/") / name, base / name]
        return files
