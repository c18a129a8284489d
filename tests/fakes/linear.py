"""A loopback Linear: executes what it is asked with graphql-core on Linear's own schema, over things kept in memory.

It answers as Linear does where the program relies on it: lists newest first, cursors that are ids, archived things only on
demand, errors with ``extensions``, budgets in headers, over the limit HTTP 400 with ``RATELIMITED``, numbers as JavaScript
writes them.
"""

from __future__ import annotations

import functools
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "linear"
API_KEY, OAUTH_TOKEN = "lin_api_0123456789abcdefSECRET", "lin_oauth_fedcba9876543210SECRET"


@functools.cache
def _schema() -> Any:
    from graphql import build_schema

    path = DATA / "schema.graphql"
    return build_schema(path.read_text(encoding="utf-8")) if path.exists() else None


def linear_schema() -> Any:
    """Linear's published schema; skips the test where it is not at hand."""
    schema = _schema()
    if schema is None:
        pytest.skip("needs Linear's schema.graphql, which lies in shared/data/linear beside the repository")
    return schema


def recorded(name: str) -> dict[str, Any]:
    """A recorded webhook body; skips the test where it is not at hand."""
    path = DATA / "webhooks" / f"{name}.json"
    if not path.exists():
        pytest.skip("needs recorded webhooks, which lie in shared/data/linear/webhooks beside the repository")
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return body


def identity(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"linear/{name}"))


@dataclass
class Trouble:
    """One answer that is not the right one. ``hangs_up`` ends the connection without any."""

    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False


def refusal(message: str, type: str, code: str, status: int = 400, **headers: str) -> Trouble:
    """An error as Linear words it."""
    extensions = {"type": type, "code": code, "statusCode": status, "userPresentableMessage": message}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Trouble(status, {"errors": [{"message": message, "extensions": extensions}]}, named)


def rate_limited(reset: int | None = None, *, status: int = 400, budget: str = "Requests") -> Trouble:
    """Over the limit. ``reset`` in milliseconds since 1970; without it no header tells when to come back. What is in front
    of Linear's API says it with HTTP 429 and in no GraphQL."""
    found = refusal("Rate limit exceeded", "ratelimited", "RATELIMITED", status)
    if status == 429:
        found.body = "Too Many Requests"
    if reset is not None:
        found.headers |= {
            f"X-RateLimit-{budget}-Remaining": "0",
            f"X-RateLimit-{budget}-Reset": str(reset),
        }
    return found


class FakeLinear:
    """The state of a workspace, and what it was asked. Objects are dicts in the API's spelling; lists inside of them are
    shown as connections."""

    def __init__(self) -> None:
        self.url = ""
        self.teams: list[dict[str, Any]] = []
        self.initiatives: list[dict[str, Any]] = []
        self.projects: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.attachments: list[dict[str, Any]] = []
        self.page_limit = 250
        self.troubles: deque[Trouble | None] = deque()  # answers of the next requests; None is the right one
        self.headers: dict[str, str] = {"X-RateLimit-Requests-Remaining": "2499", "X-Complexity": "10"}
        self.asked: list[tuple[str, dict[str, Any]]] = []  # (document, variables)
        self.mutations: list[tuple[str, dict[str, Any]]] = []  # (field, arguments)
        self.authorizations: list[str] = []

    # --- a workspace -----------------------------------------------------------------------------

    def add(self, kind: str, name: str, updated: str, /, **fields: Any) -> dict[str, Any]:
        """Adds an object to the list ``kind``."""
        times = {"createdAt": "2026-01-01T08:00:00.000Z", "updatedAt": updated, "archivedAt": None}
        one = {"id": identity(f"{kind}/{name}"), **times, **fields}
        getattr(self, kind).append(one)
        return one

    def add_team(
        self, key: str = "ENG", scale: str = "fibonacci", updated: str = "2026-01-02T00:00:00.000Z"
    ) -> dict[str, Any]:
        return self.add("teams", key, updated, key=key, name=f"Team {key}", issueEstimationType=scale)

    def add_project(self, name: str, updated: str, **fields: Any) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": name, "description": "", "content": None, "slugId": name.lower().replace(" ", "-"),
            "url": f"https://linear.app/acme/project/{name.lower().replace(' ', '-')}", "trashed": None,
            "status": {"type": "started", "name": "In Progress"}, "projectMilestones": [], "initiatives": [],
        }  # fmt: skip
        return self.add("projects", name, updated, **{**told, **fields})

    def add_issue(self, number: int, updated: str, **fields: Any) -> dict[str, Any]:
        team = self.teams[0] if self.teams else self.add_team()
        told: dict[str, Any] = {
            "identifier": f"{team['key']}-{number}", "number": number, "title": f"Issue {number}", "description": None,
            "url": f"https://linear.app/acme/issue/{team['key']}-{number}/issue-{number}", "branchName": f"eng-{number}",
            "priority": 2, "estimate": None, "trashed": None, "state": {"type": "started", "name": "In Progress"},
            "team": team, "labels": [],
        }  # fmt: skip
        return self.add("issues", str(number), updated, **{**told, **fields})

    def add_attachment(self, issue: dict[str, Any], url: str, updated: str, **fields: Any) -> dict[str, Any]:
        told = {"url": url, "title": url.rpartition("/")[2], "sourceType": "github", "issue": issue}
        return self.add("attachments", f"{issue['id']}{url}", updated, **{**told, **fields})

    # --- the API ---------------------------------------------------------------------------------

    def execute(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        from graphql import graphql_sync

        result = graphql_sync(
            linear_schema(), document, self._root(), variable_values=variables, field_resolver=self._resolve
        )
        self.asked.append((document, variables))
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            kind = {"type": "graphql error", "code": "GRAPHQL_VALIDATION_FAILED"}
            answer["errors"] = [
                {**one.formatted, "extensions": getattr(one.original_error, "extensions", None) or kind}
                for one in result.errors
            ]
        return answer

    def _root(self) -> dict[str, Any]:
        lists = {
            name: getattr(self, name)
            for name in ("teams", "initiatives", "projects", "issues", "attachments")
        }
        organization = {"id": identity("acme"), "name": "Acme", "urlKey": "acme"}
        viewer = {
            "id": identity("ada"),
            "name": "Ada",
            "email": "ada@example.com",
            "organization": organization,
        }
        return {
            **lists, "viewer": viewer,
            "issue": lambda _info, **told: self._issue(told["id"]),
            "project": lambda _info, **told: next(one for one in self.projects if one["id"] == told["id"]),
            "attachmentsForURL": self._at_url,
            "attachmentLinkURL": self._link,
            "webhookCreate": self._create_webhook,
        }  # fmt: skip

    def _resolve(self, source: Any, info: Any, **arguments: Any) -> Any:
        """A list where the schema has a connection is paged; all else is looked up in the dict."""
        from graphql import get_named_type

        value = source.get(info.field_name)
        if callable(value):
            return value(info, **arguments)
        if isinstance(value, list) and get_named_type(info.return_type).name.endswith("Connection"):
            return self._connection(value, **arguments)
        return value

    def _connection(
        self,
        things: list[dict[str, Any]],
        first: int = 50,
        after: str | None = None,
        filter: dict[str, Any] | None = None,
        **spelled: Any,
    ) -> dict[str, Any]:
        chosen = [one for one in things if _matches(one, filter or {})]
        if not spelled.get("includeArchived", False):
            chosen = [one for one in chosen if not one.get("archivedAt")]
        chosen.sort(
            key=lambda one: (one.get(spelled.get("orderBy", "createdAt"), ""), one["id"]), reverse=True
        )
        start = 0
        if after is not None:
            places = [number for number, one in enumerate(chosen) if one["id"] == after]
            if not places:
                raise RefusedError("Cursor not found", "invalid input", "INPUT_ERROR")
            start = places[0] + 1
        page = chosen[start : start + min(first, self.page_limit)]
        has_more = start + len(page) < len(chosen)
        return {
            "nodes": page,
            "pageInfo": {"hasNextPage": has_more, "endCursor": page[-1]["id"] if page else None},
        }

    def _issue(self, name: str) -> dict[str, Any]:
        for one in self.issues:
            if name in (one["id"], one["identifier"]):
                return one
        raise RefusedError("Entity not found: Issue", "invalid input", "INPUT_ERROR")

    def _at_url(self, _info: Any, url: str, **arguments: Any) -> dict[str, Any]:
        return self._connection([one for one in self.attachments if one["url"] == url], **arguments)

    def _link(self, _info: Any, **arguments: Any) -> dict[str, Any]:
        self.mutations.append(("attachmentLinkURL", arguments))
        issue = self._issue(arguments["issueId"])
        one = self.add_attachment(
            issue, arguments["url"], "2026-06-01T00:00:00.000Z", title=arguments["title"]
        )
        return {"success": True, "attachment": one, "lastSyncId": 1}

    def _create_webhook(self, _info: Any, **arguments: Any) -> dict[str, Any]:
        self.mutations.append(("webhookCreate", arguments))
        return {
            "success": True,
            "webhook": {"id": identity("webhook"), "enabled": True, **arguments["input"]},
            "lastSyncId": 1,
        }


class RefusedError(Exception):
    """An error of a resolver, in Linear's words."""

    def __init__(self, message: str, type: str, code: str) -> None:
        super().__init__(message)
        self.extensions = {"type": type, "code": code, "userPresentableMessage": message}


def _matches(one: dict[str, Any], filter: dict[str, Any]) -> bool:
    """The comparators that the program uses, and no others."""
    for name, wanted in filter.items():
        if name == "or":
            if not any(_matches(one, each) for each in wanted):
                return False
        elif not one.get(name) or not _moment(one[name]) > _moment(wanted["gt"]):
            return False
    return True


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def as_javascript(value: Any) -> Any:
    """A value as ``JSON.stringify`` sees it: a whole number has no decimal point, whatever its type in the schema."""
    match value:
        case dict():
            return {name: as_javascript(one) for name, one in value.items()}
        case list():
            return [as_javascript(one) for one in value]
        case float() if value.is_integer():
            return int(value)
    return value


@contextmanager
def serve(fake: FakeLinear) -> Iterator[FakeLinear]:
    """Serves a workspace on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.authorizations.append(self.headers.get("Authorization", ""))
            trouble = fake.troubles.popleft() if fake.troubles else None
            if trouble is None and fake.authorizations[-1] not in (API_KEY, f"Bearer {OAUTH_TOKEN}"):
                trouble = refusal(
                    "Authentication required", "authentication error", "AUTHENTICATION_ERROR", 401
                )
            if trouble is None:
                answer = as_javascript(fake.execute(payload["query"], payload["variables"]))
                trouble = Trouble(400 if "errors" in answer else 200, answer, fake.headers)
            if trouble.hangs_up:
                self.close_connection = True
                return
            text = trouble.body if isinstance(trouble.body, str) else json.dumps(trouble.body)
            self.send_response(trouble.status)
            for name, value in {"Content-Type": "application/json", **trouble.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}/graphql"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
