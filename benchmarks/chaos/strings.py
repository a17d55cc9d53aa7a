"""A5: strings that are obeyed by what shows them stay text, in every form in which we write.

One string at a time stands in a study as an error's message, a log, a configuration's value and a
description. What is written of it is compared with what is written of a harmless word: no element,
attribute, formula or control character more, and the same numbers. Names and metrics that a sweep
file would not be allowed are the unit tests' (`tests/sweeps/test_report_files.py`).
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from benchmarks.chaos.checkpoints import bed
from benchmarks.chaos.row import Bench, Outcome, Row
from benchmarks.chaos.studies import command_line, printed_json
from orchestrator.events import TrialEnded
from orchestrator.journal import JOURNAL, Journal, read_journal

STRINGS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</title><svg onload=1>",
    "\"><b>x</b>", "'><i>", "&lt;b&gt;", "[link](javascript:alert(1))", "![x](http://h/x.png)",
    "`code`", "```\n# heading\n```", "| a | b |", "---\nlicense: evil\n---", "# heading",
    "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "=HYPERLINK(\"http://h\")",
    "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "\x08\x08\x08", "a\x00b",
    "line\nbreak", "line\r\nbreak", "\u202egnp.exe", "\u2028", "\ud800", "\ufeff", "[bold]x[/bold]",
    "[red]", "[/]", "{0}", "%s%n", "${jndi:ldap://h}", "a" * 5000, "\U0001f600",
)  # fmt: skip
HARMLESS = "word"
NUMBER = 0.123456789012345
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run_string(case: str, folder: Path, bench: Bench) -> Outcome:
    """Put one string into a study, and look at the terminal, JSON, the card and the report."""
    hostile = STRINGS[int(case.split()[1])]
    study = _study(folder, hostile)
    said = [*_terminal(study), *_json(study, hostile), *_card(study, folder)]
    code, output = command_line("report", str(study), "--output", str(folder / "report"))
    if code != 0:
        return Outcome([*said, f"`sweep report` exited with {code}: {output[-200:]}"], count=7)
    said += [f"`sweep report`: {text}" for text in _controls(output)]
    said += [f"report.html: {text}" for text in _page(folder / "report")]
    said += [f"report.md: {text}" for text in _markdown(folder / "report")]
    said += [f"trials.csv: {text}" for text in _csv(folder / "report", hostile)]
    said += [f"report.json: {text}" for text in _report_json(folder / "report", hostile)]
    return Outcome(said, count=7)


def _study(folder: Path, hostile: str) -> Path:
    """A study with one trained trial and one that failed, and the string wherever it can stand."""
    study = folder / "study"
    shutil.copytree(bed(), study, symlinks=True)
    past = read_journal(study / JOURNAL)
    spec = json.loads((study / "spec.json").read_text())
    spec["description"] = hostile
    (study / "spec.json").write_text(json.dumps(spec))
    history = [entry.event for entry in past.entries]
    (study / JOURNAL).unlink()
    (study / "journal.length").unlink(missing_ok=True)
    journal = Journal(study / JOURNAL)
    proposal = dataclasses.replace(history[1], config={"learning_rate": NUMBER, "x": hostile})  # type: ignore[call-arg]
    other = dataclasses.replace(proposal, trial="0001", number=1)  # type: ignore[call-arg]
    failed = TrialEnded(trial="0001", state="failed", failure="code", message=hostile, log=hostile)
    journal.append([history[0], proposal, *history[2:], other, failed])
    journal.close()
    return study


def _terminal(study: Path) -> list[str]:
    code, output = command_line("show", str(study), "--all")
    said = [] if code == 0 else [f"`sweep show` exited with {code}: {output[-200:]}"]
    return [*said, *(f"`sweep show`: {text}" for text in _controls(output))]


def _controls(text: str) -> list[str]:
    found = _CONTROL.search(text)
    return [f"a control character stands in it: {found.group()!r}"] if found else []


def _json(study: Path, hostile: str) -> list[str]:
    try:
        data = printed_json("show", str(study))
    except ValueError as error:
        return [f"`sweep show --json` printed no JSON: {error}"]
    return _changed(data["trials"][0]["config"], hostile)


def _changed(config: dict[str, object], expected: str) -> list[str]:
    said = []
    if config["learning_rate"] != NUMBER:
        said.append(f"{NUMBER} became {config['learning_rate']}")
    if config["x"] != expected:
        said.append(f"{expected!r} became {config['x']!r}")
    return said


def _card(study: Path, folder: Path) -> list[str]:
    """The model card has no element, link or metadata that the string made."""
    code, output = command_line("best", str(study), "--export", str(folder / "out"))
    if code != 0:
        return [f"`sweep best --export` exited with {code}: {output[-200:]}"]
    card = (folder / "out" / "README.md").read_text("utf-8", "surrogatepass")
    said = _controls(card)
    *_, metadata, text = card.split("---\n", 2)
    known = yaml.safe_load(metadata)
    if known.get("license") == "evil":
        said.append("its metadata was changed")
    found = _elements(text)
    if found != _OURS:
        said.append(f"it holds {found} instead of {_OURS}")
    return [f"the model card: {text}" for text in said]


_OURS = {"heading_open": 6, "table_open": 3, "fence": 1}
"""Elements of the card of this study, whatever stands in its texts."""


def _elements(text: str) -> dict[str, int]:
    """How many elements of each kind Markdown makes of it; raw HTML, links and images too."""
    counts: Counter[str] = Counter()
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        counts.update(inner.type for inner in (token, *(token.children or ())))
    kinds = ("heading_open", "table_open", "fence", "html_block", "html_inline", "link_open",
             "image", "hr", "code_inline", "blockquote_open")  # fmt: skip
    return {kind: counts[kind] for kind in kinds if counts[kind]}


# The report ----------------------------------------------------------------------------------


class _Elements(HTMLParser):
    """Counts a page's elements, and collects the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


def _whole(file: Path) -> str:
    """The text with its line ends as they are."""
    return file.read_bytes().decode("utf-8")


@functools.cache
def _harmless() -> tuple[str, str]:
    """The page and the Markdown of the same study with a harmless word; made once a process."""
    with tempfile.TemporaryDirectory(prefix="chaos-harmless-") as place:
        study, output = _study(Path(place), HARMLESS), Path(place) / "report"
        code, said = command_line("report", str(study), "--output", str(output))
        if code != 0:
            raise RuntimeError(f"`sweep report` exited with {code}: {said[-500:]}")
        return _whole(output / "report.html"), _whole(output / "report.md")


def _page(report: Path) -> Iterator[str]:
    """What stands between backticks is shown as code, by an element that does nothing."""
    text = _whole(report / "report.html")
    yield from _controls(text)
    found, plain = _Elements(text), _Elements(_harmless()[0])
    more = {tag: n for tag, n in (found.tags - plain.tags).items() if tag != "code"}
    if more:
        yield f"elements more than without it: {more}"
    if found.attributes - plain.attributes:
        yield f"attributes more than without it: {found.attributes - plain.attributes}"


def _markdown(report: Path) -> Iterator[str]:
    text = _whole(report / "report.md")
    yield from _controls(text)
    more = Counter(_elements(text)) - Counter(_elements(_harmless()[1]))
    if more:
        yield f"elements more than without it: {dict(more)}"


def _csv(report: Path, hostile: str) -> Iterator[str]:
    rows = list(csv.DictReader(io.StringIO(_whole(report / "trials.csv"), newline="")))
    if len(rows) != 2:
        yield f"{len(rows)} rows of 2 trials"
        return
    for name, cell in ((name, cell) for row in rows for name, cell in row.items()):
        if str(cell).startswith(_FORMULA) and not _is_number(cell):
            yield f"{name} is a formula: {cell[:40]!r}"
    cell = rows[0]["config.x"]
    expected = "'" * hostile.startswith(_FORMULA) + _encodable(hostile)
    yield from _changed(
        {"learning_rate": float(rows[0]["config.learning_rate"]), "x": cell}, expected
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _encodable(text: str) -> str:
    """Half a surrogate pair, which no file can hold, as the escape that the report has for it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _report_json(report: Path, hostile: str) -> list[str]:
    data = json.loads(_whole(report / "report.json"))
    return _changed(data["trials"][0]["config"], _encodable(hostile))


A5 = Row(
    id="A5",
    injected="hostile strings as names, metrics, errors",
    holds="terminal, JSON, model card, report (HTML, CSV, Markdown, JSON): no new elements,"
    " formulas or control characters, numbers unchanged",
    target="40 strings x 7 places",
    cases=tuple(f"string {n}" for n in range(len(STRINGS))),
    few=("string 0", "string 7", "string 11", "string 20", "string 30"),
    run=run_string,
    counted="strings in places",
    remark="a study's message, log, setting and description; of the report's files what they hold"
    " is compared with that of a harmless word. CSV keeps control characters: it is data. Names and"
    " metrics that a sweep file may not have: `tests/sweeps/test_report_files.py`.",
)
