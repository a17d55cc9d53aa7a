"""Random generators derived from a study's seed: one fresh generator for each decision.

Not for training: torch and numpy are seeded by the Trainer.

A decision draws from `generator(seed, "explore", trial, boundary)` and never from a generator
that was used before, so a decision is a function of the seed and of its own name: replaying a
journal, or asking in another order, gives the same values. SHA-256 over a canonical text is the
same on every platform and in every process; Python's `hash` of a str is not.
"""

from __future__ import annotations

import hashlib
import json
import random


def derived(seed: int, *path: str | int) -> int:
    """Return a 64-bit seed for the decision named by `path`.

    Args:
        seed: the study's seed.
        path: names the decision; text and numbers are told apart (1 is not "1").
    """
    text = json.dumps([seed, *path], ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:8], "big")


def generator(seed: int, *path: str | int) -> random.Random:
    """Return a fresh generator for the decision named by `path`; see `derived`."""
    return random.Random(derived(seed, *path))
