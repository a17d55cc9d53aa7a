"""A tiny model of the same architecture, for smoke runs.

Knows the names under which configurations keep sizes, not the models themselves; a name that it
does not know keeps its value, which costs memory and nothing else. The vocabulary keeps its
size, because the tokenizer is the real one.
"""

from __future__ import annotations

from typing import Any

_SIZES = {
    32: ("hidden_size", "d_model", "dim", "n_embd", "embedding_size", "pooler_hidden_size"),
    64: (
        "intermediate_size",
        "hidden_dim",
        "n_inner",
        "d_ff",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "ffn_dim",
    ),
    16: ("head_dim", "d_kv", "attention_head_size"),
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
    ),
}
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers")


def shrunk_config(config: Any) -> Any:
    """Return a copy of a configuration with 2 layers of width 32 and 2 heads.

    Values that are smaller already stay. Lists with one entry a layer are cut to two. The model
    starts from random weights. When the sizes do not go together for this architecture, the
    configuration comes back with its own sizes and fewer layers only.
    """
    fields = config.to_dict()
    layers = next((fields[n] for n in _LAYERS if isinstance(fields.get(n), int)), None)
    smaller: dict[str, Any] = {
        name: size
        for size, names in _SIZES.items()
        for name in names
        if isinstance(fields.get(name), int) and fields[name] > size
    }
    for name, value in fields.items():
        if isinstance(value, list) and len(value) == layers and layers is not None and layers > 2:
            smaller[name] = value[:2]
    fewer = {n: v for n, v in smaller.items() if n in _LAYERS or isinstance(v, list)}
    for change in (smaller, fewer):
        shrunk = _made(config, {**fields, **change})
        if shrunk is not None:
            return shrunk
    return config


def _made(config: Any, fields: dict[str, Any]) -> Any | None:
    """The configuration with these fields if a model can be made from it, else None."""
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        made = type(config)(**fields)
        with torch.device("meta"):
            AutoModelForSequenceClassification.from_config(made)
    except Exception:  # any constructor's own complaint: the caller tries the next one
        return None
    return made
