"""Asking GitHub's REST API: one request at a time, within its limits, and only the host that was named.

Limits are understood as GitHub documents them: over the primary one (HTTP 403 or 429 with ``x-ratelimit-remaining: 0``) the
client waits until ``x-ratelimit-reset``; over a secondary one as long as ``Retry-After`` says, else a minute, and twice as
long each further time. It never waits longer than ``max_wait``: then :class:`BudgetExhausted` tells when to go on.

A request with the ETag of an earlier answer is answered with 304, which costs nothing of the primary limit. So whoever keeps
an ETag must keep it in the same transaction as what the answer told: 304 then means "nothing new since what was stored".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import httpx

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.sources.bodies import Body

GITHUB = "https://api.github.com"
API_VERSION = "2026-03-10"
PER_PAGE = 100

_ATTEMPTS = 4  # of what fails in passing: the first and three more
_FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
_LIMITED_PAUSE = 60.0  # seconds after a secondary limit that tells no time; doubled for each further one
_LIMITED_ATTEMPTS = 5
_BETWEEN_WRITES = 1.0  # seconds, as GitHub asks for
_MOST_REDIRECTS = 5
_LONGEST_MESSAGE = 300
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class GitHubError(CollectorError):
    """GitHub could not be reached, or refused a request. ``status`` is the HTTP status, None where there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class GitHubAccessError(GitHubError):
    """The token is not accepted, or may not see or do what was asked (401, 403, 404, 410)."""


class BudgetExhausted(CollectorError):  # noqa: N818 - an outcome, not a mistake
    """A limit is used up for longer than the client may wait. ``reset`` is when to go on, in milliseconds since 1970."""

    def __init__(self, limit: str, reset: int) -> None:
        when = datetime.fromtimestamp(reset / 1000, UTC)
        super().__init__(
            f"GitHub's {limit} is used up until {when:%Y-%m-%d %H:%M:%S} UTC; ask again then, what was read is kept"
        )
        self.reset = reset


@dataclass(frozen=True, slots=True)
class Answer:
    """What GitHub answered. ``data`` is the JSON as Python has it, None where nothing changed (:attr:`is_unchanged`);
    ``next`` is the address of the next page, None on the last one."""

    status: int
    data: Any
    etag: str | None
    next: str | None

    @property
    def is_unchanged(self) -> bool:
        return self.status == 304

    @property
    def body(self) -> Body:
        return Body(self.data)

    def entries(self, name: str = "") -> list[Body]:
        """The entries of a list, or of the list that an object has under ``name``. Raises :class:`GitHubError` where there
        is none."""
        data = self.data.get(name) if name and isinstance(self.data, Mapping) else self.data
        if not isinstance(data, list):
            raise GitHubError(
                "GitHub answered with something else than the list that was asked for; try again later"
            )
        return [Body(one) for one in data]


class GitHubClient:
    """GitHub's REST API with one token, or without one.

    ``budget_reserve`` is how many requests of the primary limit are left to others (never more than a tenth of the limit);
    ``max_wait`` how many seconds one request may wait for a limit; ``sleep`` takes seconds and ``clock`` gives seconds since
    1970; ``api_version`` may be None for a GitHub Enterprise Server that knows no versions.

    ``requests`` counts what was sent, retries included, and ``unchanged`` the answers 304. ``remaining`` and ``reset`` (seconds
    since 1970) are of the primary limit, as the last answer told. The token goes to the host of ``base_url`` alone: redirects
    and next pages elsewhere are refused, and no message or representation holds it. Raises :class:`ConfigurationError` for a
    token or an address that cannot be used.
    """

    def __init__(
        self,
        base_url: str = GITHUB,
        token: str | None = None,
        *,
        budget_reserve: int = 100,
        max_wait: float = 900.0,
        api_version: str | None = API_VERSION,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = _usable_address(base_url)
        self.requests = 0
        self.unchanged = 0
        self.limit: int | None = None
        self.remaining: int | None = None
        self.reset: int | None = None
        self._token = _usable_token(token)
        self._reserve, self._max_wait, self._sleep, self._clock = budget_reserve, max_wait, sleep, clock
        self._wrote = float("-inf")
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "achievement-collector"}
        if api_version:
            headers["X-GitHub-Api-Version"] = api_version
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        self._http = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def __repr__(self) -> str:
        return f"GitHubClient({self.base_url!r}, {'with a token' if self._token else 'without a token'})"

    def __enter__(self) -> GitHubClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(
        self, path: str, parameters: Mapping[str, str | int] | None = None, *, etag: str | None = None
    ) -> Answer:
        """The answer to a path below the base address (``/repos/acme/rocket``) or to a page's ``next``.

        With the ``etag`` of an earlier answer it may be 304. What fails in passing (no connection, HTTP 5xx) is asked again
        three times. Raises :class:`BudgetExhausted`, :class:`GitHubAccessError` or :class:`GitHubError`.
        """
        url = str(httpx.URL(self._address(path), params=parameters) if parameters else self._address(path))
        return self._ask("GET", url, {"If-None-Match": etag} if etag else {})

    def elsewhere(self, path: str) -> str | bytes:
        """Where something lies that GitHub points to (a job's log): an address on any host, which lives a minute and must be
        asked without the token; or the thing itself where GitHub gives it at once. Raises as :meth:`get` does."""
        url = self._address(path)
        answer = self._exchange("GET", url, {}, is_followed=False)
        if not 300 <= answer.status_code < 400:
            content: bytes = answer.content
            return content
        there: str = urljoin(url, answer.headers.get("Location", ""))
        parts, here = urlsplit(there), urlsplit(self.base_url)
        is_safe = parts.scheme == "https" or (
            parts.scheme == here.scheme == "http"
            and parts.hostname in _LOOPBACK
            and here.hostname in _LOOPBACK
        )
        if not parts.hostname or not is_safe:
            raise GitHubError(f"GitHub pointed {urlsplit(url).path} to an address that is not https")
        return there

    def post(self, path: str) -> Answer:
        """Posts to a path without a body, at least a second after the one before; sent again only where GitHub cannot have
        got it. Raises as :meth:`get` does."""
        self._pause(self._wrote + _BETWEEN_WRITES - self._clock())
        try:
            return self._ask("POST", self._address(path), {})
        finally:
            self._wrote = self._clock()

    # --- requests --------------------------------------------------------------------------------

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> Answer:
        return self._read(self._exchange(method, url, headers))

    def _exchange(
        self, method: str, url: str, headers: dict[str, str], *, is_followed: bool = True
    ) -> httpx.Response:
        """The answer to a request, asked again where that may help; redirects within the host are followed, or given back
        where they are not to be (``is_followed``)."""
        failures = refusals = redirects = 0
        patience = self._max_wait
        while True:
            patience -= self._await_budget(patience)
            self.requests += 1
            try:
                answer = self._http.request(method, url, headers=headers)
            except httpx.RequestError as error:
                failures += 1
                if failures == _ATTEMPTS or (method != "GET" and not isinstance(error, _NOT_SENT)):
                    raise GitHubError(
                        f"GitHub at {urlsplit(self.base_url).hostname} gave no answer ({type(error).__name__}); "
                        "look at the network and try again"
                    ) from None
                self._sleep(_FIRST_PAUSE * 2 ** (failures - 1))
                continue
            self._note_budget(answer.headers)
            status = answer.status_code
            if _is_limited(answer):
                refusals += 1
                patience -= self._await_limit(answer, refusals, patience)
            elif status >= 500 and method == "GET" and failures < _ATTEMPTS - 1:
                failures += 1
                self._sleep(_FIRST_PAUSE * 2 ** (failures - 1))
            elif (
                status in (301, 302, 307, 308)
                and (method == "GET" or status > 302)
                and redirects < _MOST_REDIRECTS
            ):
                if status == 302 and not is_followed:
                    return answer
                redirects += 1
                url = self._address(urljoin(url, answer.headers.get("Location", "")))
            elif status == 304 or 200 <= status < 300:
                return answer
            else:
                self._refuse(answer, url)

    def _address(self, path: str) -> str:
        """The address of a path, or of a page that GitHub named; it must lie on the base address's host."""
        if path.startswith("/"):
            return self.base_url + path
        there, here = urlsplit(path), urlsplit(self.base_url)
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
            raise GitHubError(
                f"GitHub at {here.hostname} pointed to another host ({there.hostname}), which is not followed, since it "
                "would carry the token there; set the address of GitHub's API itself"
            )
        return path

    def _read(self, answer: httpx.Response) -> Answer:
        etag = answer.headers.get("ETag")
        if answer.status_code == 304:
            self.unchanged += 1
            return Answer(304, None, etag, None)
        following = answer.links.get("next", {}).get("url")
        try:
            data = json.loads(answer.content) if answer.content else None
        except (ValueError, RecursionError):
            raise GitHubError(
                f"{urlsplit(self.base_url).hostname} answered with something that is no JSON; "
                "set the address of GitHub's API itself (https://HOST/api/v3 for an Enterprise Server)",
                answer.status_code,
            ) from None
        return Answer(answer.status_code, data, etag, self._address(following) if following else None)

    # --- limits ----------------------------------------------------------------------------------

    def _note_budget(self, headers: httpx.Headers) -> None:
        if headers.get("X-RateLimit-Resource", "core") != "core":
            return
        limit, remaining, reset = (
            _whole(headers.get(f"X-RateLimit-{name}", "")) for name in ("Limit", "Remaining", "Reset")
        )
        if remaining is not None and reset is not None:
            self.limit, self.remaining, self.reset = limit, remaining, reset

    def _await_budget(self, patience: float) -> float:
        """Waits until more is left of the primary limit than the reserve; gives the seconds waited."""
        if self.remaining is None or self.reset is None:
            return 0
        reserve = self._reserve if self.limit is None else min(self._reserve, self.limit // 10)
        if self.remaining > reserve or self.reset < self._clock():
            return 0
        waited = self._wait_until(self.reset + 1, "limit of requests", patience)
        self.remaining = self.reset = None
        return waited

    def _await_limit(self, answer: httpx.Response, refusals: int, patience: float) -> float:
        """Waits after a refusal; gives the seconds waited."""
        after, pause = _whole(answer.headers.get("Retry-After", "")), _LIMITED_PAUSE * 2 ** (refusals - 1)
        is_primary = answer.headers.get("X-RateLimit-Remaining") == "0" and self.reset is not None
        now, name = self._clock(), "limit of requests" if is_primary else "secondary limit"
        if after is not None:
            until = now + max(1, after)
        elif is_primary and self.reset is not None:
            until = max(self.reset + 1, now + 1)
        else:
            until = now + pause
        if refusals == _LIMITED_ATTEMPTS:
            raise BudgetExhausted(name, int(max(until, now + pause) * 1000))
        waited = self._wait_until(until, name, patience)
        self.remaining = self.reset = None
        return waited

    def _wait_until(self, moment: float, name: str, patience: float) -> float:
        seconds = moment - self._clock()
        if seconds > patience:
            raise BudgetExhausted(name, int(moment * 1000))
        return self._pause(seconds)

    def _pause(self, seconds: float) -> float:
        if seconds <= 0:
            return 0
        self._sleep(seconds)
        return seconds

    # --- refusals --------------------------------------------------------------------------------

    def _refuse(self, answer: httpx.Response, url: str) -> NoReturn:
        """Raises the error that says best what GitHub answered, in one sentence."""
        status, what = answer.status_code, urlsplit(url).path
        told = _parsed(answer).text("message")
        if self._token:
            told = told.replace(self._token, "[token]")
        said = " ".join(told.split())[:_LONGEST_MESSAGE].rstrip(".") or "no reason was told"
        if status == 401:
            raise GitHubAccessError(
                "GitHub does not accept the token; make a new one (Settings, Developer settings, Personal access tokens) "
                "and set GITHUB_TOKEN",
                status,
            )
        if status == 403:
            needed = answer.headers.get("X-Accepted-GitHub-Permissions") or answer.headers.get(
                "X-Accepted-OAuth-Scopes"
            )
            if "X-GitHub-SSO" in answer.headers:
                todo = "authorise the token for the organisation's single sign-on (Personal access tokens, Configure SSO)"
            elif needed:
                todo = f"give it one of these: {needed[:_LONGEST_MESSAGE]}"
            else:
                todo = "use a token that may read this repository"
            raise GitHubAccessError(f"the token may not see {what} ({said}); {todo}", status)
        if status == 404:
            todo = (
                "a private repository needs a token with the scope repo, or a fine-grained one for this repository"
                if self._token
                else "a private repository needs a token: set GITHUB_TOKEN"
            )
            raise GitHubAccessError(f"GitHub shows no {what}: look at the spelling; {todo}", status)
        if status == 410:
            raise GitHubAccessError(f"GitHub has no {what} any more: {said}", status)
        if 300 <= status < 400:
            raise GitHubError(
                f"GitHub redirects {what} without end; set the repository's present name", status
            )
        if status >= 500:
            raise GitHubError(f"GitHub has trouble of its own (HTTP {status}); try again later", status)
        raise GitHubError(f"GitHub refused {what} (HTTP {status}): {said}", status)


def _is_limited(answer: httpx.Response) -> bool:
    if answer.status_code == 429:
        return True
    if answer.status_code != 403:
        return False
    headers = answer.headers
    if headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers or "gh-limited-by" in headers:
        return True
    said = _parsed(answer).text("message").lower()
    return "rate limit" in said or "abuse detection" in said


def _parsed(answer: httpx.Response) -> Body:
    try:
        return Body(json.loads(answer.content))
    except (ValueError, RecursionError):
        return Body({})


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _usable_address(url: str) -> str:
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        is_usable = parts.port is None or parts.port > 0
    except ValueError:
        is_usable = False
    if (
        not is_usable
        or not parts.hostname
        or parts.query
        or parts.fragment
        or parts.username
        or parts.password
    ):
        raise ConfigurationError(
            "GitHub's address must be like https://api.github.com or https://HOST/api/v3"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ConfigurationError(
            f"GitHub's address must begin with https://, not {parts.scheme or 'nothing'}://"
        )
    return parts.geturl()


def _usable_token(token: str | None) -> str:
    given = (token or "").strip()
    if not (given.isascii() and (given.isprintable() and " " not in given)):
        raise ConfigurationError("the token for GitHub holds characters that no token has; copy it again")
    return given
