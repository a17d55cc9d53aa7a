"""`sweep compare` with a runner that trains nothing: what runs in which order, what is refused, and
how a comparison that was cut off goes on."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.errors import DiskFull, Interrupted, StudyTaken, StudyUnreadable
from orchestrator.events import TrialInterrupted
from orchestrator.journal import JOURNAL
from orchestrator.lock import StudyLock
from orchestrator.results import list_studies, read_study
from search_spaces import SpecError
from sweeps.cli import app
from sweeps.comparing.compare import Asked, compare
from sweeps.comparing.manifest import MANIFEST, read_manifest
from sweeps.comparing.view import spent
from sweeps.console import Surface
from sweeps.report.gather import gather
from sweeps.report.methods import Method, grouped
from sweeps.report.model import Metric, Report, Verdict
from sweeps.studies import UsageError
from tests.comparing.files import WritesStudies, broken, write_file
from tests.sweeps.reported import result, trial
from tests.sweeps.studies import random_study, reached, spec, started, write_study

REPORT = Report(
    title="t",
    metric=Metric(name="eval_accuracy", goal="maximize", label="accuracy"),
    generated="",
    generator="",
    device="cpu",
    verdict=Verdict(text="Nothing is claimed.", claim="none", repetitions=1),
    notes=(),
    methods=(),
    final=(),
    pairs=(),
    captions={},
    thinned=(),
    trials=(),
    reproduction=(),
)


class Place:
    """A folder with sweep files, and `sweep compare` in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.storage = folder / "studies"
        self.runner = WritesStudies()
        self._capsys = capsys
        self.said = ""
        self.reports: list[list[tuple[str, int]]] = []

    def file(self, method: str, stem: str = "", **keys: object) -> str:
        return str(write_file(self.folder, method, stem, **keys))

    def compare(self, *arguments: str, **options: object) -> int:
        asked = Asked(arguments, storage=self.storage, name="toy", **options)  # type: ignore[arg-type]
        self._capsys.readouterr()
        self.runner.told.clear()
        try:
            return compare(Surface(plain=True), asked, lambda ray: self.runner, self.write)
        finally:
            self.said = self._capsys.readouterr().out

    def write(self, methods: Sequence[Method], folder: Path) -> Report:
        """In the report's place."""
        self.reports.append([(method.label, len(method.studies)) for method in methods])
        return REPORT

    def told_so_far(self) -> str:
        """What was printed since it was last asked."""
        return self._capsys.readouterr().out

    def studies(self) -> dict[str, int]:
        """Name -> seed of every study there."""
        return {f.name: read_study(f).spec.seed for f in list_studies(self.storage)}


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, capsys)


# --- what runs -----------------------------------------------------------------------------


def test_every_method_runs_with_the_same_seeds_repetition_by_repetition(place: Place) -> None:
    files = [place.file(m) for m in ("grid", "bayes", "pbt")]
    assert place.compare(*files, repetitions=2) == 0
    assert [name for _, name in place.runner.told] == [
        "toy-grid-r1", "toy-bayes-r1", "toy-pbt-r1", "toy-grid-r2", "toy-bayes-r2", "toy-pbt-r2",
    ]  # fmt: skip
    assert place.studies() == {
        f"toy-{m}-r{n}": 4 + n for m in ("grid", "bayes", "pbt") for n in (1, 2)
    }


def test_training_follows_the_repetitions_seed(place: Place) -> None:
    place.compare(place.file("bayes"), seeds="3,8")
    specs = [read_study(place.storage / f"toy-bayes-r{n}").spec for n in (1, 2)]
    assert [s.training_for({})["seed"] for s in specs] == [3, 8]


def test_the_default_configuration_is_tried_by_every_method_also_beside_a_grid(
    place: Place,
) -> None:
    files = [place.file("grid"), place.file("pbt", default_first=False)]
    place.compare(*files, repetitions=1)
    for method in ("grid", "pbt"):
        assert read_study(place.storage / f"toy-{method}-r1").spec.default_first is True


def test_files_of_the_same_method_are_told_apart_by_their_names(place: Place) -> None:
    files = [place.file("bayes", "one"), place.file("bayes", "two"), place.file("grid")]
    place.compare(*files, repetitions=1)
    assert sorted(place.studies()) == ["toy-grid-r1", "toy-one-r1", "toy-two-r1"]
    assert "Bayesian search (one)" in place.said and "grid search" in place.said


def test_control_adds_random_search_over_the_same_space_within_the_same_epochs(
    place: Place,
) -> None:
    files = [place.file("grid"), place.file("pbt", population={"size": 5})]
    place.compare(*files, repetitions=1, control=True, budget_epochs=10)
    control = read_study(place.storage / "toy-random-r1").spec
    assert control.method == "random" and control.budget.epochs == 10 and control.run_cap is None
    pbt = read_study(place.storage / "toy-pbt-r1").spec
    assert control.parameters == pbt.parameters  # a grid's few points would be the grid again
    assert "added by --control" in place.said


def test_control_without_a_sweep_file_is_refused(place: Place) -> None:
    made = spec("old")
    write_study(place.storage, made, random_study(made))
    with pytest.raises(UsageError, match="derives random search from a sweep file"):
        place.compare("old", control=True)


def test_set_goes_into_every_file(place: Place) -> None:
    files = [place.file(m) for m in ("grid", "bayes")]
    place.compare(*files, repetitions=1, overrides=("task.max_length=24",))
    assert {read_study(f).spec.task.max_length for f in list_studies(place.storage)} == {24}


# --- the budget ----------------------------------------------------------------------------


def test_the_epochs_of_each_method_are_said_before_anything_runs(place: Place) -> None:
    place.runner.ends["toy-grid-r1"] = DiskFull("full")
    with pytest.raises(DiskFull):
        place.compare(place.file("grid"), place.file("pbt", population={"size": 5}))
    table = place.said.split("[1/6]")[0]
    assert "grid search" in table and " 8 " in table and " 10 " in table
    assert "differ by up to 20 %" in table


def test_one_budget_is_worked_out_for_each_method(place: Place) -> None:
    files = [place.file(m) for m in ("bayes", "random", "pbt")]
    place.compare(*files, repetitions=1, budget_epochs=24)
    bayes, random, pbt = (
        read_study(place.storage / f"toy-{m}-r1").spec for m in ("bayes", "random", "pbt")
    )
    for independent in (bayes, random):
        assert independent.budget.epochs == 24 and independent.run_cap is None
    assert pbt.population is not None
    assert pbt.population.size * pbt.epochs({}) == 24 and pbt.budget.epochs is None
    assert "12 members x 2 epochs, for the budget; the file has 4 x 2" in place.said
    assert "differ by" not in place.said


@pytest.mark.parametrize(
    ("method", "budget", "words"),
    [
        ("grid", 7, "a grid is never cut short"),
        ("bayes", 1, "not one trial"),
        ("pbt", 3, "no population fits"),
        ("bayes", 0, "a number of epochs above 0"),
        ("bayes", float("nan"), "a number of epochs above 0"),
    ],
)
def test_a_budget_that_does_not_fit_is_refused(
    place: Place, method: str, budget: float, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        place.compare(place.file(method), budget_epochs=budget)
    assert not place.storage.exists()


def test_a_grid_below_the_budget_is_told(place: Place) -> None:
    place.compare(place.file("grid"), place.file("bayes"), repetitions=1, budget_epochs=16)
    assert "grid search 8, Bayesian search 16" in place.said


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"task": {"max_length": 24}}, "task.max_length is 24"),
        ({"task": {"rows": {"train": 32}}}, "task.rows.train is 32"),
        ({"metric": {"name": "eval_loss", "goal": "minimize"}}, "metric.name is 'eval_loss'"),
    ],
)
def test_different_work_is_refused_with_both_places(
    place: Place, keys: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError) as refused:
        place.compare(place.file("grid"), place.file("bayes", **keys))
    text = str(refused.value)
    assert refused.value.exit_code == 2 and words in text
    assert "grid.yaml:" in text and "bayes.yaml:" in text
    assert not place.storage.exists()


def test_a_study_of_other_work_is_refused_and_named(place: Place) -> None:
    made = spec("old")
    write_study(place.storage, made, random_study(made))
    with pytest.raises(UsageError, match=r"study .*old: task.model is 'bert-tiny'"):
        place.compare(place.file("bayes"), "old")


def test_what_a_sweep_searches_may_differ(place: Place) -> None:
    searches = place.file(
        "bayes", parameters={"task.max_length": {"values": [16, 24]}}, task={"max_length": 24}
    )
    assert place.compare(place.file("grid"), searches, repetitions=1) == 0


def test_training_arguments_that_differ_are_a_note(place: Place) -> None:
    other = place.file("bayes", training_arguments={"warmup_steps": 3})
    assert place.compare(place.file("grid"), other, repetitions=1) == 0
    assert "note: warmup_steps is " in place.said


def test_finalists_of_one_of_them_are_a_note(place: Place) -> None:
    other = place.file("bayes", finalists={"top_k": 1, "seeds": 2})
    assert place.compare(place.file("grid"), other, repetitions=1) == 0
    assert "note: finalists: none in " in place.said
    assert "what is selected rests on unequal training" in place.said


def test_a_seed_that_is_searched_is_a_note(place: Place) -> None:
    rate = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2}
    file = place.file("bayes", parameters={"learning_rate": rate, "seed": {"values": [1, 2, 3]}})
    place.compare(file, repetitions=2)
    assert "searches the seed" in place.said


def test_a_file_that_is_not_there_and_a_bad_one_are_refused(place: Place) -> None:
    with pytest.raises(SpecError, match="no such file"):
        place.compare(place.file("grid"), "nowhere.yaml")
    with pytest.raises(UsageError, match="must be a study under"):
        place.compare(place.file("grid"), "nowhere")


@pytest.mark.parametrize("seeds", ["1,1", "one", "-1", "1,4294967296", ""])
def test_seeds_that_are_none_are_refused(place: Place, seeds: str) -> None:
    with pytest.raises(UsageError, match="different whole numbers"):
        place.compare(place.file("grid"), seeds=seeds)


def test_seeds_and_repetitions_must_fit_together(place: Place) -> None:
    with pytest.raises(UsageError, match="do not fit together"):
        place.compare(place.file("grid"), seeds="1,2", repetitions=3)
    place.compare(place.file("grid"))
    assert len(place.runner.told) == 3


def test_a_name_that_is_a_study_or_makes_another_ones_is_refused(place: Place) -> None:
    for taken in ("toy", "toy-grid-r2"):
        made = spec(taken)
        folder = write_study(place.storage, made, random_study(made))
        with pytest.raises(StudyTaken, match="a study of this name is there already"):
            place.compare(place.file("grid"))
        assert place.runner.told == []
        (folder / JOURNAL).unlink()
        (folder / "journal.length").unlink()


def test_a_name_too_long_for_its_studies_is_refused(place: Place) -> None:
    asked = Asked((place.file("grid"),), storage=place.storage, name="n" * 60)
    with pytest.raises(UsageError, match="1 to 64"):
        compare(Surface(plain=True), asked, lambda ray: place.runner, place.write)


# --- the folder ----------------------------------------------------------------------------


def test_the_manifest_is_there_before_the_first_study_and_only_for_its_owner(
    place: Place,
) -> None:
    place.runner.ends["toy-grid-r1"] = DiskFull("full")
    with pytest.raises(DiskFull):
        place.compare(place.file("grid"), seeds="4,2", budget_epochs=8)
    folder = place.storage / "toy"
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.seeds, manifest.budget_epochs) == ((4, 2), 8)
    method = manifest.methods[0]
    assert method.source == Path(place.file("grid")).read_text()
    assert method.studies == ("toy-grid-r1", "toy-grid-r2")
    assert method.spec.space.grid_size() == 4
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_comparison_is_no_study_and_its_studies_are(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=1)
    assert [folder.name for folder in list_studies(place.storage)] == ["toy-grid-r1"]


def test_a_study_is_not_begun_in_a_comparisons_folder(place: Place) -> None:
    file = place.file("grid")
    place.compare(file, repetitions=1)
    words = ["run", file, "--name", "toy", "--storage", str(place.storage)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 4 and "a comparison of this name" in answer.output
    assert not (place.storage / "toy" / JOURNAL).exists()


def test_two_at_once_are_refused(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=1)
    lock = StudyLock(place.storage / "toy")
    with pytest.raises(StudyTaken, match="another process runs this comparison"):
        place.compare(place.file("grid"), repetitions=1)
    lock.release()
    assert place.compare(place.file("grid"), repetitions=1) == 0


def test_a_damaged_manifest_and_one_of_a_later_version_are_left_as_they_are(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=1)
    path = place.storage / "toy" / MANIFEST
    for text, words in (("{", "cannot be read"), (json.dumps({"version": 2}), "a later sweep")):
        path.write_text(text)
        with pytest.raises(StudyUnreadable, match=words):
            place.compare(place.file("grid"), repetitions=1)
        assert path.read_text() == text


# --- going on ------------------------------------------------------------------------------


def test_the_same_command_reads_what_finished_resumes_what_was_cut_off_and_runs_the_rest(
    place: Place,
) -> None:
    files = [place.file(m) for m in ("grid", "bayes")]
    place.runner.ends["toy-bayes-r1"] = Interrupted(15, "interrupted by SIGTERM")
    with pytest.raises(Interrupted) as cut:
        place.compare(*files, repetitions=2)
    assert cut.value.exit_code == 143
    assert "next: sweep compare" in place.said
    assert place.compare(*files, repetitions=2) == 0
    assert place.runner.told == [
        ("resume", "toy-bayes-r1"), ("run", "toy-grid-r2"), ("run", "toy-bayes-r2"),
    ]  # fmt: skip
    assert place.compare(*files, repetitions=2) == 0
    assert place.runner.told == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_studies_ends_the_comparison_and_says_how_to_go_on(
    place: Place, number: signal.Signals
) -> None:
    handler = signal.getsignal(number)

    def signalled(methods: Sequence[Method], folder: Path) -> Report:
        os.kill(os.getpid(), number)
        raise AssertionError("the signal did not arrive")

    asked = Asked((place.file("grid"), place.file("bayes")), storage=place.storage, name="toy")
    with pytest.raises(Interrupted) as ended:
        compare(Surface(plain=True), asked, lambda ray: place.runner, signalled)
    assert ended.value.exit_code == 128 + number
    assert "between two studies" in str(ended.value) and "same command again" in str(ended.value)
    assert signal.getsignal(number) == handler
    assert [name for _, name in place.runner.told] == ["toy-grid-r1"]


def test_more_repetitions_are_added_to_a_comparison(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=2)
    assert place.compare(place.file("grid"), repetitions=3) == 0
    assert place.runner.told == [("run", "toy-grid-r3")]


def test_another_specification_under_the_same_name_is_refused_and_says_what_differs(
    place: Place,
) -> None:
    place.compare(place.file("grid"), place.file("bayes"), repetitions=2)
    with pytest.raises(StudyTaken, match=r"bayes.run_cap was 4, now 5"):
        place.compare(place.file("grid"), place.file("bayes", run_cap=5), repetitions=2)
    place.file("bayes")
    with pytest.raises(StudyTaken, match=r"seeds were 5, 6, now 7, 8"):
        place.compare(place.file("grid"), place.file("bayes"), seeds="7,8")
    with pytest.raises(StudyTaken, match=r"methods were grid, bayes, now bayes"):
        place.compare(place.file("bayes"), repetitions=2)


def test_a_comment_added_to_a_file_changes_nothing(place: Place) -> None:
    file = Path(place.file("grid"))
    place.compare(str(file), repetitions=1)
    file.write_text(f"# a comment\n{file.read_text()}")
    assert place.compare(str(file), repetitions=1) == 0


# --- the report ----------------------------------------------------------------------------


def test_the_report_is_written_after_each_study_and_at_the_end(place: Place) -> None:
    files = [place.file(m) for m in ("grid", "bayes")]
    assert place.compare(*files, repetitions=2) == 0
    grid, bayes = "grid search", "Bayesian search"
    assert place.reports == [
        [(grid, 1)], [(grid, 1), (bayes, 1)], [(grid, 2), (bayes, 1)], [(grid, 2), (bayes, 2)],
    ]  # fmt: skip
    assert "Nothing is claimed." in place.said
    place.reports.clear()
    assert place.compare(*files, repetitions=2) == 0
    assert place.reports == [[(grid, 2), (bayes, 2)]]


def test_studies_that_are_there_stand_beside_those_that_are_run(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=1)
    asked = Asked(
        (place.file("bayes"), "toy-grid-r1"), storage=place.storage, name="more", repetitions=1
    )
    assert compare(Surface(plain=True), asked, lambda ray: place.runner, place.write) == 0
    assert place.reports[-1] == [("Bayesian search", 1), ("grid search", 1)]


def test_a_report_that_cannot_be_written_yet_does_not_end_the_comparison(place: Place) -> None:
    def refuses_the_first(methods: Sequence[Method], folder: Path) -> Report:
        if len(methods) == 1:
            raise UsageError("not now.", mend="later.")
        return REPORT

    asked = Asked((place.file("grid"), place.file("bayes")), storage=place.storage, repetitions=1)
    assert compare(Surface(plain=True), asked, lambda ray: place.runner, refuses_the_first) == 0


def test_a_defect_in_the_report_does_not_end_a_comparison_that_still_runs(place: Place) -> None:
    def breaks_on_the_first(methods: Sequence[Method], folder: Path) -> Report:
        if len(methods) == 1:
            raise ZeroDivisionError("a mean of nothing")
        return REPORT

    files = (place.file("grid"), place.file("bayes"))
    asked = Asked(files, storage=place.storage, name="toy", repetitions=1)
    assert compare(Surface(plain=True), asked, lambda ray: place.runner, breaks_on_the_first) == 0
    assert "a defect in sweep (ZeroDivisionError: a mean of nothing)" in place.told_so_far()
    assert [name for _, name in place.runner.told] == ["toy-grid-r1", "toy-bayes-r1"]


def test_a_defect_in_the_last_report_is_told_as_one(place: Place) -> None:
    def breaks(methods: Sequence[Method], folder: Path) -> Report:
        raise ZeroDivisionError

    asked = Asked((place.file("grid"),), storage=place.storage, repetitions=1)
    with pytest.raises(ZeroDivisionError):
        compare(Surface(plain=True), asked, lambda ray: place.runner, breaks)


def test_the_report_gives_the_command_of_the_comparison_without_places(place: Place) -> None:
    files = tuple(place.file(m) for m in ("grid", "bayes"))
    options = {"storage": place.storage, "name": "toy", "repetitions": 2, "budget_epochs": 8.0}
    asked = Asked(files, overrides=("task.max_length=24",), **options)  # type: ignore[arg-type]
    assert compare(Surface(plain=True), asked, lambda ray: place.runner) == 0
    command = (
        "sweep compare grid.yaml bayes.yaml --seeds 5,6 --budget-epochs 8 --name toy"
        " --set task.max_length=24"
    )
    folder = place.storage / "toy" / "report"
    assert json.loads((folder / "report.json").read_text())["command"] == command
    for page in ("report.html", "report.md"):
        text = (folder / page).read_text()
        assert command in text and str(place.folder) not in text
    studies = [f"toy-{m}-r{n}" for m in ("grid", "bayes") for n in (1, 2)]
    for named, expected in ((studies, command), (studies[:3], "")):
        output = place.folder / f"again-{len(named)}"
        words = ["report", *named, "--storage", str(place.storage), "--output", str(output)]
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 0, answer.output
        assert json.loads((output / "report.json").read_text())["command"] == expected


def test_files_of_one_name_keep_their_folders_in_the_command(place: Place) -> None:
    asked = Asked(("a/x.yaml", "b/x.yaml", "old"), control=True)
    assert asked.reproduced("c", (1, 2)) == (
        "sweep compare a/x.yaml b/x.yaml old --seeds 1,2 --name c --control"
    )
    assert Asked(("studies/old",)).reproduced("c", ()) == "sweep compare old --name c"


def test_settings_that_differ_reach_the_report(place: Place) -> None:
    other = place.file("bayes", training_arguments={"warmup_steps": 3})
    asked = Asked((place.file("grid"), other), storage=place.storage, name="toy", repetitions=1)
    assert compare(Surface(plain=True), asked, lambda ray: place.runner) == 0
    data = json.loads((place.storage / "toy" / "report" / "report.json").read_text())
    assert any(note["text"].startswith("warmup_steps is ") for note in data["notes"])


def test_an_output_that_holds_something_else_is_refused_before_anything_runs(
    place: Place,
) -> None:
    output = place.folder / "mine"
    output.mkdir()
    (output / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds thesis.txt"):
        place.compare(place.file("grid"), output=output)
    assert not place.storage.exists()


# --- how it ends ---------------------------------------------------------------------------


def test_a_failed_study_does_not_end_the_comparison(place: Place) -> None:
    place.runner.ends = {"toy-grid-r1": "failed", "toy-bayes-r1": broken("its own fault")}
    files = [place.file(m) for m in ("grid", "bayes", "pbt")]
    assert place.compare(*files, repetitions=1) == 1
    assert [name for _, name in place.runner.told] == ["toy-grid-r1", "toy-bayes-r1", "toy-pbt-r1"]
    assert "toy-grid-r1 gave no result" in place.said and "its own fault" in place.said


def test_failed_trials_exit_3(place: Place) -> None:
    place.runner.ends = {"toy-grid-r1": "some failed"}
    assert place.compare(place.file("grid"), repetitions=1) == 3


def test_a_study_that_was_stopped_ends_the_comparison_and_goes_on_later(place: Place) -> None:
    place.runner.ends = {"toy-grid-r1": "stopped"}
    assert place.compare(place.file("grid"), repetitions=2) == 1
    assert place.runner.told == [("run", "toy-grid-r1")]
    assert place.compare(place.file("grid"), repetitions=2) == 0
    assert place.runner.told == [("resume", "toy-grid-r1"), ("run", "toy-grid-r2")]


def test_a_damaged_study_is_named_and_the_others_run(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=1)
    journal = place.storage / "toy-grid-r1" / JOURNAL
    journal.write_bytes(journal.read_bytes().replace(b"grid", b"grad", 1) + journal.read_bytes())
    assert place.compare(place.file("grid"), repetitions=2) == 1
    assert place.runner.told == [("run", "toy-grid-r2")]
    assert "toy-grid-r1: no study: " in place.said


def test_studies_alone_are_only_read(place: Place) -> None:
    for seed in (1, 2):
        made = spec(f"old-{seed}", seed=seed)
        write_study(place.storage, made, random_study(made))
    before = {f.name: (f / JOURNAL).read_bytes() for f in list_studies(place.storage)}
    assert place.compare("old-1", "old-2") == 0
    assert "2 studies that are there" in place.said
    assert place.runner.told == []
    assert before == {f.name: (f / JOURNAL).read_bytes() for f in list_studies(place.storage)}


def test_epochs_trained_again_after_a_crash_are_counted_as_the_report_counts_them() -> None:
    sweep = spec()
    events = [started(sweep), *trial(0, [0.5], ends="", boundaries=2)]
    events += [TrialInterrupted(trial="0000", failure="infrastructure", message="lost")]
    study = result(sweep, [*events, *reached(0, 1, 0.6), *reached(0, 2, 0.7)])
    assert spent(study).epochs == gather(grouped([study])).methods[0].cost.epochs == 3


def test_json_gives_one_object_with_every_study(place: Place) -> None:
    place.compare(place.file("grid"), repetitions=2)
    words = ["compare", place.file("grid"), "--storage", str(place.storage), "--name", "toy"]
    answer = CliRunner().invoke(app, [*words, "--repetitions", "2", "--json"])
    assert answer.exit_code == 0, answer.output
    data = json.loads(answer.stdout)
    assert data["name"] == "toy" and data["seeds"] == [5, 6]
    grid = data["methods"][0]
    assert grid["label"] == "grid search" and grid["planned_epochs"] == {"low": 8, "high": 8}
    assert [(s["name"], s["state"], s["best"]) for s in grid["studies"]] == [
        ("toy-grid-r1", "finished", 0.55),
        ("toy-grid-r2", "finished", 0.56),
    ]
