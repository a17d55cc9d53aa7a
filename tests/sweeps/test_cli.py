import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.errors import Interrupted, StudyTaken
from orchestrator.results import StudyResult, read_study
from orchestrator.state import StudyState
from search_spaces import Sweep
from sweeps import __version__, running
from sweeps.cli import app
from tests.sweeps.studies import (
    population_spec,
    population_study,
    random_study,
    spec,
    write_study,
)

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "sweeps" / "templates"
METHODS = ("grid", "random", "bayes", "pbt")


def sweep(*arguments: object, **environment: str):
    """Run a command in this process."""
    return CliRunner(env=environment).invoke(app, [str(a) for a in arguments])


def one_object(result) -> dict:
    """The command's stdout, which must be one versioned object and nothing else."""
    data = json.loads(result.stdout)
    assert data["version"] == 1
    return data


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def studies(here):
    """A storage folder with a random study and a population."""
    write_study(here / "studies", spec("plain"), random_study(spec("plain")))
    write_study(here / "studies", population_spec("pop"), population_study(population_spec("pop")))
    return here / "studies"


@pytest.fixture
def file(here):
    """A valid sweep file."""
    (here / "mine.yaml").write_text((TEMPLATES / "random.yaml").read_text())
    return here / "mine.yaml"


class Engine:
    """Stands in for run_study: tells a scripted study's events and writes its folder."""

    def __init__(self, *, failing: bool = False, raising: BaseException | None = None) -> None:
        self.failing = failing
        self.raising = raising
        self.sweeps: list[Sweep] = []

    def __call__(self, sweep, *, storage, address, on_event, on_notice) -> StudyResult:
        self.sweeps.append(sweep)
        print("a library talks on stdout")
        if self.raising:
            raise self.raising
        on_notice("a notice")
        events = random_study(sweep.spec, failing=self.failing)
        state = StudyState()
        for event in events:
            state.apply(event)
            on_event(event, state)
        return read_study(write_study(storage, sweep.spec, events))


@pytest.fixture
def engine(monkeypatch):
    made = Engine()
    monkeypatch.setattr(running, "run_study", made)
    return made


# --- run -----------------------------------------------------------------------------------


def test_run_ends_with_the_table_the_best_and_the_next_commands(file, engine):
    result = sweep("run", file, "--plain")
    assert result.exit_code == 0
    assert "trial 0000 1/2  accuracy 0.8" in result.stdout
    assert "best: accuracy 0.8 by trial 0000" in result.stdout
    assert "next: sweep best mine --export DIR" in result.stdout
    assert result.stdout.splitlines()[-1] == "next: sweep show mine"


def test_run_passes_overrides_name_and_storage_on(file, engine):
    arguments = ("--set", "seed=7", "--set", "run_cap=3", "--name", "other", "--storage", "deep/x")
    result = sweep("run", file, *arguments)
    assert result.exit_code == 0
    given = engine.sweeps[0].spec
    assert (given.seed, given.run_cap, given.name) == (7, 3, "other")
    assert (Path("deep/x") / "other").is_dir()
    assert "next: sweep show other --storage deep/x" in result.stdout


def test_run_json_gives_one_object_on_stdout_and_everything_else_on_stderr(file, engine):
    result = sweep("run", file, "--json")
    data = one_object(result)
    assert data["name"] == "mine" and data["best"]["value"] == 0.8
    assert "trial 0000 starts" in result.stderr
    assert "a library talks on stdout" in result.stderr


def test_a_smoke_run_has_a_name_of_its_own_is_repeatable_and_says_so(file, engine):
    for name in ("mine-smoke", "mine-smoke-2"):
        result = sweep("run", file, "--smoke", "--plain")
        assert result.exit_code == 0
        assert result.stdout.startswith("SMOKE RUN")
        assert (Path("studies") / name).is_dir()
    assert engine.sweeps[0].spec.smoke
    assert "SMOKE RUN" in sweep("show", "mine-smoke").stdout
    assert "SMOKE RUN" in sweep("best", "mine-smoke").stdout
    assert "(smoke)" in sweep("list").stdout


def test_exit_3_when_some_trials_failed_and_1_without_a_usable_result(file, engine):
    engine.failing = True
    assert sweep("run", file).exit_code == 3
    assert running.exit_code(usable=False, some_failed=True) == 1
    assert running.exit_code(usable=True, some_failed=False) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StudyTaken("studies/mine: a study of this name is there already.", mend="--name"), 4),
        (Interrupted(2, "interrupted"), 130),
        (Interrupted(15, "interrupted"), 143),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_owns_its_exit_code(file, engine, error, code):
    engine.raising = error
    result = sweep("run", file)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr


def test_a_bug_is_one_short_message_and_a_file_with_the_traceback(file, engine, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(file.parent))
    monkeypatch.setattr("tempfile.tempdir", None)
    engine.raising = ZeroDivisionError("division by zero")
    result = sweep("run", file, "--json")
    assert result.exit_code == 1
    assert "This is a bug in sweep: ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" not in result.stderr
    (trace,) = file.parent.glob("sweep-crash-*.txt")
    assert str(trace) in result.stderr
    assert "Traceback" in trace.read_text()
    assert oct(trace.stat().st_mode & 0o777) == "0o600"
    assert one_object(result)["error"]["exit_code"] == 1


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_shows_the_traceback_itself(file, engine, how):
    engine.raising = ZeroDivisionError("division by zero")
    options = ["--debug"] if how == "option" else []
    result = sweep(*options, "run", file, **({} if options else {"SWEEP_DEBUG": "1"}))
    assert "Traceback" in result.stderr and result.exit_code == 1


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "/etc/x"])
def test_names_refuse_path_traversal(file, engine, name):
    result = sweep("run", file, "--name", name)
    assert result.exit_code == 2
    assert engine.sweeps == []


def test_a_link_in_the_storage_folder_is_not_followed_out_of_it(file, engine):
    (file.parent / "studies").mkdir()
    (file.parent / "elsewhere").mkdir()
    (file.parent / "studies" / "mine").symlink_to(file.parent / "elsewhere")
    result = sweep("run", file)
    assert result.exit_code == 2 and "leads out of it" in result.stderr
    assert engine.sweeps == []


def test_plain_and_json_exclude_each_other(file):
    assert sweep("run", file, "--plain", "--json").exit_code == 2


# --- validate, plan ------------------------------------------------------------------------


def test_validate_says_what_the_file_is_and_what_comes_next(file):
    result = sweep("validate", file)
    assert result.exit_code == 0
    assert "valid: random over 3 names, maximize eval_accuracy" in result.stdout
    assert result.stdout.splitlines()[-1] == f"next: sweep plan {file}"


def test_every_fault_of_a_file_is_told_at_once_with_exit_2(here):
    (here / "bad.yaml").write_text("method: pbbt\nmetrik: x\nparameters: {lr: {min: 2, max: 1}}\n")
    result = sweep("validate", "bad.yaml")
    assert result.exit_code == 2
    assert "bad.yaml:1:9:" in result.stderr and "did you mean pbt" in result.stderr
    assert "bad.yaml:2:1:" in result.stderr
    assert result.stderr.rstrip().endswith("nothing was started.")
    assert result.stdout == ""


def test_a_fault_is_told_in_json_too(here):
    result = sweep("validate", "missing.yaml", "--json")
    assert result.exit_code == 2
    assert one_object(result)["error"]["exit_code"] == 2


def test_plan_tells_trials_epochs_boundaries_slots_and_configurations(file):
    result = sweep("plan", file, "--set", "resources.max_concurrent=1")
    assert result.exit_code == 0
    assert "8 trials, each 4 epochs and 4 boundaries (evaluations), 32 epochs" in result.stdout
    assert "1 slot here: so many trials train at the same time, 8 rounds" in result.stdout
    assert "0  default" in result.stdout
    again = "--set resources.max_concurrent=1"
    assert result.stdout.splitlines()[-1] == f"next: sweep run {file} {again}"
    assert not Path("studies").exists()


def test_plan_says_what_a_trial_of_several_workers_takes(file):
    few = ("--set", "resources.cpus_per_worker=0.25", "--set", "resources.placement=spread")
    together = sweep("plan", file, "--set", "resources.workers=2", *few)
    assert "each trial is trained by 2 workers together (0.25 CPU each" in together.stdout
    assert "spread)" in together.stdout
    data = one_object(sweep("plan", file, "--set", "resources.workers=2", *few, "--json"))
    assert data["workers_per_trial"] == 2
    assert "workers together" not in sweep("plan", file).stdout


def test_plan_json_holds_the_numbers(here):
    (here / "grid.yaml").write_text((TEMPLATES / "grid.yaml").read_text())
    arguments = ("--set", "parameters.num_train_epochs={values: [2, 4]}", "--json")
    data = one_object(sweep("plan", "grid.yaml", *arguments))
    assert (data["trials"], data["epochs"]) == (12, 36.0)
    assert data["epochs_per_trial"] == {"min": 2.0, "max": 4.0}
    assert data["boundaries_per_trial"] == {"min": 2, "max": 4}
    assert len(data["first"]) == 12


def test_plan_bounds_what_only_the_results_decide(here):
    (here / "bayes.yaml").write_text((TEMPLATES / "bayes.yaml").read_text())
    arguments = ("--set", "parameters.num_train_epochs={values: [2, 4]}", "--json")
    data = one_object(sweep("plan", "bayes.yaml", *arguments))
    assert data["epochs_per_trial"] == {"min": 2.0, "max": 4.0}
    assert data["boundaries_per_trial"] == {"min": 2, "max": 4}
    assert (data["trials"], data["epochs"], len(data["first"])) == (8, 32.0, 1)


def test_plan_of_a_smoke_run_is_tiny(file):
    result = sweep("plan", file, "--smoke")
    assert "SMOKE RUN" in result.stdout
    assert "2 trials, each 2 epochs and 2 boundaries" in result.stdout


def test_plan_counts_no_boundaries_when_the_data_decides(file):
    steps = ("training_arguments.eval_strategy=steps", "training_arguments.eval_steps=50")
    save = ("training_arguments.save_strategy=steps", "training_arguments.save_steps=50")
    sets = [part for key in (*steps, *save) for part in ("--set", key)]
    result = sweep("plan", file, *sets)
    assert result.exit_code == 0, result.stderr
    assert "as many as the data has steps for" in result.stdout


# --- list, show, best ----------------------------------------------------------------------


def test_list_names_every_study_with_its_best(studies):
    result = sweep("list")
    assert "plain" in result.stdout and "accuracy 0.8" in result.stdout
    assert "pop" in result.stdout and "accuracy 0.9" in result.stdout
    assert result.stdout.splitlines()[-1] == "next: sweep show STUDY"
    rows = one_object(sweep("list", "--json"))["studies"]
    assert {row["name"] for row in rows} == {"plain", "pop"}


def test_list_goes_on_past_a_study_that_cannot_be_read(studies):
    (studies / "plain" / "journal.jsonl").write_text("garbage\ngarbage\n")
    result = sweep("list")
    assert result.exit_code == 0
    assert "unreadable" in result.stdout and "pop" in result.stdout


def test_list_of_an_empty_storage_says_how_to_begin(here):
    assert "sweep init pbt" in sweep("list").stdout


def test_show_json_holds_what_programs_need(studies):
    data = one_object(sweep("show", "pop", "--json"))
    assert (data["name"], data["state"], data["method"]) == ("pop", "finished", "pbt")
    assert data["metric"] == {"name": "eval_accuracy", "goal": "maximize"}
    trial = data["trials"][1]
    assert {"id", "state", "config", "best", "epochs_done", "failure"} <= trial.keys()
    assert trial["best"] == {"value": 0.9, "epoch": 2.0, "trial": "0001"}
    assert data["best"]["trial"] == "0001" and data["best"]["checkpoint"]
    step = data["lineage"][0]
    assert (step["trial"], step["donor"], step["epoch"]) == ("0001", "0000", 1.0)
    assert step["config"]["learning_rate"] == 0.4


def test_show_of_an_interrupted_study_ends_with_how_to_go_on(here):
    write_study(here / "studies", spec("cut"), random_study(spec("cut"))[:4])
    assert "next: sweep resume cut" in sweep("show", "cut").stdout.splitlines()


def test_show_takes_the_path_of_a_folder(studies):
    assert "pop" in sweep("show", studies / "pop").stdout


def test_a_study_that_cannot_be_read_is_exit_5(studies):
    (studies / "plain" / "journal.jsonl").write_text("garbage\ngarbage\n")
    before = sorted(p.name for p in (studies / "plain").iterdir())
    assert sweep("show", "plain").exit_code == 5
    assert sorted(p.name for p in (studies / "plain").iterdir()) == before


def test_best_names_trial_configuration_and_checkpoint(studies):
    result = sweep("best", "pop")
    assert "best: accuracy 0.9 by trial 0001 at epoch 2" in result.stdout
    assert "checkpoint: studies/pop/trials/0001/checkpoints/2" in result.stdout
    assert result.stdout.splitlines()[-1] == "next: sweep best pop --export DIR"
    data = one_object(sweep("best", "pop", "--json"))
    assert data["best"]["value"] == 0.9 and data["exported"] is None


def test_best_of_a_study_without_a_result_is_exit_1(here):
    write_study(here / "studies", spec("empty"), random_study(spec("empty"))[:1])
    result = sweep("best", "empty", "--json")
    assert result.exit_code == 1 and one_object(result)["best"] is None


# --- init, schema, help --------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_init_writes_a_file_that_validates_and_never_overwrites(here, method):
    result = sweep("init", method)
    assert result.exit_code == 0
    assert f"next: sweep validate {method}.yaml" in result.stdout
    assert sweep("validate", f"{method}.yaml").exit_code == 0
    before = Path(f"{method}.yaml").read_text()
    assert before.count("#") > 10
    again = sweep("init", method)
    assert again.exit_code == 2 and "never overwrites" in again.stderr
    assert Path(f"{method}.yaml").read_text() == before


def test_schema_is_a_json_schema_that_the_templates_satisfy():
    import jsonschema
    import yaml

    schema = json.loads(sweep("schema").stdout)
    for method in METHODS:
        data = yaml.safe_load((TEMPLATES / f"{method}.yaml").read_text().replace("e-", ".0e-"))
        jsonschema.validate(data, schema)


def test_version_is_the_packages():
    assert sweep("--version").stdout.strip() == f"sweep {__version__}"


def test_every_command_is_in_the_docs():
    page = (ROOT / "docs" / "command-line.md").read_text()
    for command in typer.main.get_command(app).commands:
        assert f"| `sweep {command} " in page or f"| `sweep {command}`" in page, command


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "resume",
        "stop",
        "evaluate",
        "finalists",
        "replay",
        "validate",
        "plan",
        "list",
        "show",
        "best",
        "init",
        "schema",
    ],
)
def test_every_command_has_a_help_text(command):
    result = sweep(command, "--help")
    assert result.exit_code == 0 and len(result.stdout.splitlines()) > 4
    assert f"\n  {command} " in sweep("--help").stdout


# --- as a process --------------------------------------------------------------------------


def process(code: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, **options
    )


LOADED = """
import sys
from sweeps.cli import app
try:
    app({arguments!r})
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"ray", "torch", "transformers", "datasets", "optuna", "wandb", "numpy"}}
print("LOADED", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["validate", str(TEMPLATES / "pbt.yaml")],
        ["plan", str(TEMPLATES / "bayes.yaml")],
        ["list"],
        ["show", "pop"],
        ["best", "pop"],
        ["schema"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_help_validate_and_all_that_only_reads_load_no_heavy_library(studies, arguments):
    done = process(LOADED.format(arguments=arguments), cwd=studies.parent)
    assert "LOADED []" in done.stdout, done.stdout + done.stderr


def test_with_json_even_what_a_child_process_prints_stays_off_stdout(here):
    code = """
import os
from sweeps.console import Surface
surface = Surface(as_json=True)
os.system("echo a child talks")
print("python talks")
surface.give({"name": "x"})
print("python talks at its end")
"""
    done = process(code, cwd=here)
    assert json.loads(done.stdout) == {"version": 1, "name": "x"}
    assert "a child talks" in done.stderr and "python talks at its end" in done.stderr


def test_a_reader_that_goes_away_is_no_bug(studies):
    code = "from sweeps.cli import main; import sys; sys.argv = ['sweep', 'show', 'pop']; main()"
    line = f'{sys.executable} -c "{code}" | true; echo ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=studies.parent, env=environment
    )
    assert "bug in sweep" not in done.stderr


def test_an_unreachable_cluster_does_not_hold_up_the_exit():
    code = (
        "import atexit, sys, time, sweeps.cli as cli\n"
        "atexit.register(time.sleep, 60)\n"
        "cli.app = lambda: (print('said'), sys.exit(7))\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (7, "said\n")
