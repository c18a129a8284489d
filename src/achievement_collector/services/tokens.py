"""API tokens: random, shown once, stored as a hash, with scopes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from achievement_collector.errors import CollectorError, NotFoundError
from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import tokens

SCOPES = ("read", "write", "ingest")
"""read: every GET; write: changing achievements, epics, the inbox; ingest: handing in measures of CI."""

_PREFIX = "ac_"
_USED_EVERY = 60_000


class Token(NamedTuple):
    """A token as it is listed. Times in milliseconds since 1970."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created: int
    used: int | None
    revoked: int | None


def create_token(ledger: Ledger, name: str, scopes: Sequence[str], now: int) -> str:
    """Makes a token and gives its text, which is stored nowhere."""
    wanted = list(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise CollectorError(
            f"the scopes of a token are some of {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}"
        )
    if not name.strip() or len(name) > 200:
        raise CollectorError("the name of a token must hold 1 to 200 characters")
    text = _PREFIX + secrets.token_urlsafe(32)
    with ledger.write() as connection:
        connection.execute(
            sa.insert(tokens).values(
                name=name.strip(), hash=_hash(text), scopes=" ".join(wanted), created=now
            )
        )
    return text


def list_tokens(ledger: Ledger) -> list[Token]:
    with ledger.read() as connection:
        rows = connection.execute(sa.select(tokens).order_by(tokens.c.id)).all()
    return [
        Token(row.id, row.name, tuple(row.scopes.split()), row.created, row.used, row.revoked) for row in rows
    ]


def revoke_token(ledger: Ledger, number: int, now: int) -> None:
    with ledger.write() as connection:
        query = sa.update(tokens).where(tokens.c.id == number, tokens.c.revoked.is_(None)).values(revoked=now)
        if not connection.execute(query).rowcount:
            raise NotFoundError(f"there is no token {number} in force; token list shows those there are")


def scopes_of(ledger: Ledger, text: str, own: str | None, now: int) -> tuple[str, ...] | None:
    """The scopes of a token; None for one that is unknown or revoked. ``own`` is the configured token, with all scopes."""
    if own and hmac.compare_digest(text.encode(), own.encode()):
        return SCOPES
    if not text.startswith(_PREFIX):
        return None
    with ledger.read() as connection:
        row = connection.execute(
            sa.select(tokens).where(tokens.c.hash == _hash(text), tokens.c.revoked.is_(None))
        ).first()
    if row is None:
        return None
    if row.used is None or now - row.used > _USED_EVERY:
        with ledger.write() as connection:
            connection.execute(sa.update(tokens).where(tokens.c.id == row.id).values(used=now))
    return tuple(row.scopes.split())


def has_tokens(ledger: Ledger) -> bool:
    with ledger.read() as connection:
        return bool(
            connection.scalar(
                sa.select(sa.func.count()).select_from(tokens).where(tokens.c.revoked.is_(None))
            )
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()  # of 256 random bits, so no slow hash is needed
