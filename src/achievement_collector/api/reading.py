"""Reading the body of a request, no more of it than is allowed."""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException

LARGEST_BODY = 26 * 1024 * 1024
"""Bytes; GitHub sends 25 MB at most."""


async def limited_body(request: Request, largest: int = LARGEST_BODY) -> bytes:
    """The raw body. Raises 413 as soon as it is too large, 400 where the sender gives up."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > largest:
        raise HTTPException(413, f"a body may have {largest:,} bytes at most")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise HTTPException(413, f"a body may have {largest:,} bytes at most")
        parts.append(part)
    return b"".join(parts)
