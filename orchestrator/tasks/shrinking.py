"""A tiny model of the same architecture, for smoke runs.

Knows the names under which configurations keep sizes, not the models themselves; a name that it
does not know keeps its value. The vocabulary keeps its size, because the tokenizer is the real
one. Tried over every architecture of transformers 5.23 with a classification head: 118 of 127
come out below MOST_PARAMETERS, the rest (esm, luke, nemotron ...) do not shrink this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_PARAMETERS = 30_000_000
"""Above this a model is not tiny; a vocabulary of 256,000 alone takes 8 million."""

_SIZES: dict[int, tuple[str, ...]] = {
    32: (
        "hidden_size",
        "d_model",
        "dim",
        "emb_dim",
        "n_embd",
        "embedding_size",
        "pooler_hidden_size",
        "word_embed_proj_dim",
        "input_embedding_size",
        "output_embedding_size",
    ),
    64: (
        "intermediate_size",
        "hidden_dim",
        "n_inner",
        "d_inner",
        "d_ff",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "ffn_dim",
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
    ),
    16: ("head_dim", "d_kv", "d_head", "attention_head_size"),
    4: ("num_experts", "num_local_experts", "n_routed_experts"),
    2: (
        "num_hidden_layers",
        "n_layers",
        "n_layer",
        "num_layers",
        "encoder_layers",
        "decoder_layers",
        "num_decoder_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "n_heads",
        "n_head",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
        "num_experts_per_tok",
    ),
}
_LAYERS = (
    "num_hidden_layers",
    "n_layers",
    "n_layer",
    "num_layers",
    "encoder_layers",
    "decoder_layers",
    "num_decoder_layers",
)


def shrunk_config(config: Any) -> Any | None:
    """Return a copy of a configuration with 2 layers of width 32 and 2 heads.

    Values that are smaller already stay; lists with one entry a layer are cut to two. Where the
    small sizes do not go together, only the layers become fewer. None when that is not tiny
    either, or no model can be made of it.
    """
    fields = config.to_dict()
    for keep in ((), _LAYERS):
        made = _made(config, _smaller(fields, keep))
        if made is not None:
            return made
    return None


def _smaller(fields: Mapping[str, Any], only: tuple[str, ...]) -> dict[str, Any]:
    """The fields with small sizes, those of configurations inside too.

    Args:
        fields: of a configuration.
        only: the names to make smaller; empty for all that are known.
    """
    layers = next((fields[n] for n in _LAYERS if isinstance(fields.get(n), int)), 0)
    result = dict(fields)
    for size, names in _SIZES.items():
        for name in names:
            value = fields.get(name)
            if isinstance(value, int) and value > size and (not only or name in only):
                result[name] = size
    for name, value in fields.items():
        if isinstance(value, list) and len(value) == layers > 2:
            result[name] = value[:2]
        elif isinstance(value, dict) and "model_type" in value:
            result[name] = _smaller(value, only)
    return result


def _made(config: Any, fields: dict[str, Any]) -> Any | None:
    """The configuration with these fields if a tiny model can be made from it, else None."""
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        made = type(config)(**fields)
        with torch.device("meta"):
            model = AutoModelForSequenceClassification.from_config(made)
    except Exception:  # any constructor's own complaint: the caller tries the next one
        return None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return made if parameters <= MOST_PARAMETERS else None
