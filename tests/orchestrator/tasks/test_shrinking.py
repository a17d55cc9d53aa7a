"""Tiny models of the same architecture, for smoke runs."""

from __future__ import annotations

import pytest

from orchestrator.tasks.shrinking import MOST_PARAMETERS, shrunk_config

ARCHITECTURES = [
    "bert",
    "roberta",
    "distilbert",
    "deberta-v2",
    "electra",
    "albert",
    "mpnet",
    "xlm-roberta",
    "modernbert",
    "xlnet",
    "gpt2",
    "t5",
    "qwen3",
    "gemma3",
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_architecture_keeps_its_kind_and_its_vocabulary(architecture: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(architecture, pad_token_id=0)
    shrunk = shrunk_config(config)
    assert shrunk is not None
    assert type(shrunk) is type(config)
    assert getattr(shrunk, "vocab_size", None) == getattr(config, "vocab_size", None)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(shrunk)
    assert sum(p.numel() for p in model.parameters()) <= MOST_PARAMETERS


def test_a_model_that_is_tiny_already_stays_as_it_is() -> None:
    from transformers import BertConfig

    config = BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    assert shrunk_config(config).to_dict() == config.to_dict()  # type: ignore[union-attr]


def test_what_does_not_shrink_is_none() -> None:
    from transformers import ViTConfig

    assert shrunk_config(ViTConfig()) is None
