"""The tokenizer of a model, or a small one of words where there is none to be had.

Tokenises nothing here. A tokenizer is identified by the contents of its files, so that the same
one under another path finds what was tokenised before. The word tokenizer (toy model, smoke runs
without the Hub) is built from the training texts: its words are theirs, by frequency.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator.tasks.errors import TaskError, first_line

WORDS = "words"
"""Identity of the word tokenizer; what it knows follows from the rows."""
_MOST_WORDS = 5000
_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".vocab")
_NOT_TOKENIZER = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def tokenizer_identity(folder: Path) -> list[list[str]]:
    """Name and digest of every small text file beside the weights; one of them may matter."""
    return [
        [path.name, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in sorted(folder.iterdir())
        if path.suffix in _SUFFIXES and path.is_file() and path.name not in _NOT_TOKENIZER
    ]


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """Return the tokenizer in `folder`, one that can pad.

    A tokenizer without a padding token (GPT-2's kind) pads with its end-of-sequence token.

    Raises:
        TaskError: there is none, or it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=trust_remote_code
        )
    except Exception as error:  # from Rust, from Python, from JSON: no common base
        raise TaskError(
            f"task.model: the tokenizer in {folder} cannot be loaded: {first_line(error)}",
            mend="the folder needs the tokenizer's files (tokenizer.json, or its vocabulary)"
            " beside the weights; save it there with tokenizer.save_pretrained.",
        ) from error
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise TaskError(
                f"task.model: the tokenizer in {folder} has neither a padding token nor an"
                " end-of-sequence token.",
                mend="set tokenizer.pad_token and save the tokenizer again.",
            )
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def word_tokenizer(texts: Iterable[str]) -> Any:
    """Return a tokenizer whose vocabulary is the most frequent words of `texts`, lowercased."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Whitespace()
    counts = Counter(word for text in texts for word, _ in split.pre_tokenize_str(text.lower()))
    words = sorted(counts, key=lambda word: (-counts[word], word))[:_MOST_WORDS]
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
