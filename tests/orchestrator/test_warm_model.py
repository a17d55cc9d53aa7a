"""A model that comes back from a trial is as new, whatever was done to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from orchestrator.warm_model import WarmModel


def _build() -> nn.Module:
    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=16,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=8,
        )
    )


def _with_hook(model: Any) -> None:
    model.classifier.register_forward_hook(lambda *args: args[2] * 0)


def _with_a_wrapped_forward(model: Any) -> None:
    model.forward = lambda **inputs: None
    model._original_forward = model.forward


def _with_other_weights(model: Any) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)


def _in_another_precision(model: Any) -> None:
    model.to(torch.bfloat16)


def _with_another_layer(model: Any) -> None:
    model.classifier = nn.Linear(8, 5)


def _with_another_parameter(model: Any) -> None:
    model.classifier.weight = nn.Parameter(torch.zeros(2, 8))


def _with_another_dropout(model: Any) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.9


def _with_another_configuration(model: Any) -> None:
    model.config.hidden_dropout_prob = 0.9
    model.config.pad_token_id = 3
    model.config.use_cache = False
    model.config.something = "new"


def _frozen(model: Any) -> None:
    model.bert.requires_grad_(False)


def _with_gradients(model: Any) -> None:
    model(input_ids=torch.ones(1, 4, dtype=torch.long), labels=torch.tensor([1])).loss.backward()


def _evaluating(model: Any) -> None:
    model.eval()


DIRT = [
    _with_hook,
    _with_a_wrapped_forward,
    _with_other_weights,
    _in_another_precision,
    _with_another_layer,
    _with_another_parameter,
    _with_another_dropout,
    _with_another_configuration,
    _frozen,
    _with_gradients,
    _evaluating,
]


@pytest.mark.parametrize("dirty", DIRT)
def test_it_is_as_new(dirty: Any) -> None:
    warm, new = WarmModel(), _build()
    model = warm.take("key", _build, weights=True)
    dirty(model)
    again: Any = warm.take("key", _build, weights=True)
    assert again is model
    assert again.config.to_dict() == new.config.to_dict()
    assert again.training == new.training
    parameters = dict(again.named_parameters())
    for name, parameter in new.named_parameters():
        assert parameters[name].dtype == parameter.dtype
        assert parameters[name].requires_grad
        assert parameters[name].grad is None
        assert torch.equal(parameters[name], parameter)
    ids = torch.arange(4)[None]
    torch.manual_seed(1)
    expected = new(input_ids=ids).logits
    torch.manual_seed(1)
    assert torch.equal(again(input_ids=ids).logits, expected)


def test_tied_modules_and_the_configuration_stay_the_same_objects() -> None:
    warm = WarmModel()
    model: Any = warm.take("key", _build, weights=True)
    config, parameters = model.config, list(model.parameters())
    again: Any = warm.take("key", _build, weights=True)
    assert again.config is config
    assert again.bert.config is config
    assert all(a is b for a, b in zip(again.parameters(), parameters, strict=True))


def test_without_weights_only_what_no_checkpoint_holds_is_put_back() -> None:
    warm = WarmModel()
    model: Any = warm.take("key", _build, weights=True)
    _with_other_weights(model)
    model.bert.embeddings.position_ids.zero_()
    changed = model.classifier.weight.clone()
    again: Any = warm.take("key", _build, weights=False)
    assert torch.equal(again.classifier.weight, changed)
    assert again.bert.embeddings.position_ids.tolist() == [list(range(8))]


def test_another_key_builds_another_model() -> None:
    warm = WarmModel()
    model = warm.take("key", _build, weights=True)
    other = warm.take("other", _build, weights=True)
    assert other is not model
    assert warm.take("key", _build, weights=True) not in (model, other)


def test_a_forgotten_model_is_built_again() -> None:
    warm = WarmModel()
    model = warm.take("key", _build, weights=True)
    warm.forget()
    assert warm.take("key", _build, weights=True) is not model
