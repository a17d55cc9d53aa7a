from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.journal import JOURNAL, length_file
from orchestrator.results import SPECIFICATION
from sweeps.cli import app
from sweeps.studies import UsageError, find_study, inside, study_names
from tests.sweeps.studies import random_study, spec, write_study


@pytest.fixture
def storage(tmp_path):
    write_study(tmp_path / "studies", spec("rte-pbt"), random_study(spec("rte-pbt")))
    return tmp_path / "studies"


def test_a_study_is_found_by_name_and_by_the_path_of_its_folder(storage, monkeypatch):
    assert find_study("rte-pbt", storage) == storage / "rte-pbt"
    assert find_study(str(storage / "rte-pbt"), storage.parent) == storage / "rte-pbt"
    monkeypatch.chdir(storage)
    assert find_study("rte-pbt", storage.parent).resolve() == storage / "rte-pbt"


def test_a_misspelt_name_is_told_the_nearest_one(storage):
    with pytest.raises(UsageError, match="did you mean rte-pbt"):
        find_study("rte_pbt", storage)


def test_without_any_study_the_mend_is_to_run_one(tmp_path):
    with pytest.raises(UsageError, match="sweep run FILE"):
        find_study("rte", tmp_path / "nowhere")


@pytest.mark.parametrize("folder", ["../other", "..", "/", ".", "./x", "~"])
def test_a_folder_without_a_journal_is_no_study(storage, folder):
    with pytest.raises(UsageError, match=r"journal\.jsonl|must be a study"):
        find_study(folder, storage)


@pytest.mark.parametrize(
    "name",
    ["../x", "a/b", "/etc", "", ".", "..", ".hidden", "-x", "a" * 65, "a\nb", "a b", "a\x00"],
)
def test_a_name_never_leads_out_of_the_storage_folder(tmp_path, name):
    with pytest.raises(UsageError, match="a study's name must be"):
        inside(tmp_path, name)


def test_a_link_out_of_the_storage_folder_is_refused(tmp_path, storage):
    elsewhere = write_study(tmp_path / "elsewhere", spec("secret"), random_study(spec("secret")))
    (storage / "innocent").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="leads out of it"):
        find_study("innocent", storage)


def test_folders_that_are_no_studies_are_not_listed(storage):
    (storage / ".cache").mkdir()
    (storage / "empty").mkdir()
    assert study_names(storage) == ["rte-pbt"]
    assert study_names(storage / "nowhere") == []


def without_a_journal(storage, *also):
    """A study that has trials, its journal gone, and perhaps more."""
    study = storage / "rte-pbt"
    (study / "trials" / "0000" / "checkpoints").mkdir(parents=True)
    for name in (JOURNAL, *also):
        (study / name).unlink()
    return study


@pytest.mark.parametrize(
    "also",
    [(), (SPECIFICATION,), (length_file(Path(JOURNAL)).name,),
     (SPECIFICATION, length_file(Path(JOURNAL)).name)],
)  # fmt: skip
def test_a_study_whose_journal_is_gone_is_an_unreadable_study_and_not_none(storage, also):
    study = without_a_journal(storage, *also)
    assert find_study("rte-pbt", storage) == study
    for words in (["show"], ["best"], ["resume"], ["sync"], ["stop"]):
        for name in (["rte-pbt", "--storage", str(storage)], [str(study)]):
            answer = CliRunner().invoke(app, [*words, *name])
            assert answer.exit_code == 5, answer.output
            assert "the journal of this study is gone" in " ".join(answer.output.split())
    answer = CliRunner().invoke(app, ["list", "--storage", str(storage)])
    assert answer.exit_code == 0
    assert "unreadable" in answer.output


def test_a_study_killed_before_its_first_line_is_none(storage):
    study = storage / "unbegun"
    study.mkdir()
    (study / SPECIFICATION).write_text("{}")
    assert study_names(storage) == ["rte-pbt"]
