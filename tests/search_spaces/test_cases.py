"""Every bad sweep file under cases/ gives exactly the faults that it expects, at their places.

A case ends with its expectations, one a line: `# expect: LINE:COLUMN message mend: mend`;
VERSION stands for the installed transformers'.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from search_spaces import SpecError, read_sweep
from search_spaces.installed_arguments import installed_version

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
_MARK = "# expect: "


def expectations(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
    return [line.replace("VERSION", installed_version()) for line in found]


def test_there_are_cases() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_bad_file_gives_all_of_its_faults_at_their_places(path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_sweep(path)
    found = [
        f"{f.place.line}:{f.place.column} {f.message()} mend: {f.mend}" for f in caught.value.faults
    ]
    assert found == expectations(path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_a_fault_names_its_place_shows_its_line_and_says_how_to_mend_it(path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_sweep(path)
    error = caught.value
    shown = error.render()
    for fault in error.faults:
        assert fault.mend
        assert f"{path}:{fault.place.line}:{fault.place.column}: " in shown
        column = fault.place.column
        assert 1 <= column <= len(error.lines[fault.place.line - 1]) + 1
    noun = "fault" if len(error.faults) == 1 else "faults"
    assert shown.endswith(f"{len(error.faults)} {noun} in {path}; nothing was started.")
