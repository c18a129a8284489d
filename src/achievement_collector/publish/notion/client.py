"""Asking Notion and writing to it: one request at a time, at the pace that Notion allows.

A client of our own over httpx and not ``notion-client``: its retries cut a long Retry-After short, leave 529 and queries (which
are POST) alone and cannot tell a request that was not done from one that may have been, so all of them would be off; what is
left is the header lines below, and that costs no dependency.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.sources.bodies import Body

URL = "https://api.notion.com"
VERSIONS = ("2025-09-03", "2026-03-11")
"""The API versions that this program speaks; nothing in which they differ is used."""

PAGE_SIZE = 100

_ATTEMPTS = 5
_FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
_LONGEST_MESSAGE = 300
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_HELD_BACK = {429, 529}  # nothing was done: to be asked again when Notion says
_PASSING = {500, 502, 503, 504}


class NotionError(CollectorError):
    """Notion could not be asked, or refused. ``code`` is its own word for the reason, empty where it gave none."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotionAccessError(NotionError):
    """The token is not accepted, or may not do what was asked."""


class NotionMissingError(NotionError):
    """What was asked for is not there, or not shared with the connection: Notion does not tell these apart."""


class NotionRefusedError(NotionError):
    """Notion finds fault with the request itself; asking again changes nothing."""


class NotionConflictError(NotionError):
    """Somebody wrote at the same moment; nothing was done. To be read and decided again."""


class NotionUncertainError(NotionError):
    """Whether Notion did it is not known: to be looked up before it is asked again."""


class BudgetExhausted(NotionError):  # noqa: N818 - named as in the other clients
    """Notion wants a longer wait than is allowed here; ``seconds`` from now on it may be asked again."""

    def __init__(self, message: str, seconds: float, code: str) -> None:
        super().__init__(message, code)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a query gave. ``is_complete`` is False where Notion stopped at its limit of 10,000 rows: then nothing
    may be concluded from a row that is missing."""

    pages: tuple[Body, ...]
    is_complete: bool


class NotionClient:
    """Notion's REST API with the token of a connection.

    ``interval`` is the least number of seconds between two requests; Retry-After is obeyed however long it is, up to
    ``max_wait`` seconds in all for one request. ``sleep`` takes seconds, ``clock`` gives them. ``requests`` counts what was sent,
    ``writes`` what changed something. No message, log line or representation holds the token. Raises
    :class:`ConfigurationError` for a token, an address or a version that cannot be used.
    """

    def __init__(
        self,
        token: str,
        *,
        url: str = URL,
        version: str = VERSIONS[0],
        timeout: float = 60.0,
        interval: float = 1 / 3,
        max_wait: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        token = token.strip()
        _check(token, url, version)
        self.version = version
        self.requests = self.writes = 0
        self._base = url.rstrip("/")
        self._interval, self._max_wait, self._sleep, self._clock = interval, max_wait, sleep, clock
        self._not_before = float("-inf")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Notion-Version": version},
            timeout=timeout,
            follow_redirects=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"NotionClient({urlsplit(self._base).hostname!r}, {self.version!r})"

    def __enter__(self) -> NotionClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- reading ---------------------------------------------------------------------------------

    def me(self) -> Body:
        """The bot that this connection is."""
        return self._ask("GET", "users/me")

    def page(self, page_id: str) -> Body:
        return self._ask("GET", f"pages/{_segment(page_id)}")

    def database(self, database_id: str) -> Body:
        return self._ask("GET", f"databases/{_segment(database_id)}")

    def data_source(self, source_id: str) -> Body:
        return self._ask("GET", f"data_sources/{_segment(source_id)}")

    def block(self, block_id: str) -> Body:
        return self._ask("GET", f"blocks/{_segment(block_id)}")

    def children(self, block_id: str) -> Iterator[Body]:
        """The blocks right inside of a page or a block, in their order."""
        path = f"blocks/{_segment(block_id)}/children"
        for page in self._pages(lambda told: self._ask("GET", path, params=told)):
            yield from page.each("results")

    def rows(
        self,
        source_id: str,
        wanted: Mapping[str, Any] | None = None,
        sorts: Sequence[Mapping[str, Any]] = (),
    ) -> Rows:
        """The rows of a data source that a filter lets through, those in the trash left out, each once."""
        body: dict[str, Any] = {"filter": dict(wanted)} if wanted else {}
        if sorts:
            body["sorts"] = [dict(one) for one in sorts]
        path = f"data_sources/{_segment(source_id)}/query"
        found: dict[str, Body] = {}
        is_complete = True
        for page in self._pages(lambda told: self._ask("POST", path, {**body, **told})):
            found |= {one.text("id"): one for one in page.each("results") if one.text("object") == "page"}
            is_complete = is_complete and page.inner("request_status").text("type") != "incomplete"
        return Rows(tuple(found.values()), is_complete)

    def property_items(self, page_id: str, property_id: str) -> list[Body]:
        """All parts of a property of a page: a page itself tells 25 references and no more."""
        path = f"pages/{_segment(page_id)}/properties/{_segment(property_id)}"
        found: list[Body] = []
        for page in self._pages(lambda told: self._ask("GET", path, params=told)):
            found += page.each("results") if page.text("object") == "list" else [page]
        return found

    def _pages(self, ask: Callable[[dict[str, Any]], Body]) -> Iterator[Body]:
        """The pages of a list, of which it is certain that reading it comes to an end."""
        told: dict[str, Any] = {"page_size": PAGE_SIZE}
        seen: set[str] = set()
        while True:
            answer = ask(told)
            yield answer
            following = answer.text("next_cursor") if answer.truth("has_more") else ""
            if not following:
                return
            if following in seen:
                raise NotionError(
                    "a list of Notion's does not go on where it says that it does; try again later"
                )
            seen.add(following)
            told = {**told, "start_cursor": following}

    # --- writing ---------------------------------------------------------------------------------

    def create_page(self, source_id: str, properties: Mapping[str, Any]) -> Body:
        """A new row. Never asked twice: raises :class:`NotionUncertainError` where it may have been made."""
        parent = {"type": "data_source_id", "data_source_id": source_id}
        return self._ask("POST", "pages", {"parent": parent, "properties": properties}, is_repeatable=False)

    def update_page(self, page_id: str, properties: Mapping[str, Any]) -> Body:
        """Sets properties, by id or name; gives the page as it is then."""
        return self._ask("PATCH", f"pages/{_segment(page_id)}", {"properties": properties})

    def trash_page(self, page_id: str, in_trash: bool = True) -> Body:
        return self._ask("PATCH", f"pages/{_segment(page_id)}", {"in_trash": in_trash})

    def create_database(
        self, page_id: str, title: str, description: str, properties: Mapping[str, Any]
    ) -> Body:
        """A new database in a page, with one data source. Never asked twice, as :meth:`create_page`."""
        body = {
            "parent": {"type": "page_id", "page_id": page_id},
            "title": [{"type": "text", "text": {"content": title}}],
            "description": [{"type": "text", "text": {"content": description}}],
            "initial_data_source": {"properties": properties},
        }
        return self._ask("POST", "databases", body, is_repeatable=False)

    def update_data_source(self, source_id: str, properties: Mapping[str, Any]) -> Body:
        """Adds properties to a schema, or changes those that have the name or id."""
        return self._ask("PATCH", f"data_sources/{_segment(source_id)}", {"properties": properties})

    def append(self, block_id: str, blocks: Sequence[Mapping[str, Any]]) -> list[Body]:
        """Adds blocks at the end of a page or a block. Never asked twice, as :meth:`create_page`."""
        path = f"blocks/{_segment(block_id)}/children"
        return self._ask("PATCH", path, {"children": list(blocks)}, is_repeatable=False).each("results")

    def update_block(self, block_id: str, body: Mapping[str, Any]) -> Body:
        return self._ask("PATCH", f"blocks/{_segment(block_id)}", dict(body))

    def delete_block(self, block_id: str) -> None:
        """Moves a block into the trash; one that lies there already, or is gone, is no error."""
        try:
            self._ask("DELETE", f"blocks/{_segment(block_id)}")
        except NotionMissingError:
            return
        except NotionRefusedError as error:
            if "archived" not in str(error) and "trash" not in str(error):
                raise

    # --- one request -----------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        is_repeatable: bool = True,
    ) -> Body:
        """The JSON object of an answer. ``is_repeatable`` says that doing it twice is the same as once; what is not is asked
        again only where Notion surely did nothing."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {} if content is None else {"Content-Type": "application/json"}
        pause, waited = _FIRST_PAUSE, 0.0
        for left in reversed(range(_ATTEMPTS)):
            self._keep_pace()
            self.requests += 1
            wait = pause
            try:
                answer = self._http.request(
                    method, f"{self._base}/v1/{path}", content=content, params=params, headers=headers
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if not left:
                    raise NotionError(
                        f"Notion cannot be reached ({type(error).__name__}); try again later"
                    ) from None
            except httpx.RequestError as error:
                if not is_repeatable:
                    raise NotionUncertainError(
                        f"the connection broke ({type(error).__name__}) while Notion was asked to {_done(method, path)}"
                    ) from None
                if not left:
                    raise NotionError(
                        f"Notion gave no answer ({type(error).__name__}); try again later"
                    ) from None
            else:
                told = _parsed(answer)
                status = answer.status_code
                if 200 <= status < 300 and told is not None:
                    self._count(method, path)
                    return told
                if status not in _HELD_BACK | _PASSING:
                    self._refuse(answer, told, method, path)
                if status in _PASSING and not is_repeatable:
                    raise NotionUncertainError(
                        f"Notion had trouble (HTTP {status}) while it was asked to {_done(method, path)}"
                    )
                after = _seconds(answer.headers.get("Retry-After", ""))
                wait = pause if after is None else after
                if status in _HELD_BACK and waited + wait > self._max_wait:
                    raise BudgetExhausted(_held_back(told or Body({}), status, wait), wait, _code(told))
                if not left or waited + wait > self._max_wait:
                    self._refuse(answer, told, method, path)
            waited += wait
            self._not_before = max(self._not_before, self._clock() + wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _keep_pace(self) -> None:
        ahead = self._not_before - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        self._not_before = self._clock() + self._interval

    def _count(self, method: str, path: str) -> None:
        if method != "GET" and not path.endswith("/query"):
            self.writes += 1

    def _refuse(self, answer: httpx.Response, told: Body | None, method: str, path: str) -> NoReturn:
        status, error = answer.status_code, told or Body({})
        code, doing = _code(told), _done(method, path)
        said = " ".join(error.text("message", _LONGEST_MESSAGE).split()) or "it gave no reason"
        if status == 401:
            raise NotionAccessError("Notion does not accept the token; check NOTION_API_KEY", code)
        if status == 403:
            raise NotionAccessError(
                f"Notion does not allow to {doing}: {said}; give the connection that capability", code
            )
        if status == 404:
            raise NotionMissingError(
                f"Notion cannot {doing}: {said} (in Notion: the page's ··· menu, Connections)", code
            )
        if status == 409:
            raise NotionConflictError(f"somebody wrote at the same moment: {said}", code)
        if status == 400 and "block limit" in said.lower():
            raise NotionRefusedError(
                f"Notion refused to {doing}: {said} A free workspace with several members holds 1,000 blocks in its life, "
                "and deleting gives none back; it has to be upgraded",
                code,
            )
        if 300 <= status < 400 or (200 <= status < 300 and told is None):
            raise NotionError("NOTION_API_URL answered with a page or a redirect, and not as Notion does")
        if status >= 500 or status in _HELD_BACK:
            raise NotionError(f"Notion has trouble of its own (HTTP {status}); try again later", code)
        raise NotionRefusedError(f"Notion refused to {doing} (HTTP {status}): {said}", code)


def _check(token: str, url: str, version: str) -> None:
    if not token or not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigurationError(
            "NOTION_API_KEY must be the token of a connection (it begins with ntn_ or secret_)"
        )
    if version not in VERSIONS:
        raise ConfigurationError(f"the version of Notion's API must be one of {', '.join(VERSIONS)}")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("NOTION_API_URL must be an address such as https://api.notion.com")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            "NOTION_API_URL must begin with https://, or everybody on the way reads the token"
        )


def _parsed(answer: httpx.Response) -> Body | None:
    """The JSON object of an answer; None where it is none, as a page of a proxy is."""
    try:
        data = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return Body(data) if isinstance(data, dict) else None


def _code(told: Body | None) -> str:
    return told.text("code", 60) if told is not None else ""


def _held_back(told: Body, status: int, wait: float) -> str:
    reason = told.inner("additional_data").text("rate_limit_reason", 60)
    why = "Notion is overloaded" if status == 529 else "the budget of requests to Notion is used up"
    return f"{why}{f' ({reason})' if reason else ''}: it can be asked again in {wait:.0f} s; what was written stays"


def _seconds(text: str) -> float | None:
    """Seconds of ``Retry-After``; None where it is a date or missing."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e7 else None


def _segment(text: str) -> str:
    """One part of a path, whatever it holds. Property ids come encoded already and must not be encoded again."""
    return quote(text, safe="%~")


def _done(method: str, path: str) -> str:
    """What was asked for, in words; ids are nobody's secret but help nobody either."""
    what = path.split("/")
    match (method, what[0], what[-1]):
        case ("POST", "pages", _):
            return "create a row"
        case ("POST", "databases", _):
            return "create a database"
        case ("PATCH", "blocks", "children"):
            return "add text to a page"
        case (_, "data_sources", "query"):
            return "read the rows of a database"
        case ("GET", kind, _):
            return f"read one of its {kind.replace('_', ' ')}"
        case (_, kind, _):
            return f"change one of its {kind.replace('_', ' ')}"
    return "answer"
