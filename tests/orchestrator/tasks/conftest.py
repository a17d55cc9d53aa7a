"""Fixtures for tests of tasks: a tiny pretrained model, and rows written to files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

WORDS = "good bad film plot the was is very not a music slow fine story dull bright cat dog sat mat"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `save_pretrained` writes it: BERT of 1 layer x 16 without a head, tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    from orchestrator.tasks.tokenizer import word_tokenizer

    folder = tmp_path_factory.mktemp("tiny-bert")
    tokenizer = word_tokenizer([WORDS])
    tokenizer.save_pretrained(str(folder))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(str(folder))
    return folder


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[[str, Iterable[dict[str, Any]]], str]:
    """Writes rows to a file below the test's folder and returns its path."""

    def write(name: str, rows: Iterable[dict[str, Any]]) -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write


def sentences(count: int, labels: Iterable[Any] = (0, 1)) -> Rows:
    """Rows with text columns `a` and `b`, and labels that repeat in order."""
    words, known = WORDS.split(), list(labels)
    return [
        {
            "a": " ".join(words[(row + i) % len(words)] for i in range(3 + row % 4)),
            "b": f"the {words[row % len(words)]} was {words[(3 * row) % len(words)]}",
            "label": known[row % len(known)],
        }
        for row in range(count)
    ]
