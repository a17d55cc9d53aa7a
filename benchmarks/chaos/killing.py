"""A study whose driver is killed and resumed until it is done.

Says when nothing and judges nothing: the row gives the moments, and judges what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.chaos import judge
from benchmarks.chaos.processes import (
    Driver,
    Identity,
    end_all,
    kill,
    run_to_the_end,
    start_driver,
    wait_until_gone,
)
from orchestrator.journal import JOURNAL, is_unbegun

GONE_S = 10.0
Moment = Callable[[Path, Driver], None]
"""(journal, driver) -> waits for the moment of the kill; the driver may end by itself before."""


@dataclass
class Killed:
    """What is left to judge.

    Attributes:
        copies: the journal as it was at each kill; empty when there was none yet.
        violations: exit codes that should not be, processes that stayed behind.
    """

    copies: list[bytes] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def kill_until_done(
    file: Path, study: Path, kills: int, moment: Moment, *, gone_s: float = GONE_S, **driver: Any
) -> Killed:
    """Run a sweep file, kill its driver at moments, resume, and so on; then let it end.

    Args:
        file: the sweep file; its study's folder is `study`.
        kills: how many at most.
        moment: when to kill.
        gone_s: after so many seconds nothing that a killed driver had started may live.
        driver: for `start_driver`.
    """
    journal = study / JOURNAL
    killed = Killed()
    orphans: list[Identity] = []
    while True:
        words = ["resume", str(study)]
        if is_unbegun(journal):
            words = ["run", str(file), "--storage", str(study.parent)]
        running = start_driver([*words, "--plain"], **driver)
        if len(killed.copies) < kills:
            moment(journal, running)
            if not running.has_ended:
                orphans += kill(running)
                running.output_file.unlink(missing_ok=True)
                killed.copies.append(journal.read_bytes() if journal.exists() else b"")
                if not judge.is_over(study):
                    continue
                break
        code, output = run_to_the_end(running)
        if code != 0:
            killed.violations.append(f"exit {code}: {output[-400:]}")
        break
    _, left = wait_until_gone(orphans, seconds=gone_s)
    end_all(orphans)
    killed.violations += [f"a process of a killed driver lives on: {name}" for name in left]
    return killed


def counted(journal: Path, word: bytes) -> int:
    """How often a word stands in the journal; 0 without one."""
    return journal.read_bytes().count(word) if journal.exists() else 0
