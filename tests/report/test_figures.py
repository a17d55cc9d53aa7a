"""Figures: well-formed, named, with values at their places, whatever the data holds."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.report import figures
from sweeps.report.figures.drawing import (
    area_between,
    line_through,
    look,
    marker,
    shortened,
    steps_through,
    tag,
)
from sweeps.report.model import (
    At,
    Axis,
    Band,
    Edf,
    Exploit,
    Line,
    Lineage,
    Member,
    Stretch,
    Summary,
)

SVG = "{http://www.w3.org/2000/svg}"
RATE = Axis(
    name="learning_rate", label="learning_rate", kind="number", log=True, low=1e-6, high=1e-3
)
BATCH = Axis(name="batch", label="batch", kind="category", values=(16, 32))
HOSTILE = (
    "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\x1b[31m\u202e\ud800"
)


def parsed(markup: str) -> ElementTree.Element:
    """The drawing as XML, which is stricter than HTML."""
    text = str(markup).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return ElementTree.fromstring(text)


def paths(markup: str, css: str) -> list[str]:
    """The commands of the paths that have a class."""
    found = parsed(markup).iter(f"{SVG}path")
    return [p.attrib["d"] for p in found if css in p.attrib["class"].split()]


def texts(markup: str) -> list[str]:
    return [t.text or "" for t in parsed(markup).iter(f"{SVG}text")]


def numbers_in(data: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.?\d*", data)]


def line(key: str, value: float | None, rate: object = 1e-4, state: str = "finished") -> Line:
    points = (At(1.0, 0.5), At(2.0, value))
    return Line(
        key=key,
        state=state,
        value=value,
        config={"learning_rate": rate, "batch": 16},
        points=points,
    )


def stretch(trial: str, start: int, end: int, rate: float = 1e-4) -> Stretch:
    return Stretch(
        trial=trial,
        start=start,
        end=end,
        start_epoch=start,
        end_epoch=end,
        config={"learning_rate": rate, "batch": 16},
        values=(At(end, 0.5),),
    )


def population(a: str = "0000", b: str = "0001") -> Lineage:
    """Two members; at boundary 1 the second copies the first."""
    return Lineage(
        members=(
            Member(trial=a, state="finished", stretches=(stretch(a, 0, 2),)),
            Member(
                trial=b,
                state="finished",
                stretches=(stretch(b, 0, 1, 1e-5), stretch(b, 1, 2, 2e-4)),
            ),
        ),
        exploits=(Exploit(trial=b, donor=a, boundary=1, epoch=1.0, before={}, after={}),),
        winner=(stretch(a, 0, 1), stretch(b, 1, 2, 2e-4)),
    )


def every_figure(text: str, value: float | None, second: float | None) -> dict[str, str]:
    """Each kind of figure, with this text in every name and these values in its data."""
    head = ("k", text, text)
    lines = [line(text, value), line("s/1", second, text, "failed"), line("s/2", None, None)]
    common = {"value": text, "method": 1, "numbers": {text: 0}}
    found = [v for v in (value, second) if v is not None and math.isfinite(v)]
    summary = Summary(values=tuple(found), mean=found[0]) if found else None
    steps = tuple((float(i + 1), v) for i, v in enumerate(found))
    edf = Edf(
        x=tuple(sorted(found)),
        share=tuple((i + 1) / len(found) for i in range(len(found))),
        trials=3,
    )
    progress = figures.Progress(text, 0, (steps,), None)
    axis = Axis(name="learning_rate", label=text, kind="category", values=(text,))
    return {
        "best": figures.best_so_far(*head, [progress], cost=text, value=text),
        "learning": figures.learning_curves(*head, lines, **common),
        "edf": figures.distribution(*head, edf, [edf], value=text, method=1),
        "slice": figures.slice_of(*head, RATE, lines, **common),
        "text slice": figures.slice_of(*head, axis, lines, **common),
        "parallel": figures.parallel(*head, [RATE, axis, BATCH], lines, **common),
        "importance": figures.importance(*head, {text: 0.7, "b": 0.3}, method=1),
        "estimates": figures.estimates(
            *head, [figures.Estimate(text, 1, summary, summary, text)], value=text, zero=True
        ),
        "lineage": figures.lineage(
            *head, population(text), method=1, numbers={}, study=text, best=(text, 1.0)
        ),
        "schedule": figures.schedule(
            *head, RATE, population(text), method=1, numbers={}, study=text
        ),
    }


VALUES = st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(max_examples=30, deadline=None)
@given(VALUES, VALUES)
def test_every_figure_is_well_formed_and_named_whatever_the_values(value, second):
    for name, drawing in every_figure("accuracy", value, second).items():
        root = parsed(drawing)
        assert root.attrib["role"] == "img", name
        ids = {e.attrib["id"]: e.text for e in root.iter() if "id" in e.attrib}
        assert set(root.attrib["aria-labelledby"].split()) == set(ids), name
        assert all(ids.values()), name
        assert "nan" not in str(drawing) and "inf " not in str(drawing), name


def test_every_figure_keeps_hostile_text_as_text():
    for name, drawing in every_figure(HOSTILE, 0.5, 0.7).items():
        root = parsed(drawing)
        tags = {e.tag.removeprefix(SVG) for e in root.iter()}
        assert tags <= {"svg", "title", "desc", "path", "text"}, name
        attributes = {a for e in root.iter() for a in e.attrib}
        assert not any(a.startswith("on") for a in attributes), name
        assert not re.search(r"[\x00-\x08\x1b\u202e\ud800-\udfff]", str(drawing)), name


def test_nothing_is_drawn_outside_of_the_drawing():
    for name, drawing in every_figure("accuracy", 0.5, 0.7).items():
        root = parsed(drawing)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter(f"{SVG}text"):
            assert 0 <= float(element.attrib["x"]) <= width, name
            assert 0 <= float(element.attrib["y"]) <= height, name


def test_best_so_far_is_steps_that_rise_where_a_value_was_improved():
    steps = ((0.0, 0.0), (5.0, 1.0), (10.0, 1.0))
    drawing = figures.best_so_far(
        "k", "t", "d", [figures.Progress("a", 0, (steps,), None)], cost="epochs", value="v"
    )
    (data,) = paths(drawing, "line")
    x0, y0, x1, y1, x2 = numbers_in(data)
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+H[\d.]+", data)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)  # 5 is in the middle
    assert y1 < y0  # up is smaller


def test_a_cost_is_shown_in_its_unit():
    band = Band(x=(60.0, 600.0), mean=(0.5, 0.6), low=(0.4, 0.5), high=(0.6, 0.7))
    steps = ((60.0, 0.5), (600.0, 0.6))
    progress = figures.Progress("a", 0, (steps, steps, steps), band)
    drawing = figures.best_so_far(
        "k", "t", "d", [progress], cost="wall time (minutes)", value="v", per_unit=60.0
    )
    assert "10" in texts(drawing) and "600" not in texts(drawing)
    assert len(paths(drawing, "faint")) == 3
    assert len(paths(drawing, "band")) == 1


def test_what_a_search_should_beat_is_a_line_across_with_its_name():
    progress = figures.Progress("a", 0, (((1.0, 0.5), (9.0, 0.9)),), None)
    drawing = figures.best_so_far(
        "k", "t", "d", [progress], cost="c", value="v", reference=("the default", 0.7)
    )
    (across,) = paths(drawing, "reference")
    low, high = (numbers_in(paths(drawing, "line")[0])[i] for i in (1, 3))
    assert numbers_in(across)[1] == pytest.approx((low + high) / 2, abs=0.2)
    assert "the default" in texts(drawing)


def test_seconds_become_the_unit_that_reads_easily():
    assert [figures.unit_of_time(s)[1] for s in (0, 90, 300, 7200, 86400 * 3)] == [
        "seconds", "seconds", "minutes", "hours", "days",
    ]  # fmt: skip


def test_a_missing_evaluation_is_a_gap_and_a_lonely_one_a_dot():
    assert line_through([(0, 0), (1, 1), (2, None), (3, 3)]) == "M0 0L1 1M3 3h0"
    assert line_through([(None, 0)]) == ""
    assert steps_through([(0, 1), (2, None), (4, 1), (6, 3)]) == "M0 1H4H6V3"
    assert area_between([0, 10], [5, 5], [1, 2]) == "M0 1H10V2V5V5H0z"


def test_slices_put_dots_in_the_order_of_their_trials():
    lines = [line("s/7", 0.9, 1e-4), line("s/3", 0.5, 1e-6), line("s/9", 0.1, 1e-3)]
    numbers = {"s/7": 0, "s/3": 1}
    drawing = figures.slice_of("k", "t", "d", RATE, lines, value="v", method=0, numbers=numbers)
    found = [p for p in parsed(drawing).iter(f"{SVG}path") if "data-ts" in p.attrib]
    trials = " ".join(p.attrib["data-ts"] for p in found).split()
    assert sorted(trials) == ["-", "0", "1"]  # one is not in the page
    for path in found:
        assert path.attrib["d"].count("M") == len(path.attrib["data-ts"].split())
    others = next(p for p in found if "others-dots" in p.attrib["class"])
    places = numbers_in(others.attrib["d"].replace("h0", " "))
    assert places[0] < places[2] and places[1] < places[3]  # 1e-6 left of 1e-3, 0.5 above 0.1


def test_a_parallel_line_skips_what_a_trial_has_not():
    lines = [line("a", 0.9), Line(key="b", state="finished", value=0.1, config={"batch": 32})]
    drawing = figures.parallel(
        "k", "t", "d", [RATE, BATCH], lines, value="v", method=0, numbers={"a": 0, "b": 1}
    )
    by_trial = {
        p.attrib["data-t"]: p.attrib["d"]
        for p in parsed(drawing).iter(f"{SVG}path")
        if "data-t" in p.attrib
    }
    assert [len(numbers_in(by_trial[n])) for n in "01"] == [6, 4]


def test_the_best_trial_is_drawn_last_and_alone_in_the_methods_colour():
    lines = [line("a", 0.9), *(line(f"b{i}", 0.5) for i in range(30))]
    drawing = figures.learning_curves("k", "t", "d", lines, value="v", method=2, numbers={"a": 4})
    trials = [p for p in parsed(drawing).iter(f"{SVG}path") if " t" in p.attrib["class"]]
    assert trials[-1].attrib["data-t"] == "4"
    assert [look(2) in p.attrib["class"] for p in trials] == [False] * 30 + [True]


def test_an_arrow_leads_from_the_donors_lane_into_the_receivers():
    drawing = figures.lineage(
        "k", "t", "d", population(), method=0, numbers={"s/0001": 8}, study="s", best=("0001", 2.0)
    )
    (arrow,) = paths(drawing, "arrow")
    lanes = {e.text: float(e.attrib["y"]) for e in parsed(drawing).iter(f"{SVG}text")}
    start, end = numbers_in(arrow)[1], numbers_in(arrow)[-1]
    assert abs(start - lanes["0000"]) < 8 and abs(end - lanes["0001"]) < 8
    (winner,) = paths(drawing, "winner")
    assert winner.count("M") == 2
    assert [
        p.attrib["data-t"] for p in parsed(drawing).iter(f"{SVG}path") if "data-t" in p.attrib
    ] == ["8"]


def test_a_schedule_of_a_logarithmic_domain_has_a_logarithmic_axis():
    drawing = figures.schedule("k", "t", "d", RATE, population(), method=0, numbers={}, study="s")
    assert {"1e-6", "1e-5", "1e-4", "0.001"} <= set(texts(drawing))


def test_bars_are_as_long_as_their_shares():
    drawing = figures.importance("k", "t", "d", {"a": 0.25, "b": 0.5}, method=0)
    lengths = [numbers_in(d)[2] - numbers_in(d)[0] for d in paths(drawing, "bar")]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.2)  # the larger comes first
    assert texts(drawing) == ["b", "50%", "a", "25%"]


def test_an_interval_is_drawn_only_where_there_is_one():
    alone = Summary(values=(0.1,), mean=0.1)
    three = Summary(values=(0.1, 0.2, 0.3), mean=0.2, low=0.05, high=0.35)
    rows = [figures.Estimate("a", 0, None, alone, "x"), figures.Estimate("b", 1, None, three, "y")]
    drawing = figures.estimates("k", "t", "d", rows, value="v")
    assert len(paths(drawing, "interval")) == 1
    assert [d.count("M") for d in paths(drawing, "repetition")] == [1, 3]


def test_numbers_with_an_interval_have_the_digits_that_it_leaves():
    wide = Summary(values=(), mean=0.86123, low=0.84211, high=0.88035)
    assert figures.summary_words(wide) == "0.861 (0.842 to 0.880)"
    below = Summary(values=(), mean=-0.00123, low=-0.0042, high=0.00174)
    assert figures.summary_words(below, signed=True) == "\u22120.0012 (\u22120.0042 to +0.0017)"
    assert figures.summary_words(Summary(values=(1.0,), mean=1 / 3)) == "0.3333"
    same = Summary(values=(0.5,) * 3, mean=0.5, low=0.5, high=0.5)
    assert figures.summary_words(same) == "0.5000 (0.5000 to 0.5000)"


def test_methods_beyond_the_colours_have_another_dash():
    assert len({look(i) for i in range(30)}) == 30
    assert len({marker(i, 0, 0) for i in range(6)}) == 6


def test_long_text_is_cut_in_its_middle():
    cut = shortened("a_very_long_hyperparameter_name", 150)
    assert len(cut) * 0.56 * 18 <= 150 and cut.startswith("a_ver") and cut.endswith("name")
    assert tag("text", "a<b", x=1.04, class_="q", y=None) == '<text x="1" class="q">a&lt;b</text>'
