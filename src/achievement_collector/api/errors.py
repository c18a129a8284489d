"""Errors as problem details (RFC 9457): ``type``, ``title``, ``status``, ``detail``. No detail holds a secret or a trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from achievement_collector.errors import (
    CollectorError,
    ConfigurationError,
    LedgerError,
    NotConcludedError,
    NotFoundError,
)

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
_SCHEMA = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, to what, and what can be done"},
        "errors": {
            "type": "array",
            "description": "Each place of the request that does not fit (422)",
            "items": {
                "type": "object",
                "required": ["at", "what"],
                "properties": {"at": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem as a response."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def problems(answers: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Declares that these statuses are answered with a problem, and when: for ``responses`` of a route or router."""
    return {
        status: {"description": when, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status, when in answers.items()
    }


GUARDED = problems(
    {
        401: "A token is needed, or it is unknown",
        403: "The token is not for this",
        421: "Called by a name of another machine",
        422: "The request does not fit this form",
        503: "The ledger cannot be used",
    }
)
"""What every route that needs a token may answer."""


def add_to(app: FastAPI) -> None:
    """Has every error of the application answered as a problem."""

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "the request does not fit the documented form", errors=_places(error.errors()))

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return problem(400, "the request ended before its body did")

    @app.exception_handler(NotFoundError)
    async def _not_found(_: Request, error: NotFoundError) -> JSONResponse:
        return problem(404, str(error))

    @app.exception_handler(LedgerError)
    async def _ledger(_: Request, error: LedgerError) -> JSONResponse:
        _log.error("ledger: %s", error)
        return problem(
            503, "the ledger cannot be used at the moment; try again", headers={"Retry-After": "5"}
        )

    @app.exception_handler(ConfigurationError)
    async def _configuration(_: Request, error: ConfigurationError) -> JSONResponse:
        return problem(400, str(error))

    @app.exception_handler(NotConcludedError)
    async def _not_concluded(_: Request, error: NotConcludedError) -> JSONResponse:
        return problem(500, str(error))

    @app.exception_handler(CollectorError)
    async def _ours(_: Request, error: CollectorError) -> JSONResponse:
        return problem(400, str(error))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.exception("unexpected error at %s", request.url.path, exc_info=error)
        return problem(500, "something went wrong here; the log of the server tells more")


def _places(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Where and what, without the value that was sent."""
    return [{"at": ".".join(str(part) for part in one["loc"]), "what": str(one["msg"])} for one in errors]
