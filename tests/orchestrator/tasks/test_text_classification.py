"""The task end to end on tiny data: every GLUE shape trains, and every mistake is one message."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.tasks import Task, TaskError, make_task
from search_spaces.parts import TaskSpec

from .conftest import sentences

Write = Callable[..., str]


@pytest.fixture
def spec(tiny_model: Path, write_jsonl: Write) -> Callable[..., TaskSpec]:
    """Makes a task on sentences with the given labels; other keys are the task's own."""

    def make(labels: Any = (0, 1), **keys: Any) -> TaskSpec:
        files = {
            "train": write_jsonl("train.jsonl", sentences(24, labels)),
            "validation": write_jsonl("validation.jsonl", sentences(12, labels)),
        }
        dataset = {"path": "json", "data_files": files, "text": "a", **keys.pop("dataset", {})}
        given = {"model": str(tiny_model), "max_length": 16, "dataset": dataset, **keys}
        return TaskSpec.model_validate(given)

    return make


def losses(task: Task, tmp_path: Path) -> dict[str, float]:
    """One short training by the real Trainer; its evaluation metrics."""
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=4,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=task.build_model(1),
        args=arguments,
        train_dataset=task.train_dataset,
        eval_dataset=task.eval_dataset,
        data_collator=task.collator,
        compute_metrics=task.compute_metrics,
        processing_class=task.tokenizer,
    )
    trainer.train()
    return dict(trainer.evaluate())


SHAPES: dict[str, tuple[Any, dict[str, Any], str, int]] = {
    "single sentence": ((0, 1), {"metrics": ["accuracy", "f1"]}, "single_label", 2),
    "pair": ((0, 1), {"dataset": {"text": ["a", "b"]}}, "single_label", 2),
    "multi-class strings": (("no", "maybe", "yes"), {"metrics": ["f1"]}, "single_label", 3),
    "regression": ((0.0, 2.5, 4.75), {"metrics": ["pearson", "spearman", "mse"]}, "regression", 1),
    "several labels": (([], ["x"], ["x", "y"]), {"metrics": ["f1"]}, "multi_label", 2),
    "vectors": (([0, 1, 1], [1, 0, 1]), {"metrics": ["accuracy"]}, "multi_label", 3),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_trains_and_evaluates(
    shape: str, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    labels, keys, problem, outputs = SHAPES[shape]
    task = make_task(spec(labels, **keys), tmp_path / "cache", 1)
    prepared = task.prepare()
    assert prepared.problem == problem
    assert task.build_model(1).config.num_labels == outputs
    result = losses(task, tmp_path)
    assert {f"eval_{name}" for name in prepared.metrics} <= set(result)
    assert isinstance(task, Task)


def test_label_names_stand_in_the_models_configuration(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    task = make_task(spec(("no", "yes")), tmp_path, 1)
    config = task.build_model(1).config
    assert task.labels == ("no", "yes")
    assert config.id2label == {0: "no", 1: "yes"}
    assert config.label2id == {"no": 0, "yes": 1}
    assert config.problem_type == "single_label_classification"


def test_rows_are_ready_for_the_collator_and_know_their_length(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    import torch

    task = make_task(spec(dataset={"text": ["a", "b"]}), tmp_path, 1)
    columns = task.train_dataset.column_names
    assert columns == ["input_ids", "token_type_ids", "labels", "length"]
    row = task.train_dataset[5]
    assert row["length"] == len(row["input_ids"]) == len(row["token_type_ids"])
    batch = task.collator(task.train_dataset.remove_columns("length").to_list()[:3])
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert batch["labels"].dtype == torch.int64


@pytest.mark.parametrize(("labels", "hidden"), [((0, 1), -1), ((0.5, 1.5), -1.0)])
def test_a_test_split_whose_labels_are_hidden_counts_as_none_and_is_said_to(
    spec: Callable[..., TaskSpec], write_jsonl: Write, tmp_path: Path, labels: Any, hidden: Any
) -> None:
    made = spec(labels)
    files = {name: paths[0] for name, paths in made.dataset.data_files.items()}
    files["test"] = write_jsonl("test.jsonl", sentences(6, (hidden, hidden)))
    splits = {"train": "train", "validation": "validation", "test": "test"}
    made = spec(labels, dataset={"data_files": files, "splits": splits})
    task = make_task(made, tmp_path / "c", 1)
    prepared = task.prepare()
    assert task.test_dataset is None and "test" not in prepared.rows
    assert any("the labels of the test split are hidden (all -1)" in n for n in prepared.notes)
    assert make_task(made, tmp_path / "c", 1).prepare().notes == prepared.notes, "from the cache"


def test_texts_are_cut_to_max_length_and_a_note_says_how_many(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    task = make_task(spec(dataset={"text": ["a", "b"]}, max_length=8), tmp_path, 1)
    prepared = task.prepare()
    assert max(task.train_dataset["length"]) == prepared.longest == 8
    assert any("cut to task.max_length (8 tokens)" in note for note in prepared.notes)


def test_the_tokens_are_those_that_the_tokenizer_gives(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    task = make_task(spec(dataset={"text": ["a", "b"]}, max_length=9), tmp_path, 1)
    for row, sentence in zip(task.train_dataset, sentences(24), strict=True):
        expected = task.tokenizer(sentence["a"], sentence["b"], truncation=True, max_length=9)
        assert row["input_ids"] == expected["input_ids"]
        assert row["token_type_ids"] == expected["token_type_ids"]


def test_a_second_task_finds_everything_done(
    spec: Callable[..., TaskSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = spec()
    first = make_task(given, tmp_path, 1).prepare()
    for module in ("data._written", "token_cache._write_all", "model._configured"):
        monkeypatch.setattr(f"orchestrator.tasks.{module}", None)
    assert make_task(given, tmp_path, 1).prepare() == first


def _prepare(given: dict[str, Any], cache: str, answer: Any) -> None:
    task = make_task(TaskSpec.model_validate(given), Path(cache), 1)
    answer.put((task.prepare().rows, task.train_dataset[3]["input_ids"]))


def test_two_processes_that_prepare_at_once_get_the_same(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    import transformers  # noqa: F401 - before the fork, which then need not import it

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    arguments = (spec().model_dump(), str(tmp_path / "cache"), answers)
    processes = [context.Process(target=_prepare, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    first, second = (answers.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    assert first == second
    kinds = [path.name.partition("-")[0] for path in (tmp_path / "cache").glob("[!.]*")]
    assert sorted(kinds) == ["model", "rows", "tokens"]


def weights(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, Any], other: dict[str, Any], prefix: str) -> bool:
    names = [name for name in one if name.startswith(prefix)]
    assert names
    return all(bool((one[name] == other[name]).all()) for name in names)


def test_the_seed_decides_the_head_and_the_rest_is_pretrained(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    import torch

    task = make_task(spec(), tmp_path, 1)
    torch.manual_seed(5)
    first = weights(task.build_model(1))
    drawn = torch.rand(1)
    again, other = weights(task.build_model(1)), weights(task.build_model(2))
    assert equal(first, again, "")
    assert equal(first, other, "bert.")
    assert not equal(first, other, "classifier.weight")
    torch.manual_seed(5)
    assert torch.rand(1) == drawn, "the caller's generator was drawn from"


def test_random_weights_are_drawn_whole_from_the_seed(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    task = make_task(spec(weights="random"), tmp_path, 1)
    first, other = weights(task.build_model(1)), weights(task.build_model(2))
    assert equal(first, weights(task.build_model(1)), "")
    assert not equal(first, other, "bert.encoder.layer.0.attention.self.query.weight")


def test_overrides_change_the_model_and_its_key(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    plain = make_task(spec(), tmp_path, 1)
    changed = make_task(spec(model_config={"hidden_dropout_prob": 0.3}), tmp_path, 1)
    assert changed.build_model(1).config.hidden_dropout_prob == 0.3
    assert plain.model_key != changed.model_key
    assert plain.model_key == make_task(spec(), tmp_path, 1).model_key


def test_a_head_for_other_classes_is_replaced(
    spec: Callable[..., TaskSpec], tiny_model: Path, tmp_path: Path
) -> None:
    three = make_task(spec(("a", "b", "c")), tmp_path / "cache", 1)
    folder = tmp_path / "three"
    three.build_model(1).save_pretrained(str(folder))
    three.tokenizer.save_pretrained(str(folder))
    two = make_task(spec(("a", "b"), model=str(folder)), tmp_path / "cache", 1)
    assert two.build_model(1).classifier.weight.shape[0] == 2


def test_what_is_exported_loads_and_predicts_with_its_label_names(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    from transformers import pipeline

    toy = {"path": "toy-sentiment", "text": "text", "data_files": {}}
    task = make_task(spec(model="toy-bert", dataset=toy, rows={"train": 64}), tmp_path, 1)
    task.build_model(1).save_pretrained(str(tmp_path / "export"))
    task.tokenizer.save_pretrained(str(tmp_path / "export"))
    loaded = pipeline("text-classification", str(tmp_path / "export"), device="cpu")
    texts = [row for row in ("a lovely film", "not dreadful at all")]
    assert {answer["label"] for answer in loaded(texts)} <= {"negative", "positive"}
    ours = [task.tokenizer(text)["input_ids"] for text in texts]
    assert [loaded.tokenizer(text)["input_ids"] for text in texts] == ours


def refused(words: str, given: TaskSpec, cache: Path) -> None:
    with pytest.raises(TaskError, match=words) as caught:
        make_task(given, cache, 1).prepare()
    assert caught.value.exit_code == 2
    assert "\n    mend: " in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model": ""}, "the model must be named"),
        ({"model": "./nowhere"}, r"task\.model: there is no folder \./nowhere"),
        ({"metrics": ["pearson"]}, "pearson is not defined for this data"),
        (
            {"model_config": {"hidden_dropout": 0.1}},
            r"hidden_dropout: the model's configuration has no such field.*\n.*hidden_dropout_prob",
        ),
        ({"model_config": {"num_labels": 3}}, "num_labels: follows from the data"),
        ({"model_config": {"hidden_dropout_prob": "high"}}, "cannot be made with these values"),
        ({"model_config": {"num_attention_heads": 3}}, "cannot be made with these values"),
        (
            {"model_config": {"hidden_size": 32}},
            r"weights of the bert model .* do not fit its configuration.*\n.*hidden_size",
        ),
        ({"max_length": 2000}, r"made for 512 tokens at most; got 2000.*\n.*max_length: 512"),
        ({"max_length": 100}, r"has 64 positions; got 100.*\n.*max_length: 64"),
        ({"type": "text-clasification"}, r"is no task.*\n.*did you mean text-classification\?"),
    ],
)
def test_mistakes_in_the_task_section(
    keys: dict[str, Any], words: str, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    refused(words, spec(**keys), tmp_path / "cache")


def test_the_hub_out_of_reach_is_one_error_with_the_ways_out(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    with pytest.raises(
        TaskError, match=r"bert-base-uncased is neither a folder here nor.*\n.*folder.*`--smoke`"
    ) as caught:
        make_task(spec(model="google-bert/bert-base-uncased"), tmp_path / "cache", 1).prepare()
    assert caught.value.exit_code == 7


@pytest.fixture
def copied(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copied"))


def test_a_model_folder_without_weights_is_refused_unless_random_ones_are_asked_for(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    (copied / "model.safetensors").unlink()
    refused(
        r"holds no weights \(model\.safetensors.*\n.*task\.weights: random",
        spec(model=str(copied)),
        tmp_path / "cache",
    )
    make_task(spec(model=str(copied), weights="random"), tmp_path / "cache", 1).prepare()


def test_a_model_folder_without_configuration_is_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    (copied / "config.json").unlink()
    refused(r"holds no config\.json", spec(model=str(copied)), tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"config\.json is no JSON"),
        ("{}", "names no model_type"),
        ('{"model_type": "brt"}', "cannot be read as a model's"),
    ],
)
def test_a_damaged_configuration_is_refused(
    text: str, words: str, copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    (copied / "config.json").write_text(text)
    refused(words, spec(model=str(copied)), tmp_path / "cache")


def test_damaged_weights_are_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[:-100])
    refused("the weights in .* are damaged", spec(model=str(copied)), tmp_path / "cache")


def test_another_models_weights_are_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"other.weight": torch.zeros(2)}, copied / "model.safetensors", {"format": "pt"})
    refused("are another model's: not one tensor", spec(model=str(copied)), tmp_path / "cache")


def test_a_model_without_a_head_for_classes_is_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    (copied / "config.json").write_text(json.dumps({"model_type": "vit"}))
    refused("has no form for sequence", spec(model=str(copied)), tmp_path / "cache")


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_a_tokenizer_that_fails_is_refused(
    damage: str, copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    for path in copied.glob("*token*"):
        path.unlink()
    if damage == "broken":
        (copied / "tokenizer.json").write_text("{}")
    refused(
        "the tokenizer in .* cannot be loaded"
        if damage == "broken"
        else "the tokenizer knows none of the data's words",
        spec(model=str(copied)),
        tmp_path / "cache",
    )


def test_a_tokenizer_of_another_vocabulary_is_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    from orchestrator.tasks.tokenizer import word_tokenizer

    word_tokenizer(["entirely other speech " + " ".join(map(str, range(500)))]).save_pretrained(
        str(copied)
    )
    refused("knows none of the data's words", spec(model=str(copied)), tmp_path / "cache")


def test_a_tokenizer_with_more_words_than_the_model_is_refused(
    copied: Path, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    from orchestrator.tasks.tokenizer import word_tokenizer

    common = [" ".join(map(str, range(500)))] * 50
    word_tokenizer([*common, *(row["a"] for row in sentences(24))]).save_pretrained(str(copied))
    refused(
        r"tokenizer gives token \d+, and the model's vocabulary ends at \d+",
        spec(model=str(copied)),
        tmp_path / "cache",
    )


@pytest.mark.parametrize("reachable", [True, False])
def test_a_smoke_run_has_a_tiny_model_of_the_same_kind(
    reachable: bool, spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"smoke": True, "rows": {"train": 8, "validation": 4}}
    keys |= {} if reachable else {"model": "distilbert/distilbert-base-uncased"}
    keys["model_config"] = {} if reachable else {"seq_classif_dropout": 0.1}
    task = make_task(spec(**keys), tmp_path / "cache", 1)
    prepared = task.prepare()
    model = task.build_model(1)
    assert model.config.model_type == "bert"
    assert model.config.hidden_size <= 32
    assert prepared.rows == {"train": 8, "validation": 4}
    assert prepared.notes[0].startswith("smoke: a tiny ")
    assert "eval_accuracy" in losses(task, tmp_path)


def test_a_smoke_run_finds_a_misspelt_override_too(
    spec: Callable[..., TaskSpec], tmp_path: Path
) -> None:
    wrong = {"model_config": {"hidden_dropout": 0.1}, "smoke": True}
    refused("hidden_dropout: the model's configuration has no", spec(**wrong), tmp_path / "cache")
