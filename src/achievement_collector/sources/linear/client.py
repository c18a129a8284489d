"""Asking Linear's GraphQL API: one request at a time, within its budgets, and never more than once too often.

Linear's limits are leaky buckets of requests and of complexity points whose sizes have changed again and again, so none is
known here: every answer says in its ``X-RateLimit-*`` headers what is left and when it is whole again. Over the limit Linear
answers HTTP 400 with ``extensions.code: RATELIMITED`` (not 429, which is understood all the same).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.sources.bodies import Body, moment

LINEAR = "https://api.linear.app/graphql"

_ATTEMPTS = 5
_FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
_LONGEST_MESSAGE = 300
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PASSING = {
    "internal error",
    "network error",
    "lock timeout",
}  # Linear's words for what may work a moment later
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BUDGETS = ("Requests", "Complexity", "Endpoint-Requests")


class LinearError(CollectorError):
    """Linear could not be reached, or refused a request. ``type`` is its own word for the reason ("invalid input",
    "feature not accessible" ...), empty where it gave none."""

    def __init__(self, message: str, type: str = "") -> None:
        super().__init__(message)
        self.type = type


class LinearAccessError(LinearError):
    """The key is not accepted, or may not do what was asked."""


class BudgetExhausted(CollectorError):  # noqa: N818 - an outcome, not a mistake
    """A budget is used up for longer than the client may wait. ``reset`` is when it is whole again, in milliseconds since
    1970."""

    def __init__(self, budget: str, reset: int) -> None:
        when = datetime.fromtimestamp(reset / 1000, UTC)
        super().__init__(
            f"Linear's budget of {budget} is used up until {when:%Y-%m-%d %H:%M:%S} UTC; "
            "ask again then, what was read is kept"
        )
        self.reset = reset


@dataclass(frozen=True, slots=True)
class Budget:
    """What one of Linear's limits allows, as the last answer told. ``reset`` in milliseconds since 1970."""

    name: str
    remaining: int | None
    reset: int | None


class LinearClient:
    """Linear's API with one key: a personal ``api_key``, or the ``oauth_token`` of an application (an empty one is none).

    ``max_wait`` is how many seconds may be waited for a budget; ``sleep`` takes seconds, ``clock`` gives seconds since 1970.
    ``requests`` counts what was sent, retries included. The key goes to ``url`` alone: redirects are not followed, and no
    message, log line or representation holds it. Raises :class:`ConfigurationError` for a key or an address that cannot be
    used.
    """

    def __init__(
        self,
        url: str = LINEAR,
        *,
        api_key: str | None = None,
        oauth_token: str | None = None,
        max_wait: float = 60.0,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = _usable_address(url)
        self.requests = 0
        self.budgets: tuple[Budget, ...] = ()
        self._is_oauth = bool(oauth_token and oauth_token.strip())
        self._secret = _usable_key(api_key, oauth_token)
        self._max_wait, self._sleep, self._clock = max_wait, sleep, clock
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {self._secret}" if self._is_oauth else self._secret},
            timeout=timeout,
            follow_redirects=False,
        )

    def __repr__(self) -> str:
        return f"LinearClient({self.url!r}, {'OAuth' if self._is_oauth else 'personal key'})"

    def __enter__(self) -> LinearClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def execute(self, document: str, variables: Mapping[str, Any] | None = None) -> Body:
        """The ``data`` of the answer to a document with one operation.

        What fails in passing (no connection, HTTP 5xx) is asked again a few times; a mutation only where it cannot have been
        carried out. Raises :class:`BudgetExhausted`, :class:`LinearAccessError` or :class:`LinearError`.
        """
        is_mutation = document.lstrip().startswith("mutation")
        payload = {"query": document, "variables": dict(variables or {})}
        pause = _FIRST_PAUSE
        for left in reversed(range(_ATTEMPTS)):
            self._await_budget()
            self.requests += 1
            try:
                answer = self._http.post(self.url, json=payload)
            except httpx.RequestError as error:
                if not left or (is_mutation and not isinstance(error, _NOT_SENT)):
                    raise LinearError(
                        f"Linear at {urlsplit(self.url).hostname} gave no answer ({type(error).__name__}); "
                        "look at the network and try again"
                    ) from None
                self._sleep(pause)
            else:
                body = _parsed(answer)
                self._note_budgets(answer.headers)
                if _is_rate_limited(answer, body):
                    self._await_reset(answer, pause, is_last=not left)
                elif left and not is_mutation and _is_passing(answer, body):
                    self._sleep(pause)
                else:
                    return self._data(answer, body)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    # --- budgets ---------------------------------------------------------------------------------

    def _note_budgets(self, headers: httpx.Headers) -> None:
        """Keeps what the answer's headers say. Most say nothing of ``Endpoint-Requests``, a limit of single fields."""
        found = []
        for name in _BUDGETS:
            remaining = _whole(headers.get(f"X-RateLimit-{name}-Remaining", ""))
            reset = moment(_whole(headers.get(f"X-RateLimit-{name}-Reset", "")))
            if remaining is not None or reset is not None:
                found.append(Budget(name.lower().replace("-", " "), remaining, reset))
        self.budgets = tuple(found)

    def _await_budget(self) -> None:
        """Waits until no budget stands at zero, so that nothing is asked in vain. A single field's budget is left out: what
        comes next may be another field."""
        for budget in self.budgets:
            if budget.remaining == 0 and budget.reset is not None and not budget.name.startswith("endpoint"):
                self._wait_until(budget.reset, budget.name)
        self.budgets = ()

    def _await_reset(self, answer: httpx.Response, pause: float, *, is_last: bool) -> None:
        """Waits after a refusal: as long as ``Retry-After`` says, else until the empty budget is whole again, else a
        moment."""
        empty = [one for one in self.budgets if one.remaining == 0 and one.reset is not None]
        name = empty[0].name if empty else "requests"
        now = self._clock() * 1000
        after = _whole(answer.headers.get("Retry-After", ""))
        if after is not None:
            reset = int(now + after * 1000)
        else:
            reset = max((one.reset or 0 for one in empty), default=0) or int(now + pause * 1000)
        if is_last:
            raise BudgetExhausted(name, reset)
        self.budgets = ()
        self._wait_until(max(reset, int(now + pause * 1000)), name)

    def _wait_until(self, reset: int, name: str) -> None:
        seconds = reset / 1000 - self._clock()
        if seconds > self._max_wait:
            raise BudgetExhausted(name, reset)
        if seconds > 0:
            self._sleep(seconds)

    # --- answers ---------------------------------------------------------------------------------

    def _data(self, answer: httpx.Response, body: Body) -> Body:
        errors = body.each("errors")
        if answer.status_code == 200 and not errors and "data" in body:
            return body.inner("data")
        if not body and answer.status_code < 300:
            raise LinearError(
                f"{urlsplit(self.url).hostname} answered with something that is no GraphQL; "
                "set the address of Linear's API itself"
            )
        self._refuse(answer, errors[0] if errors else Body({}))

    def _refuse(self, answer: httpx.Response, error: Body) -> NoReturn:
        """Raises the error that says best what Linear answered, in one sentence."""
        reason = error.inner("extensions")
        told = reason.text("userPresentableMessage") or error.text("message")
        said = " ".join(told.replace(self._secret, "[key]").split())[:_LONGEST_MESSAGE].rstrip(".")
        kind = reason.text("type", 60)
        if (
            answer.status_code == 401
            or kind == "authentication error"
            or _code(error) == "AUTHENTICATION_ERROR"
        ):
            todo = (
                "refresh the OAuth token, or authorise the application again"
                if self._is_oauth
                else "make a new key in Linear (Settings, Security & access, Personal API keys)"
            )
            raise LinearAccessError(f"Linear does not accept the key; {todo}", kind)
        if answer.status_code == 403 or kind == "forbidden" or _code(error) == "FORBIDDEN":
            raise LinearAccessError(
                f"Linear does not allow this with the key that was given: {said or 'no reason was told'}; "
                "use the key of someone who may, or ask an admin of the workspace",
                kind,
            )
        if 300 <= answer.status_code < 400:
            raise LinearError(
                f"{urlsplit(self.url).hostname} answered with a redirect, which is not followed, since it would carry the "
                "key elsewhere; set the address of Linear's API itself"
            )
        if answer.status_code >= 500:
            raise LinearError(
                f"Linear has trouble of its own (HTTP {answer.status_code}); try again later", kind
            )
        raise LinearError(
            f"Linear refused the request (HTTP {answer.status_code}): {said or 'the answer gave no reason'}",
            kind,
        )


def _parsed(answer: httpx.Response) -> Body:
    try:
        return Body(json.loads(answer.content))
    except (ValueError, RecursionError):
        return Body({})


def _code(error: Body) -> str:
    return error.inner("extensions").text("code", 60)


def _is_rate_limited(answer: httpx.Response, body: Body) -> bool:
    return answer.status_code == 429 or any(_code(one) == "RATELIMITED" for one in body.each("errors"))


def _is_passing(answer: httpx.Response, body: Body) -> bool:
    return answer.status_code >= 500 or any(
        one.inner("extensions").text("type", 60) in _PASSING for one in body.each("errors")
    )


def _whole(text: str) -> int | None:
    """A whole number of a header; None where it is none (``Retry-After`` may be a date, which Linear does not use)."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _usable_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    ):
        return url
    raise ConfigurationError(f"Linear's address must begin with https://, not {parts.scheme or 'nothing'}://")


def _usable_key(api_key: str | None, oauth_token: str | None) -> str:
    given = [one.strip() for one in (api_key, oauth_token) if one and one.strip()]
    if not given:
        raise ConfigurationError("Linear needs a key: set LINEAR_API_KEY or LINEAR_OAUTH_TOKEN")
    if len(given) > 1:
        raise ConfigurationError("Linear takes one key: unset LINEAR_API_KEY or LINEAR_OAUTH_TOKEN")
    if not (given[0].isascii() and given[0].isprintable() and " " not in given[0]):
        raise ConfigurationError("the key for Linear holds characters that no key has; copy it again")
    return given[0]
