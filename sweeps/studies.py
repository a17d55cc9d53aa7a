"""From the STUDY that a person typed to a study's folder.

Does not read studies (`orchestrator/results.py` does). STUDY is a name under the storage folder
or the path of a study's folder; a bare name wins over a folder of the same name in the current
directory, because that is what `sweep list` prints.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.journal import JOURNAL
from orchestrator.specification import is_study
from search_spaces.errors import SweepError, nearest
from search_spaces.parts import NAME

DEFAULT_STORAGE = Path("studies")


class UsageError(SweepError):
    """The command line asks for something that cannot be; nothing was started."""

    exit_code = 2

    def __init__(self, rule: str, *, mend: str) -> None:
        super().__init__(f"{rule}\n    mend: {mend}")


def study_names(storage: Path) -> list[str]:
    """Names of the studies under a storage folder, sorted; empty when there is none."""
    if not storage.is_dir():
        return []
    return sorted(p.name for p in storage.iterdir() if NAME.fullmatch(p.name) and is_study(p))


def find_study(study: str, storage: Path) -> Path:
    """The folder of a study.

    Args:
        study: a name under `storage`, or the path of a study's folder.

    Raises:
        UsageError: there is no such study, or a name leads out of the storage folder.
    """
    if NAME.fullmatch(study) and is_study(storage / study):
        return inside(storage, study)
    folder = Path(study)
    if "/" in study or folder.is_dir():
        if is_study(folder):
            return folder
        if "/" in study or not NAME.fullmatch(study):
            raise UsageError(
                f"STUDY must be a study's name or folder; {study} holds no {JOURNAL}.",
                mend="`sweep list` shows the studies there are.",
            )
    names = study_names(storage)
    near = nearest(study, names)
    raise UsageError(
        f"STUDY must be a study under {storage}; got {study}.",
        mend=(f"did you mean {near}? " if near else "")
        + (f"Studies there: {', '.join(names[:20])}." if names else "There is none there yet:")
        + (
            " `sweep list` shows them all."
            if names
            else " `sweep run FILE` makes one, --storage names another folder."
        ),
    )


def inside(storage: Path, name: str) -> Path:
    """`storage / name`, once its real path is known to stay under the storage folder.

    Raises:
        UsageError: the name breaks the rule for names, or a link leads elsewhere.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            "a study's name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or a"
            f" digit; got {name}.",
            mend="give another --name.",
        )
    folder = storage / name
    if folder.resolve().parent != storage.resolve():
        raise UsageError(
            f"a study must stand in its storage folder; {folder} is a link that leads out of it.",
            mend="give another --name, or the real folder's parent as --storage.",
        )
    return folder
