"""Measures that CI hands in for a commit: files as tools write them, kept as facts that changes are compared by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from achievement_collector.config import Settings
from achievement_collector.errors import CollectorError
from achievement_collector.facts.ci import TestReport
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger.ci_tests import add_test_report
from achievement_collector.ledger.collecting import known_spelling
from achievement_collector.ledger.entities import take_in, things
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.live import note_changes
from achievement_collector.services.repository_names import repository_key
from achievement_collector.sources.ci_files.benchmarks import parse_benchmarks
from achievement_collector.sources.ci_files.cobertura import parse_cobertura
from achievement_collector.sources.ci_files.junit import parse_junit
from achievement_collector.sources.ci_files.sarif import parse_sarif

FILE_KINDS = ("junit", "coverage", "benchmark", "sarif")
LARGEST_FILE = 32 * 1024 * 1024
"""Bytes of one file."""

_MOST_FAILURES, _MOST_FINDINGS, _MOST_BENCHMARKS = 100, 5_000, 5_000


@dataclass(frozen=True, slots=True)
class CiFile:
    """A file of a job: ``kind`` is one of FILE_KINDS, ``name`` what errors call it."""

    kind: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job hands in. ``repository`` is ``owner/name`` or ``host/owner/name``; ``branch`` the branch the commit was
    built for, ``base`` the one it is to be merged into (pull requests only); ``job`` tells several jobs of a commit apart;
    ``at`` is when it was measured (ms since 1970)."""

    repository: str
    sha: str
    files: tuple[CiFile, ...] = ()
    build_time: float | None = None
    pull_request: int | None = None
    branch: str = ""
    base: str = ""
    job: str = ""
    url: str = ""
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """The kinds of measures that were taken in, each with a few words, and those that were known already."""

    repository: str
    sha: str
    taken: tuple[tuple[str, str], ...]
    is_new: bool


def ingest(ledger: Ledger, submission: Submission, settings: Settings, now: int) -> Ingested:
    """Stores the measures of a submission; the same submission again changes nothing. ``now`` in milliseconds.

    Raises :class:`CollectorError` for what cannot be used; then nothing of the submission is stored.
    """
    if not settings.ci_enabled:
        raise CollectorError("CI metrics are switched off (tracking.ci_integration.enabled)")
    place = repository_key(submission.repository)
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", submission.sha.lower()):
        raise CollectorError(f"{submission.sha[:80]!r} is no full commit id (40 or 64 hex digits)")
    if submission.pull_request is not None and not 0 < submission.pull_request < 2**31:
        raise CollectorError("the pull request must be its number")
    tests: list[TestReport] = []
    reports = {
        kind: body for kind, body in _reports(submission, tests).items() if kind in settings.ci_metrics
    }
    if not reports:
        raise CollectorError(
            "there is nothing to take in: give a file (junit, coverage, benchmark, sarif) or a build time"
        )
    sha, at = submission.sha.lower(), submission.at or now
    common = {
        "sha": sha, "name": submission.job[:200], "branch": submission.branch[:300], "base": submission.base[:300],
        "pull_request": submission.pull_request, "url": submission.url[:1000],
    }  # fmt: skip
    with ledger.write() as connection:
        place = known_spelling(connection, place)
        observations = [
            Observation(
                Kind.CI_REPORT,
                f"{place}@{sha}/{kind}/{submission.job[:200]}",
                at,
                {**common, "kind": kind, "body": body},
                place,
            )
            for kind, body in reports.items()
        ]
        known = {
            one.key: one.fields
            for one in things(connection, Kind.CI_REPORT, keys=[one.key for one in observations])
        }
        new = [
            one for one in observations if known.get(one.key) != one.fields
        ]  # the time of the first is that of measuring
        changed = take_in(connection, new, now)
        note_changes(connection, changed, now)
        if "tests" in reports:
            # of a test that failed in one file of a job and passed in another it is not known that these are attempts of one
            cases = [case for report in tests for case in report.cases]
            add_test_report(connection, place, sha, submission.job[:200], submission.branch[:300], at, cases)
    return Ingested(
        place, sha, tuple((kind, _brief(kind, body)) for kind, body in reports.items()), bool(changed)
    )


def _reports(submission: Submission, tests: list[TestReport]) -> dict[str, dict[str, Any]]:
    """The measures by kind; ``tests`` gets the reports of tests as they are."""
    found: dict[str, dict[str, Any]] = {}
    coverage: list[dict[str, Any]] = []
    benchmarks: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    tools: list[str] = []
    for file in submission.files:
        if len(file.content) > LARGEST_FILE:
            raise CollectorError(
                f"{file.name} has {len(file.content):,} bytes; {LARGEST_FILE:,} are taken at most"
            )
        match file.kind:
            case "junit":
                tests.append(parse_junit(file.content, file.name))
            case "coverage":
                coverage.append(asdict(parse_cobertura(file.content, file.name)))
            case "benchmark":
                benchmarks += [asdict(one) for one in parse_benchmarks(file.content, file.name)]
            case "sarif":
                report = parse_sarif(file.content, file.name)
                tools.append(report.tool)
                findings += [
                    {
                        **asdict(one),
                        "message": one.message[:300],
                        "fingerprint": f"{one.rule}|{one.path}|{one.fingerprint}",
                    }
                    for one in report.findings
                ]
            case _:
                raise CollectorError(f"{file.kind!r} is no kind of file; choose from {', '.join(FILE_KINDS)}")
    if tests:
        found["tests"] = _joined_tests(tests)
    if coverage:
        found["coverage"] = _joined_coverage(coverage)
    if benchmarks:
        found["benchmarks"] = {"benchmarks": benchmarks[:_MOST_BENCHMARKS]}
    if tools:
        found["findings"] = {
            "tool": ", ".join(dict.fromkeys(filter(None, tools))),
            "findings": findings[:_MOST_FINDINGS],
        }
    if submission.build_time is not None:
        if not 0 <= submission.build_time < 1e7:
            raise CollectorError(f"a build time of {submission.build_time:g} s cannot be; give seconds")
        found["build_time"] = {"seconds": submission.build_time}
    return found


def _joined_tests(reports: Sequence[TestReport]) -> dict[str, Any]:
    """Totals of all files of a job; seconds only where every file tells them."""
    totals = [report.totals for report in reports]
    seconds = [one.seconds for one in totals]
    body: dict[str, Any] = {
        name: sum(getattr(one, name) for one in totals)
        for name in ("total", "passed", "failed", "errors", "skipped", "flaky")
    }
    body["seconds"] = sum(one for one in seconds if one is not None) if None not in seconds else None
    broken = sum(report.suite_errors for report in reports)
    if broken:
        body["suite_errors"] = broken
    if any(report.declared for report in reports):
        body["declared"] = {
            "total": sum(one.declared.total if one.declared else one.totals.total for one in reports),
            "failed": sum(
                one.declared.failed if one.declared else one.totals.failed + one.totals.errors
                for one in reports
            ),
        }
    unhappy = [
        case for report in reports for case in report.cases if case.outcome in ("failed", "error", "flaky")
    ]
    body["failures"] = [
        {"test": case.identity[:500], "outcome": case.outcome, "message": case.message[:500]}
        for case in unhappy[:_MOST_FAILURES]
    ]
    return body


def _joined_coverage(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report as it is; several added up, which needs the counts of each."""
    if len(reports) == 1:
        return reports[0]
    names = ("lines_valid", "lines_covered", "branches_valid", "branches_covered")
    body: dict[str, Any] = {
        name: None if any(one[name] is None for one in reports) else sum(one[name] for one in reports)
        for name in names
    }
    rates = {
        "line_rate": ("lines_covered", "lines_valid"),
        "branch_rate": ("branches_covered", "branches_valid"),
    }
    for rate, (covered, valid) in rates.items():
        body[rate] = body[covered] / body[valid] if body[valid] and body[covered] is not None else None
    if body["line_rate"] is None:
        raise CollectorError(
            "several coverage files can only be added up where each tells its lines; hand them in by job"
        )
    return body


def _tests_in_words(body: dict[str, Any]) -> str:
    told = f"{body['total']:,} tests, {body['failed'] + body['errors']:,} failed, {body['skipped']:,} skipped"
    if body["flaky"]:
        told += f", {body['flaky']:,} flaky"
    if broken := body.get("suite_errors"):
        told += f"; {broken:,} of them no test but a suite that broke itself"
    if declared := body.get("declared"):
        told += (
            f"; the report contradicts itself: its suites declare {declared['total']:,} tests, {declared['failed']:,} failed, "
            "and results of fewer are in it"
        )
    return told


def _brief(kind: str, body: dict[str, Any]) -> str:
    match kind:
        case "tests":
            return _tests_in_words(body)
        case "coverage":
            rate = body["line_rate"]
            return "line coverage not told" if rate is None else f"line coverage {rate * 100:.1f} %"
        case "benchmarks":
            return f"{len(body['benchmarks']):,} benchmarks"
        case "findings":
            return f"{len(body['findings']):,} findings"
    return f"{body['seconds']:g} s"
