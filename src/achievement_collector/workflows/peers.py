"""Several servers on one PostgreSQL: each says that it lives, and takes over the work of one that no longer does."""

from __future__ import annotations

import socket

import sqlalchemy as sa

from achievement_collector.ledger.store import Ledger
from achievement_collector.ledger.tables import servers

BEAT = 2.0
"""Seconds between two signs of life."""

_SILENT = 10_000  # milliseconds after which a server counts as dead


def beat(ledger: Ledger, executor: str, now: int) -> list[str]:
    """Gives a sign of life and takes the dead off the list; gives those, for their work to be taken over. ``now`` in
    milliseconds; a process is called dead by one other only."""
    with ledger.write() as connection:
        known = connection.execute(
            sa.update(servers).where(servers.c.executor == executor).values(seen=now)
        ).rowcount
        if not known:
            connection.execute(
                sa.insert(servers).values(executor=executor, host=socket.gethostname(), seen=now)
            )
        dead = connection.scalars(
            sa.select(servers.c.executor)
            .where(servers.c.seen < now - _SILENT, servers.c.executor != executor)
            .with_for_update(skip_locked=True)
        ).all()
        if dead:
            connection.execute(sa.delete(servers).where(servers.c.executor.in_(dead)))
    return list(dead)


def leave(ledger: Ledger, executor: str) -> None:
    with ledger.write() as connection:
        connection.execute(sa.delete(servers).where(servers.c.executor == executor))
