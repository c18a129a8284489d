"""A loopback GitHub: one repository kept in memory, shown as GitHub's REST API shows it.

It answers as GitHub does where the program relies on it: pages with ``Link``, ETags and 304 that cost nothing, limits in
headers, at most 1,000 workflow runs of a search, redirects to ``/repositories/ID`` after a renaming. What it sends is made from
GitHub's published OpenAPI document and checked against it; recorded bodies, which are older, are sent as they are.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "github" / "rest"
TOKEN = "ghp_0123456789abcdefSECRET"
_SPEC = "urn:github"
_LISTED = ("workflow_runs", "jobs")  # the lists that stand inside of an object
_R = "/repos/{owner}/{repo}"


# --- GitHub's own description ------------------------------------------------------------------------


@functools.cache
def _document() -> Any:
    path = DATA / "github-rest-subset.openapi.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def github_document() -> dict[str, Any]:
    """GitHub's published OpenAPI document; skips the test where it is not at hand."""
    if _document() is None:
        pytest.skip(
            "needs GitHub's OpenAPI document, which lies in shared/data/github/rest beside the repository"
        )
    return _document()


def recorded(name: str, url: str) -> Any:
    """The last body that a recording has for a GET of ``url``; skips the test where there are no recordings."""
    path = DATA / "recorded-hub4j" / f"{name}.json"
    if not path.exists():
        pytest.skip("needs recorded exchanges, which lie in shared/data/github/rest beside the repository")
    exchanges = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
    found = [
        one["response"]["jsonBody"]
        for one in exchanges
        if one["request"]["method"] == "GET"
        and one["request"]["url"] == url
        and one["response"].get("jsonBody")
    ]
    return found[-1]


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        found: Any = _document()
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


def sample(schema: dict[str, Any]) -> Any:
    """The plainest value that a schema allows: what is required, and null where that is allowed."""
    schema = _resolved(schema)
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for name in ("oneOf", "anyOf"):
        if name in schema:
            return sample(schema[name][0])
    if "allOf" in schema:
        return {name: value for part in schema["allOf"] for name, value in (sample(part) or {}).items()}
    match schema.get("type"):
        case "string":
            formats = {
                "date-time": "2026-01-01T00:00:00Z",
                "uri": "https://api.github.com/x",
                "email": "a@example.com",
            }
            return formats.get(schema.get("format", ""), "x")
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "array":
            return []
    return {name: sample(schema["properties"][name]) for name in schema.get("required", ())}


@functools.cache
def _plain(name: str) -> str:
    return json.dumps(sample(github_document()["components"]["schemas"][name]))


def made(name: str, /, **fields: Any) -> dict[str, Any]:
    """An object of one of GitHub's component schemas."""
    return {**json.loads(_plain(name)), **fields}


@functools.cache
def _validator(pointer: str) -> Any:
    from openapi_schema_validator import OAS30Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT4

    registry = Registry().with_resource(_SPEC, Resource(_document(), DRAFT4))
    return OAS30Validator({"$ref": f"{_SPEC}#{pointer}"}, registry=registry)


@functools.lru_cache(20_000)
def _check_text(pointer: str, text: str) -> None:
    _validator(pointer).validate(json.loads(text))


def check(template: str, method: str, status: int, body: Any) -> None:
    """Raises where GitHub's document does not allow a body; entries of lists are checked one by one, each text once."""
    if status >= 300:
        _check_text("/components/schemas/basic-error", json.dumps(body))
        return
    escaped = template.replace("~", "~0").replace("/", "~1")
    pointer = f"/paths/{escaped}/{method.lower()}/responses/{status}"
    response = _document()["paths"][template][method.lower()]["responses"][str(status)]
    if "$ref" in response:
        pointer = response["$ref"].removeprefix("#")
    pointer += "/content/application~1json/schema"
    entries, inner = body, "/items"
    for name in _LISTED:
        if isinstance(body, dict) and name in body:
            entries, inner = body[name], f"/properties/{name}/items"
            body = {**body, name: []}
    if isinstance(entries, list):
        for one in entries:
            _check_text(pointer + inner, json.dumps(one))
        if entries is body:
            return
    _check_text(pointer, json.dumps(body))


# --- what is asked of it -----------------------------------------------------------------------------


@dataclass
class Trouble:
    """One answer that is not the right one. ``hangs_up`` ends the connection without any."""

    status: int = 500
    body: Any = field(default_factory=lambda: {"message": "trouble"})
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False


@dataclass
class Asked:
    """A request that came in, and how it was answered."""

    method: str
    target: str
    headers: dict[str, str]
    status: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def is_conditional(self) -> bool:
        return "If-None-Match" in self.headers


def text_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class FakeGitHub:
    """The repository ``acme/rocket`` and what was asked about it. Things are dicts in the API's spelling; times are given in
    seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        github_document()
        self.clock = clock
        self.url = ""
        self.name, self.former_names = "acme/rocket", set[str]()
        self.created = clock() - 100 * 86_400
        self.pulls: dict[int, dict[str, Any]] = {}
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.issues: dict[int, dict[str, Any]] = {}
        self.releases: list[dict[str, Any]] = []
        self.milestones: list[dict[str, Any]] = []
        self.deployments: dict[int, dict[str, Any]] = {}
        self.statuses: dict[int, list[dict[str, Any]]] = {}
        self.runs: dict[int, list[dict[str, Any]]] = {}  # id -> its attempts, oldest first
        self.jobs: dict[tuple[int, int], list[dict[str, Any]]] = {}  # (run, attempt) -> jobs
        self.annotations: dict[int, list[dict[str, Any]]] = {}  # job -> what it remarked
        self.logs: dict[int, bytes] = {}
        self.log_host = ""  # where logs lie; a fake of its own
        self.is_strict = True  # whether every answer is checked against GitHub's document
        self.hooks: dict[int, dict[str, Any]] = {}
        self.deliveries: dict[int, list[dict[str, Any]]] = {}
        self.answers_redelivery = 200
        self.since_is_inclusive = True  # GitHub does not say
        self.limit = self.remaining = 5000
        self.reset = int(clock()) + 3600
        self.hidden: dict[str, Trouble] = {}  # the end of a path -> what is answered there
        self.recorded: dict[str, Any] = {}  # path below the repository -> a recorded body
        self.troubles: deque[Trouble | None] = deque()  # answers of the next requests; None is the right one
        self.before: Callable[[Asked], None] = lambda _asked: None
        self._ordered: list[tuple[tuple[str, int], int]] = []
        self.asked: list[Asked] = []
        self.faults: list[str] = []  # what was wrong with the fake itself

    # --- a repository ----------------------------------------------------------------------------

    def user(self, login: str = "ada") -> dict[str, Any]:
        return made("simple-user", login=login, id=len(login) + 100, type="User")

    def repository(self, kind: str = "full-repository") -> dict[str, Any]:
        return made(
            kind, id=1000, name=self.name.partition("/")[2], full_name=self.name, html_url=f"https://github.com/{self.name}",
            owner=self.user("acme"), default_branch="main", created_at=text_of(self.created),
            updated_at=text_of(self.created),
        )  # fmt: skip

    def add_pull(self, number: int, updated: float, *, merged: bool = False, **fields: Any) -> dict[str, Any]:
        end = text_of(updated) if merged else None
        user, place = self.user(), self.repository("repository")
        branch = {"sha": f"{number:040x}", "ref": "main", "label": "acme:main", "repo": place, "user": user}
        told = {
            "number": number, "id": 10_000 + number, "title": f"Pull {number}", "user": self.user(), "state": "open",
            "created_at": text_of(updated - 60), "updated_at": text_of(updated), "merged_at": end, "closed_at": end,
            "html_url": f"https://github.com/{self.name}/pull/{number}", "merge_commit_sha": "c" * 40 if merged else None,
            "additions": 10 * number, "deletions": number, "changed_files": 2, "commits": 1, "merged": merged,
            "base": branch, "head": {**branch, "ref": f"work-{number}"}, "draft": False,
        }  # fmt: skip
        self.pulls[number] = {**made("pull-request"), **told, **fields}
        links = dict.fromkeys(("diff_url", "html_url", "patch_url", "url"), told["html_url"])
        self._add_issue(number, updated, title=f"Pull {number}", pull_request=links)
        return self.pulls[number]

    def add_review(
        self, number: int, submitted: float, state: str = "APPROVED", reviewer: str = "grace"
    ) -> None:
        found = self.reviews.setdefault(number, [])
        found.append(
            made(
                "pull-request-review", id=number * 1000 + len(found), user=self.user(reviewer), state=state,
                submitted_at=text_of(submitted), commit_id="d" * 40,
            )
        )  # fmt: skip
        self.pulls[number]["updated_at"] = text_of(submitted)

    def add_issue(self, number: int, updated: float, **fields: Any) -> dict[str, Any]:
        return self._add_issue(number, updated, **{"title": f"Issue {number}", **fields})

    def _add_issue(self, number: int, updated: float, **fields: Any) -> dict[str, Any]:
        self.issues[number] = made(
            "issue", id=20_000 + number, number=number, state="open", user=self.user(), labels=[],
            created_at=text_of(updated), updated_at=text_of(updated), **fields,
        )  # fmt: skip
        return self.issues[number]

    def add_release(self, tag: str, published: float) -> dict[str, Any]:
        told = {"created_at": text_of(published), "published_at": text_of(published), "author": self.user()}
        one = made("release", id=30_000 + len(self.releases), tag_name=tag, name=tag, **told)
        self.releases.insert(0, one)
        return one

    def add_milestone(self, number: int, title: str, updated: float) -> dict[str, Any]:
        told = {"created_at": text_of(updated), "updated_at": text_of(updated), "creator": self.user()}
        self.milestones.append(
            made("milestone", id=40_000 + number, number=number, title=title, state="open", **told)
        )
        return self.milestones[-1]

    def add_deployment(self, number: int, created: float, *states: str) -> dict[str, Any]:
        told = {"created_at": text_of(created), "updated_at": text_of(created), "environment": "production"}
        self.deployments[number] = made(
            "deployment", id=number, sha="e" * 40, ref="main", creator=self.user(), **told
        )
        for place, state in enumerate(states, 1):
            self.add_status(number, created + place, state)
        return self.deployments[number]

    def add_status(self, number: int, created: float, state: str) -> None:
        told = {"created_at": text_of(created), "updated_at": text_of(created), "state": state}
        found = self.statuses.setdefault(number, [])
        found.insert(0, made("deployment-status", id=number * 100 + len(found), creator=self.user(), **told))

    def add_run(
        self, number: int, created: float, conclusion: str | None = "success", *, ended: float | None = None
    ) -> dict[str, Any]:
        """A workflow run, or a further attempt of one that exists."""
        attempts = self.runs.setdefault(number, [])
        first = attempts[0]["created_at"] if attempts else text_of(created)
        attempts.append(
            made(
                "workflow-run", id=number, name="tests", head_sha=f"{number:040x}", head_branch="main", event="push",
                run_attempt=len(attempts) + 1, status="completed" if conclusion else "in_progress", conclusion=conclusion,
                created_at=first, run_started_at=text_of(created), updated_at=text_of(ended or created + 30),
                repository=_small_repository(), head_repository=_small_repository(), pull_requests=[],
            )
        )  # fmt: skip
        return attempts[-1]

    def add_job(
        self,
        run: int,
        number: int,
        conclusion: str | None = "success",
        *,
        log: bytes | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """A job of the latest attempt of a run, which ended when the attempt did."""
        attempt = self.runs[run][-1]
        begun, ended = attempt["run_started_at"], attempt["updated_at"] if conclusion else None
        step = {
            "name": "Run tests", "status": "completed" if conclusion else "in_progress", "conclusion": conclusion,
            "number": 1, "started_at": begun, "completed_at": ended,
        }  # fmt: skip
        told = {
            "id": number, "run_id": run, "run_attempt": attempt["run_attempt"], "name": f"job {number}", "head_sha": attempt["head_sha"],
            "head_branch": "main", "status": step["status"], "conclusion": conclusion, "created_at": begun, "started_at": begun,
            "completed_at": ended, "workflow_name": "tests", "labels": ["ubuntu-latest"], "runner_name": "runner 1", "steps": [step],
            "check_run_url": f"https://api.github.com/repos/{self.name}/check-runs/{number}",
            "html_url": f"https://github.com/{self.name}/actions/runs/{run}/job/{number}",
        }  # fmt: skip
        one = {**made("job"), **told, **fields}
        self.jobs.setdefault((run, attempt["run_attempt"]), []).append(one)
        if log is not None:
            self.logs[number] = log
        return one

    def add_annotation(self, job: int, message: str, path: str = "tests/test_a.py", line: int = 7) -> None:
        self.annotations.setdefault(job, []).append(
            made(
                "check-annotation", path=path, start_line=line, end_line=line, annotation_level="failure", message=message,
                title="", raw_details=None,
            )
        )  # fmt: skip

    def add_hook(self, number: int, url: str) -> None:
        self.hooks[number] = made("hook", id=number, events=["push"], config={"url": url})

    def add_delivery(
        self, hook: int, guid: str, at: float, code: int, *, redelivery: bool = False
    ) -> dict[str, Any]:
        found = self.deliveries.setdefault(hook, [])
        one = made(
            "hook-delivery-item", id=hook * 1_000_000 + len(found), guid=guid, delivered_at=text_of(at), event="push",
            redelivery=redelivery, status="OK" if code == 200 else "Invalid HTTP Response", status_code=code,
        )  # fmt: skip
        found.insert(0, one)
        return one

    # --- the API ---------------------------------------------------------------------------------

    def route(self, method: str, path: str, query: dict[str, str]) -> tuple[str, Any, int]:
        """(template, body, the most entries that are shown); a LookupError for what there is not."""
        if method == "POST":
            found = re.fullmatch(r"/hooks/(\d+)/deliveries/(\d+)/attempts", path)
            hook, delivery = (int(one) for one in found.groups()) if found else (0, 0)
            first = next(one for one in self.deliveries.get(hook, []) if one["id"] == delivery)
            self.add_delivery(hook, first["guid"], self.clock(), self.answers_redelivery, redelivery=True)
            return f"{_R}/hooks/{{hook_id}}/deliveries/{{delivery_id}}/attempts", {}, 0
        match path.strip("/").split("/"):
            case [""]:
                return _R, self.repository(), 0
            case ["pulls"]:
                assert (query["state"], query["sort"], query["direction"]) == ("all", "updated", "desc")
                listed = sorted(
                    self.pulls.values(), key=lambda one: (one["updated_at"], one["number"]), reverse=True
                )
                simple = _resolved({"$ref": "#/components/schemas/pull-request-simple"})["properties"]
                return f"{_R}/pulls", [{k: v for k, v in one.items() if k in simple} for one in listed], 10**9
            case ["pulls", number]:
                return f"{_R}/pulls/{{pull_number}}", self.pulls[int(number)], 0
            case ["pulls", number, "reviews"]:
                return f"{_R}/pulls/{{pull_number}}/reviews", self.reviews.get(int(number), []), 10**9
            case ["issues"]:
                assert (query["state"], query["sort"], query["direction"]) == ("all", "updated", "asc")
                since = query.get("since", "")
                listed = [
                    one
                    for one in self.issues.values()
                    if one["updated_at"] > since or (self.since_is_inclusive and one["updated_at"] == since)
                ]
                return (
                    f"{_R}/issues",
                    sorted(listed, key=lambda one: (one["updated_at"], one["number"])),
                    10**9,
                )
            case ["releases"]:
                return f"{_R}/releases", self.releases, 10**9
            case ["milestones"]:
                return f"{_R}/milestones", self.milestones, 10**9
            case ["deployments"]:
                listed = sorted(self.deployments.values(), key=lambda one: one["created_at"], reverse=True)
                return f"{_R}/deployments", listed, 10**9
            case ["deployments", number, "statuses"]:
                return (
                    f"{_R}/deployments/{{deployment_id}}/statuses",
                    self.statuses.get(int(number), []),
                    10**9,
                )
            case ["actions", "runs"]:
                return f"{_R}/actions/runs", self._runs_within(query["created"]), 1000
            case ["actions", "runs", number]:
                return f"{_R}/actions/runs/{{run_id}}", self.runs[int(number)][-1], 0
            case ["actions", "runs", number, "attempts", attempt]:
                return (
                    f"{_R}/actions/runs/{{run_id}}/attempts/{{attempt_number}}",
                    self.runs[int(number)][int(attempt) - 1],
                    0,
                )
            case ["actions", "runs", number, "attempts", attempt, "jobs"]:
                self.runs[int(number)][int(attempt) - 1]
                listed = self.jobs.get((int(number), int(attempt)), [])
                return f"{_R}/actions/runs/{{run_id}}/attempts/{{attempt_number}}/jobs", listed, 10**9
            case ["check-runs", number, "annotations"]:
                listed = self.annotations.get(int(number), [])
                return f"{_R}/check-runs/{{check_run_id}}/annotations", listed, 10**9
            case ["hooks"]:
                return f"{_R}/hooks", list(self.hooks.values()), 10**9
            case ["hooks", number, "deliveries"]:
                return f"{_R}/hooks/{{hook_id}}/deliveries", self.deliveries.get(int(number), []), 10**9
        raise LookupError(path)

    def _runs_within(self, wanted: str) -> list[dict[str, Any]]:
        """The latest attempts of the runs created within a time, newest first. The order is made once: no run is taken away
        and another added between two requests."""
        if len(self._ordered) != len(self.runs):
            keyed = [((one[-1]["created_at"], number), number) for number, one in self.runs.items()]
            self._ordered = sorted(keyed)
        first, last = (wanted[2:], "9") if wanted.startswith(">=") else wanted.split("..")
        begin = bisect_left(self._ordered, ((first, 0), 0))
        end = bisect_left(self._ordered, ((last, 10**18), 0))
        return [self.runs[number][-1] for _, number in reversed(self._ordered[begin:end])]

    def answer(self, asked: Asked) -> Trouble:
        """What is answered to a request."""
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Trouble(401, {"message": "Bad credentials"})
        if self.clock() >= self.reset:
            self.remaining, self.reset = self.limit, int(self.clock()) + 3600
        if self.remaining <= 0:
            return Trouble(403, {"message": "API rate limit exceeded for user ID 1."})
        parts = urlsplit(asked.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = re.fullmatch(r"/(?:repos/([^/]+/[^/]+)|repositories/1000)(/.*)?", parts.path)
        name, path = (found[1] or self.name, found[2] or "") if found else ("", "")
        if name.lower() in self.former_names:
            self.remaining -= 1
            location = f"{self.url}/repositories/1000{path}{'?' if parts.query else ''}{parts.query}"
            return Trouble(301, {"message": "Moved Permanently"}, {"Location": location})
        for end, trouble in self.hidden.items():
            if path.endswith(end):
                return trouble
        if name.lower() == self.name.lower() and path in self.recorded:
            return self._conditional(asked, self.recorded[path], {})
        log = re.fullmatch(r"/actions/jobs/(\d+)/logs", path)
        if log:
            self.remaining -= 1
            if int(log[1]) not in self.logs:
                return Trouble(404, {"message": "Not Found"})
            return Trouble(302, "", {"Location": f"{self.log_host}/signed/{log[1]}?sig=SIGNATURE"})
        try:
            if name.lower() != self.name.lower():
                raise LookupError(name)
            template, body, most = self.route(asked.method, path, query)
        except LookupError:
            return Trouble(404, {"message": "Not Found"})
        headers: dict[str, str] = {}
        if most:
            assert query["per_page"] == "100"
            body, headers = self._page(parts.path, query, body, most)
        status = 202 if asked.method == "POST" else 200
        if self.is_strict:
            check(template, asked.method, status, body)
        return self._conditional(asked, body, headers, status)

    def _conditional(self, asked: Asked, body: Any, headers: dict[str, str], status: int = 200) -> Trouble:
        etag = f'W/"{hashlib.sha256(json.dumps(body).encode()).hexdigest()}"'
        if asked.headers.get("If-None-Match") == etag:
            return Trouble(304, None, {"ETag": etag})
        self.remaining -= 1
        return Trouble(status, body, {"ETag": etag, **headers})

    def _page(
        self, path: str, query: dict[str, str], entries: list[Any], most: int
    ) -> tuple[Any, dict[str, str]]:
        by_cursor = path.endswith("/deliveries")
        start = int(query.get("cursor", 0)) if by_cursor else (int(query.get("page", 1)) - 1) * 100
        shown, headers = entries[: min(most, len(entries))][start : start + 100], {}
        if start + 100 < min(most, len(entries)):
            following = {"cursor": start + 100} if by_cursor else {"page": start // 100 + 2}
            rest = re.sub(r"^/repos/[^/]+/[^/]+", "/repositories/1000", path)  # as GitHub writes it
            headers["Link"] = f'<{self.url}{rest}?{urlencode({**query, **following})}>; rel="next"'
        inside = {"runs": "workflow_runs", "jobs": "jobs"}.get(path.rpartition("/")[2])
        return ({"total_count": len(entries), inside: shown} if inside else shown), headers


@functools.cache
def _small_repository() -> dict[str, Any]:
    return made(
        "minimal-repository", id=1000, name="rocket", full_name="acme/rocket", owner=made("simple-user")
    )


@contextmanager
def serve(fake: FakeGitHub) -> Iterator[FakeGitHub]:
    """Serves a repository on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = Asked(self.command, self.path, dict(self.headers.items()))
            try:
                fake.before(asked)
                trouble = fake.troubles.popleft() if fake.troubles else None
                trouble = trouble or fake.answer(asked)
            except Exception as error:  # noqa: BLE001 - a fault of the test's own, which must not look like one of GitHub
                fake.faults.append(f"{asked.method} {asked.target}: {error!r}"[:2000])
                trouble = Trouble(418, {"message": "the fake is at fault"})
            asked.status = trouble.status
            fake.asked.append(asked)
            if trouble.hangs_up:
                self.close_connection = True
                return
            text = trouble.body if isinstance(trouble.body, str) else json.dumps(trouble.body)
            content = b"" if trouble.status == 304 else text.encode()
            limits = {
                "X-RateLimit-Limit": str(fake.limit), "X-RateLimit-Remaining": str(fake.remaining),
                "X-RateLimit-Reset": str(fake.reset), "X-RateLimit-Resource": "core",
            }  # fmt: skip
            self.send_response(trouble.status)
            for name, value in {"Content-Type": "application/json", **limits, **trouble.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that was killed needs no report."""

    server = Server(("127.0.0.1", 0), Handler)
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
