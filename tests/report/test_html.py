"""The page: whole, closed to the world, small, and never more than text where text stands."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html as entities
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sweeps.report import page_tables
from sweeps.report.html import html
from sweeps.report.model import Report
from tests.report import reports

STYLE = (Path(page_tables.__file__).parent / "templates" / "style.css").read_text("utf-8")
HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></textarea><iframe src=//evil>",
    "<!-- <b>",
    "]]>{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &#x3c;i&#x3e;",
    "\x00\x1b[31m\u202e\u2028\ud800",
    "`</code><b>`",
    "=HYPERLINK(1)",
]


class _Outline(HTMLParser):
    """Counts elements, collects ids and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: dict[str, int] = {}
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attrs:
            self.attributes.append((name, value or ""))
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> _Outline:
    parser = _Outline()
    parser.feed(page)
    parser.close()
    return parser


def test_no_hostile_text_becomes_an_element_or_an_attribute():
    names = {name for name, _ in outline(html(reports.hostile("word"))).attributes}
    expected = outline(html(reports.hostile("word"))).tags
    for text in (" ".join(HOSTILE), "".join(HOSTILE[:4]), HOSTILE[4]):
        found = outline(html(reports.hostile(text)))
        different = {
            tag for tag in expected | found.tags if expected.get(tag) != found.tags.get(tag)
        }
        assert different <= {"path", "code", "text"}, text  # ticks, and what stands in backticks
        assert {name for name, _ in found.attributes} <= names, text


def test_hostile_text_can_be_written_as_utf_8_and_read_back():
    page = html(reports.hostile(HOSTILE[9]))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u2028]", page)
    page.encode("utf-8")
    assert "\\x00\\x1b[31m\\u202e" in page


def test_no_two_elements_share_an_id():
    ids = outline(html(reports.report())).ids
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_and_the_policy_names_all_that_runs():
    page = html(reports.report())
    found = outline(page)
    policy = next(v for n, v in found.attributes if n == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none'")
    for kind, source in re.findall(r"<(script|style)>(.*?)</\1>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    links = [v for n, v in found.attributes if n in ("src", "href", "action", "poster", "data")]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "") and "https:" not in page
    assert not any(name == "style" or name.startswith("on") for name, _ in found.attributes)


def test_every_figure_has_a_name_a_caption_and_its_data_as_a_table():
    page = html(reports.report())
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == 3 + 4 * 5 + 1  # three compare; five or six a method
    for figure in figures:
        assert re.search(r"<h3 id=\"[\w-]+-name\">[^<]+</h3>", figure)
        assert '<p class="says">' in figure and "<details>" in figure and "<table>" in figure
        assert figure.count('role="img"') == figure.count("<desc ") >= 1


def test_the_page_says_everything_without_scripts():
    report = reports.report(repetitions=3, trials=6)
    words = " ".join(outline(html(report)).text)
    for part in (report.verdict.text, *(n.text.split("`")[0] for n in report.notes)):
        assert part in words
    for trial in report.trials:
        assert trial.key in words
    for method in report.methods:
        assert method.label in words and all(r.study in words for r in method.repetitions)
    for made in report.reproduction:
        assert made.command in words and made.space_hash in words


def test_severities_and_claims_are_words_not_only_colours():
    page = html(reports.report(repetitions=2))
    assert (
        "<strong>Undermines the comparison:</strong>" in page
        and "<strong>Careful:</strong>" in page
    )
    assert "<strong>No claim</strong>" in page
    assert "<strong>Significant</strong>" in html(reports.report(repetitions=6, trials=2))


def test_without_a_test_split_nothing_is_said_to_be_judged_on_one():
    base = reports.report(methods=("grid", "random"), trials=3)
    assert "judged on test" in html(base)
    final = tuple(dataclasses.replace(row, test=None) for row in base.final)
    page = html(dataclasses.replace(base, final=final))
    assert "judged on test" not in page and "</svg>test</li>" not in page


def test_a_test_value_says_on_how_many_examples_and_what_stands_behind_its_error():
    base = reports.report(methods=("grid", "pbt"), repetitions=2, trials=3)
    told = "Test: 277 examples; \u00b1 is one standard error of a value on so many."
    assert html(base).count(told) == 2
    grid = base.methods[0]
    first, second = grid.repetitions
    look = dataclasses.replace(first.selected.test, rows=1200, standard_error=None)
    more = dataclasses.replace(first, selected=dataclasses.replace(first.selected, test=look))
    none = dataclasses.replace(second, selected=dataclasses.replace(second.selected, test=None))
    for repetitions, words in (
        ((more, second), "Test: 277 to 1,200 examples; \u00b1"),
        ((more, none), "Test: 1,200 examples."),
        ((none,), ""),
    ):
        note = page_tables.selected(dataclasses.replace(grid, repetitions=repetitions)).note
        assert note.startswith(words) and bool(note) == bool(words)


def test_the_command_of_a_comparison_stands_before_those_of_its_studies():
    base = reports.report(methods=("grid",), repetitions=1, trials=2)
    assert "as one comparison" not in html(base)
    page = html(dataclasses.replace(base, command="sweep compare a.yaml b.yaml --seeds 1,2"))
    section = page[page.index('<section id="reproduce"') :]
    one, each = (section.index(f"sweep {word}") for word in ("compare a.yaml", "run grid.yaml"))
    assert one < each


@pytest.mark.parametrize(
    "report",
    [
        reports.report(methods=(), repetitions=0, trials=0),
        reports.report(methods=("random",), repetitions=1, trials=0),
        reports.report(methods=("random",), repetitions=1, trials=1),
        reports.report(methods=("pbt",), repetitions=1, trials=2),
        reports.report(methods=tuple(f"m{i}" for i in range(9)), repetitions=3, trials=2),
    ],
    ids=["nothing", "no trial", "one trial", "a population", "nine methods"],
)
def test_there_is_a_page_for_little_and_for_much(report):
    page = html(report)
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert len(outline(page).ids) == len(set(outline(page).ids))


def test_a_metric_to_minimize_ranks_upwards():
    base = reports.report(methods=("random",), trials=5)
    report = dataclasses.replace(base, metric=dataclasses.replace(base.metric, goal="minimize"))
    values = [t.value for t in page_tables.ranked(report) if t.value is not None]
    assert values == sorted(values)
    assert 'aria-sort="ascending"' in html(report)


def many(trials: int) -> Report:
    """A report whose figures are as full as they get: 400 lines a method, thinned curves."""
    return reports.report(methods=("random", "bayes", "pbt"), repetitions=1, trials=trials // 3)


def test_a_thousand_trials_are_less_than_a_megabyte():
    assert len(html(many(1000)).encode()) < 1e6


def test_ten_thousand_trials_are_less_than_five_megabytes_and_the_page_says_what_is_left_out():
    report = many(10_500)
    page = html(report)
    assert len(page.encode()) < 5e6
    assert "500 trials more are not in this page" in page
    assert "shows 1,000 trials at most" in page
    rows = re.search(r'id="more-trials">(.*?)</script>', page, re.DOTALL)
    assert rows is not None
    assert len(json.loads(rows[1])["rows"]) == 9000
    assert page.count("<tr><th scope=row>") == 1000


def test_data_for_the_script_holds_no_markup():
    base = reports.report(methods=("random",), repetitions=1, trials=1200)
    trials = tuple(
        dataclasses.replace(t, config={"x": "</script><script>alert(1)</script>"})
        for t in base.trials
    )
    page = html(dataclasses.replace(base, trials=trials))
    rows = re.search(r'id="more-trials">(.*?)</script>', page, re.DOTALL)
    assert rows is not None and "<" not in rows[1]
    assert json.loads(rows[1])["rows"][0][-1] == "</script><script>alert(1)</script>"


# --- colours ---------------------------------------------------------------------------------


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


LIGHT, DARK = (
    colours(block) for block in STYLE.split("@media screen and (prefers-color-scheme: dark)", 1)
)
DARK = {
    **LIGHT,
    **colours(STYLE.split("@media screen and (prefers-color-scheme: dark)", 1)[1].split("* {")[0]),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_has_a_contrast_of_four_and_a_half_and_marks_of_three(theme):
    for paper in ("paper", "soft"):
        for ink in ("ink", "muted", "link"):
            assert contrast(theme[ink], theme[paper]) >= 4.5, (ink, paper)
    for severity in ("red", "warn"):
        for ink in (severity, "ink"):
            assert contrast(theme[ink], theme[f"{severity}-paper"]) >= 4.5, (ink, severity)
    marks = ("blue", "vermillion", "green", "purple", "ochre", "slate", "axis", "others", "red")
    for mark in marks:
        assert contrast(theme[mark], theme["paper"]) >= 3.0, mark


def test_entities_are_what_a_browser_reads_back():
    page = html(reports.hostile("a & <b>"))
    assert entities.unescape("a &amp; &lt;b&gt;") == "a & <b>" and "a &amp; &lt;b&gt;" in page
