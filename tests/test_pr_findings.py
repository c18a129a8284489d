"""Whose the failures at a pull request are: by what the default branch is known to fail with, and by what is known to be flaky."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from achievement_collector.config import Settings
from achievement_collector.derive.pr_comments import Failure, Judgement, Standing
from achievement_collector.facts.ci import TestCase
from achievement_collector.facts.ci_runs import Attempt, Job, Step
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger.ci_tests import add_test_report
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.pr_findings import content_of
from tests.simulated_ci import CI, DAY, HOUR, REPOSITORY, TRUTH, simulated_month
from tests.test_ci_reports import NOW, PYTEST, RUFF, stored

SETTINGS = Settings(database="unused")
HEAD = "e" * 40
PULL = PullRequest(REPOSITORY, 7, branch="feature/7", base="main", head_sha=HEAD)
OF_PULL = 900_000
"""The run, and its first job, of the pull request."""


@pytest.fixture(autouse=True)
def _without_a_roadmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(name: int, at: int, conclusion: str = "success", *, number: int = 1, **more: Any) -> Attempt:
    """An attempt on main, of a workflow whose name and file differ."""
    told = {
        "workflow": "CI", "sha": f"{name:040x}", "branch": "main", "event": "push", "conclusion": conclusion,
        "created": at, "started": at, "finished": at + 60_000, "path": CI,
    } | more  # fmt: skip
    return Attempt(REPOSITORY, name, number, **told)


def job(number: int, of: Attempt, name: str = "test", conclusion: str = "failure") -> Job:
    at = of.started
    assert at is not None
    return Job(
        REPOSITORY, number, of.run, of.number, name, of.sha, of.branch, of.workflow, conclusion, at, at, at + 60_000,
        f"https://ci.example/{number}", steps=(Step(1, "Run it", conclusion),),
    )  # fmt: skip


def of_pull(**more: Any) -> Attempt:
    told = {"sha": HEAD, "branch": "feature/7", "event": "pull_request", "pulls": (7,)} | more
    return run(OF_PULL, NOW - HOUR, "failure", **told)


def fail_at_pull(ledger: Ledger, name: str = "test", log: str = PYTEST, **more: Any) -> None:
    """The pull request's run fails in one job; without a log nothing tells why."""
    attempt = of_pull(**more)
    stored(ledger, [attempt], [job(OF_PULL, attempt, name)], {OF_PULL: log.format(number=7)} if log else {})


def failure_of(ledger: Ledger) -> Failure:
    content = content_of(ledger, SETTINGS, REPOSITORY, NOW)
    with ledger.read() as connection:
        (found,) = content(connection, REPOSITORY, PULL).failures
    return found


def judged(ledger: Ledger) -> Judgement:
    found = failure_of(ledger).judgement
    assert found is not None
    return found


def test_it_is_the_authors_where_main_was_looked_at_and_passes(ledger: Ledger) -> None:
    green = [run(number, NOW - DAY + number) for number in (1, 2, 3)]
    stored(ledger, green, [job(one.run, one, conclusion="success") for one in green])
    fail_at_pull(ledger)
    found = failure_of(ledger)
    assert (found.job, found.category, found.url) == ("CI / test", "test", f"https://ci.example/{OF_PULL}")
    assert judged(ledger) == Judgement(
        Standing.YOURS, "not in the last 3 runs of the default branch, and not known to be flaky"
    )


def test_a_flaky_job_is_known_by_the_file_of_its_workflow(ledger: Ledger) -> None:
    """The record of flakiness goes by the file, a failure tells its workflow's name."""
    told = simulated_month()
    red = [one for one in told.jobs if one.conclusion == "failure"]
    stored(
        ledger, told.attempts, told.jobs,
        {one.id: (RUFF if one.name == "lint" else PYTEST).format(number=one.id) for one in red},
    )  # fmt: skip
    fail_at_pull(ledger, TRUTH.flaky_job, path=f"{CI}@refs/pull/7/merge")
    assert judged(ledger) == Judgement(
        Standing.FLAKY, "it failed with the same signature before, on code on which it also passed"
    )


def flaky_job(ledger: Ledger, log: str = PYTEST, **more: Any) -> None:
    """On three commits of main the job ``test`` fails, and passes when it is run again."""
    attempts, jobs = [], []
    for number in (1, 2, 3):
        first = run(number, NOW - number * DAY, "failure", is_last=False, **more)
        again = run(number, NOW - number * DAY + HOUR, number=2, created=first.created, **more)
        attempts += [first, again]
        jobs += [job(number, first), job(number + 10, again, conclusion="success")]
    stored(ledger, attempts, jobs, {number: log.format(number=number) for number in (1, 2, 3)} if log else {})


def test_a_job_of_a_workflow_without_a_file_is_known_by_its_name(ledger: Ledger) -> None:
    flaky_job(ledger, path="")
    fail_at_pull(ledger, path="")
    assert judged(ledger).standing is Standing.FLAKY


def test_a_flaky_job_does_not_excuse_what_it_never_failed_with(ledger: Ledger) -> None:
    """A change that broke the build of a job with a flaky test was told to be known flaky."""
    flaky_job(ledger)
    fail_at_pull(ledger, log=RUFF)
    assert failure_of(ledger).category == "lint"
    assert judged(ledger) == Judgement(
        Standing.YOURS,
        "not in the last 3 runs of the default branch, and the job is known to be flaky with failures of other categories only",
    )


def test_another_failure_of_a_flaky_job_may_be_flaky_too(ledger: Ledger) -> None:
    flaky_job(ledger)
    fail_at_pull(ledger, log=PYTEST.replace("test_clock.py::test_tick", "test_moon.py::test_phase"))
    assert judged(ledger) == Judgement(
        Standing.UNKNOWN, "the job is known to be flaky, with other failures of the category test"
    )


@pytest.mark.parametrize(("before", "now"), [("", PYTEST), (PYTEST, "")])
def test_failures_without_a_reason_are_not_compared(ledger: Ledger, before: str, now: str) -> None:
    flaky_job(ledger, log=before)
    fail_at_pull(ledger, log=now)
    told = judged(ledger)
    assert told.standing is Standing.UNKNOWN
    assert told.why.startswith("the job is known to be flaky, but ")


def flaky_test(ledger: Ledger, *outcomes: str, report: str = "") -> None:
    """A test that showed on two commits to be flaky, and what came of tests on the head of the pull request."""
    cases = [TestCase("tests.test_clock::test_tick", "flaky", 0.1, "")]
    names = ("test_tick", "test_tock", "test_other")
    at_head = [
        TestCase(f"tests.test_clock::{name}", outcome, 0.1, "")
        for name, outcome in zip(names, outcomes, strict=False)
    ]
    with ledger.write() as connection:
        for number in (1, 2):
            sha = f"{number:040x}"
            add_test_report(connection, REPOSITORY, sha, report, "main", NOW - number * DAY, cases)
        add_test_report(connection, REPOSITORY, HEAD, report, "feature/7", NOW - HOUR, at_head)


@pytest.mark.parametrize("report", ["", "test", "unit tests"])
def test_a_flaky_test_is_known_by_the_reports_of_tests(ledger: Ledger, report: str) -> None:
    """The page promised it, and jobs alone were looked at."""
    flaky_test(ledger, "failed", "passed", report=report)
    fail_at_pull(ledger)
    assert judged(ledger) == Judgement(
        Standing.FLAKY, "the test that failed passed and failed on the same code before"
    )


def test_a_flaky_test_excuses_nothing_beside_it(ledger: Ledger) -> None:
    green = [run(number, NOW - DAY + number) for number in (1, 2, 3)]
    stored(ledger, green, [job(one.run, one, conclusion="success") for one in green])
    flaky_test(ledger, "failed", "failed")
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.YOURS


def test_a_flaky_test_of_an_earlier_report_of_the_commit_excuses_nothing(ledger: Ledger) -> None:
    flaky_test(ledger, "failed")
    with ledger.write() as connection:
        cases = [TestCase("tests.test_clock::test_tick", "passed", 0.1, "")]
        add_test_report(connection, REPOSITORY, HEAD, "", "feature/7", NOW - HOUR // 2, cases)
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.UNKNOWN


def test_a_flaky_test_excuses_no_broken_build(ledger: Ledger) -> None:
    flaky_test(ledger, "failed")
    fail_at_pull(ledger, log=RUFF)
    assert judged(ledger).standing is Standing.UNKNOWN


def test_another_workflow_of_the_same_name_is_not_looked_at(ledger: Ledger) -> None:
    """Two files may give their workflows one name."""
    other = run(1, NOW - DAY, "failure", path=".github/workflows/other.yml")
    stored(ledger, [other], [job(1, other)], {1: PYTEST.format(number=1)})
    fail_at_pull(ledger)
    assert judged(ledger) == Judgement(Standing.UNKNOWN, "no finished run of the default branch is known")


def test_a_workflow_that_was_renamed_is_the_same_by_its_file(ledger: Ledger) -> None:
    before = run(1, NOW - DAY, "failure", workflow="Tests", path=f"{CI}@refs/heads/main")
    stored(ledger, [before], [job(1, before)], {1: PYTEST.format(number=1)})
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.ALSO_RED


def test_it_is_also_red_only_where_main_still_is(ledger: Ledger) -> None:
    first = run(1, NOW - DAY, "failure")
    stored(ledger, [first], [job(1, first)], {1: PYTEST.format(number=1)})
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.ALSO_RED
    again = run(1, NOW - DAY + HOUR, "success", number=2)
    stored(ledger, [again], [job(2, again, conclusion="success")])
    assert judged(ledger) == Judgement(
        Standing.UNKNOWN,
        "in one of the last runs of the default branch too, which was then run again and did not fail so",
    )


def test_a_branch_of_a_fork_named_like_the_default_branch_is_not_it(ledger: Ledger) -> None:
    fork = run(1, NOW - DAY, "failure", event="pull_request_target", pulls=(3,))
    stored(ledger, [fork], [job(1, fork)], {1: PYTEST.format(number=1)})
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.UNKNOWN


@pytest.mark.parametrize("conclusion", ["cancelled", "skipped", "neutral", "mystery"])
def test_runs_of_main_without_a_result_are_no_look_at_it(ledger: Ledger, conclusion: str) -> None:
    stored(ledger, [run(1, NOW - DAY, conclusion)], [])
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.UNKNOWN


# --- what is not known of main -----------------------------------------------------------------------


@pytest.mark.parametrize("dark", [1, 2], ids=["an older run", "the latest run"])
def test_a_red_run_of_main_of_which_nothing_is_told_is_no_look_at_it(ledger: Ledger, dark: int) -> None:
    """Its jobs were not read."""
    stored(
        ledger, [run(number, NOW - DAY + number, "failure" if number == dark else "success") for number in (1, 2)], []
    )  # fmt: skip
    fail_at_pull(ledger)
    assert judged(ledger) == Judgement(
        Standing.UNKNOWN, "why 1 of the last 2 runs of the default branch failed is not known"
    )


@pytest.mark.parametrize(("name", "standing"), [("test", Standing.UNKNOWN), ("docs", Standing.YOURS)])
def test_a_job_of_main_of_which_nothing_tells_why_may_be_the_same(
    ledger: Ledger, name: str, standing: Standing
) -> None:
    """The log of one job is not there, the other's is: only of the job with that name nothing can be said."""
    dark = run(1, NOW - DAY, "failure")
    stored(ledger, [dark], [job(1, dark, "test"), job(2, dark, "lint")], {2: RUFF.format(number=2)})
    fail_at_pull(ledger, name)
    assert judged(ledger).standing is standing


def test_a_red_job_of_main_without_a_reason_is_no_explanation_of_its_run(ledger: Ledger) -> None:
    dark = run(1, NOW - DAY, "failure")
    stored(ledger, [dark], [job(1, dark, "gate")])
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.UNKNOWN


def test_what_is_found_elsewhere_on_main_is_still_told(ledger: Ledger) -> None:
    """An older red run of which nothing is told takes nothing from what the latest one shows."""
    dark, latest = run(1, NOW - DAY, "failure"), run(2, NOW - DAY + HOUR, "failure")
    stored(ledger, [dark, latest], [job(2, latest)], {2: PYTEST.format(number=2)})
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.ALSO_RED


def test_it_is_not_said_that_a_latest_run_without_a_reason_does_not_have_it(ledger: Ledger) -> None:
    red, latest = run(1, NOW - DAY, "failure"), run(2, NOW - DAY + HOUR, "failure")
    stored(ledger, [red, latest], [job(1, red)], {1: PYTEST.format(number=1)})
    fail_at_pull(ledger)
    found = judged(ledger)
    assert found.standing is Standing.UNKNOWN
    assert "not in the latest one" not in found.why
    stored(ledger, [run(3, NOW - DAY + 2 * HOUR)], [])
    assert judged(ledger).why.endswith("but not in the latest one")


def test_a_run_of_main_that_did_not_start_is_explained(ledger: Ledger) -> None:
    stored(ledger, [run(1, NOW - DAY), run(2, NOW - DAY + HOUR, "startup_failure")], [])
    fail_at_pull(ledger)
    assert judged(ledger).standing is Standing.YOURS  # that run failed with something else


def test_a_run_that_does_not_start_is_also_red_where_main_does_not_start(ledger: Ledger) -> None:
    stored(
        ledger, [run(1, NOW - DAY, "startup_failure"), replace(of_pull(), conclusion="startup_failure")], []
    )
    found = failure_of(ledger)
    assert found.job == "CI / (no job ran)"
    assert judged(ledger).standing is Standing.ALSO_RED
    stored(ledger, [run(2, NOW - DAY + HOUR)], [])
    assert judged(ledger).why.endswith("but not in the latest one")


# --- failures that nothing tells of ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test", "lint"])
def test_a_failure_without_evidence_has_no_signature(ledger: Ledger, name: str) -> None:
    """Neither the same job nor another one fails with the same."""
    red = run(1, NOW - DAY, "failure")
    stored(ledger, [red], [job(1, red, "test")])
    fail_at_pull(ledger, name, "")
    assert failure_of(ledger).evidence == ()
    assert judged(ledger) == Judgement(Standing.UNKNOWN, "no signature of the failure is known")


def test_jobs_that_timed_out_without_a_log_are_not_the_same(ledger: Ledger) -> None:
    red, at_pull = run(1, NOW - DAY, "failure"), of_pull()
    stored(
        ledger, [red, at_pull],
        [job(1, red, "lint", "timed_out"), job(OF_PULL, at_pull, "test", "timed_out")],
    )  # fmt: skip
    assert failure_of(ledger).category == "timeout"
    assert judged(ledger).standing is Standing.UNKNOWN
