"""Plays messages of the story to a server, signed as GitHub and Linear sign them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from demo.story import Measures, Step, Webhook

GITHUB_SECRET, LINEAR_SECRET = "demo-github", "demo-linear"


class Player:
    """Speaks to one server."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=30)

    def send(self, message: Webhook | Measures) -> httpx.Response:
        if isinstance(message, Measures):
            return self.http.post("/ci/metrics", json=message.body).raise_for_status()
        body = dict(message.body)
        if message.source == "linear":
            body["webhookTimestamp"] = time.time_ns() // 1_000_000
        raw = json.dumps(body).encode()
        if message.source == "github":
            signature = hmac.new(GITHUB_SECRET.encode(), raw, hashlib.sha256).hexdigest()
            headers = {
                "X-GitHub-Event": message.event,
                "X-GitHub-Delivery": message.delivery,
                "X-Hub-Signature-256": f"sha256={signature}",
            }
        else:
            signature = hmac.new(LINEAR_SECRET.encode(), raw, hashlib.sha256).hexdigest()
            headers = {
                "Linear-Event": message.event,
                "Linear-Delivery": message.delivery,
                "Linear-Signature": signature,
            }
        headers["Content-Type"] = "application/json"
        return self.http.post(f"/webhooks/{message.source}", content=raw, headers=headers).raise_for_status()

    def play(self, step: Step) -> None:
        for message in step.messages:
            self.send(message)

    def epic(self, key: str) -> dict[str, Any] | None:
        answer = self.http.get(f"/epics/{key}")
        return answer.json() if answer.is_success else None

    def wait(self, key: str, is_so: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        """The epic, as soon as ``is_so`` holds of it. Raises :class:`TimeoutError`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            epic = self.epic(key)
            if epic is not None and is_so(epic):
                return epic
            time.sleep(0.05)
        raise TimeoutError(f"{key} did not become what was awaited within {seconds:g} s")
