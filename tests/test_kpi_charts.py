"""Charts of KPI series: truthful axes, gaps that stay gaps, and no meaning that is in a colour alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from achievement_collector.derive.conclusions import MeasuredSeries
from achievement_collector.present.kpi_charts import KpiChart, described, figure, legend, printed
from achievement_collector.present.view import measured_section

DAY = 86_400_000
HOUR = 3_600_000
BEGIN = 1_794_009_600_000 // DAY * DAY  # 2026-11-07
SVG = "{http://www.w3.org/2000/svg}"


def series(*values: float, every: int = DAY) -> list[tuple[int, float]]:
    return [(BEGIN + number * every, value) for number, value in enumerate(values)]


def shifted(**more: Any) -> KpiChart:
    told: dict[str, Any] = {
        "title": "Latency", "unit": "s", "points": series(*[2.4, 2.5, 2.3] * 4, *[1.2, 1.3, 1.1] * 4), "target": 2.0,
        "usual": (2.2, 2.6), "change_points": [(BEGIN + 12 * DAY, "lower by half")],
        "deployments": [(BEGIN + 3 * DAY, "v1.4.0"), (BEGIN + 12 * DAY - HOUR, "v1.5.0")],
        "before_median": 2.4, "after_median": 1.2,
    }  # fmt: skip
    return KpiChart(**{**told, **more})


def drawn(chart: KpiChart) -> ElementTree.Element:
    return ElementTree.fromstring(printed(chart).svg)


def words(chart: KpiChart) -> list[str]:
    return ["".join(one.itertext()) for one in drawn(chart).iter(f"{SVG}text")]


def paths(chart: KpiChart) -> list[list[tuple[float, float]]]:
    """The lines of values, as points."""
    found = [one.get("d", "") for one in drawn(chart).iter(f"{SVG}path") if "L" in one.get("d", "")]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)] for path in found]


def lines(chart: KpiChart, style: str) -> list[dict[str, float]]:
    return [
        {name: float(one.get(name, "nan")) for name in ("x1", "x2", "y1", "y2")}
        for one in drawn(chart).iter(f"{SVG}line")
        if style in one.get("style", "")
    ]


MEDIAN, TARGET, DEPLOYMENT, CHANGE = "width:2.4", "dasharray:9 4", "dasharray:4 3", "width:1.3"


def test_every_mark_is_told_in_words() -> None:
    shown = words(shifted())
    assert {
        "target 2 s",
        "usual range",
        "before A: 2.4 s",
        "median 1.2 s",
        "A",
        "1",
        "2",
        "2026, UTC",
    } <= set(shown)
    assert [one.mark for one in legend(shifted())] == ["1", "2", "A"]
    assert legend(shifted())[1] == ("2", "18 Nov 2026 23:00 UTC", "v1.5.0")
    assert legend(shifted())[2].text == "change: lower by half"


def test_the_description_says_what_the_picture_shows() -> None:
    assert described(shifted()) == (
        "24 values from 7 Nov 2026 UTC to 30 Nov 2026 UTC, between 1.1 s and 2.5 s; target 2 s; usually 2.2 s to 2.6 s; "
        "median before 2.4 s; median after 1.2 s; 1 changes and 2 deployments marked."
    ).replace("1 changes", "1 change")
    root = drawn(shifted())
    assert [root[0].tag, root[1].tag] == [f"{SVG}title", f"{SVG}desc"]
    assert root[1].text == described(shifted())
    assert root.get("role") == "img"


def test_what_is_not_as_it_was_recorded_says_so() -> None:
    as_recorded = MeasuredSeries("Latency", "latency", "s", tuple(series(1.0, 2.0, 3.0)))
    binned = replace(as_recorded, drawn_as="800 medians of 3 hours, of 2,160 samples")
    section = measured_section([as_recorded])
    assert section is not None
    assert "The series as they were recorded" in section.note
    section = measured_section([as_recorded, binned])
    assert section is not None
    assert "as they were recorded" not in section.note
    assert "Latency is drawn as 800 medians of 3 hours, of 2,160 samples." in section.note
    assert "3 values (800 medians of 3 hours, of 2,160 samples) from" in described(section.charts[1])


def test_medians_are_steps_that_meet_at_the_change() -> None:
    before, after = lines(shifted(), MEDIAN)
    (change,) = lines(shifted(), CHANGE)
    assert before["x2"] == after["x1"] == change["x1"]
    assert before["y1"] == before["y2"] < after["y1"]  # the y of SVG grows downwards
    (whole,) = lines(shifted(change_points=[], after_median=None), MEDIAN)
    assert (whole["x1"], whole["x2"]) == (62, 612)


def test_with_several_changes_the_median_before_reaches_back_to_the_one_before() -> None:
    chart = shifted(change_points=[(BEGIN + 12 * DAY, "b"), (BEGIN + 6 * DAY, "a")])
    first, second = lines(chart, CHANGE)
    before, after = lines(chart, MEDIAN)
    assert (before["x1"], before["x2"], after["x1"]) == (first["x1"], second["x1"], second["x1"])
    assert [(one.mark, one.text) for one in legend(chart) if one.mark.isalpha()] == [
        ("A", "change: a"),
        ("B", "change: b"),
    ]


def test_a_label_inside_the_plot_covers_no_value() -> None:
    chart = shifted(points=series(*[4.0] * 12, *[1.2] * 12), before_median=2.4)
    (label,) = [one for one in drawn(chart).iter(f"{SVG}text") if "".join(one.itertext()) == "median 2.4 s"]
    left, base = float(label.get("x", "0")), float(label.get("y", "0"))
    (line,) = paths(chart)
    assert not any(left <= x <= left + 80 and base - 11 <= y <= base for x, y in line)


def test_a_change_before_all_values_leaves_only_the_median_after_it() -> None:
    chart = shifted(change_points=[(BEGIN - 400 * DAY, "long ago")])
    assert len(lines(chart, MEDIAN)) == 1
    assert "median 1.2 s" in words(chart)
    assert not any("2.4 s" in text for text in words(chart))
    assert lines(chart, CHANGE) == []
    assert "outside of the time shown" in legend(chart)[0].text


def test_a_gap_is_no_line() -> None:
    points = [one for one in series(*[1.0] * 30) if not BEGIN + 10 * DAY < one[0] < BEGIN + 16 * DAY]
    chart = KpiChart("x", "s", points)
    left, right = paths(chart)
    assert left[-1][0] < right[0][0]
    assert "1 gap without values" in described(chart)
    assert len(paths(KpiChart("x", "s", series(*[1.0] * 30)))) == 1


def test_a_single_value_is_a_dot() -> None:
    for points in (series(4.0), [*series(*[1.0] * 9), (BEGIN + 90 * DAY, 2.0)]):
        assert drawn(KpiChart("x", "s", points)).findall(f"{SVG}circle")


def test_values_that_are_no_numbers_are_left_out() -> None:
    assert "no values were recorded" in words(KpiChart("x", "s", []))
    assert "no values were recorded" in words(KpiChart("x", "s", series(float("nan"), float("inf"))))
    assert described(KpiChart("x", "s", series(1.0, float("nan"), 3.0))).startswith("2 values")


def test_an_axis_that_leaves_zero_out_says_so() -> None:
    chart = KpiChart("Availability", "ratio", series(0.991, 0.995, 0.999), target=0.99)
    assert any(
        text.startswith("the axis begins at 99") or text.startswith("the axis begins at 98")
        for text in words(chart)
    )
    assert "not at 0" in described(chart)
    assert not any("100.5" in text or "101" in text for text in words(chart))
    whole = KpiChart("Latency", "s", series(1.0, 4.0))
    assert "0 s" in words(whole)
    assert not any("begins" in text for text in words(whole))
    assert "not at 0" not in described(whole)


def test_lengths_are_in_proportion() -> None:
    (line,) = paths(KpiChart("x", "count", series(10, 20, 40)))
    base = 270.0
    heights = [base - y for _, y in line]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == pytest.approx(4 * heights[0], abs=0.2)


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("s", (0.1, 0.45), {"0 ms", "200 ms", "400 ms"}),
        ("ms", (100, 450), {"0 ms", "200 ms", "400 ms"}),
        ("s", (1, 4), {"0 s", "2 s", "4 s"}),
        ("s", (600, 3000), {"0 min", "20 min", "40 min"}),
        ("ratio", (0.1, 0.45), {"0 %", "20 %", "40 %"}),
        ("%", (10, 45), {"0 %", "20 %", "40 %"}),
        ("$", (1000, 21000), {"$0", "$10,000", "$20,000"}),
        ("$", (1e6, 4.5e6), {"$0", "$2M", "$4M"}),
        ("$", (-4, 4), {"\N{MINUS SIGN}$4", "$0", "$4"}),
        ("count", (100, 4500), {"0", "2,000", "4,000"}),
        ("req/s", (1, 4), {"0 req/s", "2 req/s"}),
        ("$", (0.001, 0.01), {"$0.000", "$0.005", "$0.010"}),
    ],
)
def test_ticks_are_round_and_have_units(unit: str, values: tuple[float, ...], expected: set[str]) -> None:
    assert expected <= set(words(KpiChart("x", unit, series(*values))))


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (60_000, {"00:05", "00:10"}),
        (HOUR, {"7 Nov", "06:00"}),
        (DAY, {"9 Nov", "16 Nov"}),
        (14 * DAY, {"Jan 2027", "Mar 2027"}),
        (365 * DAY, {"2030", "2040"}),
    ],
)
def test_times_are_round_and_in_utc(every: int, expected: set[str]) -> None:
    count = 18 if every == DAY else 30
    shown = set(words(KpiChart("x", "s", series(*[1.0] * count, every=every))))
    assert expected <= shown
    assert any(text.endswith(", UTC") for text in shown)


def test_deployments_that_are_close_share_a_mark_and_keep_their_lines() -> None:
    close = [(BEGIN + 12 * DAY + minute * 60_000, f"v{minute}") for minute in range(5)]
    chart = shifted(deployments=[(BEGIN + DAY, "first"), *close])
    assert {"1", "2\N{EN DASH}6"} <= set(words(chart))
    assert len(lines(chart, DEPLOYMENT)) == 6
    assert len(legend(chart)) == 7


def test_labels_beside_the_plot_do_not_cover_each_other() -> None:
    chart = shifted(target=1.21, usual=(1.1, 1.3), change_points=[(BEGIN + 3 * DAY, "x")])
    found = [
        float(one.get("y", "0"))
        for one in drawn(chart).iter(f"{SVG}text")
        if "".join(one.itertext()).startswith(("target", "median 1.2", "usual"))
    ]
    assert len(found) == 3
    assert all(late - early >= 13.9 for early, late in zip(sorted(found), sorted(found)[1:], strict=False))


def test_a_long_series_is_thinned_without_losing_its_extremes() -> None:
    values = [5.0 + (number % 7) for number in range(50_000)]
    values[12_345], values[40_000] = 90.0, 0.5
    chart = KpiChart("x", "s", series(*values, every=60_000))
    (line,) = paths(chart)
    assert len(line) <= 4 * 560
    ys = [y for _, y in line]
    whole = KpiChart("x", "s", series(90.0, 0.5, every=50_000 * 60_000))
    assert [min(ys), max(ys)] == sorted(y for _, y in paths(whole)[0])
    assert len(printed(chart).svg) < 60_000


HOSTILE = "</title><script>alert(1)</script>&\"'\x00\x1b\u202e\ud800\uffff"


def test_no_text_is_markup() -> None:
    chart = shifted(
        title=HOSTILE, unit=HOSTILE, change_points=[(BEGIN + DAY, HOSTILE)], deployments=[(BEGIN, HOSTILE)]
    )
    html = figure(chart)
    assert "<script" not in html
    assert "alert(1)" in html
    for text in (html.replace("<time>", "").replace("</time>", ""), printed(chart).svg):
        ElementTree.fromstring(text)
        assert not set("\x00\x1b\u202e\ud800\uffff") & set(text)


def test_the_page_has_its_own_colours_and_print_has_fixed_ones() -> None:
    html = figure(shifted())
    assert "var(--accent," in html
    assert "var(--paper," in html
    assert "var(" not in printed(shifted()).svg
    assert html.count("<li ") == 3
    assert "<ul" not in figure(replace(shifted(), change_points=(), deployments=()))
    for text in (html, printed(shifted()).svg):
        assert not re.search(r"<script|https?://(?!www\.w3\.org)|url\(|@import", text)


def test_the_pdf_compiler_draws_it() -> None:
    typst = pytest.importorskip("typst")
    made = printed(shifted())
    source = b'#image(bytes(sys.inputs.svg), format: "svg", width: 100%, alt: sys.inputs.alt)'
    pdf = typst.compile(
        source, sys_inputs={"svg": made.svg, "alt": made.description}, ignore_system_fonts=True
    )
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 4000


@given(
    st.lists(st.tuples(st.integers(0, 4_000_000_000_000), st.floats()), max_size=30),
    st.sampled_from(["s", "ms", "ratio", "%", "$", "count", "widgets", ""]),
    st.none() | st.floats(-1e12, 1e12),
    st.lists(st.tuples(st.integers(0, 4_000_000_000_000), st.text(max_size=8)), max_size=6),
)
def test_any_series_can_be_drawn(
    points: list[tuple[int, float]], unit: str, level: float | None, marks: list[tuple[int, str]]
) -> None:
    chart = KpiChart("x", unit, points, level, None, marks[:3], marks[3:], level, level)
    root = drawn(chart)
    assert len(list(root.iter(f"{SVG}text"))) < 80
    for name in ("x", "y", "x1", "y1", "cx", "cy"):
        for one in root.iter():
            if name in one.attrib:
                assert -1 <= float(one.attrib[name]) <= 721
    ElementTree.fromstring(figure(chart))
