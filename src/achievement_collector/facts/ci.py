"""What CI jobs measured, as the files they wrote tell it: tests, coverage, benchmarks, findings of analyses.

A number that a file does not tell is None. Times are in seconds, rates are between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of a report.

    ``identity`` is its suites, class, name and file joined by ``::``, the same in each run of the same test.
    ``outcome`` is ``passed``, ``failed`` (an assertion did not hold), ``error`` (something else broke), ``skipped``
    or ``flaky`` (it failed and it passed). ``seconds`` is what it took, over all its attempts where the file lists
    them as test cases. ``message`` tells why it did not simply pass; empty where the file does not.
    """

    __test__: ClassVar[bool] = False  # pytest would collect it for its name

    identity: str
    outcome: str
    seconds: float | None
    message: str


@dataclass(frozen=True, slots=True)
class TestTotals:
    """How many test cases came out how; ``total`` is the sum of the other five counts.

    ``seconds`` adds up the times that the cases tell, None where none does. Tests that ran at the same time make it
    longer than anybody waited.
    """

    __test__: ClassVar[bool] = False

    total: int
    passed: int
    failed: int
    errors: int
    skipped: int
    flaky: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DeclaredTests:
    """How many tests the suites of a file say they have, and how many of them did not pass."""

    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class TestReport:
    """The tests of one file, in its order, and their totals. ``suite_errors`` of the cases are no tests but suites that broke
    themselves. ``declared`` is what the suites say where that is more than what they list, else None."""

    __test__: ClassVar[bool] = False

    totals: TestTotals
    cases: tuple[TestCase, ...]
    suite_errors: int = 0
    declared: DeclaredTests | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the code the tests reached. Counts are of lines and of branches; rates are 0-1.

    A rate is None also where there is nothing to cover: no share of zero lines is covered.
    """

    lines_valid: int | None
    lines_covered: int | None
    line_rate: float | None
    branch_rate: float | None
    branches_valid: int | None
    branches_covered: int | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One measured quantity: ``value`` in ``unit`` (as the file writes it), the mean where there are samples.

    ``higher_is_better`` is None where neither the unit nor the file nor the caller tells. ``samples`` counts the
    repetitions. ``spread`` and ``median`` are in the same unit; ``spread_kind`` is ``standard deviation``, ``range``
    (a plus-minus of a kind that the file does not name) or, without a spread, empty.
    """

    name: str
    value: float
    unit: str
    higher_is_better: bool | None
    samples: int | None
    spread: float | None
    spread_kind: str
    median: float | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that an analysis found.

    ``level`` is ``error``, ``warning``, ``note`` or ``none``. ``path`` is as the tool writes it, without percent
    escapes; ``line`` counts from 1. ``fingerprint`` recognises the finding in later reports **together with rule and
    path**: tools hash the surrounding lines, which two rules or two files may share.
    """

    rule: str
    level: str
    path: str
    line: int | None
    fingerprint: str
    message: str


@dataclass(frozen=True, slots=True)
class SarifReport:
    """The findings of all runs of one file, in its order; ``tool`` joins the tools' names by a comma."""

    tool: str
    findings: tuple[Finding, ...]
