"""A task from a person's own file: what works, and every way in which the file can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.tasks import Prepared, Task, TaskError, make_task
from search_spaces.parts import TaskSpec

GOOD = """
from orchestrator.tasks import Prepared

class Echo:
    train_dataset = eval_dataset = [1, 2]
    test_dataset = tokenizer = None
    labels = ()
    collator = staticmethod(list)
    compute_metrics = staticmethod(lambda prediction: {"shouted": 1.0})
    def __init__(self, spec, cache, seed):
        self.options, self.seed = spec.options, seed
        self.model_key = ("echo", seed)
    def prepare(self):
        return Prepared("own", (), {"train": 2, "validation": 2}, ("shouted",))
    def build_model(self, seed):
        return seed

def build(spec, cache, seed):
    return Echo(spec, cache, seed)
"""


def own(path: Path, function: str = "build") -> Task:
    spec = TaskSpec.model_validate({"type": f"{path}:{function}", "options": {"loud": True}})
    return make_task(spec, path.parent / "cache", 7)


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of its own name for each test, as modules are kept by name."""
    return tmp_path / f"{request.node.name.partition('[')[0]}.py"


def test_the_files_function_makes_the_task_from_spec_cache_and_seed(file: Path) -> None:
    file.write_text(GOOD)
    task = own(file)
    assert task.prepare() == Prepared("own", (), {"train": 2, "validation": 2}, ("shouted",))
    assert (task.options, task.seed) == ({"loud": True}, 7)  # type: ignore[attr-defined]
    assert task.model_key == ("echo", 7)


def test_the_file_is_run_once_a_process(file: Path) -> None:
    file.write_text(GOOD)
    assert type(own(file)) is type(own(file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"has no function build\.\n.*write def build\(spec, cache, seed\)"),
        ("def biuld(a, b, c): ...", r"has no function build\.\n.*did you mean biuld\?"),
        ("build = 3", "has no function build"),
        ("def build(spec): ...", r"build of .* must take \(spec, cache, seed\); it takes \(spec\)"),
        (
            "def build(spec, cache, seed): ...",
            r"what it returned \(NoneType\) lacks prepare, train",
        ),
        ("import no_such_module", r"raised ModuleNotFoundError: No module.*\.py:1\)"),
        ("\n\ndef build(:", r"raised SyntaxError: .*\.py:3\)"),
        ("def build(s, c, n):\n    return 1 / 0", r"raised ZeroDivisionError.*\.py:2\)"),
    ],
)
def test_a_file_that_is_no_task_is_one_message(file: Path, text: str, words: str) -> None:
    file = file.with_name(f"task_{abs(hash(text))}.py")
    file.write_text(text)
    with pytest.raises(TaskError, match=words) as caught:
        own(file)
    assert caught.value.exit_code == 2
    assert "\n    mend: " in str(caught.value)


def test_what_a_task_lacks_is_listed_by_name(file: Path) -> None:
    lacking = GOOD.replace("train_dataset = eval_dataset", "eval_dataset")
    file.write_text(lacking.replace("labels = ()", "names = ()"))
    with pytest.raises(TaskError, match=r"\(Echo\) lacks train_dataset, labels\."):
        own(file)


def test_members_are_looked_for_and_not_read(file: Path) -> None:
    late = "    @property\n    def labels(self):\n        raise OSError('not loaded yet')\n"
    file.write_text(GOOD.replace("    labels = ()\n", late))
    assert own(file).model_key == ("echo", 7)


def test_a_missing_file_is_named_with_the_working_directory(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no file .*nowhere\.py \(working directory"):
        own(tmp_path / "nowhere.py")
