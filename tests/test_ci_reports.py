"""Failures explained as they come in, and reports: a simulated month whose true numbers are known, frozen, comparable."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.cli.main import app
from achievement_collector.config import Settings
from achievement_collector.derive.ci_report import week_named
from achievement_collector.derive.failures.drafting import draft_signature
from achievement_collector.derive.failures.signatures import Signatures
from achievement_collector.derive.fixes import Fix
from achievement_collector.derive.quarters import LISTS
from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.facts.ci import TestCase
from achievement_collector.facts.ci_runs import Annotation, Attempt, Job, Step
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import ci_failures, ci_runs
from achievement_collector.ledger.ci_fixes import add_fix
from achievement_collector.ledger.ci_tests import add_test_report
from achievement_collector.ledger.entities import remember, take_in
from achievement_collector.ledger.roadmap import add_snapshots
from achievement_collector.ledger.store import Ledger
from achievement_collector.present.ci_terminal import health_in_full
from achievement_collector.present.reports import render_report
from achievement_collector.services.ci_failures import (
    clusters_of,
    explain_failures,
    explained_job,
    unknown_failures,
)
from achievement_collector.services.ci_health import health_of
from achievement_collector.services.quarterly_reports import quarterly_report
from achievement_collector.services.reports import ci_report, list_reports, one_report
from tests.serving import serving
from tests.simulated_ci import DAY, REPOSITORY, TRUTH, simulated_month

SETTINGS = Settings(database="unused")
PYTEST = """2026-10-01T00:00:00.0000000Z ##[group]Run pytest
2026-10-01T00:00:01.0000000Z ============================= test session starts ==============================
2026-10-01T00:00:02.0000000Z FAILED tests/test_clock.py::test_tick - AssertionError: assert {number} == 3
2026-10-01T00:00:03.0000000Z ========================= 1 failed, 11 passed in 0.21s =========================
2026-10-01T00:00:04.0000000Z ##[error]Process completed with exit code 1.
"""
RUFF = """2026-10-01T00:00:00.0000000Z ##[group]Run ruff check .
2026-10-01T00:00:01.0000000Z src/app.py:10:5: F821 Undefined name `foo{number}`
2026-10-01T00:00:02.0000000Z Found 1 error.
2026-10-01T00:00:03.0000000Z ##[error]Process completed with exit code 1.
"""


def stored(
    ledger: Ledger, attempts: Sequence[Attempt], jobs: Sequence[Job], logs: dict[int, str] | None = None
) -> None:
    """Writes runs and jobs as the collector does."""
    observations = [
        Observation(
            Kind.CHECK, one.key, one.finished or one.started or 0,
            {
                "name": one.workflow, "path": one.path, "branch": one.branch, "event": one.event, "status": "completed",
                "conclusion": one.conclusion or None, "created": one.created, "started": one.started,
                "completed": one.finished, "url": one.url, "pull_requests": list(one.pulls), "sha": one.sha, "attempt": one.number,
            }, f"{one.repository}@{one.sha}",
        )
        for one in attempts
    ]  # fmt: skip
    observations += [
        Observation(
            Kind.JOB, one.key, one.finished or one.started or 0,
            {
                "name": one.name, "run": one.run, "attempt": one.attempt, "sha": one.sha, "branch": one.branch,
                "workflow": one.workflow, "status": "completed", "conclusion": one.conclusion or None, "created": one.queued,
                "started": one.started, "completed": one.finished, "url": one.url,
                "steps": [[s.number, s.name, s.conclusion, s.started, s.finished] for s in one.steps],
            }, f"{one.repository}/run/{one.run}",
        )
        for one in jobs
    ]  # fmt: skip
    with ledger.write() as connection:
        take_in(connection, [Observation(Kind.REPOSITORY, REPOSITORY, 1, {"default_branch": "main"})], 1)
        take_in(connection, ci_runs.take_in_runs(connection, observations).rest, 1)
        for one in attempts:
            if one.jobs_known:
                of = ci_runs.WantedJobs(one.repository.partition("/")[0], one.run, one.number)
                ci_runs.note_jobs(connection, of, "read", one.jobs)
        for number, text in (logs or {}).items():
            wanted = ci_runs.WantedOfJob("github.com", number, None, None)
            ci_runs.note_log(connection, wanted, ci_runs.Log("stored", text, len(text)), 1)


@pytest.fixture
def month(any_ledger: Ledger) -> Ledger:
    told = simulated_month()
    red = [one for one in told.jobs if one.conclusion == "failure"]
    logs = {one.id: (RUFF if one.name == "lint" else PYTEST).format(number=one.id) for one in red}
    stored(any_ledger, told.attempts, told.jobs, logs)
    collected(any_ledger, 0, NOW)
    return any_ledger


def collected(ledger: Ledger, begun: int, read: int) -> None:
    """Remembers how far the list of runs was read, as the collector does."""
    with ledger.write() as connection:
        remember(connection, f"github/{REPOSITORY}/runs", {"begun": begun, "read": read}, read)


NOW = TRUTH.until + 3 * DAY
BEGINNING_OF_2027 = 1_798_761_600_000


def test_the_health_of_what_is_stored_is_that_of_the_month(month: Ledger) -> None:
    found = health_of(month, "acme/rocket", NOW, TRUTH.since, TRUTH.until)
    overall = found["pass_rates"][0]
    assert (overall["first"]["passed"], overall["first"]["n"]) == TRUTH.overall_first
    assert (overall["final"]["passed"], overall["final"]["n"]) == TRUTH.overall_final
    headline = found["time_to_green"]["headline"]
    assert (headline["mean"], headline["median"], headline["p90"]) == (TRUTH.mean, TRUTH.median, TRUTH.p90)


def test_a_weekly_report_of_the_month_tells_its_true_numbers(month: Ledger) -> None:
    weeks = [ci_report(month, SETTINGS, NOW, week=f"2026-W{40 + number}") for number in range(4)]
    for week, (passed, n) in zip(weeks, TRUTH.ci_main_by_week, strict=True):
        group = next(one for one in week["by_workflow"] if one["path"].endswith("ci.yml"))
        assert group["first"]["n"] >= n
        assert week["is_frozen"]
        assert week["is_complete"]
        assert passed <= n
    first = weeks[0]
    assert first["report_name"] == "CI_Weekly_Report_2026-10-05"
    assert first["report_date"] == "2026-10-05"
    assert first["analysis_period"] == {
        "since": "2026-09-28T00:00:00Z", "until": "2026-10-05T00:00:00Z", "week": "2026-W40",
    }  # fmt: skip
    # slots 10 and 11 in lint, 20 in a flaky test; six pull requests' first run in lint
    assert first["total_failures"]["value"] == 9
    assert first["top_failure_category"]["value"] == "lint"
    assert (first["top_failure_category"]["failed_jobs"], first["failed_jobs_explained"]) == (8, 9)
    assert first["auto_fix_success_rate"]["value"] is None  # nothing was attempted
    assert first["average_mttr"]["n"] == 2  # too few for an average
    assert (first["average_mttr"]["value"], first["average_mttr"]["state"]) == (None, "not enough data")
    month_of_it = ci_report(month, SETTINGS, NOW, since=TRUTH.since, until=TRUTH.until)
    assert month_of_it["average_mttr"]["value"] == TRUTH.mean
    assert sum(one["failures"] for one in first["failures_by_day"]) == 9
    assert weeks[1]["compared"]["with"] == first["report_name"]
    assert weeks[1]["compared"]["total_failures"] == weeks[1]["total_failures"]["value"] - 9


def test_past_numbers_never_change(month: Ledger) -> None:
    before = ci_report(month, SETTINGS, NOW, week="2026-W40")
    late = Attempt(
        REPOSITORY, 99_999, 1, "CI", "f" * 40, "main", "push", "failure", TRUTH.since + DAY, TRUTH.since + DAY,
        TRUTH.since + DAY + 60_000, path=".github/workflows/ci.yml",
    )  # fmt: skip
    stored(month, [late], [])
    after = ci_report(month, SETTINGS, NOW + DAY, week="2026-W40")
    assert after == before
    (listed,) = list_reports(month)
    assert listed["key"] == f"weekly/{REPOSITORY}/2026-W40"
    assert one_report(month, listed["key"])["total_failures"] == before["total_failures"]


def test_a_week_that_is_not_over_is_no_frozen_report(month: Ledger) -> None:
    now = TRUTH.since + 3 * DAY
    draft = ci_report(month, SETTINGS, now, week="2026-W40")
    assert (draft["is_frozen"], draft["is_complete"]) == (False, False)
    assert list_reports(month) == []
    with pytest.raises(CollectorError, match="has not begun"):
        ci_report(month, SETTINGS, now, week="2026-W45")
    with pytest.raises(CollectorError, match="names no week"):
        ci_report(month, SETTINGS, now, week="soon")


def test_nothing_measured_is_said_so(any_ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="no run of CI is known"):
        ci_report(any_ledger, SETTINGS, NOW)
    one = Attempt(
        REPOSITORY,
        1,
        1,
        "CI",
        "a" * 40,
        "main",
        "push",
        "success",
        NOW - 30 * DAY,
        NOW - 30 * DAY,
        NOW - 30 * DAY + 9,
    )
    stored(any_ledger, [one], [])
    told = ci_report(any_ledger, SETTINGS, NOW, week="last")
    assert told["total_failures"]["value"] is None
    assert told["failures_by_day"] == []
    assert "total failures:** not measured: nothing later than" in render_report(told, "markdown").decode()
    collected(any_ledger, NOW - 60 * DAY, NOW)
    told = ci_report(any_ledger, SETTINGS, NOW, week="last")
    assert (told["total_failures"]["value"], told["total_failures"]["of"]) == (
        0,
        0,
    )  # no run, and that is known
    for name in ("auto_fix_success_rate", "average_mttr", "top_failure_category"):
        assert told[name]["value"] is None, name
    text = render_report(told, "markdown").decode()
    assert "auto-fix success rate:** not measured" in text.replace("\\-", "-")
    assert "70" not in text.split("## What the words mean")[0].replace("2026", "")


def test_tests_of_another_ci_are_shown_without_runs(any_ledger: Ledger) -> None:
    """They were stored, and it was said that no run of CI is known."""
    place = "gitlab.example/acme/rocket"
    cases = [TestCase("clock::test_tick", "flaky", 0.1, "")]
    with any_ledger.write() as connection:
        for number in range(3):
            add_test_report(
                connection, place, f"{number:040x}", "unit", "main", NOW - number * DAY - 1, cases
            )
    found = health_of(any_ledger, None, NOW)
    assert (found["repository"], found["runs"]) == (place, 0)
    assert found["pass_rates"][0]["first"]["state"] == "not measured"
    (flaky,) = found["flakiness"]["found"]
    assert (flaky["name"], flaky["level"], flaky["commits"]) == ("clock::test_tick", "certain", 3)
    assert "no run recorded" in str(health_in_full(found).renderables[1])  # type: ignore[attr-defined]
    told = ci_report(any_ledger, SETTINGS, NOW, repository="acme/rocket", since=NOW - 7 * DAY)
    text = render_report(told, "markdown").decode()
    assert "total failures:** not measured: no run of CI was collected" in text
    assert "| clock::test\\_tick | certain |" in text
    with pytest.raises(NotFoundError, match="acme/other"):
        health_of(any_ledger, "acme/other", NOW)


@pytest.mark.parametrize("format", ["markdown", "html", "pdf", "json"])
def test_a_report_is_made_in_every_format(month: Ledger, format: str) -> None:
    content = render_report(ci_report(month, SETTINGS, NOW, week="2026-W40"), format)
    if format == "pdf":
        assert content[:4] == b"%PDF"
        return
    text = content.decode()
    assert "2026-W40" in text
    assert "lint" in text
    if format == "html":
        assert "<svg" in text
    if format == "json":
        assert json.loads(text)["kind"] == "weekly"


def test_a_quarter_joins_milestones_and_ci(
    month: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = quarterly_report(month, SETTINGS, NOW, quarter="Q4-2026")
    assert (told["quarter"], told["is_frozen"], told["is_complete"]) == ("Q4-2026", False, False)
    (ci,) = told["ci"]
    assert ci["missing"] == ["nothing later than 2026-10-29T00:00:00Z was collected"]
    early = quarterly_report(month, SETTINGS, BEGINNING_OF_2027 + DAY, quarter="Q4-2026")
    assert (early["is_frozen"], early["is_complete"]) == (False, True)  # the last weeks of CI were not read
    assert (ci["repository"], ci["pass_rate"]["first"]["n"] > 100) == (REPOSITORY, True)
    done = quarterly_report(month, SETTINGS, NOW + 90 * DAY, quarter="Q4-2026")
    assert done["is_frozen"]
    assert quarterly_report(month, SETTINGS, NOW + 200 * DAY, quarter="q4-2026") == done
    for format in ("markdown", "html", "json"):
        assert b"Q4-2026" in render_report(done, format)
    with pytest.raises(CollectorError, match="names no quarter"):
        quarterly_report(month, SETTINGS, NOW, quarter="Q5-2026")


def test_a_week_is_frozen_only_once_it_was_collected(any_ledger: Ledger) -> None:
    """A report made on Monday morning, before the weekend's runs were read, said 0 failures for ever."""
    since, until = TRUTH.since, TRUTH.since + 7 * DAY
    stored(any_ledger, [attempt(1, since + DAY, "success")], [])
    told = ci_report(any_ledger, SETTINGS, until + DAY, week="2026-W40")
    assert not told["is_frozen"]
    assert told["missing"] == [
        "runs are known from 2026-09-29T00:00:00Z on", "nothing later than 2026-09-29T00:00:00Z was collected",
    ]  # fmt: skip
    assert "not known yet" in render_report(told, "markdown").decode()
    # runs of before and after were told of: by webhooks nothing else shows how far they go
    stored(any_ledger, [attempt(2, since - DAY, "success"), attempt(3, until, "success")], [])
    red = attempt(4, since + 2 * DAY)
    stored(any_ledger, [red], [])
    told = ci_report(any_ledger, SETTINGS, until + DAY, week="2026-W40")
    assert (told["is_frozen"], told["missing"]) == (False, ["1 failed attempt had jobs that were not read"])
    assert told["total_failures"]["value"] == 1
    stored(any_ledger, [replace(red, jobs_known=True, jobs=1)], [job(4, since + 2 * DAY)])
    told = ci_report(any_ledger, SETTINGS, until + DAY, week="2026-W40", freezes=False)
    assert told["missing"] == ["1 failed job had no log read"]
    assert list_reports(any_ledger) == []
    # what cannot be had is waited for, and then said to be missing
    told = ci_report(any_ledger, SETTINGS, until + 14 * DAY, week="2026-W40")
    assert told["is_frozen"]
    assert "not known:** 1 failed job had no log read" in render_report(told, "markdown").decode()


def test_a_week_that_was_collected_whole_is_frozen_at_once(any_ledger: Ledger) -> None:
    stored(
        any_ledger, [attempt(number, TRUTH.since + (number - 2) * DAY, "success") for number in (1, 2)], []
    )
    collected(any_ledger, TRUTH.since - DAY, TRUTH.since + 7 * DAY)
    assert ci_report(any_ledger, SETTINGS, TRUTH.since + 8 * DAY, week="2026-W40")["is_frozen"]


@pytest.mark.parametrize("begun", [0, TRUTH.since - 30 * DAY])
def test_a_week_before_the_first_known_run_was_not_measured(any_ledger: Ledger, begun: int) -> None:
    """It was frozen with 0 of 0 attempts, however far back: nobody knows what GitHub has deleted."""
    stored(any_ledger, [attempt(1, TRUTH.since + DAY, "success")], [])
    collected(any_ledger, begun, TRUTH.until)
    for week in ("2020-W01", "2026-W39"):
        told = ci_report(any_ledger, SETTINGS, TRUTH.until, week=week)
        assert (told["is_frozen"], told["total_failures"]["value"], told["failures_by_day"]) == (
            False,
            None,
            [],
        )
        text = render_report(told, "markdown").decode()
        assert "total failures:** not measured: runs are known from 2026" in text
    # of the week of the first run the beginning may be gone
    told = ci_report(any_ledger, SETTINGS, TRUTH.until, week="2026-W40")
    assert (told["is_frozen"], told["total_failures"]["of"]) == (False, 1)
    assert told["missing"] == ["runs are known from 2026-09-29T00:00:00Z on"]
    assert ci_report(any_ledger, SETTINGS, TRUTH.until, week="2026-W41")["is_frozen"]


def _a_week_with_a_failed_job(ledger: Ledger) -> tuple[int, int, ci_runs.WantedOfJob]:
    """(when it failed, when the week ends, the log that it should have)."""
    since, until = TRUTH.since, TRUTH.since + 7 * DAY
    at = since + 2 * DAY
    stored(
        ledger,
        [
            attempt(1, since - DAY, "success"),
            attempt(2, at, jobs_known=True, jobs=1),
            attempt(3, until, "success"),
        ],
        [job(2, at)],
    )
    return at, until, ci_runs.WantedOfJob("github.com", 2, None, None)


@pytest.mark.parametrize("state", ["failed", "refused"])
def test_a_week_is_not_frozen_while_a_log_may_still_come(any_ledger: Ledger, state: str) -> None:
    """After one answer 503 it was, for ever, with a failure of which nothing was known."""
    at, until, wanted = _a_week_with_a_failed_job(any_ledger)
    for number in range(ci_runs.MOST_TRIES - 1):
        with any_ledger.write() as connection:
            ci_runs.note_log(connection, wanted, ci_runs.Log(state, told="HTTP 503"), at + number * DAY)
        told = ci_report(any_ledger, SETTINGS, until + DAY, week="2026-W40")
        assert (told["is_frozen"], told["missing"]) == (False, ["1 failed job had no log read"])
    with any_ledger.write() as connection:
        ci_runs.note_log(connection, wanted, ci_runs.Log(state, told="HTTP 503"), until)
    told = ci_report(any_ledger, SETTINGS, until + DAY, week="2026-W40")
    assert (told["is_frozen"], told["missing"]) == (True, ["1 failed job had a log that is not to be had"])


def test_a_log_that_comes_while_it_is_waited_for_is_in_the_frozen_week(any_ledger: Ledger) -> None:
    at, until, wanted = _a_week_with_a_failed_job(any_ledger)
    with any_ledger.write() as connection:
        ci_runs.note_log(connection, wanted, ci_runs.Log("failed", told="HTTP 503"), at)
    assert ci_report(any_ledger, SETTINGS, until + DAY)["top_failure_category"]["value"] is None
    text = PYTEST.format(number=1)
    with any_ledger.write() as connection:
        ci_runs.note_log(connection, wanted, ci_runs.Log("stored", text, len(text)), until)
    told = ci_report(any_ledger, SETTINGS, until + DAY)
    assert (told["is_frozen"], told["missing"], told["top_failure_category"]["value"]) == (True, [], "test")


def test_a_renamed_repository_keeps_its_reports(month: Ledger) -> None:
    before = ci_report(month, SETTINGS, NOW, week="2026-W40")
    renamed = Observation(Kind.REPOSITORY, REPOSITORY, NOW, {"moved_to": "github.com/acme/starship"})
    with month.write() as connection:
        take_in(connection, [renamed], NOW)
    after = ci_report(month, SETTINGS, NOW, week="2026-W40", repository="acme/starship")
    assert after == before
    assert [one["key"] for one in list_reports(month, repository="acme/starship")] == [
        f"weekly/{REPOSITORY}/2026-W40"
    ]
    assert ci_report(month, SETTINGS, NOW, week="2026-W41")["compared"]["with"] == before["report_name"]
    with pytest.raises(CollectorError, match="no kind of report; there are weekly and quarterly"):
        list_reports(month, "monthly")


def test_a_frozen_quarter_is_found_under_every_name_of_its_repository_and_of_its_fiscal_year_only(
    any_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stored(any_ledger, [attempt(1, TRUTH.since, "success")], [])
    before = quarterly_report(any_ledger, SETTINGS, NOW, quarter="Q3-2026", repository="acme/rocket")
    assert before["is_frozen"]
    renamed = Observation(Kind.REPOSITORY, REPOSITORY, NOW, {"moved_to": "github.com/acme/starship"})
    with any_ledger.write() as connection:
        take_in(connection, [renamed], NOW)
    stored(any_ledger, [attempt(2, TRUTH.since, "failure")], [])
    assert (
        quarterly_report(any_ledger, SETTINGS, NOW, quarter="Q3-2026", repository="acme/starship") == before
    )
    april = replace(SETTINGS, fiscal_year_start=4)
    other = quarterly_report(any_ledger, april, NOW, quarter="Q2-2027", repository="acme/starship")
    assert other["analysis_period"] == before["analysis_period"]
    assert len(list_reports(any_ledger, "quarterly")) == 2
    begun = quarterly_report(any_ledger, april, NOW, quarter="Q3-2026", repository="acme/starship")
    assert begun["analysis_period"]["since"].startswith("2025-10-01")


def test_a_quarter_of_which_nothing_is_known_is_not_frozen(
    any_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = quarterly_report(any_ledger, SETTINGS, NOW)
    assert (told["quarter"], told["is_frozen"], told["is_complete"]) == ("Q3-2026", False, True)
    assert "a draft" in render_report(told, "markdown").decode()
    stored(any_ledger, [attempt(1, TRUTH.since, "success")], [])  # CI of then was read later
    assert quarterly_report(any_ledger, SETTINGS, NOW)["is_frozen"]


def test_a_quarter_tells_its_milestones(
    any_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begin, end = date(2026, 7, 1), date(2026, 9, 29)

    def body(title: str, status: str | None, target: date, **more: Any) -> dict[str, Any]:
        return {
            "title": title, "status": {"value": status, "is_dropped": False}, "target": target.isoformat(), "completed": None,
            "progress": {"issues": 2, "closed": 1}, **more,
        }  # fmt: skip

    with any_ledger.write() as connection:
        add_snapshots(
            connection, begin, 1,
            {
                "a": body("<b>Alpha</b> | one", "In Progress", date(2026, 8, 31)), "b": body("Beta", None, date(2026, 9, 15)),
            },
        )  # fmt: skip
        add_snapshots(
            connection, end, 2,
            {
                "a": body("<b>Alpha</b> | one", "Completed", date(2026, 8, 31), completed="2026-08-30"),
                "b": body("Beta", "In Progress", date(2026, 11, 1)), "c": body("Gamma", "Planned", date(2026, 9, 30)),
            },
        )  # fmt: skip
    told = quarterly_report(any_ledger, SETTINGS, NOW, quarter="Q3-2026")
    milestones = told["milestones"]
    named = {name: [one["key"] for one in milestones[name]] for name in LISTS}
    assert (named["planned"], named["delivered"], named["carried_over"]) == (["a", "b"], ["a"], ["b"])
    assert (named["moved_out"], named["added_later"], named["dropped"]) == (["b"], ["c"], [])
    assert [(one["key"], one["total_days"]) for one in told["slips"]] == [("a", 0), ("b", 47), ("c", 0)]
    assert (told["velocity"]["value"], told["velocity"]["told"]) == (None, "no issue is linked")
    text = render_report(told, "markdown").decode().replace("\\", "")
    for expected in (
        "1 of 2, as the snapshot of 2026-09-29 tells", "on time:** 50.0 % (1 of 2", "## Carried over", "Beta",
        "2026-11-01", "moved once, 47 days later than first planned", "1 of 2 milestones that were seen more than once",
        "2026-07-01 to 2026-09-30", "velocity:** not measured; no issue is linked", "no run of CI is known in the quarter",
    ):  # fmt: skip
        assert expected in text, expected
    shown = render_report(told, "html").decode()
    assert "<b>Alpha" not in shown
    assert "&lt;b&gt;Alpha" in shown
    assert render_report(told, "pdf")[:4] == b"%PDF"
    assert told["is_frozen"]
    # which repositories are known later changes no frozen report
    stored(any_ledger, [attempt(1, NOW - DAY, "success")], [])
    assert quarterly_report(any_ledger, SETTINGS, NOW + DAY, quarter="Q3-2026") == told


# --- failures ----------------------------------------------------------------------------------------


def job(number: int, at: int, *, name: str = "test", conclusion: str = "failure", steps: bool = True) -> Job:
    inside = (Step(1, "Set up", "success"), Step(2, "Run tests", "failure")) if steps else ()
    return Job(
        REPOSITORY, number, number, 1, name, f"{number:040x}", "main", "CI", conclusion, at, at, at + 60_000,
        f"https://github.com/acme/rocket/actions/runs/{number}/job/{number}", steps=inside,
    )  # fmt: skip


def attempt(number: int, at: int, conclusion: str = "failure", **more: Any) -> Attempt:
    return Attempt(
        REPOSITORY, number, 1, "CI", f"{number:040x}", "main", "push", conclusion, at, at, at + 60_000, **more
    )


def test_failures_with_one_signature_are_one_cluster(any_ledger: Ledger) -> None:
    at = NOW - DAY
    jobs = [job(1, at), job(2, at + 1), job(3, at + 2, name="lint")]
    logs = {1: PYTEST.format(number=1), 2: PYTEST.format(number=2), 3: RUFF.format(number=3)}
    stored(any_ledger, [attempt(number, at) for number in (1, 2, 3)], jobs, logs)
    found = clusters_of(any_ledger, SETTINGS, NOW)
    assert [(one["category"], one["count"]) for one in found] == [("test", 2), ("lint", 1)]
    first, second = (
        explained_job(any_ledger, SETTINGS, "1", NOW),
        explained_job(any_ledger, SETTINGS, "2", NOW),
    )
    assert first["standing"] == "new"
    assert second["standing"].startswith("seen once since ")
    assert any("test_tick" in line["text"] for line in first["evidence"])
    assert first["step"] == "Run tests"
    assert explain_failures(any_ledger, SETTINGS, NOW) == 0  # nothing is explained twice


def test_signatures_of_people_hold_for_the_past_too(any_ledger: Ledger, tmp_path: Path) -> None:
    at = NOW - DAY
    stored(any_ledger, [attempt(1, at)], [job(1, at)], {1: PYTEST.format(number=1)})
    assert explained_job(any_ledger, SETTINGS, "1", NOW)["category"] == "test"
    folder = tmp_path / "signatures"
    folder.mkdir()
    (folder / "clock.yaml").write_text(
        "name: clock-skew\nversion: 1\npatterns: ['test_tick']\ncategory: infrastructure\n"
        "explanation: The runner's clock jumps.\nissue: https://github.com/acme/rocket/issues/7\n"
    )
    own = replace(SETTINGS, ci_signatures=folder)
    told = explained_job(any_ledger, own, "1", NOW)
    assert told["category"] == "infrastructure"
    assert "clock-skew" in told["rule"]
    assert explained_job(any_ledger, SETTINGS, "1", NOW)["category"] == "test"


def test_without_a_log_the_remarks_are_read_and_else_it_is_unknown(any_ledger: Ledger) -> None:
    at = NOW - DAY
    stored(any_ledger, [attempt(1, at), attempt(2, at)], [job(1, at), job(2, at)])
    with any_ledger.write() as connection:
        ci_runs.note_annotations(
            connection, ci_runs.WantedOfJob("github.com", 1, None, None),
            [Annotation("failure", "error TS2304: Cannot find name 'foo'.", "src/app.ts", 3)],
        )  # fmt: skip
    told = explained_job(any_ledger, SETTINGS, "1", NOW)
    assert told["category"] == "compilation"
    assert "The log is not stored" in told["told"]
    unknown = explained_job(any_ledger, SETTINGS, "2", NOW)
    assert (unknown["category"], unknown["evidence"]) == ("unknown", [])


def test_what_also_stands_in_green_logs_is_no_cause(any_ledger: Ledger) -> None:
    at = NOW - DAY
    noise = (
        "2026-10-01T00:00:01.0Z npm ERR! code ECONNRESET\n2026-10-01T00:00:02.0Z npm ERR! network aborted\n"
    )
    green = [job(number, at, conclusion="success", steps=False) for number in (1, 2, 3)]
    stored(
        any_ledger, [attempt(9, at)], [*green, job(9, at + 5)],
        {**{one.id: noise for one in green}, 9: noise + "2026-10-01T00:00:03.0Z ##[error]Process completed with exit code 1.\n"},
    )  # fmt: skip
    told = explained_job(any_ledger, SETTINGS, "9", NOW)
    assert told["category"] == "unknown"
    assert told["is_in_green"]


def test_logs_of_green_runs_that_come_later_change_what_is_explained(any_ledger: Ledger) -> None:
    at = NOW - DAY
    noise = (
        "2026-10-01T00:00:01.0Z npm ERR! code ECONNRESET\n2026-10-01T00:00:02.0Z npm ERR! network aborted\n"
    )
    ends = "2026-10-01T00:00:03.0Z ##[error]Process completed with exit code 1.\n"
    stored(any_ledger, [attempt(9, at)], [job(9, at)], {9: noise + ends})
    assert explained_job(any_ledger, SETTINGS, "9", NOW)["category"] != "unknown"
    stored(any_ledger, [], [job(1, at, conclusion="success", steps=False)], {1: noise})
    told = explained_job(any_ledger, SETTINGS, "9", NOW)
    assert (told["category"], told["is_in_green"]) == ("unknown", True)
    assert explain_failures(any_ledger, SETTINGS, NOW) == 0


@pytest.mark.parametrize("before", [None, "failed", "refused"])
def test_a_log_that_comes_later_changes_what_is_explained(any_ledger: Ledger, before: str | None) -> None:
    """A failure that was explained before its log was read stayed unknown for ever."""
    at = NOW - DAY
    stored(any_ledger, [attempt(1, at)], [job(1, at)])
    wanted = ci_runs.WantedOfJob("github.com", 1, None, None)
    if before is not None:
        assert "it was not read" in explained_job(any_ledger, SETTINGS, "1", NOW)["told"]
        with any_ledger.write() as connection:
            ci_runs.note_log(connection, wanted, ci_runs.Log(before, told="HTTP 503"), NOW - 1)
    told = explained_job(any_ledger, SETTINGS, "1", NOW)
    assert (told["category"], ("HTTP 503" in told["told"])) == ("unknown", before is not None)
    assert explain_failures(any_ledger, SETTINGS, NOW) == 0
    text = PYTEST.format(number=1)
    with any_ledger.write() as connection:
        ci_runs.note_log(connection, wanted, ci_runs.Log("stored", text, len(text)), NOW)
    told = explained_job(any_ledger, SETTINGS, "1", NOW)
    assert (told["category"], "not stored" in told["told"]) == ("test", False)
    assert any("test_tick" in line["text"] for line in told["evidence"])
    assert explain_failures(any_ledger, SETTINGS, NOW) == 0


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_log_that_was_read_and_is_empty_is_called_empty(any_ledger: Ledger, text: str) -> None:
    stored(any_ledger, [attempt(1, NOW - DAY)], [job(1, NOW - DAY)], {1: text})
    told = explained_job(any_ledger, SETTINGS, "1", NOW)
    assert told["category"] == "unknown"
    assert "The log is empty: nothing else tells why." in told["told"]


def test_failures_of_which_nothing_tells_why_are_no_common_cluster(any_ledger: Ledger) -> None:
    """They shared one, and a failure of one job was said to have been seen in another."""
    at = NOW - DAY
    jobs = [
        job(1, at),
        job(2, at + 1),
        job(3, at + 2, name="lint"),
        job(4, at, conclusion="timed_out", steps=False),
    ]
    jobs.append(job(5, at, name="lint", conclusion="timed_out", steps=False))
    stored(any_ledger, [attempt(one.run, at) for one in jobs], jobs)
    found = clusters_of(any_ledger, SETTINGS, NOW)
    assert sorted((one["category"], one["count"], one["signature"]) for one in found) == [
        ("timeout", 1, "CI / lint: timed out"), ("timeout", 1, "CI / test: timed out"),
        ("unknown", 1, "CI / lint / Run tests: nothing tells why"), ("unknown", 2, "CI / test / Run tests: nothing tells why"),
    ]  # fmt: skip
    assert all(len(one["cluster"]) == 16 for one in found)
    with pytest.raises(
        CollectorError, match="'tests' is no category of failures; there are compilation, test, "
    ):
        clusters_of(any_ledger, SETTINGS, NOW, category="tests")


STRANGE = """2026-10-01T00:00:00.0000000Z ##[group]Run make
2026-10-01T00:00:01.0000000Z the zorble frobnicated {number} times | <b>`it's @ada`</b> \x1b[31m\u202ered
2026-10-01T00:00:04.0000000Z ##[error]Process completed with exit code 1.
"""


@pytest.fixture
def strange(ledger: Ledger) -> Ledger:
    """Three failures that no rule knows, one of another kind, and one that is known."""
    jobs = [
        job(1, NOW - 3 * DAY),
        job(2, NOW - 2 * DAY),
        job(3, NOW - DAY, name="build <img>"),
        job(4, NOW - DAY, name="mute"),
        job(5, NOW - DAY),
    ]
    logs = {
        1: STRANGE.format(number=1),
        2: STRANGE.format(number=20),
        3: STRANGE.format(number=3),
        5: PYTEST.format(number=5),
    }
    stored(ledger, [attempt(one.run, one.started or 0, jobs_known=True, jobs=1) for one in jobs], jobs, logs)
    return ledger


def test_what_no_rule_explains_has_a_page_of_its_own(strange: Ledger) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner(env={"COLUMNS": "100"}).invoke(
            app, ["ci", "failures", *arguments, "--db", str(strange.url.database)]
        )

    page = run("--unknown").stdout
    told = " ".join(page.split())
    assert "4 failed jobs of 5, 2 signatures, most frequent first" in page
    first, second = page.index("3 times, first 2026-10-26, last 2026-10-28"), page.index("1 time, first")
    assert first < second
    assert "in CI / test / Run tests (2), CI / build <img> / Run tests (1)" in page
    assert "2  the zorble frobnicated 3 times | <b>`it's @ada`</b> " in page
    assert "its log: achievement-collector ci log 3" in page
    assert "The log is not stored (it was not read): nothing else tells why." in told
    assert "the folder that CI_SIGNATURES names (it is not set)" in told
    assert not {"\x1b", "\u202e"} & set(page)
    (draft,) = yaml.safe_load(page[page.index("\n- name:") :])
    assert draft["pattern"].startswith(r"the\s+zorble\s+frobnicated\s+\d+\s+times")
    assert "in full, and how to name it: ci failures --unknown" in run().stdout
    assert "--unknown" not in run("--category", "test").stdout
    assert "1 more are not shown (--limit)" in run("--unknown", "--limit", "1").stdout
    told = json.loads(run("--unknown", "--json").stdout)
    assert (told["failed_jobs"], told["of"], [one["count"] for one in told["clusters"]]) == (4, 5, [3, 1])
    assert told["clusters"][0]["places"][0] == {
        "workflow": "CI",
        "job": "test",
        "step": "Run tests",
        "count": 2,
    }
    assert "not both" in str(run("--unknown", "--category", "test").exception)
    assert run("--unknown", "--until", "2020-01-01").stdout == (
        "no failure without an explanation is known, of 0 failed jobs\n"
    )


def test_the_signature_to_begin_with_names_the_failures(strange: Ledger, tmp_path: Path) -> None:
    own = replace(SETTINGS, ci_signatures=tmp_path)
    before = unknown_failures(strange, own, NOW)
    assert before["folder"] == str(tmp_path)
    (tmp_path / "a.yaml").write_text(before["draft"])
    with pytest.raises(CollectorError, match="category must be one of"):  # only a person can tell
        unknown_failures(strange, own, NOW)
    (tmp_path / "a.yaml").write_text(before["draft"].replace("CATEGORY", "infrastructure"))
    after = unknown_failures(strange, own, NOW)
    assert (after["failed_jobs"], after["of"], after["draft"]) == (1, 5, "")
    named = [one for one in clusters_of(strange, own, NOW) if one["category"] == "infrastructure"]
    assert [one["count"] for one in named] == [3]


@given(st.lists(st.text(max_size=400) | st.text("ab(|)+*{1,}' \t\x1b\\\\#:", max_size=200), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_signature_to_begin_with_knows_its_line(tmp_path: Path, lines: list[str]) -> None:
    told = draft_signature([{"text": one, "why": "end"} for one in lines])
    if not told:
        assert not any(re.search(r"[A-Za-z0-9]{3}", one[:160]) for one in lines[-1:])
        return
    (tmp_path / "a.yaml").write_text(told.replace("CATEGORY", "test"), "utf-8")
    assert Signatures.load(tmp_path).match(lines) is not None


@pytest.mark.parametrize("format", ["markdown", "html", "pdf"])
def test_a_report_lists_what_no_rule_explains(strange: Ledger, format: str) -> None:
    told = ci_report(strange, SETTINGS, NOW, since=NOW - 7 * DAY)
    assert (told["unknown"]["failed_jobs"], told["unknown"]["clusters_in_all"]) == (4, 2)
    content = render_report(told, format)
    if format == "pdf":
        assert content[:4] == b"%PDF"
        return
    text = content.decode()
    section = text[text.index("Not explained") :]
    assert "4 failed jobs of which no rule tells why, most frequent first." in section
    assert "ci log 3" in section
    assert not {"\x1b", "\u202e"} & set(text)
    if format == "html":
        assert "<b>`it" not in text
        assert "build &lt;img&gt; / Run tests (1)" in section
    else:
        assert "\\<b\\>\\`it's @ada\\`\\</b\\>" in section
    old = {name: value for name, value in told.items() if name != "unknown"}
    assert b"Not explained" not in render_report(old, format)


def test_what_was_explained_is_not_forgotten_with_age(any_ledger: Ledger) -> None:
    at = NOW - DAY
    stored(any_ledger, [attempt(1, at)], [job(1, at)], {1: PYTEST.format(number=1)})
    assert explain_failures(any_ledger, SETTINGS, NOW) == 1
    later = NOW + 500 * DAY
    stored(any_ledger, [attempt(2, later - DAY)], [job(2, later - DAY)], {2: PYTEST.format(number=2)})
    assert explained_job(any_ledger, SETTINGS, "2", later)["standing"].startswith("seen once since ")


def test_a_run_of_which_no_job_ran_is_infrastructure(any_ledger: Ledger) -> None:
    stored(any_ledger, [attempt(1, NOW - DAY, "startup_failure")], [])
    (one,) = clusters_of(any_ledger, SETTINGS, NOW)
    assert one["category"] == "infrastructure"
    assert "not the code" in one["newest"]["told"]


def test_a_job_that_passes_after_all_is_no_failure_any_more(any_ledger: Ledger) -> None:
    at = NOW - DAY
    stored(any_ledger, [attempt(1, at)], [job(1, at)])
    assert explain_failures(any_ledger, SETTINGS, NOW) == 1
    stored(any_ledger, [], [replace(job(1, at, conclusion="success"), finished=at + 120_000)])
    explain_failures(any_ledger, SETTINGS, NOW)
    with any_ledger.read() as connection:
        assert ci_failures.failures(connection) == []
    with pytest.raises(NotFoundError, match="did not fail"):
        explained_job(any_ledger, SETTINGS, "1", NOW)


def test_weeks_are_named_by_themselves_and_by_their_days() -> None:
    assert week_named("2026-W01") == week_named("2025-12-29")
    assert week_named("2026-w47") == week_named("2026-11-22")
    assert week_named("2026-W54") is None
    assert week_named("yesterday") is None
    assert week_named("0001-01-01") is not None
    assert week_named("9999-12-31") is None


# --- the commands ------------------------------------------------------------------------------------


def test_the_commands_of_ci(ledger: Ledger, tmp_path: Path) -> None:
    at = NOW - DAY
    stored(ledger, [attempt(1, at)], [job(1, at)], {1: PYTEST.format(number="\x1b[31m<b>2</b>")})

    def run(*arguments: str) -> Any:
        return CliRunner(env={"COLUMNS": "160"}).invoke(app, [*arguments, "--db", str(ledger.url.database)])

    shown = run("ci", "failures")
    assert shown.exit_code == 0, shown.output
    assert "test" in shown.stdout
    explained = run("ci", "explain", "1").stdout
    assert "CI / test / Run tests" in explained
    assert "\x1b[31m" not in explained
    report = run("ci", "report", "--since", "2026-10-01", "--until", "2026-11-15")
    assert report.exit_code == 0, report.output
    assert "total failures" in report.stdout
    made = run(
        "ci", "report", "--since", "2026-10-01", "--format", "html", "--output", str(tmp_path / "r.html")
    )
    assert "written" in made.stdout
    assert run("report", "list").exit_code == 0
    assert "give --quarter" in str(run("report", "quarterly").exception)
    assert (
        json.loads(run("ci", "health", "--since", "2026-10-01", "--json").stdout)["repository"] == REPOSITORY
    )


def test_the_api_tells_of_ci_and_of_reports(month: Ledger) -> None:
    ci_report(month, SETTINGS, NOW, week="2026-W40")
    with serving(month) as client:
        client.app.state.own.clock = lambda: NOW  # type: ignore[attr-defined]
        health = client.get("/ci/health", params={"repository": "acme/rocket"}).json()
        assert health["repository"] == REPOSITORY
        assert health == client.get("/ci/health").json()
        clusters = client.get("/ci/failures", params={"category": "lint"}).json()
        assert {one["category"] for one in clusters} == {"lint"}
        number = clusters[0]["newest"]["job"].rpartition("/")[2]
        assert client.get(f"/ci/failures/{number}").json()["cluster"] == clusters[0]["cluster"]
        (listed,) = client.get("/reports", params={"repository": "acme/rocket", "kind": "weekly"}).json()
        assert client.get("/reports", params={"repository": "acme/other"}).json() == []
        assert client.get(f"/reports/{listed['key']}").json()["content_hash"] == listed["content_hash"]
        for path, status in (
            ("/ci/failures?category=tests", 400), ("/reports?kind=monthly", 400), ("/ci/failures/1", 404),
            ("/reports/weekly/none", 404), ("/ci/health?repository=acme/other", 404), ("/ci/health?since=soon", 400),
        ):  # fmt: skip
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (
                status,
                "application/problem+json",
            ), path


def test_jobs_of_green_runs_on_fixes_are_wanted(any_ledger: Ledger) -> None:
    """Only they tell whether the job that failed passes on the fix."""
    stored(
        any_ledger,
        [attempt(1, NOW - DAY), attempt(2, NOW - DAY, "success"), attempt(3, NOW - DAY, "success")],
        [],
    )
    with any_ledger.write() as connection:
        add_fix(
            connection, Fix(0, REPOSITORY, "formatter", f"{REPOSITORY}/job/1", sha=f"{2:040x}", created=1)
        )
        wanted = ci_runs.wanted_jobs(connection, REPOSITORY, 10, only_red=True)
    assert sorted(one.run for one in wanted) == [1, 2]
