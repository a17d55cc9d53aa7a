"""The rules of the house: who imports whom, what is loaded when, and that the docs hold.

What a README or a page under docs promises about commands, keys and exit codes is checked
against the program here; what it promises about behaviour has a test beside the behaviour.
"""

from __future__ import annotations

import ast
import fnmatch
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel
from typer.core import TyperGroup

from orchestrator import errors
from orchestrator.searchers import SEARCHERS
from search_spaces import SweepError, SweepSpec, read_sweep
from sweeps.cli import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "orchestrator", "sweeps")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
WRITTEN = [
    p
    for p in sorted((ROOT / "docs").rglob("*.md"))
    if p.name != "report.md" or p.parent.name == "docs"
]
"""Pages by hand; the examples' reports are made by the program."""

PAGES = [ROOT / "README.md", *WRITTEN]
TEXTS = [*PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "spaces").glob("*.yaml"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Layer -> what its modules must not import, at the top or inside a function.
FORBIDDEN = {
    "search_spaces/*": {"orchestrator", "sweeps", "ray", "torch", "transformers", "numpy"},
    "orchestrator/*": {"sweeps"},
    "orchestrator/tasks/*": {"sweeps", "ray"},
    "sweeps/*": {"ray", "torch", "transformers"},
    **{
        f"orchestrator/{name}.py": {"sweeps", "ray", "torch", "transformers"}
        for name in (
            "searchers",
            "schedulers",
            "population",
            "dispatch",
            "state",
            "events",
            "journal",
            "results",
            "retention",
            "checkpoints",
            "simulate",
        )
    },
    **{
        f"orchestrator/{name}.py": {"sweeps", "ray"}
        for name in ("trial", "hyperparameters", "snapshot")
    },
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """The top-level packages that a module names in any import statement."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


# --- modules -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_point_one_way(path):
    for pattern, forbidden in FORBIDDEN.items():
        if fnmatch.fnmatch(relative(path), pattern):
            wrong = imported(path) & forbidden
            assert not wrong, f"{relative(path)} must not import {', '.join(sorted(wrong))}"


def test_the_layers_that_the_rules_name_are_there():
    names = [relative(path) for path in MODULES]
    assert [p for p in FORBIDDEN if not fnmatch.filter(names, p)] == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_is_for(path):
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{relative(path)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_user_input_is_checked_by_assert_and_no_error_is_swallowed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in nodes(path):
        assert not isinstance(node, ast.Assert), f"{relative(path)}:{node.lineno}: assert"
        if isinstance(node, ast.ExceptHandler):
            where = f"{relative(path)}:{node.lineno}"
            assert node.type is not None, f"{where}: bare except"
            only_pass = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            reason = "#" in lines[node.body[0].lineno - 1]
            assert not only_pass or reason, f"{where}: except with nothing but pass, and no reason"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_no_module_is_unfinished(path):
    marks = re.findall(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text())
    assert marks == [], relative(path)


# --- what is loaded ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("search_spaces, search_spaces.schema", {"ray", "torch", "transformers", "numpy"}),
        (
            "orchestrator.searchers, orchestrator.schedulers, orchestrator.population,"
            " orchestrator.dispatch, orchestrator.results",
            {"ray", "torch", "transformers"},
        ),
        ("sweeps.cli", {"ray", "torch", "transformers", "datasets", "optuna", "wandb", "numpy"}),
        (
            "sweeps.reporting, sweeps.report.optuna_storage, optuna.importance",
            {"ray", "torch", "transformers", "datasets", "wandb"},
        ),
    ],
    ids=["language", "deciders", "command line", "report"],
)
def test_importing_loads_no_heavy_library(modules, absent):
    code = f"import sys, {modules}\nprint(*sorted({absent!r} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


# --- tables --------------------------------------------------------------------------------


def test_every_method_of_the_language_has_its_searcher():
    assert set(SEARCHERS) == set(typing.get_args(SweepSpec.model_fields["method"].annotation))


# --- the package ---------------------------------------------------------------------------


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    listed = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        listed += extra
    return [r for r in map(Requirement, listed) if r.name != project["name"]]


def test_every_requirement_has_a_lower_and_an_upper_bound():
    for requirement in requirements():
        operators = {s.operator for s in requirement.specifier}
        assert operators == {">=", "<"}, str(requirement)


def pinned(name: str) -> dict[str, str]:
    """The versions that a constraints file holds."""
    lines = (ROOT / name).read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in pins.items()}


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lowest.txt"])
def test_the_constraints_hold_a_tested_version_of_every_requirement(name):
    versions = pinned(name)
    for requirement in requirements():
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), str(requirement)
    assert versions["torch"] == "2.13.0"


@pytest.mark.parametrize("name", ["ray", "transformers", "optuna", "wandb"])
def test_the_lower_bounds_of_the_big_four_are_tested(name):
    ranges = [r.specifier for r in requirements() if r.name == name]  # ray: one for each extra
    (lower,) = {s.version for found in ranges for s in found if s.operator == ">="}
    assert pinned("constraints-lowest.txt")[name].startswith(lower)


def test_wandbs_extra_that_shadows_our_package_is_never_required():
    for requirement in requirements():
        assert not (requirement.name == "wandb" and requirement.extras), str(requirement)


def test_every_data_file_of_the_packages_is_installed_with_them():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            inside = path.relative_to(path.parents[0]).as_posix()
            nested = path.relative_to(path.parents[1]).as_posix()
            fits = any(fnmatch.fnmatch(p, q) for p in (inside, nested) for q in patterns)
            assert fits, f"{relative(path)} is in no package-data pattern"


def test_typed_packages_say_so():
    for package in ("search_spaces", "sweeps"):
        assert (ROOT / package / "py.typed").exists()


# --- texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_texts_name_no_machine_and_no_registry(path):
    found = re.findall(
        r"/(?:work|root|tmp|opt|home)/\S*|pypi\.\S+|pythonhosted\S*|npmjs\S*",
        path.read_text(encoding="utf-8"),
    )
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_between_pages_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), f"{relative(path)} links to {target}"


def blocks(path: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Every `sweep ...` line and `sweep ...` in backticks of the pages."""
    found = []
    for path in PAGES:
        text = path.read_text()
        joined = [re.sub(r"\s*\\\n\s*", " ", block) for block in blocks(path, r"\w*")]
        lines = [line for block in joined for line in block.splitlines()]
        shown = [line.strip().removeprefix("$ ") for line in lines]
        written = [line for line in shown if line.startswith("sweep ")]
        written += re.findall(r"`(sweep [^`]+)`", text)
        found += [(relative(path), line) for line in written]
    return sorted(set(found))


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_in_the_docs_is_one_that_the_program_takes(page, line):
    group = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    if words[0].startswith("-") or words == ["COMMAND", "--help"]:
        assert words in (["--help"], ["--version"], ["COMMAND", "--help"])
        return
    command = group.commands.get(words[0])
    assert command is not None, f"{page}: {line}: no such command"
    if isinstance(command, TyperGroup) and words[1:] != ["--help"]:
        words = words[1:]
        command = command.commands.get(words[0])
        assert command is not None, f"{page}: {line}: no such command"
    options = {name for parameter in command.params for name in parameter.opts}
    for word in words[1:]:
        if word.startswith("-"):
            assert word in options | {"--help"}, f"{page}: {line}: no option {word}"
        if re.fullmatch(r"spaces/\w+\.yaml", word):
            assert (ROOT / word).exists(), f"{page}: {line}: no such file"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_make_target_in_the_docs_is_in_the_makefile(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^\$ |`)make ([a-z]+)", page.read_text(), flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize(
    ("page", "text"),
    [(relative(path), text) for path in PAGES for text in blocks(path, "yaml")],
)
def test_every_sweep_file_in_the_docs_is_valid(page, text, tmp_path):
    (tmp_path / "docs.yaml").write_text(text)
    read_sweep(tmp_path / "docs.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "spaces").glob("*.yaml")), ids=relative)
def test_every_ready_sweep_file_is_valid_and_opens_with_what_it_does(path):
    read_sweep(path)
    assert path.read_text().startswith("#")


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key that a sweep file may hold below a model."""
    for name, field in model.model_fields.items():
        if name not in ("smoke", "options"):
            yield field.alias or name
        for part in typing.get_args(field.annotation) or (field.annotation,):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                yield from keys(part)


def test_every_key_of_the_language_is_in_its_reference():
    reference = (ROOT / "docs" / "sweep-file.md").read_text()
    missing = {key for key in keys(SweepSpec) if not re.search(rf"\b{key}\b", reference)}
    assert missing == set()


def test_every_exit_code_of_an_error_is_in_the_docs():
    page = (ROOT / "docs" / "command-line.md").read_text()
    documented = {
        int(n) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.M) for n in row.split(",")
    }
    raised = {
        cls.exit_code
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, SweepError)
    }
    assert raised | {0, 2, 3, 129, 130, 138, 143} == documented


@pytest.mark.xdist_group("house")
def test_what_must_not_run_side_by_side_reaches_the_scheduler_as_a_group(
    request: pytest.FixtureRequest,
) -> None:
    if not request.config.getoption("loadgroup", False):
        pytest.skip("pytest runs in one process")
    assert request.node.nodeid.endswith("@house")
