"""JUnit XML, in the dialects of its many writers.

There is no standard. Read here are the parts that writers agree on, and the reruns of Maven Surefire
(https://maven.apache.org/surefire/maven-surefire-plugin/examples/rerun-failing-tests.html): ``flakyFailure`` and
``flakyError`` in a test that passed later, ``rerunFailure`` and ``rerunError`` in one that never did. An ``error`` of a suite
itself, whose class could not be loaded, say, is a case ``<init>`` of that suite, as in Jenkins (hudson.tasks.junit.SuiteResult).
The counts that suites give as attributes are never taken for results, writers do not agree on what they count; where they are
more than what is listed, the report says so: results are missing.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from achievement_collector.facts.ci import DeclaredTests, TestCase, TestReport, TestTotals
from achievement_collector.sources.ci_files.reading import number, read_xml, whole

LONGEST_MESSAGE = 2_000
"""Characters of a failure that are kept."""

_LONGEST_NAME = 300
_LONGEST_TIME = 1e9  # seconds: beyond it a time is a mistake
_SEPARATOR = "::"

# the first of these that a test case holds decides its outcome
_RESULTS = {
    "failure": "failed",
    "error": "error",
    "rerunFailure": "failed",
    "rerunError": "error",
    "skipped": "skipped",
    "flakyFailure": "flaky",
    "flakyError": "flaky",
}
_SUITES = ("testsuite", "testsuites")
_BROKEN_SUITE = "<init>"
_ATTEMPTS = ("passed", "failed", "error")
_RANKS = {tag: rank for rank, tag in enumerate(_RESULTS)}
# what GoogleTest, CTest and others say in an attribute of a test case without one of the elements above
_STATES = {
    "notrun": "skipped",
    "disabled": "skipped",
    "suppressed": "skipped",
    "skipped": "skipped",
    "ignored": "skipped",
    "fail": "failed",
    "failed": "failed",
    "failure": "failed",
    "error": "error",
}


def parse_junit(data: bytes, name: str) -> TestReport:
    """The tests of a JUnit XML file; ``name`` is the file's, for messages.

    The same test twice, once passed and once failed, is one flaky test case (some runners list each attempt); without a
    name tests are never held to be the same. Raises :class:`CiFileError` where the file cannot be read as a whole.
    """
    document = _Report()
    read_xml(data, name, ("testsuites", "testsuite"), "JUnit report", document)
    cases = tuple(_attempts_joined(document.cases))
    return TestReport(_totals(cases), cases, document.suite_errors, document.declared())


class _Suite:
    """What an open suite declares, and what is listed or declared inside of it: tests, and those that did not pass."""

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self.declared = (whole(attributes.get("tests")), _bad(attributes))
        self.inside = [0, 0]

    def count(self, tests: int, bad: int) -> None:
        self.inside[0] += tests
        self.inside[1] += bad

    @property
    def told(self) -> tuple[int, int]:
        """What it declares, where it does; else what is inside of it."""
        tests, bad = self.declared
        return self.inside[0] if tests is None else tests, self.inside[1] if bad is None else bad


def _bad(attributes: Mapping[str, str]) -> int | None:
    known = [
        one for one in (whole(attributes.get(name)) for name in ("failures", "errors")) if one is not None
    ]
    return sum(known) if known else None


class _Report:
    """Collects the test cases, each with the name by which its other attempts are known (empty: has none)."""

    def __init__(self) -> None:
        self.cases: list[tuple[str, TestCase]] = []
        self.suite_errors = 0
        self._open: list[_Suite] = [_Suite({})]  # the file itself, and the suites around what is read
        self._is_suite_error = False  # whether the open case is a suite that broke itself
        self._suites: list[str] = []  # the beginning of the identities in each open suite
        self._case: Mapping[str, str] | None = None  # the attributes of the open test case
        self._depth = 0  # of the open test case
        self._result = ""  # the element that decides so far
        self._message = ""
        self._texts: list[str] | None = None  # of the open element that decides
        self._room = 0

    def start(self, path: Sequence[str], attributes: Mapping[str, str]) -> None:
        tag = path[-1]
        if self._case is not None:
            if tag in _RANKS and path[-2] == "testcase":
                self._start_result(tag, attributes)
        elif tag in _SUITES:
            self._open.append(_Suite(attributes))
            if tag == "testsuite":
                outer = self._suites[-1] if self._suites else ""
                self._suites.append(_identity(outer, attributes.get("name", "")))
        elif len(path) > 1 and path[-2] in _SUITES:
            if tag == "testcase":
                self._begin(attributes, len(path))
            elif tag in ("error", "failure"):
                self._begin({"name": _BROKEN_SUITE}, len(path), is_suite_error=True)
                self._start_result(tag, attributes)

    def _begin(self, attributes: Mapping[str, str], depth: int, *, is_suite_error: bool = False) -> None:
        self._case, self._depth, self._is_suite_error = dict(attributes), depth, is_suite_error
        self._result, self._message = "", ""

    def declared(self) -> DeclaredTests | None:
        """What the suites declare, where that is more than what they list."""
        tests, bad = self._open[0].told
        counts = Counter(case.outcome for _, case in self.cases)
        listed_bad = counts["failed"] + counts["error"] + counts["flaky"]
        return DeclaredTests(tests, bad) if tests > len(self.cases) or bad > listed_bad else None

    def _start_result(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._result or _RANKS[tag] < _RANKS[self._result]:
            self._result = tag
            self._message = attributes.get("message", "").strip()[:LONGEST_MESSAGE]
            self._texts, self._room = [], LONGEST_MESSAGE

    def text(self, text: str) -> None:
        if self._texts is not None and self._room > 0:
            kept = (text if self._texts else text.lstrip())[: self._room]
            if kept:
                self._texts.append(kept)
                self._room -= len(kept)

    def end(self, path: Sequence[str]) -> None:
        tag = path[-1]
        if self._case is not None:
            if len(path) == self._depth:
                if self._texts is not None:
                    self._end_result()
                self._finish(self._case)
                self._case = None
            elif self._texts is not None and tag == self._result and path[-2] == "testcase":
                self._end_result()
        elif tag in _SUITES:
            ended = self._open.pop()
            self._open[-1].count(*ended.told)
            if tag == "testsuite":
                self._suites.pop()

    def _end_result(self) -> None:
        self._message = self._message or "".join(self._texts or ()).strip()
        self._texts = None

    def _finish(self, attributes: Mapping[str, str]) -> None:
        suite = self._suites[-1] if self._suites else ""
        identity = _identity(suite, *(attributes.get(key, "") for key in ("classname", "name", "file")))
        if self._result:
            outcome = _RESULTS[self._result]
        else:
            said = (attributes.get(key, "").strip().lower() for key in ("status", "result"))
            outcome = next((_STATES[word] for word in said if word in _STATES), "passed")
        case = TestCase(identity, outcome, _seconds(attributes.get("time")), self._message)
        is_attempt = bool(attributes.get("name", "").strip()) and not self._is_suite_error
        self.cases.append((identity if is_attempt else "", case))
        self.suite_errors += self._is_suite_error
        self._open[-1].count(1, outcome in ("failed", "error", "flaky"))


def _identity(*parts: str) -> str:
    return _SEPARATOR.join(_shortened(stripped) for part in parts if (stripped := part.strip()))


def _shortened(name: str) -> str:
    """A name of bearable length; of a longer one the beginning and a hash of all of it."""
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: _LONGEST_NAME - 41]}…{digest}"


def _seconds(text: str | None) -> float | None:
    value = number(text)
    return value if value is not None and 0 <= value <= _LONGEST_TIME else None


def _total_seconds(cases: Sequence[TestCase]) -> float | None:
    known = [case.seconds for case in cases if case.seconds is not None]
    return math.fsum(known) if known else None


def _attempts_joined(cases: Sequence[tuple[str, TestCase]]) -> Iterator[TestCase]:
    """The cases, those of a test that both failed and passed made one, in the place of the first."""
    attempts: dict[str, list[TestCase]] = {}
    for test, case in cases:
        if test and case.outcome in _ATTEMPTS:
            attempts.setdefault(test, []).append(case)
    flaky = {
        test: TestCase(
            test, "flaky", _total_seconds(same), next(filter(None, (one.message for one in same)), "")
        )
        for test, same in attempts.items()
        if len({one.outcome == "passed" for one in same}) == 2
    }
    for test, case in cases:
        if test not in flaky or case.outcome not in _ATTEMPTS:
            yield case
        elif case is attempts[test][0]:
            yield flaky[test]


def _totals(cases: Sequence[TestCase]) -> TestTotals:
    counts = Counter(case.outcome for case in cases)
    return TestTotals(
        total=len(cases),
        passed=counts["passed"],
        failed=counts["failed"],
        errors=counts["error"],
        skipped=counts["skipped"],
        flaky=counts["flaky"],
        seconds=_total_seconds(cases),
    )
