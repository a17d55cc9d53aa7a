import json
import os

import pytest

from orchestrator import cluster_check
from orchestrator.cluster_check import look
from orchestrator.errors import Unfit, Unreachable
from sweeps import __version__
from sweeps.submission.readiness import ask, judged, question
from tests.submission.clusters import Client, answer, node, status_error
from tests.sweeps.studies import spec

STORAGE = "/shared/studies"


def judge(told, of=None, *, ship=False, environ=None):
    return judged(of or spec(), told, storage=STORAGE, ship=ship, environ=environ or {})


# --- asking --------------------------------------------------------------------------------


def test_the_check_is_a_job_of_its_own_that_is_forgotten_when_it_has_answered(attached):
    client = Client()
    asked = question(spec(), STORAGE, ship=False)
    assert ask(attached(client), asked, python="py") == client.told
    (submitted,) = client.submitted
    assert submitted["entrypoint"] == "exec py cluster_check.py"
    (parcel,) = client.parcels
    assert json.loads(parcel["cluster_check.json"]) == asked
    assert sorted(parcel) == ["cluster_check.json", "cluster_check.py"]
    assert client.deleted == [submitted["submission_id"]]


def test_an_interpreter_that_is_not_there_is_told_with_the_option_for_it(attached):
    client = Client("sh: 1: exec: python: not found")
    client.check_state, client.check_code = "FAILED", 127
    with pytest.raises(Unreachable, match="find no python that can be run") as told:
        ask(attached(client), {})
    assert "--python" in str(told.value)
    assert client.deleted == []


@pytest.mark.parametrize("log", ["no room\nlast words", "sweep-cluster-check: [1", ""])
def test_a_check_without_an_answer_is_told_by_its_last_lines(attached, log):
    client = Client(log)
    client.check_state, client.check_code = "FAILED", 1
    with pytest.raises(Unreachable, match="ended with 1") as told:
        ask(attached(client), {})
    assert (log.splitlines() or ["(nothing)"])[-1] in str(told.value)


def test_a_check_that_never_ran_is_told_by_what_the_cluster_says(attached):
    client = Client("", message="runtime_env setup failed: No such file or directory: 'pip'")
    client.check_state, client.check_code = "FAILED", None
    with pytest.raises(Unreachable, match=r"never ran.*\n.*'pip'"):
        ask(attached(client), {})


def test_a_check_that_does_not_end_is_stopped(attached):
    client = Client()
    client.check_unready = 10_000
    with pytest.raises(Unreachable, match="did not end within 300 s"):
        ask(attached(client), {})
    assert client.stopped == [client.submitted[0]["submission_id"]]


def test_a_cluster_that_dies_under_the_check_is_unreachable(attached):
    client = Client()
    client.raising["get_job_logs"] = [status_error(500, "agent is gone")]
    with pytest.raises(Unreachable, match="agent is gone"):
        ask(attached(client), {})


# --- judging -------------------------------------------------------------------------------


def test_a_cluster_that_lacks_nothing_is_told_with_its_size():
    ready = judge(answer(node(), node("two"), cpus=8.0))
    assert (ready.nodes, ready.cpus, ready.notes) == (2, 8.0, ())
    assert ready.words == "2 nodes, 8 CPUs: 2 trials at a time"  # the study has two


def test_one_node_is_told_what_holds_when_there_are_more():
    (note,) = judge(answer()).notes
    assert "every node must see /shared/studies" in note


@pytest.mark.parametrize(("there", "says"), [("", "there is none"), ("0.0.9", "there is 0.0.9")])
def test_a_missing_or_older_package_is_told_with_its_install_line(there, says):
    with pytest.raises(Unreachable, match=says) as told:
        judge(answer(node(), node("two", package=there)))
    assert f'pip install "sweep-orchestrator=={__version__}"' in str(told.value)
    assert "--ship" in str(told.value)
    assert "on two" in str(told.value)
    assert told.value.exit_code == 7


def test_a_shipped_package_that_lacks_what_it_needs_is_told():
    with pytest.raises(Unreachable, match=r"lacks torch<2\.14,>=2\.13"):
        judge(answer(node(lacking=["torch<2.14,>=2.13"])), ship=True)


def test_storage_that_one_node_does_not_see_is_told_before_the_start():
    told = answer(node(), node("two", sees_storage=False), node("three", sees_storage=False))
    with pytest.raises(Unfit, match="all 3 nodes must see /shared/studies") as refused:
        judge(told)
    assert "three, two" in str(refused.value)
    assert "Nothing was started" in str(refused.value)
    assert refused.value.exit_code == 2


def test_storage_that_cannot_be_used_is_told():
    with pytest.raises(Unfit, match="Permission denied"):
        judge(answer(storage_fault="Permission denied"))
    with pytest.raises(Unfit, match="cannot be written to on two"):
        judge(answer(node(), node("two", writes_storage=False)))


def test_data_that_a_node_does_not_have_is_told():
    whole = spec()
    of = whole.model_copy(update={"task": whole.task.model_copy(update={"model": "/data/bert"})})
    with pytest.raises(Unfit, match=r"task\.model: there is no /data/bert on two"):
        judge(answer(node(), node("two", missing=["task.model"])), of)


def test_a_node_that_does_not_answer_is_told():
    with pytest.raises(Unreachable, match="two did not answer: lost"):
        judge(answer(node(), {"host": "two", "silent": "lost"}))


def test_a_cluster_without_room_for_one_trial_is_told():
    with pytest.raises(Unfit, match="one trial needs"):
        judge(answer(cpus=0.0))


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(Unreachable) as told:
        judge(answer(node(package=""), node("two", sees_storage=False), cpus=0.0))
    for words in ("must be on the cluster", "must see", "one trial needs"):
        assert words in str(told.value)


def test_keys_that_are_missing_there_are_told_and_never_sent(tmp_path):
    of = spec(tracking={"backends": ["wandb"], "mode": "online"})
    asked = question(of, STORAGE, ship=False)
    here = {"HOME": str(tmp_path), "HF_TOKEN": "canary", "WANDB_API_KEY": "canary"}
    assert asked["tracking"] == "online"
    assert "canary" not in json.dumps(asked)
    ready = judge(answer(node(tracking="offline"), node("two")), of, environ=here)
    wandb, hub = ready.notes
    assert "no W&B key" in wandb and "sweep sync" in wandb
    assert "token for Hugging Face here and none on head" in hub
    there = answer(node(tracking="online", tokens=["Hugging Face"]), node("two"))
    assert judge(there, of, environ=here).notes == ()


def test_a_study_that_is_meant_to_be_offline_needs_no_key():
    of = spec(tracking={"backends": ["wandb"], "mode": "offline"})
    assert judge(answer(node(tracking="offline"), node("two")), of).notes == ()


# --- what runs on the cluster --------------------------------------------------------------


def test_a_node_looks_at_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "canary-of-the-hub")
    monkeypatch.setattr(cluster_check, "_package_version", lambda: "")
    monkeypatch.setattr(cluster_check, "_SEEN_S", 0.0)
    marker = tmp_path / ".seen-1"
    asked = {
        **question(spec(), str(tmp_path), ship=False),
        "requirements": ["ray>=2", "no-such-distribution>=1", "pytest<1", "x>1; extra == 'y'"],
        "paths": {"task.model": str(tmp_path), "task.dataset.path": str(tmp_path / "none*")},
    }
    told = look(asked, str(marker))
    assert told["missing"] == ["task.dataset.path"]
    assert (told["sees_storage"], told["writes_storage"]) == (False, True)
    assert told["lacking"][0] == "no-such-distribution>=1"
    assert told["lacking"][1].startswith("pytest<1 (there: ")
    assert told["tokens"] == ["Hugging Face"]
    assert "canary" not in json.dumps(told)
    marker.touch()
    assert look(asked, str(marker))["sees_storage"]


def test_the_version_is_asked_for_by_the_command_that_a_job_runs():
    assert cluster_check._package_version() == __version__


def test_the_mark_in_the_storage_leaves_nothing_behind(tmp_path):
    storage = tmp_path / "a" / "b"
    with cluster_check._storage_marked(str(storage)) as (marker, fault):
        assert os.path.exists(marker) and fault == ""
        assert oct(storage.stat().st_mode)[-3:] == "700"
    assert list(tmp_path.iterdir()) == []
    storage.mkdir(parents=True)
    (storage / "study").mkdir()
    with cluster_check._storage_marked(str(storage)):
        pass
    assert [path.name for path in storage.iterdir()] == ["study"]


def test_a_storage_that_is_a_file_is_a_fault(tmp_path):
    (tmp_path / "file").touch()
    with cluster_check._storage_marked(str(tmp_path / "file")) as (marker, fault):
        assert (marker, bool(fault)) == ("", True)
