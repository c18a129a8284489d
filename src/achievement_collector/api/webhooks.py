"""``POST /webhooks/...``: signatures checked on the raw body, stored durably, answered. Processing comes after."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from achievement_collector.api.errors import problems
from achievement_collector.api.state import State, state_of
from achievement_collector.intake import signatures
from achievement_collector.ledger.inbox import Incoming
from achievement_collector.services.intake import fallback_delivery_id
from achievement_collector.services.polling import has_linear

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Known already, or (Linear asks for 200) stored"},
    202: {"description": "Stored; it will be processed"},
    **problems(
        {
            400: "The request is incomplete, or its time is out of the window",
            401: "The signature is missing or wrong",
            413: "The body is too large",
            503: "No secret is set for this source, or the ledger cannot be used",
        }
    ),
}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


def _secret(value: str | None, name: str) -> str:
    if not value:
        raise HTTPException(503, f"{name} is not set, so that no delivery can be checked")
    return value


async def _store(
    state: State, source: str, delivery: str, event: str, body: bytes, began: float, status: int = 202
) -> JSONResponse:
    incoming = Incoming(
        source, delivery[:200] or fallback_delivery_id(body), event[:100], body, state.clock()
    )
    accepted = await state.receiver.accept(incoming)
    answer = "accepted" if accepted.is_new else "duplicate"
    state.metrics.deliveries.labels(source, answer).inc()
    state.metrics.accept_seconds.observe(time.perf_counter() - began)
    return JSONResponse({"status": answer, "delivery": incoming.delivery}, status if accepted.is_new else 200)


def _refuse(state: State, source: str, status: int, why: str) -> HTTPException:
    state.metrics.deliveries.labels(source, "refused").inc()
    return HTTPException(status, why)


@router.post("/github", responses=_ANSWERS, status_code=202, openapi_extra=_BODY)
async def github(request: Request) -> JSONResponse:
    """A delivery of GitHub (``X-GitHub-Event``, ``X-GitHub-Delivery``, ``X-Hub-Signature-256``)."""
    began, state = time.perf_counter(), state_of(request)
    secret = _secret(state.settings.github_webhook_secret, "GITHUB_WEBHOOK_SECRET")
    body = await request.body()
    if not signatures.is_signed_by_github(secret, body, request.headers):
        raise _refuse(state, "github", 401, "X-Hub-Signature-256 is missing or does not fit the body")
    event = request.headers.get("x-github-event", "")
    if not event:
        raise _refuse(state, "github", 400, "X-GitHub-Event is missing")
    return await _store(state, "github", request.headers.get("x-github-delivery", ""), event, body, began)


@router.post("/linear", responses=_ANSWERS, openapi_extra=_BODY)
async def linear(request: Request) -> JSONResponse:
    """A delivery of Linear (``Linear-Signature``, ``Linear-Delivery``), answered with 200 as Linear asks for."""
    began, state = time.perf_counter(), state_of(request)
    secret = _secret(state.settings.linear_webhook_secret, "LINEAR_WEBHOOK_SECRET")
    body = await request.body()
    if not signatures.is_signed_by_linear(secret, body, request.headers):
        raise _refuse(state, "linear", 401, "Linear-Signature is missing or does not fit the body")
    skew = signatures.linear_skew(body, request.headers, state.clock())
    if skew is not None and skew > state.settings.linear_webhook_window * 1000:
        state.work.ask_linear()  # what it told is fetched instead
        instead = (
            "what it told will be polled"
            if has_linear(state.settings)
            else "send it again, or set LINEAR_API_KEY"
        )
        raise _refuse(state, "linear", 400, f"the delivery is {skew // 1000} s off; {instead}")
    event = request.headers.get("linear-event", "")
    return await _store(state, "linear", request.headers.get("linear-delivery", ""), event, body, began, 200)


@router.post("/deployments", responses=_ANSWERS, status_code=202, openapi_extra=_BODY)
async def deployments(request: Request) -> JSONResponse:
    """A deployment told by any tool (docs/live.md has the form), signed with ``X-Signature-256: sha256=<hex>``. With
    ``X-Delivery`` (an id of its own for each message, the same when it is sent again) it is taken once; without it the same
    body within the same minute is the same message."""
    began, state = time.perf_counter(), state_of(request)
    secret = _secret(state.settings.deployments_webhook_secret, "DEPLOYMENTS_WEBHOOK_SECRET")
    body = await request.body()
    if not signatures.is_signed_by_deployer(secret, body, request.headers):
        raise _refuse(state, "deployments", 401, "X-Signature-256 is missing or does not fit the body")
    # a deployment may go back to how it was: the same body later is news
    delivery = request.headers.get("x-delivery") or f"{fallback_delivery_id(body)}@{state.clock() // 60_000}"
    return await _store(state, "deployments", delivery, "deployment", body, began)
