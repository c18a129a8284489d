"""What CI jobs write is read as it stands: real files of many tools, samples by hand, and files made to do harm."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from achievement_collector.errors import CollectorError
from achievement_collector.facts.ci import Benchmark, Coverage, TestCase, TestTotals
from achievement_collector.sources.ci_files.benchmarks import is_higher_better, parse_benchmarks
from achievement_collector.sources.ci_files.cobertura import parse_cobertura
from achievement_collector.sources.ci_files.junit import LONGEST_MESSAGE, parse_junit
from achievement_collector.sources.ci_files.reading import DEEPEST_ELEMENT, number
from achievement_collector.sources.ci_files.sarif import parse_sarif

_DATA = Path(__file__).parent.parent.parent / "shared" / "data"
_PARSERS = [parse_junit, parse_cobertura, parse_benchmarks, parse_sarif]
_CORRUPT = "pytest__corrupt-xml.xml"


def _recorded(kind: str) -> list[Any]:
    """Every recorded file of a kind as a parameter; one that skips, where the material is not at hand."""
    files = sorted((_DATA / kind).rglob("*.xml"))
    absent = pytest.mark.skip(reason=f"the recorded {kind} files (shared/data/{kind}) are not here")
    return [pytest.param(file, id=file.name) for file in files] or [pytest.param(None, marks=absent)]


def _read(path: str) -> bytes:
    file = _DATA / path
    if not file.exists():
        pytest.skip(f"the recorded file shared/data/{path} is not here")
    return file.read_bytes()


def _adds_up(totals: TestTotals) -> bool:
    return totals.total == (totals.passed + totals.failed + totals.errors + totals.skipped + totals.flaky)


# --- JUnit -------------------------------------------------------------------------------------------


def _suite(cases: str, attributes: str = 'name="suite"') -> bytes:
    return f"<testsuites><testsuite {attributes}>{cases}</testsuite></testsuites>".encode()


@pytest.mark.parametrize("file", _recorded("junit-xml"))
def test_every_recorded_junit_file_is_read(file: Path) -> None:
    if file.name == _CORRUPT:
        with pytest.raises(CollectorError, match=r"corrupt-xml\.xml is not valid XML: .* at line 11\."):
            parse_junit(file.read_bytes(), file.name)
        return
    report = parse_junit(file.read_bytes(), file.name)
    assert _adds_up(report.totals)
    assert report.totals.total == len(report.cases)
    # no test of these files is listed twice with different results: as many cases as elements
    assert report.totals.total - report.suite_errors == file.read_bytes().count(b"<testcase")


@pytest.mark.parametrize(
    ("path", "totals"),
    [
        # counted with grep -o '<testcase', '<failure', '<error', '<skipped'; seconds with awk
        ("jenkins-junit/junit__junit-report-1472.xml", TestTotals(2653, 2652, 1, 0, 0, 0, 0.0)),
        ("jenkins-junit/gh-237__TEST-io.olamy.AlwaysFailTest.xml", TestTotals(1, 0, 1, 0, 0, 0, 0.001)),
        ("junitparser/data__jenkins.xml", TestTotals(3, 1, 1, 0, 1, 0, 0.006)),
        ("test-reporter/java__pulsar-test-report.xml", TestTotals(808, 793, 1, 0, 14, 0, 2126.531)),
        ("test-reporter/fixtures__jest-junit.xml", TestTotals(6, 1, 4, 0, 1, 0, 0.007)),
        ("test-reporter/fixtures__python-xunit-pytest.xml", TestTotals(10, 6, 2, 0, 2, 0, 0.007)),
        ("test-reporter/phpunit__phpcheckstyle-phpunit.xml", TestTotals(30, 28, 2, 0, 0, 0, 0.041478)),
        ("test-reporter/empty__jest-junit.xml", TestTotals(0, 0, 0, 0, 0, 0, None)),
        (
            "publish-unit-test-result/pytest__junit.mpi.standalone.xml",
            TestTotals(97, 96, 0, 0, 1, 0, 218.126),
        ),
        ("publish-unit-test-result/pytest__junit.gloo.static.xml", TestTotals(24, 12, 0, 0, 12, 0, 68.896)),
        ("publish-unit-test-result/junit-xml__unsupported-unicode.xml", TestTotals(7, 1, 2, 2, 2, 0, 8.61)),
        ("publish-unit-test-result/junit-xml__no-attributes.xml", TestTotals(4, 1, 1, 1, 1, 0, None)),
        ("publish-unit-test-result/junit-xml__testsuite-root.xml", TestTotals(5, 5, 0, 0, 0, 0, 4.807419)),
        ("publish-unit-test-result/bazel__suite-logs.xml", TestTotals(1, 0, 0, 1, 0, 0, 0.0)),
    ],
)
def test_totals_are_what_the_recorded_cases_count_up_to(path: str, totals: TestTotals) -> None:
    found = parse_junit(_read(f"junit-xml/{path}"), path).totals
    assert found == TestTotals(
        totals.total,
        totals.passed,
        totals.failed,
        totals.errors,
        totals.skipped,
        totals.flaky,
        None if totals.seconds is None else pytest.approx(totals.seconds, abs=1e-9),  # type: ignore[arg-type]
    )


def test_a_case_is_known_by_suites_class_name_and_file() -> None:
    report = parse_junit(
        b'<testsuite name="all"><testsuite name="inner"><testcase classname="C" name="n" file="f.py" time="0.5"/>'
        b'</testsuite><testcase name="alone"/></testsuite>',
        "junit.xml",
    )
    assert [case.identity for case in report.cases] == ["all::inner::C::n::f.py", "all::alone"]
    assert [case.seconds for case in report.cases] == [0.5, None]


@pytest.mark.parametrize(
    ("inside", "outcome", "message"),
    [
        ("", "passed", ""),
        ('<failure message="no">trace</failure>', "failed", "no"),
        ("<failure>\n  first\n  second </failure>", "failed", "first\n  second"),
        ('<error message="broke"/>', "error", "broke"),
        ('<skipped message="later"/>', "skipped", "later"),
        ('<flakyFailure message="once"/>', "flaky", "once"),
        ('<flakyError message="once"/>', "flaky", "once"),
        ('<failure message="1st"/><rerunFailure message="2nd"/>', "failed", "1st"),
        ('<rerunFailure message="still"/>', "failed", "still"),
        ('<rerunError message="still"/>', "error", "still"),
        ('<system-out>&lt;failure/&gt; <failure message="quoted"/></system-out>', "passed", ""),
    ],
)
def test_an_outcome_is_what_the_case_holds(inside: str, outcome: str, message: str) -> None:
    (case,) = parse_junit(_suite(f'<testcase name="a">{inside}</testcase>'), "junit.xml").cases
    assert (case.outcome, case.message) == (outcome, message)


@pytest.mark.parametrize(
    ("attributes", "outcome"),
    [
        ('status="notrun"', "skipped"),  # GoogleTest, a disabled test
        ('status="run" result="suppressed"', "skipped"),
        ('status="run" result="completed"', "passed"),
        ('status="failed"', "failed"),
    ],
)
def test_a_case_that_says_it_did_not_run_did_not_pass(attributes: str, outcome: str) -> None:
    (case,) = parse_junit(_suite(f'<testcase name="a" {attributes}/>'), "junit.xml").cases
    assert case.outcome == outcome


def test_a_test_that_failed_and_passed_is_flaky_once() -> None:
    report = parse_junit(
        _suite(
            '<testcase classname="C" name="a" time="1"><failure message="why"/></testcase>'
            '<testcase classname="C" name="b"/>'
            '<testcase classname="C" name="a" time="2"/>'
        ),
        "junit.xml",
    )
    assert report.totals == TestTotals(2, 1, 0, 0, 0, 1, 3.0)
    assert [(case.outcome, case.message) for case in report.cases] == [("flaky", "why"), ("passed", "")]


def test_tests_are_the_same_only_where_all_of_their_names_are() -> None:
    failed = "<failure/></testcase>"
    report = parse_junit(
        _suite(f'<testcase name="a" file="x">{failed}<testcase name="a" file="y"/>')
        .decode()
        .replace(
            "</testsuites>",
            f'<testsuite name="other"><testcase name="a" file="x"/></testsuite><testsuite><testcase>{failed}<testcase/></testsuite></testsuites>',
        )
        .encode(),
        "junit.xml",
    )
    assert report.totals == TestTotals(5, 3, 2, 0, 0, 0, None)


def test_two_failures_of_a_test_stay_two() -> None:
    twice = '<testcase name="a"><failure/></testcase><testcase name="a"><error/></testcase>'
    assert parse_junit(_suite(twice), "junit.xml").totals == TestTotals(2, 0, 1, 1, 0, 0, None)


@pytest.mark.parametrize("error", ['<error message="no class"/>', "<error>\n no class </error>"])
def test_a_suite_that_broke_itself_is_an_error(error: str) -> None:
    """It was read as a report in which nothing failed."""
    inner = f'<testsuite name="inner">{error}<testcase name="a"/></testsuite>'
    report = parse_junit(_suite(inner, 'name="outer"'), "junit.xml")
    assert (report.totals, report.suite_errors) == (TestTotals(2, 1, 0, 1, 0, 0, None), 1)
    assert report.cases[0] == TestCase("outer::inner::<init>", "error", None, "no class")
    assert report.declared is None
    path = "jenkins-junit/junit__junit-report-6700.xml"
    report = parse_junit(_read(f"junit-xml/{path}"), path)
    assert (report.totals.errors, report.suite_errors, report.declared) == (1, 1, None)


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ('<testsuite tests="10" failures="3"><testcase name="a"/></testsuite>', (10, 3)),
        ('<testsuite tests="1" failures="1"><testcase name="a"/></testsuite>', (1, 1)),
        ('<testsuite errors="1"/>', (0, 1)),
        ('<testsuites tests="2"><testsuite tests="1"><testcase name="a"/></testsuite></testsuites>', (2, 0)),
        (
            '<testsuites><testsuite tests="2" errors="1"><testcase name="a"/></testsuite>'
            '<testsuite><testcase name="b"><failure/></testcase></testsuite></testsuites>',
            (3, 2),
        ),
        # not more than is listed, or no number at all
        ('<testsuite tests="1" failures="1"><testcase name="a"><error/></testcase></testsuite>', None),
        ('<testsuite tests="0" failures="0"><testcase name="a"><failure/></testcase></testsuite>', None),
        ('<testsuite tests="many" failures="-1"><testcase name="a"/></testsuite>', None),
        ('<testsuites tests="1"><testsuite tests="5"><testcase name="a"/></testsuite></testsuites>', None),
        (
            '<testsuite tests="2" failures="1"><testcase name="a"><failure/></testcase><testcase name="a"/></testsuite>',
            None,
        ),
        ("<testsuite/>", None),
    ],
)
def test_suites_that_declare_more_than_they_list_contradict_themselves(
    text: str, declared: tuple[int, int] | None
) -> None:
    found = parse_junit(text.encode(), "junit.xml").declared
    assert (None if found is None else (found.total, found.failed)) == declared


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("0.25", 0.25),
        ("1e-3", 0.001),
        ("1,234.5", 1234.5),
        ("1,234", None),  # 1.234 in Germany
        ("-1", None),
        ("NaN", None),
        ("inf", None),
        ("1_000", None),
        ("", None),
        ("9" * 5_000, None),
    ],
)
def test_a_time_that_is_no_number_is_unknown(time: str, seconds: float | None) -> None:
    report = parse_junit(_suite(f'<testcase name="a" time="{time}"/>'), "junit.xml")
    assert (report.cases[0].seconds, report.totals.seconds) == (seconds, seconds)


def test_long_names_and_messages_are_bounded_and_still_told_apart() -> None:
    cases = "".join(
        f'<testcase name="{"n" * 50_000}{end}"><failure>{"m" * 50_000}</failure></testcase>' for end in "ab"
    )
    first, second = parse_junit(_suite(cases, f'name="{"s" * 50_000}"'), "junit.xml").cases
    assert first.identity != second.identity
    assert max(len(first.identity), len(second.identity)) < 1_000
    assert len(first.message) == LONGEST_MESSAGE


_OUTCOMES = {
    "passed": "",
    "failed": "<failure/>",
    "error": "<error>x</error>",
    "skipped": "<skipped/>",
    "flaky": "<flakyFailure/>",
}
_text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    max_size=3,
)
_cases = st.lists(
    st.tuples(st.sampled_from(["", "s", "t"]), _text, st.sampled_from(list(_OUTCOMES)), st.integers(0, 9)),
    max_size=12,
)


@pytest.mark.parametrize("root", ["testsuites", "testsuite"])
@given(cases=_cases)
@settings(max_examples=150, deadline=None)
def test_totals_add_up(root: str, cases: list[tuple[str, str, str, int]]) -> None:
    suites = "".join(
        f"<testsuite name={quoteattr(suite)}><testcase name={quoteattr(name)} time='{seconds}'>{_OUTCOMES[outcome]}</testcase></testsuite>"
        for suite, name, outcome, seconds in cases
    )
    report = parse_junit(f"<{root}>{suites}</{root}>".encode(), "junit.xml")
    results: dict[tuple[str, str], Counter[str]] = {}
    for suite, name, outcome, _ in cases:
        results.setdefault((suite, name.strip()), Counter())[outcome] += 1
    expected: Counter[str] = Counter()
    for (_, name), counts in results.items():
        if name and counts["passed"] and counts["failed"] + counts["error"]:
            expected += Counter(flaky=counts["flaky"] + 1, skipped=counts["skipped"])
        else:
            expected += counts
    totals = report.totals
    assert _adds_up(totals)
    assert totals.total == len(report.cases)
    assert totals.seconds == (sum(seconds for *_, seconds in cases) if cases else None)
    found = Counter(
        passed=totals.passed,
        failed=totals.failed,
        error=totals.errors,
        skipped=totals.skipped,
        flaky=totals.flaky,
    )
    assert +found == +expected


# --- Cobertura ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", _recorded("cobertura"))
def test_every_recorded_cobertura_file_is_read(file: Path) -> None:
    coverage = parse_cobertura(file.read_bytes(), file.name)
    assert coverage.line_rate is not None
    assert 0 <= coverage.line_rate <= 1


@pytest.mark.parametrize(
    ("path", "coverage"),
    [
        # counts of the root element (grep), or of distinct file and line (awk) where it has none
        ("gcovr/reference__linked__clang-10__cobertura.xml", Coverage(47, 28, 28 / 47, 4 / 14, 14, 4)),
        ("gcovr/no-branch__reference__clang-10__cobertura.xml", Coverage(2, 2, 1.0, None, 0, 0)),
        ("reportgenerator/Cobertura__Cobertura.xml", Coverage(108, 75, 75 / 108, 0.5, 8, 4)),
        (
            "reportgenerator/Reports__Cobertura_dotnettest_old.xml",
            Coverage(14183, 3639, 3639 / 14183, 992 / 6260, 6260, 992),
        ),
        (
            "reportgenerator/Reports__Cobertura_altcover.xml",
            Coverage(174, 116, 116 / 174, 0.22448979591836735, None, None),
        ),
        ("pycobertura/tests__cobertura.xml", Coverage(34, 31, 31 / 34, 0.75, None, None)),
        ("pycobertura/dummy.source2__coverage.xml", Coverage(11, 8, 8 / 11, None, None, None)),
        ("pycobertura/dummy.zeroexit1__coverage.xml", Coverage(7, 4, 4 / 7, None, None, None)),
        ("pycobertura/dummy.linestatus__test2.xml", Coverage(None, None, 0.4074, 0.2564, None, None)),
    ],
)
def test_coverage_is_what_the_recorded_files_hold(path: str, coverage: Coverage) -> None:
    assert parse_cobertura(_read(f"cobertura/{path}"), path) == coverage


def _lines(attributes: str, *lines: str) -> bytes:
    return f'<coverage {attributes}><packages><class filename="a.py">{"".join(lines)}</class></packages></coverage>'.encode()


def test_a_line_listed_twice_counts_once_and_is_covered_where_one_listing_is() -> None:
    lines = [
        '<line number="1" hits="0"/>',
        '<line number="2" hits="0"/>',
        '<line number="1" hits="3"/>',
        '<line number="9"/>',
    ]
    assert parse_cobertura(_lines('line-rate="0.9"', *lines), "c.xml") == Coverage(
        2, 1, 0.5, None, None, None
    )


def test_counts_that_contradict_themselves_are_not_used() -> None:
    found = parse_cobertura(
        _lines('lines-valid="1" lines-covered="2"', '<line number="1" hits="1"/>'), "c.xml"
    )
    assert (found.lines_valid, found.lines_covered) == (1, 1)


def test_nothing_to_cover_is_no_rate() -> None:
    found = parse_cobertura(b'<coverage lines-valid="0" lines-covered="0" line-rate="1"/>', "c.xml")
    assert found == Coverage(0, 0, None, None, None, None)


@pytest.mark.parametrize(
    "data", [b"<coverage/>", b'<coverage clover="4"><project/></coverage>', b'<coverage line-rate="85.5"/>']
)
def test_a_file_that_tells_no_coverage_is_refused(data: bytes) -> None:
    with pytest.raises(CollectorError, match=r"^c\.xml tells no coverage"):
        parse_cobertura(data, "c.xml")


# --- hostile and broken XML --------------------------------------------------------------------------

_BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
_HOSTILE = {
    "billion laughs": (_BOMB + b"<ROOT>&b;</ROOT>", "an entity of its own"),
    "unused entity": (b'<!DOCTYPE x [<!ENTITY a "">]><ROOT/>', "an entity of its own"),
    "file entity": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ROOT>&a;</ROOT>',
        "an entity of its own",
    ),
    "parameter entity": (
        b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x"> %a;]><ROOT/>',
        "an entity of its own",
    ),
    "entity of an outer DTD": (
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x"><ROOT>&a;</ROOT>',
        "an entity of its own",
    ),
    "undefined entity": (b"<ROOT>&nbsp;</ROOT>", "undefined entity at line 1"),
    "too deep": (b"<ROOT>" + b"<a>" * DEEPEST_ELEMENT, "nested more than 100 levels"),
    "control character": (b"<ROOT>\n\x1b[31m</ROOT>", "that XML does not allow at line 2"),
    "number of a control character": (
        b"<ROOT>&#27;</ROOT>",
        "reference to invalid character number at line 1",
    ),
    "Latin-1 in UTF-8": (b"<ROOT>\n\n\xe9</ROOT>", "that XML does not allow at line 3"),
    "unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><ROOT/>', "unknown"),
    "multi-byte encoding": (b'<?xml version="1.0" encoding="gbk"?><ROOT/>', "encoding unknown here"),
    "cut off": (b"<ROOT>\n<a>", "ends before its last element does at line 2"),
    "empty": (b"", "ends before its last element does at line 1"),
    "two roots": (b"<ROOT/>\n<ROOT/>", "junk after document element at line 2"),
    "another kind": (b"<report/>", "its root element is <report>"),
    "JSON": (b'{"a": 1}', "not valid XML"),
}


@pytest.mark.parametrize(("parse", "root"), [(parse_junit, b"testsuites"), (parse_cobertura, b"coverage")])
@pytest.mark.parametrize(("data", "reason"), _HOSTILE.values(), ids=_HOSTILE.keys())
def test_hostile_and_broken_xml_is_refused_in_one_sentence(
    parse: Callable[[bytes, str], object], root: bytes, data: bytes, reason: str
) -> None:
    with pytest.raises(CollectorError) as caught:
        parse(data.replace(b"ROOT", root), "report.xml")
    message = str(caught.value)
    assert message.startswith("report.xml ")
    assert reason in message
    assert "\n" not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_document_type_without_entities_is_ignored() -> None:
    data = b'<!DOCTYPE testsuites SYSTEM "http://127.0.0.1:1/junit.dtd" [<!ATTLIST testcase time CDATA "5">]>'
    report = parse_junit(data + _suite('<testcase name="a"/>'), "junit.xml")
    assert report.totals == TestTotals(1, 1, 0, 0, 0, 0, None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_encoding_of_the_first_line_is_followed(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>' + _suite('<testcase name="é"/>').decode()
    assert parse_junit(text.encode(encoding), "junit.xml").cases[0].identity == "suite::é"


# --- benchmarks --------------------------------------------------------------------------------------


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_pytest_benchmark_is_read() -> None:
    stats = {
        "min": 1e-5,
        "max": 4e-5,
        "mean": 2e-5,
        "stddev": 3e-6,
        "rounds": 5000,
        "median": 1.9e-5,
        "iqr": 1e-6,
        "ops": 5e4,
    }
    data = {
        "machine_info": {},
        "version": "5.1.0",
        "benchmarks": [{"name": "test_a", "fullname": "tests/t.py::test_a", "stats": stats}],
    }
    expected = Benchmark("tests/t.py::test_a", 2e-5, "s", False, 5000, 3e-6, "standard deviation", 1.9e-5)
    assert parse_benchmarks(_json(data), "bench.json") == (expected,)


def test_a_single_round_has_no_deviation() -> None:
    data = {"benchmarks": [{"fullname": "a", "stats": {"mean": 1.5, "stddev": 0, "rounds": 1}}]}
    assert parse_benchmarks(_json(data), "bench.json") == (
        Benchmark("a", 1.5, "s", False, 1, None, "", None),
    )


@pytest.mark.parametrize(
    ("told", "spread"),
    [
        ("± 1.2", 1.2),
        ("+/- 5", 5.0),
        ("±1.5%", 3.0),
        ("+-1.5%", 3.0),
        ("3", 3.0),
        (3, 3.0),
        ("± 4 widgets", 4.0),
        ("± 4 ms", None),
        ("stddev: 0.1", None),
        ("-2", None),
        ("± ", None),
        (None, None),
    ],
)
def test_a_range_becomes_a_spread_in_the_same_unit(told: object, spread: float | None) -> None:
    (found,) = parse_benchmarks(
        _json([{"name": "a", "unit": "widgets", "value": 200, "range": told}]), "b.json"
    )
    assert found.spread == (None if spread is None else pytest.approx(spread))
    assert found.spread_kind == ("" if spread is None else "range")


@pytest.mark.parametrize(
    ("unit", "better"),
    [
        (unit, True)
        for unit in (
            "ops/sec",
            "ops/s",
            "op/s",
            "ops/ms",
            "iter/sec",
            "req/s",
            "requests/sec",
            "MB/s",
            "GiB/s",
        )
    ]
    + [
        (unit, False)
        for unit in (
            "s",
            "sec",
            "ms",
            "us",
            "µs",
            "μs",
            "ns",
            "bytes",
            "B",
            "KB",
            "MB",
            "ns/op",
            "ns/iter",
            "us/op",
            "B/op",
            "allocs/op",
        )
    ]
    + [(unit, None) for unit in ("", "%", "points", "x", "m", "users", "MBs")],
)
def test_the_direction_follows_from_the_unit_where_it_is_unmistakable(unit: str, better: bool | None) -> None:
    assert is_higher_better(unit) is better
    data = _json([{"name": "a", "unit": unit, "value": 1}])
    for bigger in (True, False, None):
        (found,) = parse_benchmarks(data, "b.json", bigger)
        assert found.higher_is_better is (bigger if better is None else better)


def test_the_list_of_github_action_benchmark_is_read() -> None:
    data = [
        {"name": "fib(20)", "unit": "ops/sec", "value": 11465, "range": "±1.12%", "extra": "91 samples"},
        {"name": "size", "unit": "Megapoints", "value": "12.5"},
    ]
    first, second = parse_benchmarks(_json(data), "b.json")
    assert first == Benchmark("fib(20)", 11465, "ops/sec", True, 91, pytest.approx(128.408), "range", None)  # type: ignore[arg-type]
    assert second == Benchmark("size", 12.5, "Megapoints", None, None, None, "", None)


def _history() -> dict[str, object]:
    def entry(date: int, tool: str, value: float, **bench: object) -> dict[str, object]:
        return {
            "commit": {"id": "a" * 40},
            "date": date,
            "tool": tool,
            "benches": [{"name": "n", "value": value, **bench}],
        }

    return {
        "lastUpdate": 3,
        "repoUrl": "https://github.com/acme/rocket",
        "entries": {
            "Python": [
                entry(1, "pytest", 10, unit="iter/sec"),
                entry(
                    3, "pytest", 30, unit="iter/sec", range="stddev: 0.1", extra="mean: 33 msec\nrounds: 7"
                ),
                entry(2, "pytest", 20, unit="iter/sec"),
            ],
            "Points": [entry(1, "customBiggerIsBetter", 5, unit="points", range="± 1")],
            "Memory": [entry(1, "customSmallerIsBetter", 6, unit="pages")],
            "C++": [entry(1, "catch2", 43.1, unit="us", range="± 700", extra="100 samples\n2 iterations")],
            "Net": [entry(1, "benchmarkdotnet", 9, unit="ns", range="± 2")],
            "Empty": [],
        },
    }


@pytest.mark.parametrize("before", ["", "window.BENCHMARK_DATA = "])
def test_of_a_kept_history_the_newest_entry_of_each_suite_counts(before: str) -> None:
    data = (before + json.dumps(_history()) + (";\n" if before else "")).encode()
    assert parse_benchmarks(data, "data.js") == (
        Benchmark("Python::n", 30, "iter/sec", True, 7, None, "", None),
        Benchmark("Points::n", 5, "points", True, None, 1, "range", None),
        Benchmark("Memory::n", 6, "pages", False, None, None, "", None),
        Benchmark("C++::n", 43.1, "us", False, 100, None, "", None),
        Benchmark("Net::n", 9, "ns", False, None, 2, "standard deviation", None),
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "is not valid JSON: .* at line 1"),
        (b"\xff\xfe\xfd", "is not valid JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b"[" + b"9" * 10_000 + b"]", "a number of thousands of digits"),
        (
            b'{"benchmarks": [{"name": "a", "real_time": 5, "time_unit": "ns"}]}',
            "tells no value of the benchmark 'a'",
        ),
        (b'{"benchmarks": [{"stats": {"mean": 5}}]}', "a benchmark without a name"),
        (b'[{"name": "a", "unit": "s", "value": "fast"}]', "tells no value of the benchmark 'a'"),
        (b'[{"name": "a", "unit": "s", "value": NaN}]', "tells no value of the benchmark 'a'"),
        (b'[{"name": "a", "unit": "s", "value": true}]', "tells no value of the benchmark 'a'"),
        (b"[7]", "a benchmark without a name"),
        (b'{"entries": {"s": [{"date": 1}]}}', "no benchmarks in the newest entry of 's'"),
        (b'{"results": []}', "holds no benchmarks of pytest-benchmark or github-action-benchmark"),
        (b"null", "holds no benchmarks of pytest-benchmark or github-action-benchmark"),
    ],
)
def test_benchmarks_that_cannot_be_read_are_refused_in_one_sentence(data: bytes, reason: str) -> None:
    with pytest.raises(CollectorError, match=rf"^b\.json .*{reason}"):
        parse_benchmarks(data, "b.json")


# --- SARIF -------------------------------------------------------------------------------------------


def _result(
    rule: str = "R1", path: str = "src/a.py", line: int = 3, text: str = "bad", **more: object
) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": path}, "region": {"startLine": line}}
    return {"ruleId": rule, "message": {"text": text}, "locations": [{"physicalLocation": place}], **more}


def _sarif(*results: object, rules: list[Any] | None = None, **run: object) -> bytes:
    driver = {"name": "Linter", "rules": rules or []}
    return _json(
        {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]}
    )


def test_a_finding_is_read_with_all_it_tells() -> None:
    report = parse_sarif(_sarif(_result(path="src/a%20b.py", level="error")), "s.sarif")
    assert report.tool == "Linter"
    (found,) = report.findings
    assert (found.rule, found.level, found.path, found.line, found.message) == (
        "R1",
        "error",
        "src/a b.py",
        3,
        "bad",
    )
    assert found.fingerprint == hashlib.sha1(b"R1\0src/a b.py\0bad").hexdigest()


def test_a_fingerprint_survives_a_move_to_another_line() -> None:
    first, second = (parse_sarif(_sarif(_result(line=line)), "s").findings[0] for line in (3, 40))
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != parse_sarif(_sarif(_result(text="other")), "s").findings[0].fingerprint


@pytest.mark.parametrize(
    ("fields", "fingerprint"),
    [
        (
            {
                "partialFingerprints": {
                    "primaryLocationLineHash": "39fa:1",
                    "primaryLocationStartColumnFingerprint": "4",
                }
            },
            "39fa:1",
        ),
        ({"fingerprints": {"b/v1": "2", "a/v1": "1"}}, "a/v1:1;b/v1:2"),
        ({"partialFingerprints": {"p": "1"}, "fingerprints": {"f": "2"}}, "p:1"),
        ({"partialFingerprints": {}, "fingerprints": {"f": "2"}}, "f:2"),
        ({"fingerprints": {"f": "x" * 999}}, hashlib.sha1(b"f:" + b"x" * 999).hexdigest()),
    ],
)
def test_a_fingerprint_is_the_tools_own_where_it_gives_one(fields: dict[str, Any], fingerprint: str) -> None:
    assert parse_sarif(_sarif(_result(**fields)), "s").findings[0].fingerprint == fingerprint


@pytest.mark.parametrize(
    ("result", "level"),
    [
        ({"ruleId": "R1", "level": "error"}, "error"),
        ({"ruleId": "R1"}, "note"),
        ({"ruleId": "R1/part"}, "note"),
        ({"ruleIndex": 0}, "note"),
        ({"rule": {"id": "X1", "index": 0, "toolComponent": {"index": 0}}}, "error"),
        ({"ruleId": "X1"}, "error"),
        ({"ruleId": "unknown"}, "warning"),
        ({"ruleIndex": 99}, "warning"),
        ({"ruleId": "R1", "kind": "review"}, "none"),
    ],
)
def test_a_level_is_the_results_else_its_rules_else_warning(result: dict[str, Any], level: str) -> None:
    driver = {"name": "D", "rules": [{"id": "R1", "defaultConfiguration": {"level": "note"}}]}
    extension = {"name": "E", "rules": [{"id": "X1", "defaultConfiguration": {"level": "error"}}]}
    run = {
        "tool": {"driver": driver, "extensions": [extension]},
        "results": [{"message": {"text": "m"}, **result}],
    }
    (found,) = parse_sarif(_json({"version": "2.1.0", "runs": [run]}), "s").findings
    assert found.level == level
    assert (found.path, found.line) == ("", None)
    if "ruleIndex" in result:
        assert found.rule == ("R1" if result["ruleIndex"] == 0 else "")


@pytest.mark.parametrize(
    ("fields", "stands"),
    [
        ({}, True),
        ({"suppressions": []}, True),
        ({"suppressions": [{"kind": "inSource"}]}, False),
        ({"suppressions": [{"kind": "external", "status": "accepted"}]}, False),
        ({"suppressions": [{"kind": "external", "status": "underReview"}]}, True),
        ({"suppressions": [{"kind": "external", "status": "rejected"}]}, True),
        ({"suppressions": [{"kind": "inSource"}, {"kind": "external", "status": "rejected"}]}, True),
        ({"baselineState": "absent"}, False),
        ({"baselineState": "unchanged"}, True),
        ({"kind": "pass"}, False),
        ({"kind": "notApplicable"}, False),
        ({"kind": "fail"}, True),
    ],
)
def test_only_findings_that_still_stand_are_told(fields: dict[str, Any], stands: bool) -> None:
    assert bool(parse_sarif(_sarif(_result(**fields)), "s").findings) is stands


def test_a_message_may_stand_at_the_rule() -> None:
    rules = [{"id": "R1", "messageStrings": {"default": {"text": "'{0}' hides '{1}'"}}}]
    result = {"ruleId": "R1", "message": {"id": "default", "arguments": ["a", "b"]}}
    assert parse_sarif(_sarif(result, rules=rules), "s").findings[0].message == "'a' hides 'b'"


def test_a_place_may_stand_among_the_runs_artifacts() -> None:
    result = {
        "ruleId": "R1",
        "message": {"text": "m"},
        "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}}}],
    }
    data = _sarif(result, artifacts=[{"location": {"uri": "./src/b.py"}}])
    (found,) = parse_sarif(data, "s").findings
    assert (found.path, found.line) == ("src/b.py", None)


def test_runs_are_joined() -> None:
    runs = [
        {"tool": {"driver": {"name": name}}, "results": [_result(rule=name)]}
        for name in ("One", "Two", "One")
    ]
    report = parse_sarif(_json({"version": "2.1.0", "runs": runs}), "s")
    assert report.tool == "One, Two"
    assert [found.rule for found in report.findings] == ["One", "Two", "One"]


def test_no_results_is_not_no_findings() -> None:
    assert parse_sarif(_sarif(), "s").findings == ()
    for runs in (
        [],
        [{"tool": {"driver": {"name": "D"}}}],
        [{"tool": {"driver": {"name": "D"}}, "results": None}],
    ):
        with pytest.raises(CollectorError, match=r"^s\.sarif tells no findings: .* nothing was analysed"):
            parse_sarif(_json({"version": "2.1.0", "runs": runs}), "s.sarif")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<xml/>", "is not valid JSON"),
        (b'{"version": "1.0.0", "runs": []}', "its version is '1.0.0'"),
        (b"[]", "it tells no version"),
        (b'{"version": 2.1, "runs": []}', "it tells no version"),
        (_sarif(_result(level="high")), "a result of the level 'high'"),
    ],
)
def test_what_is_no_sarif_is_refused_in_one_sentence(data: bytes, reason: str) -> None:
    with pytest.raises(CollectorError, match=rf"^s\.sarif .*{reason}"):
        parse_sarif(data, "s.sarif")


# --- any file at all ---------------------------------------------------------------------------------

_WORDS = """
    version runs results tool driver rules extensions ruleId ruleIndex rule index level kind message text id arguments
    locations physicalLocation artifactLocation uri region startLine suppressions status partialFingerprints artifacts
    benchmarks stats mean stddev rounds name fullname entries benches value unit range extra date 2.1.0
"""
_KEYS = st.sampled_from(_WORDS.split())
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=15,
)
_files = (
    st.binary(max_size=200)
    | _json_values.map(_json)
    | st.lists(_json_values, max_size=3).map(
        lambda results: _json({"version": "2.1.0", "runs": [{"results": results}, *results]})
    )
)


@pytest.mark.parametrize("parse", _PARSERS)
@given(data=_files)
@settings(max_examples=200, deadline=None)
def test_any_file_is_read_or_refused(parse: Callable[[bytes, str], object], data: bytes) -> None:
    refusal = ""
    try:
        parse(data, "file")
    except CollectorError as error:
        refusal = str(error)
    assert refusal == "" or refusal.startswith("file ")


@given(value=st.floats(min_value=0, max_value=1e200, allow_nan=False))
def test_a_number_is_read_as_python_writes_it(value: float) -> None:
    assert number(repr(value)) == value
    if value < 1e15:
        assert number(f"{value:,.6f}") == pytest.approx(value, abs=1e-6)
