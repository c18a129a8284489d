"""Reading a repository from GitHub, against a loopback GitHub whose answers fit GitHub's own description."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger.ci_runs import attempts, jobs
from achievement_collector.ledger.ci_tables import ci_attempts, ci_jobs
from achievement_collector.ledger.entities import cursor, cursors_like, thing, things
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.ledger.tables import cursors, entities
from achievement_collector.ledger.work import names_of
from achievement_collector.services.github_sync import Synced, sync_repository, web_host
from achievement_collector.sources.github import listing
from achievement_collector.sources.github.client import (
    BudgetExhausted,
    GitHubAccessError,
    GitHubClient,
    GitHubError,
)
from achievement_collector.sources.github.reading import Reading
from achievement_collector.sources.github.runs import workflow_runs
from tests.fakes.github import TOKEN, Asked, FakeGitHub, Trouble, recorded, serve, text_of

NOW = 1_780_000_000  # seconds
HOUR, DAY = 3600, 86_400
KEY = "github.com/acme/rocket"
OURS = "https://collector.example/webhooks/github"


class Clock:
    """Time that passes only by being slept through."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def github(clock: Clock) -> Iterator[FakeGitHub]:
    with serve(FakeGitHub(clock)) as fake:
        yield fake


@pytest.fixture
def client(github: FakeGitHub, clock: Clock) -> Iterator[GitHubClient]:
    with GitHubClient(github.url, TOKEN, sleep=clock.sleep, clock=clock) as opened:
        yield opened


def sync(ledger: Ledger, client: GitHubClient, name: str = "acme/rocket", **options: Any) -> Synced:
    return sync_repository(ledger, client, name, NOW * 1000, host="github.com", **options)


def fill(github: FakeGitHub) -> None:
    """A bit of everything."""
    github.add_pull(1, NOW - 9 * HOUR, merged=True)
    github.add_review(1, NOW - 8 * HOUR)
    github.add_review(1, NOW - 7 * HOUR, "CHANGES_REQUESTED", "linus")
    github.add_pull(2, NOW - 6 * HOUR)
    github.add_pull(3, NOW - 5 * HOUR, closed_at=text_of(NOW - 5 * HOUR), state="closed")
    github.add_issue(4, NOW - 4 * HOUR)
    github.add_release("v1", NOW - 3 * HOUR)
    github.add_milestone(1, "Launch", NOW - 2 * HOUR)
    github.add_deployment(5, NOW - 2 * HOUR, "in_progress", "success")
    github.add_deployment(6, NOW - HOUR, "in_progress")
    github.add_run(71, NOW - 2 * HOUR)
    github.add_run(72, NOW - HOUR, "failure")
    github.add_run(72, NOW - HOUR + 60)
    github.add_run(73, NOW - 60, None)
    github.add_hook(8, OURS)
    github.add_delivery(8, "fine", NOW - HOUR, 200)


def rows(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return [
            sorted(map(tuple, connection.execute(sa.select(table.columns))))
            for table in (entities, cursors, ci_attempts, ci_jobs)
        ]


def told(ledger: Ledger) -> list[Any]:
    """What the ledger holds, without the rows' numbers."""
    with ledger.read() as connection:
        columns = (entities.c.kind, entities.c.key, entities.c.scope, entities.c.registers)
        return [
            sorted(map(tuple, connection.execute(sa.select(*columns)))),
            dict(sorted(cursors_like(connection, "").items())),
            attempts(connection),
            jobs(connection),
        ]


def known(ledger: Ledger, kind: Kind, key: str) -> dict[str, Any]:
    with ledger.read() as connection:
        found = thing(connection, kind, key)
    assert found is not None
    return found.fields


def keys(ledger: Ledger, kind: Kind) -> set[str]:
    with ledger.read() as connection:
        return {one.key.removeprefix(KEY) for one in things(connection, kind)}


def place(ledger: Ledger, name: str) -> Any:
    with ledger.read() as connection:
        return cursor(connection, f"github/{KEY}/{name}")


def _query(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.target).query).items()}


# --- what is read ------------------------------------------------------------------------------------


def test_the_first_run_takes_in_everything(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    stages: list[str] = []
    done = sync(any_ledger, client, progress=lambda stage, _done, _total: stages.append(stage))
    assert done.repository == KEY
    assert done.read == done.changed == {
        "repository": 1, "pull_request": 3, "review": 2, "issue": 1, "release": 1, "milestone": 1, "deployment": 2, "check": 4,
    }  # fmt: skip
    assert (done.stopped, done.skipped, done.redelivered, done.not_modified) == ("", {}, 0, 0)
    assert done.remaining == github.remaining
    assert done.requests == len(github.asked)
    lists = {"pulls", "issues", "releases", "milestones", "deployments", "runs", "deliveries"}
    assert set(stages) == {*lists, "jobs"}
    merged = known(any_ledger, Kind.PULL_REQUEST, f"{KEY}#1")
    assert (merged["additions"], merged["deletions"], merged["files"], merged["commits"]) == (10, 1, 2, 1)
    assert merged["merged"] == (NOW - 9 * HOUR) * 1000
    assert keys(any_ledger, Kind.ISSUE) == {"#4"}
    assert keys(any_ledger, Kind.CHECK) == {"/run/71/1", "/run/72/1", "/run/72/2", "/run/73/1"}
    assert known(any_ledger, Kind.CHECK, f"{KEY}/run/72/1")["conclusion"] == "failure"
    assert known(any_ledger, Kind.DEPLOYMENT, f"{KEY}/deployment/5")["state"] == "success"
    assert known(any_ledger, Kind.RELEASE, f"{KEY}/release/30000")["tag"] == "v1"


def test_a_pull_request_that_was_closed_without_a_merge_is_not_asked_for_its_counts(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(ledger, client)
    assert "/repos/acme/rocket/pulls/2" in {one.path for one in github.asked}
    assert "/repos/acme/rocket/pulls/3" not in {one.path for one in github.asked}
    assert "additions" not in known(ledger, Kind.PULL_REQUEST, f"{KEY}#3")


def test_a_second_run_is_answered_with_304_and_writes_nothing(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    for number in range(100, 350):
        github.add_run(number, NOW - 3 * DAY - number)
    sync(any_ledger, client)
    before, left = rows(any_ledger), github.remaining
    github.asked.clear()
    done = sync_repository(any_ledger, client, "acme/rocket", NOW * 1000 + 60_000, host="github.com")
    assert {one.status for one in github.asked} == {304}
    assert all(one.is_conditional for one in github.asked)
    assert (done.read, done.changed) == ({}, {})
    assert done.requests == done.not_modified == len(github.asked)
    assert github.remaining == left
    assert rows(any_ledger) == before


def test_only_what_is_new_is_read_afterwards(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(ledger, client)
    github.add_review(2, NOW - 30, "COMMENTED")
    github.add_issue(9, NOW - 20)
    github.releases[0] |= {"name": "The first one", "updated_at": text_of(NOW - 10)}
    github.asked.clear()
    done = sync(ledger, client)
    assert done.changed == {"review": 1, "issue": 1, "release": 1}
    assert not any(one.path.endswith("/pulls/1") for one in github.asked)


def test_a_change_on_a_later_page_is_seen(ledger: Ledger, github: FakeGitHub, client: GitHubClient) -> None:
    for number in range(150):
        github.add_release(f"v{number}", NOW - DAY + number)
    sync(ledger, client)
    github.releases[-1] |= {"name": "The first one", "updated_at": text_of(NOW)}
    github.asked.clear()
    assert sync(ledger, client).changed == {"release": 1}
    assert [one.status for one in github.asked if one.path.endswith("/releases")] == [304, 200]


def test_a_submitted_review_is_told_and_a_draft_is_not(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_pull(1, NOW - HOUR)
    github.add_review(1, NOW - 60)
    github.add_review(1, NOW - 50, "PENDING")
    del github.reviews[1][1]["submitted_at"]
    sync(ledger, client)
    assert keys(ledger, Kind.REVIEW) == {"#1/review/1000"}


@pytest.mark.parametrize("is_inclusive", [True, False])
def test_issues_that_share_a_second_are_all_read(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, is_inclusive: bool
) -> None:
    github.since_is_inclusive = is_inclusive
    for number in range(1, 431):
        github.add_issue(number, NOW - DAY + (number // 250) * 60)
    sync(ledger, client)
    assert len(keys(ledger, Kind.ISSUE)) == 430
    github.add_issue(431, NOW - 60)
    assert sync(ledger, client).changed == {"issue": 1}


def test_since_leaves_out_what_was_before_until_an_earlier_one_is_asked_for(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    for number, days in ((1, 30), (2, 20), (3, 1)):
        github.add_pull(number, NOW - days * DAY, merged=True)
        github.add_issue(number + 10, NOW - days * DAY)
        github.add_run(number, NOW - days * DAY)
        github.add_deployment(number, NOW - days * DAY, "success")
    for days, numbers in ((5, {3}), (25, {2, 3}), (5, {2, 3})):
        sync(ledger, client, since=(NOW - days * DAY) * 1000)
        assert keys(ledger, Kind.PULL_REQUEST) == {f"#{number}" for number in numbers}
        assert keys(ledger, Kind.ISSUE) == {f"#{number + 10}" for number in numbers}
        assert keys(ledger, Kind.CHECK) == {f"/run/{number}/1" for number in numbers}
        assert keys(ledger, Kind.DEPLOYMENT) == {f"/deployment/{number}" for number in numbers}
    sync(ledger, client)
    assert keys(ledger, Kind.PULL_REQUEST) == {"#1", "#2", "#3"}


def test_a_deployment_is_asked_about_until_it_ends(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_deployment(1, NOW - 2 * HOUR, "in_progress")
    github.add_deployment(2, NOW - HOUR, "success")
    sync(ledger, client)
    github.add_status(1, NOW - 60, "failure")
    assert sync(ledger, client).changed == {"deployment": 1}
    assert known(ledger, Kind.DEPLOYMENT, f"{KEY}/deployment/1")["state"] == "failure"
    assert known(ledger, Kind.DEPLOYMENT, f"{KEY}/deployment/1")["finished"] == (NOW - 60) * 1000
    github.asked.clear()
    sync(ledger, client)
    assert not any(one.path.endswith("/statuses") for one in github.asked)


# --- workflow runs -----------------------------------------------------------------------------------


def test_more_runs_than_github_shows_are_read_in_windows_that_do_not_overlap(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    for number in range(2500):
        github.add_run(number + 1, NOW - 60 * DAY + number * 11 + (number % 3))
    sync(ledger, client)
    assert keys(ledger, Kind.CHECK) == {f"/run/{number + 1}/1" for number in range(2500)}
    windows = [
        query["created"]
        for one in github.asked
        for query in [_query(one)]
        if one.path.endswith("/runs") and ".." in query["created"] and query["page"] != "1"
    ]
    read = sorted({tuple(one.split("..")) for one in windows})
    assert len(read) >= 3
    assert all(first <= last for first, last in read)
    assert all(one[1] < other[0] for one, other in pairwise(read))


def test_a_second_that_holds_too_many_runs_is_refused_and_nothing_behind_it_taken_for_known(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    full = NOW - 10 * DAY
    github.add_run(1, full - DAY)
    for number in range(1100):
        github.add_run(1000 + number, full)
    for number in range(200):
        github.add_run(5000 + number, full + DAY + number)
    done = sync(ledger, client)
    assert text_of(full) in done.skipped["runs"]
    assert "webhooks" in done.skipped["runs"]
    assert place(ledger, "runs")["from"] <= full
    assert "/run/1/1" in keys(ledger, Kind.CHECK)
    assert place(ledger, "deliveries") is not None  # it does not hold up what comes after
    assert set(sync(ledger, client).skipped) == {"runs"}


def test_a_search_that_github_refuses_as_too_large_is_halved(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    for number in range(300):
        github.add_run(number + 1, NOW - 50 * DAY + number * HOUR)
    answer = github.answer

    def refuse_long_ones(asked: Asked) -> Trouble:
        created = _query(asked).get("created", "")
        first, _, last = created.partition("..")
        if first[:8] != last[:8] and (last or first[2:10] < text_of(NOW - DAY)[:8]):
            return Trouble(422, {"message": "too many results"})
        return answer(asked)

    github.answer = refuse_long_ones  # type: ignore[method-assign]
    sync(ledger, client)
    assert len(keys(ledger, Kind.CHECK)) == 300


def test_a_run_is_asked_about_until_it_ends(ledger: Ledger, github: FakeGitHub, client: GitHubClient) -> None:
    slow = github.add_run(1, NOW - 30 * DAY, None)
    for number in range(2, 300):
        github.add_run(number, NOW - 20 * DAY + number)
    sync(ledger, client)
    assert place(ledger, "runs")["unfinished"].keys() == {"1"}
    slow |= {"status": "completed", "conclusion": "cancelled", "updated_at": text_of(NOW - 30)}
    assert sync(ledger, client).changed == {"check": 1}
    assert known(ledger, Kind.CHECK, f"{KEY}/run/1/1")["conclusion"] == "cancelled"
    assert place(ledger, "runs")["unfinished"] == {}


def test_a_run_that_was_deleted_is_not_asked_about_any_more(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - HOUR, None)
    sync(ledger, client)
    github.runs.clear()
    sync(ledger, client)
    assert place(ledger, "runs")["unfinished"] == {}


def test_an_old_run_that_was_run_again_is_seen_with_all_its_attempts(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_run(1, NOW - 3 * DAY, "failure")
    for number in range(2, 300):
        github.add_run(number, NOW - 2 * DAY + number)
    sync(ledger, client)
    assert place(ledger, "runs")["from"] > NOW - 3 * DAY + 60
    github.add_run(1, NOW - 90, "failure")
    github.add_run(1, NOW - 60)
    assert sync(ledger, client).changed == {"check": 2}
    assert known(ledger, Kind.CHECK, f"{KEY}/run/1/1")["conclusion"] == "failure"
    assert known(ledger, Kind.CHECK, f"{KEY}/run/1/3")["conclusion"] == "success"


# --- stopping and going on ---------------------------------------------------------------------------


class Stopped(Exception):  # noqa: N818
    pass


def test_a_stop_at_any_step_is_made_good_by_the_next_run(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, tmp_path: Any
) -> None:
    fill(github)
    github.remaining = 10**6
    for number in range(20, 140):
        github.add_pull(number, NOW - 20 * DAY - number, closed_at=text_of(NOW), state="closed")
        github.add_issue(number + 1000, NOW - 20 * DAY - number)
    counts = {"progress": 0, "on_changed": 0}

    def count(name: str) -> Callable[..., None]:
        def callback(*_: Any) -> None:
            counts[name] += 1

        return callback

    sync(ledger, client, **{name: count(name) for name in counts})
    wanted = told(ledger)
    for name, total in counts.items():
        for stop in (2, 60, 104, *range(total - 12, total + 1, 3)):
            other, left = open_ledger(str(tmp_path / f"{name}-{stop}.db")), [stop]

            def callback(*_: Any, left: list[int] = left) -> None:
                left[0] -= 1
                if not left[0]:
                    raise Stopped

            with pytest.raises(Stopped):
                sync(other, client, **{name: callback})
            sync(other, client)
            assert told(other) == wanted, f"after a stop in {name}, step {stop} of {total}"
            other.close()


_PROGRAM = """
import sys
from achievement_collector.ledger.store import open_ledger
from achievement_collector.services.github_sync import sync_repository
from achievement_collector.sources.github.client import GitHubClient
print(flush=True)
sync_repository(open_ledger(sys.argv[1]), GitHubClient(sys.argv[2], sys.argv[3]), "acme/rocket", int(sys.argv[4]), host="github.com")
"""


def test_a_kill_loses_nothing(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient, tmp_path: Any
) -> None:
    github.clock = lambda: float(NOW)
    fill(github)
    for number in range(20, 60):
        github.add_pull(number, NOW - 20 * DAY - number)
    points, child = ["/pulls/40/reviews", "/releases"], list[subprocess.Popen[bytes]]()

    def kill(asked: Asked) -> None:
        if points and asked.path.endswith(points[0]):
            points.pop(0)
            child.pop().kill()

    github.before = kill
    while points:
        url = any_ledger.url.render_as_string(hide_password=False)
        arguments = [sys.executable, "-c", _PROGRAM, url, github.url, TOKEN, str(NOW * 1000)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=dict(os.environ))
        child.append(process)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    assert place(any_ledger, "pulls")["since"] == (NOW - 5 * HOUR) * 1000
    sync(any_ledger, client)
    fresh = open_ledger(str(tmp_path / "fresh.db"))
    sync(fresh, client)
    assert told(any_ledger) == told(fresh)
    fresh.close()


def test_the_mark_moves_only_when_a_reading_has_come_down_to_it(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.add_pull(1, NOW - 30 * DAY)
    sync(any_ledger, client)
    mark = place(any_ledger, "pulls")["since"]
    for number in range(2, 302):
        github.add_pull(number, NOW - 10 * DAY - number * 60)
    github.remaining = 620 - 300  # not enough for three pages
    done = sync(any_ledger, client)
    assert "limit" in done.stopped
    assert done.resumes == (github.reset + 1) * 1000
    assert place(any_ledger, "pulls")["since"] == mark
    reached = place(any_ledger, "pulls")["midway"]["reached"]
    read = keys(any_ledger, Kind.PULL_REQUEST)
    assert 50 < len(read) < 290
    # in the meantime one that was read, one that was not, and a new one move to the front
    github.add_pull(2, NOW - 90, title="changed")
    github.add_pull(301, NOW - 80, title="changed")
    github.add_pull(400, NOW - 70)
    clock.now = github.reset + 1
    github.asked.clear()
    assert sync(any_ledger, client).stopped == ""
    assert keys(any_ledger, Kind.PULL_REQUEST) == {f"#{number}" for number in (*range(1, 302), 400)}
    for number in (2, 301):
        assert known(any_ledger, Kind.PULL_REQUEST, f"{KEY}#{number}")["title"] == "changed"
    assert place(any_ledger, "pulls")["since"] == (NOW - 70) * 1000
    assert "midway" not in place(any_ledger, "pulls")
    details = [one.path for one in github.asked if one.path.rpartition("/")[2].isdigit()]
    newer = [number for number in range(3, 301) if (NOW - 10 * DAY - number * 60) * 1000 > reached]
    assert not {f"/repos/acme/rocket/pulls/{number}" for number in newer} & set(details)


def test_a_reading_goes_on_where_pull_requests_vanished_in_between(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    for number in range(1, 251):
        github.add_pull(number, NOW - 10 * DAY - number * 60)
    github.remaining = 100 + 2 * 150 + 3
    assert sync(ledger, client).stopped
    assert place(ledger, "pulls")["midway"]["page"] == 2
    for number in range(1, 150):
        del github.pulls[number]
    clock.now = github.reset + 1
    sync(ledger, client)
    assert len(keys(ledger, Kind.PULL_REQUEST)) == 250


def test_the_smallest_budget_comes_forward_even_within_one_second(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    for number in range(1, 61):
        github.add_pull(number, NOW - 10 * DAY)
    github.limit = github.remaining = 20
    for _ in range(30):
        if not sync(ledger, client).stopped:
            break
        clock.now = github.reset + 1
    assert len(keys(ledger, Kind.PULL_REQUEST)) == 60
    assert place(ledger, "deliveries") is not None


# --- limits and trouble ------------------------------------------------------------------------------


def test_a_primary_limit_that_ends_soon_is_waited_for(
    github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.remaining, github.reset = 0, NOW + 600
    assert client.get("/repos/acme/rocket").status == 200
    assert clock.slept == [601]


def test_what_is_left_of_a_limit_is_kept_for_others(github: FakeGitHub, clock: Clock) -> None:
    with GitHubClient(github.url, TOKEN, budget_reserve=50, sleep=clock.sleep, clock=clock) as client:
        github.remaining = 53
        for _ in range(3):
            client.get("/repos/acme/rocket")
        with pytest.raises(BudgetExhausted, match="2026") as caught:
            client.get("/repos/acme/rocket")
    assert github.remaining == 50
    assert caught.value.reset == (github.reset + 1) * 1000
    assert clock.slept == []


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_for_as_long_as_it_says(
    github: FakeGitHub, client: GitHubClient, clock: Clock, status: int
) -> None:
    github.troubles += [Trouble(status, {"message": "slow down"}, {"Retry-After": "7"})] * 2
    assert client.get("/repos/acme/rocket").status == 200
    assert clock.slept == [7, 7]


def test_a_secondary_limit_that_says_no_time_is_waited_for_longer_each_time(
    github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.troubles += [Trouble(403, {"message": "You have exceeded a secondary rate limit"})] * 3
    assert client.get("/repos/acme/rocket").status == 200
    assert clock.slept == [60, 120, 240]
    github.troubles += [Trouble(403, {"message": "You have exceeded a secondary rate limit"})] * 9
    before = clock.now
    with pytest.raises(BudgetExhausted) as caught:
        client.get("/repos/acme/rocket")
    assert clock.now - before <= 900
    assert caught.value.reset > clock.now * 1000


def test_one_request_never_waits_longer_than_allowed(
    github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.troubles += [Trouble(429, {"message": "slow down"}, {"Retry-After": "400"})] * 3
    with pytest.raises(BudgetExhausted):
        client.get("/repos/acme/rocket")
    assert clock.slept == [400, 400]


def test_trouble_in_passing_is_asked_again_three_times(
    github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.troubles += [Trouble(502, "<html>"), Trouble(hangs_up=True), Trouble(503)]
    assert client.get("/repos/acme/rocket").status == 200
    assert clock.slept == [1, 2, 4]
    github.troubles += [Trouble(502, "<html>")] * 4
    with pytest.raises(GitHubError, match="HTTP 502"):
        client.get("/repos/acme/rocket")
    github.troubles += [Trouble(hangs_up=True)] * 4
    with pytest.raises(GitHubError, match="look at the network"):
        client.get("/repos/acme/rocket")
    assert len(github.asked) == 12


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", "", '{"truncated": '])
def test_an_answer_that_is_no_json_is_told_so(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, body: str
) -> None:
    github.hidden["/issues"] = Trouble(200, body)
    with pytest.raises(CollectorError, match=r"no JSON|something else than the list"):
        sync(ledger, client)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/pulls", {"message": "?"}, "something else than the list"),
        ("/pulls", [{"number": 1}], "without updated_at"),
        ("/issues", [{"updated_at": text_of(NOW)}], "names no issue"),
        (
            "/actions/runs",
            {"total_count": 1, "workflow_runs": [{"updated_at": text_of(NOW)}]},
            "workflow run",
        ),
        ("rocket", {"id": 1}, "names no repository"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_so(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, path: str, body: Any, says: str
) -> None:
    fill(github)
    if path == "rocket":
        github.troubles.append(Trouble(200, body))
    github.hidden[path] = Trouble(200, body)
    with pytest.raises(CollectorError, match=says):
        sync(ledger, client)


# --- who may see what --------------------------------------------------------------------------------


def test_a_token_that_is_not_accepted_is_told_so(ledger: Ledger, github: FakeGitHub, clock: Clock) -> None:
    with (
        GitHubClient(github.url, "ghp_wrong", sleep=clock.sleep, clock=clock) as client,
        pytest.raises(GitHubAccessError, match=r"does not accept the token.*GITHUB_TOKEN"),
    ):
        sync(ledger, client)


def test_a_repository_that_is_not_shown_is_told_so(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    with pytest.raises(GitHubAccessError, match=r"acme/missing: look at the spelling.*scope repo"):
        sync(ledger, client, "acme/missing")


def test_a_list_that_the_token_may_not_see_does_not_hold_up_the_others(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    refusal = {"message": "Resource not accessible by personal access token"}
    github.hidden["/hooks"] = Trouble(403, refusal, {"X-Accepted-GitHub-Permissions": "webhooks=read"})
    github.hidden["/issues"] = Trouble(410, {"message": "Issues are disabled for this repo"})
    done = sync(ledger, client)
    assert done.skipped.keys() == {"issues", "deliveries"}
    assert "webhooks=read" in done.skipped["deliveries"]
    assert "disabled" in done.skipped["issues"]
    assert done.read["check"] == 4


def test_the_token_goes_to_no_other_host_and_into_no_text(
    github: FakeGitHub, client: GitHubClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [repr(client), str(vars(client).keys())]
    with serve(FakeGitHub(clock)) as stranger:
        github.troubles.append(Trouble(301, {}, {"Location": f"{stranger.url}/repos/acme/rocket"}))
        with pytest.raises(GitHubError, match="pointed to another host") as caught:
            client.get("/repos/acme/rocket")
        texts.append(str(caught.value))
        link = {"Link": f'<{stranger.url}/repos/acme/rocket/issues?page=2>; rel="next"'}
        github.troubles.append(Trouble(200, [], link))
        with pytest.raises(GitHubError, match="pointed to another host") as caught:
            client.get("/repos/acme/rocket/issues")
        texts.append(str(caught.value))
        with pytest.raises(GitHubError, match="pointed to another host"):
            client.get(f"{stranger.url}/repos/acme/rocket")
        with pytest.raises(GitHubError, match="pointed to another host"):
            client.get(f"{github.url.replace('//', f'//{TOKEN}@')}/repos/acme/rocket")
        assert stranger.asked == []
    github.troubles.append(Trouble(403, {"message": f"the token {TOKEN} is too weak"}))
    with pytest.raises(GitHubAccessError) as refused:
        client.get("/repos/acme/rocket")
    texts += [str(refused.value), caplog.text]
    assert not any(TOKEN in one for one in texts)


def test_a_redirect_without_end_is_given_up(github: FakeGitHub, client: GitHubClient) -> None:
    github.hidden[""] = Trouble(301, {}, {"Location": f"{github.url}/repos/acme/rocket"})
    with pytest.raises(GitHubError, match="without end"):
        client.get("/repos/acme/rocket")


def test_requests_say_who_asks_and_for_which_version(
    github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    client.get("/repos/acme/rocket")
    sent = github.asked[-1].headers
    assert sent["X-GitHub-Api-Version"] == "2026-03-10"
    assert sent["User-Agent"] == "achievement-collector"
    with GitHubClient(github.url, TOKEN, api_version=None, sleep=clock.sleep, clock=clock) as old:
        old.get("/repos/acme/rocket")
    assert "X-GitHub-Api-Version" not in github.asked[-1].headers


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "api.github.com",
        "https://",
        "https://user:pass@ghe.example/api/v3",
        "ftp://x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="GitHub's address"):
        GitHubClient(url, TOKEN)


def test_a_token_that_cannot_be_one_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        GitHubClient(token="ghp_ab\ncd")
    assert "ghp_" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["rocket", "acme/", "a/b/c", "acme/rocket?x=1", "../x y", "../..", "acme/.."]
)
def test_a_name_that_is_no_repository_is_refused(ledger: Ledger, client: GitHubClient, name: str) -> None:
    with pytest.raises(ConfigurationError, match="owner/name"):
        sync(ledger, client, name)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://ghe.example/api/v3", "ghe.example"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
    ],
)
def test_keys_begin_with_the_host_that_people_see(url: str, host: str) -> None:
    assert web_host(url) == host


# --- renaming ----------------------------------------------------------------------------------------


def test_a_repository_that_was_renamed_is_followed_and_not_read_anew(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    fill(github)
    sync(any_ledger, client)
    github.name = "acme/shuttle"
    github.former_names.add("acme/rocket")
    github.add_issue(99, NOW - 10)
    github.asked.clear()
    done = sync(any_ledger, client)
    assert done.repository == "github.com/acme/shuttle"
    assert known(any_ledger, Kind.REPOSITORY, KEY)["moved_to"] == "github.com/acme/shuttle"
    assert thing_keys(any_ledger, Kind.ISSUE) >= {"github.com/acme/shuttle#99"}
    assert not any("/pulls/" in one.path for one in github.asked)
    before = rows(any_ledger)
    github.asked.clear()
    sync(any_ledger, client)
    assert {one.status for one in github.asked} == {301, 304}
    assert rows(any_ledger) == before


def test_a_repository_that_is_asked_for_by_its_new_name_is_known_by_its_number(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    """In Actions the name changes by itself, and the word of the renaming may never have come."""
    fill(github)
    sync(any_ledger, client)
    github.name = "acme/shuttle"
    github.former_names.add("acme/rocket")
    github.asked.clear()
    done = sync(any_ledger, client, "acme/shuttle")
    assert done.repository == "github.com/acme/shuttle"
    assert known(any_ledger, Kind.REPOSITORY, KEY)["moved_to"] == "github.com/acme/shuttle"
    assert not any("/pulls/" in one.path for one in github.asked)  # nothing is read anew
    with any_ledger.read() as connection:
        assert names_of(connection, KEY) == ["github.com/acme/shuttle", KEY]


def thing_keys(ledger: Ledger, kind: Kind) -> set[str]:
    with ledger.read() as connection:
        return {one.key for one in things(connection, kind)}


# --- deliveries --------------------------------------------------------------------------------------


def posts(github: FakeGitHub) -> list[str]:
    return [one.path for one in github.asked if one.method == "POST"]


def test_a_delivery_of_which_every_attempt_failed_is_asked_for_once(
    any_ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.add_hook(8, OURS)
    github.add_hook(9, "https://chat.example/hooks/1")
    lost = github.add_delivery(8, "lost", NOW - 3 * HOUR, 500)
    github.add_delivery(8, "saved", NOW - 2 * HOUR, 502)
    github.add_delivery(8, "saved", NOW - HOUR, 200, redelivery=True)
    github.add_delivery(8, "fine", NOW - HOUR, 200)
    github.add_delivery(8, "fine", NOW - 60, 0, redelivery=True)
    github.add_delivery(9, "foreign", NOW - HOUR, 500)
    github.answers_redelivery = 500
    assert sync(any_ledger, client).redelivered == 1
    assert posts(github) == [f"/repos/acme/rocket/hooks/8/deliveries/{lost['id']}/attempts"]
    for _ in range(3):
        assert sync(any_ledger, client).redelivered == 0
    assert len(posts(github)) == 1
    before = rows(any_ledger)
    sync(any_ledger, client)
    assert rows(any_ledger) == before
    github.add_delivery(8, "lost later", NOW, 500)
    github.add_delivery(8, "lost too", NOW, 500)
    assert sync(any_ledger, client).redelivered == 2
    assert clock.slept == [1, 1]  # a second between what is written


def test_a_further_attempt_of_a_delivery_that_arrived_long_ago_is_not_asked_for(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_hook(8, OURS)
    github.add_delivery(8, "fine", NOW - DAY, 200)
    sync(ledger, client)
    for number in range(150):
        github.add_delivery(8, f"guid-{number}", NOW - HOUR + number, 200)
    github.add_delivery(8, "fine", NOW - 60, 500, redelivery=True)
    sync(ledger, client)
    for number in range(150):
        github.add_delivery(8, f"later-{number}", NOW - 50, 200)
    github.add_delivery(8, "fine", NOW - 40, 500, redelivery=True)
    sync(ledger, client)
    assert posts(github) == []


def test_deliveries_are_looked_through_beyond_a_page(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_hook(8, OURS)
    for number in range(250):
        github.add_delivery(8, f"guid-{number}", NOW - DAY + number, 500 if number in (0, 120, 249) else 200)
    assert sync(ledger, client).redelivered == 3


def test_a_delivery_that_github_keeps_no_longer_is_let_go(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_hook(8, OURS)
    github.add_delivery(8, "old", NOW - 5 * DAY, 500)
    github.hidden["/attempts"] = Trouble(422, {"message": "cannot be redelivered"})
    assert sync(ledger, client).redelivered == 0
    assert sync(ledger, client).redelivered == 0
    assert len(posts(github)) == 1


def test_a_delivery_that_a_limit_kept_from_being_asked_for_is_asked_for_later(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient, clock: Clock
) -> None:
    github.add_hook(8, OURS)
    github.add_delivery(8, "lost", NOW - HOUR, 500)
    github.hidden["/attempts"] = Trouble(429, {"message": "slow down"}, {"Retry-After": "3000"})
    assert sync(ledger, client).stopped
    github.hidden.clear()
    assert sync(ledger, client).redelivered == 1


def test_a_delivery_is_not_asked_for_twice_by_a_run_that_was_stopped(
    ledger: Ledger, github: FakeGitHub, client: GitHubClient
) -> None:
    github.add_hook(8, OURS)
    github.add_delivery(8, "lost", NOW - HOUR, 500)
    github.hidden["/attempts"] = Trouble(hangs_up=True)  # GitHub may have taken it
    with pytest.raises(GitHubError):
        sync(ledger, client)
    github.hidden.clear()
    assert sync(ledger, client).redelivered == 0
    assert len(posts(github)) == 1


# --- recorded answers --------------------------------------------------------------------------------


def read(
    github: FakeGitHub, client: GitHubClient, name: str, reader: Callable[[Reading], Any]
) -> dict[str, Any]:
    github.name = name
    reading = Reading(client, name, f"github.com/{name}", NOW * 1000)
    return {one.key.partition(name)[2]: one for step in reader(reading) for one in step.observations}


def test_recorded_pull_requests_and_reviews_are_understood(github: FakeGitHub, client: GitHubClient) -> None:
    folder = "/repos/hub4j-test-org/github-api"
    listed = recorded("GHPullRequestTest__queryPullRequestsUnqualifiedHead", f"{folder}/pulls?state=open")
    reviews = recorded("GHPullRequestTest__pullRequestReviews", f"{folder}/pulls/482/reviews")
    number = listed[0]["number"]
    github.recorded = {"/pulls": listed, f"/pulls/{number}/reviews": reviews}
    found = read(github, client, "hub4j-test-org/github-api", listing.pull_requests)
    assert {f"#{one['number']}" for one in listed} <= found.keys()
    assert found[f"#{number}"].fields["title"] == listed[0]["title"]
    seen = [one for one in found.values() if one.kind is Kind.REVIEW]
    assert [one.fields["state"] for one in seen] == [
        one["state"].lower() for one in reviews if one.get("submitted_at")
    ]


def test_recorded_pull_requests_with_counts_are_understood(github: FakeGitHub, client: GitHubClient) -> None:
    one = recorded("GHPullRequestTest__getUserTest", "/repos/hub4j-test-org/github-api/pulls/263")
    github.recorded = {"/pulls": [one], f"/pulls/{one['number']}": one, f"/pulls/{one['number']}/reviews": []}
    found = read(github, client, "hub4j-test-org/github-api", listing.pull_requests)
    assert found[f"#{one['number']}"].fields["additions"] == one["additions"]


def test_recorded_workflow_runs_are_understood(github: FakeGitHub, client: GitHubClient) -> None:
    url = "/repos/hub4j-test-org/GHWorkflowRunTest/actions/runs?branch=second-branch&status=completed&event=workflow_dispatch&per_page=20"
    body = recorded("GHWorkflowRunTest__testSearchOnBranch", url)
    github.recorded = {"/actions/runs": body}
    found = read(github, client, "hub4j-test-org/GHWorkflowRunTest", workflow_runs)
    run = body["workflow_runs"][0]
    assert found[f"/run/{run['id']}/1"].fields["conclusion"] == run["conclusion"]


def test_recorded_milestones_are_understood(github: FakeGitHub, client: GitHubClient) -> None:
    url = "/repos/hub4j-test-org/github-api/milestones?state=open&sort=due-on&direction=asc"
    body = recorded("GHMilestoneTest__testListMilestonesWithSort", url)
    github.recorded = {"/milestones": body}
    found = read(github, client, "hub4j-test-org/github-api", listing.milestones)
    assert [one.fields["name"] for one in found.values()] == [one["title"] for one in body]
