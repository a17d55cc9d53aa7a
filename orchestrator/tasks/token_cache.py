"""Rows turned into tokens once, for all trials and processes of a node.

Does not pad (the collator does, batch by batch) and reads no source (`data.py`). What is made
is an Arrow file a split, memory-mapped by whoever trains, under a key of rows, tokenizer and
max_length; the library's own `map` cache is not used, because two processes that start at once
both fill it and its progress bars cannot be told from a worker's output.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tasks.data import Rows, fingerprint
from orchestrator.tasks.errors import TaskError
from orchestrator.tasks.folders import built
from orchestrator.tasks.tokenizer import (
    WORDS,
    load_tokenizer,
    tokenizer_identity,
    word_tokenizer,
)

FORMAT = 1
_KEPT = ("input_ids", "token_type_ids")
_MOST_UNKNOWN = 0.95
_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class Tokens:
    """Tokenised splits.

    Attributes:
        folder: holds `<split>.arrow` with `input_ids`, what else the model takes, `labels` and
            `length` (tokens of the row, special ones included).
        tokenizer: folder to load the tokenizer from.
        vocabulary: size of the tokenizer's vocabulary.
        highest: highest token number in any row.
        pad_id: the padding token's number.
        longest: tokens of the longest row of any split.
        truncated: share of rows that were longer than max_length, 0.0 to 1.0.
    """

    folder: Path
    tokenizer: Path
    vocabulary: int
    highest: int
    pad_id: int
    longest: int
    truncated: float


def prepare_tokens(
    rows: Rows,
    model: Path | None,
    max_length: int,
    cache: Path,
    *,
    trust_remote_code: bool = False,
) -> Tokens:
    """Tokenise the rows, or find them tokenised.

    Args:
        rows: what to tokenise.
        model: folder with the tokenizer; None for a tokenizer of the training texts' words.
        max_length: tokens a row at most; the longer text of a pair is cut first.
        cache: folder for what can be made again.
        trust_remote_code: whether the tokenizer may bring code of its own.

    Raises:
        TaskError: the tokenizer cannot be loaded, cannot read the texts, or is made for
            shorter ones.
    """
    key = fingerprint(
        FORMAT,
        rows.folder.name,
        WORDS if model is None else tokenizer_identity(model),
        max_length,
        [importlib.metadata.version(name) for name in ("transformers", "tokenizers")],
    )
    folder = cache / f"tokens-{key}"

    def build(empty: Path) -> dict[str, Any]:
        if model is None:
            tokenizer = word_tokenizer(_train_texts(rows))
            tokenizer.save_pretrained(str(empty / "tokenizer"))
        else:
            tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
        _check_length(tokenizer, max_length, model)
        return _write_all(rows, tokenizer, max_length, empty)

    meta = built(folder, build)
    return Tokens(
        folder=folder,
        tokenizer=folder / "tokenizer" if model is None else model,
        vocabulary=meta["vocabulary"],
        highest=meta["highest"],
        pad_id=meta["pad_id"],
        longest=meta["longest"],
        truncated=meta["truncated"],
    )


def _check_length(tokenizer: Any, max_length: int, model: Path | None) -> None:
    most = tokenizer.model_max_length
    if most < _UNLIMITED and max_length > most:
        raise TaskError(
            f"task.max_length: the tokenizer of {model or 'the toy model'} is made for {most}"
            f" tokens at most; got {max_length}.",
            mend=f"write max_length: {most} or less.",
        )


def _write_all(rows: Rows, tokenizer: Any, max_length: int, folder: Path) -> dict[str, Any]:
    longest, highest, cut, unknown, tokens = 0, 0, 0, 0, 0
    for split in rows.counts:
        for ids in _write(rows, split, tokenizer, max_length, folder):
            for row in ids:
                longest = max(longest, len(row))
                highest = max(highest, max(row, default=0))
                # Of a full row it is not known whether it was cut; one that just fits is rare.
                cut += len(row) >= max_length
                unknown += row.count(tokenizer.unk_token_id)
                tokens += len(row)
    total = sum(rows.counts.values())
    words = tokens - total * tokenizer.num_special_tokens_to_add(pair=rows.texts == 2)
    # The library makes an empty tokenizer, without a word, from a folder that has none.
    if words <= 0 or (tokenizer.unk_token_id is not None and unknown > _MOST_UNKNOWN * words):
        raise TaskError(
            "task.model: the tokenizer knows none of the data's words; of their"
            f" {max(words, 0)} tokens {unknown} are unknown to it.",
            mend="check that the model's folder holds the tokenizer's files, and that tokenizer,"
            " model and data belong together.",
        )
    return {
        "vocabulary": len(tokenizer),
        "highest": highest,
        "pad_id": tokenizer.pad_token_id,
        "longest": longest,
        "truncated": cut / total,
    }


def _write(
    rows: Rows, split: str, tokenizer: Any, max_length: int, folder: Path
) -> Iterator[list[list[int]]]:
    """Write one split; yields the token numbers of each batch."""
    import pyarrow

    with (
        pyarrow.OSFile(str(folder / f"{split}.arrow"), "wb") as file,
        pyarrow.memory_map(str(rows.folder / f"{split}.arrow")) as source,
    ):
        reader = pyarrow.ipc.open_stream(source)
        writer = None
        for batch in reader:
            columns = _encode(batch, rows.texts, tokenizer, max_length)
            data = {
                name: pyarrow.array(values, type=pyarrow.list_(pyarrow.int32()))
                for name, values in columns.items()
            }
            lengths = [len(ids) for ids in columns["input_ids"]]
            data["labels"] = batch.column("label")
            data["length"] = pyarrow.array(lengths, type=pyarrow.int32())
            record = pyarrow.RecordBatch.from_pydict(data)
            writer = writer or pyarrow.ipc.new_stream(file, record.schema)
            writer.write_batch(record)
            yield columns["input_ids"]
        if writer is not None:
            writer.close()


def _encode(batch: Any, texts: int, tokenizer: Any, max_length: int) -> dict[str, list[list[int]]]:
    first = batch.column("text").to_pylist()
    second = batch.column("text_pair").to_pylist() if texts == 2 else None
    try:
        encoded = tokenizer(
            first,
            second,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
        )
    except Exception as error:  # tokenizers raise bare Exception from Rust
        raise TaskError(
            f"task.model: the tokenizer fails on the data: {error}",
            mend="check that tokenizer and data belong together.",
        ) from error
    return {name: encoded[name] for name in _KEPT if name in encoded}


def _train_texts(rows: Rows) -> Iterator[str]:
    import pyarrow

    with pyarrow.memory_map(str(rows.folder / "train.arrow")) as source:
        for batch in pyarrow.ipc.open_stream(source):
            yield from batch.column("text").to_pylist()
            if rows.texts == 2:
                yield from batch.column("text_pair").to_pylist()
