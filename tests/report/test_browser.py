"""The page in a real browser: headless Chromium, driven by playwright, checked by axe-core.

None of the three comes with the program. `make test-browser` fetches what is missing and runs
this file; anywhere else the tests are skipped with the reason where one of them is not there:

- Chromium: any `chromium` on the path, or the executable that CHROMIUM names;
- playwright: the Python package (its own browsers are not used);
- axe-core: `node_modules/axe-core/axe.min.js`, or the file that AXE_CORE names.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sweeps.report import page_tables
from sweeps.report.html import html
from sweeps.report.model import Report
from tests.report import reports

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).parents[2]
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
AXE = Path(os.environ.get("AXE_CORE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on the path, and CHROMIUM names none"),
]


@dataclass
class Opened:
    """A page with all that it did besides being shown."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    with sync_api.sync_playwright() as playwright:
        # Its sandbox needs user namespaces, which containers seldom give; it opens our file alone.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def typical() -> Report:
    """Three methods, everything filled."""
    return reports.report(methods=("grid", "bayes", "pbt"), repetitions=3, trials=4)


@pytest.fixture
def opened(browser, tmp_path):
    """Open a report as a file: `opened(report, scheme=, width=, scripts=, bare=)`."""
    contexts = []

    def open_report(
        report: Report,
        *,
        scheme: str = "light",
        width: int = 1400,
        scripts: bool = True,
        bare: bool = False,
    ) -> Opened:
        file = tmp_path / "report.html"
        page = html(report)
        if bare:  # as it is without scripts, in a browser that can still run a check of ours
            page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
        file.write_text(page, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme,
            java_script_enabled=scripts,
        )  # fmt: skip
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.set_default_timeout(15_000)
        found.page.on("console", lambda m: found.complaints.append(f"{m.type}: {m.text}"))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("dialog", lambda dialog: found.complaints.append(dialog.message))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(file.as_uri())
        return found

    yield open_report
    for context in contexts:
        context.close()


LOOKS = [
    (scheme, width, scripts)
    for scheme in ("light", "dark")
    for width in (400, 1400)
    for scripts in (True, False)
]


@pytest.mark.parametrize(("scheme", "width", "scripts"), LOOKS)
def test_a_report_opens_quietly_and_fits_its_screen(opened, typical, scheme, width, scripts):
    found = opened(typical, scheme=scheme, width=width, scripts=scripts)
    page = found.page
    assert found.complaints == []
    assert [url.split(":")[0] for url in found.requests if not url.startswith("data:")] == ["file"]
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    wide, screen = page.evaluate(widths)
    assert wide <= screen
    figures = page.locator("figure")
    assert figures.count() > 10
    names = page.locator("figure h3").all_inner_texts()
    assert len(names) == figures.count() and all(names)
    unnamed = "all => all.filter(s => !s.querySelector('title').textContent.trim()).length"
    assert page.locator("svg[role=img]").evaluate_all(unnamed) == 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    assert page.locator(".filters").is_visible() == scripts
    plots = page.locator("#best-so-far .plot:visible")
    assert plots.count() == (1 if scripts else 3)


@pytest.mark.parametrize(
    ("scheme", "width", "bare"),
    [("light", 1400, False), ("dark", 1400, False), ("light", 400, False), ("dark", 400, True)],
)
def test_axe_finds_no_serious_violation(opened, typical, scheme, width, bare):
    if not AXE.is_file():
        pytest.skip(f"no axe-core at {AXE}, and AXE_CORE names none")
    page = opened(typical, scheme=scheme, width=width, bare=bare).page
    page.locator("details").evaluate_all("all => all.slice(0, 6).forEach(d => { d.open = true; })")
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"])
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("width", [400, 1400])
def test_text_in_figures_stays_readable(opened, typical, width):
    page = opened(typical, width=width).page
    heights = page.locator(".plot:visible svg text").evaluate_all(
        "all => all.map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a)"
    )
    assert min(heights) >= 9.5 and max(heights) <= 18


@pytest.mark.parametrize("width", [400, 1400])
def test_no_two_labels_of_a_figure_overlap(opened, typical, width):
    page = opened(typical, width=width).page
    overlapping = page.locator(".plot:visible svg").evaluate_all(
        """all => all.flatMap(svg => {
          const texts = [...svg.querySelectorAll("text")]
            .map(t => [t.textContent, t.getBoundingClientRect()]);
          return texts.flatMap(([a, p], i) => texts.slice(i + 1)
            .filter(([b, q]) => p.left < q.right - 1 && q.left < p.right - 1
              && p.top < q.bottom - 3 && q.top < p.bottom - 3)
            .map(([b]) => [svg.querySelector('title').textContent, a, b]));
        })"""
    )
    assert overlapping == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_printed_report_shows_every_cost_on_white_paper(opened, typical, scripts):
    page = opened(typical, scheme="dark", width=800, scripts=scripts).page
    page.emulate_media(media="print")
    assert page.locator("#best-so-far .plot:visible").count() == 3
    assert page.locator("#best-so-far .says:visible").count() == 3
    for part in ("nav", ".skip", ".filters", "fieldset.choice", "#chosen"):
        assert not page.locator(part).first.is_visible(), part
    style = "getComputedStyle(document.body)"
    assert page.evaluate(f"[{style}.backgroundColor, {style}.color]") == [
        "rgb(255, 255, 255)",
        "rgb(0, 0, 0)",
    ]
    wide, paper = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= paper


def rows(page: Any) -> list[str]:
    return page.locator("#trial-table tbody tr th").all_inner_texts()


def test_trials_are_sorted_by_any_column_both_ways(opened, typical):
    page = opened(typical).page
    heading = page.locator("#trial-table").get_by_role("columnheader", name="learning_rate")
    column = "all => all.map(r => Number(r.cells[{}].textContent))"
    index = page.locator("#trial-table thead th").all_inner_texts().index("learning_rate")
    for direction, reverse in (("ascending", False), ("descending", True)):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == direction
        values = page.locator("#trial-table tbody tr").evaluate_all(column.format(index))
        assert values == sorted(values, reverse=reverse)
    assert page.locator("#trial-table [aria-sort]").count() == 1
    page.locator("#trial-table").get_by_role("columnheader", name="best accuracy").get_by_role(
        "button"
    ).click()
    best = page.locator("#trial-table tbody tr td:nth-child(5)").all_inner_texts()
    assert "-" not in best[: len(best) - best.count("-")]  # what has no value comes last


def test_trials_are_filtered_by_words_method_and_state(opened, typical):
    page = opened(typical).page
    everything = len(rows(page))
    page.locator("select[name=method]").select_option("pbt")
    assert rows(page) and all(key.startswith("pbt") for key in rows(page))
    page.get_by_role("searchbox").fill("SEED-1 finished")
    assert all("seed-1" in key for key in rows(page))
    assert page.locator("output").inner_text() == f"{len(rows(page))} of {everything}"
    page.get_by_role("searchbox").fill("nothing has this")
    assert rows(page) == []
    page.get_by_role("searchbox").fill("")
    page.locator("select[name=method]").select_option("")
    assert len(rows(page)) == everything


def test_a_trial_is_chosen_by_keyboard_and_shown_in_every_figure(opened, typical):
    found = opened(typical)
    page = found.page
    best = max(typical.trials, key=lambda t: t.value or 0.0)
    button = page.get_by_role("button", name=best.key)
    button.focus()
    page.keyboard.press("Enter")
    panel = page.locator("#chosen")
    assert panel.is_visible() and best.key in panel.inner_text()
    for name in best.config:
        assert name in panel.inner_text()
    kinds = page.locator(".plot:has(.chosen) svg title").all_text_contents()
    assert any("Learning curves" in k for k in kinds) and any("Settings" in k for k in kinds)
    assert sum("trials by" in k for k in kinds) == len(best.config)
    assert button.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert not panel.is_visible() and page.locator(".plot .chosen").count() == 0
    assert page.evaluate("document.activeElement.textContent") == best.key
    assert found.complaints == []


def test_a_mark_is_hovered_and_clicked(opened, typical):
    found = opened(typical)
    page = found.page
    plot = page.locator("#m1-slices-figure svg[role=img]").first
    plot.scroll_into_view_if_needed()
    x, y = plot.evaluate(
        """svg => {
          const dots = svg.querySelector("path.ts").getAttribute("d");
          const [x, y] = dots.match(/[\\d.]+/g).map(Number);
          const p = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
          return [p.x, p.y];
        }"""
    )
    page.mouse.move(x + 2, y)
    assert page.locator("#tip").is_visible()
    key = page.locator("#tip").inner_text().split(":")[0]
    assert page.locator(".plot .under").count() > 0
    page.mouse.click(x + 2, y)
    assert key in page.locator("#chosen h2").inner_text()
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#chosen").is_visible()
    assert found.complaints == []


def test_a_cost_axis_is_chosen(opened, typical):
    page = opened(typical).page
    title = "#best-so-far .plot:visible svg title"
    assert "epochs" in page.locator(title).text_content()
    page.get_by_role("radio", name="wall time").check()
    assert "wall time" in page.locator(title).text_content()
    assert page.locator("#best-so-far .says:visible").count() == 1


def test_sorting_reaches_trials_beyond_the_table(opened, typical, monkeypatch):
    monkeypatch.setattr(page_tables, "MOST_ROWS", 5)
    page = opened(typical).page
    assert len(rows(page)) == 5
    page.locator("#trial-table").get_by_role("columnheader", name="trial", exact=True).get_by_role(
        "button"
    ).click()
    assert rows(page) == sorted(t.key for t in typical.trials)[:5]
    page.locator("#trial-table tbody button").first.click()
    assert rows(page)[0] in page.locator("#chosen").inner_text()


def test_hostile_text_does_nothing(opened):
    text = "\"'><img src=http://example.org/x onerror=alert(1)></script><script>alert(2)</script>"
    found = opened(reports.hostile(text))
    found.page.locator("#trial-table tbody button").first.click()
    found.page.locator("#trial-table thead button").first.click()
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith(("file:", "data:"))] == []
    assert found.page.locator("img").count() == 0
