"""A loopback Prometheus for what a real one cannot be made to do: failing, lingering, asking for credentials.

What it answers by itself it evaluates for any query as one series with the value of the moment, on the moments that Prometheus
would evaluate, and with Prometheus' own limit. Requests and answers are checked against Prometheus' OpenAPI document where it
is at hand. Errors are worded as Prometheus 2.42 words them.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "prometheus"
TOKEN, USER, PASSWORD = "prom-0123456789abcdefSECRET", "reader", "fedcba9876543210SECRET"
VERSION = {
    "version": "2.42.0", "revision": "225c61122d88b01d1f0eaaee0e05b6f3e0567ac0", "branch": "HEAD",
    "buildUser": "root@c67d48967507", "buildDate": "20230201-07:53:32", "goVersion": "go1.19.5",
}  # fmt: skip


@functools.cache
def _registry() -> Any:
    path = DATA / "openapi_3.1_golden.yaml"
    if not path.exists():
        return None
    import yaml
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return Registry().with_resource("urn:prometheus", Resource(contents=document, specification=DRAFT202012))


def needs_document() -> None:
    """Skips the test where Prometheus' OpenAPI document is not at hand."""
    if _registry() is None:
        pytest.skip(
            "needs openapi_3.1_golden.yaml, which lies in shared/data/prometheus beside the repository"
        )


def violations(schema: str, value: Any) -> list[str]:
    """What a value breaks of one of the document's component schemas; nothing where the document is not at hand."""
    if _registry() is None:
        return []
    from jsonschema import Draft202012Validator

    reference = {"$ref": f"urn:prometheus#/components/schemas/{schema}"}
    return [
        error.message for error in Draft202012Validator(reference, registry=_registry()).iter_errors(value)
    ]


def recorded() -> list[dict[str, Any]]:
    """Exchanges recorded from a real Prometheus 2.42; skips the test where they are not at hand."""
    path = DATA / "recorded-prometheus-2.42.json"
    if not path.exists():
        pytest.skip("needs recorded exchanges, which lie in shared/data/prometheus beside the repository")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["exchanges"]
    return found


@dataclass
class Trouble:
    """One answer that is prepared. ``body`` is sent as JSON where it is no text or bytes; ``hangs_up`` ends the connection
    without any, ``breaks_off`` after half of it; ``waits`` is what is waited for before it, ``drips`` sends a byte each time
    that seconds pass."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    breaks_off: bool = False
    waits: threading.Event | None = None
    drips: float = 0.0


def refusal(status: int, kind: str, error: str, **headers: str) -> Trouble:
    """An error as Prometheus words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Trouble(status, {"status": "error", "errorType": kind, "error": error}, named)


def vector(*series: tuple[dict[str, str], float, str], **more: Any) -> dict[str, Any]:
    """A good answer with one sample a series: labels, seconds, value."""
    result = [{"metric": labels, "value": [at, value]} for labels, at, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


def matrix(*series: tuple[dict[str, str], list[tuple[float, str]]], **more: Any) -> dict[str, Any]:
    result = [{"metric": labels, "values": [list(pair) for pair in pairs]} for labels, pairs in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]


class FakePrometheus:
    """``accepts`` is the Authorization header that is needed, none where it is empty; ``value`` gives the value of a moment in
    seconds; ``problems`` are breaches of the published document, in requests and in the fake's own answers."""

    def __init__(self) -> None:
        self.url = ""
        self.accepts = ""
        self.allows_post = True
        self.is_ready = True
        self.value: Callable[[int], str] = str
        self.labels = {"__name__": "latency", "job": "api"}
        self.troubles: deque[Trouble | None] = deque()  # answers of the next requests; None is the right one
        self.asked: list[Asked] = []
        self.problems: list[str] = []

    def answer(self, asked: Asked) -> Trouble:
        if self.accepts and asked.headers.get("authorization") != self.accepts:
            return Trouble(401, "Unauthorized\n", {"WWW-Authenticate": "Basic", "Content-Type": "text/plain"})
        if asked.path == "/-/ready":
            told = (200, "Prometheus Server is Ready.\n") if self.is_ready else (503, "Service Unavailable")
            return Trouble(*told, {"Content-Type": "text/plain"})
        if asked.path == "/api/v1/status/buildinfo":
            return self._good("StatusBuildInfoOutputBody", {"status": "success", "data": VERSION})
        if asked.path not in ("/api/v1/query", "/api/v1/query_range"):
            return Trouble(404, "404 page not found\n", {"Content-Type": "text/plain"})
        if asked.method == "POST" and not self.allows_post:
            return Trouble(405, "Method Not Allowed\n", {"Content-Type": "text/plain"})
        if asked.path == "/api/v1/query":
            self._check("QueryPostInputBody", asked.form)
            at = float(asked.form.get("time", "1795000000"))
            return self._good("QueryOutputBody", vector((self.labels, at, self.value(int(at)))))
        self._check("QueryRangePostInputBody", asked.form)
        start, end, step = (int(asked.form[name]) for name in ("start", "end", "step"))
        if (end - start) // step > 11_000:
            return refusal(
                400, "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            )  # fmt: skip
        pairs: list[tuple[float, str]] = [(at, self.value(at)) for at in range(start, end + 1, step)]
        return self._good("QueryRangeOutputBody", matrix((self.labels, pairs)), is_checked=len(pairs) < 200)

    def _good(self, schema: str, body: dict[str, Any], *, is_checked: bool = True) -> Trouble:
        if is_checked:
            self.problems += violations(schema, body)
        return Trouble(200, body)

    def _check(self, schema: str, form: dict[str, str]) -> None:
        """A form holds texts only; what the document calls a whole number is one that is written out."""
        self.problems += violations(
            schema, {name: int(text) if name == "limit" else text for name, text in form.items()}
        )


@contextmanager
def serve(fake: FakePrometheus, tls: ssl.SSLContext | None = None) -> Iterator[FakePrometheus]:
    """Serves on a loopback port until the block ends."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, form: str) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            pairs = parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form))
            fake.asked.append(Asked(self.command, urlsplit(self.path).path, dict(pairs), headers))
            trouble = fake.troubles.popleft() if fake.troubles else None
            self._send(trouble or fake.answer(fake.asked[-1]))

        def _send(self, trouble: Trouble) -> None:
            if trouble.waits:
                trouble.waits.wait(20)
            if trouble.hangs_up:
                self.close_connection = True
                return
            body = trouble.body
            if not isinstance(body, bytes):
                body = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(trouble.status)
            for name, value in {"Content-Type": "application/json", **trouble.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if trouble.breaks_off:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                return
            if trouble.drips:
                for place in range(len(body)):
                    self.wfile.write(body[place : place + 1])
                    if ended.wait(trouble.drips):
                        return
                return
            self.wfile.write(body)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the client went away, as the test wants
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            """In the connection's own thread: a handshake that fails must not hold up the others."""
            if tls is not None:
                try:
                    request = tls.wrap_socket(request, server_side=True)
                except OSError:
                    return
            super().finish_request(request, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
