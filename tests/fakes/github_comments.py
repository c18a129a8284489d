"""A loopback GitHub with the comments of pull requests: what it sends and takes is checked against GitHub's OpenAPI document."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.github import _resolved, check, github_document, made

TOKEN = "ghp_0123456789abcdefSECRET"
BOT, ADA, MALLORY = 41898282, 100, 666
_R = "/repos/{owner}/{repo}"
_START = 1_760_000_000


class Trouble(NamedTuple):
    """An answer that is not the right one; ``after`` says that the request took effect all the same."""

    status: int = 500
    message: str = "trouble"
    headers: dict[str, str] = {}  # noqa: RUF012
    after: bool = False
    hangs_up: bool = False


class FakeComments:
    """The repository acme/rocket. ``viewer`` is who the token belongs to; a bot is no user at ``/user``."""

    def __init__(self) -> None:
        github_document()
        self.url = ""
        self.viewer = BOT
        self.pulls: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.troubles: deque[Trouble | None] = deque()  # of the next writes
        self.before: Callable[[str, str], None] = lambda _method, _path: None
        self.asked: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.lag = 0  # how many of the newest comments the lists do not have yet
        self._next = 1000

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.asked if one[0] != "GET" and one[1] != "/graphql"]

    def user(self, number: int) -> dict[str, Any]:
        names = {BOT: "github-actions[bot]", ADA: "ada", MALLORY: "mallory"}
        return made("simple-user", id=number, login=names[number], type="Bot" if number == BOT else "User")

    def add_pull(
        self, number: int, sha: str, branch: str = "topic", owner: str = "acme", state: str = "open"
    ) -> None:
        user = self.user(ADA)
        place = made("repository", full_name="acme/rocket", name="rocket", owner=user)
        side = {"sha": sha, "ref": branch, "label": f"{owner}:{branch}", "repo": place, "user": user}
        self.pulls[number] = {
            **made("pull-request"), "number": number, "state": state, "title": "t", "user": user, "head": side, "base": side,
        }  # fmt: skip

    def add_comment(self, number: int, author: int, body: str) -> int:
        self._next += 1
        self.comments[self._next] = {
            "pull": number,
            **made(
                "issue-comment", id=self._next, user=self.user(author), body=body,
                html_url=f"https://github.com/acme/rocket/pull/{number}#issuecomment-{self._next}",
                issue_url=f"https://api.github.com/repos/acme/rocket/issues/{number}",
            ),
        }  # fmt: skip
        return self._next

    def bodies(self, author: int = BOT) -> list[str]:
        return [one["body"] for one in self.comments.values() if one["user"]["id"] == author]

    # --- the API ---------------------------------------------------------------------------------

    def route(self, method: str, path: str, query: dict[str, str], told: Any) -> tuple[int, str, Any]:
        """(status, template, body); a LookupError for what there is not."""
        below = path.removeprefix("/repos/acme/rocket")
        if path == "/user":
            if self.viewer == BOT:
                return 403, "/user", {"message": "Resource not accessible by integration"}
            return 200, "/user", made("private-user", id=self.viewer, login="ada", user_view_type="private")
        if path == "/graphql":
            assert re.sub(r"\s", "", told["query"]) == "query{viewer{databaseIdlogin}}"
            return 200, "", {"data": {"viewer": {"databaseId": self.viewer, "login": "github-actions[bot]"}}}
        assert path != below, path
        match method, below.strip("/").split("/"):
            case "GET", ["pulls", number]:
                return 200, f"{_R}/pulls/{{pull_number}}", self.pulls[int(number)]
            case "GET", ["pulls"]:
                simple = _resolved({"$ref": "#/components/schemas/pull-request-simple"})["properties"]
                found = [
                    {key: value for key, value in one.items() if key in simple}
                    for one in self.pulls.values()
                    if one["head"]["label"] == query["head"] and one["state"] == query["state"]
                ]
                return 200, f"{_R}/pulls", found
            case "GET", ["issues", number, "comments"]:
                assert int(number) in self.pulls
                listed = [one for one in self.comments.values() if one["pull"] == int(number)]
                listed = listed[: len(listed) - self.lag]
                return 200, f"{_R}/issues/{{issue_number}}/comments", [_shown(one) for one in listed]
            case "POST", ["issues", number, "comments"]:
                self.pulls[int(number)]
                key = self.add_comment(int(number), self.viewer, told["body"])
                return 201, f"{_R}/issues/{{issue_number}}/comments", _shown(self.comments[key])
            case "PATCH", ["issues", "comments", number]:
                self.comments[int(number)]["body"] = told["body"]
                return 200, f"{_R}/issues/comments/{{comment_id}}", _shown(self.comments[int(number)])
            case "DELETE", ["issues", "comments", number]:
                del self.comments[int(number)]
                return 204, "", None
        raise AssertionError(f"{method} {path} is none of what the program asks")


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != "pull"}


def _check_request(method: str, path: str, told: Any) -> None:
    if method not in ("POST", "PATCH") or path == "/graphql":
        return
    assert isinstance(told, dict), told
    assert set(told) == {"body"}, told
    assert 0 < len(told["body"]) + sum(one > "\uffff" for one in told["body"]) <= 65_536


@contextmanager
def serving(fake: FakeComments) -> Iterator[FakeComments]:
    """Answers on a free loopback port until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                told = json.loads(content) if content else None
                assert self.headers["Authorization"] == f"Bearer {TOKEN}"
                assert self.headers["X-GitHub-Api-Version"]
                _check_request(self.command, parts.path, told)
                fake.before(self.command, parts.path)
                fake.asked.append((self.command, parts.path))
                is_write = self.command != "GET" and parts.path != "/graphql"
                trouble = fake.troubles.popleft() if is_write and fake.troubles else None
                if trouble is not None and not trouble.after:
                    return self._send_trouble(trouble)
                try:
                    status, template, body = fake.route(self.command, parts.path, query, told)
                except LookupError:
                    return self._send(404, {"message": "Not Found"}, {})
                if trouble is not None:
                    return self._send_trouble(trouble)
                headers: dict[str, str] = {}
                if isinstance(body, list):
                    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
                    if len(body) > page * size:
                        following = urlencode({**query, "page": page + 1})
                        headers["Link"] = f'<{fake.url}{parts.path}?{following}>; rel="next"'
                    body = body[(page - 1) * size : page * size]
                if template:
                    check(template, self.command, status, body)
                self._send(status, body, headers)
            except Exception as error:  # noqa: BLE001
                fake.faults.append(f"{self.command} {self.path}: {error!r}")
                self._send(500, {"message": "the fake is at fault"}, {})

        def _send_trouble(self, trouble: Trouble) -> None:
            if trouble.hangs_up:
                self.close_connection = True
                return
            self._send(trouble.status, {"message": trouble.message}, trouble.headers)

        def _send(self, status: int, body: Any, headers: dict[str, str]) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
    assert not fake.faults, fake.faults
