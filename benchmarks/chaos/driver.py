"""`python -m benchmarks.chaos.driver PLAN WORDS...`: the `sweep` command with faults inside.

The command line, the engine and the exit codes are the real ones. Unless the plan says that it
trains, data is not prepared and trials are scripted. PLAN is JSON: `seconds` a boundary,
`trials_at` where trials stand if not in the study's folder, and what `ranks.py` and
`kill_points.py` take.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Hand the words to `sweep`, its engine told to use what the plan says."""
    plan: dict[str, Any] = json.loads(sys.argv[1])
    sys.argv = ["sweep", *sys.argv[2:]]
    import sweeps.running
    from orchestrator import study

    options: dict[str, Any] = {}
    group = plan.pop("group", None)
    if group is not None:  # a control group: all that is started from here on is in it
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    trials_at = plan.pop("trials_at", None)
    if trials_at is not None:
        _stand_elsewhere(trials_at)
    kill = plan.pop("kill", None)
    if not plan.pop("trains"):
        from benchmarks.chaos.ranks import FaultyRank

        options["make_rank"] = functools.partial(FaultyRank, driver=os.getpid(), kill=kill, **plan)
    if kill is not None:
        from benchmarks.chaos.kill_points import arm_driver

        arm_driver(**kill)
    sweeps.running.run_study = functools.partial(study.run_study, **options)
    sweeps.running.resume_study = functools.partial(study.resume_study, **options)
    from sweeps.cli import main as sweep

    sweep()


def _stand_elsewhere(trials: str) -> None:
    """Let a study's trials stand on another disk than its journal."""
    from orchestrator.driver import Driver

    begin = Driver.open

    def open_(self: Driver, journal: Any, *rest: Any) -> None:
        place = journal.path.parent / "trials"
        if not place.exists():
            place.symlink_to(trials)
        begin(self, journal, *rest)

    Driver.open = open_  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
