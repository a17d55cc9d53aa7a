"""Text classification: one or two texts in; a class, several labels, or a value out.

The parts of a Trainer for any GLUE-like task. Trains nothing, and knows nothing of trials: the
rank builds the Trainer. `prepare` does all that can fail for a user's mistake, once a node;
after it every process finds the work done, and loads each part when it is asked for.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.tasks import model as models
from orchestrator.tasks.data import Rows, prepare_rows
from orchestrator.tasks.metrics import ComputeMetrics, checked_metrics
from orchestrator.tasks.protocol import Prepared
from orchestrator.tasks.token_cache import Tokens, prepare_tokens
from orchestrator.tasks.tokenizer import load_tokenizer
from search_spaces.parts import TaskSpec


class TextClassification:
    """The task; see `orchestrator.tasks.protocol.Task` for what each member is.

    Args:
        spec: what the sweep file says of it.
        cache: folder for what can be made again; shared by all processes of a node.
        seed: the study's, for carved and limited splits.
    """

    def __init__(self, spec: TaskSpec, cache: Path, seed: int) -> None:
        self.spec = spec
        self.cache = cache
        self.seed = seed

    def prepare(self) -> Prepared:
        """Do, or find done, everything that needs no training.

        Raises:
            TaskError: data, model or tokenizer cannot be used as the sweep file says.
        """
        return self._prepared[0]

    @cached_property
    def _prepared(self) -> tuple[Prepared, Rows, Tokens, models.Model]:
        spec = self.spec
        origin = models.origin_of(spec)
        rows = prepare_rows(spec, self.cache, self.seed)
        metrics = checked_metrics(spec.metrics, rows.problem)
        tokens = prepare_tokens(
            rows,
            origin.folder,
            spec.max_length,
            self.cache,
            trust_remote_code=spec.trust_remote_code,
        )
        model = models.prepare_model(origin, spec, rows, tokens, self.cache)
        prepared = Prepared(
            problem=rows.problem,
            labels=rows.labels,
            rows=dict(rows.counts),
            metrics=metrics,
            longest=tokens.longest,
            truncated=tokens.truncated,
            notes=_notes(spec, origin, rows, tokens),
            parameters=model.parameters,
        )
        return prepared, rows, tokens, model

    @property
    def train_dataset(self) -> Any:
        """Memory-mapped rows to train on."""
        return self._datasets["train"]

    @property
    def eval_dataset(self) -> Any:
        """Memory-mapped rows of the validation split."""
        return self._datasets["validation"]

    @property
    def test_dataset(self) -> Any | None:
        """Memory-mapped rows of the test split; None when there is none."""
        return self._datasets.get("test")

    @cached_property
    def _datasets(self) -> dict[str, Any]:
        from datasets import Dataset

        _, rows, tokens, _ = self._prepared
        return {
            split: Dataset.from_file(str(tokens.folder / f"{split}.arrow")) for split in rows.counts
        }

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, saved with every exported model."""
        return load_tokenizer(
            self._prepared[2].tokenizer, trust_remote_code=self.spec.trust_remote_code
        )

    @cached_property
    def collator(self) -> Any:
        """Pads each batch to its longest row."""
        from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(self.tokenizer)

    @cached_property
    def compute_metrics(self) -> ComputeMetrics:
        """Metrics without the `eval_` that the Trainer adds."""
        prepared = self._prepared[0]
        return ComputeMetrics(prepared.metrics, prepared.problem, len(prepared.labels))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; none for regression."""
        return self._prepared[0].labels

    def build_model(self, seed: int) -> Any:
        """Return a fresh model whose head is drawn from `seed`."""
        return models.build(self._prepared[3], seed, trust_remote_code=self.spec.trust_remote_code)

    @property
    def model_key(self) -> Hashable:
        """Equal for tasks whose `build_model` gives equal models for equal seeds."""
        model = self._prepared[3]
        return model.folder.name, str(model.origin.folder)


def _notes(spec: TaskSpec, origin: models.Origin, rows: Rows, tokens: Tokens) -> tuple[str, ...]:
    notes = []
    if spec.smoke:
        architecture = "a tiny BERT" if origin.folder is None else "a tiny model"
        notes.append(f"smoke: {architecture} in place of {origin.name}, on rows of {rows.source}")
    if tokens.truncated > 0.01 and not spec.smoke:
        notes.append(
            f"{tokens.truncated:.0%} of the rows are cut to task.max_length"
            f" ({spec.max_length} tokens)"
        )
    if rows.hides_test:
        notes.append(
            "the labels of the test split are hidden (all -1), so it counts as none and nothing is"
            " evaluated on it; carve one: splits: {test: {from: train, size: 0.1}}"
        )
    return tuple(notes)
