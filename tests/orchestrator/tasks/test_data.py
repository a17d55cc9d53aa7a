"""Rows from every kind of source, checked and stored once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from orchestrator.tasks import data as data_module
from orchestrator.tasks.data import Rows, prepare_rows
from orchestrator.tasks.errors import HubUnreachable, TaskError
from search_spaces.parts import TaskSpec

from .conftest import sentences

Write = Callable[..., str]


def task(**dataset: Any) -> TaskSpec:
    given = {k: dataset.pop(k) for k in ("problem", "rows", "smoke") if k in dataset}
    return TaskSpec.model_validate({"dataset": {"text": "a", **dataset}, **given})


def stored(rows: Rows, split: str) -> dict[str, list[Any]]:
    with pyarrow.memory_map(str(rows.folder / f"{split}.arrow")) as source:
        return dict(pyarrow.ipc.open_stream(source).read_all().to_pydict())


@pytest.fixture
def files(write_jsonl: Write) -> dict[str, str]:
    return {
        "train": write_jsonl("train.jsonl", sentences(20)),
        "validation": write_jsonl("validation.jsonl", sentences(8)),
    }


def test_json_lines_become_columns_of_our_own_names(files: dict[str, str], tmp_path: Path) -> None:
    rows = prepare_rows(task(path="json", data_files=files, text=["a", "b"]), tmp_path / "c", 1)
    table = stored(rows, "train")
    assert list(table) == ["text", "text_pair", "label"]
    assert table["text"] == [row["a"] for row in sentences(20)]
    assert table["text_pair"] == [row["b"] for row in sentences(20)]
    assert table["label"] == [0, 1] * 10
    assert (rows.problem, rows.labels, rows.texts) == ("single_label", ("0", "1"), 2)
    assert rows.counts == {"train": 20, "validation": 8}


def test_nothing_but_the_rows_is_left_in_the_cache(files: dict[str, str], tmp_path: Path) -> None:
    rows = prepare_rows(task(path="json", data_files=files), tmp_path / "c", 1)
    left = sorted(path.name for path in rows.folder.rglob("*"))
    assert left == ["meta.json", "train.arrow", "validation.arrow"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "folder", "saved"])
def test_every_local_kind_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict, disable_progress_bars

    disable_progress_bars()
    train, validation = Dataset.from_list(sentences(20)), Dataset.from_list(sentences(8))
    splits = {"train": train, "validation": validation}
    folder = tmp_path / "data"
    folder.mkdir()
    spec = task(path=kind, data_files={split: str(folder / f"{split}.{kind}") for split in splits})
    if kind == "saved":
        DatasetDict(splits).save_to_disk(str(folder / "saved"))
        spec = task(path=str(folder / "saved"))
    for split, rows in splits.items():
        match kind:
            case "csv":
                rows.to_csv(folder / f"{split}.csv", index=False)
            case "parquet":
                rows.to_parquet(folder / f"{split}.parquet")
            case "json":
                rows.to_json(folder / f"{split}.json")
            case "folder":
                rows.to_json(folder / f"{split}.jsonl")
                spec = task(path=str(folder))
    assert stored(prepare_rows(spec, tmp_path / "c", 1), "train")["label"] == [0, 1] * 10


def test_saved_class_labels_keep_their_names(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(
        {"a": Value("string"), "b": Value("string"), "label": ClassLabel(names=["no", "yes"])}
    )
    Dataset.from_list(sentences(10), features=features).save_to_disk(str(tmp_path / "saved"))
    splits = {"train": "train", "validation": {"from": "train", "size": 0.2}}
    rows = prepare_rows(task(path=str(tmp_path / "saved"), splits=splits), tmp_path / "c", 1)
    assert rows.labels == ("no", "yes")
    assert rows.counts == {"train": 8, "validation": 2}


def test_relative_files_start_at_the_working_directory(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {"train": "train.jsonl", "validation": "vali*.jsonl"}
    rows = prepare_rows(task(path="json", data_files=relative), tmp_path / "c", 1)
    assert rows.counts == {"train": 20, "validation": 8}


def test_slices_and_sums_of_splits_are_taken(files: dict[str, str], tmp_path: Path) -> None:
    splits = {"train": "train[:10]+validation", "validation": "train[50%:]", "test": "train[-2:]"}
    spec = task(path="json", data_files=files, splits=splits)
    assert prepare_rows(spec, tmp_path / "c", 1).counts == {
        "train": 18,
        "validation": 10,
        "test": 2,
    }


def test_a_carved_test_split_and_train_share_no_row(files: dict[str, str], tmp_path: Path) -> None:
    splits = {"train": "train", "validation": "validation", "test": {"from": "train", "size": 6}}
    rows = prepare_rows(task(path="json", data_files=files, splits=splits), tmp_path / "c", 1)
    train, test = stored(rows, "train"), stored(rows, "test")
    assert sorted(test["label"]) == [0, 0, 0, 1, 1, 1]
    assert sorted(train["text"] + test["text"]) == sorted(row["a"] for row in sentences(20))


def test_the_seed_matters_only_when_rows_are_drawn(files: dict[str, str], tmp_path: Path) -> None:
    whole = task(path="json", data_files=files)
    limited = task(path="json", data_files=files, rows={"train": 4})
    folders = [[prepare_rows(t, tmp_path, s).folder for s in (1, 2)] for t in (whole, limited)]
    assert folders[0][0] == folders[0][1]
    assert folders[1][0] != folders[1][1]


def test_rows_are_found_again_without_reading_the_source(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = task(path="json", data_files=files)
    first = prepare_rows(spec, tmp_path / "c", 1)

    def never(*args: Any) -> Any:
        raise AssertionError("the source was read again")

    monkeypatch.setattr(data_module, "_written", never)
    assert prepare_rows(spec, tmp_path / "c", 1) == first


def test_a_changed_file_is_another_data_set_and_a_touched_one_is_not(
    files: dict[str, str], tmp_path: Path
) -> None:
    spec = task(path="json", data_files=files)
    first = prepare_rows(spec, tmp_path / "c", 1).folder
    train = Path(files["train"])
    train.touch()
    assert prepare_rows(spec, tmp_path / "c", 1).folder == first
    train.write_text(train.read_text().replace("good", "grand"))
    assert prepare_rows(spec, tmp_path / "c", 1).folder != first


def refused(words: str, tmp_path: Path, **dataset: Any) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(TaskError, match=words) as caught:
        prepare_rows(task(**dataset), cache, 1)
    assert caught.value.exit_code == 2
    assert "mend: " in str(caught.value)
    assert not list(cache.glob("rows-*")) and not list(cache.glob(".*.tmp-*"))


def test_a_missing_column_is_named_with_those_there_are(
    files: dict[str, str], tmp_path: Path
) -> None:
    refused(
        r"text: there is no column sentence in split train; the columns are a, b, label",
        tmp_path,
        path="json",
        data_files=files,
        text="sentence",
    )
    refused(
        r"label: there is no column labels .*\n.*did you mean label\?",
        tmp_path,
        path="json",
        data_files=files,
        label="labels",
    )


def test_a_missing_file_is_named_with_the_working_directory(tmp_path: Path) -> None:
    refused(
        rf"data_files\.train: there is no file nowhere\.json \(working directory {Path.cwd()}\)",
        tmp_path,
        path="json",
        data_files={"train": "nowhere.json"},
    )


def test_a_missing_split_is_named_with_those_there_are_and_the_way_to_carve(
    files: dict[str, str], tmp_path: Path
) -> None:
    refused(
        r"splits\.test: the data has no split test; it has train, validation\.\n.*carve it: test:",
        tmp_path,
        path="json",
        data_files=files,
        splits={"train": "train", "validation": "validation", "test": "test"},
    )
    refused(
        r"splits\.validation: the data has no split validation; it has train\.\n.*from: train",
        tmp_path,
        path="json",
        data_files={"train": files["train"]},
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("empty.json", "", r"empty\.json is empty"),
        ("broken.json", '{"a": "x", "label": 0}\n{"a": ', r"cannot be read from .*broken\.json: "),
        ("none.csv", "a,label\n", r"none\.csv holds no rows"),
        ("null.json", '{"a": "x", "label": 0}\n{"a": null, "label": 1}', "row 1.*holds nothing"),
        ("number.csv", "a,label\n1,0\n2,1\n", r"must hold text in every row; row 0.* holds 1\."),
    ],
)
def test_files_that_cannot_be_used(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    refused(
        words,
        tmp_path,
        path=name.rpartition(".")[2],
        data_files={"train": str(tmp_path / name)},
        splits={"train": "train", "validation": "train"},
    )


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ({"path": "./nowhere"}, r"there is no folder \./nowhere \(working directory"),
        ({"path": "a/b/c"}, "there is no folder a/b/c"),
        ({"path": "jsn", "data_files": {"train": "x"}}, r"kind of file; got jsn.*\n.*mean json\?"),
        ({"path": "pandas"}, "pandas is not a kind of file that is read"),
        ({"path": "json"}, "path: json needs the files"),
        ({"path": ""}, "the data must be named"),
        ({"path": "toy-sentiment", "text": []}, "a text column must be named"),
        ({"path": "toy-sentiment", "splits": {"train": "trian", "validation": "test"}}, "no split"),
    ],
)
def test_sources_that_are_none(dataset: dict[str, Any], words: str, tmp_path: Path) -> None:
    refused(words, tmp_path, **dataset)


def test_a_file_given_as_path_is_told_how_to_be_written(
    files: dict[str, str], tmp_path: Path
) -> None:
    refused(r"a file is named by data_files; .*\n.*path: json and", tmp_path, path=files["train"])


def test_a_slice_that_is_none_is_refused(files: dict[str, str], tmp_path: Path) -> None:
    splits = {"train": "train[:x]", "validation": "validation"}
    refused("a split is a name, or a slice", tmp_path, path="json", data_files=files, splits=splits)


def test_without_the_hub_one_error_names_the_data_and_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(
        HubUnreachable, match=r"nyu-mll/glue rte is neither.*OFFLINE is set\.\n.*json.*`--smoke`"
    ) as caught:
        prepare_rows(task(path="nyu-mll/glue", name="rte"), tmp_path, 1)
    assert caught.value.exit_code == 7


def test_a_smoke_run_without_the_hub_has_toy_rows_under_the_datas_names(tmp_path: Path) -> None:
    spec = task(
        path="nyu-mll/glue",
        name="rte",
        text=["sentence1", "sentence2"],
        splits={"train": "train", "validation": "validation", "test": {"from": "train", "size": 9}},
        rows={"train": 8, "validation": 4, "test": 4},
        smoke=True,
    )
    rows = prepare_rows(spec, tmp_path, 1)
    assert rows.counts == {"train": 8, "validation": 4, "test": 4}
    assert list(stored(rows, "train")) == ["text", "text_pair", "label"]
    assert rows.source == "generated toy sentences in place of nyu-mll/glue rte"
