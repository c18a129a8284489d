"""Reading from Linear and writing to it, against a loopback Linear that executes queries on Linear's own schema."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.facts.observations import Kind
from achievement_collector.ledger import work
from achievement_collector.ledger.entities import take_in, thing, things
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.ledger.tables import cursors, entities
from achievement_collector.publish.linear import link_pull_request
from achievement_collector.services.linear_sync import sync_linear
from achievement_collector.services.linking_back import LinkedBack, link_back
from achievement_collector.sources.bodies import Body
from achievement_collector.sources.linear import documents
from achievement_collector.sources.linear.client import (
    BudgetExhausted,
    LinearAccessError,
    LinearClient,
    LinearError,
)
from achievement_collector.sources.linear.events import translate
from tests import outside_world
from tests.fakes.linear import (
    API_KEY,
    OAUTH_TOKEN,
    FakeLinear,
    Trouble,
    identity,
    linear_schema,
    rate_limited,
    recorded,
    refusal,
    serve,
)
from tests.outside_world import World, opened

NOW = 1_780_000_000_000
PULL = "https://github.com/acme/rocket/pull/12"


class Clock:
    """Time that passes only by being slept through."""

    def __init__(self) -> None:
        self.now = NOW / 1000
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def linear() -> Iterator[FakeLinear]:
    linear_schema()
    with serve(FakeLinear()) as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(linear: FakeLinear, clock: Clock) -> Iterator[LinearClient]:
    with LinearClient(linear.url, api_key=API_KEY, sleep=clock.sleep, clock=clock) as opened:
        yield opened


def minute(number: int) -> str:
    return f"2026-05-01T10:{number:02}:00.000Z"


def fill(linear: FakeLinear, issues: int = 5) -> None:
    linear.add_team()
    goal = linear.add(
        "initiatives",
        "Orbit",
        minute(1),
        name="Orbit",
        description="",
        status="Active",
        slugId="o",
        url="https://linear.app/o",
    )
    linear.add_project(
        "Rocket", minute(2), lead={"name": "Ada", "email": "ada@example.com"}, initiatives=[goal],
        projectMilestones=[{"id": identity("m1"), "name": "Lift-off", "targetDate": "2026-07-01"}],
    )  # fmt: skip
    for number in range(1, issues + 1):
        linear.add_issue(number, minute(number), project=linear.projects[0])
    linear.add_attachment(linear.issues[0], PULL, minute(9))


def contents(ledger: Ledger) -> tuple[list[Any], list[Any]]:
    """Every row of things and of cursors, with the times at which they were written."""
    with ledger.read() as connection:
        known = connection.execute(sa.select(entities).order_by(entities.c.kind, entities.c.key)).all()
        places = connection.execute(sa.select(cursors).order_by(cursors.c.name)).all()
    return [tuple(row) for row in known], [tuple(row) for row in places]


def registers(ledger: Ledger, kind: Kind, key: str) -> dict[str, Any]:
    with ledger.read() as connection:
        text = connection.scalar(
            sa.select(entities.c.registers).where(entities.c.kind == kind.value, entities.c.key == key)
        )
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def identifiers(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return sorted(one.identifier for one in work.issues(connection))


# --- documents ---------------------------------------------------------------------------------------


def test_every_document_is_valid_in_linears_schema() -> None:
    from graphql import parse, validate

    for document in documents.ALL:
        assert validate(linear_schema(), parse(document)) == []


@pytest.mark.parametrize(
    "document", documents.ALL, ids=lambda text: text.split("(")[0].split("{")[0].split()[-1]
)
def test_no_document_costs_more_points_than_linear_allows(document: str) -> None:
    assert 1 <= cost(document) < 10_000


def test_the_price_of_a_document_is_counted_as_linear_does() -> None:
    assert cost("{ viewer { id name } }") == pytest.approx(1.2)
    assert cost("{ teams(first: 10) { nodes { id } } }") == pytest.approx(1 + 10 * 1.1)
    assert cost("{ teams { nodes { id } } }") == pytest.approx(1 + 50 * 1.1)


def cost(document: str) -> float:
    """Points of the costliest answer: a property 0.1, an object 1, a connection 1 and ``first`` times a node."""
    from graphql import OperationDefinitionNode, get_named_type, is_leaf_type, parse

    def of(parent: Any, selection: Any, first: int) -> float:
        total = 0.0
        for node in selection.selections:
            kind = get_named_type(parent.fields[node.name.value].type)
            if is_leaf_type(kind):
                total += 0.1
            else:
                sizes = [int(one.value.value) for one in node.arguments or () if one.name.value == "first"]
                many = first if node.name.value == "nodes" else 1
                total += many * (1 + of(kind, node.selection_set, sizes[0] if sizes else 50))
        return total

    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return of(linear_schema().get_root_type(operation.operation), operation.selection_set, 1)


# --- synchronising -----------------------------------------------------------------------------------


def test_the_first_run_reads_everything(any_ledger: Ledger, linear: FakeLinear, client: LinearClient) -> None:
    fill(linear)
    seen: list[tuple[str, int]] = []
    linear.page_limit = 2

    done = sync_linear(any_ledger, client, NOW, progress=lambda name, read: seen.append((name, read)))

    assert done.read == {"teams": 1, "initiatives": 1, "projects": 1, "issues": 5, "attachments": 1}
    assert (done.stopped, done.skipped, done.requests) == ("", (), len(linear.asked))
    assert [read for name, read in seen if name == "issues"] == [2, 4, 5]
    with any_ledger.read() as connection:
        issues = work.issues(connection)
        assert sorted(one.identifier for one in issues) == ["ENG-1", "ENG-2", "ENG-3", "ENG-4", "ENG-5"]
        assert {one.scale for one in issues} == {"fibonacci"}
        assert {one.project for one in issues} == {f"linear/{linear.projects[0]['id']}"}
        (project,) = work.epic_sources(connection, "project")
        assert (project.title, project.lead, project.status) == ("Rocket", "Ada", "started")
        assert project.initiatives == (f"linear/{linear.initiatives[0]['id']}",)
        (goal,) = work.epic_sources(connection, "initiative")
        assert (goal.title, goal.status) == ("Orbit", "active")
        assert [(one.issue, one.url) for one in work.attachments(connection)] == [
            (f"linear/{linear.issues[0]['id']}", PULL)
        ]
        (milestone,) = things(connection, Kind.MILESTONE)
        assert milestone.fields == {"name": "Lift-off", "target": "2026-07-01"}


def test_a_second_run_writes_nothing(any_ledger: Ledger, linear: FakeLinear, client: LinearClient) -> None:
    fill(linear)
    linear.page_limit = 2
    sync_linear(any_ledger, client, NOW)
    before = contents(any_ledger)
    told: list[Any] = []

    done = sync_linear(any_ledger, client, NOW + 60_000, on_changed=lambda *arguments: told.append(arguments))

    assert contents(any_ledger) == before
    assert told == []
    assert not any(done.changed.values())
    assert done.requests == 5, "one page of each list tells that nothing is new"


def test_a_later_run_reads_only_what_was_updated_since(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    fill(linear)
    sync_linear(ledger, client, NOW)
    linear.issues[0] |= {"title": "Better", "updatedAt": minute(30)}
    linear.add_issue(6, minute(31))

    done = sync_linear(ledger, client, NOW)

    assert done.changed["issues"] == 2
    assert done.read["issues"] == 3, "the two, and the newest known one again"
    with ledger.read() as connection:
        assert thing(connection, Kind.ISSUE, f"linear/{linear.issues[0]['id']}").fields["title"] == "Better"  # type: ignore[union-attr]


@pytest.mark.parametrize("answered", range(1, 8))
def test_a_stop_at_any_request_loses_nothing(
    any_ledger: Ledger, linear: FakeLinear, client: LinearClient, clock: Clock, answered: int
) -> None:
    fill(linear, issues=7)
    linear.page_limit = 2
    linear.troubles.extend([*[None] * answered, rate_limited(NOW + 3_600_000)])

    stopped = sync_linear(any_ledger, client, NOW)

    assert "budget of requests is used up until 2026-05-28" in stopped.stopped
    assert stopped.resumes == NOW + 3_600_000
    assert stopped.requests == answered + 1
    linear.add_issue(8, minute(40))  # while nobody was looking
    linear.issues[2] |= {"title": "Changed meanwhile", "updatedAt": minute(41)}
    asked_before = list(linear.asked)
    clock.now += 3_600

    resumed = sync_linear(any_ledger, client, NOW)

    assert resumed.stopped == ""
    assert identifiers(any_ledger) == [f"ENG-{number}" for number in range(1, 9)]
    with any_ledger.read() as connection:
        changed = thing(connection, Kind.ISSUE, f"linear/{linear.issues[2]['id']}")
        assert changed is not None
        assert changed.fields["title"] == "Changed meanwhile"
    again = [one for one in linear.asked[len(asked_before) :] if one in asked_before]
    assert len(again) <= 1, "at most the page that was under way is asked for again"


def test_a_failure_while_a_page_is_stored_stores_neither_the_page_nor_its_cursor(
    any_ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    fill(linear)
    linear.page_limit = 2
    pages: list[int] = []

    def fail_at_the_second_page(connection: Any, changed: Any, now: int) -> None:
        if changed[0].kind is Kind.ISSUE:
            pages.append(len(changed))
            if len(pages) == 2:
                raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        sync_linear(any_ledger, client, NOW, on_changed=fail_at_the_second_page)

    assert identifiers(any_ledger) == ["ENG-4", "ENG-5"]
    sync_linear(any_ledger, client, NOW)
    assert identifiers(any_ledger) == ["ENG-1", "ENG-2", "ENG-3", "ENG-4", "ENG-5"]


def test_what_is_changed_is_told_inside_of_the_transaction(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    fill(linear, issues=1)
    told: dict[Kind, bool] = {}

    def look(connection: Any, changed: Any, now: int) -> None:
        assert now == NOW
        with ledger.read() as outside:
            for one in changed:
                inside = thing(connection, one.kind, one.key) is not None
                told[one.kind] = inside and thing(outside, one.kind, one.key) is None

    sync_linear(ledger, client, NOW, on_changed=look)

    assert told == dict.fromkeys(
        (Kind.TEAM, Kind.INITIATIVE, Kind.PROJECT, Kind.MILESTONE, Kind.ISSUE, Kind.ATTACHMENT), True
    )


def test_issues_of_the_same_moment_are_all_read_though_a_page_ends_between_them(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    linear.page_limit = 2
    for number in range(1, 6):
        linear.add_issue(number, minute(1))
    sync_linear(ledger, client, NOW)
    linear.add_issue(6, minute(1))  # became visible late

    sync_linear(ledger, client, NOW)

    assert identifiers(ledger) == [f"ENG-{number}" for number in range(1, 7)]


def test_an_issue_that_is_updated_while_the_list_is_read_is_found_by_the_next_run(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    linear.page_limit = 2
    for number in range(1, 7):
        linear.add_issue(number, minute(number))

    def touch(name: str, read: int) -> None:
        if name == "issues" and read == 2:
            linear.issues[1] |= {"title": "Overtaken", "updatedAt": minute(50)}  # was on a later page

    sync_linear(ledger, client, NOW, progress=touch)
    sync_linear(ledger, client, NOW)

    with ledger.read() as connection:
        overtaken = [one.title for one in work.issues(connection) if one.identifier == "ENG-2"]
    assert overtaken == ["Overtaken"]
    assert identifiers(ledger) == [f"ENG-{number}" for number in range(1, 7)]


def test_a_list_is_read_from_its_front_where_the_place_of_the_stop_is_gone(
    ledger: Ledger, linear: FakeLinear, client: LinearClient, clock: Clock
) -> None:
    fill(linear, issues=6)
    linear.page_limit = 2
    linear.troubles.extend([None, None, None, None, rate_limited(NOW + 3_600_000)])
    assert sync_linear(ledger, client, NOW).stopped
    linear.issues[:] = [one for one in linear.issues if one["identifier"] != "ENG-5"]  # deleted for good
    clock.now += 3_600

    sync_linear(ledger, client, NOW)

    assert identifiers(ledger) == [f"ENG-{number}" for number in range(1, 7)], "what was known stays known"


def test_the_trash_removes_and_the_archive_does_not(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    for number in (1, 2, 3):
        linear.add_issue(number, minute(number))
    linear.issues[1]["archivedAt"] = minute(20)
    sync_linear(ledger, client, NOW)
    linear.issues[0] |= {"archivedAt": minute(21), "trashed": True}  # not said to be updated

    sync_linear(ledger, client, NOW)

    with ledger.read() as connection:
        removed = {one.identifier: one.is_removed for one in work.issues(connection)}
    assert removed == {"ENG-1": True, "ENG-2": False, "ENG-3": False}


def test_lists_inside_of_a_thing_are_read_to_their_end(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    linear.page_limit = 3
    names = [f"label {number:02}" for number in range(8)]
    linear.add_issue(1, minute(1), labels=[{"id": identity(name), "name": name} for name in names])
    milestones = [{"id": identity(f"m{number}"), "name": f"Step {number}"} for number in range(7)]
    linear.add_project("Rocket", minute(1), projectMilestones=milestones)

    sync_linear(ledger, client, NOW)

    with ledger.read() as connection:
        (issue,) = work.issues(connection)
        assert issue.labels == tuple(names)
        assert len(list(things(connection, Kind.MILESTONE))) == 7


def test_a_workspace_without_initiatives_is_read_all_the_same(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    fill(linear)
    linear.troubles.extend(
        [None, refusal("Not in your plan", "feature not accessible", "FEATURE_NOT_ACCESSIBLE")]
    )

    done = sync_linear(ledger, client, NOW)

    assert done.skipped == ("initiatives",)
    assert len(identifiers(ledger)) == 5


def test_an_answer_without_what_was_asked_for_is_an_error_and_nothing_is_stored(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    linear.troubles.append(Trouble(200, {"data": {"teams": None}}))

    with pytest.raises(LinearError, match="does not hold the teams"):
        sync_linear(ledger, client, NOW)

    assert contents(ledger) == ([], [])


# --- the same from webhooks and from the API ---------------------------------------------------------


ISSUES = (
    "createIssue", "updateIssueEstimated", "updateIssueCycle", "zulip__issue_create_complex",
    "zulip__issue_sub_issue_update",
)  # fmt: skip
ONLY_IN_THE_API = {"branch", "assignee_email", "creator"}


def api_issue(body: dict[str, Any]) -> dict[str, Any]:
    """The issue of a recorded webhook body as the API shows it."""
    data = body["data"]
    team = {**data["team"], "issueEstimationType": "linear", "updatedAt": data["updatedAt"]}
    described = ("id", "title", "number", "createdAt", "updatedAt", "priority", "state")
    optional = ("description", "estimate", "startedAt", "completedAt", "canceledAt", "archivedAt", "trashed")
    return {
        **{name: data[name] for name in described}, **{name: data.get(name) for name in optional},
        "url": body["url"], "identifier": f"{team['key']}-{data['number']}", "branchName": "ada/issue",
        "team": team, "assignee": data.get("assignee") and {"email": "ada@example.com", **data["assignee"]},
        "creator": {"name": "Ada"}, "labels": data.get("labels", []),
        "project": data.get("projectId") and {"id": data["projectId"]},
        "parent": data.get("parentId") and {"id": data["parentId"]},
    }  # fmt: skip


def webhook_of(issue: dict[str, Any]) -> dict[str, Any]:
    """An issue of the API as a webhook shows it today, by the schema's IssueWebhookPayload."""
    plain = {
        name: issue[name]
        for name in (
            "id", "identifier", "number", "title", "description", "url", "priority", "estimate", "createdAt", "updatedAt",
            "startedAt", "completedAt", "state", "team", "assignee", "creator", "labels",
        )
        if issue.get(name) is not None
    }  # fmt: skip
    team = {name: issue["team"][name] for name in ("id", "key", "name")}
    data = {
        **plain, "team": team, "teamId": team["id"], "stateId": issue["state"]["id"], "projectId": issue["project"]["id"],
        "project": {"id": issue["project"]["id"], "name": issue["project"]["name"], "url": issue["project"]["url"]},
        "parentId": issue["parent"]["id"], "labelIds": [one["id"] for one in issue["labels"]], "previousIdentifiers": [],
        "priorityLabel": "High", "prioritySortOrder": 1, "sortOrder": 1, "reactionData": [],
        "subscriberIds": [],
    }  # fmt: skip
    required = {
        name
        for name, one in linear_schema().type_map["IssueWebhookPayload"].fields.items()
        if str(one.type)[-1] == "!"
    }
    assert required <= set(data)
    return {
        "action": "update",
        "type": "Issue",
        "createdAt": issue["updatedAt"],
        "data": data,
        "webhookTimestamp": NOW,
    }


def full_issue(linear: FakeLinear) -> dict[str, Any]:
    linear.add_project("Rocket", minute(1))
    parent = linear.add_issue(1, minute(1))
    return linear.add_issue(
        2, "2026-05-01T10:05:00.123Z", project=linear.projects[0], parent=parent, estimate=3, description="Why\n\nand how",
        state={"id": identity("done"), "type": "completed", "name": "Done"}, assignee={"name": "Ada", "email": "ada@example.com"},
        creator={"name": "Grace"}, labels=[{"id": identity(name), "name": name} for name in ("feature", "backend")],
        startedAt=minute(3), completedAt=minute(4),
    )  # fmt: skip


@pytest.fixture(params=[*ISSUES, "in full"])
def told_twice(request: pytest.FixtureRequest, linear: FakeLinear) -> tuple[str, dict[str, Any]]:
    """(key, webhook body) of an issue that the API shows too."""
    if request.param == "in full":
        issue = full_issue(linear)
        return f"linear/{issue['id']}", webhook_of(issue)
    body = recorded(request.param)
    linear.issues.append(api_issue(body))
    return f"linear/{body['data']['id']}", body


def test_an_issue_is_the_same_whichever_of_webhook_and_api_tells_it_first(
    told_twice: tuple[str, dict[str, Any]], client: LinearClient, tmp_path: Path
) -> None:
    key, body = told_twice

    def by_webhook(ledger: Ledger) -> None:
        with ledger.write() as connection:
            take_in(connection, translate(Body(body), NOW), NOW)

    def by_api(ledger: Ledger) -> None:
        sync_linear(ledger, client, NOW)

    def told(*ways: Callable[[Ledger], None]) -> dict[str, Any]:
        ledger = open_ledger(str(tmp_path / f"{'-'.join(way.__name__ for way in ways)}.db"))
        try:
            for way in ways:
                way(ledger)
            return registers(ledger, Kind.ISSUE, key)
        finally:
            ledger.close()

    both = told(by_webhook, by_api)
    assert both == told(by_api, by_webhook) == told(by_api)
    alone = told(by_webhook)
    assert {name: both[name] for name in alone} == alone
    assert set(both) - set(alone) <= ONLY_IN_THE_API


def test_what_a_webhook_adds_to_what_the_api_told_is_nothing(
    ledger: Ledger, linear: FakeLinear, client: LinearClient
) -> None:
    issue = full_issue(linear)
    sync_linear(ledger, client, NOW)

    with ledger.write() as connection:
        assert take_in(connection, translate(Body(webhook_of(issue)), NOW), NOW) == []


# --- the client --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "header"),
    [({"api_key": API_KEY}, API_KEY), ({"oauth_token": OAUTH_TOKEN}, f"Bearer {OAUTH_TOKEN}")],
    ids=["personal key", "OAuth"],
)
def test_a_personal_key_is_sent_as_it_is_and_an_oauth_token_as_bearer(
    linear: FakeLinear, key: dict[str, Any], header: str
) -> None:
    with LinearClient(linear.url, **key) as client:
        assert client.execute(documents.VIEWER).inner("viewer").text("name") == "Ada"
    assert linear.authorizations == [header]


@pytest.mark.parametrize(
    ("key", "todo"),
    [
        ({"api_key": OAUTH_TOKEN}, "make a new key in Linear"),
        ({"oauth_token": API_KEY}, "refresh the OAuth token"),
    ],
    ids=["personal key", "OAuth"],
)
def test_a_key_that_is_not_accepted_is_told_with_what_to_do(
    linear: FakeLinear, key: dict[str, Any], todo: str
) -> None:
    with LinearClient(linear.url, **key) as client, pytest.raises(LinearAccessError, match=todo):
        client.execute(documents.VIEWER)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(401, {"errors": [{"message": f"bad key {API_KEY}"}]}),
        Trouble(403, {"errors": [{"message": f"key {API_KEY} may not"}]}),
        Trouble(400, {"errors": [{"message": f"no field for {API_KEY}"}]}),
        Trouble(302, API_KEY, {"Location": "https://elsewhere.example/"}),
        Trouble(200, f"<html>{API_KEY}</html>"),
        Trouble(200, {"data": None, "errors": [{"message": API_KEY, "extensions": {"type": "other"}}]}),
        Trouble(503, API_KEY),
        Trouble(hangs_up=True),
    ],
    ids=["401", "403", "400", "redirect", "no JSON", "errors", "503", "no answer"],
)
def test_the_key_is_in_no_message_log_or_representation(
    linear: FakeLinear, client: LinearClient, caplog: pytest.LogCaptureFixture, trouble: Trouble
) -> None:
    caplog.set_level(logging.DEBUG)
    linear.troubles.extend([trouble] * 5)

    with pytest.raises(CollectorError) as raised:
        client.execute(documents.VIEWER)

    shown = [str(raised.value), repr(raised.value), repr(client), str(client), caplog.text]
    assert not [text for text in shown if "SECRET" in text]
    assert str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_redirect_is_not_followed(linear: FakeLinear, client: LinearClient) -> None:
    with serve(FakeLinear()) as elsewhere:
        linear.troubles.append(Trouble(307, "", {"Location": elsewhere.url}))
        with pytest.raises(LinearError, match="redirect, which is not followed"):
            client.execute(documents.VIEWER)
        assert elsewhere.authorizations == []


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"api_key": "", "oauth_token": None},
        {"api_key": "a", "oauth_token": "b"},
        {"api_key": "key with\nlines"},
        {"api_key": "kéy"},
        {"api_key": "a", "url": "http://api.linear.app/graphql"},
        {"api_key": "a", "url": "file:///etc/passwd"},
    ],
)
def test_a_key_or_address_that_cannot_be_used_is_refused_before_anything_is_sent(
    arguments: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError):
        LinearClient(**arguments)


@pytest.mark.parametrize("status", [400, 429])
@pytest.mark.parametrize("budget", ["Requests", "Complexity", "Endpoint-Requests"])
def test_a_short_rate_limit_is_waited_for(
    linear: FakeLinear, client: LinearClient, clock: Clock, status: int, budget: str
) -> None:
    linear.troubles.append(rate_limited(NOW + 20_000, status=status, budget=budget))

    assert client.execute(documents.VIEWER).inner("viewer").text("name") == "Ada"

    assert clock.slept == [20.0]
    assert client.requests == 2


@pytest.mark.parametrize(("budget", "named"), [("Requests", "requests"), ("Complexity", "complexity")])
def test_a_long_rate_limit_is_told_with_its_end(
    linear: FakeLinear, client: LinearClient, clock: Clock, budget: str, named: str
) -> None:
    linear.troubles.append(rate_limited(NOW + 1_800_000, budget=budget))

    with pytest.raises(
        BudgetExhausted, match=f"budget of {named} is used up until 2026-05-28 20:56:40 UTC"
    ) as raised:
        client.execute(documents.VIEWER)

    assert raised.value.reset == NOW + 1_800_000
    assert clock.slept == []


def test_a_rate_limit_that_names_no_end_is_tried_again_ever_later_and_then_told(
    linear: FakeLinear, client: LinearClient, clock: Clock
) -> None:
    linear.troubles.extend([rate_limited()] * 5)

    with pytest.raises(BudgetExhausted):
        client.execute(documents.VIEWER)

    assert clock.slept == [1.0, 2.0, 4.0, 8.0]


def test_retry_after_is_heeded_before_the_reset(
    linear: FakeLinear, client: LinearClient, clock: Clock
) -> None:
    trouble = rate_limited(NOW + 3_600_000)
    trouble.headers["Retry-After"] = "7"
    linear.troubles.append(trouble)

    client.execute(documents.VIEWER)

    assert clock.slept == [7.0]


def test_nothing_is_asked_while_a_budget_stands_at_zero(
    linear: FakeLinear, client: LinearClient, clock: Clock
) -> None:
    linear.headers = {
        "X-RateLimit-Complexity-Remaining": "0",
        "X-RateLimit-Complexity-Reset": str(NOW + 600_000),
    }
    client.execute(documents.VIEWER)

    for _ in range(2):
        with pytest.raises(BudgetExhausted, match="budget of complexity"):
            client.execute(documents.VIEWER)

    assert client.requests == 1
    clock.now += 600
    client.execute(documents.VIEWER)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(502, "<html>Bad gateway</html>"),
        Trouble(hangs_up=True),
        refusal("Try later", "internal error", "INTERNAL_SERVER_ERROR", 200),
    ],
    ids=["502", "no answer", "internal error"],
)
def test_what_fails_in_passing_is_asked_again(
    linear: FakeLinear, client: LinearClient, clock: Clock, trouble: Trouble
) -> None:
    linear.troubles.extend([trouble, trouble])

    assert client.execute(documents.VIEWER).inner("viewer").text("name") == "Ada"

    assert clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("trouble", [Trouble(500, ""), Trouble(hangs_up=True)], ids=["500", "no answer"])
def test_a_mutation_that_may_have_been_carried_out_is_not_sent_again(
    linear: FakeLinear, client: LinearClient, trouble: Trouble
) -> None:
    linear.add_issue(1, minute(1))
    linear.troubles.append(trouble)

    with pytest.raises(LinearError):
        client.execute(documents.LINK_URL, {"issueId": "ENG-1", "url": PULL, "title": "t"})

    assert client.requests == 1


def test_a_mutation_over_the_limit_is_sent_again_because_it_was_not_carried_out(
    linear: FakeLinear, client: LinearClient
) -> None:
    linear.add_issue(1, minute(1))
    linear.troubles.append(rate_limited())

    client.execute(documents.LINK_URL, {"issueId": "ENG-1", "url": PULL, "title": "t"})

    assert len(linear.mutations) == 1


def test_a_refused_document_is_told_in_linears_words(client: LinearClient) -> None:
    with pytest.raises(LinearError, match=r"Linear refused the request .*Cannot query field 'epic'"):
        client.execute("{ epic }")


def test_a_server_that_cannot_be_reached_is_told_with_its_name(clock: Clock) -> None:
    with serve(FakeLinear()) as gone:
        pass
    with (
        LinearClient(gone.url, api_key=API_KEY, sleep=clock.sleep, clock=clock) as client,
        pytest.raises(LinearError, match=r"Linear at 127\.0\.0\.1 gave no answer \(ConnectError\)"),
    ):
        client.execute(documents.VIEWER)
    assert clock.slept == [1.0, 2.0, 4.0, 8.0]


# --- writing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["{id}", "linear/{id}", "{identifier}"])
def test_a_pull_request_is_linked_once(linear: FakeLinear, client: LinearClient, spelling: str) -> None:
    issue = linear.add_issue(1, minute(1))
    name = spelling.format(**issue)

    assert link_pull_request(client, name, PULL, "Add the rocket (#12)") is True
    assert link_pull_request(client, name, f"{PULL}/", "Add the rocket (#12)") is False
    assert link_pull_request(client, issue["id"], f"{PULL}#discussion_r1", "renamed") is False

    assert [(field, told["url"], told["title"]) for field, told in linear.mutations] == [
        ("attachmentLinkURL", PULL, "Add the rocket (#12)")
    ]


def test_a_pull_request_that_is_linked_to_other_issues_is_linked_to_this_one_too(
    linear: FakeLinear, client: LinearClient
) -> None:
    linear.page_limit = 2
    for number in range(1, 7):
        linear.add_issue(number, minute(number))
    for issue in linear.issues[:5]:
        linear.add_attachment(issue, PULL, minute(9))

    assert [link_pull_request(client, one["id"], PULL, "t") for one in linear.issues] == [*[False] * 5, True]


def test_linking_to_an_issue_that_does_not_exist_is_told(linear: FakeLinear, client: LinearClient) -> None:
    with pytest.raises(LinearError, match="Entity not found: Issue"):
        link_pull_request(client, "ENG-404", PULL, "t")
    assert linear.attachments == []


HOUR = 3_600_000


def naming(linear: FakeLinear, ledger: Ledger, pulls: dict[int, dict[str, str]]) -> World:
    """A ledger that knows the issues of ``linear`` and these open pull requests."""
    world = World(ledger, linear_api_url=linear.url, linear_api_key=API_KEY)
    told = [outside_world.issue(one["identifier"], one["title"]) for one in linear.issues]
    told = [replace(one, key=f"linear/{kept['id']}") for one, kept in zip(told, linear.issues, strict=True)]
    world.tell(*told, *(opened(number, **fields) for number, fields in pulls.items()))
    return world


def attachments_made(linear: FakeLinear) -> list[str]:
    return [str(one["url"]).rpartition("/")[2] for one in linear.attachments]


def test_an_issue_that_linear_refuses_holds_up_no_other(any_ledger: Ledger, linear: FakeLinear) -> None:
    for number in range(1, 4):
        linear.add_issue(number, minute(number))
    texts = [
        {"title": "Add it ENG-1"},
        {"branch": "eng-2-add"},
        {"body": "Closes ENG-3"},
        {"body": "see ENG-3"},
    ]
    world = naming(linear, any_ledger, dict(enumerate(texts, 1)))
    gone = linear.issues.pop(0)
    done = link_back(any_ledger, world.settings, NOW)
    assert done.linked == 2
    (failure,) = done.failures
    assert failure.startswith("github.com/acme/rocket#1 is not linked to ENG-1: ")
    assert "Entity not found" in failure
    assert failure.endswith("tried again after 2026-05-28 20:36 UTC")
    assert attachments_made(linear) == ["2", "3"]

    assert link_back(any_ledger, world.settings, NOW + 60_000) == LinkedBack()  # it rests
    assert len(link_back(any_ledger, world.settings, NOW + HOUR).failures) == 1
    assert link_back(any_ledger, world.settings, NOW + HOUR + 900_000) == LinkedBack()  # for longer each time
    linear.issues.insert(0, gone)
    assert link_back(any_ledger, world.settings, NOW + 2 * HOUR) == LinkedBack(1)
    assert link_back(any_ledger, world.settings, NOW + 200 * HOUR) == LinkedBack()
    assert attachments_made(linear) == ["2", "3", "1"]


def test_where_linear_refuses_one_after_the_other_the_rest_waits_for_the_next_time(
    any_ledger: Ledger, linear: FakeLinear
) -> None:
    for number in range(1, 6):
        linear.add_issue(number, minute(number))
    world = naming(linear, any_ledger, {number: {"title": f"Add it ENG-{number}"} for number in range(1, 6)})
    linear.issues[:3] = []
    first = link_back(any_ledger, world.settings, NOW)
    assert (first.linked, len(first.failures)) == (0, 3)
    assert link_back(any_ledger, world.settings, NOW + 1) == LinkedBack(2)


def test_a_budget_that_is_used_up_ends_linking_back_early(any_ledger: Ledger, linear: FakeLinear) -> None:
    linear.add_issue(1, minute(1))
    world = naming(linear, any_ledger, {1: {"title": "Add it ENG-1"}})
    linear.troubles.append(rate_limited(int(time.time() * 1000) + HOUR))
    done = link_back(any_ledger, world.settings, NOW)
    assert done.linked == 0
    assert "budget" in done.failures[0]
    assert link_back(any_ledger, world.settings, NOW + 1) == LinkedBack(1)


def test_a_webhook_is_asked_for_in_the_form_that_linear_takes(
    linear: FakeLinear, client: LinearClient
) -> None:
    wanted = {
        "url": "https://collector.example/linear",
        "resourceTypes": ["Issue", "Project"],
        "allPublicTeams": True,
    }

    made = client.execute(documents.CREATE_WEBHOOK, {"input": wanted}).inner("webhookCreate")

    assert made.truth("success") is True
    assert linear.mutations == [("webhookCreate", {"input": {**wanted, "enabled": True}})], (
        "true by the schema"
    )
