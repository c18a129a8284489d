"""What holds for every request, whatever its route: where it may come from, how large it may be, that it is counted.

A server for this machine alone may be open, so no web page may reach it: not by a name of its own (DNS rebinding, seen by
the Host header) and not from another site (seen by the Origin header, which browsers send with whatever changes something).
Webhooks are signed, so they may come through a tunnel by whatever name.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from achievement_collector.api.addresses import is_loopback
from achievement_collector.api.errors import problem
from achievement_collector.api.state import State

LARGEST_BODY = 26 * 1024 * 1024
"""Bytes; GitHub sends 25 MB at most."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Guard:
    """Stands before the application, which shares ``state``."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
                self._count(scope, message["status"])
            await send(message)

        headers = Headers(scope=scope)
        is_signed = scope["method"] == "POST" and scope["path"].startswith("/webhooks/")
        told = None if is_signed else self._refusal(headers) or self._without_token(scope["method"], headers)
        if told:
            more = {"WWW-Authenticate": "Bearer"} if told[0] == 401 else None
            await problem(*told, headers=more)(scope, receive, answer)
        else:
            await self._app(scope, _limited(receive, headers), answer)

    def _refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """(status, detail) for what comes from elsewhere to a server that is for this machine alone."""
        if not self._state.is_loopback:
            return None
        if not is_loopback(_host(f"//{headers.get('host', '')}")):
            return 421, (
                "this server is for this machine alone: call it by localhost, or start it with --host and a token; "
                "webhooks alone may come through a tunnel"
            )
        if "origin" in headers and not is_loopback(_host(headers["origin"])):
            return 403, "this server is for this machine alone, not for pages of other sites"
        return None

    def _without_token(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """(status, detail) for what would change something, has no token and comes to a server that is never open: its body
        is not read."""
        is_open = self._state.is_loopback and not self._state.settings.api_token
        if is_open or method in ("GET", "HEAD", "OPTIONS") or "authorization" in headers:
            return None
        return 401, "a token is needed: Authorization: Bearer ..."

    def _count(self, scope: Scope, status: int) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = (
            scope["method"] if scope["method"] in _METHODS else "other"
        )  # else a sender could make up series
        self._state.metrics.requests.labels(method, route, status).inc()


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _limited(receive: Receive, headers: Mapping[str, str]) -> Receive:
    """``receive`` that refuses (413) a body as soon as it is known to be too large, before any of it where its length
    is told."""
    told = headers.get("content-length", "")
    size, told_size = 0, int(told[:20]) if told.isdecimal() else 0

    async def receive_limited() -> Message:
        nonlocal size
        if told_size <= LARGEST_BODY:
            message = await receive()
            size += len(message.get("body", b""))
            if size <= LARGEST_BODY:
                return message
        raise HTTPException(413, f"a body may have {LARGEST_BODY:,} bytes at most")

    return receive_limited
