"""What no program that trains with Ray can avoid before its first step, each part alone.

Run in a fresh process; prints seconds. Starting the interpreter is not counted, so the sum is a
strict one; nor is importing the program, which is not among them.

    python -m benchmarks.trials.unavoidable imports    (torch and transformers' Trainer)
    python -m benchmarks.trials.unavoidable ray        (import ray, and `ray.init` of a local one)
"""

from __future__ import annotations

import sys
import time

PARTS = ("imports", "ray")


def main(part: str) -> None:
    """Measure one of PARTS and print its seconds."""
    if part == "imports":
        started = time.monotonic()
        import torch
        from transformers import Trainer

        seconds = time.monotonic() - started
        del torch, Trainer
    else:
        from benchmarks import plain_ray

        started = time.monotonic()
        plain_ray.start()
        seconds = time.monotonic() - started
        import ray

        ray.shutdown()
    print(seconds)


if __name__ == "__main__":
    main(sys.argv[1])
