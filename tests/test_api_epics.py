"""Epics over HTTP: begun by hand or by a pull request, corrected by hand, completed, read by seven readers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from achievement_collector.ledger.store import Ledger
from achievement_collector.services.epics import PERSONAS
from tests.serving import NOW, TestClient, from_github, serving, work_off


class World:
    """A server, and a GitHub that tells it of pull requests. Every step is a second after the one before."""

    def __init__(self, client: TestClient, ledger: Ledger) -> None:
        self.client = client
        self._ledger = ledger
        self.now = NOW
        client.app.state.own.clock = lambda: self.now  # type: ignore[attr-defined]

    def post(self, path: str, status: int = 202, **body: Any) -> Any:
        self.now += 1_000
        answer = self.client.post(path, json=body) if body else self.client.post(path)
        assert answer.status_code == status, answer.text
        work_off(self._ledger, now=self.now)
        return answer

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pull(
        self, number: int, body: str = "", *, is_merged: bool = False, title: str = "feat: part"
    ) -> None:
        """GitHub tells how a pull request stands now."""
        self.now += 1_000
        from datetime import UTC, datetime

        at = datetime.fromtimestamp(self.now / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {
            "number": number, "title": f"{title} {number}", "body": body, "user": {"login": "ada", "id": 1, "type": "User"},
            "draft": False, "created_at": "2026-11-01T08:00:00Z", "updated_at": at, "labels": [],
            "html_url": f"https://github.com/acme/rocket/pull/{number}", "head": {"ref": f"part-{number}", "sha": f"{number:040x}"},
            "base": {"ref": "main"}, "state": "closed" if is_merged else "open", "merged": is_merged,
            "merged_at": at if is_merged else None, "closed_at": at if is_merged else None,
            "merge_commit_sha": f"{number + 1000:040x}", "additions": 120, "deletions": 4, "changed_files": 3, "commits": 2,
        }  # fmt: skip
        event = {"action": "closed" if is_merged else "edited", "pull_request": told,
                 "repository": {"full_name": "acme/rocket", "html_url": "https://github.com/acme/rocket", "id": 1}}  # fmt: skip
        answer = self.client.post(**from_github(event, "pull_request", f"d-{self.now}"))
        assert answer.status_code == 202
        work_off(self._ledger, now=self.now)

    def pulls_of(self, key: str) -> set[str]:
        """The pull requests that its evidence names."""
        epic = json.dumps(self.get(f"/epics/{key}"))
        return {
            str(number)
            for number in range(1, 10)
            if f"acme/rocket#{number}" in epic or f"rocket/pull/{number}" in epic
        }


@pytest.fixture
def world(any_ledger: Ledger) -> Iterator[World]:
    with serving(any_ledger) as client:
        yield World(client, any_ledger)


def test_an_epic_is_started_and_shown(world: World) -> None:
    answer = world.post("/epics", key="E5.1", title="Search", description="Find things.")
    assert answer.json() == {"key": "E5.1", "status": "accepted"}
    assert answer.headers["location"] == "/epics/E5.1"
    epic = world.get("/epics/E5.1")
    assert (epic["status"], epic["revision"], epic["content_hash"]) == ("draft", 0, None)
    assert "Search" in epic["title"]
    assert epic["unmet"]
    assert [one["key"] for one in world.get("/epics")] == ["E5.1"]
    assert world.get("/epics/e5.1") == world.get("/epics/Search") == epic  # any case, and by its title


def test_starting_it_again_sets_its_title_and_begins_nothing_anew(world: World) -> None:
    world.post("/epics", key="E5.1", title="Search")
    world.post("/epics", key="E5.1", title="Better search")
    assert "Better search" in world.get("/epics/E5.1")["title"]
    assert [one["kind"] for one in world.get("/epics/E5.1/events")] == ["started", "grew"]


@pytest.mark.parametrize("key", ["CI.CD", "Ж1", "a?b#c", "100%", "a\"b'c"])
def test_any_one_word_is_a_key_and_its_address_is_told(world: World, key: str) -> None:
    answer = world.post("/epics", key=key, title="x")
    place = answer.headers["location"]
    assert place.startswith("/epics/")
    epic = world.get(place)
    assert epic["status"] == "draft"
    assert world.get("/epics")[0]["key"] == key
    assert world.get(f"{place}/events")[0]["epic"] == key
    world.post(f"{place}/complete")
    assert world.client.get(f"{place}/versions/technical").status_code == 200


def test_pull_requests_make_it_grow_and_the_events_tell_how(world: World) -> None:
    world.pull(1, "Epic: E5.1")
    assert world.pulls_of("E5.1") == {"1"}
    world.pull(1, "Epic: E5.1", is_merged=True)
    world.pull(2, "Epic: E5.1")
    assert world.pulls_of("E5.1") == {"1", "2"}
    assert world.get("/epics")[0]["prs_merged"] == 1
    events = world.get("/epics/E5.1/events")
    assert events[0]["kind"] == "started"
    assert {one["kind"] for one in events[1:]} == {"grew"}
    assert all(one["changes"] and one["cause"] and one["recorded"] for one in events)
    assert world.get(f"/epics/E5.1/events?after={events[0]['id']}") == events[1:]
    assert world.get("/epics/E5.1/events?limit=1") == events[:1]
    assert "events" not in world.get("/epics/E5.1")


def test_what_a_person_takes_out_stays_out_whatever_is_told_later(world: World) -> None:
    world.post("/epics", key="E5.1", title="Search")
    world.pull(1, "Epic: E5.1")
    world.pull(2, "Epic: E5.1")
    world.post("/epics/E5.1/links", pull_request="acme/rocket#2", belongs=False)
    assert world.pulls_of("E5.1") == {"1"}
    world.pull(2, "Epic: E5.1 really", is_merged=True)
    assert world.pulls_of("E5.1") == {"1"}
    world.post("/epics/E5.1/links", pull_request="acme/rocket#2")
    assert world.pulls_of("E5.1") == {"1", "2"}


def test_what_a_person_puts_in_stays_in_whatever_is_told_later(world: World) -> None:
    world.post("/epics", key="E5.1", title="Search")
    world.pull(3, "names nothing")
    world.post("/epics/E5.1/links", pull_request="https://github.com/acme/rocket/pull/3")
    assert world.pulls_of("E5.1") == {"3"}
    world.pull(3, "Epic: E9", is_merged=True)
    assert world.pulls_of("E5.1") == {"3"}


def test_completing_by_hand_writes_for_every_reader_and_tells_of_it(world: World) -> None:
    world.pull(1, "Epic: E5.1", is_merged=True)
    for persona in PERSONAS:
        assert (
            world.client.get(f"/epics/E5.1/versions/{persona}").status_code == 404
        )  # none before it is final
    assert world.post("/epics/e5.1/complete").json() == {"key": "E5.1", "status": "accepted"}
    epic = world.get("/epics/E5.1")
    assert (epic["status"], epic["revision"], len(epic["content_hash"])) == ("completed", 1, 64)
    texts = set()
    for persona in PERSONAS:
        for name in {persona, persona.replace("_", "-")}:
            answer = world.client.get(f"/epics/E5.1/versions/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
            assert "E5.1" in answer.text
            texts.add(answer.text)
    assert len(texts) == len(PERSONAS)
    (told,) = world.get("/notifications")
    assert (told["kind"], told["body"]["epic"], told["body"]["revision"]) == ("epic.finalised", "E5.1", 1)
    assert world.get(f"/notifications?after={told['id']}") == []
    achievement = world.get(f"/achievements/{told['body']['achievement']}")
    assert achievement["kind"] == "epic"


def test_late_news_reopen_it_and_a_new_revision_keeps_the_old_one(world: World) -> None:
    world.pull(1, "Epic: E5.1", is_merged=True)
    world.post("/epics/E5.1/complete")
    first = world.client.get("/epics/E5.1/versions/technical").text
    world.pull(2, "Epic: E5.1", is_merged=True)
    assert world.get("/epics/E5.1")["revision"] == 2
    second = world.client.get("/epics/E5.1/versions/technical").text
    assert second != first
    assert world.client.get("/epics/E5.1/versions/technical?revision=1").text == first
    assert world.client.get("/epics/E5.1/versions/technical?revision=2").text == second
    assert world.client.get("/epics/E5.1/versions/technical?revision=3").status_code == 404
    assert [one["kind"] for one in world.get("/notifications")] == [
        "epic.finalised", "epic.reopened", "epic.finalised",
    ]  # fmt: skip


def test_a_completion_by_hand_is_taken_back(world: World) -> None:
    world.pull(1, "Epic: E5.1", is_merged=True)
    world.post("/epics/E5.1/complete")
    assert world.post("/epics/E5.1/reopen").json() == {"key": "E5.1", "status": "accepted"}
    assert world.get("/epics/E5.1")["status"] == "draft"
    assert [one["kind"] for one in world.get("/achievements")["achievements"]] == ["change"]


def test_what_cannot_be_done_with_epics_is_a_problem_in_words(world: World, subtests: Any) -> None:
    world.post("/epics", key="E1")
    for method, path, body, status, word in (
        ("GET", "/epics/E2", None, 404, "E2"),
        ("GET", "/epics/a/b/c", None, 404, "a/b/c"),
        ("GET", "/epics/%00", None, 404, ""),
        ("GET", "/epics/E2/events", None, 404, "E2"),
        ("GET", "/epics/E1/events?limit=0", None, 422, "query.limit"),
        ("GET", "/epics/E2/versions/technical", None, 404, "E2"),
        ("GET", "/epics/E1/versions/nobody", None, 404, "no final version"),
        ("GET", "/epics/E1/versions/technical?revision=0", None, 422, "query.revision"),
        ("POST", "/epics/E2/complete", None, 404, "E2"),
        ("POST", "/epics/E2/reopen", None, 404, "E2"),
        ("POST", "/epics", {"key": "two words"}, 400, "one word"),
        ("POST", "/epics", {"key": "CI/CD"}, 400, "without /"),
        ("POST", "/epics", {"key": ""}, 422, "body.key"),
        ("POST", "/epics", {"key": "x" * 61}, 422, "body.key"),
        ("POST", "/epics", {"key": "E2", "owner": "x"}, 422, "body.owner"),
        ("POST", "/epics/E1/links", {"pull_request": "twelve"}, 400, "owner/name#12"),
        ("POST", "/epics/E1/links", {"pull_request": "acme/rocket#99"}, 404, "acme/rocket#99"),
        ("POST", "/epics/E1/links", {"pull_request": "acme/rocket#99", "belongs": "maybe"}, 422, "body.belongs"),
        ("POST", "/epics/E2/links", {"pull_request": "acme/rocket#1", "belongs": False}, 404, "E2"),
    ):  # fmt: skip
        with subtests.test(f"{method} {path} {body}"):
            answer = (
                world.client.request(method, path, json=body) if body else world.client.request(method, path)
            )
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json().keys() >= {"type", "title", "status", "detail"}
            assert word in answer.text
