import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from sweeps import __version__
from sweeps.submission import wheel
from sweeps.submission.wheel import PACKAGES, package_files, requirements, write_wheel

ROOT = Path(__file__).parents[2]


def test_a_wheel_holds_what_a_release_holds_and_no_dependencies(tmp_path):
    path = write_wheel(tmp_path)
    name, version, build, _ = parse_wheel_filename(path.name)
    assert (name, str(version)) == ("sweep-orchestrator", __version__)
    assert build
    with zipfile.ZipFile(path) as archive:
        inside = set(archive.namelist())
        metadata = next(n for n in inside if n.endswith("METADATA"))
        assert b"Requires-Dist" not in archive.read(metadata)
    there = {
        f.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for f in (ROOT / package).rglob("*")
        if f.is_file() and "__pycache__" not in f.parts
    }
    assert {n for n in inside if ".dist-info/" not in n} == there


def test_what_lies_beside_the_package_stays(tmp_path, monkeypatch):
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    for name in (".env", "model.safetensors", "key.pem", ".hidden.py"):
        (tmp_path / "sweeps" / name).write_text("canary")

    class Found:
        def __init__(self, place: Path) -> None:
            self.submodule_search_locations = [str(place)]

    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda name: Found(tmp_path / name))
    assert sorted(package_files()) == [f"{name}/__init__.py" for name in sorted(PACKAGES)]


def test_ray_knows_it_by_its_name_so_the_name_changes_with_the_content(tmp_path, monkeypatch):
    files = package_files()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setattr(wheel, "package_files", lambda: dict(files))
    first = write_wheel(tmp_path)
    again = write_wheel(tmp_path / "a")
    monkeypatch.setattr(wheel, "package_files", lambda: {**files, "sweeps/x.py": b"1"})
    changed = write_wheel(tmp_path / "b")
    assert first.name == again.name != changed.name
    assert first.read_bytes() == again.read_bytes()


def test_the_program_runs_from_an_unpacked_wheel(tmp_path):
    with zipfile.ZipFile(write_wheel(tmp_path)) as archive:
        archive.extractall(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "--version"],
        cwd=tmp_path / "installed",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["sweep", __version__], done.stderr


def test_what_it_needs_is_told_without_extras():
    assert all("extra" not in text for text in requirements())
