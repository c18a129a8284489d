"""Achievements over HTTP: stated, found, edited, removed; errors as problems; what a scrape tells."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from achievement_collector import __version__
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.epics import complete_epic
from achievement_collector.services.scanning import derive_all
from tests.conftest import scan_into
from tests.git_repositories import BOB, Repository, lines
from tests.outside_world import World, day, merged
from tests.serving import (
    GITHUB,
    NOW,
    OWN_TOKEN,
    SECRETS,
    TestClient,
    from_github,
    server_settings,
    serving,
    until,
    work_off,
)  # fmt: skip

ADA = "Ada Lovelace <ada@acme.example>"
PROBLEM = "application/problem+json"


@pytest.fixture
def client(any_ledger: Ledger) -> Iterator[TestClient]:
    with serving(any_ledger) as opened:
        opened.app.state.own.clock = lambda: NOW  # type: ignore[attr-defined]
        yield opened


@pytest.fixture
def history(any_ledger: Ledger, repository: Repository) -> Repository:
    """What git told of a small project."""
    repository.commit("feat: add the parser", {"src/parser.py": lines(90), "tests/test_parser.py": lines(40)})
    repository.commit("fix: handle empty input", {"src/parser.py": lines(95)}, author=BOB)
    repository.commit("docs: explain it", {"docs/guide.md": lines(60)})
    repository.commit("tweak", {"x.txt": "x\n"})
    repository.tag("v1.0.0", "The first one.")
    scan_into(any_ledger, repository.path)
    return repository


def state(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/achievements", json={"title": "Led the March incident", "person": ADA, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def titles(client: TestClient, **filters: Any) -> set[str]:
    answer = client.get("/achievements", params=filters)
    assert answer.status_code == 200, answer.text
    return {one["title"] for one in answer.json()["achievements"]}


def is_problem(answer: Any, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told: dict[str, Any] = answer.json()
    assert {name: type(told[name]) for name in ("type", "title", "status", "detail")} == {
        "type": str,
        "title": str,
        "status": int,
        "detail": str,
    }
    assert told["status"] == status
    for word in words:
        assert word in answer.text
    return told


# --- stating and reading -----------------------------------------------------------------------------


def test_what_is_stated_is_shown_as_stated(client: TestClient) -> None:
    given = {
        "title": "Mentored two colleagues", "description": "Weekly, for half a year.", "date": "2026-03-31", "category": "feature",
        "link": "https://acme.example/talk", "value": "Both lead teams now.", "impact": 70, "skills": ["mentoring"],
        "person": ADA,
    }  # fmt: skip
    answer = client.post("/achievements", json=given)
    assert answer.status_code == 201
    made = answer.json()
    shown = client.get(answer.headers["location"]).json()
    assert answer.headers["location"] == f"/achievements/{made['id']}"
    assert made.items() <= shown.items()
    assert (shown["kind"], shown["title"], shown["description"]) == (
        "stated",
        given["title"],
        given["description"],
    )
    assert shown["occurred"].startswith("2026-03-31")
    assert shown["category"]["name"] == "feature"
    assert shown["impact"]["value"] == 70
    assert shown["people"][0]["name"] == "Ada Lovelace"
    assert shown["skills"][0]["name"] == "mentoring"
    assert "stated by Ada Lovelace" in shown["counts_because"]
    assert shown["business_value"]["kind"] == "stated"
    assert given["link"] in str(shown["evidence"])


def test_what_is_left_away_is_not_made_up(client: TestClient) -> None:
    made = state(client)
    assert made["impact"] is None
    assert made["complexity"] is None
    assert made["category"]["name"] == "unsure"
    assert made["occurred"].startswith("2026-11-18")  # the day of the server's clock
    assert (made["skills"], made["description"]) == ([], "")


def test_the_beginning_of_an_id_is_enough(client: TestClient) -> None:
    made = state(client)
    assert client.get(f"/achievements/{made['id'][:6]}").json()["id"] == made["id"]


def test_what_git_told_comes_with_the_commands_that_verify_it(
    client: TestClient, history: Repository
) -> None:
    (found,) = client.get("/achievements", params={"search": "parser"}).json()["achievements"]
    shown = client.get(f"/achievements/{found['id']}").json()
    assert shown["kind"] == "change"
    assert shown["tags"] == ["v1.0.0"]
    assert any("git" in command for command in shown["verify"])
    assert shown["impact"]["value"] == round(sum(part["points"] for part in shown["impact"]["parts"]))


def test_any_text_can_be_stated_and_found(client: TestClient) -> None:
    for number, text in enumerate(
        ("日本語 🚀", "%_\\'\"; DROP TABLE", "<script>", "a\0b", "x" * 500, "e\u0301")
    ):
        made = state(client, title=text, description=text)
        assert client.get(f"/achievements/{made['id']}").status_code == 200
        assert made["id"] in [
            one["id"] for one in client.get("/achievements", params={"search": text}).json()["achievements"]
        ], number


# --- filters -----------------------------------------------------------------------------------------


def test_filters_of_the_list(client: TestClient, history: Repository) -> None:
    everything = {"Add the parser", "Handle empty input", "Explain it", "project release 1.0.0"}
    assert titles(client) == everything
    assert titles(client, category="bugfix") == {"Handle empty input"}
    assert titles(client, kind="release") == {"project release 1.0.0"}
    assert titles(client, person="Bob") == titles(client, person=BOB[1]) == {"Handle empty input"}
    assert titles(client, search="EXPLAIN") == {"Explain it"}
    assert titles(client, skill="technical writing") == {"Explain it"}
    assert titles(client, since="2023-11-16", until="2023-11-16") == {"Handle empty input"}
    assert titles(client, since="2023") == everything
    assert titles(client, until="2022") == titles(client, min_impact=100) == set()
    assert titles(client, repository="project") == everything
    assert titles(client, left_out=True) == {"Tweak"}
    assert titles(client, category="bugfix", person="Alice Archer") == set()


def test_the_order_is_by_impact_or_the_newest_first(client: TestClient) -> None:
    for title, impact, date in (("a", 10, "2026-03-01"), ("b", 90, "2026-01-01"), ("c", 50, "2026-02-01")):
        state(client, title=title, impact=impact, date=date)

    def order(**asked: str) -> str:
        return "".join(
            one["title"] for one in client.get("/achievements", params=asked).json()["achievements"]
        )

    assert (order(), order(order="impact"), order(order="newest")) == ("bca", "bca", "acb")


@pytest.mark.parametrize("order", ["impact", "newest"])
def test_pages_skip_nothing_and_show_nothing_twice_while_rows_come_and_go(
    client: TestClient, order: str
) -> None:
    chance = random.Random(7)

    def add(count: int) -> list[str]:
        return [
            state(client, title=f"{chance.random()}", impact=chance.choice([None, 0, 50, 50, 90]),
                  date=f"2026-0{chance.randint(1, 3)}-0{chance.randint(1, 3)}")["id"]
            for _ in range(count)
        ]  # fmt: skip

    before = add(30)
    stays = set(before)
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get("/achievements", params={"order": order, "limit": 7, "cursor": cursor}).json()
        seen += [one["id"] for one in page["achievements"]]
        assert len(page["achievements"]) == 7 or page["next"] is None
        cursor = page["next"] or ""
        if not cursor:
            break
        add(2)
        gone = chance.choice(sorted(stays))
        stays.discard(gone)
        assert client.delete(f"/achievements/{gone}").status_code == 200
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


def test_the_last_page_has_no_cursor_however_it_ends(client: TestClient) -> None:
    assert client.get("/achievements").json() == {"achievements": [], "next": None, "matching": 0, "epics": 0}
    for number in range(4):
        state(client, title=str(number))
    first = client.get("/achievements", params={"limit": 2}).json()
    second = client.get("/achievements", params={"limit": 2, "cursor": first["next"]}).json()
    assert len(second["achievements"]) == 2
    assert second["next"] is None


# --- editing and removing ----------------------------------------------------------------------------


def test_a_page_tells_how_many_there_are_in_all_and_epics_beside_them(any_ledger: Ledger) -> None:
    world = World(any_ledger)
    world.tell(*(merged(n, day(n), body="Epic: E1") for n in (1, 2, 3)))
    complete_epic(any_ledger, "E1", True, world.now)
    world.conclude()
    with serving(any_ledger) as client:
        page = client.get("/achievements", params={"limit": 2}).json()
        assert (page["matching"], page["epics"], len(page["achievements"])) == (3, 1, 2)
        assert client.get("/stats").json()["achievements"] == 3
        rest = client.get("/achievements", params={"limit": 9, "cursor": page["next"]}).json()
        assert (rest["matching"], rest["epics"], len(rest["achievements"])) == (3, 1, 2)
        epics = client.get("/achievements", params={"kind": "epic"}).json()
        assert (epics["matching"], epics["epics"]) == (1, 1)
        world.tell(merged(4, day(4)))  # what was counted is counted anew
        assert client.get("/achievements").json()["matching"] == 4


def test_an_edit_survives_derivation_and_can_be_taken_back(
    client: TestClient, any_ledger: Ledger, history: Repository
) -> None:
    (found,) = client.get("/achievements", params={"search": "parser"}).json()["achievements"]
    own = {
        "title": "Parser for everything",
        "description": "Ours.",
        "impact": 88,
        "complexity": 77,
        "value": "Saves a day.",
    }
    edited = client.patch(f"/achievements/{found['id']}", json=own)
    assert edited.status_code == 200
    for shown in (edited.json(), _derived_again(client, any_ledger, found["id"])):
        assert (shown["title"], shown["description"]) == (own["title"], own["description"])
        assert (shown["impact"]["value"], shown["complexity"]["value"]) == (88, 77)
        assert shown["business_value"]["text"] == "Saves a day."
        assert set(shown["edited"]) == set(own)
    assert titles(client, search="everything") == {own["title"]}
    taken_back = client.patch(f"/achievements/{found['id']}", json={"reset": list(own)})
    assert taken_back.status_code == 200
    assert taken_back.json() == found


def _derived_again(client: TestClient, ledger: Ledger, id: str) -> dict[str, Any]:
    derive_all(ledger, server_settings(), everything=True)
    return dict(client.get(f"/achievements/{id}").json())


def test_a_stated_achievement_is_edited_as_any_other(client: TestClient) -> None:
    made = state(client, impact=10)
    assert client.patch(f"/achievements/{made['id']}", json={"impact": 60}).json()["impact"]["value"] == 60
    assert (
        client.patch(f"/achievements/{made['id']}", json={"reset": ["impact"]}).json()["impact"]["value"]
        == 10
    )


def test_deleting_removes_what_was_stated_and_hides_what_was_derived(
    client: TestClient, any_ledger: Ledger, history: Repository
) -> None:
    made = state(client)
    assert client.delete(f"/achievements/{made['id']}").json() == {"id": made["id"], "status": "deleted"}
    is_problem(client.get(f"/achievements/{made['id']}"), 404)
    is_problem(client.delete(f"/achievements/{made['id']}"), 404)
    (found,) = client.get("/achievements", params={"search": "parser"}).json()["achievements"]
    for _ in range(2):
        assert client.delete(f"/achievements/{found['id']}").json() == {"id": found["id"], "status": "hidden"}
    _derived_again(client, any_ledger, found["id"])
    assert "Add the parser" not in titles(client)
    assert "Add the parser" in titles(client, hidden=True)
    client.patch(f"/achievements/{found['id']}", json={"hidden": False})
    assert "Add the parser" in titles(client)


# --- problems ----------------------------------------------------------------------------------------

GOOD = {"title": "t", "person": ADA}
BAD = [
    ("GET", "/nothing", {}, 404, ""),
    ("PUT", "/achievements", {}, 405, ""),
    ("GET", "/achievements/0000", {}, 404, "no achievement"),
    ("GET", "/achievements/xyz", {}, 404, "4 to 12 hex digits"),
    ("GET", "/achievements/" + "a" * 3_000, {}, 404, ""),
    ("GET", "/achievements?cursor=abc", {}, 400, "cursor"),
    ("GET", "/achievements?cursor=%C3%A9", {}, 400, "cursor"),
    ("GET", "/achievements?cursor=W10", {}, 400, "cursor"),
    ("GET", "/achievements?cursor=WyJpbXBhY3QiLCBJbmZpbml0eSwgMCwgImEiXQ", {}, 400, "cursor"),  # an impact of Infinity
    ("GET", "/achievements?cursor=WyJpbXBhY3QiLCAxLCAwLCAiXHVkODAwIl0", {}, 400, "cursor"),  # a lone surrogate as the id
    ("GET", "/achievements?cursor=WyJpbXBhY3QiLCAxLCAwLCAiYVx1MDAwMCJd", {}, 400, "cursor"),  # a NUL in the id
    ("GET", "/achievements?category=nonsense", {}, 400, "bugfix"),
    ("GET", "/achievements?kind=nonsense", {}, 400, "release"),
    ("GET", "/achievements?person=Nobody", {}, 404, "Nobody"),
    ("GET", "/achievements?repository=nowhere", {}, 404, "nowhere"),
    ("GET", "/achievements?since=yesterday", {}, 400, "2026-03-31"),
    ("GET", "/achievements?since=9999y", {}, 400, "9999y"),
    ("GET", "/stats?until=9999-12-31", {}, 400, "9999-12-31"),
    ("GET", "/stats?until=0001-01-01T00:00:00%2B23:59", {}, 400, "0001"),
    ("GET", "/achievements?limit=0", {}, 422, "query.limit"),
    ("GET", "/achievements?limit=201", {}, 422, "query.limit"),
    ("GET", "/achievements?order=best", {}, 422, "query.order"),
    ("GET", "/achievements?min_impact=101", {}, 422, "query.min_impact"),
    ("GET", "/achievements?search=" + "a" * 501, {}, 422, "query.search"),
    ("POST", "/achievements", {"json": {}}, 422, "body.title"),
    ("POST", "/achievements", {"json": {**GOOD, "colour": "red"}}, 422, "body.colour"),
    ("POST", "/achievements", {"json": {**GOOD, "impact": 101}}, 422, "body.impact"),
    ("POST", "/achievements", {"json": {**GOOD, "skills": [" "]}}, 422, "body.skills.0"),
    ("POST", "/achievements", {"json": {**GOOD, "title": "  "}}, 400, "title"),
    ("POST", "/achievements", {"json": {**GOOD, "category": "magic"}}, 400, "category"),
    ("POST", "/achievements", {"json": {**GOOD, "date": "2999-01-01"}}, 400, "future"),
    ("POST", "/achievements", {"json": {**GOOD, "date": "9999y"}}, 400, "9999y"),
    ("POST", "/achievements", {"json": {**GOOD, "link": "javascript:alert(1)"}}, 400, "link"),
    ("POST", "/achievements", {"json": {**GOOD, "person": "Nobody"}}, 404, "Nobody"),
    ("POST", "/achievements", {"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "body"),
    ("POST", "/achievements", {"content": b'{"title": "\xff"}', "headers": {"Content-Type": "application/json"}}, 400, ""),
    ("POST", "/achievements", {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400, ""),
    ("POST", "/achievements", {"content": b"{}"}, 422, "body"),
    ("PATCH", "/achievements/0000", {"json": {"impact": 5}}, 404, ""),
    ("PATCH", "/achievements/0000", {"json": {"impact": "high"}}, 422, "body.impact"),
    ("PATCH", "/achievements/0000", {"json": {}}, 400, "nothing to set"),
    ("PATCH", "/achievements/0000", {"json": {"reset": ["commits"]}}, 400, "commits"),
    ("DELETE", "/achievements/0000", {}, 404, ""),
    ("GET", "/inbox?state=lost", {}, 400, "waiting"),
    ("GET", "/inbox/7", {}, 404, "7"),
    ("GET", "/inbox/99999999999999999999999", {}, 404, ""),
    ("GET", "/inbox/seven", {}, 422, "path.number"),
    ("POST", "/inbox/7/retry", {}, 404, "7"),
    ("GET", "/notifications?after=-1", {}, 422, "query.after"),
    ("POST", "/ci/metrics", {"json": {"repository": "a/b", "sha": "abc", "build_time_seconds": 1}}, 400, "commit"),
    ("POST", "/ci/metrics", {"json": {"repository": "a/b", "sha": "a" * 40}}, 400, "nothing to take in"),
    ("POST", "/ci/metrics", {"json": {"repository": "?", "sha": "a" * 40, "build_time_seconds": 1}}, 400, "owner/name"),
]  # fmt: skip


def test_what_cannot_be_done_is_a_problem_in_words(client: TestClient, subtests: Any) -> None:
    for method, path, more, status, word in BAD:
        with subtests.test(f"{method} {path[:60]} {str(more)[:60]}"):
            told = is_problem(client.request(method, path, **more), status, word)
            assert told["type"] == "about:blank"
            assert "Traceback" not in str(told)


def test_a_problem_names_the_place_and_not_the_value(client: TestClient) -> None:
    answer = client.post(
        "/achievements", json={**GOOD, "impact": "s3cret-value", "category": ["s3cret-value"]}
    )
    told = is_problem(answer, 422)
    assert {one["at"] for one in told["errors"]} == {"body.impact", "body.category"}
    assert "s3cret-value" not in answer.text


def test_an_unexpected_error_tells_nothing_of_the_inside(
    any_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from achievement_collector.services import records

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"the inside {OWN_TOKEN}")

    monkeypatch.setattr(records, "page_of_achievements", fail)
    with serving(any_ledger, server_settings(api_token=OWN_TOKEN), token=OWN_TOKEN) as client:
        quiet = TestClient(
            client.app, "http://localhost", headers=client.headers, raise_server_exceptions=False
        )
        answer = quiet.get("/achievements")
    is_problem(answer, 500, "the log of the server")
    assert "inside" not in answer.text


def test_a_ledger_that_fails_is_503_and_is_not_described(any_ledger: Ledger) -> None:
    import sqlalchemy as sa

    with any_ledger.write() as connection:
        connection.execute(sa.text("ALTER TABLE achievements RENAME TO elsewhere"))
    with serving(any_ledger) as client:
        answer = client.get("/achievements")
    is_problem(answer, 503, "try again")
    assert "retry-after" in answer.headers
    assert "SELECT" not in answer.text


def test_no_answer_holds_a_secret(any_ledger: Ledger) -> None:
    with serving(any_ledger, server_settings(api_token=OWN_TOKEN), token=OWN_TOKEN) as client:
        answers = [client.request(method, path, **more) for method, path, more, *_ in BAD]
        answers += [client.get(path) for path in ("/metrics", "/openapi.json", "/docs", "/inbox", "/readyz")]
        answers += [client.post(**from_github({}, secret="another")), client.post(**from_github({}))]
        for answer in answers:
            assert not any(secret in answer.text + str(answer.headers) for secret in SECRETS)


# --- people, skills, counts --------------------------------------------------------------------------


def test_people_are_listed_with_what_they_did_and_no_score(client: TestClient, history: Repository) -> None:
    state(client)
    found = {one["name"]: one for one in client.get("/people").json()}
    assert found.keys() == {"Alice Archer", "Bob Builder", "Ada Lovelace"}
    assert found["Bob Builder"]["commits"] == 1
    assert found["Ada Lovelace"]["achievements"] == 1
    assert not any("score" in name or "impact" in name for one in found.values() for name in one)
    assert [one["name"] for one in client.get("/people", params={"search": "bob"}).json()] == ["Bob Builder"]


def test_skills_and_counts_are_those_of_the_selection(client: TestClient, history: Repository) -> None:
    state(client, skills=["mentoring"], category="feature", date="2026-03-31")
    assert {"mentoring", "Python"} <= {one["name"] for one in client.get("/skills").json()}
    assert [one["name"] for one in client.get("/skills", params={"person": "Ada Lovelace"}).json()] == [
        "mentoring"
    ]
    told = client.get("/stats").json()
    assert told["achievements"] == sum(told["months"].values()) == sum(told["categories"].values()) == 5
    assert told["left_out"] == 1
    assert told["months"]["2026-03"] == 1
    assert client.get("/stats", params={"category": "bugfix"}).json()["categories"] == {"bugfix": 1}


# --- the inbox ---------------------------------------------------------------------------------------


def test_the_inbox_lists_shows_and_retries(client: TestClient, any_ledger: Ledger) -> None:
    for number in range(5):
        client.post(**from_github({"zen": str(number)}, "ping", f"d-{number}"))
    client.post(**from_github(b"no json", "pull_request", "bad"))
    work_off(any_ledger)
    told = client.get("/inbox", params={"limit": 4}).json()
    assert told["counts"] == {"waiting": 0, "processed": 0, "not_relevant": 5, "failed": 1}
    assert [one["delivery"] for one in told["deliveries"]] == ["bad", "d-4", "d-3", "d-2"]
    rest = client.get("/inbox", params={"limit": 4, "before": told["next"]}).json()
    assert ([one["delivery"] for one in rest["deliveries"]], rest["next"]) == (["d-1", "d-0"], None)
    (bad,) = client.get("/inbox", params={"state": "failed", "source": "github"}).json()["deliveries"]
    assert client.get("/inbox", params={"source": "linear"}).json()["deliveries"] == []
    shown = client.get(f"/inbox/{bad['id']}").json()
    assert shown.items() >= bad.items()
    assert (shown["body"], shown["attempts"], bool(shown["told"])) == ("no json", 1, True)
    assert client.post(f"/inbox/{bad['id']}/retry").json() == {"retried": 1}
    assert client.get(f"/inbox/{bad['id']}").json()["state"] == "waiting"
    work_off(any_ledger)
    assert client.get(f"/inbox/{bad['id']}").json()["attempts"] == 2


def test_measures_of_ci_are_taken_in_once(client: TestClient) -> None:
    junit = '<testsuite tests="2" failures="0"><testcase name="a"/><testcase name="b"/></testsuite>'
    body = {
        "repository": "acme/rocket", "sha": "A" * 40, "build_time_seconds": 12.5,
        "files": [{"kind": "junit", "name": "r.xml", "content": junit}],
    }  # fmt: skip
    answer = client.post("/ci/metrics", json=body)
    assert answer.status_code == 201
    told = answer.json()
    assert (told["repository"], told["sha"], told["is_new"]) == ("github.com/acme/rocket", "a" * 40, True)
    assert told["taken"] == {"tests": "2 tests, 0 failed, 0 skipped", "build_time": "12.5 s"}
    assert client.post("/ci/metrics", json=body).json()["is_new"] is False


# --- operations --------------------------------------------------------------------------------------


def scraped(client: TestClient) -> dict[str, Any]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {one.name: one for one in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Any], name: str, sample: str = "", **labels: str) -> float:
    own = families[f"achievement_collector_{name}"]
    wanted = f"achievement_collector_{sample or name}"
    (found,) = (
        one.value for one in own.samples if one.name == wanted and labels.items() <= one.labels.items()
    )
    return float(found)


def test_a_scrape_has_the_names_that_dashboards_ask_for(client: TestClient) -> None:
    families = scraped(client)
    told = {name.removeprefix("achievement_collector_"): one.type for name, one in families.items()}
    assert told.items() >= {
        "threads_integrations": "counter", "prometheus_scrapes": "counter", "ai_analysis_duration_seconds": "histogram",
        "viral_posts_tracked": "counter", "kpi_milestones": "counter", "inbox_depth": "gauge", "inbox_lag_seconds": "gauge",
        "inbox_failures": "gauge", "deliveries": "counter", "http_requests": "counter",
    }.items()  # fmt: skip
    samples = {
        sample.name.removeprefix("achievement_collector_")
        for one in families.values()
        for sample in one.samples
    }
    assert samples >= {
        "threads_integrations_total", "viral_posts_tracked_total", "kpi_milestones_total", "ai_analysis_duration_seconds_bucket",
        "ai_analysis_duration_seconds_sum", "ai_analysis_duration_seconds_count",
    }  # fmt: skip
    assert all(one.documentation for one in families.values())


def test_a_scrape_tells_depth_lag_and_failures_of_the_inbox(client: TestClient, any_ledger: Ledger) -> None:
    families = scraped(client)
    assert [value(families, name) for name in ("inbox_depth", "inbox_lag_seconds", "inbox_failures")] == [
        0,
        0,
        0,
    ]
    client.post(**from_github(b"no json", "pull_request", "bad"))
    for secret in (GITHUB, GITHUB, "another"):
        client.post(**from_github({"zen": ""}, "ping", "good", secret))
    families = scraped(client)
    assert value(families, "inbox_depth") == value(families, "inbox_deliveries", state="waiting") == 2
    assert value(families, "inbox_lag_seconds") >= 0
    counts = {
        answer: value(families, "deliveries", "deliveries_total", source="github", answer=answer)
        for answer in ("accepted", "duplicate", "refused")
    }
    assert counts == {"accepted": 2, "duplicate": 1, "refused": 1}
    assert value(families, "delivery_accept_duration_seconds", "delivery_accept_duration_seconds_count") == 3
    work_off(any_ledger)
    families = scraped(client)
    assert (value(families, "inbox_depth"), value(families, "inbox_failures")) == (0, 1)


def test_requests_are_counted_by_route_and_senders_cannot_make_up_series(client: TestClient) -> None:
    client.get("/achievements/0000")
    client.get("/achievements/1111")
    for number in range(5):
        client.get(f"/nothing/{number}")
        client.request(f"X{number}", "/epics")
    own = scraped(client)["achievement_collector_http_requests"]
    counts = {tuple(one.labels.values()): one.value for one in own.samples}
    assert counts["GET", "/achievements/{id}", "404"] == 2
    assert counts["GET", "none", "404"] == 5
    assert {method for method, _, _ in counts} == {"GET", "other"}


def test_health_and_readiness(any_ledger: Ledger) -> None:
    with serving(any_ledger) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}
        own = client.app.state.own  # type: ignore[attr-defined]
        own.is_ready = lambda: False
        is_problem(client.get("/readyz"), 503, "starting")
        assert client.get("/healthz").status_code == 200


def test_the_application_works_on_what_comes_in_until_it_ends(any_ledger: Ledger) -> None:
    with serving(any_ledger) as client, client:  # entered, it works in the background
        client.post(**from_github({"zen": ""}, "ping"))
        until(lambda: client.get("/inbox").json()["counts"]["waiting"] == 0)
        threads = list(client.app.state.own.work._threads)  # type: ignore[attr-defined]
        assert all(thread.is_alive() for thread in threads)
    assert not any(thread.is_alive() for thread in threads)


def test_the_documentation_is_of_this_version(client: TestClient) -> None:
    assert client.get("/openapi.json").json()["info"]["version"] == __version__
    assert client.get("/redoc").status_code == 404


def test_the_documentation_loads_nothing_and_names_every_route(client: TestClient) -> None:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'"
    )
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", answer.text)
    assert "<script" not in answer.text
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<h3>{method.upper()} {path}</h3>" in answer.text
    assert "with the scope <code>ingest</code>" in answer.text


def test_the_documentation_shows_markup_as_text() -> None:
    from achievement_collector.api.documentation import page_of

    hostile = "<script>alert(1)</script>"
    route = {
        "description": hostile, "parameters": [{"name": hostile, "in": "query", "schema": {"default": hostile}}],
        "responses": {"200": {"description": hostile}}, "tags": [hostile],
    }  # fmt: skip
    page = page_of({"info": {"title": hostile, "version": "1"}, "paths": {f"/{hostile}": {"get": route}}})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7
