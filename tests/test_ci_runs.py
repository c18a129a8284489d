"""Runs of CI: attempts, jobs, annotations, logs and test outcomes, told by webhooks and by polling."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from achievement_collector.errors import NotFoundError
from achievement_collector.facts.ci import TestCase
from achievement_collector.facts.ci_runs import RED, Annotation, Step
from achievement_collector.facts.observations import Kind, Observation
from achievement_collector.ledger import ci_runs as stored
from achievement_collector.ledger.ci_runs import attempts, counts, jobs, log_of, take_in_runs
from achievement_collector.ledger.ci_tables import ci_attempts, ci_jobs, ci_logs, ci_run_pulls
from achievement_collector.ledger.ci_tests import add_test_report, outcomes_of_tests
from achievement_collector.ledger.entities import take_in
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.services.ci_logs import log_to_store, mask_log
from achievement_collector.services.ci_runs import (
    Reach,
    collect_details,
    job_and_log,
    list_runs,
    run_data,
)
from achievement_collector.services.github_sync import Synced, sync_repository
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.ci_files.junit import parse_junit
from achievement_collector.sources.github import events
from achievement_collector.sources.github.client import BudgetExhausted, GitHubClient, GitHubError
from achievement_collector.sources.github.logs import job_log, kept
from tests.fakes.github import TOKEN, FakeGitHub, Trouble, serve, text_of
from tests.test_github_sync import Clock

NOW = 1_780_000_000  # seconds
MINUTE, HOUR, DAY = 60, 3600, 86_400
KEY = "github.com/acme/rocket"
WEBHOOKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "github" / "webhooks"


class LogHost:
    """Another host, where logs lie. It notes the headers that it was asked with."""

    def __init__(self) -> None:
        self.url = ""
        self.logs: dict[int, bytes] = {}
        self.status = 200
        self.headers: list[dict[str, str]] = []


@contextmanager
def serve_logs(host: LogHost) -> Iterator[LogHost]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.headers.append(dict(self.headers.items()))
            body = host.logs.get(int(self.path.partition("?")[0].rpartition("/")[2]), b"")
            self.send_response(host.status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log_host() -> Iterator[LogHost]:
    with serve_logs(LogHost()) as host:
        yield host


@pytest.fixture
def github(clock: Clock, log_host: LogHost) -> Iterator[FakeGitHub]:
    with serve(FakeGitHub(clock)) as fake:
        fake.log_host, fake.logs = log_host.url, log_host.logs
        fake.remaining = fake.limit = 10**6
        yield fake


@pytest.fixture
def client(github: FakeGitHub, clock: Clock) -> Iterator[GitHubClient]:
    with GitHubClient(github.url, TOKEN, sleep=clock.sleep, clock=clock) as opened:
        yield opened


def sync(ledger: Ledger, client: GitHubClient, now: int = NOW, **options: Any) -> Synced:
    return sync_repository(ledger, client, "acme/rocket", now * 1000, host="github.com", **options)


def delivered(event: str, body: dict[str, Any], received: int = NOW) -> list[Observation]:
    repository = {"id": 1000, "full_name": "acme/rocket", "html_url": f"https://{KEY}"}
    return events.translate(event, Body({"repository": repository, **body}), received * 1000)


def run_told(ledger: Ledger, told: Sequence[Observation]) -> None:
    with ledger.write() as connection:
        take_in(connection, take_in_runs(connection, told).rest, NOW * 1000)


def table_rows(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return [
            sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in (ci_attempts, ci_run_pulls, ci_jobs)
        ]


def logs_stored(ledger: Ledger) -> dict[int, str]:
    with ledger.read() as connection:
        return {row.job: row.state for row in connection.execute(sa.select(ci_logs.c.job, ci_logs.c.state))}


def asked(github: FakeGitHub, end: str) -> list[str]:
    return [one.path for one in github.asked if one.path.endswith(end)]


# --- what webhooks tell ------------------------------------------------------------------------------


def run_body(attempt: int, status: str, conclusion: str | None, at: int, **fields: Any) -> dict[str, Any]:
    pull = {"number": 12, "base": {"repo": {"id": 1000}}}
    run = {
        "id": 71, "name": "tests", "path": ".github/workflows/tests.yml", "head_sha": "a" * 40, "head_branch": "work",
        "event": "pull_request", "status": status, "conclusion": conclusion, "run_attempt": attempt, "display_title": "Add it",
        "created_at": text_of(NOW), "run_started_at": text_of(NOW + attempt * HOUR), "updated_at": text_of(at),
        "repository": {"id": 1000}, "triggering_actor": {"login": "ada"}, "pull_requests": [pull], **fields,
    }  # fmt: skip
    return {"workflow_run": run}


def job_body(number: int, attempt: int, status: str, conclusion: str | None, at: int) -> dict[str, Any]:
    step = {
        "number": 1, "name": "Run tests", "conclusion": conclusion, "started_at": text_of(at - 5),
        "completed_at": text_of(at) if conclusion else None,
    }  # fmt: skip
    job = {
        "id": number, "run_id": 71, "run_attempt": attempt, "name": "unit", "head_sha": "a" * 40, "head_branch": "work",
        "status": status, "conclusion": conclusion, "created_at": text_of(at - 20), "started_at": text_of(at - 10),
        "completed_at": text_of(at) if conclusion else None, "labels": ["ubuntu-latest"], "runner_name": "r1",
        "workflow_name": "tests", "steps": [step] if status != "queued" else [],
        "check_run_url": f"https://api.github.com/repos/acme/rocket/check-runs/{number}",
    }  # fmt: skip
    return {"workflow_job": job}


def story() -> list[list[Observation]]:
    """All that webhooks tell of a run that failed, was run again, and passed; the pull request was merged in between."""
    first, second = NOW + HOUR, NOW + 2 * HOUR
    return [
        delivered("workflow_run", run_body(1, "requested", None, first)),
        delivered("workflow_run", run_body(1, "in_progress", None, first + 10)),
        delivered("workflow_run", run_body(1, "completed", "failure", first + 100)),
        delivered("workflow_run", run_body(2, "in_progress", None, second, pull_requests=[])),
        delivered("workflow_run", run_body(2, "completed", "success", second + 100, pull_requests=[])),
        *(
            delivered("workflow_job", body, at)
            for at, body in (
                (first + 1, job_body(901, 1, "queued", None, first + 20)),
                (first + 15, job_body(901, 1, "in_progress", None, first + 20)),
                (first + 90, job_body(901, 1, "completed", "failure", first + 90)),
                (second + 1, job_body(902, 2, "queued", None, second + 20)),
                (second + 90, job_body(902, 2, "completed", "success", second + 90)),
            )
        ),
    ]


def test_deliveries_in_any_order_and_twice_give_the_same_rows(any_ledger: Ledger) -> None:
    run_told(any_ledger, [one for told in story() for one in told])
    wanted = table_rows(any_ledger)
    assert [len(rows) for rows in wanted] == [2, 1, 2]
    run_told(any_ledger, [one for told in reversed(story()) for one in told])
    assert table_rows(any_ledger) == wanted
    for seed in range(60):
        order = random.Random(seed)
        shuffled = story() + order.choices(story(), k=4)
        order.shuffle(shuffled)
        with any_ledger.write() as connection:
            for table in (ci_attempts, ci_run_pulls, ci_jobs):
                connection.execute(sa.delete(table))
        while shuffled:
            size = order.randint(1, 4)
            with any_ledger.write() as connection:
                take_in_runs(connection, [one for told in shuffled[:size] for one in told])
            del shuffled[:size]
        assert table_rows(any_ledger) == wanted, f"seed {seed}"


def test_an_end_is_never_undone_by_a_later_word_of_the_same_attempt(ledger: Ledger) -> None:
    run_told(ledger, delivered("workflow_run", run_body(1, "completed", "failure", NOW + HOUR)))
    run_told(ledger, delivered("workflow_run", run_body(1, "in_progress", None, NOW + 2 * HOUR)))
    with ledger.read() as connection:
        assert [one.conclusion for one in attempts(connection)] == ["failure"]


def test_several_may_take_in_at_the_same_time(any_ledger: Ledger) -> None:
    run_told(any_ledger, [one for told in story() for one in told])
    wanted = table_rows(any_ledger)
    for seed in range(12):
        with any_ledger.write() as connection:
            for table in (ci_attempts, ci_run_pulls, ci_jobs):
                connection.execute(sa.delete(table))

        def work(own: int) -> None:
            order = random.Random(own)
            shuffled = story()
            order.shuffle(shuffled)
            while shuffled:
                size = order.randint(1, 5)
                with any_ledger.write() as connection:
                    take_in_runs(connection, [one for told in shuffled[:size] for one in told])
                del shuffled[:size]

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(seed * 4, seed * 4 + 4)))
        assert table_rows(any_ledger) == wanted, f"seed {seed}"


def test_who_read_before_another_wrote_does_not_undo_it(any_ledger: Ledger) -> None:
    first = delivered("workflow_run", run_body(1, "in_progress", None, NOW + HOUR, pull_requests=[]))
    late = threading.Thread(target=run_told, args=(any_ledger, first))
    with any_ledger.write() as connection:
        take_in_runs(
            connection, delivered("workflow_run", run_body(1, "completed", "failure", NOW + 2 * HOUR))
        )
        late.start()
        late.join(0.5)  # it has found nothing, and waits for this transaction to end
        assert late.is_alive()
    late.join(20)
    with any_ledger.read() as connection:
        assert [one.conclusion for one in attempts(connection)] == ["failure"]


def test_a_body_that_no_database_could_hold_tells_nothing(any_ledger: Ledger) -> None:
    far = run_body(1, "completed", "failure", NOW)
    far["workflow_run"]["run_attempt"] = 2**40
    strange = job_body(901, 1, "completed", "failure", NOW)
    strange["workflow_job"] |= {"labels": ["a\0b", "\ud800", 5], "name": "n\0", "check_run_url": "x/../9e9"}
    strange["workflow_job"]["steps"] = [{"name": "s\ud800\0"}, 7, {}]
    run_told(any_ledger, [*delivered("workflow_run", far), *delivered("workflow_job", strange)])
    with any_ledger.read() as connection:
        assert attempts(connection) == []
        (one,) = jobs(connection)
    assert one.labels == ("a�b", "?", "")
    assert [(step.number, step.name) for step in one.steps] == [(1, "s?�"), (2, ""), (3, "")]


def test_what_is_told_is_read_back(any_ledger: Ledger) -> None:
    run_told(any_ledger, [one for told in story() for one in told])
    with any_ledger.read() as connection:
        first, second = attempts(connection, KEY)
        failed, passed = jobs(connection, KEY)
    assert (first.number, first.conclusion, first.is_last) == (1, "failure", False)
    assert (second.number, second.conclusion, second.is_last) == (2, "success", True)
    assert first.key == f"{KEY}/run/71/1"
    assert first.pulls == second.pulls == (12,)  # told while it was open only
    assert (first.workflow, first.path, first.title, first.actor) == (
        "tests", ".github/workflows/tests.yml", "Add it", "ada",
    )  # fmt: skip
    assert (first.created, first.started, first.finished) == (
        NOW * 1000, (NOW + HOUR) * 1000, (NOW + HOUR + 100) * 1000,
    )  # fmt: skip
    assert (first.jobs_known, first.jobs) == (False, 1)
    assert (failed.id, failed.attempt, failed.conclusion, failed.runner, failed.labels) == (
        901, 1, "failure", "r1", ("ubuntu-latest",),
    )  # fmt: skip
    assert failed.steps == (
        Step(1, "Run tests", "failure", (NOW + HOUR + 85) * 1000, (NOW + HOUR + 90) * 1000),
    )
    assert (passed.conclusion, passed.queued, passed.started) == (
        "success", (NOW + 2 * HOUR + 70) * 1000, (NOW + 2 * HOUR + 80) * 1000,
    )  # fmt: skip


def test_a_pull_request_of_another_repository_is_none_of_ours() -> None:
    foreign = {"number": 9, "base": {"repo": {"id": 77}}}
    told = delivered("workflow_run", run_body(1, "completed", "success", NOW, pull_requests=[foreign]))[1]
    assert "pull_requests" not in told.fields


def test_a_check_that_is_no_workflow_run_is_no_attempt(ledger: Ledger) -> None:
    status = {"sha": "a" * 40, "context": "x/run/5/1", "state": "failure", "updated_at": text_of(NOW)}
    suite = {"check_suite": {"id": 5, "head_sha": "a" * 40, "conclusion": "failure"}}
    run_told(ledger, [*delivered("status", status), *delivered("check_suite", suite)])
    assert table_rows(ledger) == [[], [], []]


@pytest.mark.parametrize("conclusion", ["cancelled", "neutral", "action_required", "stale", "sideways"])
def test_an_unknown_conclusion_is_kept_and_is_no_failure(ledger: Ledger, conclusion: str) -> None:
    run_told(ledger, delivered("workflow_run", run_body(1, "completed", conclusion, NOW + HOUR)))
    with ledger.read() as connection:
        (one,) = attempts(connection, KEY)
        assert attempts(connection, KEY, only_red=True) == []
        assert counts(connection, KEY).red == 0
    assert one.conclusion == conclusion
    assert one.conclusion not in RED
    assert one.is_finished


def test_the_recorded_deliveries_of_jobs_and_runs_are_taken_in(ledger: Ledger) -> None:
    files = sorted((*WEBHOOKS.glob("workflow_job/*.json"), *WEBHOOKS.glob("workflow_run/*.json")))
    if not files:
        pytest.skip(
            "needs recorded deliveries, which lie in shared/data/github/webhooks beside the repository"
        )
    for path in files:
        body = json.loads(path.read_text(encoding="utf-8"))
        if "workflow_job" in body or "workflow_run" in body:
            run_told(ledger, events.translate(path.parent.name, Body(body), NOW * 1000))
    with ledger.read() as connection:
        failed = [one for one in jobs(connection) if one.conclusion == "failure"]
        assert len(attempts(connection)) >= 3
    assert failed
    assert all(one.steps and one.name and one.run for one in failed)


def test_a_repository_that_was_renamed_has_one_row_for_each_attempt(any_ledger: Ledger) -> None:
    run_told(any_ledger, delivered("workflow_run", run_body(1, "completed", "failure", NOW + HOUR)))
    place = {"id": 1000, "full_name": "acme/shuttle", "html_url": "https://github.com/acme/shuttle"}
    renamed = {
        "action": "renamed", "repository": {**place, "updated_at": text_of(NOW + DAY)},
        "changes": {"repository": {"name": {"from": "rocket"}}},
    }  # fmt: skip
    run_told(any_ledger, events.translate("repository", Body(renamed), NOW * 1000))
    later = {"repository": place, **run_body(2, "completed", "success", NOW + 2 * DAY)}
    run_told(any_ledger, events.translate("workflow_run", Body(later), NOW * 1000))
    with any_ledger.read() as connection:
        for name in (KEY, "github.com/acme/shuttle"):
            first, second = attempts(connection, name)
            assert first.repository == second.repository == "github.com/acme/shuttle"
            assert (first.is_last, second.is_last) == (False, True)


# --- what polling tells ------------------------------------------------------------------------------


def fill(github: FakeGitHub) -> None:
    """A green run, a red one with two red jobs, and one that failed and then passed."""
    github.add_run(1, NOW - 5 * HOUR)
    github.add_job(1, 101)
    github.add_run(2, NOW - 4 * HOUR, "failure")
    github.add_job(2, 201, "failure", log=b"2026-01-01T00:00:00.0000000Z ##[error]assert 1 == 2\n")
    github.add_job(2, 202, "timed_out", log=b"slow\n")
    github.add_job(2, 203)
    github.add_annotation(201, "assert 1 == 2")
    github.add_run(3, NOW - 3 * HOUR, "failure")
    github.add_job(3, 301, "failure", log=b"flaky\n")
    github.add_run(3, NOW - 2 * HOUR)
    github.add_job(3, 302)


def test_polling_reads_the_jobs_annotations_and_logs_of_what_failed(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    done = sync(any_ledger, client)
    assert {name: done.read[name] for name in ("job", "annotation", "log")} == {
        "job": 5,
        "annotation": 1,
        "log": 3,
    }
    assert (done.skipped, done.is_more_waiting, github.faults) == ({}, False, [])
    with any_ledger.read() as connection:
        found = {(one.run, one.number): one for one in attempts(connection, KEY)}
        by_id = {one.id: one for one in jobs(connection, KEY)}
        assert log_of(connection, by_id[201]) == stored.Log(
            "stored", "2026-01-01T00:00:00.0000000Z ##[error]assert 1 == 2\n", 52
        )
        assert log_of(connection, by_id[203]) is None
        assert [one.id for one in jobs(connection, KEY, with_log=True)] == [201, 202, 301]
        told = counts(connection, KEY)
    assert told == stored.Counts(4, 3, 0, 2, 5, 3, 3, 0, 0, 0)
    assert [(found[key].jobs_known, found[key].jobs) for key in ((1, 1), (2, 1), (3, 1), (3, 2))] == [
        (False, 0), (True, 3), (True, 1), (True, 1),
    ]  # fmt: skip
    assert by_id[201].annotations == (Annotation("failure", "assert 1 == 2", "tests/test_a.py", 7, ""),)
    assert by_id[202].annotations == ()
    github.asked.clear()
    before = table_rows(any_ledger)
    again = sync(any_ledger, client, NOW + 60)
    assert {one.status for one in github.asked} == {304}
    assert (again.read, table_rows(any_ledger)) == ({}, before)


def test_jobs_of_attempts_that_passed_are_read_last_and_only_if_wanted(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(ledger, client)
    assert "/repos/acme/rocket/actions/runs/1/attempts/1/jobs" not in asked(github, "/jobs")
    assert asked(github, "/jobs") == [  # the newest failure first, what was run again before the rest
        "/repos/acme/rocket/actions/runs/3/attempts/1/jobs",
        "/repos/acme/rocket/actions/runs/2/attempts/1/jobs",
        "/repos/acme/rocket/actions/runs/3/attempts/2/jobs",
    ]
    github.asked.clear()
    assert sync(ledger, client, reach=Reach(green=True)).read == {"job": 1}
    assert asked(github, "/jobs") == ["/repos/acme/rocket/actions/runs/1/attempts/1/jobs"]


def test_webhooks_and_polling_agree(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient, tmp_path: Path
) -> None:
    fill(github)
    sync(any_ledger, client, reach=Reach(green=True))
    other = open_ledger(str(tmp_path / "webhooks.db"))
    told = [one for run in github.runs.values() for one in run]
    for one in told:
        run_told(other, delivered("workflow_run", {"workflow_run": one}))
    for listed in github.jobs.values():
        for one in listed:
            run_told(other, delivered("workflow_job", {"workflow_job": one}))
    beside = ("jobs_state", "jobs", "tries", "annotations")

    def facts(ledger: Ledger) -> list[Any]:
        with ledger.read() as connection:
            return [
                sorted(
                    tuple(row)
                    for row in connection.execute(sa.select(*(c for c in table.c if c.name not in beside)))
                )
                for table in (ci_attempts, ci_jobs)
            ]  # fmt: skip

    assert facts(other) == facts(any_ledger)
    polled = table_rows(any_ledger)
    for one in reversed(told):  # late, after polling: what was read beyond it stays
        run_told(any_ledger, delivered("workflow_run", {"workflow_run": one}))
    assert table_rows(any_ledger) == polled
    other.close()


def test_a_failure_without_jobs_is_of_the_infrastructure_once_that_is_known(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - HOUR, "failure")
    github.add_run(2, NOW - HOUR, "startup_failure")
    run_told(ledger, delivered("workflow_run", {"workflow_run": github.runs[1][0]}))
    with ledger.read() as connection:
        assert [one.is_infrastructure for one in attempts(connection, KEY)] == [False]
    github.is_strict = False  # GitHub's document does not know startup_failure
    sync(ledger, client)
    with ledger.read() as connection:
        assert [(one.jobs_known, one.is_infrastructure) for one in attempts(connection, KEY)] == [
            (True, True)
        ] * 2


def test_a_run_that_is_under_way_is_watched_until_its_jobs_can_be_read(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.is_strict = False  # GitHub's document contradicts itself on jobs without a conclusion
    run = github.add_run(1, NOW - HOUR, None)
    job = github.add_job(1, 101, None)
    sync(ledger, client)
    assert asked(github, "/jobs") == []
    run |= {"status": "completed", "conclusion": "failure", "updated_at": text_of(NOW)}
    sync(ledger, client, NOW + 60)  # the job's end is not shown yet
    with ledger.read() as connection:
        assert [(one.conclusion, one.jobs_known) for one in attempts(connection)] == [("failure", False)]
    job |= {"status": "completed", "conclusion": "failure", "completed_at": text_of(NOW)}
    github.logs[101] = b"broken\n"
    sync(ledger, client, NOW + 120)
    with ledger.read() as connection:
        assert [(one.conclusion, one.jobs_known) for one in attempts(connection)] == [("failure", True)]
    assert logs_stored(ledger) == {101: "stored"}


def test_an_old_run_that_is_run_again_on_a_day_with_more_runs_than_are_shown_is_seen(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.is_strict = False
    day = NOW // DAY * DAY - 20 * DAY
    for number in range(1, 2401):
        github.add_run(number, day + number * 35)
    sync(ledger, client)
    github.add_run(3, NOW + HOUR, "failure")  # 20 days later, and not among the newest of its day
    sync(ledger, client, NOW + 2 * HOUR)
    with ledger.read() as connection:
        assert len(attempts(connection, runs=[3])) == 1  # a look at all days is due some times a day only
    sync(ledger, client, NOW + 7 * HOUR)
    with ledger.read() as connection:
        assert [one.conclusion for one in attempts(connection, runs=[3])] == ["success", "failure"]
        assert len(attempts(connection)) == 2401
    github.asked.clear()
    sync(ledger, client, NOW + 14 * HOUR)
    assert {one.status for one in github.asked} == {304}


def test_a_place_of_an_earlier_version_is_read_anew(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(ledger, client)
    with ledger.write() as connection:
        connection.execute(sa.delete(ci_attempts))
        from achievement_collector.ledger.entities import cursor, remember

        place = cursor(connection, f"github/{KEY}/runs")
        del place["shape"]
        remember(connection, f"github/{KEY}/runs", place, NOW)
    sync(ledger, client)
    with ledger.read() as connection:
        assert len(attempts(connection)) == 4


# --- logs --------------------------------------------------------------------------------------------


def test_the_host_of_logs_sees_no_token(github: FakeGitHub, client: GitHubClient, log_host: LogHost) -> None:
    github.logs[5] = b"text\n"
    assert job_log(client, "acme/rocket", 5).beginning == "text\n"
    (sent,) = log_host.headers
    assert not {"authorization", "cookie"} & {name.lower() for name in sent}
    assert TOKEN not in str(sent)
    log_host.status = 500
    with pytest.raises(GitHubError) as caught:
        job_log(client, "acme/rocket", 5)
    assert "SIGNATURE" not in str(caught.value)


@pytest.mark.parametrize("location", ["http://192.0.2.1/log", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_log_is_not_fetched_from_where_it_is_not_safe(
    github: FakeGitHub, client: GitHubClient, location: str
) -> None:
    github.hidden["/jobs/5/logs"] = Trouble(302, "", {"Location": location})
    with pytest.raises(GitHubError, match="not https"):
        job_log(client, "acme/rocket", 5)


def test_states_of_logs_are_told(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, log_host: LogHost
) -> None:
    github.add_run(1, NOW - DAY, "failure")
    for number in (11, 12, 13):
        github.add_job(1, number, "failure")
    github.add_run(2, NOW - 60, "failure")
    github.add_job(2, 21, "failure")
    github.hidden["/jobs/11/logs"] = Trouble(410, {"message": "Gone"})
    github.hidden["/jobs/13/logs"] = Trouble(403, {"message": "Must have admin rights to Repository."})
    done = sync(ledger, client)
    assert "admin rights" in done.skipped["logs"]
    assert logs_stored(ledger) == {13: "refused"}  # the newest first; nothing more is asked for then
    del github.hidden["/jobs/13/logs"]
    github.logs[13] = b"thirteen\n"
    sync(ledger, client, NOW + HOUR)
    # gone is 410, and 404 long after its end; a log that was refused is asked for again a day later
    assert logs_stored(ledger) == {11: "gone", 12: "gone", 13: "refused", 21: "gone"}
    assert sync(ledger, client, NOW + HOUR + DAY).read == {"log": 1}
    assert logs_stored(ledger)[13] == "stored"


def test_a_log_that_may_not_be_written_yet_is_asked_for_later(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - 60, "failure")
    github.add_job(1, 11, "failure")
    sync(ledger, client)
    assert logs_stored(ledger) == {}
    github.logs[11] = b"late\n"
    sync(ledger, client, NOW + 60)
    assert logs_stored(ledger) == {11: "stored"}


def test_logs_of_green_jobs_are_read_to_compare_them(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    """Of a job that failed, the newest three; of jobs that never failed, and of the distant past, none."""
    for run in range(1, 7):
        at = NOW - (60 - run) * DAY if run == 1 else NOW - (20 - run) * DAY
        github.add_run(run, at, "failure")
        github.add_job(run, 10 * run, "failure", log=b"red\n", name="red")
        github.add_job(
            run, 10 * run + 1, "failure" if run == 4 else "success", log=b"some\n", name="sometimes"
        )
        github.add_job(run, 10 * run + 2, "success", log=b"never\n", name="never")
    sync(any_ledger, client)
    known = logs_stored(any_ledger).keys()
    assert known == {10, 20, 30, 40, 50, 60, 41} | {61, 51, 31}
    github.add_run(7, NOW - HOUR, "failure")
    github.add_job(7, 71, "success", log=b"some\n", name="sometimes")
    sync(any_ledger, client, NOW + DAY)
    assert logs_stored(any_ledger).keys() == known  # three are enough


def test_how_far_the_list_of_runs_was_read_is_known(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - DAY)
    sync(any_ledger, client)
    with any_ledger.read() as connection:
        assert stored.collected(connection, KEY) == ((NOW - DAY) * 1000, NOW * 1000)
        assert stored.collected(connection, "github.com/acme/other") == (None, None)
    sync(any_ledger, client, NOW + 2 * HOUR)
    with any_ledger.read() as connection:
        assert stored.collected(connection, KEY).end == (NOW + 2 * HOUR) * 1000


def test_trouble_of_the_log_host_is_not_the_end_of_all(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, log_host: LogHost
) -> None:
    github.add_run(1, NOW - DAY, "failure")
    for number in (11, 12):
        github.add_job(1, number, "failure", log=b"x\n")
    log_host.status = 403  # an expired link, say
    assert sync(ledger, client).skipped == {}
    assert logs_stored(ledger) == {11: "failed", 12: "failed"}
    log_host.status = 200
    sync(ledger, client, NOW + DAY + HOUR)
    assert set(logs_stored(ledger).values()) == {"stored"}


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_host_that_gives_no_logs_ends_the_reading_of_logs_alone(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, log_host: LogHost, status: int
) -> None:
    """After three failures in a row the whole synchronisation ended with an error."""
    for run in range(1, 8):
        github.add_run(run, NOW - run * HOUR, "failure")
        github.add_job(run, 10 + run, "failure", log=b"x\n")
    log_host.status = status
    done = sync(ledger, client)
    assert f"(HTTP {status}); try again later; after 3 failures in a row" in done.skipped["logs"]
    assert (done.stopped, len(log_host.headers)) == ("", 3)
    with ledger.read() as connection:
        told = counts(connection)
    assert (told.jobs, told.jobs_waiting, told.logs_waiting) == (7, 0, 7)
    log_host.status = 200
    assert sync(ledger, client, NOW + MINUTE).skipped == {}
    assert list(logs_stored(ledger).values()).count("stored") == 4  # the others are asked for a day later
    sync(ledger, client, NOW + DAY + HOUR)
    assert set(logs_stored(ledger).values()) == {"stored"}


def test_a_log_that_leads_nowhere_safe_is_one_log_that_failed(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - DAY, "failure")
    github.add_job(1, 11, "failure", log=b"x\n")
    github.add_job(1, 12, "failure")
    github.hidden["/jobs/12/logs"] = Trouble(302, "", {"Location": "http://192.0.2.1/log"})
    assert sync(ledger, client).skipped == {}
    assert logs_stored(ledger) == {11: "stored", 12: "failed"}


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def test_a_long_log_keeps_whole_lines_of_both_ends_and_says_what_is_missing() -> None:
    lines = [f"line {number:05}\n".encode() for number in range(10_000)]
    data = b"".join(lines)
    log = kept(pieces(data, 777), head=1000, tail=3000)
    assert log.size == len(data)
    assert log.beginning == b"".join(lines[:90]).decode()
    assert log.end == b"".join(lines[-272:]).decode()
    assert log.cut == len(data) - len(log.beginning) - len(log.end)
    text = log_to_store(log).text
    assert text == f"{log.beginning}[{log.cut:,} bytes of this log were left out here]\n{log.end}"


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3999, 4000])
def test_a_log_that_fits_is_kept_as_it_is(size: int) -> None:
    data = bytes(random.Random(size).choices(b"ab\n", k=size))
    for step in (1, 64, 5000):
        log = kept(pieces(data, step), head=1000, tail=3000)
        assert (log.beginning, log.end, log.size, log.cut) == (data.decode(), "", size, 0)


def test_a_log_without_an_end_is_not_read_for_ever() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"again and again\n" * 64

    log = kept(endless(), head=1000, tail=3000, most=100_000)
    assert log.is_too_large
    assert log.end == ""
    assert log_to_store(log).state == "too_large"
    assert "was not read" in log_to_store(log).text


def test_bytes_that_are_no_text_and_a_mark_at_the_beginning_do_no_harm() -> None:
    assert kept([b"\xef\xbb\xbfab\xff\x00\n"]).beginning == "ab�\x00\n"


def test_secrets_in_logs_and_annotations_are_not_stored(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    token = "ghp_" + "a1B2" * 9
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nq0Y8\n-----END RSA PRIVATE KEY-----\n"
    text = f"push to https://bot:hunter2@git.example/x failed with {token}\n{key}fine\n"
    github.add_run(1, NOW - DAY, "failure")
    github.add_job(1, 11, "failure", log=text.encode())
    github.add_annotation(11, f"bad credentials {token}")
    sync(ledger, client)
    with ledger.read() as connection:
        (one,) = jobs(connection)
        log = log_of(connection, one)
        stored_bytes = b"".join(row.body for row in connection.execute(sa.select(ci_logs.c.body)))
    assert log is not None
    for secret in (token, "hunter2", "MIIEow", "q0Y8"):
        assert secret not in log.text
        assert secret.encode() not in stored_bytes
    assert log.masked >= 3
    assert log.text.endswith("fine\n")
    assert token not in one.annotations[0].message


def test_a_key_whose_beginning_was_left_out_is_masked() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo\n" * 40
    data = f"start\n{'x' * 80}\n{key}-----END RSA PRIVATE KEY-----\nthe error\n".encode()
    log = log_to_store(kept(pieces(data), head=50, tail=300))
    assert log.cut > 0
    assert "QUJD" not in log.text
    assert log.text.endswith("the error\n")


def test_what_is_no_secret_is_left_as_it_is() -> None:
    text = "2026-01-01T00:00:00.1234567Z collected 12 items in src/keys.py at " + "a" * 40 + " *** \n"
    assert mask_log(text) == (text, 0)


# --- budgets and stops -------------------------------------------------------------------------------


def many(github: FakeGitHub, count: int = 30) -> None:
    for number in range(1, count + 1):
        github.add_run(number, NOW - DAY - number * 60, "failure")
        github.add_job(number, number * 10, "failure", log=f"log {number}\n".encode())
        github.add_job(number, number * 10 + 1)


def whole(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        found = jobs(connection, KEY)
        return [attempts(connection, KEY), found, [log_of(connection, one) for one in found]]


def test_a_budget_is_kept_and_the_next_time_goes_on(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient, tmp_path: Path
) -> None:
    many(github, 24)
    every = open_ledger(str(tmp_path / "every.db"))
    assert not sync(every, client).is_more_waiting
    rounds = 0
    while True:
        github.asked.clear()
        done = sync(any_ledger, client, reach=Reach(requests=13))
        details = [one for one in github.asked if one.path.endswith(("/jobs", "/logs", "/annotations"))]
        assert len(details) <= 13
        rounds += 1
        if not done.is_more_waiting:
            break
        with any_ledger.read() as connection:
            assert counts(connection).jobs_waiting + counts(connection).logs_waiting > 0 or rounds > 10
    assert rounds >= 72 // 13
    assert whole(any_ledger) == whole(every)
    every.close()


def test_a_stop_at_any_moment_loses_nothing(github: FakeGitHub, client: GitHubClient, tmp_path: Path) -> None:
    many(github, 22)
    every = open_ledger(str(tmp_path / "every.db"))
    sync(every, client)
    wanted = whole(every)

    class Stopped(Exception):  # noqa: N818
        pass

    for stop in (1, 20, 21, 47, 66):
        other, left = open_ledger(str(tmp_path / f"{stop}.db")), [stop]

        def progress(stage: str, *_: Any, left: list[int] = left) -> None:
            left[0] -= stage in ("jobs", "annotations", "logs")
            if not left[0]:
                raise Stopped

        with pytest.raises(Stopped):
            sync(other, client, progress=progress)
        sync(other, client)
        assert whole(other) == wanted, f"after a stop at {stop}"
        other.close()
    every.close()


def test_an_exhausted_limit_ends_it_early_and_it_goes_on(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    many(github)
    sync(ledger, client, reach=Reach(requests=0))
    github.hidden["/annotations"] = Trouble(429, {"message": "slow down"}, {"Retry-After": "3000"})
    assert "secondary limit" in sync(ledger, client).stopped
    with pytest.raises(BudgetExhausted):
        collect_details(ledger, client, "acme/rocket", KEY, NOW * 1000)
    github.hidden.clear()
    assert not sync(ledger, client).stopped
    assert set(logs_stored(ledger).values()) == {"stored"}
    assert len(logs_stored(ledger)) == 30


def test_one_attempt_that_github_cannot_show_does_not_hold_up_the_others(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    many(github)
    github.hidden["/runs/5/attempts/1/jobs"] = Trouble(502, {"message": "Server Error"})
    github.hidden["/runs/6/attempts/1/jobs"] = Trouble(404, {"message": "Not Found"})
    for _ in range(7):
        sync(ledger, client)
    with ledger.read() as connection:
        found = attempts(connection, KEY)
    assert {one.run for one in found if not one.jobs_known} == {5, 6}
    assert len(asked(github, "/runs/5/attempts/1/jobs")) == 4 * stored.MOST_TRIES  # not for ever
    assert len(asked(github, "/runs/6/attempts/1/jobs")) == 1


def test_a_list_of_jobs_of_several_pages_is_read_whole(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - DAY, "failure")
    for number in range(250):
        github.add_job(1, 1000 + number)
    sync(ledger, client)
    with ledger.read() as connection:
        (one,) = attempts(connection)
        assert len(jobs(connection, runs=[1])) == one.jobs == 250


@pytest.mark.timeout(120)
def test_no_run_of_many_thousand_is_missing(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.is_strict = False
    place = random.Random(7)
    moments = sorted(place.randrange(NOW - 90 * DAY, NOW - 31 * DAY) for _ in range(4000))
    moments += [
        NOW - 50 * DAY + place.randrange(40) for _ in range(4000)
    ]  # far more than a search shows, in 40 s
    plain = github.add_run(1, moments[0])
    for number, at in enumerate(moments, 1):
        told = {
            "id": number,
            "head_sha": f"{number:040x}",
            "created_at": text_of(at),
            "run_started_at": text_of(at),
        }
        github.runs[number] = [{**plain, **told, "updated_at": text_of(at + 30)}]
    done = sync(any_ledger, client)
    assert (done.stopped, done.skipped) == ("", {})
    with any_ledger.read() as connection:
        found = attempts(connection, KEY)
        assert counts(connection, KEY).attempts == 8000
    assert {one.run for one in found} == set(range(1, 8001))


# --- tests -------------------------------------------------------------------------------------------


def case(name: str, outcome: str, seconds: float | None = None) -> TestCase:
    return TestCase(name, outcome, seconds, "")


def test_outcomes_of_tests_that_ever_failed_are_told_with_their_passes(any_ledger: Ledger) -> None:
    green = [case(f"t::{number}", "passed") for number in range(900)]
    first = [*green, case("t::odd", "failed", 1.5), case("t::out", "skipped")]
    with any_ledger.write() as connection:
        assert add_test_report(connection, KEY, "a" * 40, "unit", "main", 1000, first)
        assert not add_test_report(connection, KEY, "a" * 40, "unit", "main", 2000, reversed(first))
        assert add_test_report(
            connection, KEY, "a" * 40, "unit", "main", 3000, [*green, case("t::odd", "passed", 1.0)]
        )
        assert not add_test_report(connection, KEY, "b" * 40, "unit", "main", 3000, [])
    with any_ledger.read() as connection:
        found = outcomes_of_tests(connection, KEY)
        assert [(one.identity, one.outcome, one.at, one.seconds) for one in found] == [
            ("t::odd", "failed", 1000, 1.5), ("t::odd", "passed", 3000, None),
        ]  # fmt: skip
        assert {(one.sha, one.report, one.branch) for one in found} == {("a" * 40, "unit", "main")}
        assert len(outcomes_of_tests(connection, KEY, everything=True)) == 902 + 901
        assert outcomes_of_tests(connection, KEY, 2000) == []  # in that time it did not fail
        assert outcomes_of_tests(connection, KEY, branch="other") == []


def test_retries_inside_of_a_report_are_flaky(ledger: Ledger) -> None:
    report = parse_junit(
        b'<testsuite name="s"><testcase classname="c" name="a"><failure/></testcase>'
        b'<testcase classname="c" name="a"/><testcase classname="c" name="b"/></testsuite>',
        "r.xml",
    )
    with ledger.write() as connection:
        add_test_report(connection, KEY, "a" * 40, "unit", "", 1000, report.cases)
    with ledger.read() as connection:
        assert [(one.identity, one.outcome) for one in outcomes_of_tests(connection, KEY)] == [
            ("s::c::a", "flaky")
        ]


def test_a_report_of_any_size_keeps_what_did_not_pass(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("achievement_collector.ledger.ci_tests.MOST_CASES", 10)
    cases = [case(f"p{number}", "passed") for number in range(50)]
    cases += [case("f" * 5000, "failed"), case("e", "error")]
    with ledger.write() as connection:
        add_test_report(connection, KEY, "a" * 40, "unit", "", 1000, cases)
    with ledger.read() as connection:
        found = outcomes_of_tests(connection, KEY, everything=True)
    assert len(found) == 10
    assert {one.outcome for one in found} == {"failed", "error", "passed"}
    assert max(len(one.identity) for one in found) <= 450


# --- what a user sees --------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(ledger: Ledger, github: FakeGitHub, client: GitHubClient) -> None:
    fill(github)
    sync(ledger, client)
    page = list_runs(ledger, repository="rocket", limit=2)
    assert [(one.run, one.number) for one in page.attempts] == [(3, 2), (3, 1)]
    assert page.counts.attempts == 4
    assert [one.run for one in list_runs(ledger, only_red=True).attempts] == [3, 2]
    assert list_runs(ledger, branch="none").attempts == []
    assert run_data(page.attempts[0])["started"] == "2026-05-28T18:26:40Z"
    assert run_data(list_runs(ledger).attempts[-1])["jobs"] is None  # they were not read
    with pytest.raises(NotFoundError, match="no run of CI"):
        list_runs(ledger, repository="acme/other")


def test_a_job_is_found_by_id_key_and_address(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(ledger, client)
    for name in ("201", f"{KEY}/job/201", f"https://{KEY}/actions/runs/2/job/201"):
        found, log = job_and_log(ledger, name)
        assert (found.id, log and log.state) == (201, "stored")
    for name in ("999", "unit", "", "9" * 30):
        with pytest.raises(NotFoundError, match="no job"):
            job_and_log(ledger, name)


@pytest.fixture
def program(ledger: Ledger, github: FakeGitHub, client: GitHubClient) -> Callable[..., Any]:
    from achievement_collector.cli import ci_runs

    fill(github)
    github.logs[202] = b"\x1b[31mred\x1b[0m \xe2\x80\xae token\n"
    sync(ledger, client)
    app = typer.Typer()
    ci_runs.add_to(app)
    return lambda *arguments: CliRunner().invoke(
        app, [*arguments, "--db", ledger.name], env={"COLUMNS": "160"}
    )


def test_the_commands_show_runs_and_logs(program: Callable[..., Any]) -> None:
    shown = program("runs", "--repo", "acme/rocket").output
    assert "failure" in shown
    assert "3 attempt 1, run again" in shown
    assert "stored: 4 attempts of 3 runs (2 failed, 0 not ended), 5 jobs, 3 logs of 3 failed jobs" in shown
    told = json.loads(program("runs", "--red", "--limit", "1", "--json").output)
    assert [one["key"] for one in told["attempts"]] == [f"{KEY}/run/3/1"]
    assert told["stored"]["logs"] == 3
    assert program("log", "201").output == "2026-01-01T00:00:00.0000000Z ##[error]assert 1 == 2\n"
    assert program("log", "202").output == "[31mred[0m  token\n"  # nothing that a terminal obeys
    assert "only logs of failed jobs are kept" in str(program("log", "203").exception)


def test_a_deployment_says_whether_it_is_production() -> None:
    body = {
        "deployment": {
            "id": 5,
            "environment": "eu-1",
            "production_environment": True,
            "created_at": text_of(NOW),
        }
    }
    seen = next(one for one in delivered("deployment", body) if one.kind is Kind.DEPLOYMENT)
    assert seen.fields["is_production"] is True
