from pathlib import Path

import pytest

from orchestrator.errors import Unfit
from orchestrator.tasks import sources
from search_spaces import Sweep, SweepSpec
from sweeps.submission import shipping
from sweeps.submission.shipping import LARGEST_BYTES, data_paths, pack, secret_lines
from tests.sweeps.studies import spec

CODE = "def build(spec, cache, seed):\n    return None\n"


def with_task(**task: object) -> SweepSpec:
    whole = spec()
    return whole.model_copy(update={"task": whole.task.model_copy(update=task)})


def sweep(of: SweepSpec, source: str = "method: random\n") -> Sweep:
    return Sweep(spec=of, path=Path("spaces/mine.yaml"), source=source)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory full of what must stay, and beside it the folder to fill."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in (".env", "id_rsa", "model.safetensors", "notes.txt", ".git"):
        (folder / name).write_text("canary")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def parcel(tmp_path):
    folder = tmp_path / "parcel"
    folder.mkdir()
    return folder


def packed(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_the_sweep_file_travels_and_nothing_that_lies_beside_it(here, parcel):
    made = pack(sweep(spec()), parcel)
    assert packed(parcel) == {"mine.yaml": "method: random\n"}
    assert (made.file, made.names, made.overrides) == ("mine.yaml", ("mine.yaml",), ())


def test_the_python_file_that_it_names_travels_to_the_same_place(here, parcel):
    (here / "tasks").mkdir()
    (here / "tasks" / "mine.py").write_text(CODE)
    (here / "tasks" / "other.py").write_text(CODE)
    made = pack(sweep(with_task(type="tasks/mine.py:build")), parcel)
    assert packed(parcel) == {"mine.yaml": "method: random\n", "tasks/mine.py": CODE}
    assert made.overrides == ()


@pytest.mark.parametrize("how", ["absolute", "above"])
def test_one_from_elsewhere_travels_beside_the_file_which_is_told_so(here, parcel, how):
    (here.parent / "mine.py").write_text(CODE)
    given = str(here.parent / "mine.py") if how == "absolute" else "../mine.py"
    made = pack(sweep(with_task(type=f"{given}:build")), parcel)
    assert sorted(packed(parcel)) == ["mine.py", "mine.yaml"]
    assert made.overrides == ("task.type=mine.py:build",)
    assert sorted(path.name for path in parcel.parent.iterdir()) == ["here", "mine.py", "parcel"]


def test_a_python_file_that_is_not_there_is_said(here, parcel):
    with pytest.raises(Unfit, match=r"none\.py cannot be read"):
        pack(sweep(with_task(type="none.py:build")), parcel)


def test_one_that_is_too_large_is_refused(here, parcel):
    (here / "mine.py").write_text("#" * (LARGEST_BYTES + 1))
    with pytest.raises(Unfit, match=r"at most 1\.0 MiB"):
        pack(sweep(with_task(type="mine.py:build")), parcel)


def test_one_that_is_no_text_is_refused(here, parcel):
    (here / "mine.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Unfit, match="UTF-8"):
        pack(sweep(with_task(type="mine.py:build")), parcel)


def test_one_with_a_secret_is_refused_by_its_line_without_repeating_it(here, parcel):
    (here / "mine.py").write_text(f'import os\n\nAPI_KEY = "s3cr3t-canary-1"\n{CODE}')
    with pytest.raises(Unfit, match=r"mine\.py:3 seems to hold a secret") as refused:
        pack(sweep(with_task(type="mine.py:build")), parcel)
    assert "canary" not in str(refused.value)
    assert not (parcel / "mine.py").exists()


@pytest.mark.parametrize(
    "line",
    [
        'login("hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ")',
        "# the key: AKIAABCDEFGHIJKLMNOP",
        'db = "postgres://me:hunter2hunter2@host/db"',
        'self.password = "correct-horse-9"',
        'config = {"api_key": "abcd-1234-efgh"}',
        'connect(token="abcd-1234-efgh")',
        'def f(secret="abcd-1234-efgh"): pass',
        'def f(*, secret="abcd-1234-efgh"): pass',
        'os.environ["HF_TOKEN"] = "abcd-1234-efgh"',
        'key: str = f"hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ{1}"',
    ],
)
def test_secrets_in_code_are_found(line):
    assert list(secret_lines(f"\n{line}\n")) == [2]


@pytest.mark.parametrize(
    "line",
    [
        'token = os.environ["HF_TOKEN"]',
        'api_key = os.environ.get("WANDB_API_KEY", "")',
        "password = getpass.getpass()",
        'TOKEN_VARIABLE = "HF_TOKEN"',
        'pad_token = tokenizer.pad_token or "[PAD]"',
        'secret_key = "key"',
        "# the token comes from the environment",
    ],
)
def test_code_that_says_where_a_secret_stands_is_let_through(line):
    assert list(secret_lines(f"{line}\n")) == []


def test_what_is_no_python_is_searched_line_by_line():
    assert list(secret_lines("def (:\npassword: hunter2hunter2\n")) == [2]


def test_paths_that_do_not_travel_are_named_by_their_keys():
    whole = with_task(model="/data/bert", dataset=spec().task.dataset)
    dataset = whole.task.dataset.model_copy(
        update={"path": "json", "data_files": {"train": ("/data/a.json", "~/b*.json", "hf://x")}}
    )
    task = whole.task.model_copy(update={"dataset": dataset})
    assert data_paths(whole.model_copy(update={"task": task})) == {
        "task.model": "/data/bert",
        "task.dataset.data_files.train": "/data/a.json",
        "task.dataset.data_files.train (~/b*.json)": "~/b*.json",
    }


def test_names_on_the_hub_are_no_paths(here):
    assert data_paths(with_task(model="google-bert/bert-base-uncased")) == {}


@pytest.mark.parametrize("model", ["./bert", "../bert", "models/bert"])
def test_a_relative_path_is_refused_with_what_to_do(here, model):
    (here / "models" / "bert").mkdir(parents=True)
    with pytest.raises(Unfit, match="relative path") as refused:
        data_paths(with_task(model=model))
    assert "--set task.model=" in str(refused.value)


def test_the_kinds_of_files_are_those_that_the_task_reads():
    assert shipping._FILE_KINDS == sources.FILE_KINDS
