"""Preparing in a process of its own: the same answer, the same errors, nothing on stdout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.tasks import HubUnreachable, TaskError, make_task
from orchestrator.tasks.apart import prepare_apart
from search_spaces.parts import TaskSpec

TOY = TaskSpec.model_validate(
    {
        "model": "toy-bert",
        "dataset": {"path": "toy-sentiment", "text": "text"},
        "rows": {"train": 16, "validation": 8},
        "max_length": 16,
    }
)


@pytest.fixture(scope="module")
def prepared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which TOY is prepared."""
    cache = tmp_path_factory.mktemp("cache")
    make_task(TOY, cache, 1).prepare()
    return cache


def test_it_prepares_as_the_task_itself_would(tmp_path: Path) -> None:
    assert prepare_apart(TOY, tmp_path, 1) == make_task(TOY, tmp_path, 1).prepare()


def test_what_is_prepared_already_is_found_without_the_heavy_libraries(
    prepared_cache: Path,
) -> None:
    code = (
        "import sys; from pathlib import Path; from search_spaces.parts import TaskSpec\n"
        "from orchestrator.tasks import make_task\n"
        f"spec = TaskSpec.model_validate_json({TOY.model_dump_json()!r})\n"
        f"make_task(spec, Path({str(prepared_cache)!r}), 1).prepare()\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_mistake_comes_back_as_the_same_error(tmp_path: Path) -> None:
    wrong = TOY.model_copy(update={"metrics": ("pearson",)})
    with pytest.raises(TaskError, match=r"pearson is not defined(.|\n)*mend: use accuracy"):
        prepare_apart(wrong, tmp_path, 1)
    away = TOY.model_copy(update={"model": "some/where"})
    with pytest.raises(HubUnreachable, match="some/where is neither") as caught:
        prepare_apart(away, tmp_path, 1)
    assert caught.value.exit_code == 7


def test_what_a_task_prints_does_not_get_into_the_answer(
    tmp_path: Path, prepared_cache: Path
) -> None:
    file = tmp_path / "loud.py"
    file.write_text(
        "from orchestrator.tasks import make_task\n"
        "def build(spec, cache, seed):\n"
        "    print('{loud}')\n"
        "    spec = spec.model_copy(update={'type': 'text-classification'})\n"
        "    return make_task(spec, cache, seed)\n"
    )
    spec = TOY.model_copy(update={"type": f"{file}:build"})
    assert prepare_apart(spec, prepared_cache, 1).rows == {"train": 16, "validation": 8}


def test_a_process_that_dies_says_its_last_words(tmp_path: Path) -> None:
    file = tmp_path / "dying.py"
    file.write_text(
        "import os, sys\n"
        "def build(spec, cache, seed):\n"
        "    sys.stderr.write('no room left'); sys.stderr.flush(); os._exit(3)\n"
    )
    spec = TOY.model_copy(update={"type": f"{file}:build"})
    with pytest.raises(RuntimeError, match=r"ended with 3:\n.*no room left"):
        prepare_apart(spec, tmp_path, 1)
