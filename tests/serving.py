"""The server in tests: its application in this process, and the whole of it as a user runs it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from achievement_collector.api.app import create_app
from achievement_collector.config import Settings, settings_variables
from achievement_collector.ledger import inbox
from achievement_collector.ledger.inbox import Delivery
from achievement_collector.ledger.store import Ledger
from achievement_collector.services.intake import process_waiting
from achievement_collector.services.live import bring_up_to_date

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for another HTTP library, which would do the same
    from starlette.testclient import TestClient

GITHUB, LINEAR, DEPLOYMENTS = "what-github-signs-with", "what-linear-signs-with", "what-deployers-sign-with"
OWN_TOKEN = "the-token-of-the-settings"
SECRETS = (GITHUB, LINEAR, DEPLOYMENTS, OWN_TOKEN)
NOW = 1_795_000_000_000


def server_settings(**more: Any) -> Settings:
    told = {
        "github_webhook_secret": GITHUB, "linear_webhook_secret": LINEAR, "deployments_webhook_secret": DEPLOYMENTS,
        "aggregation_seconds": 0.02,
    }  # fmt: skip
    return Settings(database="unused", **{**told, **more})


@contextlib.contextmanager
def serving(
    ledger: Ledger, settings: Settings | None = None, *, is_open: bool = True, token: str = ""
) -> Iterator[TestClient]:
    """A client of the application, which works on nothing by itself: see :func:`work_off`."""
    app = create_app(ledger, settings or server_settings(), is_open=is_open, has_worker=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        yield TestClient(app, base_url="http://localhost", headers=headers)
    finally:
        app.state.own.receiver.close()


def work_off(ledger: Ledger, settings: Settings | None = None, now: int = NOW) -> None:
    """What the worker does until nothing is left."""
    while process_waiting(ledger, settings or server_settings(), now).total:
        pass
    bring_up_to_date(ledger, settings or server_settings(), lambda: now)


def stored_deliveries(ledger: Ledger) -> list[Delivery]:
    """All of them with their bodies, oldest first."""
    with ledger.read() as connection:
        found = [inbox.find(connection, one.id) for one in inbox.listed(connection, limit=10_000)]
    return [one for one in reversed(found) if one is not None]


def signature(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def from_github(
    body: object, event: str = "ping", delivery: str = "d-1", secret: str = GITHUB
) -> dict[str, Any]:
    """What GitHub sends, for :meth:`TestClient.post`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "url": "/webhooks/github", "content": raw,
        "headers": {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "Content-Type": "application/json",
                    "X-Hub-Signature-256": f"sha256={signature(secret, raw)}"},
    }  # fmt: skip


def from_linear(body: object, delivery: str = "d-1", secret: str = LINEAR) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "url": "/webhooks/linear", "content": raw,
        "headers": {"Linear-Event": "Issue", "Linear-Delivery": delivery, "Linear-Signature": signature(secret, raw)},
    }  # fmt: skip


def from_deployer(body: object, delivery: str = "d-1", secret: str = DEPLOYMENTS) -> dict[str, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "url": "/webhooks/deployments", "content": raw,
        "headers": {"X-Delivery": delivery, "X-Signature-256": f"sha256={signature(secret, raw)}"},
    }  # fmt: skip


# --- as a user runs it -------------------------------------------------------------------------------


def user_environment(**more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    left_out = {*settings_variables(), "ACHIEVEMENT_TRACKER_CONFIG"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | more


class ServerProcess:
    """``serve`` in a process of its own, on a free port."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.log = folder / "server.log"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "achievement_collector", "serve", "--port", "0", *arguments],
                cwd=folder, env=user_environment(**environment), stdout=log, stderr=log,
            )  # fmt: skip
        self.address = ""

    def __enter__(self) -> ServerProcess:
        until(self._is_listening, self)
        until(self._is_ready, self)
        self.seconds_to_ready = time.monotonic() - self.began
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Sends SIGTERM; gives the exit code."""
        self.process.terminate()
        return self.process.wait(20)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def _is_listening(self) -> bool:
        _, _, told = self.log.read_text().partition("listening on ")
        self.address = told.split()[0] if told else ""
        return bool(self.address)

    def _is_ready(self) -> bool:
        return httpx.get(f"{self.address}/readyz", timeout=10).status_code == 200


def until(condition: Callable[[], Any], server: ServerProcess | None = None, seconds: float = 30.0) -> None:
    """Waits until a condition holds; fails where it does not in time, or the server ends."""
    end = time.monotonic() + seconds
    while not condition():
        if server is None:
            threading.Event().wait(0.01)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = server.process.wait(0.02)
                raise AssertionError(f"the server ended with {code}:\n{server.log.read_text()}")
        assert time.monotonic() < end, (
            f"it does not happen:\n{server.log.read_text() if server else condition}"
        )
