"""A loopback Notion: a workspace in memory that refuses what Notion refuses and answers in the shape that Notion answers in.

What is enforced: databases as containers of data sources; property ids that outlive names; 2,000 UTF-16 units a text, 100
elements an array, 100 blocks an append, two levels of nesting, 1,000 blocks and 500 KB a request; pages of at most 100 with
cursors; at most 10,000 rows a query, then ``request_status``; times floored to the minute; unknown properties and wrong types
refused; options of a select made on write, those of a status not; trash; 404 for what is not shared; budgets per minute with
Retry-After; the differences between 2025-09-03 and 2026-03-11.

Requests are checked against Notion's own OpenAPI where it covers them (``violations`` must stay empty). What a person does in
the browser are the methods that begin with ``person_``. ``serve`` gives it a port, ``transport`` lets httpx in without one.
"""

from __future__ import annotations

import copy
import functools
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "notion"
API_KEY = "ntn_012345678901234567890123456789012345678901SECRET"
VERSIONS = ("2025-09-03", "2026-03-11")
START = 1_780_000_020.0
"""Where the workspace's clock begins: seconds since 1970, 2026-05-28T20:27:00Z."""

BOT, PERSON = (str(uuid5(NAMESPACE_URL, f"notion/user/{name}")) for name in ("bot", "ada"))

_LIST_TYPES = {"relation", "multi_select", "people", "title", "rich_text", "files"}
_READ_ONLY = {
    "created_time", "last_edited_time", "created_by", "last_edited_by", "formula", "rollup", "unique_id", "button",
}  # fmt: skip
_TYPES = _READ_ONLY | _LIST_TYPES | {
    "number", "select", "status", "date", "url", "checkbox", "email", "phone_number",
}  # fmt: skip
_TEXT_BLOCKS = {
    "paragraph", "heading_1", "heading_2", "heading_3", "heading_4", "bulleted_list_item", "numbered_list_item",
    "to_do", "toggle", "quote", "callout", "code",
}  # fmt: skip
_OTHER_BLOCKS = {
    "divider", "table", "table_row", "bookmark", "equation", "table_of_contents", "child_page", "child_database",
    "image", "embed",
}  # fmt: skip
_PARENTS = {
    "paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "toggle", "quote", "callout", "table",
}  # fmt: skip
_LANGUAGES = {
    "bash", "c", "c++", "c#", "css", "diff", "docker", "go", "html", "java", "javascript", "json", "kotlin", "makefile",
    "markdown", "php", "plain text", "powershell", "python", "ruby", "rust", "shell", "sql", "swift", "toml",
    "typescript", "xml", "yaml",
}  # fmt: skip
_COLORS = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")


@functools.cache
def openapi() -> dict[str, Any] | None:
    """Notion's own description of 2025-09-03, None where it is not at hand.

    Completed where the recorded requests of its own SDK, which Notion answered with 200, show that it leaves something out:
    parents that are data sources, annotations, all but two kinds of block, ``children`` as blocks, sorts by time.
    """
    path = DATA / "notion-openapi-2025-09-03.json"
    if not path.exists():
        return None
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    schemas = told["components"]["schemas"]
    schemas["parentRequest"] = {"type": "object", "minProperties": 1}
    schemas["richTextRequest"]["properties"]["annotations"] = {"type": "object"}
    for name in ("paragraph", "bulletedListItem"):
        schemas[f"{name}BlockRequest"]["properties"]["object"] = {"const": "block"}
        inner = schemas[f"{name}BlockRequest"]["properties"]
        kind = next(one for one in inner if one in _TEXT_BLOCKS)
        inner[kind]["properties"] |= {
            "color": {"type": "string"},
            "children": {"type": "array", "maxItems": 100},
        }
        schemas[f"{name}BlockRequest"]["required"] = [kind]
    others = {
        "type": "object",
        "not": {"anyOf": [{"required": ["paragraph"]}, {"required": ["bulleted_list_item"]}]},
    }
    schemas["blockObjectRequest"]["anyOf"].append(others)
    schemas["sortObject"]["required"] = ["direction"]
    post = told["paths"]["/v1/pages"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    post["properties"]["children"]["items"] = {"$ref": "#/components/schemas/blockObjectRequest"}
    for name in ("icon", "cover"):
        post["properties"][name] = {"type": ["object", "null"]}
    return told


def recorded(name: str) -> dict[str, Any]:
    """A recorded answer; skips the test where it is not at hand."""
    path = DATA / "responses" / f"{name}.json"
    if not path.exists():
        pytest.skip("needs recorded answers, which lie in shared/data/notion/responses beside the repository")
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def units(text: str) -> int:
    """UTF-16 code units, in which Notion's (JavaScript) server counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def rich(text: str, link: str | None = None, **annotations: Any) -> dict[str, Any]:
    """A piece of rich text as Notion answers it."""
    plain = {
        "bold": False, "italic": False, "strikethrough": False, "underline": False, "code": False, "color": "default",
    }  # fmt: skip
    return {
        "type": "text",
        "text": {"content": text, "link": {"url": link} if link else None},
        "annotations": {**plain, **annotations},
        "plain_text": text,
        "href": link,
    }


def plain(pieces: list[dict[str, Any]]) -> str:
    return "".join(one["plain_text"] for one in pieces)


@dataclass
class Trouble:
    """One answer that is not the right one. ``is_done`` does what was asked before it answers wrongly; ``hangs_up`` ends the
    connection without an answer."""

    status: int = 500
    code: str = "internal_server_error"
    message: str = "Unexpected error occurred."
    headers: dict[str, str] = field(default_factory=dict)
    additional: dict[str, Any] = field(default_factory=dict)
    hangs_up: bool = False
    is_done: bool = False
    raw: str | None = None


def busy(after: float = 1) -> Trouble:
    return Trouble(
        429, "rate_limited", "You have been rate limited. Please try again in a few minutes.",
        {"Retry-After": str(after)}, {"rate_limit_reason": "integration_budget"},
    )  # fmt: skip


def overloaded(after: float | None = None) -> Trouble:
    told = {} if after is None else {"Retry-After": str(after)}
    return Trouble(529, "service_overload", "Notion is overloaded. Please try again later.", told)


def unavailable(is_done: bool = False) -> Trouble:
    return Trouble(503, "service_unavailable", "Public API service is temporarily unavailable, please try again later.",
                   is_done=is_done)  # fmt: skip


def collided() -> Trouble:
    return Trouble(409, "conflict_error", "Conflict occurred while saving. Please try again.")


class RefusedError(Exception):
    """What Notion answers with an error."""

    def __init__(self, message: str, code: str = "validation_error", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Asked:
    """A request as it came: ``status`` is what it was answered with, 0 where nothing was."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    version: str
    status: int = 0


@dataclass
class Thing:
    """A page, block, database or data source. ``told`` holds what only its kind has."""

    object: str
    id: str
    parent: dict[str, Any]
    created: float
    edited: float
    created_by: str
    edited_by: str
    told: dict[str, Any]
    children: list[str] = field(default_factory=list)
    in_trash: bool = False


class FakeNotion:
    """The state of a workspace, and what it was asked.

    ``root`` is the id of a page that is shared with the integration. Ids are the same in every run of the same calls.
    """

    def __init__(self) -> None:
        self.url = ""
        self.clock = START
        self.things: dict[str, Thing] = {}
        self.unshared: set[str] = set()
        self.troubles: deque[Trouble | None] = deque()  # answers of the next requests; None is the right one
        self.log: list[Asked] = []
        self.writes: list[Asked] = []
        self.violations: list[str] = []
        self.adds_slashes = False  # a server that stores addresses in a form of its own
        self.query_cap = 10_000
        self.longest_page = 100
        self.budget: int | None = None  # requests in each 60 seconds of the workspace's clock
        self.block_limit: int | None = None  # what a free workspace with several members may ever hold
        self.blocks_made = 0
        self._made = 0
        self._window: deque[float] = deque()
        self._lock = threading.RLock()
        self.root = self._make("page", {"type": "workspace", "workspace": True}, PERSON, title="Team").id

    def copy(self) -> FakeNotion:
        """A workspace that holds the same, with nothing asked of it yet."""
        other = FakeNotion()
        other.things = copy.deepcopy(self.things)
        other.unshared = set(self.unshared)
        other.adds_slashes = self.adds_slashes
        other.root, other.clock, other._made, other.blocks_made = (
            self.root,
            self.clock,
            self._made,
            self.blocks_made,
        )
        return other

    # --- a person in the browser -----------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds

    def person_sets(self, page_id: str, properties: dict[str, Any]) -> None:
        """Writes properties of a page: {name: value in the API's request form}, such as {"select": {"name": "Blocked"}}."""
        with self._lock:
            page = self.things[page_id]
            self._write_properties(page, properties)
            self._touch(page, PERSON)

    def person_creates_row(self, source_id: str, properties: dict[str, Any]) -> str:
        with self._lock:
            page = self._make(
                "page", {"type": "data_source_id", "data_source_id": source_id}, PERSON, values={}
            )
            self._write_properties(page, properties)
            return page.id

    def person_duplicates_row(self, page_id: str) -> str:
        """As "Duplicate" does: all values are copied, the text too."""
        with self._lock:
            page = self.things[page_id]
            copied = self._make("page", dict(page.parent), PERSON, values=copy.deepcopy(page.told["values"]))
            self._copy_blocks(page, copied)
            return copied.id

    def person_writes(self, parent_id: str, text: str, *, first: bool = False) -> str:
        """Adds a paragraph to a page or a block; gives its id."""
        with self._lock:
            block = {"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": text}}]}}
            made = self._add_blocks(self.things[parent_id], [block], PERSON)
            if first:
                children = self.things[parent_id].children
                children.insert(0, children.pop())
            return made[0].id

    def person_rewrites(self, block_id: str, text: str) -> None:
        with self._lock:
            block = self.things[block_id]
            block.told[block.told["type"]]["rich_text"] = [rich(text)]
            self._touch(block, PERSON)

    def person_trashes(self, thing_id: str) -> None:
        self.things[thing_id].in_trash = True
        self._touch(self.things[thing_id], PERSON)

    def person_restores(self, thing_id: str) -> None:
        self.things[thing_id].in_trash = False
        self._touch(self.things[thing_id], PERSON)

    def person_renames_property(self, source_id: str, old: str, new: str) -> None:
        for one in self.things[source_id].told["properties"].values():
            if one["name"] == old:
                one["name"] = new
                return
        raise KeyError(old)

    def person_adds_property(self, source_id: str, name: str, definition: dict[str, Any]) -> str:
        with self._lock:
            return self._add_property(self.things[source_id], name, definition)

    def person_removes_property(self, source_id: str, name: str) -> None:
        properties = self.things[source_id].told["properties"]
        gone = next(one for one, told in properties.items() if told["name"] == name)
        del properties[gone]

    def person_adds_source(self, database_id: str, name: str) -> str:
        with self._lock:
            return self._make_source(database_id, name, {"Name": {"title": {}}}, PERSON).id

    def unshare(self, thing_id: str) -> None:
        """Takes the integration's access away, to all that lies inside too."""
        self.unshared.add(thing_id)

    def share(self, thing_id: str) -> None:
        self.unshared.discard(thing_id)

    # --- looking, for tests ----------------------------------------------------------------------

    def sources(self, name: str = "") -> list[Thing]:
        return [
            one
            for one in self.things.values()
            if one.object == "data_source" and name in plain(one.told["title"])
        ]

    def databases(self) -> list[Thing]:
        return [one for one in self.things.values() if one.object == "database"]

    def rows(self, source_id: str) -> list[Thing]:
        """The rows that are not in the trash, oldest first."""
        return [
            one
            for one in self.things.values()
            if one.object == "page" and one.parent.get("data_source_id") == source_id and not one.in_trash
        ]

    def values(self, page_id: str) -> dict[str, Any]:
        """{property's name: its value}: texts as text, options and dates by name, relations as ids."""
        found: dict[str, Any] = {}
        for name, told in self._properties_of(self.things[page_id], VERSIONS[0]).items():
            found[name] = simple(told)
        return found

    def text(self, thing_id: str) -> list[str]:
        """The text of the blocks inside, depth first, a line each; table cells with bars between them."""
        lines: list[str] = []
        for child_id in self.things[thing_id].children:
            block = self.things[child_id]
            if block.in_trash:
                continue
            kind = block.told["type"]
            body = block.told[kind]
            if kind == "table_row":
                lines.append("|".join(plain(cell) for cell in body["cells"]))
            elif kind != "table":
                lines.append(
                    plain(body.get("rich_text", [])) if kind not in ("child_page", "child_database") else ""
                )
            lines += self.text(child_id)
        return lines

    # --- the API ---------------------------------------------------------------------------------

    def execute(
        self, method: str, target: str, headers: dict[str, str], payload: bytes
    ) -> tuple[int, dict[str, str], str] | None:
        """Answers a request with (status, headers, body); None hangs up."""
        with self._lock:
            parts = urlsplit(target)
            named = {name.lower(): value for name, value in headers.items()}
            try:
                body = json.loads(payload) if payload else None
            except ValueError:
                body = RefusedError("Error parsing JSON body.", "invalid_json")
            asked = Asked(method, parts.path, parse_qs(parts.query), body, named.get("notion-version", ""))
            self.log.append(asked)
            trouble = self.troubles.popleft() if self.troubles else None
            if trouble is not None and not trouble.is_done:
                return self._trouble(asked, trouble)
            answer = self._answer(asked, named.get("authorization", ""), len(payload))
            if trouble is not None:
                return self._trouble(asked, trouble)
            return answer

    def _trouble(self, asked: Asked, trouble: Trouble) -> tuple[int, dict[str, str], str] | None:
        if trouble.hangs_up:
            asked.status = 0
            return None
        asked.status = trouble.status
        text = trouble.raw
        if text is None:
            text = json.dumps(_error(trouble.status, trouble.code, trouble.message, trouble.additional))
        return trouble.status, dict(trouble.headers), text

    def _answer(self, asked: Asked, authorization: str, size: int) -> tuple[int, dict[str, str], str]:
        held = self._held_back()
        if held is not None:
            asked.status = 429
            told = _error(
                429,
                "rate_limited",
                "You have been rate limited.",
                {"rate_limit_reason": "integration_budget"},
            )
            return 429, {"Retry-After": str(held)}, json.dumps(told)
        before = self._snapshot(asked) if asked.method != "GET" else None
        try:
            if authorization != f"Bearer {API_KEY}":
                raise RefusedError("API token is invalid.", "unauthorized", 401)
            if not asked.version:
                raise RefusedError("Notion-Version header failed validation.", "missing_version")
            if asked.version not in VERSIONS:
                raise RefusedError(f"Notion-Version {asked.version} is not spoken here.")
            if isinstance(asked.body, RefusedError):
                raise asked.body
            if size > 500_000:
                raise RefusedError("The request body is too large (limit 500KB).")
            self._check_openapi(asked)
            answer = self._route(asked)
        except RefusedError as error:
            if before is not None:
                self._take_back(before)
            asked.status = error.status
            return error.status, {}, json.dumps(_error(error.status, error.code, str(error)))
        asked.status = 200
        if asked.method != "GET" and not asked.path.endswith(("/query", "/search")):
            self.writes.append(asked)
        return 200, {}, json.dumps({**answer, "request_id": self._new_id("request")})

    def _snapshot(self, asked: Asked) -> tuple[list[str], dict[str, Thing], int]:
        """What a refused request may have changed: what it names, what that lies in, and the schemas."""
        named = re.findall(
            r"[0-9a-f]{8}-[0-9a-f-]{27}", f"{asked.path} {json.dumps(asked.body, default=str)}"
        )
        named += [one.id for one in self.things.values() if one.object == "data_source"]
        kept = {one: copy.deepcopy(self.things[one]) for one in named if one in self.things}
        return list(self.things), kept, self.blocks_made

    def _take_back(self, before: tuple[list[str], dict[str, Thing], int]) -> None:
        names, kept, self.blocks_made = before
        for name in list(self.things)[len(names) :]:
            del self.things[name]
        self.things.update(kept)

    def _held_back(self) -> int | None:
        if self.budget is None:
            return None
        while self._window and self._window[0] <= self.clock - 60:
            self._window.popleft()
        if len(self._window) >= self.budget:
            return max(1, int(self._window[0] + 60 - self.clock + 0.999))
        self._window.append(self.clock)
        return None

    def _check_openapi(self, asked: Asked) -> None:
        told = openapi()
        if told is None or asked.body is None:
            return
        validator = _validator(asked.method.lower(), _template(asked.path))
        if validator is None or (asked.version != VERSIONS[0] and "position" in asked.body):
            return
        wrong = next(iter(validator.iter_errors(asked.body)), None)
        if wrong is not None:
            where = ".".join(["body", *map(str, wrong.absolute_path)])
            self.violations.append(f"{asked.method} {asked.path}: {where}: {wrong.message}")

    def _route(self, asked: Asked) -> dict[str, Any]:
        path = [unquote(one) for one in asked.path.strip("/").split("/")]
        body = asked.body if isinstance(asked.body, dict) else {}
        if asked.version == VERSIONS[1] and "archived" in body:
            raise RefusedError(
                "body failed validation: body.archived should be not present, instead was `true`."
            )
        match [asked.method, *path]:
            case ["GET", "v1", "users", "me"]:
                return self._bot()
            case ["GET", "v1", "users", user]:
                return {
                    "object": "user",
                    "id": user,
                    "type": "bot" if user == BOT else "person",
                    "name": "Ada",
                }
            case ["POST", "v1", "pages"]:
                return self._render(self._create_page(body), asked.version)
            case ["GET", "v1", "pages", one]:
                return self._render(
                    self._find("page", one), asked.version, asked.query.get("filter_properties")
                )
            case ["PATCH", "v1", "pages", one]:
                return self._render(self._update_page(self._find("page", one), body), asked.version)
            case ["GET", "v1", "pages", one, "properties", prop]:
                return self._property_item(self._find("page", one), prop, asked)
            case ["GET", "v1", "blocks", one]:
                return self._render(self._find("block", one), asked.version)
            case ["PATCH", "v1", "blocks", one]:
                return self._render(self._update_block(self._find("block", one), body), asked.version)
            case ["DELETE", "v1", "blocks", one]:
                return self._delete(self._find("block", one), asked.version)
            case ["GET", "v1", "blocks", one, "children"]:
                return self._children(self._find("block", one), asked)
            case ["PATCH", "v1", "blocks", one, "children"]:
                return self._append(self._find("block", one), body, asked.version)
            case ["POST", "v1", "databases"]:
                return self._render(self._create_database(body), asked.version)
            case ["GET", "v1", "databases", one]:
                return self._render(self._find("database", one), asked.version)
            case ["PATCH", "v1", "databases", one]:
                return self._render(self._update_titled(self._find("database", one), body), asked.version)
            case ["POST", "v1", "data_sources"]:
                database = self._find("database", body.get("parent", {}).get("database_id", ""))
                title = _plain_request(body.get("title", []))
                made = self._make_source(database.id, title, body.get("properties", {}), BOT)
                return self._render(made, asked.version)
            case ["GET", "v1", "data_sources", one]:
                return self._render(self._find("data_source", one), asked.version)
            case ["PATCH", "v1", "data_sources", one]:
                return self._render(self._update_source(self._find("data_source", one), body), asked.version)
            case ["POST", "v1", "data_sources", one, "query"]:
                return self._query(self._find("data_source", one), body, asked)
            case ["POST", "v1", "search"]:
                return self._search(body, asked)
        raise RefusedError("Invalid request URL.", "invalid_request_url")

    # --- things ----------------------------------------------------------------------------------

    def _new_id(self, kind: str) -> str:
        self._made += 1
        return str(uuid5(NAMESPACE_URL, f"notion/{kind}/{self._made}"))

    def _make(self, kind: str, parent: dict[str, Any], by: str, **told: Any) -> Thing:
        one = Thing(kind, self._new_id(kind), parent, self.clock, self.clock, by, by, told)
        self.things[one.id] = one
        return one

    def _touch(self, one: Thing, by: str) -> None:
        one.edited, one.edited_by = self.clock, by
        if one.object == "block":
            above = self._above(one)
            if above is not None:
                self._touch(above, by)

    def _above(self, one: Thing) -> Thing | None:
        for name in ("page_id", "block_id", "data_source_id", "database_id"):
            if name in one.parent:
                return self.things.get(one.parent[name])
        return None

    def _find(self, kind: str, told: str) -> Thing:
        compact = told.replace("-", "").lower()
        name = {
            "page": "page_id",
            "block": "block_id",
            "database": "database_id",
            "data_source": "data_source_id",
        }[kind]
        if not re.fullmatch(r"[0-9a-f]{32}", compact):
            raise RefusedError(
                f'path failed validation: path.{name} should be a valid uuid, instead was `"{told}"`.'
            )
        wanted = "-".join((compact[:8], compact[8:12], compact[12:16], compact[16:20], compact[20:]))
        one = self.things.get(wanted)
        fits = one is not None and (
            one.object == kind or (kind == "block" and one.object in ("page", "database"))
        )
        above = one
        while above is not None:
            if above.id in self.unshared:
                fits = False
            above = self._above(above)
        if one is None or not fits:
            raise RefusedError(
                f"Could not find {kind} with ID: {wanted}. Make sure the relevant pages and databases are shared with "
                'your integration "achievement-collector".',
                "object_not_found",
                404,
            )
        return one

    def _not_in_trash(self, one: Thing) -> Thing:
        if one.in_trash:
            raise RefusedError(
                "Can't edit block that is archived. You must unarchive the block before editing."
            )
        return one

    # --- pages -----------------------------------------------------------------------------------

    def _create_page(self, body: dict[str, Any]) -> Thing:
        parent = body.get("parent", {})
        _check_blocks(body.get("children") or [])
        if "data_source_id" in parent:
            source = self._find("data_source", parent["data_source_id"])
            place = {"type": "data_source_id", "data_source_id": source.id}
        elif "database_id" in parent:
            sources = self._sources_of(self._find("database", parent["database_id"]))
            if len(sources) != 1:
                raise RefusedError(
                    "Databases with multiple data sources are not supported in this API version; give a data_source_id."
                )
            place = {"type": "data_source_id", "data_source_id": sources[0].id}
        elif "page_id" in parent:
            place = {"type": "page_id", "page_id": self._find("page", parent["page_id"]).id}
        else:
            raise RefusedError("body failed validation: body.parent should be defined.")
        page = self._make("page", place, BOT)
        if "page_id" in place:
            title = body.get("properties", {}).get("title", [])
            page.told["title"] = _plain_request(title if isinstance(title, list) else title.get("title", []))
            self.things[place["page_id"]].children.append(page.id)
        else:
            self._not_in_trash(self.things[place["data_source_id"]])
            page.told["values"] = {}
            self._write_properties(page, body.get("properties", {}))
        if body.get("children"):
            self._add_blocks(page, body["children"], BOT)
        return page

    def _update_page(self, page: Thing, body: dict[str, Any]) -> Thing:
        trash = body.get("in_trash", body.get("archived"))
        if trash is not None:
            page.in_trash = bool(trash)
        if body.get("properties"):
            self._not_in_trash(page)
            self._write_properties(page, body["properties"])
        self._touch(page, BOT)
        return page

    def _write_properties(self, page: Thing, properties: dict[str, Any]) -> None:
        if "values" not in page.told:
            raise RefusedError("Only the title of a page outside of a database can be set.")
        source = self.things[page.parent["data_source_id"]]
        checked: list[tuple[dict[str, Any], Any]] = []
        for told, value in properties.items():
            prop = _property(source, told)
            if prop is None:
                raise RefusedError(f"{told} is not a property that exists.")
            kind = prop["type"]
            if kind in _READ_ONLY:
                raise RefusedError(f"{told} is a {kind} property and cannot be written.")
            if not isinstance(value, dict) or kind not in value:
                raise RefusedError(f"{prop['name']} is expected to be {kind}.")
            checked.append((prop, self._checked(prop, value[kind], f"body.properties.{told}.{kind}")))
        for prop, stored in checked:
            if prop["type"] == "relation":
                self._mirror(page, prop, stored)
            page.told["values"][prop["id"]] = stored

    def _checked(self, prop: dict[str, Any], value: Any, where: str) -> Any:
        kind = prop["type"]
        if kind in ("title", "rich_text"):
            return _rich_text(value, where)
        if kind == "relation":
            _no_longer_than(value, 100, where)
            for one in value:
                target = self._find("page", one["id"])
                if target.parent.get("data_source_id") != prop["relation"]["data_source_id"]:
                    raise RefusedError(f"{where}: page {target.id} is not in the related data source.")
            return [{"id": one["id"]} for one in value]
        if kind == "people":
            return [{"object": "user", "id": one["id"]} for one in value]
        if kind == "multi_select":
            _no_longer_than(value, 100, where)
            return [self._option(prop, one) for one in value]
        if value is None:
            return None
        match kind:
            case "number" if isinstance(value, int | float) and not isinstance(value, bool):
                return value
            case "checkbox" if isinstance(value, bool):
                return value
            case "url" | "email" | "phone_number" if isinstance(value, str) and value:
                most = {"url": 2000, "email": 200, "phone_number": 200}[kind]
                if units(value) > most:
                    raise RefusedError(_too_long(where, most, units(value)))
                return value + "/" * (self.adds_slashes and kind == "url")
            case "select" | "status" if isinstance(value, dict):
                return self._option(prop, value)
            case "date" if isinstance(value, dict):
                for name in ("start", "end"):
                    if value.get(name) is not None:
                        _check_date(value[name], where)
                if not value.get("start"):
                    raise RefusedError(f"body failed validation: {where}.start should be defined.")
                return {"start": value["start"], "end": value.get("end"), "time_zone": value.get("time_zone")}
        raise RefusedError(
            f"body failed validation: {where} should be a valid {kind}, instead was `{json.dumps(value)}`."
        )

    def _option(self, prop: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
        options = prop[prop["type"]]["options"]
        for one in options:
            if told.get("name") == one["name"] or told.get("id") == one["id"]:
                return dict(one)
        name = told.get("name")
        if prop["type"] == "status" or not isinstance(name, str):
            raise RefusedError(f'{prop["name"]} status option "{name}" does not exist.')
        made = self._new_option(name, told.get("color"))
        options.append(made)
        return dict(made)

    def _new_option(self, name: str, color: str | None = None) -> dict[str, Any]:
        if "," in name or not name or units(name) > 100:
            raise RefusedError(f"Invalid select option, commas not allowed: {name}")
        if color is not None and color not in _COLORS:
            raise RefusedError(f"{color} is no color of an option.")
        return {"id": self._new_id("option"), "name": name, "color": color or "default", "description": None}

    def _mirror(self, page: Thing, prop: dict[str, Any], stored: list[dict[str, str]]) -> None:
        """Keeps the other side of a two-sided relation as this side is."""
        other = prop["relation"].get("dual_property", {}).get("synced_property_id")
        if not other:
            return
        wanted = {one["id"] for one in stored}
        for target in list(self.things.values()):
            if (
                target.object != "page"
                or target.parent.get("data_source_id") != prop["relation"]["data_source_id"]
            ):
                continue
            there = target.told["values"].setdefault(other, [])
            target.told["values"][other] = [one for one in there if one["id"] != page.id]
            if target.id in wanted:
                target.told["values"][other].append({"id": page.id})

    def _property_item(self, page: Thing, told: str, asked: Asked) -> dict[str, Any]:
        source = self.things[page.parent["data_source_id"]]
        prop = _property(source, told)
        if prop is None:
            raise RefusedError("Could not find property with ID: " + told, "object_not_found", 404)
        kind = prop["type"]
        value = page.told["values"].get(prop["id"], [] if kind in _LIST_TYPES else None)
        if kind not in ("title", "rich_text", "relation", "people"):
            return {"object": "property_item", "type": kind, "id": prop["id"], kind: value}
        items = [{"object": "property_item", "type": kind, "id": prop["id"], kind: one} for one in value]
        listed = self._page_of(items, asked.query, "property_item")
        listed["property_item"] = {"id": prop["id"], "next_url": None, "type": kind, kind: {}}
        return listed

    # --- blocks ----------------------------------------------------------------------------------

    def _append(self, parent: Thing, body: dict[str, Any], version: str) -> dict[str, Any]:
        self._not_in_trash(parent)
        if parent.object == "block" and parent.told["type"] not in _PARENTS | {
            "heading_1",
            "heading_2",
            "heading_3",
        }:
            raise RefusedError("Block does not support children.")
        children = body.get("children")
        if not isinstance(children, list):
            raise RefusedError("body failed validation: body.children should be defined.")
        _check_blocks(children)
        place: str | None = None
        if "after" in body:
            if version != VERSIONS[0]:
                raise RefusedError("body failed validation: body.after should be not present.")
            place = body["after"]
        at = len(parent.children)
        position = body.get("position")
        if position is not None:
            if version == VERSIONS[0]:
                raise RefusedError("body failed validation: body.position should be not present.")
            if position.get("type") == "start":
                at = 0
            elif position.get("type") == "after_block":
                place = position["after_block"]["id"]
        if place is not None:
            if place not in parent.children:
                raise RefusedError("The block to append after is not a child of this block.")
            at = parent.children.index(place) + 1
        made = self._add_blocks(parent, children, BOT, at)
        listed = [self._render(one, version) for one in made]
        return {
            "object": "list", "results": listed, "next_cursor": None, "has_more": False, "type": "block", "block": {},
        }  # fmt: skip

    def _add_blocks(
        self, parent: Thing, blocks: list[dict[str, Any]], by: str, at: int | None = None
    ) -> list[Thing]:
        place = {"page": {"type": "page_id", "page_id": parent.id}}.get(
            parent.object, {"type": "block_id", "block_id": parent.id}
        )
        made: list[Thing] = []
        for told in blocks:
            kind = _block_type(told)
            body = copy.deepcopy(told[kind])
            inner = body.pop("children", [])
            for name in ("rich_text", "caption"):
                if name in body:
                    body[name] = _rich_text(body[name], f"{kind}.{name}")
            if kind == "table_row":
                body["cells"] = [_rich_text(cell, "table_row.cells") for cell in body["cells"]]
            elif kind in _TEXT_BLOCKS and kind != "code":
                body.setdefault("color", "default")
            if kind.startswith("heading"):
                body.setdefault("is_toggleable", False)
            one = self._make("block", dict(place), by, type=kind, **{kind: body})
            self.blocks_made += 1
            if inner:
                self._add_blocks(one, inner, by)
            made.append(one)
        if self.block_limit is not None and by == BOT and self.blocks_made > self.block_limit:
            raise RefusedError(
                "Block limit exceeded. This workspace has used up the blocks of its plan; upgrade to add more."
            )
        where = len(parent.children) if at is None else at
        parent.children[where:where] = [one.id for one in made]
        self._touch(parent, by)
        return made

    def _copy_blocks(self, parent: Thing, target: Thing) -> None:
        for child_id in parent.children:
            block = self.things[child_id]
            place = {"type": "page_id" if target.object == "page" else "block_id"}
            place[place["type"]] = target.id
            one = self._make("block", place, PERSON, **copy.deepcopy(block.told))
            target.children.append(one.id)
            self._copy_blocks(block, one)

    def _update_block(self, block: Thing, body: dict[str, Any]) -> Thing:
        trash = body.get("in_trash", body.get("archived"))
        if trash is not None:
            block.in_trash = bool(trash)
        kind = block.told.get("type", "")
        if kind in body:
            self._not_in_trash(block)
            for name, value in body[kind].items():
                block.told[kind][name] = _rich_text(value, f"{kind}.{name}") if name == "rich_text" else value
        elif trash is None:
            raise RefusedError(f"body failed validation: body.{kind} should be defined.")
        self._touch(block, BOT)
        return block

    def _delete(self, block: Thing, version: str) -> dict[str, Any]:
        self._not_in_trash(block)
        block.in_trash = True
        self._touch(block, BOT)
        return self._render(block, version)

    def _children(self, parent: Thing, asked: Asked) -> dict[str, Any]:
        shown = [self.things[one] for one in parent.children if not self.things[one].in_trash]
        listed = self._page_of([self._as_block(one, asked.version) for one in shown], asked.query, "block")
        return {**listed, "block": {}}

    def _as_block(self, one: Thing, version: str) -> dict[str, Any]:
        if one.object == "block":
            return self._render(one, version)
        kind = {"page": "child_page", "database": "child_database"}[one.object]
        title = one.told["title"]
        inner = {"title": title if isinstance(title, str) else plain(title)}
        return self._frame(one, version) | {
            "object": "block",
            "has_children": True,
            "type": kind,
            kind: inner,
        }

    # --- databases and data sources ---------------------------------------------------------------

    def _sources_of(self, database: Thing) -> list[Thing]:
        return [
            one
            for one in self.things.values()
            if one.object == "data_source"
            and one.parent.get("database_id") == database.id
            and not one.in_trash
        ]

    def _create_database(self, body: dict[str, Any]) -> Thing:
        parent = self._not_in_trash(self._find("page", body.get("parent", {}).get("page_id", "")))
        if "properties" in body:
            raise RefusedError(
                "body failed validation: body.properties should be not present; use initial_data_source."
            )
        title = _rich_text(body.get("title", []), "body.title")
        database = self._make("database", {"type": "page_id", "page_id": parent.id}, BOT, title=title)
        database.told["description"] = _rich_text(body.get("description", []), "body.description")
        properties = body.get("initial_data_source", {}).get("properties", {"Name": {"title": {}}})
        self._make_source(database.id, plain(title), properties, BOT)
        parent.children.append(database.id)
        return database

    def _make_source(self, database_id: str, title: str, properties: dict[str, Any], by: str) -> Thing:
        source = self._make(
            "data_source", {"type": "database_id", "database_id": database_id}, by,
            title=[rich(title)] if title else [], properties={},
        )  # fmt: skip
        for name, definition in properties.items():
            self._add_property(source, name, definition)
        kinds = [one["type"] for one in source.told["properties"].values()]
        if kinds.count("title") != 1:
            raise RefusedError("A data source has exactly one title property.")
        return source

    def _add_property(self, source: Thing, name: str, definition: dict[str, Any]) -> str:
        kinds = [one for one in definition if one in _TYPES]
        if len(kinds) != 1:
            raise RefusedError(f"body failed validation: body.properties.{name} should have one type.")
        kind = kinds[0]
        if any(one["name"] == name for one in source.told["properties"].values()):
            raise RefusedError(f"A property named {name} exists already.")
        told = copy.deepcopy(definition[kind])
        if kind in ("select", "multi_select", "status"):
            told = {
                "options": [
                    self._new_option(one["name"], one.get("color")) for one in told.get("options", [])
                ]
            }
            if kind == "status":
                told["groups"] = []
        if kind == "number":
            told = {"format": told.get("format", "number")}
        identity = "title" if kind == "title" else self._property_id()
        prop = {"id": identity, "name": name, "description": None, "type": kind, kind: told}
        source.told["properties"][identity] = prop
        if kind == "relation":
            self._relate(source, prop, told)
        self._touch(source, BOT)
        return identity

    def _property_id(self) -> str:
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        self._made += 1
        number = self._made
        text = ";" + letters[number % 52] + letters[number // 52 % 52] + letters[number // 2704 % 52]
        return quote(text, safe="")

    def _relate(self, source: Thing, prop: dict[str, Any], told: dict[str, Any]) -> None:
        target = self._find("data_source", told.get("data_source_id", ""))
        style = next((one for one in ("single_property", "dual_property") if one in told), "")
        if not style:
            raise RefusedError(
                "body failed validation: relation should have single_property or dual_property."
            )
        relation = {
            "database_id": target.parent["database_id"],
            "data_source_id": target.id,
            "type": style,
            style: {},
        }
        prop["relation"] = relation
        if style == "dual_property":
            name = (
                told[style].get("synced_property_name")
                or f"Related to {plain(source.told['title'])} ({prop['name']})"
            )
            other = self._property_id()
            back = {
                "database_id": source.parent["database_id"], "data_source_id": source.id, "type": style,
                style: {"synced_property_name": prop["name"], "synced_property_id": prop["id"]},
            }  # fmt: skip
            target.told["properties"][other] = {
                "id": other, "name": name, "description": None, "type": "relation", "relation": back,
            }  # fmt: skip
            relation[style] = {"synced_property_name": name, "synced_property_id": other}

    def _update_titled(self, one: Thing, body: dict[str, Any]) -> Thing:
        for name in ("title", "description"):
            if name in body:
                one.told[name] = _rich_text(body[name], f"body.{name}")
        if "in_trash" in body:
            one.in_trash = bool(body["in_trash"])
        self._touch(one, BOT)
        return one

    def _update_source(self, source: Thing, body: dict[str, Any]) -> Thing:
        for told, definition in body.get("properties", {}).items():
            prop = _property(source, told)
            if prop is None:
                self._add_property(source, told, definition)
            elif definition is None:
                if prop["type"] == "title":
                    raise RefusedError("The title property cannot be removed.")
                del source.told["properties"][prop["id"]]
            else:
                self._change_property(prop, definition)
        return self._update_titled(
            source, {name: body[name] for name in ("title", "in_trash") if name in body}
        )

    def _change_property(self, prop: dict[str, Any], definition: dict[str, Any]) -> None:
        if "name" in definition:
            prop["name"] = definition["name"]
        kind = next((one for one in definition if one in _TYPES), prop["type"])
        if kind != prop["type"]:
            prop["type"] = kind
            prop[kind] = copy.deepcopy(definition[kind])
        elif kind in ("select", "multi_select", "status") and "options" in definition.get(kind, {}):
            known = {one["name"]: one for one in prop[kind]["options"]}
            options = [
                known.get(one["name"]) or self._new_option(one["name"], one.get("color"))
                for one in definition[kind]["options"]
            ]
            prop[kind]["options"] = options
        elif kind == "number" and kind in definition:
            prop[kind] = {"format": definition[kind].get("format", "number")}

    # --- queries ---------------------------------------------------------------------------------

    def _query(self, source: Thing, body: dict[str, Any], asked: Asked) -> dict[str, Any]:
        rows = [
            one
            for one in self.things.values()
            if one.object == "page"
            and one.parent.get("data_source_id") == source.id
            and one.in_trash == bool(body.get("in_trash", False))
            and one.id not in self.unshared
        ]
        if body.get("filter"):
            rows = [one for one in rows if self._fits(source, one, body["filter"])]
        rows.reverse()  # Notion's own order is not promised; the newest come first here
        for sort in reversed(body.get("sorts", [])):
            rows.sort(
                key=lambda one: self._sorting(source, one, sort), reverse=sort["direction"] == "descending"
            )
        is_cut = len(rows) > self.query_cap
        rows = rows[: self.query_cap]
        size = {
            name: [str(body[name])] for name in ("start_cursor", "page_size") if body.get(name) is not None
        }
        chosen = asked.query.get("filter_properties")
        listed = self._page_of(rows, size, "page_or_data_source")
        listed["results"] = [self._render(one, asked.version, chosen) for one in listed["results"]]
        listed["page_or_data_source"] = {}
        if is_cut and not listed["has_more"]:
            listed["request_status"] = {
                "type": "incomplete",
                "incomplete_reason": "query_result_limit_reached",
            }
        return listed

    def _sorting(self, source: Thing, page: Thing, sort: dict[str, Any]) -> Any:
        if "timestamp" in sort:
            return _floored(page.created if sort["timestamp"] == "created_time" else page.edited)
        prop = _property(source, sort["property"])
        if prop is None:
            raise RefusedError(f"Could not find sort property with name or id: {sort['property']}")
        value = self._simple(page, prop)
        return (value is not None, value if value is not None else 0)

    def _simple(self, page: Thing, prop: dict[str, Any]) -> Any:
        return simple(self._property_value(page, prop))

    def _fits(self, source: Thing, page: Thing, wanted: dict[str, Any]) -> bool:
        if "and" in wanted:
            return all(self._fits(source, page, one) for one in wanted["and"])
        if "or" in wanted:
            return any(self._fits(source, page, one) for one in wanted["or"])
        if "timestamp" in wanted:
            name = wanted["timestamp"]
            moment = _floored(page.created if name == "created_time" else page.edited)
            return _compare_times(moment, wanted[name])
        prop = _property(source, wanted.get("property", ""))
        if prop is None:
            raise RefusedError(f"Could not find property with name or id: {wanted.get('property')}")
        kind = prop["type"]
        if kind not in wanted:
            raise RefusedError(f"database property {kind} does not match filter")
        value = self._simple(page, prop)
        return all(_fits_operator(value, name, operand) for name, operand in wanted[kind].items())

    def _search(self, body: dict[str, Any], asked: Asked) -> dict[str, Any]:
        kind = body.get("filter", {}).get("value")
        found = [
            one
            for one in self.things.values()
            if one.object in ("page", "data_source") and kind in (None, one.object) and not one.in_trash
        ]
        size = {
            name: [str(body[name])] for name in ("start_cursor", "page_size") if body.get(name) is not None
        }
        listed = self._page_of(found, size, "page_or_data_source")
        listed["results"] = [self._render(one, asked.version) for one in listed["results"]]
        return listed

    def _page_of(self, things: list[Any], query: dict[str, list[str]], kind: str) -> dict[str, Any]:
        size = int(query.get("page_size", ["100"])[0])
        if not 1 <= size <= 100:
            raise RefusedError(_too_long("body.page_size", 100, size))
        size = min(size, self.longest_page)
        start = 0
        cursor = query.get("start_cursor", [None])[0]
        names = [one.id if isinstance(one, Thing) else one.get("id", "") for one in things]
        if cursor is not None:
            if cursor not in self._cursors:
                raise RefusedError("The start_cursor provided is invalid.")
            start = self._cursors[cursor]
        page = things[start : start + size]
        has_more = start + size < len(things)
        following = None
        if has_more:
            following = str(uuid5(NAMESPACE_URL, f"notion/cursor/{start + size}/{names[start + size]}"))
            self._cursors[following] = start + size
        return {
            "object": "list",
            "results": page,
            "next_cursor": following,
            "has_more": has_more,
            "type": kind,
        }

    @functools.cached_property
    def _cursors(self) -> dict[str, int]:
        return {}

    # --- answers ---------------------------------------------------------------------------------

    def _bot(self) -> dict[str, Any]:
        return {
            "object": "user", "id": BOT, "name": "achievement-collector", "avatar_url": None, "type": "bot",
            "bot": {
                "owner": {"type": "workspace", "workspace": True}, "workspace_name": "Acme",
                "workspace_limits": {"max_file_upload_size_in_bytes": 5_368_709_120},
            },
        }  # fmt: skip

    def _frame(self, one: Thing, version: str) -> dict[str, Any]:
        told = {
            "object": one.object,
            "id": one.id,
            "parent": dict(one.parent),
            "created_time": _stamp(one.created),
            "last_edited_time": _stamp(one.edited),
            "created_by": {"object": "user", "id": one.created_by},
            "last_edited_by": {"object": "user", "id": one.edited_by},
            "in_trash": one.in_trash,
        }
        if version == VERSIONS[0]:
            told["archived"] = one.in_trash
        return told

    def _render(self, one: Thing, version: str, chosen: list[str] | None = None) -> dict[str, Any]:
        told = self._frame(one, version)
        compact = one.id.replace("-", "")
        if one.object == "block":
            has_children = any(not self.things[child].in_trash for child in one.children)
            return told | {"has_children": has_children} | copy.deepcopy(one.told)
        told |= {"icon": None, "cover": None, "url": f"https://www.notion.so/{compact}", "public_url": None}
        if one.object == "page":
            properties = self._properties_of(one, version)
            if chosen is not None:
                properties = {name: value for name, value in properties.items() if value["id"] in chosen}
            if "data_source_id" in told["parent"]:
                told["parent"]["database_id"] = self.things[one.parent["data_source_id"]].parent[
                    "database_id"
                ]
            return told | {"is_locked": False, "properties": properties}
        titled = {
            "title": one.told["title"],
            "description": one.told.get("description", []),
            "is_inline": False,
        }
        if one.object == "database":
            sources = [{"id": each.id, "name": plain(each.told["title"])} for each in self._sources_of(one)]
            for name, moment in (("created_time", one.created), ("last_edited_time", one.edited)):
                told[name] = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
            for name in ("created_by", "last_edited_by"):
                del told[name]
            return told | titled | {"data_sources": sources}
        properties = {each["name"]: copy.deepcopy(each) for each in one.told["properties"].values()}
        above = self.things[one.parent["database_id"]]
        return told | titled | {"properties": properties, "database_parent": dict(above.parent)}

    def _properties_of(self, page: Thing, _version: str) -> dict[str, Any]:
        if "values" not in page.told:
            title = [rich(page.told["title"])] if page.told["title"] else []
            return {"title": {"id": "title", "type": "title", "title": title}}
        source = self.things[page.parent["data_source_id"]]
        return {one["name"]: self._property_value(page, one) for one in source.told["properties"].values()}

    def _property_value(self, page: Thing, prop: dict[str, Any]) -> dict[str, Any]:
        kind = prop["type"]
        frame = {"id": prop["id"], "type": kind}
        match kind:
            case "created_time":
                return frame | {kind: _stamp(page.created)}
            case "last_edited_time":
                return frame | {kind: _stamp(page.edited)}
            case "created_by":
                return frame | {kind: {"object": "user", "id": page.created_by}}
            case "last_edited_by":
                return frame | {kind: {"object": "user", "id": page.edited_by}}
            case "checkbox":
                return frame | {kind: page.told["values"].get(prop["id"], False)}
            case "formula":
                return frame | {kind: {"type": "number", "number": None}}
        value = copy.deepcopy(page.told["values"].get(prop["id"], [] if kind in _LIST_TYPES else None))
        if kind == "relation":
            return frame | {kind: value[:25], "has_more": len(value) > 25}
        return frame | {kind: value}

    # --- ways in ---------------------------------------------------------------------------------

    def transport(self) -> Any:
        """An httpx transport that asks this workspace without a socket: quick enough for thousands of schedules."""
        import httpx

        def answer(request: httpx.Request) -> httpx.Response:
            told = self.execute(
                request.method, request.url.raw_path.decode(), dict(request.headers), request.content
            )
            if told is None:
                raise httpx.ReadError("connection closed", request=request)
            status, headers, text = told
            return httpx.Response(status, headers={"Content-Type": "application/json", **headers}, text=text)

        return httpx.MockTransport(answer)


def simple(told: dict[str, Any]) -> Any:
    """The value of a property as a test wants to read it."""
    kind = told["type"]
    value = told[kind]
    match kind:
        case "title" | "rich_text":
            return plain(value)
        case "select" | "status":
            return value["name"] if value else None
        case "multi_select":
            return [one["name"] for one in value]
        case "date":
            return value["start"] if value else None
        case "relation":
            return [one["id"] for one in value]
    return value


@contextmanager
def serve(fake: FakeNotion) -> Iterator[FakeNotion]:
    """Serves a workspace on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told = fake.execute(self.command, self.path, dict(self.headers.items()), payload)
            if told is None:
                self.close_connection = True
                return
            status, headers, text = told
            self.send_response(status)
            for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(status: int, code: str, message: str, additional: dict[str, Any] | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"object": "error", "status": status, "code": code, "message": message}
    if additional:
        told["additional_data"] = additional
    return told | {"request_id": str(uuid5(NAMESPACE_URL, f"notion/{code}/{message}"))}


def _floored(moment: float) -> datetime:
    return datetime.fromtimestamp(int(moment // 60) * 60, UTC)


def _stamp(moment: float) -> str:
    return _floored(moment).strftime("%Y-%m-%dT%H:%M:00.000Z")


def _property(source: Thing, told: str) -> dict[str, Any] | None:
    """By id, as answered or decoded, or by name."""
    properties: dict[str, dict[str, Any]] = source.told["properties"]
    for one in properties.values():
        if told in (one["id"], unquote(one["id"])):
            return one
    return next((one for one in properties.values() if one["name"] == told), None)


def _too_long(where: str, most: int, was: int) -> str:
    return f"body failed validation: {where}.length should be ≤ `{most}`, instead was `{was}`."


def _no_longer_than(value: Any, most: int, where: str) -> None:
    if not isinstance(value, list):
        raise RefusedError(
            f"body failed validation: {where} should be an array, instead was `{json.dumps(value)}`."
        )
    if len(value) > most:
        raise RefusedError(_too_long(where, most, len(value)))


def _rich_text(value: Any, where: str) -> list[dict[str, Any]]:
    """Rich text as it is stored; refuses what Notion refuses."""
    _no_longer_than(value, 100, where)
    found = []
    for number, one in enumerate(value):
        told = one.get("text") if isinstance(one, dict) else None
        content = told.get("content") if isinstance(told, dict) else None
        if not isinstance(content, str):
            raise RefusedError(f"body failed validation: {where}[{number}].text should be defined.")
        if units(content) > 2000:
            raise RefusedError(_too_long(f"{where}[{number}].text.content", 2000, units(content)))
        link = (told.get("link") or {}).get("url") if isinstance(told, dict) else None
        if link is not None:
            if units(link) > 2000:
                raise RefusedError(_too_long(f"{where}[{number}].text.link.url", 2000, units(link)))
            if not re.match(r"(https?://|mailto:|/)\S", link):
                raise RefusedError("Invalid URL for link.")
        if content:
            found.append(rich(content, link, **one.get("annotations", {})))
    return found


def _plain_request(pieces: list[dict[str, Any]]) -> str:
    return plain(_rich_text(pieces, "body.title"))


def _check_date(text: Any, where: str) -> None:
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise RefusedError(
            f"body failed validation: {where}.start should be a valid ISO 8601 date string, instead was `{json.dumps(text)}`."
        ) from None


def _block_type(told: Any) -> str:
    kinds = [one for one in told if one in _TEXT_BLOCKS | _OTHER_BLOCKS] if isinstance(told, dict) else []
    if len(kinds) != 1 or told.get("type", kinds[0]) != kinds[0]:
        raise RefusedError("body failed validation: each block should have exactly one known type.")
    return str(kinds[0])


def _check_blocks(blocks: Any, level: int = 1) -> int:
    """The number of blocks, nested ones too."""
    _no_longer_than(blocks, 100, "body.children")
    if level > 3:
        raise RefusedError("body failed validation: at most two levels of nesting are allowed.")
    total = 0
    for one in blocks:
        kind = _block_type(one)
        body = one[kind]
        if not isinstance(body, dict):
            raise RefusedError(f"body failed validation: body.children.{kind} should be an object.")
        if kind in _TEXT_BLOCKS and "rich_text" not in body:
            raise RefusedError(f"body failed validation: body.children.{kind}.rich_text should be defined.")
        if kind == "code" and body.get("language") not in _LANGUAGES:
            raise RefusedError("body failed validation: code.language should be a known language.")
        if kind == "table":
            rows = body.get("children", [])
            if not rows:
                raise RefusedError("Table must have at least one row.")
            if any(len(row["table_row"]["cells"]) != body["table_width"] for row in rows):
                raise RefusedError(
                    "Number of cells in table row must match the table width of the parent table."
                )
        if body.get("children"):
            if kind not in _PARENTS:
                raise RefusedError(f"{kind} does not support children.")
            total += _check_blocks(body["children"], level + 1)
        total += 1
    if level == 1 and total > 1000:
        raise RefusedError(_too_long("body.children", 1000, total))
    return total


def _compare_times(moment: datetime, wanted: dict[str, Any]) -> bool:
    checks: dict[str, Callable[[datetime], bool]] = {
        "on_or_after": lambda other: moment >= other,
        "after": lambda other: moment > other,
        "on_or_before": lambda other: moment <= other,
        "before": lambda other: moment < other,
        "equals": lambda other: moment == other,
    }
    for name, text in wanted.items():
        other = datetime.fromisoformat(text)
        if not checks[name](other if other.tzinfo else other.replace(tzinfo=UTC)):
            return False
    return True


def _fits_operator(value: Any, name: str, operand: Any) -> bool:
    match name:
        case "equals":
            return bool(value == operand)
        case "does_not_equal":
            return bool(value != operand)
        case "contains":
            return value is not None and operand in value
        case "does_not_contain":
            return value is None or operand not in value
        case "starts_with":
            return isinstance(value, str) and value.startswith(operand)
        case "is_empty":
            return value in (None, "", [])
        case "is_not_empty":
            return value not in (None, "", [])
        case "on_or_after":
            return value is not None and str(value) >= operand
        case "on_or_before":
            return value is not None and str(value) <= operand
        case "greater_than":
            return value is not None and value > operand
        case "less_than":
            return value is not None and value < operand
    raise RefusedError(f"body failed validation: {name} is no condition.")


def _template(path: str) -> str:
    told = openapi() or {"paths": {}}
    parts = path.split("/")
    for template in told["paths"]:
        pieces = template.split("/")
        if len(pieces) == len(parts) and all(
            piece.startswith("{") or piece == part for piece, part in zip(pieces, parts, strict=True)
        ):
            return str(template)
    return ""


@functools.cache
def _validator(method: str, template: str) -> Any:
    from jsonschema import Draft202012Validator

    told = openapi()
    operation = told["paths"].get(template, {}).get(method) if told else None
    if told is None or not operation or "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": told["components"]})
