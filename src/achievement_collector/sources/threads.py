"""The services of the Threads-Agent stack: posts of the adaptor, metrics of the orchestrator. docs/content.md has the forms.

What is asked: ``GET {THREADS_ADAPTOR_URL}/posts?hours=24``, or ``GET .../published`` of adaptors that have no such route, both
with a list of posts; ``GET {ORCHESTRATOR_URL}/metrics`` with the text format of Prometheus. Nothing is asked of an address
that is not set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from achievement_collector.errors import CollectorError, ConfigurationError
from achievement_collector.facts.content import Figures, PostNews, plain_text
from achievement_collector.sources.bodies import Body

LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that are read."""

_MOST_POSTS, _MOST_METRICS = 5_000, 20_000
_ATTEMPTS = 2


class ThreadsError(CollectorError):
    """A service of the Threads-Agent stack could not be reached, or answered with something else than documented."""


class Metric(NamedTuple):
    """One sample of a metric as the orchestrator shows it. Values are finite."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


class ThreadsClient:
    """Both services. An empty address is a service that is not used: asking it raises :class:`ConfigurationError`.

    Redirects are not followed. No message or representation holds more of an address than its host, since it may bear a
    password.
    """

    def __init__(self, adaptor_url: str = "", orchestrator_url: str = "", *, timeout: float = 20.0) -> None:
        self._adaptor = _usable("THREADS_ADAPTOR_URL", adaptor_url)
        self._orchestrator = _usable("ORCHESTRATOR_URL", orchestrator_url)
        self._http = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)

    def __repr__(self) -> str:
        return f"ThreadsClient({_host(self._adaptor)!r}, {_host(self._orchestrator)!r})"

    def __enter__(self) -> ThreadsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def posts(self, hours: int = 24) -> list[PostNews]:
        """The posts of the last ``hours`` as the adaptor tells them; those without anything to know them by are left out."""
        base = _set("THREADS_ADAPTOR_URL", self._adaptor)
        answer = self._get(base, "posts", {"hours": str(hours)})
        if answer.status in (404, 405):
            answer = self._get(base, "published", {})
        data = _json(base, answer)
        listed = data.get("posts", data.get("items")) if isinstance(data, Mapping) else data
        if not isinstance(listed, list):
            raise ThreadsError(f"the Threads adaptor at {_host(base)} did not answer with a list of posts")
        found = (post_news(one) for one in listed[:_MOST_POSTS])
        return [one for one in found if one.post_id or one.hook or one.body]

    def metrics(self) -> list[Metric]:
        """What the orchestrator shows to Prometheus now: gauges, counters and sums; without values that are no numbers."""
        base = _set("ORCHESTRATOR_URL", self._orchestrator)
        answer = self._get(base, "metrics", {})
        _accept(base, answer)
        found: list[Metric] = []
        try:
            for family in text_string_to_metric_families(answer.body.decode("utf-8", "replace")):
                found += [
                    Metric(one.name, dict(one.labels), float(one.value))
                    for one in family.samples
                    if math.isfinite(one.value) and not one.name.endswith(("_bucket", "_created"))
                ]
                if len(found) >= _MOST_METRICS:
                    break
        except (ValueError, KeyError, IndexError, AttributeError):
            raise ThreadsError(
                f"the orchestrator at {_host(base)} did not answer in the text format of Prometheus"
            ) from None
        return found[:_MOST_METRICS]

    def _get(self, base: str, path: str, query: Mapping[str, str]) -> _Answer:
        for left in reversed(range(_ATTEMPTS)):
            try:
                with self._http.stream("GET", f"{base}/{path}", params=query) as answer:
                    body = bytearray()
                    for part in answer.iter_bytes():
                        body += part
                        if len(body) > LARGEST_ANSWER:
                            raise ThreadsError(
                                f"{_host(base)} answered /{path} with more than {LARGEST_ANSWER >> 20} MiB"
                            )
                    return _Answer(answer.status_code, bytes(body))
            except httpx.RequestError as error:
                if not left:
                    raise ThreadsError(
                        f"{_host(base)} gave no answer to /{path} ({type(error).__name__}); "
                        "look at the address, the network and the service"
                    ) from None
        raise AssertionError("the last attempt returns or raises")


def post_news(told: Any) -> PostNews:
    """A post as a service tells it: the documented names and those of the adaptor; what is of another kind is not told.

    Figures that are all 0 are none: the adaptor writes them before it has any.
    """
    body = Body(told)
    inside = [body, body.inner("metrics"), body.inner("engagement"), body.inner("engagement_data")]

    def count(*names: str) -> int | None:
        values = (one.whole(f"{name}{end}") for name in names for end in ("", "_count") for one in inside)
        return next((value for value in values if value is not None and 0 <= value <= 10**12), None)

    def text(longest: int, *names: str) -> str:
        return next((found for name in names if (found := plain_text(body.text(name), longest))), "")

    rates = (one.number("engagement_rate") for one in inside)
    rate = next((value for value in rates if value is not None), None)
    figures = Figures(
        count("views", "impressions"), count("likes"), count("shares", "reposts"), count("comments", "replies"),
        rate if rate is not None and 0 <= rate <= 1 else None,
    )  # fmt: skip
    if not any(figures.as_told().values()):
        figures = Figures()
    number = body.whole("post_id") or body.whole("thread_id") or body.whole("id")
    return PostNews(
        text(200, "post_id", "thread_id", "id") or ("" if number is None else str(number)),
        text(2_000, "hook"), text(20_000, "body", "content", "text"), text(200, "persona_id", "persona"),
        text(500, "author"), text(2_000, "url", "permalink"), body.moment("published_at") or body.moment("created_at"),
        body.moment("measured_at") or body.moment("updated_at"), figures,
    )  # fmt: skip


def _usable(name: str, url: str) -> str:
    if not url.strip():
        return ""
    try:
        parts = urlsplit(url.strip())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        raise ConfigurationError(f"{name} must be an address such as http://threads-adaptor:8000")
    return url.strip().rstrip("/")


def _set(name: str, base: str) -> str:
    if not base:
        raise ConfigurationError(f"{name} is not set")
    return base


def _host(base: str) -> str:
    parts = urlsplit(base)
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def _accept(base: str, answer: _Answer) -> None:
    if answer.status != 200:
        raise ThreadsError(f"{_host(base)} answered with status {answer.status}")


def _json(base: str, answer: _Answer) -> Any:
    _accept(base, answer)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ThreadsError(f"{_host(base)} did not answer with JSON") from None
