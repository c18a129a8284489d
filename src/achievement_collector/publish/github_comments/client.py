"""Reading and writing comments at a pull request of GitHub.

What is read goes through :class:`GitHubClient`, with its limits and its retries. What is written is sent once: again only
where GitHub cannot have got it, or told to wait. Whether a write that got no answer took place is seen by reading.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import httpx

from achievement_collector.sources.bodies import Body
from achievement_collector.sources.github.client import (
    API_VERSION,
    GITHUB,
    PER_PAGE,
    Answer,
    BudgetExhausted,
    GitHubAccessError,
    GitHubClient,
    GitHubError,
)

_ATTEMPTS = 4
_FIRST_PAUSE = 1.0  # seconds; doubled for each further attempt
_LIMITED_PAUSE = 60.0  # seconds after a limit that tells no time
_MOST_PAGES = 100  # of comments: 10,000 comments
_LONGEST_REASON = 300
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_VIEWER = "query { viewer { databaseId login } }"


class Author(NamedTuple):
    """Who the token writes as."""

    id: int
    login: str


class Comment(NamedTuple):
    """A comment; ``author`` is the id of who wrote it, None for a user that is gone."""

    id: int
    author: int | None
    body: str
    url: str = ""


class PullSeen(NamedTuple):
    """A pull request as GitHub shows it now. ``state`` is open or closed."""

    number: int
    state: str
    head_sha: str


class CommentsClient:
    """The comments of pull requests, with one token.

    ``max_wait`` is how many seconds one request may wait for a limit, beyond it :class:`BudgetExhausted` tells when to go on;
    ``sleep`` takes seconds, ``clock`` gives seconds since 1970. Every method may raise :class:`GitHubAccessError` where the
    token may not do it, and :class:`GitHubError`; no message or representation holds the token.
    """

    def __init__(
        self,
        base_url: str = GITHUB,
        token: str | None = None,
        *,
        max_wait: float = 300.0,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = GitHubClient(
            base_url, token, max_wait=max_wait, timeout=timeout, sleep=sleep, clock=clock
        )
        self.base_url = self._reader.base_url
        self._token = (token or "").strip()
        self._max_wait, self._sleep, self._clock = max_wait, sleep, clock
        headers = {
            "Accept": "application/vnd.github+json",
            "User-Agent": "achievement-collector",
            "X-GitHub-Api-Version": API_VERSION,
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def __repr__(self) -> str:
        return f"CommentsClient({self.base_url!r})"

    def __enter__(self) -> CommentsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._reader.close()

    # --- reading ---------------------------------------------------------------------------------

    def author(self) -> Author:
        """Who the token writes as. The token of a workflow or of an app is no user's: it is asked for through GraphQL."""
        try:
            told = self._reader.get("/user").body
        except GitHubAccessError as error:
            if error.status != 403:
                raise
            address = self.base_url.removesuffix("/v3") + "/graphql"
            answer = self._send("POST", address, {"query": _VIEWER}, "who the token belongs to")
            viewer = _body(answer).inner("data", "viewer")
            number, login = viewer.whole("databaseId"), viewer.text("login", 200)
        else:
            number, login = told.whole("id"), told.text("login", 200)
        if number is None:
            raise GitHubError(
                "GitHub does not tell who the token belongs to; name the author with --author-id"
            )
        return Author(number, login)

    def pull(self, repository: str, number: int) -> PullSeen:
        """A pull request of ``repository`` (owner/name)."""
        return _pull(self._reader.get(f"/repos/{repository}/pulls/{number}").body)

    def pull_with_head(self, repository: str, owner: str, branch: str, sha: str) -> PullSeen | None:
        """The open pull request from a branch of ``owner`` (whose fork it may be) whose head is ``sha``; None where there is
        none, or more than one."""
        told = self._reader.get(
            f"/repos/{repository}/pulls",
            {"state": "open", "head": f"{owner}:{branch}", "per_page": PER_PAGE},
        )
        found = [one for one in map(_pull, told.entries()) if one.head_sha == sha and one.state == "open"]
        return found[0] if len(found) == 1 else None

    def comments(self, repository: str, number: int) -> list[Comment]:
        """All comments of a pull request, whatever page they are on, oldest first."""
        found: dict[int, Comment] = {}
        answer: Answer | None = self._reader.get(
            f"/repos/{repository}/issues/{number}/comments", {"per_page": PER_PAGE}
        )
        for _ in range(_MOST_PAGES):
            if answer is None:
                return [found[key] for key in sorted(found)]
            for one in answer.entries():
                comment = _comment(one)
                found[comment.id] = comment
            answer = self._reader.get(answer.next) if answer.next else None
        raise GitHubError(f"{repository}#{number} has more than {_MOST_PAGES * PER_PAGE:,} comments")

    # --- writing ---------------------------------------------------------------------------------

    def create(self, repository: str, number: int, body: str) -> Comment:
        path = f"/repos/{repository}/issues/{number}/comments"
        return _comment(_body(self._send("POST", self.base_url + path, {"body": body}, "a comment")))

    def update(self, repository: str, comment: int, body: str) -> Comment:
        path = f"/repos/{repository}/issues/comments/{comment}"
        return _comment(_body(self._send("PATCH", self.base_url + path, {"body": body}, "a comment")))

    def delete(self, repository: str, comment: int) -> bool:
        """False where it was gone before."""
        path = f"/repos/{repository}/issues/comments/{comment}"
        try:
            self._send("DELETE", self.base_url + path, None, "a comment")
        except GitHubAccessError as error:
            if error.status in (404, 410):
                return False
            raise
        return True

    def _send(self, method: str, url: str, content: Mapping[str, Any] | None, what: str) -> httpx.Response:
        patience, failures, refusals = self._max_wait, 0, 0
        while True:
            try:
                answer = self._http.request(method, url, json=content)
            except httpx.RequestError as error:
                failures += 1
                if failures == _ATTEMPTS or not isinstance(error, _NOT_SENT):
                    raise GitHubError(
                        f"GitHub at {urlsplit(url).hostname} gave no answer ({type(error).__name__}); look at the network "
                        "and try again"
                    ) from None
                self._sleep(_FIRST_PAUSE * 2 ** (failures - 1))
                continue
            if 200 <= answer.status_code < 300:
                return answer
            pause = self._limited_for(answer, refusals)
            if pause is None:
                self._refuse(answer, url, what)
            refusals += 1
            if pause > patience or refusals == _ATTEMPTS:
                raise BudgetExhausted("limit of requests", int((self._clock() + pause) * 1000))
            patience -= pause
            self._sleep(pause)

    def _limited_for(self, answer: httpx.Response, refusals: int) -> float | None:
        """Seconds to wait, None where it is no limit that refuses."""
        headers = answer.headers
        after = headers.get("Retry-After", "")
        said = _body(answer).text("message", 2_000).lower()
        if answer.status_code not in (403, 429) or not (
            answer.status_code == 429
            or after
            or headers.get("X-RateLimit-Remaining") == "0"
            or "rate limit" in said
        ):
            return None
        if after.isascii() and after.isdecimal() and len(after) < 10:
            return max(1.0, float(after))
        reset = headers.get("X-RateLimit-Reset", "")
        if headers.get("X-RateLimit-Remaining") == "0" and reset.isascii() and reset.isdecimal():
            return max(1.0, float(reset[:15]) + 1 - self._clock())
        return float(_LIMITED_PAUSE * 2**refusals)

    def _refuse(self, answer: httpx.Response, url: str, what: str) -> NoReturn:
        status, place = answer.status_code, urlsplit(url).path
        said = " ".join(_body(answer).text("message", 2_000).split())
        if self._token:
            said = said.replace(self._token, "[token]")
        said = said[:_LONGEST_REASON].rstrip(".") or "no reason was told"
        match status:
            case 401:
                raise GitHubAccessError(
                    "GitHub does not accept the token; make a new one and set GITHUB_TOKEN", status
                )
            case 403:
                raise GitHubAccessError(
                    f"the token may not write {what} ({said}); it needs the permission pull-requests: write, which a run "
                    "for a pull request from a fork does not have",
                    status,
                )
            case 404 | 410:
                raise GitHubAccessError(
                    f"GitHub shows no {place} to write {what}: it is gone, or the token may not see it",
                    status,
                )
        if status >= 500:
            raise GitHubError(f"GitHub has trouble of its own (HTTP {status}); try again later", status)
        raise GitHubError(f"GitHub refused {what} (HTTP {status}): {said}", status)


def _body(answer: httpx.Response) -> Body:
    try:
        return Body(json.loads(answer.content))
    except (ValueError, RecursionError):
        return Body({})


def _pull(told: Body) -> PullSeen:
    number, sha = told.whole("number"), told.inner("head").text("sha", 64)
    if number is None or not sha:
        raise GitHubError("GitHub answered with something else than a pull request; try again later")
    return PullSeen(number, told.text("state", 20), sha)


def _comment(told: Body) -> Comment:
    number = told.whole("id")
    if number is None:
        raise GitHubError("GitHub answered with something else than a comment; try again later")
    return Comment(
        number, told.inner("user").whole("id"), told.text("body", 300_000), told.text("html_url", 500)
    )
