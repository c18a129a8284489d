"""Who may ask for what: bearer tokens with scopes.

A server bound to a loopback address that has no ACHIEVEMENT_COLLECTOR_TOKEN, and in whose ledger no token was ever made, is
open to this machine; everything else needs a token. Revoking the last token does not open a server again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from achievement_collector.api.state import state_of
from achievement_collector.services.tokens import list_tokens, scopes_of

_bearer = HTTPBearer(auto_error=False, description="A token made with: achievement-collector token create")


def needs(scope: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets a request pass that may do ``scope`` (read, write or ingest)."""

    async def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> None:
        state = state_of(request)
        if given is None:
            if (
                state.is_loopback
                and not state.settings.api_token
                and not await run_in_threadpool(list_tokens, state.ledger)
            ):
                return
            raise HTTPException(
                401, "a token is needed: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"}
            )
        scopes = await run_in_threadpool(
            scopes_of, state.ledger, given.credentials, state.settings.api_token, state.clock()
        )
        if scopes is None:
            raise HTTPException(401, "the token is unknown or revoked", {"WWW-Authenticate": "Bearer"})
        if scope not in scopes:
            raise HTTPException(403, f"the token may not {scope}; it is for {', '.join(scopes)}")

    return check
