"""Deliveries: every recorded body is accepted and gives the right record, or a recorded reason why it gives none."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from achievement_collector.facts.observations import Kind, Observation, Registers, merge, values
from achievement_collector.intake import signatures
from achievement_collector.intake.reading import read_delivery
from achievement_collector.ledger import inbox
from achievement_collector.ledger.entities import take_in, thing, things
from achievement_collector.ledger.inbox import Incoming
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.work import pull_requests
from achievement_collector.services.intake import process_waiting, retry_deliveries
from achievement_collector.sources.bodies import Body, moment
from achievement_collector.sources.github.events import translate
from achievement_collector.sources.relevance import NotRelevant, NotUnderstood
from tests.conftest import settings as collector_settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded bodies are not here (../shared/data)")
NOW = 1_795_000_000_000


def github_bodies() -> list[tuple[str, Path]]:
    return [
        (path.parent.name, path)
        for path in sorted((DATA / "github" / "webhooks").glob("*/*.json"))
        if not path.parent.name.startswith("_")
    ]


def store(ledger: Ledger, *incoming: Incoming) -> None:
    with ledger.write() as connection:
        inbox.store(connection, incoming)


def delivered(source: str, event: str, body: Any, number: object = 1) -> Incoming:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Incoming(source, f"d-{number}", event, raw, NOW)


_KEPT = {
    "pull_request": Kind.PULL_REQUEST, "pull_request_review": Kind.REVIEW, "milestone": Kind.MILESTONE,
    "release": Kind.RELEASE, "check_run": Kind.CHECK, "check_suite": Kind.CHECK, "workflow_run": Kind.CHECK,
    "workflow_job": Kind.JOB, "status": Kind.CHECK, "push": Kind.PUSH, "deployment": Kind.DEPLOYMENT,
    "deployment_status": Kind.DEPLOYMENT,
}  # fmt: skip


@needs_data
def test_every_recorded_body_of_github_is_recorded_or_not_relevant(any_ledger: Ledger) -> None:
    bodies = github_bodies()
    assert len(bodies) > 240
    store(any_ledger, *(delivered("github", event, path.read_bytes(), path) for event, path in bodies))
    while process_waiting(any_ledger, collector_settings(), NOW, limit=50).total:
        pass
    with any_ledger.read() as connection:
        counts = inbox.depth(connection).counts
        failed = [(one.event, one.told) for one in inbox.listed(connection, state=inbox.FAILED, limit=300)]
        kept = inbox.listed(connection, state=inbox.PROCESSED, limit=300)
        other = inbox.listed(connection, state=inbox.NOT_RELEVANT, limit=300)
    assert failed == []
    assert counts["waiting"] == 0
    assert {one.event for one in kept} >= set(_KEPT) | {"issues"}
    assert all(one.told for one in other)


@needs_data
@pytest.mark.parametrize(
    ("event", "path"),
    [one for one in github_bodies() if one[0] in _KEPT],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_recorded_body_gives_the_record_of_its_kind(event: str, path: Path) -> None:
    wanted = _KEPT[event]
    found = read_delivery("github", event, path.read_bytes(), NOW)
    assert wanted in {one.kind for one in found}
    assert all(one.key and one.at > 0 for one in found)


@needs_data
def test_a_merged_pull_request_tells_what_matters() -> None:
    path = DATA / "github/webhooks/pull_request/reallyfastci__webhook-pr-close.json"
    told = read_delivery("github", "pull_request", path.read_bytes(), NOW)
    pull = next(one for one in told if one.kind is Kind.PULL_REQUEST)
    assert pull.key == "github.com/ailisp/gcbapp-buildconfig-example#3"
    assert pull.fields["merged"] == moment("2019-11-26T07:01:13Z")
    assert pull.fields["merge_sha"] == "a21683865c088b5fe1906cf6552d15a285a4986d"
    assert (pull.fields["additions"], pull.fields["deletions"], pull.fields["commits"]) == (6, 0, 4)


@needs_data
def test_the_events_api_tells_the_same_way() -> None:
    for path in sorted((DATA / "github" / "events-api").glob("PullRequestEvent*merged*")):
        event = json.loads(path.read_bytes())
        body = {**event["payload"], "repository": {"full_name": event["repo"]["name"]}}
        found = read_delivery("github", "pull_request", json.dumps(body).encode(), NOW)
        pull = next(one for one in found if one.kind is Kind.PULL_REQUEST)
        assert pull.fields["merged"]
        assert pull.scope == f"github.com/{event['repo']['name']}"


@needs_data
@pytest.mark.parametrize(
    "path", sorted((DATA / "linear" / "webhooks").glob("*.json")), ids=lambda path: path.stem
)
def test_every_recorded_body_of_linear_is_recorded_or_not_relevant(path: Path) -> None:
    body = json.loads(path.read_bytes())
    kept = {"Issue": Kind.ISSUE, "Project": Kind.PROJECT}.get(body["type"])
    if kept is None:
        with pytest.raises(NotRelevant):
            read_delivery("linear", "", path.read_bytes(), NOW)
        return
    seen = read_delivery("linear", "", path.read_bytes(), NOW)[0]
    assert seen.kind is kept
    assert seen.key == f"linear/{body['data']['id']}"
    assert seen.fields["removed"] is (body["action"] == "remove")
    if kept is Kind.ISSUE and body["action"] != "remove":
        assert seen.fields["identifier"] == f"{body['data']['team']['key']}-{body['data']['number']}"
        assert seen.fields["priority"] == body["data"]["priority"]


# --- signatures --------------------------------------------------------------------------------------


@needs_data
def test_the_published_vectors_of_signatures() -> None:
    told = json.loads((DATA / "signature-vectors.json").read_text())["github"]
    headers = {"x-hub-signature-256": told["value"]}
    assert signatures.is_signed_by_github(told["secret"], told["body"].encode(), headers)
    assert not signatures.is_signed_by_github(told["secret"], told["body"].encode() + b" ", headers)
    assert not signatures.is_signed_by_github("other", told["body"].encode(), headers)
    assert not signatures.is_signed_by_github(told["secret"], told["body"].encode(), {})
    assert not signatures.is_signed_by_github(told["secret"], b"", {"x-hub-signature-256": "sha256=\udcff"})


def test_linears_time_is_that_of_the_signed_body() -> None:
    assert signatures.linear_skew(b'{"webhookTimestamp": 1000}', {"linear-timestamp": "5000"}, 3000) == 2000
    assert signatures.linear_skew(b"{}", {"linear-timestamp": "5000"}, 3000) == 2000
    assert signatures.linear_skew(b"[1]", {}, 3000) is None


# --- the inbox ---------------------------------------------------------------------------------------


def test_the_same_delivery_is_stored_once(any_ledger: Ledger) -> None:
    one = delivered("github", "ping", {"zen": "x"})
    store(any_ledger, one, one)
    store(any_ledger, one._replace(body=b"other"))
    with any_ledger.read() as connection:
        (stored,) = inbox.listed(connection)
        assert inbox.find(connection, stored.id).body == one.body  # type: ignore[union-attr]


def test_what_cannot_be_understood_is_kept_and_does_not_hold_up_the_rest(any_ledger: Ledger) -> None:
    bad = [
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"repository": 7}',
        b'{"repository": {"full_name": "a/b"}, "pull_request": {}}',
        b"[" * 100_000,
    ]
    good = {
        "repository": {"full_name": "a/b"},
        "pull_request": {"number": 1, "title": "x\0y", "updated_at": "2026-01-01T00:00:00Z"},
    }
    store(any_ledger, *(delivered("github", "pull_request", body, n) for n, body in enumerate([*bad, good])))
    done = process_waiting(any_ledger, collector_settings(), NOW, limit=50)
    assert (done.failed, done.processed) == (len(bad), 1)
    with any_ledger.read() as connection:
        assert [pull.title for pull in pull_requests(connection, repository="github.com/a/b")] == ["x�y"]
        assert inbox.depth(connection).counts["failed"] == len(bad)
    assert retry_deliveries(any_ledger, None) == len(bad)
    assert process_waiting(any_ledger, collector_settings(), NOW, limit=50).failed == len(bad)
    with any_ledger.read() as connection:
        assert {one.attempts for one in inbox.listed(connection, state="failed")} == {2}


def test_a_delivery_that_cannot_be_stored_fails_alone(
    any_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from achievement_collector.services import intake

    real = intake.take_in

    def refuse(connection: Any, observations: Any, now: int) -> Any:
        found = list(observations)
        if any(one.key.endswith("#2") for one in found):
            raise ValueError("cannot be stored")
        return real(connection, found, now)

    monkeypatch.setattr(intake, "take_in", refuse)
    bodies = [
        {"repository": {"full_name": "a/b"}, "pull_request": {"number": n, "title": "t"}} for n in (1, 2, 3)
    ]
    store(any_ledger, *(delivered("github", "pull_request", body, n) for n, body in enumerate(bodies)))
    done = process_waiting(any_ledger, collector_settings(), NOW)
    assert (done.processed, done.failed) == (2, 1)


def test_a_form_is_read_as_github_sends_it() -> None:
    from urllib.parse import urlencode

    body = {"repository": {"full_name": "a/b"}, "pull_request": {"number": 5}}
    raw = urlencode({"payload": json.dumps(body)}).encode()
    assert read_delivery("github", "pull_request", raw, NOW)[1].key == "github.com/a/b#5"


def test_a_deployment_of_any_tool() -> None:
    body = {"id": "b1", "repository": "acme/rocket", "environment": "production", "status": "succeeded", "sha": "f" * 40,
            "started_at": "2026-11-18T09:00:00Z", "finished_at": "2026-11-18T09:03:10Z"}  # fmt: skip
    (seen,) = read_delivery("deployments", "deployment", json.dumps(body).encode(), NOW)
    assert seen.key == "github.com/acme/rocket/deployment/b1"
    assert seen.fields["finished"] - seen.fields["started"] == 190_000
    for name in ("id", "repository", "environment", "status"):
        with pytest.raises(NotUnderstood, match=name):
            read_delivery("deployments", "deployment", json.dumps({**body, name: ""}).encode(), NOW)


# --- order does not matter ---------------------------------------------------------------------------

_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["open", "closed", ""]),
    st.lists(st.sampled_from(["bug", "docs"]), max_size=3),
)  # fmt: skip
_OBSERVATIONS = st.lists(
    st.builds(
        lambda at, fields: Observation(Kind.PULL_REQUEST, "k", at, fields),
        st.integers(1, 4),
        st.dictionaries(st.sampled_from(["state", "title", "merged"]), _VALUES, max_size=3),
    ),
    max_size=8,
)


@given(_OBSERVATIONS, st.randoms())
def test_merging_gives_the_same_in_any_order_and_however_often(told: list[Observation], chance: Any) -> None:
    def merged(order: list[Observation]) -> Registers:
        known: Registers = {}
        for one in order:
            known = merge(known, one)
        return known

    shuffled = [*told, *told]
    chance.shuffle(shuffled)
    assert merged(shuffled) == merged(told)


@pytest.mark.parametrize("of_one_moment", [(0, False, 1), (1, True, 0), (1, 1.0, "1"), ([0], [False], [1])])
def test_values_that_python_calls_equal_end_the_same_in_any_order(of_one_moment: tuple[Any, ...]) -> None:
    ends = set()
    for order in permutations(of_one_moment):
        known: Registers = {}
        for value in order:
            known = merge(known, Observation(Kind.PULL_REQUEST, "k", 1, {"state": value}))
        ends.add(repr(known))
    assert len(ends) == 1


def test_the_later_statement_wins_whatever_comes_first() -> None:
    opened = Observation(Kind.PULL_REQUEST, "k", 1, {"merged": None, "title": "a"})
    merged = Observation(Kind.PULL_REQUEST, "k", 2, {"merged": 2})
    for order in ((opened, merged), (merged, opened), (merged, opened, merged)):
        known: Registers = {}
        for one in order:
            known = merge(known, one)
        assert values(known) == {"merged": 2, "title": "a"}


def test_of_two_lists_of_the_same_moment_the_longer_wins() -> None:
    """A pull request that is opened and labelled within one second."""
    told = [
        Observation(Kind.PULL_REQUEST, "k", 1, {"labels": labels})
        for labels in ([], ["bug"], ["bug", "docs"], ["a"])
    ]
    for order in permutations(told):
        known: Registers = {}
        for one in order:
            known = merge(known, one)
        assert values(known) == {"labels": ["bug", "docs"]}
    later = Observation(Kind.PULL_REQUEST, "k", 2, {"labels": []})
    assert values(merge(known, later)) == {"labels": []}


@pytest.mark.parametrize(
    "told",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", 0, -1,
     "2200-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", 7_258_118_400_000, 99_999_999_999, 10**400, float("inf")],
)  # fmt: skip
def test_a_date_that_nobody_can_mean_is_none(told: Any) -> None:
    assert moment(told) is None
    assert Body({"at": told}).moment("at") is None


def test_dates_that_can_be_meant_are_taken() -> None:
    for told in ("1970-01-01T00:00:01Z", 1, 1000.0):
        assert moment(told) == 1000 * (told if isinstance(told, int | float) else 1)
    assert moment("2199-12-31T23:59:59Z") == moment(7_258_118_399) == 7_258_118_399_000


def test_a_pull_request_with_a_date_that_nobody_can_mean_has_none() -> None:
    pull = {"number": 1, "title": "Add it", "state": "closed", "updated_at": "2026-06-01T10:00:00Z",
            "created_at": "0001-01-01T00:00:00Z", "merged_at": "9999-12-31T23:59:59-12:00"}  # fmt: skip
    body = {"action": "closed", "pull_request": pull, "repository": {"full_name": "acme/rocket"}}
    seen = [
        one
        for one in read_delivery("github", "pull_request", json.dumps(body).encode(), NOW)
        if one.kind is Kind.PULL_REQUEST
    ]
    assert [(one.fields.get("created"), one.fields.get("merged")) for one in seen] == [(None, None)]


def test_taking_in_again_changes_nothing(any_ledger: Ledger) -> None:
    told = [Observation(Kind.PULL_REQUEST, f"r#{n}", 5, {"number": n, "title": "t"}, "r") for n in range(30)]
    with any_ledger.write() as connection:
        assert len(take_in(connection, told, NOW)) == 30
    with any_ledger.write() as connection:
        assert take_in(connection, reversed(told), NOW + 1) == []
        assert len(list(things(connection, Kind.PULL_REQUEST, scopes=["r"]))) == 30


def test_an_issue_that_moves_is_found_where_it_is_now(any_ledger: Ledger) -> None:
    def issue(at: int, project: str) -> Observation:
        return Observation(
            Kind.ISSUE, "linear/i", at, {"project": project, "identifier": "ENG-1"}, f"linear/{project}"
        )

    for order in (
        (issue(1, "a"), issue(2, "z")),
        (issue(2, "z"), issue(1, "a")),
        (issue(3, "b"), issue(1, "z")),
    ):
        newest = max(order, key=lambda one: one.at)
        for one in order:
            with any_ledger.write() as connection:
                take_in(connection, [one], NOW)
        with any_ledger.read() as connection:
            found = thing(connection, Kind.ISSUE, "linear/i")
            assert found
            assert found.scope in (newest.scope, "linear/z", "linear/b")
    with any_ledger.read() as connection:
        assert thing(connection, Kind.ISSUE, "linear/i").scope == "linear/b"  # type: ignore[union-attr]
        assert [one.key for one in things(connection, Kind.ISSUE, names=["eng-1"])] == ["linear/i"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
                    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
                    max_leaves=12),
       st.sampled_from(sorted(_KEPT)))  # fmt: skip
def test_no_body_brings_a_reader_down(data: Any, event: str) -> None:
    place = {"repository": {"full_name": "a/b"}, "action": "closed"}
    for body in (data, {**place, event: data}, {**place, "pull_request": data, "review": data, "id": data}):
        for source in ("github", "linear", "deployments"):
            try:
                found = read_delivery(source, event, json.dumps(body).encode(), NOW)
            except (NotRelevant, NotUnderstood):
                continue
            assert all(isinstance(one.key, str) for one in found)


def test_a_body_has_an_answer_to_every_question() -> None:
    body = Body({"n": True, "f": float("nan"), "t": "\ud800\0", "m": "2026-13-01", "s": 1_700_000_000})
    assert body.whole("n") is None
    assert body.number("f") is None
    assert body.text("t") == "?�"
    assert body.moment("m") is None
    assert body.moment("s") == 1_700_000_000_000


@pytest.mark.parametrize(
    ("user", "is_bot"),
    [
        ({"login": "coderabbitai[bot]", "type": "Bot"}, True), ({"login": "Copilot", "type": "Bot"}, True),
        ({"login": "ada", "type": "User"}, False),
    ],
)  # fmt: skip
def test_a_review_tells_whether_a_program_wrote_it(user: dict[str, Any], is_bot: bool) -> None:
    body = {
        "repository": {"full_name": "acme/rocket"}, "pull_request": {"number": 1},
        "review": {"id": 7, "user": user, "state": "approved", "submitted_at": "2026-01-01T00:00:00Z"},
    }  # fmt: skip
    seen = translate("pull_request_review", Body(body), 0)[-1]
    assert (seen.kind, seen.fields["is_bot"]) == (Kind.REVIEW, is_bot)
