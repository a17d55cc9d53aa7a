"""`sweep report`: read studies, gather them, write the report's folder, say where it is.

Computes and words nothing itself (`sweeps/report/`). `sweep compare` writes through the same
function, so that a comparison and `sweep report` of its studies give the same document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.results import StudyResult, read_study
from sweeps.console import Surface
from sweeps.report.folder import refuse_foreign, write_report
from sweeps.report.gather import gather
from sweeps.report.methods import grouped
from sweeps.report.model import Note, Report
from sweeps.report.optuna_storage import refuse_existing, write_optuna
from sweeps.studies import find_study
from sweeps.text import command, count, printable
from sweeps.views_beside import looking_words

DEFAULT_OUTPUT = Path("reports")

_STYLES = {"red": "red", "warn": "yellow", "info": None}


def report_studies(
    surface: Surface,
    names: Sequence[str],
    *,
    storage: Path,
    output: Path | None = None,
    optuna_storage: Path | None = None,
    labels: Mapping[Path, str] | None = None,
    storage_words: Sequence[str] = (),
) -> Report:
    """Report on studies that exist, and say what to do next.

    Args:
        names: of studies under `storage`, or their folders.
        output: the report's folder; None: `reports/` and the first study's name.
        optuna_storage: an SQLite file to write the studies into as well.
        labels: a study's folder (resolved) -> its method's label; None: as the comparisons under
            `storage` have them.
        storage_words: what a next command needs to find the studies.

    Raises:
        UsageError: there is no such study, or a place to write to is taken.
        StudyUnreadable: a study is damaged.
        ReportRefused: the studies do not share a metric.
    """
    studies = [read_study(find_study(name, storage)) for name in names]
    folder = output or default_output(studies)
    refuse_foreign(folder)
    if optuna_storage is not None:
        refuse_existing(optuna_storage)
    methods = grouped(studies, known_labels(storage) if labels is None else labels)
    report = gather(methods, command=known_command(storage, studies))
    files = write_report(report, folder)
    if optuna_storage is not None:
        written = write_optuna(methods, optuna_storage)
        files.append(optuna_storage)
        surface.say(f"{count(len(written), 'study', 'studies')} written to {optuna_storage}")
    say_report(surface, report, folder)
    surface.give(outcome(report, files))
    surface.next_step(next_command(names, studies, storage_words))
    return report


def next_command(
    names: Sequence[str], studies: Sequence[StudyResult], storage_words: Sequence[str]
) -> str:
    """The look at the test split that one of them lacks, a first before a second; else the best.

    The best study is the one whose selected value is; without any value it is the first.
    """
    lacking = [
        (len(words), name, words)
        for name, study in zip(names, studies, strict=True)
        if (words := looking_words(study)) is not None
    ]
    if not lacking:
        name, _ = min(zip(names, studies, strict=True), key=lambda one: _rank(one[1]))
        return command("sweep", "best", name, *storage_words)
    _, name, words = min(lacking, key=lambda one: one[0])
    return command("sweep", "evaluate", name, *storage_words, "--split", "test", *words)


def _rank(study: StudyResult) -> float:
    """Lowest for the study whose selected value is best; infinite without one."""
    selected = study.state.selected
    if selected is None:
        return math.inf
    return -selected.value if study.state.goal == "maximize" else selected.value


def known_labels(storage: Path) -> dict[Path, str]:
    """What the comparisons under a storage folder call the methods of their studies."""
    from sweeps.comparing.manifest import manifests  # a comparison itself reports through here

    return {
        folder: label
        for manifest in manifests(storage)
        for folder, label in manifest.labels(storage).items()
    }


def known_command(storage: Path, studies: Sequence[StudyResult]) -> str:
    """The `sweep compare` whose studies these are, all of them and no other; else nothing."""
    from sweeps.comparing.manifest import manifests  # as above

    folders = {study.folder.resolve() for study in studies}
    found = (m.command for m in manifests(storage) if m.folders(storage) == folders)
    return next(found, "")


def default_output(studies: Sequence[StudyResult]) -> Path:
    """Where a report goes that nobody gave a place: named after its studies."""
    first = studies[0].spec.name
    others = len({study.folder.resolve() for study in studies}) - 1
    return DEFAULT_OUTPUT / (f"{first}-and-{others}-more" if others else first)


def say_report(surface: Surface, report: Report, folder: Path) -> None:
    """Say the verdict, what undermines it, and where the document is."""
    surface.say(report.verdict.text, style="bold")
    for note in report.notes:
        if note.severity != "info":
            surface.say(_line(note), style=_STYLES[note.severity])
    surface.say(f"report: {folder / 'report.html'}")


def _line(note: Note) -> str:
    return f"{'red note' if note.severity == 'red' else 'note'}: {printable(note.text)}"


def outcome(report: Report, files: Sequence[Path]) -> dict[str, Any]:
    """What `--json` tells of a report: its verdict, its notes and its files; not all of it."""
    return {
        "verdict": report.verdict.text,
        "claim": report.verdict.claim,
        "repetitions": report.verdict.repetitions,
        "notes": [{"severity": note.severity, "text": note.text} for note in report.notes],
        "methods": [method.label for method in report.methods],
        "trials": len(report.trials),
        "files": [str(file) for file in files],
    }
