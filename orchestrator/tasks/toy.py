"""Toy data and a toy model that need nothing from outside: the quickstart, and smoke runs.

Not for measuring search methods (`simulate.py` is). Sentences are generated from a fixed seed:
each holds an odd number of opinion words among filler words, the majority of which is its
label, and `not` before a word turns it round. A two-layer BERT passes 0.9 within a few hundred
steps at a learning rate near 1e-3; it stays near chance far below (too slow) and far above
(it diverges to one class).
"""

from __future__ import annotations

import random
from typing import Any

from search_spaces.seeds import generator

DATA = "toy-sentiment"
MODEL = "toy-bert"
ROWS = {"train": 1024, "validation": 256, "test": 256}
LABELS = ("negative", "positive")
VERSION = 4


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_GOOD = _words(
    "lovely superb bright charming clever moving brilliant graceful honest fresh witty tender"
    " gripping radiant elegant joyful splendid vivid warm wise"
)
_BAD = _words(
    "dreadful dull bleak clumsy tedious hollow awful stale bland cruel shallow tiresome messy"
    " gloomy lazy pointless weak vulgar noisy grim"
)
_FILLER = _words(
    "the a film story scene actor script ending music camera plot hero is was seems feels looks"
    " with and of in its this that every quite rather very long short first last old new"
)

MODEL_CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
"""The toy BERT; `vocab_size` comes from its tokenizer."""


def _sentence(rng: random.Random, positive: bool) -> str:
    opinions = rng.choice((1, 3))
    majority = opinions // 2 + 1
    words: list[str] = []
    for index in range(opinions):
        good = positive if index < majority else not positive
        if rng.random() < 0.05:
            words.append("not " + rng.choice(_BAD if good else _GOOD))
        else:
            words.append(rng.choice(_GOOD if good else _BAD))
    words += [rng.choice(_FILLER) for _ in range(rng.randint(3, 8))]
    rng.shuffle(words)
    return " ".join(words)


def sentences(split: str, texts: int = 1, rows: int | None = None) -> dict[str, list[Any]]:
    """Return a split's columns: `text`, with two texts also `text_pair`, and `label` (0 or 1).

    Labels alternate, so any even number of rows from the front is balanced. The same call gives
    the same rows on every machine.

    Args:
        split: a key of ROWS.
        texts: 1 or 2 text columns; the label belongs to the first.
        rows: how many; None for ROWS.
    """
    rng = generator(VERSION, "toy", split)
    labels = [row % 2 for row in range(rows or ROWS[split])]
    columns: dict[str, list[Any]] = {"text": [], "label": labels}
    for label in labels:
        columns["text"].append(_sentence(rng, bool(label)))
    if texts == 2:
        columns["text_pair"] = [_sentence(rng, rng.random() < 0.5) for _ in labels]
    return columns
