"""Seeds: a decision's generator depends on the seed and the decision's name, on nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from search_spaces import Choice, LogUniform, Space, generator
from search_spaces.seeds import derived

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json
from search_spaces import Choice, LogUniform, Space, generator
space = Space({"lr": LogUniform(1e-5, 1e-4), "batch": Choice((16, 32))})
print(json.dumps([space.sample(generator(42, "propose", n)) for n in range(5)]))
"""


def test_the_same_seed_gives_the_same_samples_in_a_fresh_process() -> None:
    space = Space({"lr": LogUniform(1e-5, 1e-4), "batch": Choice((16, 32))})
    here = [space.sample(generator(42, "propose", n)) for n in range(5)]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == here


def test_seeds_stay_what_they_are_over_versions() -> None:
    assert derived(42, "explore", "trial", 3) == 14_007_688_559_159_659_477


def test_other_names_and_seeds_give_other_generators() -> None:
    paths = [
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (1, "a", 0),
        (1, "a", "0"),
        (1,),
        (1, "a", "b"),
        (1, "ab"),
    ]
    assert len({derived(*path) for path in paths}) == len(paths)


def test_asking_twice_or_in_another_order_changes_nothing() -> None:
    first = generator(7, "x").random()
    generator(7, "y").random()
    assert generator(7, "x").random() == first
