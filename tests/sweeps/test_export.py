import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestrator.ancestry import ancestry
from orchestrator.best_model import is_model_file
from orchestrator.checkpoints import MANIFEST, commit
from orchestrator.errors import StudyUnreadable
from orchestrator.events import CheckpointCommitted
from orchestrator.results import StudyResult, read_study
from sweeps.export import candidates, export_best
from sweeps.model_card import escaped, model_card
from sweeps.studies import UsageError
from tests.sweeps.studies import population_spec, population_study, random_study, spec, write_study


class Files:
    """A snapshot of given files."""

    def __init__(self, **files: str) -> None:
        self.files = {name.replace("__", "."): text for name, text in files.items()}

    def write(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).write_text(text)


MODEL = {
    "model__safetensors": "weights",
    "config__json": "{}",
    "tokenizer__json": "{}",
    "optimizer__pt": "pickle",
    "rng_state__pth": "pickle",
    "trainer_state__json": "{}",
    "state__json": "{}",
}


def study(storage: Path, spec, events, files=MODEL) -> StudyResult:
    """A study whose checkpoints are on disk, with their sums in the journal."""
    folder = storage / spec.name
    written = []
    for event in events:
        if isinstance(event, CheckpointCommitted):
            manifest = commit(folder, Path(event.path), Files(**files))
            event = replace(event, sha256=manifest.sha256)
        written.append(event)
    return read_study(write_study(storage, spec, written))


def checkpoint_of_best(result: StudyResult) -> Path:
    assert result.state.best is not None
    return result.folder / result.state.best.checkpoint


def test_the_export_holds_model_tokenizer_config_and_card_and_nothing_of_the_training(tmp_path):
    best, damaged = export_best(study(tmp_path, spec(), random_study(spec())), tmp_path / "out")
    assert (best.trial, best.value, damaged) == ("0000", 0.8, ())
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]


def test_no_pickle_is_ever_handed_over():
    assert not any(is_model_file(f"x{ending}") for ending in (".pt", ".pth", ".bin", ".pkl"))


def test_an_empty_folder_may_be_the_target(tmp_path):
    (tmp_path / "out").mkdir()
    export_best(study(tmp_path, spec(), random_study(spec())), tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_text() == "weights"


@pytest.mark.parametrize("taken", ["file", "folder", "link"])
def test_an_export_never_overwrites(tmp_path, taken):
    out = tmp_path / "out"
    if taken == "folder":
        out.mkdir()
        (out / "mine").write_text("x")
    elif taken == "file":
        out.write_text("x")
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists and is not empty"):
        export_best(study(tmp_path, spec(), random_study(spec())), out)


def test_a_target_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").write_text("x")
    result = study(tmp_path, spec(), random_study(spec()))
    with pytest.raises(UsageError, match="cannot be written"):
        export_best(result, tmp_path / "file" / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "tiny"]


def test_a_damaged_best_checkpoint_is_named_and_the_next_best_is_taken(tmp_path):
    result = study(tmp_path, spec(), random_study(spec()))
    weights = checkpoint_of_best(result) / "model.safetensors"
    weights.write_text("damaged")
    best, damaged = export_best(result, tmp_path / "out")
    assert best.value == 0.75
    assert str(weights) in damaged[0]


def test_when_no_checkpoint_is_whole_nothing_is_exported(tmp_path):
    result = study(tmp_path, spec(), random_study(spec()), files={"config__json": "{}"})
    with pytest.raises(StudyUnreadable, match=r"holds no model\.safetensors"):
        export_best(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_manifest_that_names_a_file_outside_is_refused(tmp_path):
    result = study(tmp_path, spec(), random_study(spec(), failing=True))
    (result.folder / "trials" / "0000" / "checkpoints" / "secret").write_text("s3cret")
    for best, _ in candidates(result):
        manifest = result.folder / best.checkpoint / MANIFEST
        body = json.loads(manifest.read_text())
        body["files"]["../secret"] = {"size": 6, "sha256": hashlib.sha256(b"s3cret").hexdigest()}
        manifest.write_text(json.dumps(body))
    with pytest.raises(StudyUnreadable, match="no checkpoint is whole"):
        export_best(result, tmp_path / "out")


def test_a_checkpoint_outside_the_study_is_refused(tmp_path):
    result = study(tmp_path, spec(), random_study(spec()))
    (tmp_path / "elsewhere").mkdir()
    for number in (0, 1):
        checkpoints = result.folder / "trials" / f"{number:04d}" / "checkpoints"
        if checkpoints.exists():
            shutil.rmtree(checkpoints)
        checkpoints.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudyUnreadable, match="does not stand in the study's folder"):
        export_best(result, tmp_path / "out")


def test_the_card_tells_metric_configuration_data_method_and_versions(tmp_path):
    real = spec(
        task={
            "model": "google-bert/bert-base-uncased",
            "dataset": {"path": "nyu-mll/glue", "name": "rte", "text": ["a", "b"], "label": "l"},
        }
    )
    result = read_study(write_study(tmp_path, real, random_study(real)))
    card = model_card(result, result.state.best)
    front = yaml.safe_load(card.split("---")[1])
    assert front["base_model"] == "google-bert/bert-base-uncased"
    assert front["datasets"] == ["nyu-mll/glue"]
    entry = front["model-index"][0]["results"][0]
    assert entry["metrics"] == [{"type": "accuracy", "name": "accuracy", "value": 0.8}]
    assert entry["dataset"]["config"] == "rte"
    assert "| learning\\_rate | 0.5 | searched |" in card
    assert "| num\\_train\\_epochs | 2 | constant |" in card
    assert "random search" in card and "seed 42" in card and "transformers 5.23.0" in card
    assert "Lineage" not in card


def test_the_card_names_local_files_without_the_paths_of_this_machine(tmp_path):
    local = spec(
        task={
            "model": "/home/me/models/minilm",
            "dataset": {
                "path": "csv",
                "data_files": {"train": "/home/me/secret/train.csv"},
                "text": ["a"],
                "label": "l",
            },
        }
    )
    result = read_study(write_study(tmp_path, local, random_study(local)))
    card = model_card(result, result.state.best)
    assert "minilm" in card and "train.csv" in card
    assert "/home/me" not in card and "base_model" not in card


def test_the_card_of_a_population_tells_the_lineage_as_a_schedule(tmp_path):
    result = read_study(
        write_study(tmp_path, population_spec(), population_study(population_spec()))
    )
    stretches = ancestry(result.state, "0001", 2)
    assert [(s.trial, s.start, s.end, s.config["learning_rate"]) for s in stretches] == [
        ("0000", 0, 1, 0.5),
        ("0001", 1, 2, 0.4),
    ]
    card = model_card(result, result.state.best)
    assert "## Lineage" in card
    assert "| 1 to 2 | 0001 | learning\\_rate 0.4, " in card


def test_the_card_of_a_smoke_run_says_so(tmp_path):
    small = spec(smoke=True, task={"model": "a/b", "dataset": {"path": "d"}})
    result = read_study(write_study(tmp_path, small, random_study(small)))
    card = model_card(result, result.state.best)
    assert "SMOKE RUN" in card and "smoke-run" in card.split("---")[1]
    assert "base_model" not in card


def test_text_from_outside_stays_text_in_the_card():
    assert escaped("a|b\n<script>[x](y)\x1b") == "a\\|b \\<script\\>\\[x\\](y)\\\\x1b"


@pytest.mark.slow
def test_the_exported_folder_loads_by_from_pretrained_and_as_a_pipeline(tmp_path):
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        BertConfig,
        BertForSequenceClassification,
        BertTokenizerFast,
        pipeline,
    )

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = BertForSequenceClassification(
        BertConfig(vocab_size=7, intermediate_size=8, id2label={0: "no", 1: "yes"}, **sizes)
    )

    class Real(Files):
        def write(self, folder: Path) -> None:
            super().write(folder)
            model.save_pretrained(folder)
            BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(folder)

    result = study(tmp_path, spec(), random_study(spec()))
    path = checkpoint_of_best(result)
    manifest = commit(result.folder, path.relative_to(result.folder), Real(optimizer__pt="pickle"))
    record = result.state.trials["0000"]
    committed = record.checkpoints[1]
    record.checkpoints[1] = replace(committed, sha256=manifest.sha256)

    export_best(result, tmp_path / "out")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert torch.equal(loaded.classifier.weight, model.classifier.weight)
    answer = pipeline("text-classification", str(tmp_path / "out"))("good")
    assert answer[0]["label"] in ("no", "yes")


@pytest.mark.slow
def test_the_names_left_out_of_an_export_are_those_of_the_snapshot():
    from orchestrator import checkpoints, snapshot

    files = {v for n, v in vars(snapshot).items() if n.isupper() and isinstance(v, str)}
    names = {file for file in files if "." in file}
    assert {snapshot.OPTIMIZER, snapshot.SCHEDULER, snapshot.RNG, snapshot.WEIGHTS} <= names
    names |= {checkpoints.MANIFEST, checkpoints.STATE}
    assert [name for name in names if is_model_file(name)] == [snapshot.WEIGHTS]
