"""Attempts to fix failures of CI: what verifies one, how often they work, and what built-in fixers may propose."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.cli import ci_fixes as commands
from achievement_collector.derive.failures.categories import FailureCategory
from achievement_collector.derive.fix_rates import fix_rates, rate_data
from achievement_collector.derive.fixers import (
    Change,
    is_ci_path,
    is_test_path,
    refusal,
    shipped_fixers,
)
from achievement_collector.derive.fixes import (
    MOST_ATTEMPTS,
    SOON,
    Event,
    Evidence,
    Fix,
    FixState,
    attempts_at,
    judged,
    refused_kind,
    says_it_reverts,
    verdict,
)
from achievement_collector.errors import ConfigurationError, NotFoundError, RepositoryError
from achievement_collector.facts.ci_runs import Attempt, Job
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.facts.work import PullRequest
from achievement_collector.ledger import ci_fixes as stored
from achievement_collector.ledger import ci_runs as stored_runs
from achievement_collector.ledger.ci_failures import Failure, store_failures
from achievement_collector.ledger.ci_runs import WantedJobs, take_in_runs
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.store import Ledger
from achievement_collector.services import fix_proposals, fixer_runs
from achievement_collector.services.fix_proposals import outlook, propose_fix
from achievement_collector.services.fixes import (
    FixRefused,
    fix_rate_data,
    list_fixes,
    record_fix,
    show_fix,
    verify_fixes,
    withdraw_fix,
)
from achievement_collector.sources.git import trees
from tests.conftest import scan_into
from tests.git_repositories import Repository

KEY = "github.com/acme/rocket"
NOW = 1_780_000_000_000
MINUTE, DAY = 60_000, 86_400_000
BAD, GOOD = "b" * 40, "f" * 40
PATH = ".github/workflows/ci.yml"
RUFF = Path(sys.executable).parent / "ruff"


# --- facts -------------------------------------------------------------------------------------------


def attempt(run: int, number: int = 1, conclusion: str = "", at: int = NOW, **more: Any) -> Attempt:
    """An attempt that began at ``at`` and took ten minutes."""
    values: dict[str, Any] = {
        "sha": GOOD, "branch": "work", "event": "push", "path": PATH, "workflow": "CI", "jobs_known": True, "jobs": 2,
        "created": at, "started": at, "finished": at + 10 * MINUTE if conclusion else None, **more,
    }  # fmt: skip
    return Attempt(KEY, run, number, conclusion=conclusion, **values)


def job(number: int, run: int, conclusion: str = "", at: int = NOW, **more: Any) -> Job:
    values: dict[str, Any] = {
        "attempt": 1, "name": "lint", "sha": GOOD, "workflow": "CI", "queued": at, "started": at,
        "finished": at + 5 * MINUTE if conclusion else None, **more,
    }  # fmt: skip
    return Job(KEY, number, run, conclusion=conclusion, **values)


FAILED_RUN = attempt(1, conclusion="failure", at=NOW - DAY, sha=BAD)
FAILED_JOB = job(11, 1, "failure", at=NOW - DAY, sha=BAD)


def decided(attempts: Sequence[Attempt], jobs: Sequence[Job], sha: str = GOOD) -> FixState | None:
    """What the runs say, asserted to be the same in any order and with everything told twice."""
    facts, own = [FAILED_RUN, *attempts], [FAILED_JOB, *jobs]
    found = verdict(sha, FAILED_JOB, facts, own)
    for seed in range(5):
        order = random.Random(seed)
        assert (
            verdict(
                sha, FAILED_JOB, order.sample(facts * 2, 2 * len(facts)), order.sample(own * 2, 2 * len(own))
            )
            == found
        )
    return found.state


# --- what verifies a fix -----------------------------------------------------------------------------


def test_a_fix_is_verified_where_the_same_job_and_its_workflow_are_green_on_its_commit() -> None:
    assert decided([attempt(2, conclusion="success")], [job(21, 2, "success")]) is FixState.VERIFIED
    found = verdict(GOOD, FAILED_JOB, [FAILED_RUN, attempt(2, conclusion="success")], [job(21, 2, "success")])
    assert found.at == NOW + 10 * MINUTE  # when the workflow had ended, too


def test_a_fix_on_which_the_job_fails_again_has_failed() -> None:
    assert decided([attempt(2, conclusion="failure")], [job(21, 2, "failure")]) is FixState.FAILED
    # as soon as the job has: the run need not be over
    assert decided([attempt(2)], [job(21, 2, "failure")]) is FixState.FAILED


def test_a_job_that_passes_on_the_fix_only_when_run_again_has_not_verified_it() -> None:
    attempts = [attempt(2, 1, "failure", is_last=False), attempt(2, 2, "success", at=NOW + DAY)]
    jobs = [job(21, 2, "failure"), job(22, 2, "success", at=NOW + DAY, attempt=2)]
    assert decided(attempts, jobs) is FixState.FAILED


def test_a_failed_commit_that_passes_when_run_again_was_rescued_and_never_fixed() -> None:
    again = attempt(1, 2, "success", at=NOW - DAY // 2, sha=BAD)
    passed = job(12, 1, "success", at=NOW - DAY // 2, attempt=2, sha=BAD)
    assert decided([again], [passed]) is FixState.RESCUED
    # whatever a later commit shows
    assert (
        decided([again, attempt(2, conclusion="success")], [passed, job(21, 2, "success")])
        is FixState.RESCUED
    )
    # another run of the same commit may be of another merge: that is no re-run
    other = attempt(5, conclusion="success", sha=BAD, event="pull_request")
    assert decided([other], [job(51, 5, "success", sha=BAD)]) is None
    # a fix by the commit that failed is none
    assert decided([attempt(2, conclusion="success")], [job(21, 2, "success")], sha=BAD) is None


@pytest.mark.parametrize(
    ("attempts", "jobs", "told"),
    [
        ([], [], "no run of its workflow"),
        ([attempt(2)], [], "not over"),
        ([attempt(2)], [job(21, 2)], "not over"),
        ([attempt(2)], [job(21, 2, "success")], "its workflow is not over"),
        (
            [attempt(2, conclusion="success", jobs_known=False)],
            [],
            "jobs of attempt 1 of run 2 were not read",
        ),
        ([attempt(2, 2, "success")], [job(22, 2, "success", attempt=2)], "attempt 1 of run 2 is not known"),
        ([attempt(2, conclusion="cancelled")], [job(21, 2, "cancelled")], "no run of its workflow"),
        ([attempt(2, conclusion="startup_failure", jobs=0)], [], "no run of its workflow"),
        ([attempt(2, conclusion="success")], [job(21, 2, "skipped")], "no run of its workflow"),
        ([attempt(2, conclusion="success")], [job(21, 2, "success", name="test")], "no run of its workflow"),
        (
            [attempt(2, conclusion="success", path=".github/workflows/docs.yml")],
            [job(21, 2, "success")],
            "no run of",
        ),
        (
            [attempt(2, conclusion="success", at=NOW - 2 * DAY)],
            [job(21, 2, "success")],
            "before the job failed",
        ),
    ],
)
def test_what_runs_do_not_say_is_not_decided(attempts: list[Attempt], jobs: list[Job], told: str) -> None:
    assert decided(attempts, jobs) is None
    assert told in verdict(GOOD, FAILED_JOB, [FAILED_RUN, *attempts], [FAILED_JOB, *jobs]).told


def test_a_green_job_in_a_red_workflow_is_no_success() -> None:
    red = attempt(2, conclusion="failure")
    found = verdict(GOOD, FAILED_JOB, [FAILED_RUN, red], [job(21, 2, "success")])
    assert found.state is FixState.FAILED
    assert "its workflow did not" in found.told
    # another job was flaky: the run passes when that is tried again, and this job had passed at once
    later = [replace(red, is_last=False), attempt(2, 2, "success", at=NOW + DAY)]
    assert decided(later, [job(21, 2, "success")]) is FixState.VERIFIED


def test_runs_of_one_commit_for_a_push_and_for_a_pull_request_have_to_agree() -> None:
    push, pull = (
        attempt(2, conclusion="success"),
        attempt(3, conclusion="failure", at=NOW + MINUTE, event="pull_request"),
    )
    jobs = [job(21, 2, "success"), job(31, 3, "failure", at=NOW + MINUTE)]
    assert decided([push, pull], jobs) is FixState.FAILED
    assert decided([push, attempt(3, at=NOW + MINUTE)], jobs[:1]) is None  # the other one is not over
    # a nightly run a month later says nothing of the fix
    nightly = attempt(4, conclusion="failure", at=NOW + 30 * DAY, event="schedule")
    assert decided([push, nightly], [jobs[0], job(41, 4, "failure", at=NOW + 30 * DAY)]) is FixState.VERIFIED


def test_an_attempt_that_never_started_is_no_first_try() -> None:
    no_start = attempt(2, 1, "startup_failure", jobs=0, jobs_known=False, is_last=False)
    started = attempt(2, 2, "success", at=NOW + MINUTE)
    passed = job(22, 2, "success", at=NOW + MINUTE, attempt=2)
    assert decided([no_start, started], [passed]) is FixState.VERIFIED
    # where it did start, and nobody read its jobs, the pass may be that of a re-run
    unread = replace(no_start, conclusion="failure")
    assert decided([unread, started], [passed]) is None


def test_every_job_of_that_name_has_to_pass() -> None:
    jobs = [job(21, 2, "success"), job(22, 2, "failure")]
    assert decided([attempt(2, conclusion="failure")], jobs) is FixState.FAILED


def test_a_workflow_of_the_same_name_in_another_file_is_told_apart() -> None:
    twins = [attempt(2, conclusion="success"), attempt(3, conclusion="success", path="other.yml")]
    jobs = [job(21, 2, "success"), job(31, 3, "success")]
    assert verdict(GOOD, FAILED_JOB, twins, jobs).state is None  # the run that failed is not known
    assert decided(twins, jobs) is FixState.VERIFIED


# --- merged and reverted -----------------------------------------------------------------------------


def fix(number: int = 1, *events: Event, **more: Any) -> Fix:
    values: dict[str, Any] = {"sha": GOOD, "created": NOW, **more}
    return Fix(
        number, KEY, values.pop("kind", "formatter"), FAILED_JOB.key, "c" * 16, events=events, **values
    )


def evidence(
    pulls: Sequence[PullRequest] = (), attempts: Sequence[Attempt] = (), jobs: Sequence[Job] = ()
) -> Evidence:
    return Evidence(FAILED_JOB, [FAILED_RUN, *attempts], [FAILED_JOB, *jobs], pulls)


def pull(number: int, merged: int | None = None, **more: Any) -> PullRequest:
    return PullRequest(KEY, number, created=NOW, merged=merged, **more)


@pytest.mark.parametrize(("after", "is_soon"), [(0, True), (SOON, True), (SOON + 1, False)])
def test_a_revert_within_seven_days_is_counted_apart(after: int, is_soon: bool) -> None:
    pulls = [
        pull(7, NOW + DAY, head_sha=GOOD, merge_sha="d" * 40),
        pull(8, NOW + DAY + after, body="Reverts acme/rocket#7"),
    ]
    runs = [attempt(2, conclusion="success")], [job(21, 2, "success")]
    found, _ = judged(fix(1, Event(FixState.APPLIED, NOW, "pushed")), evidence(pulls, *runs))
    assert [one.state for one in found.events] == [
        FixState.APPLIED, FixState.VERIFIED, FixState.MERGED, FixState.REVERTED,
    ]  # fmt: skip
    assert (found.state, found.was_reverted_soon) == (FixState.REVERTED, is_soon)
    assert found.is_verified  # CI was green all the same: the revert is told beside the rate
    (rate, _) = fix_rates([found])
    assert (rate.verified, rate.n, rate.merged, rate.reverted, rate.reverted_soon) == (1, 1, 1, 1, is_soon)


def test_a_revert_from_before_the_merge_is_of_something_else() -> None:
    pulls = [pull(7, NOW + DAY, head_sha=GOOD), pull(8, NOW + DAY - 1, body="Reverts #7")]
    assert judged(fix(), evidence(pulls))[0].state is FixState.MERGED


def test_what_is_worked_out_is_worked_out_again_and_not_added_up() -> None:
    first, _ = judged(fix(1, Event(FixState.PROPOSED, NOW, "made")), evidence((), [attempt(2)], []))
    assert first.state is FixState.APPLIED  # CI runs on it, so somebody pushed it
    runs = [attempt(2, conclusion="success")], [job(21, 2, "success")]
    second, _ = judged(first, evidence((), *runs))
    assert (
        second
        == judged(second, evidence((), *runs))[0]
        == judged(fix(1, *first.events[:1]), evidence((), *runs))[0]
    )
    # a later fact may say otherwise: the failed commit passed when it was run again
    again = [attempt(1, 2, "success", sha=BAD)], [job(12, 1, "success", attempt=2, sha=BAD)]
    third, _ = judged(second, evidence((), [*runs[0], *again[0]], [*runs[1], *again[1]]))
    assert third.state is FixState.RESCUED
    assert not third.has_outcome


def test_a_withdrawn_attempt_that_failed_still_counts_as_failed() -> None:
    withdrawn = fix(1, Event(FixState.PROPOSED, NOW, ""), Event(FixState.WITHDRAWN, NOW + 1, ""))
    found, _ = judged(withdrawn, evidence((), [attempt(2, conclusion="failure")], [job(21, 2, "failure")]))
    assert found.state is FixState.WITHDRAWN
    assert fix_rates([found])[0].n == 1


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        (f"This reverts commit {GOOD}.", True),
        (f"This reverts commit {GOOD[:8]}.", True),
        (f"This reverts commit {BAD}.", False),
        ("Reverts #7", True),
        ("Reverts acme/rocket#7", True),
        ("Reverts Acme/Rocket#7", True),
        ("Reverts other/rocket#7", False),
        ("Reverts acme/rocket#71", False),
        ("see #7", False),
    ],
)
def test_a_revert_names_the_commit_or_the_pull_request_of_this_repository(text: str, is_told: bool) -> None:
    assert says_it_reverts(text, KEY, [GOOD], [7]) is is_told


def test_a_pull_request_of_another_branch_does_not_bring_the_fix() -> None:
    other = pull(7, NOW + DAY, branch="ci-fix/abc-1", head_sha="e" * 40)
    assert judged(fix(branch="ci-fix/abc-1"), evidence([other]))[0].state is FixState.PROPOSED
    # of the branch that a built-in fixer made it does, unless it is older than that
    own = fix(branch="ci-fix/abc-1", fixer="black")
    assert judged(own, evidence([other]))[0].state is FixState.MERGED
    assert judged(own, evidence([replace(other, created=NOW - 1)]))[0].state is FixState.PROPOSED


# --- the rate ----------------------------------------------------------------------------------------


def with_outcome(number: int, state: FixState | None, kind: str = "formatter", **more: Any) -> Fix:
    events = [Event(FixState.APPLIED, NOW, "")] + ([Event(state, NOW + 1, "", True)] if state else [])
    return fix(number, *events, kind=kind, **more)


def test_without_an_attempt_nothing_is_measured() -> None:
    """The earlier implementation had 70 % for an empty database."""
    (overall,) = fix_rates([])
    assert (overall.value, overall.interval, overall.n, overall.state) == (None, None, 0, "not measured")
    assert rate_data(overall)["value"] is None
    assert overall.why == "no attempt was recorded"
    (waiting, _) = fix_rates([with_outcome(1, None)])
    assert (waiting.value, waiting.why) == (None, "no attempt has an outcome")
    assert waiting.left_out == (("no outcome yet", 1),)


def test_the_rate_is_verified_of_those_with_an_outcome_by_kind_with_its_interval() -> None:
    verified, failed = FixState.VERIFIED, FixState.FAILED
    found = [
        *(with_outcome(number, verified) for number in range(1, 4)), with_outcome(4, failed),
        with_outcome(5, failed, "code_change"), with_outcome(6, None, "code_change"),
        with_outcome(7, FixState.RESCUED, "code_change"),
        fix(8, Event(FixState.PROPOSED, NOW, ""), Event(FixState.WITHDRAWN, NOW, "it changed nothing"), sha="", fixer="black"),
        with_outcome(9, FixState.MERGED, "code_change"),
    ]  # fmt: skip
    overall, code, formatter = fix_rates(found)
    assert (overall.value, overall.n, overall.attempts) == (Fraction(3, 5), 5, 9)
    assert (formatter.kind, formatter.value, formatter.n) == ("formatter", Fraction(3, 4), 4)
    assert (code.kind, code.value, code.n) == ("code_change", 0, 1)
    assert formatter.interval is not None
    # R: prop.test(3, 4, correct = FALSE)
    assert [round(end, 4) for end in formatter.interval[:2]] == [0.3006, 0.9544]
    assert code.left_out == (("merged, CI not known", 1), ("no outcome yet", 1), ("rescued by re-run", 1))
    assert formatter.left_out == (("no usable change", 1),)


_STATES = st.lists(
    st.tuples(st.sampled_from([None, *FixState]), st.sampled_from(["formatter", "linter", "code_change"])),
    max_size=40,
)


@given(_STATES, st.randoms())
def test_rates_are_consistent_whatever_came_of_the_attempts(
    found: list[tuple[FixState | None, str]], order: Any
) -> None:
    fixes = [with_outcome(number, state, kind) for number, (state, kind) in enumerate(found)]
    rates = fix_rates(fixes)
    shuffled = fixes * 2
    order.shuffle(shuffled)
    assert fix_rates(shuffled) == rates  # neither the order nor being told twice changes anything
    overall, *kinds = rates
    for one in rates:
        assert 0 <= one.verified <= one.n <= one.attempts
        assert one.n + sum(left.number for left in one.left_out) == one.attempts
        if one.n:
            assert one.interval is not None
            assert one.value == Fraction(one.verified, one.n)
            assert 0 <= one.interval.low <= one.value <= one.interval.high <= 1
        else:
            assert (one.value, one.interval) == (None, None)
    assert overall.n == sum(one.n for one in kinds)
    assert overall.verified == sum(one.verified for one in kinds)
    # a failure more never raises the rate, a success more never lowers it
    if overall.value is not None:
        worse = fix_rates([*fixes, with_outcome(999, FixState.FAILED)])[0].value
        better = fix_rates([*fixes, with_outcome(999, FixState.VERIFIED)])[0].value
        assert worse is not None
        assert better is not None
        assert worse <= overall.value <= better


def test_an_attempt_belongs_to_the_window_in_which_it_was_made() -> None:
    found = [with_outcome(1, FixState.VERIFIED), with_outcome(2, FixState.FAILED, created=NOW + DAY)]
    assert fix_rates(found, NOW, NOW + DAY)[0].value == 1
    assert fix_rates(found, NOW + 1, None)[0].value == 0


@pytest.mark.parametrize("kind", ["rerun", "re-run", "retry", "Formatter", "two words", "", "x" * 41, "a;b"])
def test_a_re_run_is_no_kind_of_fix_and_a_kind_is_one_word(kind: str) -> None:
    assert refused_kind(kind)
    assert not refused_kind("code_change")


# --- which fixers fit, and what they may change ------------------------------------------------------


def test_the_allow_list_is_sound() -> None:
    fixers = shipped_fixers()
    assert len({one.name for one in fixers}) == len(fixers)
    assert {one.kind for one in fixers} == {"formatter", "linter", "lock_file", "snapshot"}
    categories = set(FailureCategory) - {FailureCategory.UNKNOWN, FailureCategory.NONE}
    for one in fixers:
        assert one.categories <= categories
        assert one.may_change
        assert "/" not in one.program
        assert all(isinstance(word, str) and not set("$`{};|&<>") & set(word) for word in one.arguments)
        # what asks servers or runs tests may run code that the repository chose
        assert one.runs_code or not (one.uses_network or one.kind in ("snapshot", "lock_file"))


@pytest.mark.parametrize(
    ("category", "files", "names"),
    [
        ("lint", {"pyproject.toml": b"[tool.ruff]\n"}, ["ruff-check"]),
        ("lint", {"pyproject.toml": b"[tool.ruff.format]\n"}, ["ruff-check", "ruff-format"]),
        ("lint", {"pyproject.toml": b"[tool.ruff.format]\n[tool.black]\n"}, ["ruff-check", "black"]),
        ("lint", {"pyproject.toml": b"[tool.ruff"}, []),
        ("lint", {"pyproject.toml": b"[tool]\nruff = 1\n"}, ["ruff-check"]),
        ("lint", {"pyproject.toml": b"tool = 1\n"}, []),
        ("lint", {"pyproject.toml": b"\xff\xfe"}, []),
        ("lint", {"package.json": b"[" * 100_000}, []),
        ("lint", {"package.json": b'{"devDependencies": {"prettier": "3", "eslint": "9"}}'}, ["eslint", "prettier"]),
        ("lint", {"go.mod": b"module x\n"}, ["gofmt"]),
        ("lint", {"requirements.txt": b"ruff\n"}, []),
        ("dependency", {"Cargo.toml": b"", "Cargo.lock": b""}, ["cargo-lock"]),
        ("dependency", {"Cargo.toml": b""}, []),
        ("dependency", {"requirements.txt": b"requests\n"}, []),
        ("test", {"package.json": b'{"devDependencies": {"jest": "29"}}'}, ["jest-snapshots"]),
        ("test", {"pyproject.toml": b"[tool.ruff]\n"}, []),
        ("unknown", {"pyproject.toml": b"[tool.ruff]\n"}, []),
        ("permission", {"pyproject.toml": b"[tool.ruff]\n"}, []),
    ],
)  # fmt: skip
def test_fixers_fit_by_category_and_configuration_alone(
    category: str, files: dict[str, bytes], names: list[str]
) -> None:
    assert [one.name for one in shipped_fixers() if one.fits(category, files)] == names


FIXERS = {one.name: one for one in shipped_fixers()}


@pytest.mark.parametrize(
    ("fixer", "changes", "told"),
    [
        ("ruff-check", [], "nothing"),
        ("ruff-check", [Change("src/a.py", b"a", b"b")], ""),
        ("ruff-check", [Change("tests/a.py", b"a", b"b")], "test"),
        ("ruff-check", [Change("src/test_a.py", b"a", b"b")], "test"),
        ("ruff-check", [Change("vendor/tests/a.py", b"a", b"b")], "test"),
        ("ruff-check", [Change("src/Tests/a_pb2.py", b"a", b"b")], "test"),
        ("ruff-check", [Change("conftest.py", b"a", b"b")], "test"),
        ("ruff-check", [Change(".github/scripts/a.py", b"a", b"b")], "CI"),
        ("ruff-check", [Change("ci/a.py", b"a", b"b")], "CI"),
        ("ruff-check", [Change("pkg/.circleci/a.py", b"a", b"b")], "CI"),
        ("prettier", [Change(".gitlab-ci.yml", b"a", b"b")], "CI"),
        ("prettier", [Change("Jenkinsfile", b"a", b"b")], "CI"),
        ("ruff-check", [Change("pyproject.toml", b"a", b"b")], "no business"),
        ("ruff-check", [Change("src/a.py", b"a", None)], "deleted"),
        ("ruff-check", [Change("src/a.py", None, b"a")], "new file"),
        ("ruff-check", [Change("src/a.py", b"import a\n", b"import a  # noqa: F401\n")], "silenced"),
        ("ruff-check", [Change("src/a.py", b"import a  # noqa\n", b"import b  # noqa\n")], ""),
        ("ruff-check", [Change(f"src/a{n}.py", b"a", b"b") for n in range(301)], "300 are the most"),
        ("uv-lock", [Change("uv.lock", b"a", b"b")], ""),
        ("uv-lock", [Change("pyproject.toml", b"a", b"b")], "no business"),
        ("jest-snapshots", [Change("src/__tests__/__snapshots__/a.test.js.snap", b"a", b"b")], ""),
        ("jest-snapshots", [Change("src/__tests__/__snapshots__/a.test.js.snap", None, b"b")], ""),
        ("jest-snapshots", [Change("src/__tests__/__snapshots__/a.test.js.snap", b"a", None)], "deleted"),
        ("jest-snapshots", [Change("src/__tests__/a.test.js", b"a", b"b")], "test"),
        ("jest-snapshots", [Change(".github/a.snap", b"a", b"b")], "CI"),
    ],
)  # fmt: skip
def test_only_harmless_changes_are_proposed(fixer: str, changes: list[Change], told: str) -> None:
    found = refusal(FIXERS[fixer], changes, 10)
    assert (told in found) if told else not found
    assert refusal(FIXERS[fixer], [Change("src/a.py", b"a", b"b")], 10**6)


def test_paths_of_tests_and_of_ci_are_told() -> None:
    assert all(
        map(is_test_path, ["tests/a.py", "src/a_test.go", "spec/a.rb", "a/__tests__/b.ts", "Test/x.py"])
    )
    assert not any(map(is_test_path, ["src/a.py", "src/latest.py", "contest/a.py", "attest.py"]))
    assert all(
        map(
            is_ci_path, [".github/workflows/a.yml", "ci/run.sh", ".travis.yml", "x/.github/a.py", ".GitHub/a"]
        )
    )
    assert not any(map(is_ci_path, ["src/ci/a.py", "src/circle.py", "docs/ci.md"]))


def test_attempts_at_a_failure_are_counted_since_it_was_last_fixed() -> None:
    here = [fix(number, created=NOW + number, fixer="black", sha="") for number in range(3)]
    elsewhere = [replace(one, job=f"{KEY}/job/99") for one in here]
    assert len(attempts_at(here, FAILED_JOB.key, "c" * 16)) == 3
    assert len(attempts_at(elsewhere, FAILED_JOB.key, "c" * 16)) == 3  # the same failure in another run
    assert attempts_at(elsewhere, FAILED_JOB.key, "d" * 16) == []
    assert attempts_at([replace(one, cluster="") for one in elsewhere], FAILED_JOB.key, "") == []
    assert attempts_at([replace(one, fixer="") for one in here], FAILED_JOB.key, "c" * 16) == []
    solved = replace(elsewhere[1], events=(Event(FixState.VERIFIED, NOW, "", True),))
    assert attempts_at([elsewhere[0], solved, elsewhere[2]], FAILED_JOB.key, "c" * 16) == [elsewhere[2]]


# --- in a ledger -------------------------------------------------------------------------------------


def told_run(run: int, sha: str, conclusion: str, at: int, number: int = 1, **more: Any) -> Observation:
    fields = {
        "name": "CI", "path": PATH, "branch": "work", "event": "push", "status": "completed" if conclusion else "in_progress",
        "conclusion": conclusion or None, "created": at, "started": at, "completed": at + 10 * MINUTE if conclusion else None,
        **more,
    }  # fmt: skip
    return Observation(Kind.CHECK, f"{KEY}/run/{run}/{number}", at + bool(conclusion), fields, f"{KEY}@{sha}")


def told_job(
    number: int, run: int, sha: str, conclusion: str, at: int, attempt: int = 1, name: str = "lint"
) -> Observation:
    fields = {
        "run": run, "attempt": attempt, "name": name, "workflow": "CI", "sha": sha, "branch": "work",
        "status": "completed" if conclusion else "in_progress", "conclusion": conclusion or None, "created": at, "started": at,
        "completed": at + 5 * MINUTE if conclusion else None,
    }  # fmt: skip
    return Observation(Kind.JOB, f"{KEY}/job/{number}", at + bool(conclusion), fields)


def told_pull(number: int, **fields: Any) -> Observation:
    return Observation(
        Kind.PULL_REQUEST, f"{KEY}#{number}", NOW, {"number": number, "created": NOW, **fields}, KEY
    )


def tell(ledger: Ledger, *told: Observation) -> None:
    with ledger.write() as connection:
        take_in(connection, take_in_runs(connection, told).rest, NOW)


def failure_of(sha: str, number: int = 11, **more: Any) -> Failure:
    values: dict[str, Any] = {
        "job": f"{KEY}/job/{number}", "repository": KEY, "workflow": "CI", "name": "lint", "step": "Run ruff", "sha": sha,
        "branch": "work", "at": NOW - DAY, "category": "lint", "cluster": "c" * 16, "signature": "ruff", "rule": "ruff",
        "is_in_green": False, "evidence": (), "told": "", "basis": "1", **more,
    }  # fmt: skip
    return Failure(**values)


def failed(ledger: Ledger, sha: str, number: int = 11, run: int = 1, **more: Any) -> None:
    """A job that failed and was explained."""
    tell(ledger, told_run(run, sha, "failure", NOW - DAY), told_job(number, run, sha, "failure", NOW - DAY))
    with ledger.write() as connection:
        store_failures(connection, [failure_of(sha, number, **more)])


def test_a_story_from_red_to_a_reverted_fix(any_ledger: Ledger) -> None:
    failed(any_ledger, BAD)
    made = record_fix(any_ledger, "11", kind="code_change", sha=GOOD, now=NOW, pull=7, note="a human did it")
    assert made.is_new
    assert (made.fix.state, made.fix.cluster) == (FixState.APPLIED, "c" * 16)

    def state() -> FixState:
        verify_fixes(any_ledger, NOW)
        assert verify_fixes(any_ledger, NOW + 1).changed == ()  # a second look writes nothing
        return show_fix(any_ledger, made.fix.id)[0].state

    def rate() -> tuple[float | None, int]:
        with any_ledger.read() as connection:
            found = fix_rate_data(connection, KEY)
        return found["value"], found["n"]

    assert state() is FixState.APPLIED
    assert rate() == (None, 0)
    tell(any_ledger, told_run(2, GOOD, "", NOW), told_job(21, 2, GOOD, "", NOW))
    assert state() is FixState.APPLIED
    tell(any_ledger, told_run(2, GOOD, "success", NOW), told_job(21, 2, GOOD, "success", NOW))
    assert state() is FixState.VERIFIED
    assert rate() == (1.0, 1)
    tell(any_ledger, told_pull(7, merged=NOW + DAY, head_sha=GOOD, merge_sha="d" * 40))
    assert state() is FixState.MERGED
    assert rate() == (1.0, 1)
    tell(any_ledger, told_pull(8, merged=NOW + 6 * DAY, body="Reverts acme/rocket#7"))
    assert state() is FixState.REVERTED
    page = list_fixes(any_ledger, repository="rocket")
    assert (page.rates[0].reverted_soon, page.rates[0].verified) == (1, 1)
    assert [one.id for one in list_fixes(any_ledger, state="reverted").fixes] == [made.fix.id]
    assert list_fixes(any_ledger, kind="formatter").fixes == ()


def test_a_green_run_whose_jobs_were_not_read_verifies_nothing_until_they_are(any_ledger: Ledger) -> None:
    failed(any_ledger, BAD)
    made = record_fix(any_ledger, "11", kind="code_change", sha=GOOD, now=NOW).fix
    tell(any_ledger, told_run(2, GOOD, "success", NOW))
    verify_fixes(any_ledger, NOW)
    assert "were not read" in show_fix(any_ledger, made.id)[1].told
    with any_ledger.write() as connection:
        assert stored.fix_shas(connection, KEY) == [GOOD]  # whose jobs are to be asked for
        take_in_runs(connection, [told_job(21, 2, GOOD, "success", NOW)])
        stored_runs.note_jobs(connection, WantedJobs("github.com", 2, 1), "read", 1)
    verify_fixes(any_ledger, NOW)
    assert show_fix(any_ledger, made.id)[0].is_verified


def test_a_rescue_by_re_run_takes_the_success_away(any_ledger: Ledger) -> None:
    failed(any_ledger, BAD)
    record_fix(any_ledger, "11", kind="code_change", sha=GOOD, now=NOW)
    tell(any_ledger, told_run(2, GOOD, "success", NOW), told_job(21, 2, GOOD, "success", NOW))
    verify_fixes(any_ledger, NOW)
    tell(any_ledger, told_run(1, BAD, "success", NOW + DAY, 2), told_job(12, 1, BAD, "success", NOW + DAY, 2))
    (change,) = verify_fixes(any_ledger, NOW).changed
    assert (change[0], change[1].state) == (FixState.VERIFIED, FixState.RESCUED)
    with any_ledger.read() as connection:
        told = fix_rate_data(connection)
    assert (told["value"], told["left_out"]) == (None, [{"what": "rescued by re-run", "number": 1}])


@pytest.mark.parametrize(
    ("sha", "kind", "told"),
    [
        (BAD, "code_change", "re-run"),
        (GOOD, "rerun", "re-run"),
        ("abc", "code_change", "full commit id"),
        ("HEAD", "code_change", "full commit id"),
    ],
)
def test_what_cannot_be_a_fix_is_not_recorded(ledger: Ledger, sha: str, kind: str, told: str) -> None:
    failed(ledger, BAD)
    with pytest.raises((FixRefused, ConfigurationError), match=told):
        record_fix(ledger, "11", kind=kind, sha=sha, now=NOW)
    assert list_fixes(ledger).fixes == ()


def test_there_is_nothing_to_fix_in_a_job_that_passed(ledger: Ledger, repository: Repository) -> None:
    """The earlier implementation found four failures, two of them "auto-fixable", in a fully green log."""
    sha = repository.commit(files={"pyproject.toml": "[tool.ruff]\n"})
    tell(ledger, told_run(1, sha, "success", NOW), told_job(11, 1, sha, "success", NOW))
    with pytest.raises(FixRefused, match="did not fail"):
        record_fix(ledger, "11", kind="code_change", sha=GOOD, now=NOW)
    with pytest.raises(FixRefused, match="did not fail"):
        propose_fix(ledger, "11", repository.path, NOW)
    with pytest.raises(NotFoundError):
        record_fix(ledger, "12", kind="code_change", sha=GOOD, now=NOW)


def test_the_same_fix_is_recorded_once_by_many_at_once(any_ledger: Ledger) -> None:
    failed(any_ledger, BAD)
    failed(any_ledger, BAD, number=12)  # the same failure in another job of the run
    found: list[tuple[int, bool]] = []

    def record(number: int) -> None:
        done = record_fix(any_ledger, str(number), kind="code_change", sha=GOOD, now=NOW)
        found.append((done.fix.id, done.is_new))

    threads = [threading.Thread(target=record, args=(11 + number % 2,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({number for number, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False] * 5 + [True]


def test_a_withdrawal_stays_whatever_is_found_out_at_the_same_time(any_ledger: Ledger) -> None:
    failed(any_ledger, BAD)
    made = record_fix(any_ledger, "11", kind="code_change", sha=GOOD, now=NOW).fix
    tell(any_ledger, told_run(2, GOOD, "failure", NOW), told_job(21, 2, GOOD, "failure", NOW))
    tasks: list[Callable[[], Any]] = [
        lambda: withdraw_fix(any_ledger, made.id, NOW), *([lambda: verify_fixes(any_ledger, NOW)] * 4),
    ]  # fmt: skip
    threads = [threading.Thread(target=one) for one in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    verify_fixes(any_ledger, NOW)
    found, _ = show_fix(any_ledger, made.id)
    assert found.state is FixState.WITHDRAWN
    assert found.has_outcome
    assert not found.is_verified


def test_commits_tell_of_merges_and_reverts_without_a_pull_request(
    any_ledger: Ledger, repository: Repository
) -> None:
    repository.git("remote", "add", "origin", f"https://{KEY}.git")
    bad = repository.commit(files={"a.py": "import os\n"})
    repository.branch("fix")
    good = repository.commit("fix: it", files={"a.py": "\n"})
    empty = repository.commit("ci: again", files={})
    repository.switch("main")
    failed(any_ledger, bad)
    scan_into(any_ledger, repository.path)
    made = record_fix(any_ledger, "11", kind="code_change", sha=good, now=NOW).fix
    with pytest.raises(FixRefused, match="changes nothing"):
        record_fix(any_ledger, "11", kind="code_change", sha=empty, now=NOW)
    verify_fixes(any_ledger, NOW)
    assert show_fix(any_ledger, made.id)[0].event(FixState.MERGED) is None  # it is on a branch
    repository.merge("fix", message="Merge fix")
    merged = repository.now * 1000
    repository.branch("undo")
    undo = repository.commit(f'Revert "fix: it"\n\nThis reverts commit {good}.\n')
    repository.switch("main")
    scan_into(any_ledger, repository.path)
    verify_fixes(any_ledger, NOW)
    found, _ = show_fix(any_ledger, made.id)
    event = found.event(FixState.MERGED)
    assert event is not None
    assert event.at == merged  # when it came to the main line, not when it was written
    assert found.event(FixState.REVERTED) is None  # the revert is on a branch
    repository.merge("undo", message="Merge undo")
    scan_into(any_ledger, repository.path)
    verify_fixes(any_ledger, NOW)
    found, _ = show_fix(any_ledger, made.id)
    event = found.event(FixState.REVERTED)
    assert event is not None
    assert event.told == f"commit {undo[:10]} reverts it"
    assert (event.at, found.was_reverted_soon) == (repository.now * 1000, True)


# --- built-in fixers on real repositories ------------------------------------------------------------

UNUSED = "import os\n\nprint('hello')\n"
CONFIGURED = {"pyproject.toml": "[tool.ruff]\n", "src/app.py": UNUSED, "README.md": "x\n"}


@pytest.fixture
def project(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository whose programs are ruff and what a test puts into ``bin``."""
    tools = repository.path.parent / "bin"
    tools.mkdir()
    (tools / "ruff").symlink_to(RUFF)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_" + "s" * 36)
    return repository


def tool(project: Repository, name: str, script: str) -> None:
    path = project.path.parent / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{sys.executable}\nimport os, sys, time, pathlib\n{script}\n")
    path.chmod(0o755)


def workplace(project: Repository) -> Path:
    return project.path.parent / "home" / "xdg_state_home" / "achievement-collector" / "ci-fix"


def state_of(project: Repository) -> tuple[str, ...]:
    """All of a checkout that a fixer must not touch."""
    return (
        project.git("status", "--porcelain"), project.git("rev-parse", "HEAD"), project.git("symbolic-ref", "HEAD"),
        project.git("worktree", "list"), project.git("stash", "list"), project.git("ls-files", "-s"),
    )  # fmt: skip


def proposals(project: Repository) -> list[str]:
    return project.git("for-each-ref", "--format=%(refname:short)", "refs/heads/ci-fix").splitlines()


def test_ruff_proposes_a_branch_and_touches_nothing_else(any_ledger: Ledger, project: Repository) -> None:
    sha = project.commit(files=CONFIGURED)
    project.commit(files={"later.py": "x = 1\n"})
    project.write("src/app.py", "what I am writing right now\n")
    before = state_of(project)
    failed(any_ledger, sha)
    found = outlook(any_ledger, "11", project.path)
    assert [(one.fixer.name, one.obstacle) for one in found.options] == [("ruff-check", "")]
    done = propose_fix(any_ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert (done.is_new, done.fix.state, done.fix.kind) == (True, FixState.PROPOSED, "linter")
    assert done.fix.branch == f"ci-fix/{'c' * 16}-1"
    assert project.git("show", f"{done.fix.branch}:src/app.py") == "\nprint('hello')"
    assert project.git("rev-parse", f"{done.fix.branch}^") == sha  # on the commit that failed
    assert project.git("diff", "--name-only", sha, done.fix.branch) == "src/app.py"
    assert project.git("log", "-1", "--format=%an", done.fix.branch) == "achievement-collector[bot]"
    assert state_of(project) == before
    assert not list(workplace(project).glob("run-*"))
    # asking again gives the same, and a proposal is no success
    again = propose_fix(any_ledger, "11", project.path, NOW + 1)
    assert (again.fix, again.is_new) == (done.fix, False)
    verify_fixes(any_ledger, NOW)
    with any_ledger.read() as connection:
        told = fix_rate_data(connection)
    assert (told["value"], told["state"], told["attempts"]) == (None, "not measured", 1)
    # until CI ran on it
    tell(any_ledger, told_run(2, done.fix.sha, "success", NOW), told_job(21, 2, done.fix.sha, "success", NOW))
    verify_fixes(any_ledger, NOW)
    fixed, _ = show_fix(any_ledger, done.fix.id)
    assert [one.state for one in fixed.events] == [FixState.PROPOSED, FixState.APPLIED, FixState.VERIFIED]


def test_nothing_from_a_log_or_a_name_is_used(ledger: Ledger, project: Repository) -> None:
    """The earlier implementation appended a misspelt package to requirements.txt and touched ../../.ssh/authorized_keys."""
    sha = project.commit(files={"requirements.txt": "requests\n", **CONFIGURED})
    evil = "ModuleNotFoundError: No module named 'reqeusts'; ../../.ssh/authorized_keys; $(touch pwned) ruff --config evil"
    lines = ({"number": 1, "offset": 0, "text": evil, "why": "missing-module"},)
    names = {
        "name": evil,
        "workflow": evil,
        "step": evil,
        "signature": evil,
        "told": evil,
        "branch": evil,
        "evidence": lines,
    }
    failed(ledger, sha, category="dependency", **names)
    found = outlook(ledger, "11", project.path)
    assert found.options == ()
    done = propose_fix(ledger, "11", project.path, NOW)
    assert (done.fix, done.steps) == (None, ())
    # where a fixer fits, what it proposes is the same with such names as without
    with ledger.write() as connection:
        store_failures(connection, [failure_of(sha, cluster="$(id)/../x", **names)])
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert project.git("diff", "--name-only", sha, done.fix.branch) == "src/app.py"
    assert done.fix.branch == "ci-fix/job11-1"
    message = project.git("log", "-1", "--format=%B", done.fix.branch)
    assert not {"reqeusts", "ssh", "touch", "evil"} & set(message.replace("/", " ").split())
    assert not (project.path.parent / "pwned").exists()


def test_what_also_stands_in_green_logs_and_what_is_unknown_is_left_alone(
    ledger: Ledger, project: Repository
) -> None:
    sha = project.commit(files=CONFIGURED)
    failed(ledger, sha, is_in_green=True)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is None
    assert "not known what failed" in done.outlook.why_not
    assert done.outlook.options == ()
    failed(ledger, sha, category="unknown")
    assert "cause is not known" in propose_fix(ledger, "11", project.path, NOW).outlook.why_not
    assert list_fixes(ledger).fixes == ()


def test_a_change_to_a_test_is_refused_and_counts_as_tried(ledger: Ledger, project: Repository) -> None:
    sha = project.commit(files={**CONFIGURED, "tests/test_app.py": UNUSED})
    failed(ledger, sha)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert (done.fix, done.steps) == (None, (("ruff-check", "it changed a test: tests/test_app.py"),))
    assert proposals(project) == []
    (one,) = list_fixes(ledger).fixes
    assert (one.state, one.sha, one.has_outcome) == (FixState.WITHDRAWN, "", False)
    assert fix_rates([one])[0].left_out == (("no usable change", 1),)
    # the same fixer is not run again at the same job
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.steps == (
        ("ruff-check", f"it was tried at this job: fix {one.id}, it changed a test: tests/test_app.py"),
    )
    assert len(list_fixes(ledger).fixes) == 1


def test_the_next_fixer_is_tried_where_one_changes_nothing(ledger: Ledger, project: Repository) -> None:
    files = {"pyproject.toml": "[tool.ruff.format]\n", "app.py": "x = {  'a':1 }\n"}
    sha = project.commit(files=files)
    failed(ledger, sha)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert done.steps == (("ruff-check", "it changed nothing"), ("ruff-format", "ruff-format changed 1 file"))
    assert project.git("show", f"{done.fix.branch}:app.py") == 'x = {"a": 1}'


def test_a_failure_is_tried_at_three_times_and_no_more(ledger: Ledger, project: Repository) -> None:
    """Three runs for the same failure, in whatever job it shows up; then a person has to look."""
    shas = [
        project.commit(files={**CONFIGURED, "src/app.py": UNUSED + f"# {number}\n"}) for number in range(5)
    ]
    for number, sha in enumerate(shas):
        failed(ledger, sha, number=100 + number, run=100 + number)
    done = [propose_fix(ledger, str(100 + number), project.path, NOW + number) for number in range(5)]
    assert [one.fix is not None for one in done] == [True] * MOST_ATTEMPTS + [False] * 2
    assert [one.fix.branch[-2:] for one in done if one.fix] == ["-1", "-2", "-3"]
    assert "a person has to look" in done[3].outlook.why_not
    assert len(list_fixes(ledger).fixes) == 3
    # a withdrawal does not make room for a fourth
    first = done[0].fix
    assert first is not None
    withdraw_fix(ledger, first.id, NOW)
    assert propose_fix(ledger, "103", project.path, NOW).fix is None
    # once the failure was fixed, its coming back is another one
    third = done[2].fix
    assert third is not None
    tell(ledger, told_run(2, third.sha, "success", NOW), told_job(21, 2, third.sha, "success", NOW))
    verify_fixes(ledger, NOW)
    assert propose_fix(ledger, "103", project.path, NOW + 9).fix is not None


def test_after_a_proposal_that_did_not_work_the_next_fixer_is_tried(
    ledger: Ledger, project: Repository
) -> None:
    sha = project.commit(
        files={"pyproject.toml": "[tool.ruff.format]\n", "app.py": "import os\nx = {  'a':1 }\n"}
    )
    failed(ledger, sha)
    first = propose_fix(ledger, "11", project.path, NOW).fix
    assert first is not None
    assert first.fixer == "ruff-check"
    tell(
        ledger,
        told_run(2, first.sha, "failure", NOW),
        told_job(21, 2, first.sha, "failure", NOW),
    )
    verify_fixes(ledger, NOW)
    second = propose_fix(ledger, "11", project.path, NOW + 1).fix
    assert second is not None
    assert second.fixer == "ruff-format"
    tell(
        ledger,
        told_run(3, second.sha, "failure", NOW),
        told_job(31, 3, second.sha, "failure", NOW),
    )
    verify_fixes(ledger, NOW)
    assert propose_fix(ledger, "11", project.path, NOW + 2).fix is None
    rate = list_fixes(ledger).rates[0]
    assert (rate.value, rate.n) == (0, 2)


def test_many_at_once_make_one_proposal(any_ledger: Ledger, project: Repository) -> None:
    sha = project.commit(files=CONFIGURED)
    failed(any_ledger, sha)
    found: list[Any] = []

    def propose() -> None:
        found.append(propose_fix(any_ledger, "11", project.path, NOW))

    threads = [threading.Thread(target=propose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len({one.fix.id for one in found}) == 1
    assert sorted(one.is_new for one in found) == [False, False, False, True]
    assert len(proposals(project)) == 1


# --- hostile repositories ----------------------------------------------------------------------------


def test_hooks_filters_and_replacements_of_the_repository_have_no_effect(
    ledger: Ledger, project: Repository
) -> None:
    marker = project.path.parent / "ran"
    project.write(".gitattributes", "*.py filter=evil eol=crlf\n")
    sha = project.commit(files=CONFIGURED)
    other = project.commit(files={"src/app.py": "import sys\n"})
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-commit"):
        hook = project.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    for name in ("clean", "smudge"):
        project.git("config", f"filter.evil.{name}", f"touch {marker}; cat")
    project.git("config", "filter.evil.required", "true")
    project.git("config", "core.fsmonitor", f"touch {marker}")
    project.git("-c", "core.hooksPath=/dev/null", "replace", sha, other)
    marker.unlink(missing_ok=True)
    failed(ledger, sha)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert not marker.exists()
    shown = project.git("--no-replace-objects", "show", f"{done.fix.branch}:src/app.py")
    assert shown == "\nprint('hello')"  # of the commit itself, and without carriage returns


def test_links_lead_nowhere(ledger: Ledger, project: Repository) -> None:
    outside = project.path.parent / "outside.py"
    outside.write_text(UNUSED)
    folder = project.path.parent / "folder"
    folder.mkdir()
    (folder / "inside.py").write_text(UNUSED)
    for name, target in (("link.py", outside), ("linked", folder)):
        (project.path / name).symlink_to(target)
    sha = project.commit(files=CONFIGURED)
    failed(ledger, sha)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert project.git("diff", "--name-only", sha, done.fix.branch) == "src/app.py"
    assert outside.read_text() == (folder / "inside.py").read_text() == UNUSED
    assert project.git("ls-tree", done.fix.branch, "link.py").startswith("120000")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("os.remove('app.go'); os.symlink('/etc/passwd', 'app.go')", "link"),
        ("os.symlink('/etc/passwd', 'new.go')", "link"),
        ("os.mkfifo('pipe.go')", "special file"),
        ("os.link('go.mod', 'hard.go')", "link"),
        ("open('linked.go', 'w').write('x')", "in the place of a link"),
        ("open('new.go', 'w').write('x')", "new file"),
        ("os.remove('app.go')", "deleted"),
        ("open('go.mod', 'w').write('module y')", "no business"),
        ("os.makedirs('.github/x'); open('.github/x/a.go', 'w').write('x')", "CI"),
        ("open('app.go', 'w').write('x\\n' * 6000)", "5,000 are the most"),
        ("open('app.go', 'wb').truncate(17 << 20)", "very large"),
        ("[open(f'f{n}.go', 'w').close() for n in range(400)]", "300 are the most"),
        ("sys.exit(3)", "ended with status 3"),
        ("open('app.go', 'w').write('x'); os.kill(os.getpid(), 9)", "ended with status -9"),
        ("time.sleep(60)", "stopped after 1 seconds"),
        ("pass", "changed nothing"),
        ("os.makedirs('node_modules/a'); open('node_modules/a/x', 'w'); os.chmod('node_modules', 0)", "changed nothing"),
        ("os.makedirs('node_modules'); open('node_modules/x.go', 'w').write('x')", "changed nothing"),
        ("open(b'\\xff\\x1b[31m.go', 'w').write('x')", "new file"),
    ],
)  # fmt: skip
def test_what_a_tool_must_not_do_is_refused_and_leaves_nothing(
    ledger: Ledger, project: Repository, script: str, told: str
) -> None:
    (project.path / "linked.go").symlink_to("/etc/hostname")
    sha = project.commit(files={"go.mod": "module x\n", "app.go": "package x\n"})
    before = state_of(project)
    failed(ledger, sha)
    tool(project, "gofmt", script)
    done = propose_fix(ledger, "11", project.path, NOW, seconds=1 if "sleep" in script else 60)
    assert done.fix is None
    assert told in dict(done.steps)["gofmt"]
    assert "\x1b" not in dict(done.steps)["gofmt"]
    assert proposals(project) == []
    assert state_of(project) == before
    assert not list(workplace(project).glob("run-*"))
    (one,) = list_fixes(ledger).fixes
    assert (one.state, one.events[-1].told) == (FixState.WITHDRAWN, dict(done.steps)["gofmt"])


def test_a_tool_gets_no_secret_no_shell_and_no_repository(
    ledger: Ledger, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = project.commit(files={"go.mod": "module x\n", "app.go": "package x\n"})
    failed(ledger, sha)
    seen = project.path.parent / "seen.json"
    tool(
        project,
        "gofmt",
        f"""import json, subprocess
git = subprocess.run(['git', 'rev-parse', '--git-dir'], capture_output=True).returncode
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
told = dict(environment=dict(os.environ), arguments=sys.argv[1:], folder=os.getcwd(), git=git, child=child.pid,
            input=sys.stdin.read())
pathlib.Path({str(seen)!r}).write_text(json.dumps(told))""",
    )
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "SSH_AUTH_SOCK",
        "NOTION_API_KEY",
        "PYTHONPATH",
        "LD_PRELOAD",
        "NODE_OPTIONS",
    ):
        monkeypatch.setenv(name, "" if name == "LD_PRELOAD" else "secret")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "bin", os.environ["PATH"]]))
    propose_fix(ledger, "11", project.path, NOW)
    told = json.loads(seen.read_text())
    assert not {name for name, value in told["environment"].items() if value == "secret" or "ghp_" in value}
    assert not {"SSH_AUTH_SOCK", "PYTHONPATH", "LD_PRELOAD"} & told["environment"].keys()
    assert all(os.path.isabs(one) for one in told["environment"]["PATH"].split(os.pathsep))
    assert told["environment"]["HOME"] != os.environ["HOME"]
    assert told["arguments"] == ["-w", "."]
    assert not Path(told["folder"]).is_relative_to(project.path)
    assert told["git"] != 0  # the copy is no repository
    assert told["input"] == ""
    deadline = time.monotonic() + 20
    while _is_running(told["child"]) and time.monotonic() < deadline:
        os.sched_yield()
    assert not _is_running(told["child"])  # what it left behind was ended


def _is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_of_the_repository_itself_is_not_taken(
    ledger: Ledger, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = project.path.parent / "ran"
    script = project.write("gofmt", f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    sha = project.commit(files={"go.mod": "module x\n"})
    failed(ledger, sha)
    monkeypatch.setenv("PATH", ":.:/usr/bin:/bin")
    monkeypatch.chdir(project.path)
    if shutil.which("gofmt", path="/usr/bin:/bin"):
        pytest.skip("gofmt is installed here")
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.steps == (("gofmt", "gofmt is not installed"),)
    assert not marker.exists()
    assert list_fixes(ledger).fixes == ()  # nothing was tried


def test_a_fixer_that_may_run_code_of_the_repository_waits_for_the_users_word(
    ledger: Ledger, project: Repository
) -> None:
    sha = project.commit(files={"package.json": '{"devDependencies": {"prettier": "3"}}', "a.js": "a ( )\n"})
    failed(ledger, sha)
    tool(project, "prettier", "open('a.js', 'w').write('a();\\n')")
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is None
    assert "--trust-repository" in dict(done.steps)["prettier"]
    assert list_fixes(ledger).fixes == ()
    done = propose_fix(ledger, "11", project.path, NOW, trusts_repository=True)
    assert done.fix is not None
    assert project.git("show", f"{done.fix.branch}:a.js") == "a();"


def hostile_commit(project: Repository, name: bytes) -> str:
    """A commit with an entry that git itself would not make."""
    blob = project.git("hash-object", "-w", "--stdin", stdin=UNUSED.encode())
    config = project.git("hash-object", "-w", "--stdin", stdin=b"[tool.ruff]\n")
    entries = sorted([(name, blob), (b"pyproject.toml", config)])
    tree = b"".join(b"100644 " + path + b"\0" + bytes.fromhex(one) for path, one in entries)
    written = project.git("hash-object", "-w", "--literally", "-t", "tree", "--stdin", stdin=tree)
    return project.git("commit-tree", written, "-m", "hostile")


@pytest.mark.parametrize("name", [b"..", b".git", b".GIT", b".", b"a\\b.py"])
def test_a_path_that_leads_out_of_the_folder_is_refused(
    ledger: Ledger, project: Repository, name: bytes
) -> None:
    sha = hostile_commit(project, name)
    failed(ledger, sha)
    with pytest.raises(RepositoryError, match="path that no file of a project has"):
        propose_fix(ledger, "11", project.path, NOW)
    assert not list(workplace(project).glob("run-*"))


def test_a_file_mode_and_odd_names_are_kept(ledger: Ledger, project: Repository) -> None:
    script = project.write(b"src/\xff odd\tname.py", UNUSED)
    script.chmod(0o755)
    sha = project.commit(files={"pyproject.toml": "[tool.ruff]\n"})
    failed(ledger, sha)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert project.git("diff", "--raw", sha, done.fix.branch).startswith(":100755 100755")


# --- stops at any moment -----------------------------------------------------------------------------


class Killed(BaseException):
    pass


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (trees, "export"),
        (fix_proposals, "run_fixer"),
        (trees, "write_commit"),
        (stored, "add_fix"),
        (trees, "create_branch"),
    ],
)
def test_after_a_stop_anywhere_the_same_command_ends_the_same(
    any_ledger: Ledger, project: Repository, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    sha = project.commit(files=CONFIGURED)
    failed(any_ledger, sha)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, killed)
        with pytest.raises(Killed):
            propose_fix(any_ledger, "11", project.path, NOW)
    done = propose_fix(any_ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert proposals(project) == [f"ci-fix/{'c' * 16}-1"]
    assert project.git("rev-parse", done.fix.branch) == done.fix.sha
    assert len(list_fixes(any_ledger).fixes) == 1
    assert not list(workplace(project).glob("run-*"))


def test_a_killed_process_leaves_a_folder_that_the_next_run_takes_away(
    ledger: Ledger, project: Repository
) -> None:
    sha = project.commit(files={"go.mod": "module x\n", "app.go": "package x\n"})
    failed(ledger, sha)
    pids = project.path.parent / "pids"
    tool(project, "gofmt", f"pathlib.Path({str(pids)!r}).write_text(str(os.getpid())); time.sleep(600)")
    code = (
        "import sys; from pathlib import Path; from achievement_collector.ledger.store import open_ledger\n"
        "from achievement_collector.services.fix_proposals import propose_fix\n"
        "propose_fix(open_ledger(sys.argv[1]), '11', Path(sys.argv[2]), 1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, ledger.name, str(project.path)])
    deadline = time.monotonic() + 60
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    # while it runs its folder is its own
    fixer_runs.sweep(workplace(project))
    assert len(list(workplace(project).glob("run-*"))) == 1
    process.kill()
    process.wait()
    os.kill(int(pids.read_text()), 9)
    assert len(list(workplace(project).glob("run-*"))) == 1
    tool(project, "gofmt", "open('app.go', 'w').write('package x\\n\\n')")
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert not list(workplace(project).glob("run-*"))


def test_a_branch_of_the_users_is_never_moved(ledger: Ledger, project: Repository) -> None:
    sha = project.commit(files=CONFIGURED)
    mine = project.commit(files={"mine.txt": "mine\n"})
    failed(ledger, sha)
    project.git("branch", f"ci-fix/{'c' * 16}-1", mine)
    done = propose_fix(ledger, "11", project.path, NOW)
    assert done.fix is not None
    assert done.fix.branch.endswith("-2")
    assert project.git("rev-parse", f"ci-fix/{'c' * 16}-1") == mine
    assert not trees.create_branch(project.path, done.fix.branch, mine, 1)
    assert project.git("rev-parse", done.fix.branch) == done.fix.sha


def test_what_is_missing_is_said(ledger: Ledger, project: Repository, tmp_path: Path) -> None:
    project.commit(files=CONFIGURED)
    tell(ledger, told_run(1, BAD, "failure", NOW), told_job(11, 1, BAD, "failure", NOW))
    with pytest.raises(NotFoundError, match="not explained"):
        propose_fix(ledger, "11", project.path, NOW)
    failed(ledger, BAD)
    with pytest.raises(NotFoundError, match="fetch it"):
        propose_fix(ledger, "11", project.path, NOW)
    with pytest.raises(RepositoryError):
        propose_fix(ledger, "11", tmp_path / "nowhere", NOW)
    sha = project.head()
    failed(ledger, sha, number=12, run=2)
    with pytest.raises(ConfigurationError, match="does not fit"):
        propose_fix(ledger, "12", project.path, NOW, fixer="rm -rf")
    with pytest.raises(NotFoundError):
        show_fix(ledger, 999)
    with pytest.raises(ConfigurationError, match="no state"):
        list_fixes(ledger, state="perfect")


# --- commands ----------------------------------------------------------------------------------------


@pytest.fixture
def invoke(tmp_path: Path) -> Callable[..., Any]:
    app = typer.Typer()
    commands.add_to(app)
    runner = CliRunner(env={"COLUMNS": "200"})

    def run(*arguments: object, code: int = 0) -> str:
        result = runner.invoke(app, [*map(str, arguments), "--db", str(tmp_path / "ledger.db")])
        assert result.exit_code == code, result.output
        return str(result.output)

    return run


def test_the_commands(ledger: Ledger, project: Repository, invoke: Callable[..., str]) -> None:
    sha = project.commit(files=CONFIGURED)
    failed(ledger, sha)
    nothing = invoke("fixes", "list")
    assert "not measured: no attempt was recorded" in nothing
    assert "18.9 %" in nothing  # what published studies reached
    assert "would run ruff check --fix" in invoke("fix", "11", "--path", project.path)
    assert proposals(project) == []
    made = invoke("fix", "11", "--propose", "--path", project.path)
    assert f"git push origin ci-fix/{'c' * 16}-1" in made
    assert "there already (proposed)" in invoke("fix", "11", "--propose", "--path", project.path)
    told = json.loads(invoke("fixes", "list", "--json"))
    assert told["success_rate"]["value"] is None
    (one,) = told["fixes"]
    tell(ledger, told_run(2, one["sha"], "success", NOW), told_job(21, 2, one["sha"], "success", NOW))
    assert "proposed -> verified" in invoke("fixes", "verify")
    assert "of 0 something new is known" in invoke("fixes", "verify")
    page = invoke("fixes", "list")
    assert "100.0 %" in page
    assert "20.7 % to 100.0 %" in page
    shown = invoke("fixes", "show", one["id"])
    assert "recorded facts" in shown
    assert "fix 2 recorded" in invoke("fixes", "record", "11", "--kind", "code_change", "--sha", GOOD)
    assert "was recorded before" in invoke("fixes", "record", "11", "--kind", "code_change", "--sha", GOOD)
    assert "fix 2 is withdrawn" in invoke("fixes", "withdraw", "2")
    failed(ledger, sha, number=12, run=3, category="permission")
    assert "nothing is proposed" in invoke("fix", "12", "--propose", "--path", project.path, code=1)
