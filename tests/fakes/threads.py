"""A loopback Threads-Agent stack: the adaptor's posts and the orchestrator's metrics, over things kept in memory."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

METRICS = """\
# HELP posts_engagement_rate Engagement of posts
# TYPE posts_engagement_rate gauge
posts_engagement_rate{persona_id="ai-jesus"} 0.078
# TYPE revenue_projection_monthly gauge
revenue_projection_monthly 22500
# TYPE posts_generated_total counter
posts_generated_total 412
# TYPE content_latency_seconds histogram
content_latency_seconds_bucket{le="1"} 3
content_latency_seconds_bucket{le="+Inf"} 4
content_latency_seconds_sum 2.5
content_latency_seconds_count 4
# TYPE broken gauge
broken NaN
"""


class FakeThreads:
    """The state of the stack and what it was asked. ``old_routes`` is an adaptor that knows ``/published`` only;
    ``answers`` are (status, body) of the next requests instead of the right ones, None hangs up."""

    def __init__(self) -> None:
        self.url = ""
        self.posts: list[dict[str, Any]] = []
        self.metrics = METRICS
        self.old_routes = False
        self.wrapped = False
        self.answers: deque[tuple[int, bytes] | None] = deque()
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if path == "/posts" and not self.old_routes:
            return 200, json.dumps({"posts": self.posts} if self.wrapped else self.posts).encode()
        if path == "/published" and self.old_routes:
            return 200, json.dumps(self.posts).encode()
        if path == "/metrics":
            return 200, self.metrics.encode()
        return 404, b'{"detail":"Not Found"}'


@contextmanager
def serving_threads() -> Iterator[FakeThreads]:
    fake = FakeThreads()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            fake.asked.append((parts.path, query))
            told = fake.answers.popleft() if fake.answers else fake.answer(parts.path, query)
            if told is None:
                self.close_connection = True
                return
            status, body = told
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status in (301, 302, 307):
                self.send_header("Location", f"{fake.url}/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
