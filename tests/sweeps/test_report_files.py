"""The report's files: foreign text stays text, numbers stay numbers, nothing is overwritten."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import math
import os
import re
import sqlite3
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.events import StudyEnded, TrialEnded
from sweeps.report.folder import FILES, refuse_foreign, write_report
from sweeps.report.gather import gather
from sweeps.report.html import html
from sweeps.report.markdown import markdown
from sweeps.report.markdown_text import fenced
from sweeps.report.methods import grouped
from sweeps.report.model import Metric, from_json
from sweeps.report.optuna_storage import write_optuna
from sweeps.report.tables import trials_csv
from sweeps.studies import UsageError
from tests.sweeps.reported import many, repeated, result, trial
from tests.sweeps.studies import population_spec, population_study, spec, started

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "a | b\n| c | d |",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "https://example.org www.example.org me@example.org",
    "```\n# not a heading\n```",
    "&lt;b&gt; {{ 7 * 7 }} {% raw %}",
    "\x1b[31mred\x00\u202e",
    "\ud800 lone",
    "\x9b31m\x08",
    "a\u2028b\ufeff",
    "line\r\nbreak",
    "---\nlicense: evil\n---",
    "[bold]x[/bold] {0} %s%n ${jndi:ldap://h}",
    "a" * 5000,
    "\U0001f600",
    "'; DROP TABLE trials; --",
]
TAGS = MarkdownIt("commonmark", {"html": True}).enable("table")


def failed_with(text):
    """A study one of whose trials failed with this message and log."""
    sweep = spec()
    events = [started(sweep), *trial(0, [0.5]), *trial(1, [], ends="")]
    events += [TrialEnded(trial="0001", state="failed", failure="code", message=text, log=text)]
    return gather(grouped([result(sweep, [*events, StudyEnded(state="finished", reason=text)])]))


def named(text):
    """A report whose title and metric are this; a sweep file would be refused, a file may lie."""
    report = gather(grouped([many(3)]))
    metric = Metric(name=text, goal="maximize", label=text)
    return dataclasses.replace(report, title=text, metric=metric)


def labelled(text):
    """A method that a comparison gave this label, with this text as a value in a journal."""
    sweep = spec()
    events = [started(sweep), *trial(0, [0.5], config={"learning_rate": 0.1, "x": text})]
    study = result(sweep, events)
    return gather(grouped([study], {study.folder.resolve(): text}))


# --- markdown --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [failed_with, named, labelled])
@pytest.mark.parametrize("text", HOSTILE)
def test_in_markdown_hostile_text_makes_no_element(make, text):
    if make is named and "\ud800" in text:
        return  # it is put into the finished report, which holds none
    page = markdown(make(text))
    plain = markdown(make("harmless"))
    kinds = [token.type for token in TAGS.parse(page)]
    assert kinds == [token.type for token in TAGS.parse(plain)]
    inside = {c.type for t in TAGS.parse(page) for c in t.children or ()}
    assert inside <= {"text", "strong_open", "strong_close", "softbreak", "text_special"}
    page.encode()


def test_a_log_cannot_close_its_fence():
    block = fenced("a\n````\nb")
    (token,) = TAGS.parse(block)
    assert (token.type, token.content) == ("fence", "a\n````\nb\n")


# --- csv and parquet -------------------------------------------------------------------------


def read_csv(report):
    return list(csv.DictReader(io.StringIO(trials_csv(report), newline="")))


@pytest.mark.parametrize("text", HOSTILE)
def test_in_csv_no_text_is_a_formula_and_each_stays_in_its_cell(text):
    (row,) = read_csv(labelled(text))
    assert [cell for cell in row.values() if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []
    as_told = text.replace("\ud800", "\\ud800")
    quoted = text.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row["method"] == row["config.x"] == "'" * quoted + as_told
    assert float(row["config.learning_rate"]) == 0.1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=4), st.floats(-1e9, 1e9))
def test_in_csv_numbers_are_unchanged(values, rate):
    sweep = spec()
    events = [started(sweep), *trial(0, values, config={"learning_rate": rate})]
    (row,) = read_csv(gather(grouped([result(sweep, events)])))
    assert float(row["validation_accuracy"]) == max(values)
    assert float(row["last"]) == values[-1]
    assert float(row["config.learning_rate"]) == rate


def test_a_missing_value_is_an_empty_cell():
    row = read_csv(failed_with("boom"))[1]
    assert row["validation_accuracy"] == row["epoch_of_best"] == row["repeats"] == ""
    assert row["failure"] == "code"


def test_parquet_has_the_same_trials_with_types(tmp_path):
    report = gather(grouped([many(60)]))
    write_report(report, tmp_path / "r")
    table = pq.read_table(tmp_path / "r" / "trials.parquet")
    assert table.num_rows == 60
    assert str(table.schema.field("config.learning_rate").type) == "double"
    assert str(table.schema.field("number").type) == "int64"
    values = table.column("validation_accuracy").to_pylist()
    assert values == [row.value for row in report.trials]


def test_parquet_takes_a_column_of_several_kinds_as_text(tmp_path):
    sweep = spec(parameters={"optim": {"values": ["adamw_torch", 3, None, True]}})
    given_values = ["adamw_torch", 3, None, True]
    events = [e for n, v in enumerate(given_values) for e in trial(n, [0.5], config={"optim": v})]
    report = gather(grouped([result(sweep, [started(sweep), *events])]))
    write_report(report, tmp_path / "r")
    column = pq.read_table(tmp_path / "r" / "trials.parquet").column("config.optim")
    assert column.to_pylist() == ['"adamw_torch"', "3", None, "true"]


# --- the folder ------------------------------------------------------------------------------


def test_a_report_is_its_five_files_and_json_gives_it_back(tmp_path):
    report = gather(grouped(repeated("random", [(0.8, 0.7)] * 3)))
    files = write_report(report, tmp_path / "new" / "report")
    assert sorted(f.name for f in files) == sorted(FILES)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["report"]
    assert sorted(p.name for p in (tmp_path / "new" / "report").iterdir()) == sorted(FILES)
    assert from_json(json.loads((tmp_path / "new/report/report.json").read_text())) == report


class Elements(HTMLParser):
    """What a browser would make of a page: elements by name, and the names of attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = Counter()
        self.attributes = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("make", [failed_with, labelled])
@pytest.mark.parametrize("text", HOSTILE)
def test_every_file_can_be_written_and_the_page_has_no_new_element(tmp_path, make, text):
    write_report(make(text), tmp_path / "r")
    page = (tmp_path / "r" / "report.html").read_text()
    found, plain = Elements(page), Elements(html(make("harmless")))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", page)
    json.loads((tmp_path / "r" / "report.json").read_text())
    assert pq.read_table(tmp_path / "r" / "trials.parquet").num_rows == len(make(text).trials)


def test_a_report_is_written_over_an_older_report_and_over_nothing_else(tmp_path):
    report = gather(grouped([many(3)]))
    write_report(report, tmp_path / "r")
    write_report(report, tmp_path / "r")
    (tmp_path / "r" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"a report's; .* holds thesis\.tex"):
        write_report(report, tmp_path / "r")
    assert (tmp_path / "r" / "thesis.tex").read_text() == "years of work"


class Killed(BaseException):
    """Ends a writer in the middle of its work, as a kill does."""


@pytest.mark.parametrize("placed", range(len(FILES)))
def test_a_report_that_a_kill_left_half_in_place_is_written_again(tmp_path, monkeypatch, placed):
    report = gather(grouped([many(3)]))
    stale = tmp_path / f".r.unfinished-{os.getpid()}"
    stale.mkdir()  # of an earlier process of this number
    (stale / "report.html").write_text("half")
    replace, done = Path.replace, []

    def killed(self, target):
        if len(done) == placed:
            raise Killed
        done.append(target)
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            write_report(report, tmp_path / "r")
    assert len(list((tmp_path / "r").iterdir())) == placed
    refuse_foreign(tmp_path / "r")
    write_report(report, tmp_path / "r")
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == sorted(FILES)


@pytest.mark.parametrize("data", ['{"generator": "another"}', "[]", "not JSON", None])
def test_files_that_are_only_called_like_a_reports_are_kept(tmp_path, data):
    (tmp_path / "report.md").write_text("mine")
    if data is not None:
        (tmp_path / "report.json").write_text(data)
    with pytest.raises(UsageError, match="must be a new folder"):
        write_report(gather(grouped([many(3)])), tmp_path)
    assert (tmp_path / "report.md").read_text() == "mine"


def test_a_file_in_the_folders_place_is_kept(tmp_path):
    (tmp_path / "r").write_text("mine")
    with pytest.raises(UsageError, match="must be a folder"):
        write_report(gather(grouped([many(3)])), tmp_path / "r")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(gather(grouped([many(3)])), tmp_path / "file" / "r")
    with pytest.raises(UsageError, match="cannot be written"):
        write_optuna(grouped([many(3)]), tmp_path / "file" / "o.db")


# --- optuna ----------------------------------------------------------------------------------


def loaded(file, name):
    return optuna.load_study(study_name=name, storage=f"sqlite:///{file}")


def test_optuna_reads_every_trial_of_the_search_back(tmp_path):
    sweep = spec(parameters={**spec().parameters, "warmup_steps": {"values": [0, 10]}})
    given_config = {"learning_rate": 0.5, "task.model_config.hidden_dropout_prob": 0.1}
    whole = {**given_config, "warmup_steps": 10}
    events = [
        started(sweep),
        *trial(0, [0.5, None, 0.7], config=whole),
        *trial(1, [0.4], config=whole, ends="stopped", boundaries=3),
        *trial(2, [], config=whole, ends="failed"),
        *trial(3, [None], config=whole, ends="finished"),
        *trial(4, [0.6], config=whole, ends="", boundaries=3),
        *trial(5, [0.9], config=whole, origin="finalist"),
        *trial(6, [0.1], config={**whole, "learning_rate": 7.0}),
    ]
    file = tmp_path / "of ? # spaces.db"
    assert write_optuna(grouped([result(sweep, events)]), file) == ["tiny"]
    copy = tmp_path / "plain.db"
    copy.write_bytes(file.read_bytes())
    study = loaded(copy, "tiny")
    states = [t.state.name for t in study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "RUNNING", "COMPLETE"]
    assert study.best_value == 0.7
    assert study.best_params == whole
    steps = study.trials[0].intermediate_values
    assert (steps[1], steps[3]) == (0.5, 0.7)
    assert math.isnan(steps[2])
    assert study.trials[2].user_attrs["message"] == "boom"
    assert study.trials[5].user_attrs["not_in_space"] == {"learning_rate": 7.0}
    assert study.user_attrs["metric"] == "eval_accuracy"
    begun, ended = study.trials[0].datetime_start, study.trials[0].datetime_complete
    assert (ended - begun).total_seconds() == 8.0


def test_optuna_gets_each_study_of_a_comparison_and_populations(tmp_path):
    sweep = population_spec("pop")
    studies = [*repeated("random", [(0.8, 0.7)] * 2), result(sweep, population_study(sweep))]
    file = tmp_path / "o.db"
    names = write_optuna(grouped(studies), file)
    assert names == ["random-1", "random-2", "pop"]
    assert set(optuna.get_all_study_names(f"sqlite:///{file}")) == set(names)
    assert loaded(file, "pop").trials[1].user_attrs["exploits"] == [
        {"boundary": 1, "donor": "0000"}
    ]
    with sqlite3.connect(file) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def test_optuna_holds_every_kind_of_domain(tmp_path):
    domains = {
        "weight_decay": {"distribution": "q_uniform", "min": 0.05, "max": 1.02, "q": 0.1},
        "warmup_steps": {"distribution": "q_uniform", "min": 1, "max": 9, "q": 2},
        "max_grad_norm": {
            "distribution": "q_log_uniform_values",
            "min": 0.01,
            "max": 1.0,
            "q": 0.01,
        },
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-2},
        "gradient_accumulation_steps": {"distribution": "int_uniform", "min": 1, "max": 9},
        "optim": {"values": [None, True, "x", 1.5]},
        "seed": {"value": 3},
    }
    sweep = spec(parameters=domains)
    grids = {name: sweep.space[name].grid(4) for name in domains if name != "seed"}
    configs = [{name: grid[n] for name, grid in grids.items()} for n in range(4)]
    events = [e for n, c in enumerate(configs) for e in trial(n, [0.5], config={**c, "seed": 3})]
    write_optuna(grouped([result(sweep, [started(sweep), *events])]), tmp_path / "o.db")
    for found, config in zip(loaded(tmp_path / "o.db", "tiny").trials, configs, strict=True):
        assert found.params.pop("optim") == config.pop("optim")
        assert found.params == pytest.approx(config)


def test_optunas_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(UsageError, match="No space left on device"):
            write_optuna(grouped([many(3)]), tmp_path / "o.db")
    assert list(tmp_path.iterdir()) == []
    write_optuna(grouped([many(3)]), tmp_path / "o.db")
    assert [p.name for p in tmp_path.iterdir()] == ["o.db"]


def test_optunas_file_is_never_overwritten(tmp_path):
    (tmp_path / "o.db").write_text("mine")
    with pytest.raises(UsageError, match="writes a new file"):
        write_optuna(grouped([many(3)]), tmp_path / "o.db")
    assert (tmp_path / "o.db").read_text() == "mine"
