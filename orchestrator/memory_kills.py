"""Whether a process that died was ended because memory ran out, as far as it can be known.

The kernel tells nobody: a process it ends looks like any other that got SIGKILL. But it counts
such endings in each control group; Ray ends processes before that comes to pass and says so.
Nothing is known of the kernel's deeds on other nodes, and without a control group.
"""

from __future__ import annotations

import re
from pathlib import Path

_RAY_SAYS = "killed due to the node running low on memory"
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def ended_by_ray(text: str) -> bool:
    """Whether Ray says in `text` that its memory monitor ended the process."""
    return _RAY_SAYS in text


class KernelKills:
    """Counts processes of our control group, and of those within it, that the kernel ended.

    Args:
        proc: where the kernel's view of processes stands.
        groups: where control groups are mounted.
    """

    def __init__(self, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._groups = groups
        self._seen = self._count()

    def any_new(self) -> bool:
        """Whether there were any since this was last asked; False when it cannot be known."""
        count = self._count()
        seen, self._seen = self._seen, count
        return seen is not None and count is not None and count > seen

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
