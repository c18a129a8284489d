"""Publishing to Notion, against a loopback Notion that refuses what Notion refuses."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from achievement_collector.config import Settings
from achievement_collector.errors import ConfigurationError
from achievement_collector.ledger.store import Ledger, open_ledger
from achievement_collector.publish.notion.blocks import MOST_BLOCKS, chunks, inline, to_blocks, weight
from achievement_collector.publish.notion.body import digest_of, find_section, write_section
from achievement_collector.publish.notion.client import (
    BudgetExhausted,
    NotionAccessError,
    NotionClient,
    NotionConflictError,
    NotionError,
    NotionMissingError,
    NotionRefusedError,
    NotionUncertainError,
)
from achievement_collector.publish.notion.identities import read_id
from achievement_collector.publish.notion.plan import ReportPage, RoadmapRow
from achievement_collector.publish.notion.schema import REPORTS, ROADMAP
from achievement_collector.publish.notion.values import clean, pieces, rich_text, units
from achievement_collector.services import notion as service
from achievement_collector.services.notion import Contents, Published, create_databases, publish
from tests.fakes.notion import (
    API_KEY,
    BOT,
    VERSIONS,
    FakeNotion,
    Trouble,
    busy,
    collided,
    overloaded,
    plain,
    recorded,
    serve,
    unavailable,
)

NOW = 1_780_000_000_000
WEEK = "acme/rocket 2026-W21"
MARKDOWN = """# CI of acme/rocket, week 2026-W21

Pass rate **86.4 %** (127 of 147 runs), see [the runs](https://github.com/acme/rocket/actions).

| workflow | runs | red |
|---|---|---|
| ci.yml | 120 | 18 |
| release.yml | 27 | 2 |

- compilation: 12
  - `error: missing semicolon`
- unknown: 8

```python
assert 1 == 2
```
"""
REPORT = ReportPage(
    WEEK, "CI_Weekly_Report_2026-05-24", date(2026, 5, 24), 7, MARKDOWN, total_failures=20, auto_fix_rate=0.5,
    mttr=42.5, top_category="compilation", content="20 failures in 7 days", link="https://github.com/acme/rocket/actions",
)  # fmt: skip
ROW = RoadmapRow(
    "acme/rocket stage 7.3", "Stage 7.3", date(2026, 6, 30), "In Progress", progress=0.55, pass_rate=0.8639, auto_fix=None,
    mttr=42.5, trend="Stable", pull="https://github.com/acme/rocket/pull/12", notes="55/100", report_key=WEEK,
)  # fmt: skip
OTHER = RoadmapRow("acme/rocket stage 8", "Stage 8")
ALL = Contents((REPORT,), (ROW, OTHER))


class Clock:
    """Time that passes only by being slept through, for the workspace too."""

    def __init__(self, fake: FakeNotion) -> None:
        self.fake = fake
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.fake.clock

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.fake.clock += seconds


class Killed(BaseException):
    """The process is no more."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def notion() -> FakeNotion:
    return FakeNotion()


def client_of(fake: FakeNotion, version: str = VERSIONS[0], **more: Any) -> NotionClient:
    clock = Clock(fake)
    told: dict[str, Any] = {"sleep": clock.sleep, "clock": clock, "transport": fake.transport(), **more}
    return NotionClient(API_KEY, url="http://127.0.0.1:1", version=version, **told)


def in_force(fake: FakeNotion, **more: Any) -> Settings:
    return Settings(database="unused", notion_api_key=API_KEY, notion_parent_page=fake.root, **more)


def set_up(fake: FakeNotion, ledger: Ledger, version: str = VERSIONS[0], **more: Any) -> service.SetUp:
    return create_databases(ledger, in_force(fake, **more), lambda: NOW, client_of(fake, version))


def push(
    fake: FakeNotion, ledger: Ledger, contents: Contents = ALL, version: str = VERSIONS[0], **more: Any
) -> Published:
    told = {"client": client_of(fake, version), **more}
    chosen = told.pop("settings", None) or in_force(fake)
    return publish(ledger, chosen, contents, lambda: NOW, **told)


def source_of(fake: FakeNotion, name: str) -> str:
    found = fake.sources(name)
    assert len(found) == 1
    return found[0].id


def roadmap_rows(fake: FakeNotion) -> dict[str, dict[str, Any]]:
    rows = [fake.values(one.id) for one in fake.rows(source_of(fake, "Engineering Roadmap"))]
    assert len({one["🧩 Milestone"] for one in rows}) == len(rows), "a milestone is there twice"
    return {one["🧩 Milestone"]: one for one in rows}


def row_id(fake: FakeNotion, name: str) -> str:
    rows = fake.rows(source_of(fake, "Engineering Roadmap"))
    return next(one.id for one in rows if fake.values(one.id)["🧩 Milestone"] == name)


def report_id(fake: FakeNotion) -> str:
    rows = fake.rows(source_of(fake, "CI Intelligence Reports"))
    assert len(rows) == 1, "a report is there twice"
    return rows[0].id


# --- the fake answers as Notion does -----------------------------------------------------------------


def _kinds(told: Any) -> str:
    return {dict: "object", list: "list", str: "text", bool: "truth", int: "number", float: "number"}.get(
        type(told), "null"
    )


_LATER = {"archived", "in_trash", "is_locked", "public_url", "request_status"}
"""What Notion added since these answers were recorded: the recorded conversations of 2026 have it."""


def _alike(ours: dict[str, Any], theirs: Sequence[dict[str, Any]]) -> None:
    """What all recorded answers have we have too, of the same kind, and nothing that none of them has."""
    always = set.intersection(*(set(one) for one in theirs))
    ever = set.union(*(set(one) for one in theirs)) | _LATER
    assert always - {"request_id", "next_url"} <= set(ours) | {"request_id"}
    assert set(ours) <= ever | {"request_id"}
    for name, value in ours.items():
        kinds = {_kinds(one[name]) for one in theirs if name in one}
        assert not kinds or _kinds(value) in kinds | {"null"} or kinds == {"null"}, name


def test_the_fake_answers_in_the_shape_of_recorded_answers(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    client = client_of(notion)
    source = source_of(notion, "Engineering Roadmap")
    page = client.page(row_id(notion, "Stage 7.3"))
    listing = client._ask("POST", f"data_sources/{source}/query", {"page_size": 1})
    _alike(dict(page.data), [recorded("retrieve_page_db_first"), recorded("retrieve_page_db_template")])
    _alike(dict(listing.data), [recorded("query_data_source_next_2"), recorded("query_data_source_last_2")])
    _alike(dict(client.database(notion.databases()[0].id).data), [recorded("create_database_from_page"), recorded("retrieve_database_database")])  # fmt: skip
    _alike(dict(client.data_source(source).data), [recorded("retrieve_data_source_created"), recorded("retrieve_data_source_parent")])  # fmt: skip
    _alike(dict(client.me().data), [recorded("retrieve_user_token_bot")])
    blocks = client._ask("GET", f"blocks/{report_id(notion)}/children")
    theirs = recorded("append_block_children_page_heading_2")
    _alike(dict(blocks.data), [theirs, recorded("retrieve_block_children_block_test_page")])
    block = {**theirs["results"][0], "callout": {}}
    del block["heading_2"]
    _alike(dict(blocks.each("results")[0].data), [block])
    inside = next(client.children(blocks.each("results")[0].text("id")))
    _alike(inside.inner("heading_1").data, [theirs["results"][0]["heading_2"]])  # type: ignore[arg-type]
    _alike(
        inside.inner("heading_1").each("rich_text")[0].data,
        [theirs["results"][0]["heading_2"]["rich_text"][0]],
    )  # type: ignore[arg-type]
    relation = next(one for one in page.inner("properties").data.values() if one["type"] == "relation")
    items = client._ask("GET", f"pages/{page.text('id')}/properties/{relation['id']}")
    many = recorded("retrieve_property_relation_with_many_relations")
    _alike(dict(items.data), [many])
    _alike(dict(items.each("results")[0].data), [many["results"][0]])
    mine, properties = page.inner("properties").data, recorded("retrieve_page_db_first")["properties"]
    for name, alike in (("📊 Progress", "NumberTitle"), ("✅ Status", "SelectTitle"), ("📆 Target Date", "DateTitle"), ("📝 Notes", "TextTitle"), ("📦 Related PR", "UrlTitle"), ("📎 Latest CI Health", "RelationTitle")):  # fmt: skip
        assert set(mine[name]) == set(properties[alike]), name
        inner = mine[name][mine[name]["type"]]
        if isinstance(inner, dict):
            assert set(properties[alike][properties[alike]["type"]]) <= set(inner), name
    with pytest.raises(NotionMissingError):
        client.page("00000000-0000-0000-0000-000000000000")
    told = notion.execute("GET", "/v1/pages/AAA", _headers(), b"")
    assert told is not None
    error = recorded("retrieve_page_wrong_format")
    assert json.loads(told[2]) | {"request_id": ""} == error | {"request_id": ""}
    assert notion.violations == []


def _headers(version: str = VERSIONS[0]) -> dict[str, str]:
    return {"Authorization": f"Bearer {API_KEY}", "Notion-Version": version}


def _send(
    fake: FakeNotion, method: str, path: str, body: Any, version: str = VERSIONS[0]
) -> tuple[int, dict[str, Any]]:
    told = fake.execute(
        method, f"/v1/{path}", _headers(version), b"" if body is None else json.dumps(body).encode()
    )
    assert told is not None
    return told[0], json.loads(told[2])


def _text(content: str, **more: Any) -> dict[str, Any]:
    return {"text": {"content": content, **more}}


def _paragraph(*texts: dict[str, Any]) -> dict[str, Any]:
    return {"paragraph": {"rich_text": list(texts)}}


def test_the_fake_refuses_what_notion_refuses(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    source = source_of(notion, "Engineering Roadmap")
    parent = {"type": "data_source_id", "data_source_id": source}
    status, page = _send(
        notion, "POST", "pages", {"parent": parent, "properties": {"title": {"title": [_text("x")]}}}
    )
    assert status == 200
    refused: list[tuple[dict[str, Any], str]] = [
        ({"Nothing": {"number": 1}}, "Nothing is not a property that exists."),
        ({"📊 Progress": {"rich_text": []}}, "expected to be number"),
        ({"📊 Progress": {"number": "1"}}, "valid number"),
        ({"📝 Notes": {"rich_text": [_text("x" * 2001)]}}, "should be ≤ `2000`, instead was `2001`"),
        ({"📝 Notes": {"rich_text": [_text("😀" * 1001)]}}, "instead was `2002`"),
        ({"📝 Notes": {"rich_text": [_text("x")] * 101}}, "should be ≤ `100`"),
        ({"📝 Notes": {"rich_text": [_text("x", link={"url": "javascript:alert(1)"})]}}, "Invalid URL"),
        ({"📦 Related PR": {"url": ""}}, "valid url"),
        ({"✅ Status": {"select": {"name": "a,b"}}}, "commas"),
        ({"📆 Target Date": {"date": {"start": "soon"}}}, "ISO 8601"),
        ({"Created": {"created_time": "2026-01-01"}}, "cannot be written"),
        ({"📎 Latest CI Health": {"relation": [{"id": page["id"]}]}}, "not in the related data source"),
    ]
    for properties, message in refused:
        status, told = _send(notion, "PATCH", f"pages/{page['id']}", {"properties": properties})
        assert (status, told["code"]) == (400, "validation_error"), properties
        assert message in told["message"], told["message"]
    for blocks, message in (
        ([_paragraph()] * 101, "≤ `100`"),
        ([{"paragraph": {}}], "rich_text should be defined"),
        ([{"table": {"table_width": 2, "children": [{"table_row": {"cells": [[]]}}]}}], "table width"),
        ([{"nonsense": {}}], "exactly one known type"),
        ([{"toggle": {"rich_text": [], "children": [{"toggle": {"rich_text": [], "children": [{"toggle": {"rich_text": [], "children": [_paragraph()]}}]}}]}}], "nesting"),
        ([{"toggle": {"rich_text": [], "children": [_paragraph()] * 100}}] * 10, "≤ `1000`"),
        ([_paragraph(*[_text("é" * 2000)] * 100)] * 2, "too large"),
    ):  # fmt: skip
        status, told = _send(notion, "PATCH", f"blocks/{page['id']}/children", {"children": blocks})
        assert (status, told["code"]) == (400, "validation_error")
        assert message in told["message"], told["message"]
    assert notion.things[page["id"]].children == [], "a refused request leaves nothing behind"
    assert _send(notion, "POST", f"data_sources/{source}/query", {"page_size": 101})[0] == 400
    assert _send(notion, "GET", "users/me", None, "2022-06-28")[0] == 400
    assert (
        notion.execute(
            "GET", "/v1/users/me", {"Authorization": "Bearer x", "Notion-Version": VERSIONS[0]}, b""
        )[0]
        == 401
    )  # type: ignore[index]
    notion.unshare(source)
    status, told = _send(notion, "GET", f"pages/{page['id']}", None)
    assert (status, told["code"]) == (404, "object_not_found")


def test_the_fake_knows_the_differences_of_the_versions(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    old, new = VERSIONS
    page_id = notion.person_creates_row(source_of(notion, "Roadmap"), {})
    first = notion.person_writes(page_id, "one")
    notion.person_writes(page_id, "three")
    path = f"blocks/{page_id}/children"
    after = {"children": [_paragraph(_text("two"))], "after": first}
    position = {"type": "after_block", "after_block": {"id": first}}
    told = {"children": [_paragraph(_text("one and a half"))], "position": position}
    assert _send(notion, "PATCH", path, after, new)[0] == 400
    assert _send(notion, "PATCH", path, told, old)[0] == 400
    assert _send(notion, "PATCH", path, after, old)[0] == 200
    assert _send(notion, "PATCH", path, told, new)[0] == 200
    assert notion.text(page_id) == ["one", "one and a half", "two", "three"]
    assert _send(notion, "PATCH", f"pages/{page_id}", {"archived": True}, new)[0] == 400
    assert "archived" in _send(notion, "GET", f"pages/{page_id}", None, old)[1]
    assert "archived" not in _send(notion, "GET", f"pages/{page_id}", None, new)[1]


def test_the_fake_floors_times_to_the_minute_and_cuts_long_queries(
    notion: FakeNotion, ledger: Ledger
) -> None:
    set_up(notion, ledger)
    source = source_of(notion, "Roadmap")
    for number in range(7):
        notion.person_creates_row(source, {"🧩 Milestone": {"title": [_text(str(number))]}})
        notion.pass_time(25)
    notion.longest_page = 3
    client = client_of(notion)
    everything = client.rows(source)
    assert everything.is_complete
    assert len(everything.pages) == 7
    assert {one.text("created_time")[-8:] for one in everything.pages} == {":00.000Z"}
    notion.query_cap = 5
    cut = client.rows(source)
    assert not cut.is_complete
    assert len(cut.pages) == 5


# --- ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        "1f3c2e00aabb4ccdbeef0123456789ab",
        "1F3C2E00-AABB-4CCD-BEEF-0123456789AB",
        "https://www.notion.so/acme/CI-Reports-1f3c2e00aabb4ccdbeef0123456789ab?v=ffffffffffffffffffffffffffffffff",
        "https://www.notion.so/1f3c2e00aabb4ccdbeef0123456789ab?v=ffffffffffffffffffffffffffffffff&pvs=4",
        "https://app.notion.com/p/1f3c2e00aabb4ccdbeef0123456789ab",
        "https://acme.notion.site/Caf%C3%A9-1f3c2e00aabb4ccdbeef0123456789ab/",
        " 1f3c2e00-aabb-4ccd-beef-0123456789ab\n",
    ],
)
def test_ids_are_read_from_what_people_paste(told: str) -> None:
    assert read_id(told) == "1f3c2e00-aabb-4ccd-beef-0123456789ab"


@pytest.mark.parametrize(
    "told", ["", "roadmap", "https://www.notion.so/acme/Roadmap", "1f3c2e00aabb", "https://[", "../../etc"]
)
def test_what_holds_no_id_gives_none(told: str) -> None:
    assert read_id(told) is None


# --- the client --------------------------------------------------------------------------------------


def test_a_long_retry_after_is_honoured(notion: FakeNotion) -> None:
    clock = Clock(notion)
    notion.troubles.extend([busy(100), None])
    with client_of(notion, clock=clock, sleep=clock.sleep) as client:
        assert client.me().text("id") == BOT
    assert max(clock.slept) >= 100 - 1
    assert client.requests == 2


def test_a_wait_longer_than_allowed_is_told_and_not_cut_short(notion: FakeNotion) -> None:
    clock = Clock(notion)
    notion.troubles.append(busy(900))
    with (
        client_of(notion, clock=clock, sleep=clock.sleep) as client,
        pytest.raises(BudgetExhausted) as caught,
    ):
        client.me()
    assert caught.value.seconds == 900
    assert "integration_budget" in str(caught.value)
    assert clock.slept == []


def test_overload_is_waited_out_even_for_what_is_never_repeated(notion: FakeNotion) -> None:
    notion.troubles.extend([None, overloaded(), busy(2), overloaded(7)])
    with client_of(notion) as client:
        client.me()
        client.create_database(notion.root, "T", "D", {"Name": {"title": {}}})
    assert len(notion.databases()) == 1


@pytest.mark.parametrize(
    "trouble", [unavailable(is_done=True), Trouble(504, is_done=True), Trouble(hangs_up=True, is_done=True)]
)
def test_a_create_that_may_have_been_done_is_not_asked_again(notion: FakeNotion, trouble: Trouble) -> None:
    notion.troubles.append(trouble)
    with client_of(notion) as client, pytest.raises(NotionUncertainError):
        client.create_database(notion.root, "T", "D", {"Name": {"title": {}}})
    assert len(notion.databases()) == 1
    assert len(notion.log) == 1


@pytest.mark.parametrize(
    "trouble", [unavailable(), Trouble(504), Trouble(500), Trouble(hangs_up=True), overloaded(1)]
)
def test_queries_are_repeated_although_they_are_posts(
    notion: FakeNotion, ledger: Ledger, trouble: Trouble
) -> None:
    set_up(notion, ledger)
    notion.troubles.append(trouble)
    with client_of(notion) as client:
        assert client.rows(source_of(notion, "Roadmap")).is_complete


def test_a_collision_is_for_the_caller_to_look_again(notion: FakeNotion) -> None:
    notion.troubles.append(collided())
    with client_of(notion) as client, pytest.raises(NotionConflictError):
        client.me()
    assert len(notion.log) == 1


def test_a_server_that_is_not_there_is_told(notion: FakeNotion) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    clock = Clock(notion)
    with (
        client_of(notion, transport=httpx.MockTransport(fail)) as client,
        pytest.raises(NotionError, match="cannot be reached"),
    ):
        client.create_database(notion.root, "T", "D", {})
    assert client.requests == 5
    assert clock.slept == []


def test_requests_keep_their_distance(notion: FakeNotion) -> None:
    start = notion.clock
    with client_of(notion) as client:
        for _ in range(7):
            client.me()
    assert notion.clock - start == pytest.approx(2.0, abs=0.01)


def test_a_budget_by_the_minute_is_kept_without_a_refused_run(notion: FakeNotion) -> None:
    notion.budget = 10
    with client_of(notion) as client:
        for _ in range(35):
            client.me()
    assert sum(one.status == 200 for one in notion.log) == 35


def test_the_token_is_shown_nowhere(notion: FakeNotion, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    notion.troubles.append(Trouble(401, "unauthorized", "API token is invalid."))
    with client_of(notion) as client:
        with pytest.raises(NotionAccessError) as caught:
            client.me()
        told = f"{client!r} {caught.value} {caplog.text} {in_force(notion)!r}"
    assert API_KEY not in told
    assert "NOTION_API_KEY" in str(caught.value)


@pytest.mark.parametrize(
    ("token", "url", "version"),
    [("", "https://x", VERSIONS[0]), ("a b", "https://x", VERSIONS[0]), ("a", "http://example.com", VERSIONS[0]),
     ("a", "ftp://x", VERSIONS[0]), ("a", "https://x", "2022-06-28")],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_once(token: str, url: str, version: str) -> None:
    with pytest.raises(ConfigurationError):
        NotionClient(token, url=url, version=version)


@pytest.mark.parametrize("raw", ["<html>login</html>", "[]", "", '{"object":', "[" * 100_000])
def test_an_answer_that_is_none_of_notions_is_told(notion: FakeNotion, raw: str) -> None:
    notion.troubles.append(Trouble(200, raw=raw))
    with client_of(notion) as client, pytest.raises(NotionError, match="NOTION_API_URL"):
        client.me()


def test_a_list_that_never_ends_is_left(notion: FakeNotion) -> None:
    page = json.dumps({"object": "list", "results": [], "has_more": True, "next_cursor": "same"})
    notion.troubles.extend([Trouble(200, raw=page), Trouble(200, raw=page), Trouble(200, raw=page)])
    with client_of(notion) as client, pytest.raises(NotionError, match="does not go on"):
        list(client.children(notion.root))


def test_the_block_limit_of_free_workspaces_is_explained(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    notion.block_limit = 3
    done = push(notion, ledger)
    assert done.outcome is not None
    assert "1,000 blocks" in dict(done.outcome.failed)[REPORT.name]
    assert set(roadmap_rows(notion)) == {"Stage 7.3", "Stage 8"}, "the milestones do not suffer from it"


# --- Markdown as blocks ------------------------------------------------------------------------------


def test_a_report_becomes_blocks_that_look_like_it(notion: FakeNotion) -> None:
    blocks = to_blocks(MARKDOWN)
    assert [one["type"] for one in blocks] == [
        "heading_1", "paragraph", "table", "bulleted_list_item", "bulleted_list_item", "code",
    ]  # fmt: skip
    texts = blocks[1]["paragraph"]["rich_text"]
    assert {"type": "text", "text": {"content": "86.4 %"}, "annotations": {"bold": True}} in texts
    assert texts[3]["text"] == {
        "content": "the runs",
        "link": {"url": "https://github.com/acme/rocket/actions"},
    }
    assert blocks[5]["code"]["language"] == "python"
    nested = blocks[3]["bulleted_list_item"]["children"][0]["bulleted_list_item"]["rich_text"]
    assert nested == [
        {"type": "text", "text": {"content": "error: missing semicolon"}, "annotations": {"code": True}}
    ]
    with client_of(notion) as client:
        client.append(notion.root, blocks)
    assert notion.text(notion.root) == [
        "CI of acme/rocket, week 2026-W21", "Pass rate 86.4 % (127 of 147 runs), see the runs.",
        "workflow|runs|red", "ci.yml|120|18", "release.yml|27|2", "compilation: 12", "error: missing semicolon", "unknown: 8",
        "assert 1 == 2",
    ]  # fmt: skip
    assert notion.violations == []


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("a\nb", ["a b"]),
        ("a  \nb", ["a\nb"]),
        ("1. one\n2. two", ["one", "two"]),
        ("- [ ] open\n- [x] done", ["open", "done"]),
        ("> quoted\n> more", ["quoted\nmore"]),
        ("<!-- hidden -->seen", ["seen"]),
        ("a \\*star\\* and snake_case_name", ["a *star* and snake_case_name"]),
        ("[click](javascript:alert(1))", ["click"]),
        ("[x](https://en.wikipedia.org/wiki/A_(b))", ["x"]),
        ("**not closed", ["**not closed"]),
        ("| a | b |\n|---|:-:|\n| 1 \\| 2 |", ["a|b", "1 | 2|"]),
        ("```\n# no heading\n", ["# no heading\n"]),
        ("---", [""]),
        ("\u0000nul\ud800half", ["nul?half"]),
        ("", []),
    ],
)
def test_what_reports_are_made_of(notion: FakeNotion, markdown: str, shown: list[str]) -> None:
    blocks = to_blocks(markdown)
    if blocks:
        with client_of(notion) as client:
            client.append(notion.root, blocks)
    assert notion.text(notion.root) == shown
    links = json.dumps(blocks)
    assert "javascript" not in links


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab 😀é`*_[]()|-#>~\\\n1.:<!/"), max_size=400))
def test_whatever_a_report_holds_notion_takes_it(markdown: str) -> None:
    fake = FakeNotion()
    with client_of(fake) as client:
        for part in chunks(to_blocks(markdown)):
            client.append(fake.root, part)
    assert fake.violations == []


@pytest.mark.parametrize(
    "markdown",
    [
        "x" * 250_000,
        "😀" * 120_000,
        "word **bold** " * 4_000,
        "```\n" + 'a "quoted" line\n' * 40_000 + "```",
        "- item\n" * 950,
        "- item\n" + "  - inside\n" * 700,
        "| a | b |\n|---|---|\n" + "| é | f |\n" * 900,
        "|" + " c |" * 200 + "\n|" + "---|" * 200 + "\n" + "|" + (" " + "é" * 3000 + " |") * 200 + "\n",
        "> " + "q" * 30_000,
        "# " + "h" * 30_000,
        "`" * 6_000,
        "*" * 6_000 + "_" * 6_000,
    ],
    ids=[
        "long",
        "emoji",
        "pieces",
        "code",
        "list",
        "nested",
        "table",
        "wide",
        "quote",
        "heading",
        "ticks",
        "stars",
    ],
)
def test_large_reports_go_through_in_portions(notion: FakeNotion, markdown: str) -> None:
    with client_of(notion) as client:
        for part in chunks(to_blocks(markdown)):
            client.append(notion.root, part)
    assert all(one.status == 200 for one in notion.log)
    assert notion.violations == []


@pytest.mark.parametrize(
    "hostile",
    ["<!--" * 50_000, "`" * 4_000 + "\n\n" + "` `` " * 900, "# " + " #" * 50_000 + "x", "a|\n|" + " -|" * 50_000 + "x", "- a\n" * 30_000],
    ids=["comments", "ticks", "hashes", "separators", "items"],
)  # fmt: skip
def test_no_text_takes_long_to_read(hostile: str) -> None:
    start = time.perf_counter()
    to_blocks(hostile)
    assert (
        time.perf_counter() - start < 10
    )  # a second where all goes well, minutes where a pattern goes back and forth


def test_what_is_beyond_the_limit_of_blocks_is_left_out_and_said() -> None:
    blocks = to_blocks("\n\n".join(f"line {number}" for number in range(3_000)))
    assert sum(map(weight, blocks)) == MOST_BLOCKS
    assert "2001 more blocks" in blocks[-1]["paragraph"]["rich_text"][0]["text"]["content"]


@given(st.text(max_size=300), st.integers(2, 40))
def test_pieces_are_the_text_and_cut_no_character(text: str, longest: int) -> None:
    parts = pieces(text, longest)
    assert "".join(parts) == text
    assert all(0 < units(part) <= longest for part in parts)


def test_text_for_a_property_ends_where_notions_limit_is() -> None:
    told = rich_text("é" * 300_000)
    assert len(told) == 100
    assert all(units(one["text"]["content"]) <= 2000 for one in told)
    assert told[-1]["text"]["content"].endswith("…")
    assert clean("a\r\nb\x07\ud800e\u0301") == "a\nb?é"


def test_inline_marks_nest() -> None:
    told = inline("**bold `code` [link](https://x.example)**")
    assert [(one["text"]["content"], one["annotations"]) for one in told] == [
        ("bold ", {"bold": True}), ("code", {"bold": True, "code": True}), (" ", {"bold": True}), ("link", {"bold": True}),
    ]  # fmt: skip


# --- setting up --------------------------------------------------------------------------------------


def test_both_databases_are_made_with_the_documented_properties(
    notion: FakeNotion, any_ledger: Ledger, version: str
) -> None:
    done = set_up(notion, any_ledger, version)
    assert done.is_ready
    assert done.created == ["CI Intelligence Reports", "Engineering Roadmap"]
    kinds = {
        one["name"]: one["type"] for source in notion.sources() for one in source.told["properties"].values()
    }
    assert kinds == {
        "Report Name": "title", "Report Date": "date", "Analysis Period": "number", "Total Failures": "number",
        "Auto-fix Success Rate": "number", "Average MTTR": "number", "Top Failure Category": "rich_text",
        "Report Content": "rich_text", "GitHub Link": "url", "Sync Key": "rich_text", "Created": "created_time",
        "Last Modified": "last_edited_time", "🧩 Milestones": "relation", "🧩 Milestone": "title", "📆 Target Date": "date",
        "✅ Status": "select", "📊 Progress": "number", "📎 Latest CI Health": "relation", "📦 Related PR": "url",
        "🧪 Workflow Pass Rate": "number", "🩹 Auto-Fix Success": "number", "⏱️ MTTR": "number", "📈 Trend": "select",
        "📝 Notes": "rich_text",
    }  # fmt: skip
    roadmap = notion.things[source_of(notion, "Roadmap")].told["properties"].values()
    options = {
        one["name"]: [each["name"] for each in one["select"]["options"]] for one in roadmap if "select" in one
    }
    assert options == {"✅ Status": ["Planned", "In Progress", "Blocked", "Completed"], "📈 Trend": ["Improving", "Stable", "Degrading"]}  # fmt: skip
    writes = len(notion.writes)
    again = set_up(notion, any_ledger, version)
    assert again.is_ready
    assert not again.created
    assert not again.added
    assert len(notion.writes) == writes, "the second run writes nothing"
    assert notion.violations == []


@pytest.mark.parametrize(
    "trouble", [Trouble(hangs_up=True, is_done=True), Trouble(hangs_up=True), unavailable(True)]
)
def test_a_lost_answer_makes_no_second_database(notion: FakeNotion, ledger: Ledger, trouble: Trouble) -> None:
    notion.troubles.extend(
        [None, trouble]
    )  # the page's children are asked for first, then the database is made
    assert set_up(notion, ledger).is_ready
    assert sorted(plain(one.told["title"]) for one in notion.databases()) == [
        "CI Intelligence Reports",
        "Engineering Roadmap",
    ]


def test_a_run_that_dies_anywhere_in_setup_is_finished_by_the_next(tmp_path: Path) -> None:
    total = None
    number = 0
    while total is None or number < total:
        number += 1
        fake, ledger = FakeNotion(), open_ledger(str(tmp_path / f"{number}.db"))
        try:
            create_databases(
                ledger, in_force(fake), lambda: NOW, client_of(fake, transport=_dying(fake, number))
            )
            total = len(fake.log)
        except Killed:
            pass
        assert set_up(fake, ledger).is_ready
        assert len(fake.databases()) == 2, f"killed after request {number}"
        ledger.close()
    assert number > 5


def _dying(fake: FakeNotion, after: int) -> httpx.MockTransport:
    """A way to the workspace on which the process dies when the request of that number was carried out."""
    inner = fake.transport()
    count = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        response: httpx.Response = inner.handle_request(request)
        if count == after:
            raise Killed
        return response

    return httpx.MockTransport(answer)


def _own_database(fake: FakeNotion, properties: dict[str, Any]) -> str:
    """A database that people made, given by its address."""
    with client_of(fake) as client:
        made = client.create_database(fake.root, "Plan", "", properties)
    return f"https://www.notion.so/acme/Plan-{made.text('id').replace('-', '')}?v={'f' * 32}"


def test_a_database_of_peoples_own_gets_what_it_lacks_and_keeps_the_rest(
    notion: FakeNotion, ledger: Ledger
) -> None:
    address = _own_database(
        notion,
        {
            "Name": {"title": {}}, "status": {"status": {"options": [{"name": "In progress"}, {"name": "Planned"}]}},
            "⏱ MTTR": {"number": {"format": "number"}}, "Progress": {"number": {"format": "number"}},
            "📈 Trend": {"rich_text": {}}, "Owner": {"people": {}},
        },
    )  # fmt: skip
    before = {
        one["name"]: one["id"] for one in notion.things[source_of(notion, "Plan")].told["properties"].values()
    }
    done = set_up(notion, ledger, notion_roadmap_db=address)
    after = {one["name"]: one for one in notion.things[source_of(notion, "Plan")].told["properties"].values()}
    assert before.items() <= {name: one["id"] for name, one in after.items()}.items(), (
        "nothing is renamed or removed"
    )
    assert after["📈 Trend"]["type"] == "rich_text"
    assert {"📝 Notes", "Sync Key", "📎 Latest CI Health", "🧪 Workflow Pass Rate"} <= set(after)
    assert not {"✅ Status", "⏱️ MTTR", "📊 Progress", "Created"} & set(after), (
        "what is there under a like name is used"
    )
    assert not done.is_ready
    assert [one for one in done.tables[1].problems if one.startswith("📈 Trend")]
    assert any("Blocked, Completed" in one for one in done.warnings)
    published = push(notion, ledger, settings=in_force(notion, notion_roadmap_db=address))
    row = notion.values(notion.rows(source_of(notion, "Plan"))[0].id)
    assert row["status"] == "In progress", "the option of the same letters is used"
    assert row["Progress"] == 55, "a plain number is written as 0-100"
    assert row["🧪 Workflow Pass Rate"] == 0.8639, "one in percent as 0-1"
    assert row["📈 Trend"] == ""
    assert any("📈 Trend" in one for one in published.problems)
    again = push(notion, ledger, settings=in_force(notion, notion_roadmap_db=address))
    assert again.writes == 0


def test_a_status_without_the_option_is_left_and_said(notion: FakeNotion, ledger: Ledger) -> None:
    address = _own_database(
        notion, {"Name": {"title": {}}, "Status": {"status": {"options": [{"name": "Planned"}]}}}
    )
    chosen = in_force(notion, notion_roadmap_db=address)
    set_up(notion, ledger, notion_roadmap_db=address)
    done = push(notion, ledger, Contents((), (ROW,)), settings=chosen)
    assert any('no option "In Progress"' in one for one in done.plan.notices)
    assert notion.values(notion.rows(source_of(notion, "Plan"))[0].id)["Status"] is None
    assert push(notion, ledger, Contents((), (ROW,)), settings=chosen).writes == 0


def test_two_properties_that_could_be_it_are_told(notion: FakeNotion, ledger: Ledger) -> None:
    address = _own_database(
        notion, {"Name": {"title": {}}, "Progress": {"number": {}}, "🔥 progress": {"number": {}}}
    )
    done = set_up(notion, ledger, notion_roadmap_db=address)
    assert any("more than one property" in one for one in done.tables[1].problems)


def test_renamed_properties_keep_working(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    source = source_of(notion, "Engineering Roadmap")
    notion.person_renames_property(source, "📊 Progress", "Fortschritt")
    notion.person_renames_property(source, "Sync Key", "Schlüssel")
    assert set_up(notion, ledger).added == []
    push(notion, ledger)
    assert roadmap_rows(notion)["Stage 7.3"]["Fortschritt"] == 0.55
    assert push(notion, ledger).writes == 0


def test_a_second_data_source_is_no_trouble_for_what_is_known_and_asked_about_otherwise(
    notion: FakeNotion, ledger: Ledger, tmp_path: Path
) -> None:
    set_up(notion, ledger)
    database = next(one for one in notion.databases() if "Roadmap" in plain(one.told["title"])).id
    notion.person_adds_source(database, "Archive")
    assert push(notion, ledger).outcome.is_whole  # type: ignore[union-attr]
    for source in notion.sources():
        if source.parent["database_id"] == database:
            source.told["title"] = [
                *source.told["title"],
                {"plain_text": "!", "type": "text", "text": {"content": "!"}},
            ]
    other = open_ledger(str(tmp_path / "other.db"))
    with pytest.raises(ConfigurationError, match="several data sources") as caught:
        push(notion, other, Contents((), (ROW,)), settings=in_force(notion, notion_roadmap_db=database))
    source = source_of(notion, "Engineering Roadmap")
    assert source in str(caught.value)
    chosen = in_force(notion, notion_roadmap_db=source, notion_ci_reports_db=source_of(notion, "Reports"))
    assert push(notion, other, settings=chosen).writes == 0, "the id of a data source will do"
    other.close()


def test_what_is_not_shared_is_told_with_what_to_do(notion: FakeNotion, ledger: Ledger) -> None:
    notion.unshare(notion.root)
    with pytest.raises(NotionMissingError, match="Connections"):
        set_up(notion, ledger)
    notion.share(notion.root)
    with pytest.raises(ConfigurationError, match="NOTION_PARENT_PAGE_ID"):
        create_databases(
            ledger, Settings(database="", notion_api_key=API_KEY), lambda: NOW, client_of(notion)
        )
    with pytest.raises(NotionMissingError, match="NOTION_ROADMAP_DB_ID"):
        set_up(notion, ledger, notion_roadmap_db="f" * 32)
    with pytest.raises(ConfigurationError, match="NOTION_API_KEY"):
        create_databases(ledger, Settings(database=""), lambda: NOW)


def test_a_check_writes_nothing_and_says_what_is_missing(notion: FakeNotion, ledger: Ledger) -> None:
    done = service.check_databases(ledger, in_force(notion), lambda: NOW, client_of(notion))
    assert not done.is_ready
    assert any("--create-databases" in one for one in done.warnings)
    assert any("1,000 blocks" in one for one in done.warnings)
    assert notion.writes == []
    set_up(notion, ledger)
    writes = len(notion.writes)
    done = service.check_databases(ledger, in_force(notion), lambda: NOW, client_of(notion))
    assert done.is_ready
    notion.person_removes_property(source_of(notion, "Roadmap"), "📈 Trend")
    done = service.check_databases(ledger, in_force(notion), lambda: NOW, client_of(notion))
    assert [one.name for one in done.tables[1].missing] == ["📈 Trend"]
    assert len(notion.writes) == writes


def test_the_shown_schema_is_the_one_that_is_made() -> None:
    told = {one["title"]: [each["name"] for each in one["properties"]] for one in service.schema_data()}
    assert told == {one.title: [each.name for each in one.fields] for one in (REPORTS, ROADMAP)}


# --- publishing --------------------------------------------------------------------------------------


def test_a_report_and_the_roadmap_appear_and_the_second_run_is_silent(
    notion: FakeNotion, any_ledger: Ledger, version: str
) -> None:
    set_up(notion, any_ledger, version)
    done = push(notion, any_ledger, version=version)
    assert done.outcome is not None
    assert done.outcome.is_whole
    assert (done.outcome.created, done.outcome.updated, done.outcome.texts) == (3, 0, 1)
    page = report_id(notion)
    values = notion.values(page)
    assert values["Report Name"] == "CI_Weekly_Report_2026-05-24"
    assert (values["Report Date"], values["Analysis Period"], values["Total Failures"]) == (
        "2026-05-24",
        7,
        20,
    )
    assert (values["Auto-fix Success Rate"], values["Average MTTR"]) == (0.5, 42.5)
    assert values["Report Content"] == "20 failures in 7 days"
    rows = roadmap_rows(notion)
    first = rows["Stage 7.3"]
    assert (first["✅ Status"], first["📆 Target Date"], first["📈 Trend"]) == (
        "In Progress",
        "2026-06-30",
        "Stable",
    )
    assert first["📎 Latest CI Health"] == [page]
    assert values["🧩 Milestones"] == [row_id(notion, "Stage 7.3")]
    assert first["🩹 Auto-Fix Success"] is None, "not measured is empty and not 0"
    assert {one for one in rows["Stage 8"].values() if one} >= {"Stage 8", "acme/rocket stage 8"}
    assert rows["Stage 8"]["📊 Progress"] is None
    assert rows["Stage 8"]["📎 Latest CI Health"] == []
    text = notion.text(page)
    assert text[1] == "CI of acme/rocket, week 2026-W21"
    assert text[-1] == "assert 1 == 2"
    again = push(notion, any_ledger, version=version)
    assert again.plan.operations == ()
    assert again.writes == 0
    assert notion.violations == []


def test_a_run_that_remembers_nothing_is_silent_too(
    notion: FakeNotion, ledger: Ledger, tmp_path: Path
) -> None:
    """As on a runner of GitHub Actions, whose disk is new each time."""
    set_up(notion, ledger)
    push(notion, ledger)
    chosen = in_force(
        notion, notion_roadmap_db=notion.databases()[1].id, notion_ci_reports_db=notion.databases()[0].id
    )
    fresh = open_ledger(str(tmp_path / "fresh.db"))
    assert push(notion, fresh, settings=chosen).writes == 0
    fresh.close()


class World:
    """Workspaces and ledgers that are set up alike, for runs that go wrong at every place where they can."""

    def __init__(self, folder: Path, contents: Contents | None = None) -> None:
        self.folder, self.made = folder, 0
        open_ledger(str(folder / "empty.db")).close()
        self.fake, ledger = FakeNotion(), open_ledger(str(folder / "template.db"))
        set_up(self.fake, ledger)
        if contents is not None:
            push(self.fake, ledger, contents)
            page = report_id(self.fake)
            self.fake.person_writes(page, "Above", first=True)
            self.fake.person_writes(page, "Below")
            self.fake.person_writes(self.fake.things[page].children[1], "Inside")
        ledger.close()
        self.settings = in_force(
            self.fake,
            notion_roadmap_db=self.fake.databases()[1].id,
            notion_ci_reports_db=self.fake.databases()[0].id,
        )

    @contextmanager
    def again(self, remembers: bool = True) -> Iterator[tuple[FakeNotion, Ledger]]:
        """A workspace as it was, with a ledger as it was or an empty one."""
        with self.ledger(remembers) as ledger:
            yield self.fake.copy(), ledger

    @contextmanager
    def ledger(self, remembers: bool) -> Iterator[Ledger]:
        self.made += 1
        path = self.folder / f"{self.made}.db"
        shutil.copy(self.folder / ("template.db" if remembers else "empty.db"), path)
        ledger = open_ledger(str(path))
        yield ledger
        ledger.close()

    def shows(self, fake: FakeNotion) -> tuple[dict[str, dict[str, Any]], dict[str, Any], list[str]]:
        """All that people see, without the ids of pages and the digest."""
        rows = {name: one | {"📎 Latest CI Health": []} for name, one in roadmap_rows(fake).items()}
        page = report_id(fake)
        assert rows
        assert roadmap_rows(fake)["Stage 7.3"]["📎 Latest CI Health"] == [page]
        text = [one for one in fake.text(page) if not one.startswith("Written by")]
        return rows, fake.values(page) | {"🧩 Milestones": []}, text


CHANGED = Contents(
    (replace(REPORT, markdown="# Changed\n\nAll of it.", total_failures=3),),
    (replace(ROW, progress=0.8), OTHER),
)


@pytest.mark.parametrize("remembers", [True, False], ids=["ledger kept", "ledger lost"])
@pytest.mark.parametrize("contents", [ALL, CHANGED], ids=["new", "changed"])
def test_killed_at_any_request_it_ends_up_the_same(
    tmp_path: Path, remembers: bool, contents: Contents
) -> None:
    world = World(tmp_path, None if contents is ALL else ALL)
    with world.again() as (fake, ledger):
        push(fake, ledger, contents, settings=world.settings)
        wanted, total = world.shows(fake), len(fake.log)
    if contents is CHANGED:
        assert wanted[2] == ["Above", "Inside", "Changed", "All of it.", "Below"]
    for number in range(1, total + 1):
        with world.again() as (fake, ledger):
            dying = client_of(fake, transport=_dying(fake, number))
            with pytest.raises(Killed):
                push(fake, ledger, contents, settings=world.settings, client=dying)
            with world.ledger(False) if not remembers else nullcontext(ledger) as then:
                done = push(fake, then, contents, settings=world.settings)
                assert done.outcome is not None
                assert done.outcome.is_whole
                assert world.shows(fake) == wanted, f"killed after request {number} of {total}"
                assert push(fake, then, contents, settings=world.settings).writes == 0
    assert total > 12


@pytest.mark.parametrize(
    "trouble",
    [Trouble(hangs_up=True, is_done=True), Trouble(hangs_up=True), unavailable(True), collided(), overloaded(2)],
)  # fmt: skip
@pytest.mark.parametrize("contents", [ALL, CHANGED], ids=["new", "changed"])
def test_one_trouble_at_any_request_changes_nothing(
    tmp_path: Path, trouble: Trouble, contents: Contents
) -> None:
    world = World(tmp_path, None if contents is ALL else ALL)
    with world.again() as (fake, ledger):
        push(fake, ledger, contents, settings=world.settings)
        wanted, total = world.shows(fake), len(fake.log)
    for number in range(total):
        with world.again() as (fake, ledger):
            fake.troubles.extend([None] * number + [trouble])
            try:
                push(fake, ledger, contents, settings=world.settings)
            except NotionConflictError:
                assert trouble.status == 409  # while it was looking; nothing was written
                assert fake.writes == []
            push(fake, ledger, contents, settings=world.settings)
            assert world.shows(fake) == wanted, f"at request {number + 1} of {total}"
            assert push(fake, ledger, contents, settings=world.settings).writes == 0


def test_a_changed_report_replaces_its_text_and_nobody_elses(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    page = report_id(notion)
    notion.person_writes(page, "Look at this first.", first=True)
    notion.person_writes(page, "My conclusions.")
    box = notion.things[page].children[1]
    notion.person_writes(box, "a remark inside")
    changed = replace(REPORT, markdown="# New\n\nAll green.", total_failures=0)
    done = push(notion, ledger, Contents((changed,), (ROW, OTHER)))
    assert done.outcome is not None
    assert (done.outcome.created, done.outcome.updated, done.outcome.texts) == (0, 1, 1)
    text = notion.text(page)
    assert [text[0], *text[2:]] == [
        "Look at this first.",
        "a remark inside",
        "New",
        "All green.",
        "My conclusions.",
    ]
    assert notion.values(page)["Total Failures"] == 0
    assert push(notion, ledger, Contents((changed,), (ROW, OTHER))).writes == 0
    again = replace(changed, markdown="# Newer")
    push(notion, ledger, Contents((again,), ()))
    assert "a remark inside" in notion.text(page)


def test_a_copy_of_our_text_on_peoples_pages_is_theirs(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    copied = notion.person_duplicates_row(report_id_of(notion))
    with client_of(notion) as client:
        assert find_section(client, copied, BOT) is None
        assert find_section(client, report_id_of(notion), BOT) is not None


def report_id_of(fake: FakeNotion) -> str:
    return fake.rows(source_of(fake, "CI Intelligence Reports"))[0].id


def test_a_text_left_half_done_or_twice_is_done_over(notion: FakeNotion) -> None:
    blocks = to_blocks(MARKDOWN)
    with client_of(notion) as client:
        for number in range(4):  # dies within the writing, each time somewhere else
            with pytest.raises(Killed), client_of(notion, transport=_dying(notion, 2 + number)) as dying:
                write_section(dying, notion.root, to_blocks("\n\n".join(["x"] * 250)), BOT)
        write_section(client, notion.root, blocks, BOT)
        section = find_section(client, notion.root, BOT)
    assert section is not None
    assert (section.digest, section.others) == (digest_of(blocks), ())
    assert notion.text(notion.root)[1:] == [one for one in notion.text(notion.root)[1:] if one != "x"]


def test_two_sections_of_ours_become_one(notion: FakeNotion) -> None:
    blocks = to_blocks("same")
    with client_of(notion) as client:
        write_section(client, notion.root, blocks, BOT)
        first = notion.things[notion.root].children[0]
        label = notion.things[first].told["callout"]["rich_text"][0]["text"]["content"]
        client.append(notion.root, [{"callout": {"rich_text": [_text(label)]}}])
        write_section(client, notion.root, blocks, BOT)
    assert len(notion.text(notion.root)) == 2


def test_what_people_edit_stays_and_computed_numbers_come_back_with_a_word(
    notion: FakeNotion, ledger: Ledger
) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    row = row_id(notion, "Stage 7.3")
    notion.person_sets(
        row,
        {
            "✅ Status": {"select": {"name": "Blocked"}}, "📊 Progress": {"number": 0.9},
            "📝 Notes": {"rich_text": [_text("waiting for the vendor")]},
        },
    )  # fmt: skip
    done = push(notion, ledger)
    values = notion.values(row)
    assert (values["✅ Status"], values["📝 Notes"]) == ("Blocked", "waiting for the vendor")
    assert values["📊 Progress"] == 0.55
    assert done.plan.notices == (
        "Stage 7.3: 📊 Progress was changed in Notion to 0.9; it is computed, so it becomes 0.55 again",
    )
    assert push(notion, ledger).writes == 0
    moved = replace(ROW, status="Completed", target=date(2026, 7, 31), progress=None)
    done = push(notion, ledger, Contents((), (moved,)))
    values = notion.values(row)
    assert values["📆 Target Date"] == "2026-07-31", "nobody changed it in Notion"
    assert values["✅ Status"] == "Blocked", "changed on both sides: people's word stays"
    assert any("Status" in one and "Blocked" in one for one in done.plan.notices)
    assert values["📊 Progress"] is None, "what is not measured any more is empty"


def test_columns_and_text_of_people_are_never_written(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    source = source_of(notion, "Roadmap")
    notion.person_adds_property(source, "Owner", {"rich_text": {}})
    push(notion, ledger)
    row = row_id(notion, "Stage 7.3")
    notion.person_sets(row, {"Owner": {"rich_text": [_text("Ada")]}})
    notion.person_writes(row, "Our plan")
    push(notion, ledger, Contents((REPORT,), (replace(ROW, progress=0.7),)))
    assert notion.values(row)["Owner"] == "Ada"
    assert notion.text(row) == ["Our plan"]


def test_the_dry_run_is_the_plan_that_is_carried_out(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    writes = len(notion.writes)
    dry = push(notion, ledger, is_dry=True)
    assert dry.outcome is None
    assert len(notion.writes) == writes
    assert [(one.action, one.name) for one in dry.plan.operations] == [
        ("create", REPORT.name), ("text", REPORT.name), ("create", "Stage 7.3"), ("create", "Stage 8"),
    ]  # fmt: skip
    assert push(notion, ledger, is_dry=True).plan.hash == dry.plan.hash
    with pytest.raises(NotionError, match="something changed"):
        push(notion, ledger, Contents((REPORT,), (replace(ROW, progress=0.56),)), expected=dry.plan.hash)
    assert len(notion.writes) == writes
    done = push(notion, ledger, expected=dry.plan.hash)
    assert done.plan.hash == dry.plan.hash
    assert done.outcome is not None
    assert done.outcome.is_whole


def test_a_relation_follows_to_the_newest_report(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    newer = replace(
        REPORT, key="acme/rocket 2026-W22", name="CI_Weekly_Report_2026-05-31", date=date(2026, 5, 31)
    )
    done = push(notion, ledger, Contents((newer,), (replace(ROW, report_key=newer.key),)))
    assert [(one.action, one.table) for one in done.plan.operations] == [
        ("create", "reports"), ("text", "reports"), ("update", "roadmap"),
    ]  # fmt: skip
    (related,) = roadmap_rows(notion)["Stage 7.3"]["📎 Latest CI Health"]
    assert notion.values(related)["Report Name"] == newer.name
    alone = push(notion, ledger, Contents((), (replace(ROW, report_key=REPORT.key),)))
    assert alone.writes == 1, "a report of an earlier run is found by its key"
    assert push(notion, ledger, Contents((), (replace(ROW, report_key="nowhere"),))).writes == 0


def test_a_report_that_fails_leaves_the_milestones_be(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    notion.person_removes_property(source_of(notion, "Reports"), "Report Date")
    done = push(notion, ledger)
    assert any("Report Date: missing" in one for one in done.problems), "the rest is written all the same"
    assert notion.values(report_id(notion))["Total Failures"] == 20
    fake_fault = Trouble(400, "validation_error", "body failed validation")
    changed = Contents((replace(REPORT, total_failures=1, markdown="other"),), (replace(ROW, mttr=1.0),))
    reads = len(push(notion, ledger, changed, is_dry=True).plan.operations)
    assert reads == 3
    before = _reads_of_plan(notion, ledger, changed)
    notion.troubles.extend([None] * (before + 1) + [fake_fault])
    done = push(notion, ledger, changed)
    assert done.outcome is not None
    assert dict(done.outcome.failed).keys() == {REPORT.name}
    assert roadmap_rows(notion)["Stage 7.3"]["⏱️ MTTR"] == 1


def _reads_of_plan(fake: FakeNotion, ledger: Ledger, contents: Contents) -> int:
    already = len(fake.log)
    push(fake, ledger, contents, is_dry=True)
    return len(fake.log) - already


def test_a_used_up_budget_stops_and_the_next_run_goes_on(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    before = _reads_of_plan(notion, ledger, ALL)
    notion.troubles.extend([None] * (before + 2) + [busy(3_600)])
    done = push(notion, ledger)
    assert done.outcome is not None
    assert not done.outcome.is_whole
    assert done.outcome.seconds == 3_600
    assert done.outcome.created == 1
    done = push(notion, ledger)
    assert done.outcome is not None
    assert done.outcome.is_whole
    assert push(notion, ledger).writes == 0


def test_a_refused_token_in_the_middle_stops_all(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    before = _reads_of_plan(notion, ledger, ALL)
    already = len(notion.log)
    notion.troubles.extend(
        [None] * before + [Trouble(403, "restricted_resource", "Insufficient permissions")]
    )
    done = push(notion, ledger)
    assert done.outcome is not None
    assert "capability" in done.outcome.stopped
    assert len(notion.log) - already == before + 1


def test_what_notion_stores_in_its_own_form_is_not_written_again(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    notion.adds_slashes = True
    push(notion, ledger)
    assert roadmap_rows(notion)["Stage 7.3"]["📦 Related PR"] == f"{ROW.pull}/"
    assert push(notion, ledger).writes == 0
    push(notion, ledger, Contents((), (replace(ROW, pull="https://github.com/acme/rocket/pull/13"),)))
    assert roadmap_rows(notion)["Stage 7.3"]["📦 Related PR"] == "https://github.com/acme/rocket/pull/13/"


def test_a_row_in_the_trash_is_respected(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    row = row_id(notion, "Stage 8")
    notion.person_trashes(row)
    done = push(notion, ledger)
    assert done.writes == 0
    assert "trash" in dict(done.plan.skipped)["Stage 8"]
    notion.person_restores(row)
    assert push(notion, ledger).plan.skipped == ()
    notion.person_trashes(report_id(notion))
    done = push(notion, ledger)
    assert done.writes == 0
    assert "trash" in dict(done.plan.skipped)[REPORT.name]


def test_a_row_without_its_key_gets_it_back(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    notion.person_sets(row_id(notion, "Stage 8"), {"Sync Key": {"rich_text": []}})
    assert push(notion, ledger).writes == 1
    assert roadmap_rows(notion)["Stage 8"]["Sync Key"] == OTHER.key


def test_rows_that_people_made_are_not_doubled_and_taken_over_only_on_demand(
    notion: FakeNotion, ledger: Ledger
) -> None:
    set_up(notion, ledger)
    source = source_of(notion, "Roadmap")
    row = notion.person_creates_row(
        source,
        {"🧩 Milestone": {"title": [_text("Stage 7.3")]}, "✅ Status": {"select": {"name": "Blocked"}}},
    )
    done = push(notion, ledger)
    assert "--adopt" in dict(done.plan.skipped)["Stage 7.3"]
    assert len(notion.rows(source)) == 2
    done = push(notion, ledger, adopt=True)
    assert done.writes == 1
    values = notion.values(row)
    assert (values["Sync Key"], values["✅ Status"], values["📊 Progress"]) == (ROW.key, "Blocked", 0.55)
    assert any("Status" in one for one in done.plan.notices)
    notion.person_creates_row(source, {"🧩 Milestone": {"title": [_text("Stage 9")]}})
    notion.person_creates_row(source, {"🧩 Milestone": {"title": [_text("Stage 9")]}})
    done = push(notion, ledger, Contents((), (RoadmapRow("k9", "Stage 9"),)), adopt=True)
    assert "2 rows" in dict(done.plan.skipped)["Stage 9"]
    assert done.writes == 0


def test_a_persons_copy_with_the_same_key_is_left_and_said(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    ours = row_id(notion, "Stage 8")
    copied = notion.person_duplicates_row(ours)
    done = push(notion, ledger, Contents((), (replace(OTHER, progress=0.25),)))
    assert any("2 rows have the Sync Key" in one for one in done.plan.notices)
    assert notion.values(ours)["📊 Progress"] == 0.25
    assert notion.values(copied)["📊 Progress"] is None


def test_another_runner_that_was_quicker_makes_no_second_row(notion: FakeNotion, ledger: Ledger) -> None:
    """Between our plan and our create somebody else creates the row."""
    set_up(notion, ledger)
    inner = notion.transport()
    client = client_of(notion, transport=httpx.MockTransport(lambda request: answer(request)))
    raced = False

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal raced
        is_lookup = request.url.path.endswith("/query") and b"Stage 8" not in request.content
        if (
            raced is False
            and is_lookup
            and len([one for one in notion.log if one.path.endswith("/query")]) >= 4
        ):
            raced = True
            push(notion, ledger2, Contents((), (OTHER,)), settings=chosen)
        response: httpx.Response = inner.handle_request(request)
        return response

    ledger2 = open_ledger(ledger.name + ".second")
    chosen = in_force(notion, notion_roadmap_db=notion.databases()[1].id)
    push(notion, ledger, Contents((), (ROW, OTHER)), client=client)
    assert raced
    assert len(roadmap_rows(notion)) == 2
    ledger2.close()


def test_a_query_that_was_cut_writes_nothing(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    push(notion, ledger)
    notion.query_cap = 1
    writes = len(notion.writes)
    with pytest.raises(NotionError, match="only a part"):
        push(notion, ledger)
    assert len(notion.writes) == writes


def test_keys_must_tell_rows_apart(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    with pytest.raises(ValueError, match="must tell one"):
        push(notion, ledger, Contents((), (ROW, replace(ROW, name="other"))))
    with pytest.raises(ValueError, match="must tell one"):
        push(notion, ledger, Contents((), (replace(ROW, key=" "),)))


def test_without_a_sync_key_nothing_is_written(notion: FakeNotion, ledger: Ledger) -> None:
    address = _own_database(notion, {"Name": {"title": {}}})
    with pytest.raises(ConfigurationError, match="Sync Key"):
        push(notion, ledger, Contents((), (ROW,)), settings=in_force(notion, notion_roadmap_db=address))


def test_hostile_names_stay_text(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    name = "Stage \x00\ud800 <script>, $(rm) @everyone " + "x" * 5_000
    row = replace(ROW, name=name, trend="a,b", notes="y" * 500_000, pull="z" * 3_000, report_key=None)
    done = push(notion, ledger, Contents((), (row,)))
    assert done.outcome is not None
    assert done.outcome.is_whole
    assert any("longer than 2000" in one for one in done.plan.notices)
    (values,) = roadmap_rows(notion).values()
    assert units(values["📝 Notes"]) <= 200_000
    assert values["📈 Trend"] == "a;b"
    assert push(notion, ledger, Contents((), (row,))).writes == 0


def test_many_milestones_are_looked_up_together(notion: FakeNotion, ledger: Ledger) -> None:
    set_up(notion, ledger)
    rows = tuple(RoadmapRow(f"acme/rocket {number}", f"Milestone {number}") for number in range(120))
    push(notion, ledger, Contents((), rows))
    again = push(notion, ledger, Contents((), rows))
    assert again.writes == 0
    assert again.requests < 15


def test_it_works_over_a_real_socket(ledger: Ledger) -> None:
    with serve(FakeNotion()) as fake:
        chosen = in_force(fake, notion_api_url=fake.url)
        fast = lambda: NotionClient(API_KEY, url=fake.url, interval=0)  # noqa: E731
        assert create_databases(ledger, chosen, lambda: NOW, fast()).is_ready
        assert publish(ledger, chosen, ALL, lambda: NOW, client=fast()).outcome.is_whole  # type: ignore[union-attr]
        assert publish(ledger, chosen, ALL, lambda: NOW, client=fast()).writes == 0


# --- the commands ------------------------------------------------------------------------------------


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[FakeNotion, Callable[..., Any]]]:
    from achievement_collector.cli import notion as commands

    app = typer.Typer()
    app.callback()(lambda: None)
    commands.add_to(app)
    with serve(FakeNotion()) as fake:
        monkeypatch.setenv("NOTION_API_KEY", API_KEY)
        monkeypatch.setenv("NOTION_PARENT_PAGE_ID", fake.root)
        monkeypatch.setenv("NOTION_API_URL", fake.url)
        monkeypatch.setenv("DATABASE_URL", str(tmp_path / "commands.db"))
        make = service.notion_client
        monkeypatch.setattr(
            service, "notion_client",
            lambda told: NotionClient(told.notion_api_key or "", url=told.notion_api_url, version=told.notion_version, interval=0),
        )  # fmt: skip
        assert (
            repr(make(Settings(database="", notion_api_key=API_KEY)))
            == "NotionClient('api.notion.com', '2025-09-03')"
        )
        yield fake, lambda *told: CliRunner().invoke(app, ["notion", *told])


def test_the_schema_is_shown_without_any_account(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    monkeypatch.delenv("NOTION_API_KEY")
    _, run = command
    shown = run("setup", "--show-schema")
    assert shown.exit_code == 0
    assert "✅ Status (select: Planned, In Progress, Blocked, Completed; status will do)" in shown.output
    assert "📎 Latest CI Health (relation" in shown.output
    told = json.loads(run("setup", "--show-schema", "--json").output)
    assert [one["setting"] for one in told] == ["NOTION_CI_REPORTS_DB_ID", "NOTION_ROADMAP_DB_ID"]


def test_setup_and_sync_as_a_user_runs_them(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    fake, run = command
    assert run("setup", "--check").exit_code == 3
    made = run("setup", "--create-databases")
    assert made.exit_code == 0, made.output
    assert f"NOTION_ROADMAP_DB_ID={fake.databases()[1].id}" in made.output
    assert json.loads(run("setup", "--check", "--json").output)["ready"] is True
    monkeypatch.setattr(service, "contents", lambda *_, **_more: Contents())
    assert "no report and no milestone" in run("sync").output
    monkeypatch.setattr(service, "contents", lambda *_, **_more: ALL)
    dry = run("sync", "--dry-run")
    assert dry.exit_code == 0
    assert 'create roadmap Stage 7.3: name "Stage 7.3"' in dry.output
    planned = json.loads(run("sync", "--dry-run", "--json").output)["plan"]
    assert f"plan {planned}: 4 to write" in dry.output
    assert type(run("sync", "--expect", "0" * 16).exception) is NotionError
    done = run("sync", "--expect", planned)
    assert done.exit_code == 0, done.output
    assert "3 created, 0 updated, 1 text written" in done.output
    assert "up to date, nothing written" in run("sync").output
    assert run("sync", "--dry-run").output.strip() == "nothing to write"
    fake.person_sets(row_id(fake, "Stage 7.3"), {"📊 Progress": {"number": 1}})
    already = len(fake.log)
    assert "Progress was changed in Notion to 1.0" in run("sync", "--dry-run").output
    looks = len(fake.log) - already + 1  # the row is looked at once more before it is written
    fake.troubles.extend([None] * looks + [Trouble(400, "validation_error", "no\x1b[31m")])
    failed = run("sync")
    assert failed.exit_code == 3
    assert "failed: Stage 7.3" in failed.output
    assert "\x1b" not in failed.output
    assert API_KEY not in failed.output + done.output + made.output
    told = json.loads(run("sync", "--json").output)
    assert (told["updated"], told["failed"], told["stopped"]) == (1, [], None)


def test_setup_wants_to_be_told_what(command: Any) -> None:
    _, run = command
    assert isinstance(run("setup").exception, ConfigurationError)
    assert isinstance(run("setup", "--check", "--show-schema").exception, ConfigurationError)


def test_the_refusal_of_notion_is_told_in_one_line(notion: FakeNotion) -> None:
    notion.troubles.append(Trouble(400, "validation_error", "first\nsecond " + "x" * 900))
    with client_of(notion) as client, pytest.raises(NotionRefusedError) as caught:
        client.page(notion.root)
    assert "first second" in str(caught.value)
    assert len(str(caught.value)) < 400
