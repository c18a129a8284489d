"""A loopback GitHub that takes writes: the issues and milestones of ``acme/rocket``, kept as GitHub keeps them.

What it enforces: titles of milestones are unique; a title is needed; a due date becomes the midnight of its day in the Pacific
zone; an unknown label is made, a known one keeps its spelling, and a token without push access has labels dropped in silence;
issues are made open; deleted issues are 410, milestones 404; renamed repositories and transferred issues redirect. What it sends
is made from GitHub's published OpenAPI document and checked against it, and so are the requests.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

from tests.fakes.github import TOKEN, check, github_document, made

_R = "/repos/{owner}/{repo}"
_PACIFIC = ZoneInfo("America/Los_Angeles")


@dataclass
class Trouble:
    """One answer that is not the right one. ``is_done`` does what was asked first; ``hangs_up`` answers nothing."""

    status: int = 502
    body: Any = field(default_factory=lambda: {"message": "Server Error"})
    headers: dict[str, str] = field(default_factory=dict)
    is_done: bool = False
    hangs_up: bool = False


@dataclass
class Asked:
    method: str
    path: str
    body: Any
    status: int = 0


class RefusedError(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class FakeIssues:
    """The repository, and what it was asked. ``troubles`` are the answers of the next writes; None is the right one."""

    def __init__(self) -> None:
        github_document()
        self.url = ""
        self.now = 1_780_000_000.0
        self.name, self.former_names = "acme/rocket", set[str]()
        self.issues: dict[int, dict[str, Any]] = {}
        self.milestones: dict[int, dict[str, Any]] = {}
        self.deleted: set[int] = set()
        self.transferred: dict[int, tuple[str, dict[str, Any]]] = {}  # number -> where it lies now
        self.labels: dict[str, str] = {}  # folded -> as it is spelt
        self.may_label = True
        self.page_size = 100
        self.troubles: deque[Trouble | None] = deque()
        self.before: Callable[[Asked], None] = lambda _asked: None
        self.log: list[Asked] = []
        self.writes: list[Asked] = []
        self.faults: list[str] = []
        self._count = 0

    # --- a person ----------------------------------------------------------------------------------

    def person_opens(self, title: str, body: str = "", *labels: str) -> int:
        return int(self._new_issue({"title": title, "body": body, "labels": list(labels)})["number"])

    def person_adds_milestone(self, title: str, **told: Any) -> int:
        return int(self._new_milestone({"title": title, **told})["number"])

    def person_edits(self, number: int, **told: Any) -> None:
        self._change_issue(self.issues[number], told)

    def person_edits_milestone(self, number: int, **told: Any) -> None:
        self._change_milestone(self.milestones[number], told)

    def person_deletes(self, number: int) -> None:
        del self.issues[number]
        self.deleted.add(number)

    def person_transfers(self, number: int, repository: str = "acme/moon", to: int = 7) -> None:
        """Moves an issue into another repository, where it gets another number and another node id."""
        issue = {**self.issues.pop(number), "number": to, "node_id": f"I_moved_{number}", "id": 90_000 + to}
        issue["repository_url"] = f"{self.url}/repos/{repository}"
        self.transferred[number] = (repository, issue)

    # --- state -------------------------------------------------------------------------------------

    def _stamp(self) -> str:
        self.now += 1
        return datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _new_issue(self, told: dict[str, Any]) -> dict[str, Any]:
        if not told.get("title"):
            raise RefusedError(422, "Validation Failed: title can't be blank")
        self._count += 1
        at = self._stamp()
        issue = made(
            "issue", id=50_000 + self._count, node_id=f"I_kwDO{self._count:06}", number=self._count, state="open",
            user=made("simple-user", login="ada", id=7, type="User"), labels=[], created_at=at, updated_at=at,
            repository_url=f"{self.url}/repos/{self.name}", body="", title="",
        )  # fmt: skip
        self.issues[self._count] = issue
        self._change_issue(issue, told)
        return issue

    def _change_issue(self, issue: dict[str, Any], told: dict[str, Any]) -> None:
        if "title" in told:
            if not str(told["title"]).strip():
                raise RefusedError(422, "Validation Failed: title can't be blank")
            if len(told["title"]) > 256:
                raise RefusedError(422, "Validation Failed: title is too long (maximum is 256 characters)")
            issue["title"] = told["title"].strip()
        if "body" in told:
            if len(told["body"] or "") > 65_536:
                raise RefusedError(422, "Validation Failed: body is too long (maximum is 65536 characters)")
            issue["body"] = told["body"]
        if "state" in told and told["state"] != issue["state"]:
            issue["state"] = told["state"]
            issue["closed_at"] = self._stamp() if told["state"] == "closed" else None
            issue["state_reason"] = "completed" if told["state"] == "closed" else "reopened"
        if told.get("state_reason"):
            issue["state_reason"] = told["state_reason"]
        if "labels" in told and self.may_label:
            names = [self.labels.setdefault(name.casefold(), name) for name in told["labels"]]
            issue["labels"] = [
                {
                    "id": 1, "node_id": "LA_1", "url": f"{self.url}/l", "name": name, "color": "ededed", "default": False,
                    "description": None,
                }
                for name in dict.fromkeys(names)
            ]  # fmt: skip
        issue["updated_at"] = self._stamp()

    def _new_milestone(self, told: dict[str, Any]) -> dict[str, Any]:
        if not told.get("title"):
            raise RefusedError(422, "Validation Failed: title is missing")
        self._alone(told["title"], None)
        number = len(self.milestones) + 1
        at = self._stamp()
        milestone = made(
            "milestone", id=60_000 + number, node_id=f"MI_kwDO{number:06}", number=number, state="open", title="",
            description=None, due_on=None, created_at=at, updated_at=at, closed_at=None, open_issues=0, closed_issues=0,
            creator=made("simple-user", login="ada", id=7, type="User"),
        )  # fmt: skip
        self._change_milestone(milestone, told)
        self.milestones[number] = milestone
        return milestone

    def _alone(self, title: str, number: int | None) -> None:
        if any(one["title"] == title and one["number"] != number for one in self.milestones.values()):
            raise RefusedError(422, "Validation Failed: title already_exists")

    def _change_milestone(self, milestone: dict[str, Any], told: dict[str, Any]) -> None:
        if "title" in told:
            self._alone(told["title"], milestone["number"])
            milestone["title"] = told["title"]
        if "description" in told:
            milestone["description"] = told["description"] or None
        if told.get("state"):
            milestone["state"] = told["state"]
            milestone["closed_at"] = self._stamp() if told["state"] == "closed" else None
        if "due_on" in told:
            milestone["due_on"] = self._midnight(told["due_on"])
        milestone["updated_at"] = self._stamp()

    @staticmethod
    def _midnight(told: str | None) -> str | None:
        if told is None:
            return None
        day = datetime.fromisoformat(told).astimezone(_PACIFIC)
        begin = day.replace(hour=0, minute=0, second=0, microsecond=0)
        return (begin.astimezone(UTC) + timedelta()).strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- the API -----------------------------------------------------------------------------------

    def answer(self, asked: Asked, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        found = re.fullmatch(r"/(?:repos/([^/]+/[^/]+)|repositories/(\d+))(/.*)?", asked.path)
        if not found:
            raise RefusedError(404, "Not Found")
        name, path = (found[1] or self.name).lower(), found[3] or ""
        if name in self.former_names:
            there = f"{self.url}/repositories/1000{path}{'?' + urlencode(query) if query else ''}"
            raise RefusedError(301, "Moved Permanently", {"Location": there})
        for repository, issue in self.transferred.values():
            if name == repository and path == f"/issues/{issue['number']}":
                if asked.method == "PATCH":
                    self._change_issue(issue, asked.body)
                return self._checked("/issues/{issue_number}", asked.method, 200, issue)
        if name != self.name:
            raise RefusedError(404, "Not Found")
        match (asked.method, *path.strip("/").split("/")):
            case ("GET", ""):
                told = made(
                    "full-repository", id=1000, name="rocket", full_name=self.name, default_branch="main"
                )
                return self._checked("", "GET", 200, told)
            case ("GET", "issues"):
                assert query["state"] == "all"
                assert (query["sort"], query["direction"]) == ("created", "asc")
                since = query.get("since", "")
                listed = [one for number, one in sorted(self.issues.items()) if one["updated_at"] >= since]
                return self._page("/issues", listed, query)
            case ("POST", "issues"):
                return self._checked("/issues", "POST", 201, self._new_issue(asked.body))
            case (method, "issues", number):
                if int(number) in self.deleted:
                    raise RefusedError(410, "This issue was deleted")
                if int(number) in self.transferred:
                    repository, issue = self.transferred[int(number)]
                    there = f"{self.url}/repos/{repository}/issues/{issue['number']}"
                    raise RefusedError(301, "Moved Permanently", {"Location": there})
                issue = self._of(self.issues, number)
                if method == "PATCH":
                    self._change_issue(issue, asked.body)
                return self._checked("/issues/{issue_number}", method, 200, issue)
            case ("GET", "milestones"):
                assert query["state"] == "all"
                return self._page("/milestones", list(self.milestones.values()), query)
            case ("POST", "milestones"):
                return self._checked("/milestones", "POST", 201, self._new_milestone(asked.body))
            case (method, "milestones", number):
                milestone = self._of(self.milestones, number)
                if method == "PATCH":
                    self._change_milestone(milestone, asked.body)
                return self._checked("/milestones/{milestone_number}", method, 200, milestone)
        raise RefusedError(404, "Not Found")

    @staticmethod
    def _of(things: dict[int, dict[str, Any]], number: str) -> dict[str, Any]:
        if int(number) not in things:
            raise RefusedError(404, "Not Found")
        return things[int(number)]

    def _checked(self, path: str, method: str, status: int, body: Any) -> tuple[int, Any, dict[str, str]]:
        check(_R + path, method, status, body)
        return status, body, {}

    def _page(self, path: str, listed: list[Any], query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        assert query["per_page"] == "100"
        start = (int(query.get("page", 1)) - 1) * self.page_size
        shown = listed[start : start + self.page_size]
        headers = {}
        if start + self.page_size < len(listed):
            following = {**query, "page": start // self.page_size + 2}
            headers["Link"] = f'<{self.url}/repositories/1000{path}?{urlencode(following)}>; rel="next"'
        check(_R + path, "GET", 200, shown)
        return 200, shown, headers


def check_request(method: str, path: str, body: Any) -> None:
    """Raises where GitHub's document knows no such field of a request, or not with this type."""
    template = re.sub(r"/(issues|milestones)/\d+", lambda one: f"/{one[1]}/{{{one[1][:-1]}_number}}", path)
    template = re.sub(r"^/(repos/[^/]+/[^/]+|repositories/\d+)", _R, template)
    operation = github_document()["paths"][template][method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    unknown = body.keys() - schema["properties"].keys()
    assert not unknown, f"{method} {template} knows no {unknown}"
    missing = set(schema.get("required", ())) - body.keys()
    assert not missing, f"{method} {template} needs {missing}"
    for name, value in body.items():
        allowed = schema["properties"][name].get("enum")
        assert allowed is None or value in allowed, f"{name} is one of {allowed}, not {value!r}"


@contextmanager
def serve(fake: FakeIssues) -> Iterator[FakeIssues]:
    """Serves the repository on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, json.loads(content) if content else None)
            told = self._told(asked, query)
            fake.log.append(asked)
            if told is None:
                self.close_connection = True
                return
            asked.status, body, headers = told
            text = json.dumps(body).encode()
            self.send_response(asked.status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _told(self, asked: Asked, query: dict[str, str]) -> tuple[int, Any, dict[str, str]] | None:
            try:
                fake.before(asked)
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    return 401, {"message": "Bad credentials"}, {}
                trouble = None
                if asked.method != "GET":
                    check_request(asked.method, asked.path, asked.body)
                    fake.writes.append(asked)
                    trouble = fake.troubles.popleft() if fake.troubles else None
                if trouble is not None and not trouble.is_done:
                    return None if trouble.hangs_up else (trouble.status, trouble.body, trouble.headers)
                told = fake.answer(asked, query)
            except RefusedError as error:
                return error.status, {"message": str(error)}, error.headers
            except Exception as error:  # noqa: BLE001 - a fault of the test's own, which must not look like one of GitHub
                fake.faults.append(f"{asked.method} {asked.path}: {error!r}"[:2000])
                return 418, {"message": "the fake is at fault"}, {}
            if trouble is not None:
                return None if trouble.hangs_up else (trouble.status, trouble.body, trouble.headers)
            return told

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
        assert not fake.faults, fake.faults
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
