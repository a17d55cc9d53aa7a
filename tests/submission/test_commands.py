import json
import shlex
from pathlib import Path

import pytest
from ray.exceptions import AuthenticationError
from typer.testing import CliRunner

from orchestrator import jobs
from orchestrator.jobs import Jobs
from sweeps.cli import app
from tests.submission.clusters import ADDRESS, Client, answer, node

ROOT = Path(__file__).parents[2]
STORAGE = "/shared/studies"
AT = ("--address", ADDRESS)


def sweep(*arguments: object, **environment: str):
    return CliRunner(env=environment).invoke(app, [str(a) for a in arguments])


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A sweep file in a working directory with secrets beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("WANDB_API_KEY=canary\n")
    (tmp_path / "mine.yaml").write_text((ROOT / "spaces" / "quickstart.yaml").read_text())
    return tmp_path / "mine.yaml"


def submit(file: Path, *words: str, **environment: str):
    return sweep("submit", file, *AT, "--storage", STORAGE, *words, **environment)


def submitted(client: Client) -> tuple[list[str], str, dict[str, str]]:
    """The study's job: the words it runs, its name, and what travelled with it."""
    check, study = client.submitted
    assert check["submission_id"].startswith("sweep-check-")
    return shlex.split(study["entrypoint"]), study["submission_id"], client.parcels[1]


# --- submit --------------------------------------------------------------------------------


def test_submit_starts_sweep_run_on_the_cluster_and_says_how_to_follow_it(file, installed):
    client = installed(Client())
    done = submit(file)
    assert done.exit_code == 0, done.output
    words, job, parcel = submitted(client)
    assert words == [
        *("exec", "python", "-m", "sweeps", "run", "mine.yaml"),
        *("--address", "auto", "--storage", STORAGE, "--plain"),
    ]
    assert list(parcel) == ["mine.yaml"]
    assert job.startswith("quickstart-")
    for command in ("logs", "wait", "stop"):
        assert f"next: sweep job {command} {job}" in done.output
    assert "1 node, 4 CPUs: 4 trials at a time" in done.output


def test_options_of_the_run_go_with_it(file, installed):
    client = installed(Client())
    words = ("--name", "mine", "--smoke", "--set", "population.size=4", "--force")
    assert submit(file, *words, "--python", "/venv/bin/python").exit_code == 0
    ran, job, _ = submitted(client)
    assert ran[1] == "/venv/bin/python"
    assert ran[ran.index("--plain") + 1 :] == [
        *("--set", "population.size=4", "--force", "--name", "mine", "--smoke")
    ]
    assert job.startswith("mine-")
    assert client.submitted[1]["metadata"]["study"] == "mine-smoke"


def test_nothing_of_this_environment_reaches_the_cluster(file, installed):
    client = installed(Client())
    names = ("WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_KEY")
    secrets = {name: f"canary-{name}-1" for name in names}
    done = submit(file, **secrets)
    assert done.exit_code == 0, done.output
    everything = repr(client.submitted) + repr(client.parcels)
    assert "canary" not in everything
    assert "token for Hugging Face here and none on head" in done.output


def test_own_code_needs_allow_code_and_travels_with_it(file, installed):
    client = installed(Client())
    (file.parent / "task.py").write_text("def build(spec, cache, seed): ...\n")
    own = ("--set", "task.type=task.py:build")
    refused = submit(file, *own)
    assert (refused.exit_code, client.submitted) == (2, [])
    done = submit(file, *own, "--allow-code")
    assert done.exit_code == 0, done.output
    words, _, parcel = submitted(client)
    assert sorted(parcel) == ["mine.yaml", "task.py"]
    assert "--allow-code" in words


def test_the_package_travels_as_a_wheel_when_asked(file, installed):
    client = installed(Client())
    assert submit(file, "--ship").exit_code == 0
    check, study = client.wheels
    assert check == study and study[0].startswith("sweep_orchestrator-")
    assert sorted(client.parcels[1]) == ["mine.yaml"]


def test_a_study_is_taken_up_again_by_its_file(file, installed):
    client = installed(Client())
    longer = ("--set", "training_arguments.num_train_epochs=16")
    assert submit(file, "--resume", *longer).exit_code == 0
    words, _, parcel = submitted(client)
    assert words[4:6] == ["resume", "quickstart"]
    assert words[-2:] == list(longer)
    assert list(parcel) == ["mine.yaml"]
    assert submit(file, "--resume", "--smoke").exit_code == 2


def test_json_is_one_object(file, installed):
    client = installed(Client())
    done = submit(file, "--json")
    told = json.loads(done.stdout)
    assert (told["version"], told["address"], told["state"]) == (1, ADDRESS, "running")
    assert (told["study"], told["storage"]) == ("quickstart", STORAGE)
    assert (told["exit_code"], told["nodes"], told["slots"]) == (None, 1, 4)
    assert told["job"] == client.submitted[1]["submission_id"]


@pytest.mark.parametrize("storage", [(), ("--storage", "studies"), ("--storage", "s3://bucket/x")])
def test_storage_must_be_an_absolute_folder_of_the_cluster(file, installed, storage):
    client = installed(Client())
    done = sweep("submit", file, *AT, *storage)
    assert (done.exit_code, client.submitted) == (2, [])
    assert "--storage" in done.output and "absolute path" in done.output


def test_an_address_is_asked_for_and_taken_from_rays_variable(file, installed):
    client = installed(Client())
    assert sweep("submit", file, "--storage", STORAGE).exit_code == 2
    assert client.submitted == []
    done = sweep("submit", file, "--storage", STORAGE, RAY_API_SERVER_ADDRESS=ADDRESS)
    assert done.exit_code == 0, done.output


def test_a_faulty_file_is_told_before_the_cluster_is_asked(file, installed):
    client = installed(Client())
    file.write_text("method: nothing\n")
    assert (submit(file).exit_code, client.submitted) == (2, [])


def test_a_secret_in_an_override_is_refused(file, installed):
    client = installed(Client())
    done = submit(file, "--set", "description=hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ")
    assert (done.exit_code, client.submitted) == (2, [])
    assert "hf_aBc" not in done.output


def test_a_secret_in_an_option_is_refused(file, installed):
    client = installed(Client())
    done = sweep("submit", file, *AT, "--storage", "/s/hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ")
    assert (done.exit_code, client.submitted) == (2, [])
    assert "hf_aBc" not in done.output


def test_a_cluster_without_the_package_is_exit_7_with_the_install_line(file, installed):
    client = installed(Client(answer(node(package=""))))
    done = submit(file)
    assert (done.exit_code, len(client.submitted)) == (7, 1)
    assert "pip install" in done.output and "--ship" in done.output


def test_local_storage_on_several_nodes_is_told_before_the_start(file, installed):
    client = installed(Client(answer(node(), node("two", sees_storage=False))))
    done = submit(file)
    assert (done.exit_code, len(client.submitted)) == (2, 1)
    assert f"all 2 nodes must see {STORAGE}" in done.output


# --- following -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 1, 1),
        ("FAILED", 3, 3),
        ("FAILED", 4, 4),
        ("FAILED", 143, 143),
        ("FAILED", -9, 137),
        ("STOPPED", None, 143),
        ("FAILED", None, 7),
    ],
)
def test_wait_hands_the_studys_exit_code_through(file, installed, state, code, expected):
    installed(Client(state=state, code=code, message="the node died"))
    done = submit(file, "--wait")
    assert done.exit_code == expected, done.output
    assert "one\ntwo\n" in done.output
    if expected == 7:
        assert "the node died" in done.output


def test_wait_with_json_is_one_object_at_the_end(file, installed):
    installed(Client(state="FAILED", code=3))
    done = submit(file, "--wait", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["exit_code"], told["state"]) == (3, 3, "failed")


def test_a_secret_that_a_job_logs_is_not_shown(file, installed):
    installed(Client(log=("token is hf_aBcDeFgHiJkL", "mNoPqRsTuVwXyZ\nlast")))
    done = submit(file, "--wait")
    assert "hf_" not in done.output
    assert "last" in done.output


def test_ctrl_c_leaves_the_job_alone(file, installed, monkeypatch):
    client = installed(Client())

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Jobs, "follow", interrupted)
    done = submit(file, "--wait")
    assert (done.exit_code, client.stopped) == (130, [])
    assert "it goes on" in done.output and "sweep job stop" in done.output


# --- job -----------------------------------------------------------------------------------


@pytest.fixture
def job(file, installed):
    """A client and the name of a job that was submitted."""

    def make(client: Client) -> str:
        installed(client)
        assert submit(file).exit_code == 0
        return client.submitted[1]["submission_id"]

    return make


def test_status_tells_how_a_job_stands(job):
    name = job(Client(state="FAILED", code=143, unready=2))
    running = sweep("job", "status", name, *AT)
    assert f"{name} (quickstart in {STORAGE}): running" in running.output
    ended = sweep("job", "status", name, *AT)
    assert ended.exit_code == 0
    assert "failed, exit 143: interrupted; resumable, after 1 min 30 s" in ended.output
    assert f"next: sweep submit FILE --resume --storage {STORAGE}" in ended.output
    told = json.loads(sweep("job", "status", name, *AT, "--json").stdout)
    assert (told["job"], told["state"], told["exit_code"]) == (name, "failed", 143)


def test_status_of_a_lost_job_says_why(job):
    name = job(Client(state="FAILED", code=None, message="its node died", unready=0))
    assert "failed: its node died" in sweep("job", "status", name, *AT).output


def test_logs_prints_what_there_is_and_follows(job):
    name = job(Client())
    assert sweep("job", "logs", name, *AT).output == "one\ntwo\n"
    assert json.loads(sweep("job", "logs", name, *AT, "--json").stdout)["log"] == "one\ntwo\n"
    followed = sweep("job", "logs", name, *AT, "-f")
    assert followed.exit_code == 0
    assert followed.output.startswith("one\ntwo\n") and "succeeded, exit 0: done" in followed.output
    assert sweep("job", "logs", name, *AT, "-f", "--json").exit_code == 2


def test_wait_exits_with_the_studys_code(job):
    name = job(Client(state="FAILED", code=3))
    done = sweep("job", "wait", name, *AT, "--json")
    assert (done.exit_code, json.loads(done.stdout)["exit_code"]) == (3, 3)


def test_stop_ends_a_job_and_says_how_to_go_on(job):
    client = Client(unready=1000)
    name = job(client)
    done = sweep("job", "stop", name, *AT)
    assert (done.exit_code, client.stopped) == (0, [name])
    assert "stopped, exit 143: interrupted; resumable" in done.output
    assert "--resume" in done.output


@pytest.mark.parametrize("command", ["status", "logs", "stop", "wait"])
def test_a_job_that_is_not_there_is_told(installed, command):
    installed(Client())
    done = sweep("job", command, "nope", *AT)
    assert done.exit_code == 2
    assert "there is no job nope" in done.output


@pytest.mark.parametrize("command", ["status", "logs", "stop", "wait"])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionError("Failed to connect to Ray"), "cannot be reached"),
        (AuthenticationError("Authentication failed"), "token"),
    ],
    ids=["no server", "wrong token"],
)
def test_a_cluster_that_cannot_be_asked_is_exit_7(installed, monkeypatch, command, error, says):
    def fail(address, headers):
        raise error

    installed(Client())
    monkeypatch.setattr(jobs, "open_client", fail)
    done = sweep("job", command, "any", *AT)
    assert done.exit_code == 7
    assert says in done.output and "mend:" in done.output
