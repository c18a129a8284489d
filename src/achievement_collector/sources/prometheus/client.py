"""Asking Prometheus' HTTP API, or that of what speaks it (Thanos, Mimir, VictoriaMetrics): read only, bounded, one host.

Queries are posted as forms, so that long ones fit, and put into the address only where POST is not allowed. What fails in
passing is asked again a few times; a query that takes too long is not, since it would take as long again.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from os import PathLike
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from achievement_collector.sources.bodies import Body
from achievement_collector.sources.prometheus.access import (
    tls_context,
    usable_address,
    usable_credentials,
)
from achievement_collector.sources.prometheus.reading import (
    MOST_SAMPLES,
    MOST_SERIES,
    Answer,
    AnswerTooLargeError,
    PrometheusError,
    UnreadableAnswerError,
    plain,
    read_answer,
    read_parts,
)

MOST_POINTS = 11_000
"""Moments that Prometheus evaluates for one range query."""
LARGEST_ANSWER = 64_000_000
"""Bytes of an answer, unpacked: about what 100 series with 11,000 long values take."""

_ATTEMPTS = 4  # of what fails in passing: the first and three more
_FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
_LONGEST_CONNECTING = 10.0  # seconds
_PASSING = {429, 502, 503}
_UNFINISHED = {"timeout", "canceled"}  # Prometheus' words for a query that was given up
_BAD_QUERY = {"bad_data", "execution"}


class PrometheusUnavailableError(PrometheusError):
    """Prometheus could not be reached, or takes no queries at the moment; it may work later."""


class PrometheusTimeoutError(PrometheusError):
    """A query took longer than the client or Prometheus waits."""


class PrometheusAccessError(PrometheusError):
    """The credentials are not accepted, or may not read what was asked."""


class PrometheusQueryError(PrometheusError):
    """Prometheus cannot evaluate the query: it is malformed, or does not fit the data that there is."""


class NotPrometheusError(PrometheusError):
    """Something else than Prometheus answers at the address."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a Prometheus says of itself; ``revision`` is empty where it was not told."""

    version: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON as Python has it, None where it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class PrometheusClient:
    """A Prometheus at ``url``, the address that ``/api/v1`` lies below.

    ``token`` is a bearer token; ``username`` and ``password`` are for basic authentication; ``certificate`` and ``key`` are PEM
    files of a client certificate (the key may lie in the same file; an encrypted one is refused); ``authority`` is a PEM file
    of the only authorities that are trusted, by default those of the system's usual set. ``timeout`` is how many seconds an
    answer may take, and how long Prometheus may work on it; ``max_wait`` how many seconds one request may wait before further
    attempts in all; ``sleep`` takes seconds, ``clock`` gives seconds since 1970. ``requests`` counts what was sent.

    Credentials go to ``url`` alone: redirects are not followed, and no message or representation holds them. Raises
    :class:`ConfigurationError` for an address, credentials or files that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        certificate: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
        authority: str | PathLike[str] | None = None,
        timeout: float = 30.0,
        max_wait: float = 60.0,
        largest_answer: int = LARGEST_ANSWER,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = usable_credentials(token, username, password)
        self._has_certificate = bool(certificate)
        self.url = usable_address(
            url, is_secret=bool(self._credentials.header), has_files=any((certificate, key, authority))
        )
        self.requests = 0
        self._host = urlsplit(self.url).hostname
        self._timeout, self._max_wait, self._largest = timeout, max_wait, largest_answer
        self._sleep, self._clock = sleep, clock
        self._posts = True
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "achievement-collector",
        }
        if self._credentials.header:
            headers["Authorization"] = self._credentials.header
        context = tls_context(certificate, key, authority)
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(timeout, _LONGEST_CONNECTING)),
            follow_redirects=False,
            verify=True if context is None else context,
        )

    def __repr__(self) -> str:
        certificate = ", with a certificate" if self._has_certificate else ""
        return f"PrometheusClient({self.url!r}, {self._credentials.kind}{certificate})"

    def __enter__(self) -> PrometheusClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- questions -------------------------------------------------------------------------------

    def query(self, promql: str, at_ms: int | None = None, *, kpi: str = "") -> Answer:
        """What a query gives at one moment, in milliseconds since 1970; now where it is None.

        A sample's moment is the one asked for, while its value is the newest that was recorded in the 5 minutes before (or
        what the server sets as lookback). So of a metric that is recorded every hour this finds nothing most of the time, and
        an empty answer does not mean that it is 0: ask for ``last_over_time(METRIC[2h])``, or for ``METRIC[30d]``, which gives
        the values as they were recorded, with their own moments. Raises :class:`PrometheusError` in its several kinds.
        """
        form = {"query": promql}
        if at_ms is not None:
            form["time"] = _seconds(at_ms)
        return read_answer(kpi, self._result("/api/v1/query", form))

    def query_range(self, promql: str, start_ms: int, end_ms: int, step_s: int, *, kpi: str = "") -> Answer:
        """What a query gives at every whole multiple of ``step_s`` seconds since 1970 from ``start_ms`` to ``end_ms``, both
        included; no series where no multiple lies between them.

        The same moments are asked for whenever the question is repeated, also for times that overlap. At each of them the
        5 minutes of lookback hold as for :meth:`query`: with values that are recorded less often, moments between them stay
        empty; with a step that is shorter than the values are apart, one recorded value stands at several moments and is no
        measurement of each. What is longer than :data:`MOST_POINTS` moments is asked in parts, and given whole or not at all.
        Raises :class:`ValueError` for a step below 1 or an end before the start, else as :meth:`query` does.
        """
        if step_s < 1 or end_ms < start_ms:
            raise ValueError("a range needs a step of 1 s or more and an end that is not before its start")
        first, last = -(-start_ms // (step_s * 1000)), end_ms // (step_s * 1000)
        if last - first >= MOST_SAMPLES:
            raise AnswerTooLargeError(
                f"a step of {step_s} s makes {last - first + 1:,} moments of this time, at most {MOST_SAMPLES:,} are asked for; "
                "take a longer step or a shorter time"
            )
        return read_parts(kpi, self._parts(promql, first, last, step_s))

    def _parts(self, promql: str, first: int, last: int, step_s: int) -> Iterator[Any]:
        """The answers to the parts of a range from its ``first`` to its ``last`` multiple of the step."""
        for begin in range(first, last + 1, MOST_POINTS):
            end = min(begin + MOST_POINTS - 1, last)
            form = {
                "query": promql,
                "start": str(begin * step_s),
                "end": str(end * step_s),
                "step": str(step_s),
            }
            yield self._result("/api/v1/query_range", form)

    def ready(self) -> bool:
        """Whether the server takes queries; False while it starts or stops. Servers that only speak Prometheus' language may
        have no such page, which raises :class:`NotPrometheusError`."""
        reply = self._ask("GET", "/-/ready", {}, attempts=1)
        if reply.status == 503:
            return False
        if reply.status != 200:
            self._refuse(reply)
        return True

    def build(self) -> Build:
        """Which version answers. Raises :class:`PrometheusError` in its several kinds."""
        reply = self._ask("GET", "/api/v1/status/buildinfo", {})
        told = self._success(reply).inner("data")
        version = plain(told.text("version", 60))
        if not version:
            raise NotPrometheusError(f"{self._host} tells no version; set the address of Prometheus itself")
        return Build(version, plain(told.text("revision", 60)))

    # --- requests --------------------------------------------------------------------------------

    def _result(self, path: str, form: dict[str, str]) -> Any:
        # a server of version 3 sends no more series than are needed to see that there are too many
        form |= {"timeout": f"{max(1, round(self._timeout * 1000))}ms", "limit": str(MOST_SERIES + 1)}
        reply = self._ask("POST" if self._posts else "GET", path, form)
        if reply.status == 405 and self._posts:
            self._posts = False
            reply = self._ask("GET", path, form)
        return self._success(reply).data

    def _ask(self, method: str, path: str, form: Mapping[str, str], attempts: int = _ATTEMPTS) -> _Reply:
        pause, patience = _FIRST_PAUSE, self._max_wait
        for left in reversed(range(attempts)):
            wait = pause
            try:
                reply = self._exchange(method, path, form)
            except httpx.RequestError as error:
                if not left or wait > patience or not _is_passing(error):
                    raise self._failure(error) from None
            else:
                if not left or reply.status not in _PASSING or _error_type(reply) in _UNFINISHED:
                    return reply
                wait = max(pause, self._told_wait(reply) or 0)
                if wait > patience:
                    return reply
            self._sleep(wait)
            patience -= wait
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, method: str, path: str, form: Mapping[str, str]) -> _Reply:
        """One request. Raises :class:`httpx.RequestError`, or :class:`AnswerTooLargeError`."""
        self.requests += 1
        sent: dict[str, Any] = {"data": form} if method == "POST" else {"params": form}
        deadline = time.monotonic() + self._timeout
        with self._http.stream(method, self.url + path, **sent) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > self._largest:
                    raise AnswerTooLargeError(
                        f"the answer of {self._host} has more than {self._largest:,} bytes; "
                        "ask for a shorter time or for fewer series: sum by (job) (...)"
                    )
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer does not end")
            return _Reply(answer.status_code, answer.headers, bytes(content))

    def _told_wait(self, reply: _Reply) -> float | None:
        """The seconds that ``Retry-After`` asks to wait, which tells a number or a date (RFC 9110, 10.2.3)."""
        told = reply.headers.get("Retry-After", "").strip()
        if told.isascii() and told.isdecimal() and len(told) < 12:
            return float(told)
        try:
            when = parsedate_to_datetime(told)
        except (ValueError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - self._clock())

    # --- refusals --------------------------------------------------------------------------------

    def _success(self, reply: _Reply) -> Body:
        """The body of a good answer; everything else is raised as what it is."""
        if not 200 <= reply.status < 300:
            self._refuse(reply)
        body = Body(reply.body)
        if body.text("status", 60) == "error":
            self._refuse(reply)
        if body.text("status", 60) == "success":
            return body
        if reply.content.lstrip()[:1] == b"{" and not body:
            raise UnreadableAnswerError(
                f"{self._host} sent JSON that does not end or is malformed; try again, and look at what stands between"
            )
        raise NotPrometheusError(
            f"{self._host} answered with something that is not of Prometheus, such as a page to log in; "
            "set the address of Prometheus itself, without /api/v1"
        )

    def _refuse(self, reply: _Reply) -> NoReturn:
        """Raises the error that says best what was answered, in one sentence."""
        status, body = reply.status, Body(reply.body)
        kind, said = plain(body.text("errorType", 60)), self._plain(body.text("error")).rstrip(".")
        if status == 401:
            if not self._credentials.header:
                todo = "asks for credentials; set a token, or a user name and a password"
            else:
                todo = f"does not accept the request {self._credentials.kind}; set the one that holds"
            raise PrometheusAccessError(f"Prometheus at {self._host} {todo}", kind)
        if status == 403:
            raise PrometheusAccessError(
                f"Prometheus at {self._host} does not allow this: {said or 'no reason was told'}; "
                "use credentials that may read metrics",
                kind,
            )
        if 300 <= status < 400:
            raise NotPrometheusError(
                f"{self._host} answered with a redirect, which is not followed, since it could carry credentials "
                "elsewhere; set the address of Prometheus itself"
            )
        if kind in _UNFINISHED or status == 504:
            raise PrometheusTimeoutError(
                f"Prometheus at {self._host} gave the query up after its time; "
                "make it cheaper, or the time it covers shorter",
                kind,
            )
        if kind in _BAD_QUERY or (status == 422 and said):
            raise PrometheusQueryError(
                f"Prometheus cannot evaluate the query: {said or 'no reason was told'}", kind
            )
        if status == 429 or status >= 500:
            wait = self._told_wait(reply)
            when = "try again later" if wait is None else f"it asks to wait {wait:.0f} s"
            why = "is asked too often" if status == 429 else "takes no queries at the moment"
            raise PrometheusUnavailableError(
                f"Prometheus at {self._host} {why} (HTTP {status}{': ' + said if said else ''}); {when}", kind
            )
        if status in (404, 405) and not said:
            raise NotPrometheusError(
                f"{self._host} knows no such page (HTTP {status}); "
                "set the address of Prometheus itself, without /api/v1"
            )
        raise PrometheusError(
            f"Prometheus at {self._host} refused the request (HTTP {status}): {said or 'no reason was told'}",
            kind,
        )

    def _failure(self, error: httpx.RequestError) -> PrometheusError:
        """What to say where there was no answer."""
        tls = _tls_problem(error)
        if isinstance(tls, ssl.SSLCertVerificationError):
            return PrometheusUnavailableError(
                f"the certificate of {self._host} is not trusted ({plain(tls.verify_message)}); "
                "set the file of its authority"
            )
        if tls is not None:
            reason = plain(tls.reason or type(tls).__name__)
            if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
                return PrometheusAccessError(
                    f"{self._host} asks for a client's certificate or refuses the one that was sent ({reason}); "
                    "set the certificate and the key that it accepts"
                )
            return PrometheusUnavailableError(
                f"no encrypted connection to {self._host} ({reason}); look at the address"
            )
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return PrometheusTimeoutError(
                f"Prometheus at {self._host} gave no whole answer within {self._timeout:g} s; "
                "make the query cheaper, or the time it covers shorter"
            )
        if isinstance(error, httpx.DecodingError):
            return UnreadableAnswerError(f"the answer of {self._host} cannot be unpacked; try again later")
        return PrometheusUnavailableError(
            f"Prometheus at {self._host} gave no answer ({type(error).__name__}); look at the address and the network"
        )

    def _plain(self, text: str) -> str:
        for secret in self._credentials.secrets:
            text = text.replace(secret, "[hidden]")
        return plain(text)


def _seconds(at_ms: int) -> str:
    """Milliseconds as Prometheus' decimal seconds, exactly."""
    sign = "-" if at_ms < 0 else ""
    return f"{sign}{abs(at_ms) // 1000}.{abs(at_ms) % 1000:03}"


def _error_type(reply: _Reply) -> str:
    return Body(reply.body).text("errorType", 60)


def _is_passing(error: httpx.RequestError) -> bool:
    """Whether it may work a moment later: no connection, or one that broke."""
    is_broken = isinstance(error, httpx.ConnectTimeout | httpx.NetworkError | httpx.RemoteProtocolError)
    return is_broken and _tls_problem(error) is None


def _tls_problem(error: BaseException | None) -> ssl.SSLError | None:
    """The refusal of an encrypted connection that an error comes from; a connection that only broke is none."""
    for _ in range(10):
        if isinstance(error, ssl.SSLError):
            return None if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) else error
        if error is None:
            break
        error = error.__cause__ or error.__context__
    return None
